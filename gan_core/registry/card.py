"""The model card: data, licences, scores, limits and lineage of a version, for people.

Sections after Mitchell et al. 2019 (Model Cards for Model Reporting, arXiv:1810.03993).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gan_core.registry.version import Version

CARD = "README.md"


def card(version: Version) -> str:
    """Return the card as Markdown."""
    parts = [_head(version), _use(version), _data(version), _scores(version), _limits(version), _lineage(version)]
    return "\n\n".join(parts) + "\n"


def _head(version: Version) -> str:
    data, model = version.config["data"], version.config["model"]
    condition = ", ".join(model.get("condition", ())) or "none"
    return (
        f"# {version.name}\n\n"
        f"A generative adversarial network ({model['name']}) that draws pictures of {data['resolution']}x"
        f"{data['resolution']} pixels with {data['channels']} channel{'s' * (data['channels'] > 1)}, trained by "
        f"faceloom for {version.images_seen:,} real images shown. Latent vectors have {model['latent_size']} numbers, "
        f"N(0, 1); conditions: {condition}."
    )


def _use(version: Version) -> str:
    return (
        "## Use\n\n"
        f"    faceloom models export {version.model} {version.number} --to FOLDER\n\n"
        "writes `generator.keras`, a `saved_model/` whose signature `serving_default` takes `latent` (float32 [n, "
        f"{version.config['model']['latent_size']}]) and gives `images` (uint8 [n, height, width, channels], 0 to "
        "255), and this card.\n\nMade for drawing pictures of the kind that it was trained on: research, teaching, "
        "test data. "
        "Not for passing pictures off as photographs of people, nor for judging people by them."
    )


def _data(version: Version) -> str:
    counts = ", ".join(f"{split} {count:,}" for split, count in version.source.get("counts", {}).items()) or "unknown"
    licences = [f"- {name}: {count:,} pictures" for name, count in version.licences.items()]
    said = "\n".join(licences) or "The source names none. Whoever uses the model must know those of the pictures."
    return (
        f"## Data\n\n{version.source.get('kind')} `{version.source.get('name')}`, pictures by split: {counts}. "
        f"Data set `{version.dataset['name']}`, digest `{version.dataset['digest']}`.\n\n### Licences\n\n{said}"
    )


def _scores(version: Version) -> str:
    if not version.scores:
        return "## Scores\n\nNot measured."
    rows = [
        f"| {facts.get('title', name)} | {_number(facts, 'value', 'error')} | {_number(facts, 'floor', 'floor_error')} "
        f"| {facts.get('unit') or '-'} | {facts.get('better')} |"
        for name, facts in version.scores.items()
    ]
    of = version.protocol
    extractor = of.get("extractor")
    name = extractor.get("name") if isinstance(extractor, Mapping) else extractor
    return "\n".join(
        [
            "## Scores",
            "",
            f"{of.get('generated_count')} generated pictures against {of.get('real_count')} real ones of split "
            f"'{of.get('split')}', extractor {name}. Values with one standard error; the floor is the same "
            "measure between real pictures.",
            "",
            "| measure | value | floor | unit | better |",
            "|---|---|---|---|---|",
            *rows,
        ]
    )


def _number(facts: Mapping[str, Any], key: str, error: str) -> str:
    value, spread = facts.get(key), facts.get(error)
    if value is None:
        return "-"
    return f"{value:.4g}" if spread is None else f"{value:.4g} ± {spread:.2g}"


def _limits(version: Version) -> str:
    warned = [f"- {name}: {text}" for name, facts in version.scores.items() for text in facts.get("warnings", ())]
    return "\n".join(
        [
            "## Limits",
            "",
            "- It draws what its data shows, with the data's gaps and biases; it was not measured by groups of people.",
            "- Scores compare only with scores of the same protocol.",
            "- Copies of training pictures are looked for among some of them only (measure authenticity), so their "
            "absence is not proven.",
            *warned,
        ]
    )


def _lineage(version: Version) -> str:
    parent = f"v{version.parent}" if version.parent is not None else "none"
    decision = version.decision["summary"] if version.decision else "not asked"
    libraries = ", ".join(f"{name} {number}" for name, number in version.created_by.items())
    transfer = version.config["train"].get("transfer")
    begun = "the weights of another checkpoint" if transfer else "random weights"
    return (
        "## Lineage\n\n"
        f"- run `{version.run}`, checkpoint `{version.checkpoint_digest}`, begun from {begun}\n"
        f"- blessed when it was registered: {parent}\n- gate: {decision}\n"
        f"- registered {version.created} (UTC) with {libraries}"
    )
