"""`faceloom models`: versions, which one is blessed, and who decided so. Only `export` needs TensorFlow."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Any

import click

from flows.console import shown
from flows.terminal import Group, Terminal, data_root_option, shared_options
from gan_core.errors import ArtifactError, ConfigError
from gan_core.options import suggestion
from gan_core.registry import Registry, Version, models


def _examples(*lines: str) -> str:
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


def _login() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""


_root = data_root_option("Where registry/ lies.")
_who = click.option("--who", default=_login, metavar="NAME", show_default="login name", help="Who decided so.")
_why = click.option("--why", required=True, metavar="TEXT", help="Why; it goes into the history.")


@click.group("models", cls=Group)
def models_group() -> None:
    """List versions, promote, roll back, export.

    A model is a preset's line of versions. `faceloom retrain` registers and promotes; here people do.
    """


@models_group.command("list", epilog=_examples("faceloom models list", "faceloom models list celeba64 --json"))
@shared_options
@_root
@click.argument("model", required=False)
def list_versions(own: Terminal, model: str | None, data_root: Path) -> None:
    """List the versions; the blessed one has a star."""
    names = [_known(data_root, model).model] if model else models(data_root)
    document: list[dict[str, Any]] = []
    rows: list[tuple[str, ...]] = [("", "version", "run", "images", "score", "gate", "registered (UTC)")]
    for name in names:
        registry = Registry(data_root, name)
        blessed = _blessed_number(registry)
        known = {version.number: version for version in registry.versions()}
        for number in registry.numbers():
            version = known.get(number)
            if version is None:
                document.append({"model": name, "number": number, "damaged": True})
                rows.append(("", f"{name} v{number}", "damaged", "-", "-", "-", "-"))
                continue
            document.append({**version.to_json(), "blessed": number == blessed})
            rows.append(_row(version, number == blessed))
    if len(rows) == 1:
        own.emit(document, f"no versions below {shown(data_root)}; make one with: faceloom retrain smoke")
        return
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    own.emit(document, "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows))


@models_group.command(epilog=_examples("faceloom models show celeba64", "faceloom models show celeba64 3 --json"))
@shared_options
@_root
@click.argument("model")
@click.argument("version", type=int, required=False)
def show(own: Terminal, model: str, version: int | None, data_root: Path) -> None:
    """Show a version with its lineage, scores and decision.

    Without VERSION: the blessed one, or the newest. The history of the model is below.
    """
    registry = _known(data_root, model)
    found = _chosen(registry, version)
    history = registry.history()
    document = {**found.to_json(), "blessed": found.number == _blessed_number(registry), "history": history}
    own.emit(document, _page(found, bool(document["blessed"]), history))


@models_group.command(
    epilog=_examples("faceloom models promote celeba64 3 --why 'faces look better to all of us'"),
)
@shared_options
@_root
@click.argument("model")
@click.argument("version", type=int)
@_who
@_why
def promote(own: Terminal, model: str, version: int, who: str, why: str, data_root: Path) -> None:
    """Bless a version by hand. All its files are verified first."""
    registry = _known(data_root, model)
    found = registry.promote(version, who, why)
    own.emit(found.to_json(), f"blessed   {found.name}: {shown(found.path)}\nby        {who}: {why}")


@models_group.command(
    epilog=_examples(
        "faceloom models rollback celeba64 --why 'green faces'",
        "faceloom models rollback celeba64 --to 2 --why 'green faces since 3' --dry-run",
    )
)
@shared_options
@_root
@click.argument("model")
@click.option("--to", "version", type=int, metavar="VERSION", help="Which one; otherwise the one blessed before.")
@_who
@_why
@click.option("--dry-run", is_flag=True, help="Only say which version it would be.")
def rollback(
    own: Terminal, model: str, version: int | None, who: str, why: str, data_root: Path, dry_run: bool
) -> None:
    """Bless an earlier version again."""
    registry = _known(data_root, model)
    if dry_run:
        target = registry.before() if version is None else registry.get(version).number
        text = f"{registry.model} would go back to v{target}" if target else f"nothing of {registry.model} came before"
        own.emit({"model": registry.model, "would_bless": target}, text)
        return
    found = registry.rollback(version, who, why)
    own.emit(found.to_json(), f"blessed   {found.name} again: {shown(found.path)}\nby        {who}: {why}")


@models_group.command(epilog=_examples("faceloom models gc --dry-run", "faceloom models gc celeba64 --keep 10"))
@shared_options
@_root
@click.argument("model", required=False)
@click.option("--keep", type=click.IntRange(min=1), default=3, show_default=True, help="So many of the newest stay.")
@click.option("--dry-run", is_flag=True, help="Only say which versions would go.")
def gc(own: Terminal, model: str | None, keep: int, data_root: Path, dry_run: bool) -> None:
    """Delete versions that nothing refers to.

    The blessed version stays, the one before it, all their parents, and the newest.
    """
    document, lines = [], []
    for name in [_known(data_root, model).model] if model else models(data_root):
        registry = Registry(data_root, name)
        gone = registry.collect(keep, dry_run=dry_run)
        kept = registry.referenced(keep)
        document.append({"model": name, "deleted": gone, "kept": kept, "dry_run": dry_run})
        verb = "would delete" if dry_run else "deleted"
        lines.append(f"{name}: {verb} {', '.join(f'v{number}' for number in gone) or 'nothing'}")
        lines += [f"  keeps v{number}: {why}" for number, why in sorted(kept.items())]
    own.emit(document, "\n".join(lines) or f"no versions below {shown(data_root)}")


@models_group.command(
    epilog=_examples(
        "faceloom models export celeba64 --to celeba64-model         the blessed version",
        "faceloom models export celeba64 3 --to celeba64-v3",
    )
)
@shared_options
@_root
@click.argument("model")
@click.argument("version", type=int, required=False)
@click.option("--to", "to", type=click.Path(path_type=Path), required=True, metavar="FOLDER", help="A new folder.")
def export(own: Terminal, model: str, version: int | None, to: Path, data_root: Path) -> None:
    """Write a Keras file, a SavedModel and the model card."""
    from flows.output import new_log, quiet_libraries, redirected

    found = _chosen(_known(data_root, model), version)
    quiet_libraries()
    with redirected(None if own.verbose else new_log(data_root, "export")):
        from gan_core.registry.export import export as write

        write(found, to)
    files = ["generator.keras", "saved_model", "README.md"]
    own.emit(
        {"model": found.model, "number": found.number, "path": str(to), "files": files},
        "\n".join([f"exported  {found.name}", *(f"          {shown(to / name)}" for name in files)]),
    )


def _known(data_root: Path, model: str) -> Registry:
    """Return a model's registry. Raises ConfigError, naming those that there are, where it has no versions."""
    registry = Registry(data_root, model)
    names = models(data_root)
    if registry.model not in names:
        has = ", ".join(names) or "none"
        raise ConfigError(
            f"there is no model '{model}' below {shown(data_root / 'registry')}{suggestion(model, names)}; known: {has}"
        )
    return registry


def _chosen(registry: Registry, number: int | None) -> Version:
    if number is not None:
        return registry.get(number)
    found = registry.blessed() or registry.last_candidate()
    if found is None:
        raise ConfigError(f"{registry.model} has no version; make one with faceloom retrain {registry.model}")
    return found


def _blessed_number(registry: Registry) -> int | None:
    try:
        blessed = registry.blessed()
    except ArtifactError:
        return None
    return blessed.number if blessed else None


def _row(version: Version, is_blessed: bool) -> tuple[str, ...]:
    name, facts = next(iter(version.scores.items()), ("", {}))
    value = facts.get("value")
    score = f"{name}={value:.4g}" if value is not None else "-"
    decision = version.decision
    gate = "-" if decision is None else "passed" if decision["promote"] else "not passed"
    images = f"{version.images_seen:,}"
    star = "*" if is_blessed else ""
    return star, version.name, version.run, images, score, gate, version.created.removesuffix("+00:00")


def _page(version: Version, is_blessed: bool, history: list[dict[str, Any]]) -> str:
    source, data = version.source, version.dataset
    counts = ", ".join(f"{split} {count:,}" for split, count in source.get("counts", {}).items())
    rows = [
        ("version", version.name + (", blessed" if is_blessed else "")),
        ("folder", shown(version.path)),
        ("run", f"{version.run}, {version.images_seen:,} images seen"),
        ("parent", "none" if version.parent is None else f"v{version.parent}"),
        ("source", f"{source.get('kind')} {source.get('location') or source.get('name')}: {counts}"),
        ("data set", f"{data['path']} ({data['digest'][:12]})"),
        ("gate", version.decision["summary"] if version.decision else "not asked"),
    ]
    rows += [("", f"{'passed' if one['passed'] else 'FAILED'}  {one['text']}") for one in _reasons(version)]
    rows += [("score", _score(name, facts)) for name, facts in version.scores.items()]
    rows += [("history", _event(line)) for line in history]
    return "\n".join(f"{label:<10}{text}" for label, text in rows)


def _reasons(version: Version) -> list[dict[str, Any]]:
    return list(version.decision.get("reasons", ())) if version.decision else []


def _score(name: str, facts: Any) -> str:
    value, error = facts.get("value"), facts.get("error")
    if value is None:
        return f"{name} none"
    return f"{name} {value:.4g}" + ("" if error is None else f" ± {error:.2g}")


def _event(line: dict[str, Any]) -> str:
    return f"{line['at'].removesuffix('+00:00')}  v{line['version']} {line['event']} by {line['who']}: {line['why']}"
