"""One self-contained HTML page about one run: it opens from a disk or a mail, without any network."""

from __future__ import annotations

import base64
import contextlib
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import numpy.typing as npt
from markupsafe import Markup
from PIL import Image

from gan_core import artifacts, charts, grids, lineage
from gan_core.artifacts import Manifest, digest_of
from gan_core.charts import Log
from gan_core.config import SECTIONS, RunConfig, preset_names
from gan_core.errors import ArtifactError, ConfigError
from gan_core.handoff import DatasetManifest, Report, Shard
from gan_core.records import decode_example, read_records

REPORT_FORMAT = 1  # bump when the same run would give another page

# Base64 adds a third: together these stay below 4.8 MB of the page's 5 MB, whatever the run's resolution is.
_GRID_BYTES = 550_000  # twice
_STRIP_BYTES = 300_000
_PREVIEW_BYTES = 300_000
_FRAMES_BYTES = 1_200_000
_FILM_BYTES = 700_000
_MAX_FRAMES = 24
_STRIP_COLUMNS = 8
_REAL_PICTURES = 64
_MAX_SIDE_PIXELS = 1056

_REJECT_EXAMPLES = 3
_DOMINANT_ACCURACY = 0.98
_WORSENED = 1.1


@dataclass(frozen=True)
class Picture:
    """A picture as a data URI, with its size in pixels."""

    src: str
    width: int
    height: int


def write_report(run_dir: Path, dataset: DatasetManifest) -> Report:
    """Publish `run_dir/report/index.html`, or return at once when it stands there for the same inputs.

    What a run does not have yet is named on the page, with the command that makes it. Times of stages are
    shown as known at the writing; they are no input, or no page would outlive the next "already done".

    Args:
        run_dir: a run with at least config.json.
        dataset: what it was trained on; its shards are read for the real pictures.

    Raises:
        ArtifactError: config.json is missing or damaged.
    """
    run = lineage.read_run(run_dir)
    if run is None:
        raise ArtifactError(
            f"{run_dir / 'config.json'} is missing or damaged; train again to make {run_dir} a run"
        )
    parts = {kind: artifacts.find(run_dir / kind, kind) for kind in ("samples", "scores")}
    parts["checkpoint"] = _newest_checkpoint(run_dir)
    read = [run_dir / name for name in ("config.json", "metrics.jsonl", "snapshot_scores.jsonl")]
    inputs = {
        "format": REPORT_FORMAT,
        "dataset": dataset.digest,
        "files": {
            path.name: artifacts.sha256_file(path) for path in [*read, *_snapshots(run_dir)] if path.is_file()
        },
        "parts": {kind: part.digest for kind, part in parts.items() if part},
    }
    final, digest = run_dir / "report", digest_of(inputs)
    if artifacts.find(final, "report", digest) is None:
        page = _render(run_dir, run, dataset, parts)
        with artifacts.publishing(final) as draft:
            (draft / "index.html").write_text(page, encoding="utf-8")
            artifacts.write_manifest(draft, "report", digest, {"inputs": inputs})
    return Report(final / "index.html")


def findings(
    reached_kimg: float, total_kimg: float, metrics: Log, scores: Log, stages: Sequence[Mapping[str, Any]]
) -> list[str]:
    """Return what a reader should know before trusting the page, most serious first; may be empty."""
    ended = {lineage.FAILED: "failed", lineage.INTERRUPTED: "was interrupted"}
    found = [
        f"The stage “{row['name']}” {ended[row['outcome']]}." for row in stages if row["outcome"] in ended
    ]
    if 0 < reached_kimg < total_kimg:
        found.append(
            f"Training is at {reached_kimg:g} of {total_kimg:g} kimg: this page shows an unfinished run."
        )
    losses = [(line, [charts.number(line, key) for key in ("loss_g", "loss_d")]) for line in metrics.lines]
    broken = [charts.number(line, "kimg") for line, values in losses if any(map(math.isnan, values))]
    if broken:
        lines = "1 line" if len(broken) == 1 else f"{len(broken)} lines"
        found.append(f"A loss is not a finite number in {lines} of the log, first at {broken[0]:g} kimg.")
    late = metrics.lines[-max(1, len(metrics.lines) // 5) :]
    accuracies = [charts.number(line, key) for line in late for key in ("accuracy_real", "accuracy_fake")]
    if accuracies and (share := sum(accuracies) / len(accuracies)) >= _DOMINANT_ACCURACY:
        found.append(
            f"In the last fifth the discriminator was right {share:.0%} of the time: too strong to teach."
        )
    swd = [
        (value, line["kimg"]) for line in scores.lines if math.isfinite(value := charts.number(line, "swd"))
    ]
    if swd and swd[-1][0] > _WORSENED * min(swd)[0]:
        (best, when), (last, _) = min(swd), swd[-1]
        found.append(
            f"On the way the SWD was best at {when:g} kimg ({best:.3g}); it has risen to {last:.3g} since."
        )
    if damaged := metrics.damaged + scores.damaged:
        lines = "1 unreadable line" if damaged == 1 else f"{damaged} unreadable lines"
        found.append(f"Left out of the logs: {lines}.")
    return found


def stage_times(log: Log) -> list[dict[str, Any]]:
    """Return one row a stage, in order of appearance: name, started, runs, their seconds, last outcome."""
    rows: dict[str, dict[str, Any]] = {}
    for line in log.lines:
        name = str(line.get("stage", "?"))
        if name == "report":  # the page cannot tell how its own writing ends
            continue
        row = rows.setdefault(name, {"name": name, "seconds": 0.0, "runs": 0, "outcome": "", "started": ""})
        outcome = str(line.get("outcome", ""))
        if outcome == lineage.ALREADY_DONE and row["outcome"] == lineage.DONE:
            continue
        seconds = charts.number(line, "seconds")
        row["seconds"] += 0.0 if math.isnan(seconds) else seconds
        row["runs"] += 1
        row.update(outcome=outcome, started=str(line.get("started", "")))
    return list(rows.values())


def real_pictures(dataset: DatasetManifest, split: str, count: int) -> Image.Image:
    """Return a grid, 8 a row, of up to `count` pictures spread evenly over the first shards of `split`.

    As many shards are read as hold `count` records; mirrored copies are passed over.

    Raises:
        ArtifactError: the split is empty, or a shard is missing or damaged.
    """
    shards: list[Shard] = []
    for shard in dataset.splits.get(split, ()):
        shards.append(shard)
        if sum(shard.count for shard in shards) >= count:
            break
    total = sum(shard.count for shard in shards)
    images: list[npt.NDArray[np.uint8]] = []
    try:
        records = (data for shard in shards for _, data in read_records(dataset.path / shard.name))
        for position, data in enumerate(records):
            if position >= len(images) * total // min(count, total):
                features = decode_example(data)
                if features.get("mirrored") != [1]:
                    images.append(_pixels(features))
    except OSError as error:
        raise ArtifactError(f"{error.filename} cannot be read: {error.strerror}") from None
    if not images:
        raise ArtifactError(f"{dataset.path} has no pictures in the split '{split}'")
    return grids.grid(np.stack(images), 8)


def _pixels(features: Mapping[str, Any]) -> npt.NDArray[np.uint8]:
    try:
        return np.frombuffer(features["image"], np.uint8).reshape(features["shape"])
    except (KeyError, TypeError, ValueError) as error:
        raise ArtifactError(f"a record has no picture in `image` and `shape`: {error}") from None


def _render(
    run_dir: Path, run: Mapping[str, Any], dataset: DatasetManifest, parts: Mapping[str, Manifest | None]
) -> str:
    saved = run.get("config", {})
    names = ("metrics", "snapshot_scores", "stages")
    metrics, scores, stages = (charts.read_log(run_dir / f"{name}.jsonl") for name in names)
    protocol = parts["scores"].fields.get("protocol", {}) if parts["scores"] else {}
    times = stage_times(stages)
    shown = [1000 * line["kimg"] for line in metrics.lines[-1:]]
    shown += [parts["checkpoint"].fields["images_seen"]] if parts["checkpoint"] else []
    reached, total = max(shown, default=0) / 1000, charts.number(saved.get("train", {}), "total_kimg")
    try:
        pictures = real_pictures(dataset, str(protocol.get("split", "train")), _REAL_PICTURES)
        real, real_problem = _picture(pictures, _GRID_BYTES, lossless=True), ""
    except ArtifactError as error:
        real, real_problem = None, str(error)
    return (
        _environment()
        .get_template("report.html")
        .render(
            run=run,
            preset=saved.get("preset", run_dir.name),
            sections=_sections(saved),
            commands=_commands(run_dir, saved),
            known_presets=preset_names(),
            dataset=dataset,
            preview=_picture_file(dataset.path / "preview.png", _PREVIEW_BYTES),
            rejects=_reject_examples(dataset),
            reached=reached,
            total=total,
            training_charts=charts.training_charts(metrics),
            score_charts=charts.score_charts(scores),
            stages=times,
            parts=parts,
            generated=_picture_file(run_dir / "samples" / "grid.png", _GRID_BYTES, lossless=True)
            if parts["samples"]
            else None,
            real=real,
            real_problem=real_problem,
            frames=_frames(_snapshots(run_dir)),
            strip=_strip(_snapshots(run_dir), dataset.resolution),
            film=_film(run_dir) if parts["samples"] else "",
            scores=parts["scores"].fields.get("values", {}) if parts["scores"] else {},
            protocol=protocol,
            findings=findings(reached, total, metrics, scores, times),
        )
    )


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("gan_core"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "show": show,
        "plain": _plain,
        "score": _score,
        "duration": duration,
        "when": when,
        "svg": Markup,
    }
    return environment


def show(value: Any) -> str:
    """Return a value as a reader wants it: 2048 -> 2,048, lists with commas, a digest's first twelve."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float) and not math.isfinite(value):
        return "not finite"
    if isinstance(value, int) or (isinstance(value, float) and abs(value) >= 1000):
        return f"{value:,.0f}"
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {show(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(show, value))
    text = "none" if value is None or value == "" else str(value)
    return text[:12] if len(text) == 64 and set(text) <= set("0123456789abcdef") else text


def _plain(value: Any) -> str:
    """Return a value of the config as `--set` takes it."""
    return str(value).lower() if isinstance(value, bool) else str(value) or "(empty)"


def _score(value: Any) -> str:
    """Return a measured number with three digits, also where they are zeros."""
    return (
        f"{value:#.3g}".removesuffix(".")
        if isinstance(value, float) and 0.001 < abs(value) < 1000
        else show(value)
    )


def duration(seconds: float) -> str:
    """Return 8.1 -> "8.1 s", 750 -> "12 min 30 s", 11100 -> "3 h 05 min"."""
    if round(seconds, 1) < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes_left = divmod(minutes, 60)
    return f"{hours} h {minutes_left:02d} min" if hours else f"{minutes} min {rest:02d} s"


def when(stamp: str) -> str:
    """Return an ISO 8601 time as "22 November 2026, 02:10 UTC"; other texts as they are."""
    try:
        time = datetime.fromisoformat(stamp).astimezone(UTC)
    except ValueError:
        return stamp
    return f"{time.day} {time:%B %Y, %H:%M} UTC"


def _commands(run_dir: Path, saved: Mapping[str, Any]) -> dict[str, str]:
    """Return verb -> the command for this run; empty where another version of faceloom wrote the config."""
    try:
        config = RunConfig.from_json(saved)
    except ConfigError:
        return {}
    data_root = run_dir.parent.parent if run_dir.parent.name == "runs" else None
    return {verb: lineage.command(verb, config, data_root) for verb in ("run", "train", "sample", "evaluate")}


def _newest_checkpoint(run_dir: Path) -> Manifest | None:
    for folder in sorted((run_dir / "checkpoints").glob("[0-9]*"), reverse=True):
        try:
            return artifacts.read_manifest(folder, "checkpoint")
        except ArtifactError:
            continue
    return None


def _snapshots(run_dir: Path) -> list[Path]:
    return sorted(path for path in (run_dir / "snapshots").glob("*.png") if path.stem.isdecimal())


def _sections(saved: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Return section -> rows of key, value, default and help; unknown keys have no default."""
    sections: dict[str, list[dict[str, Any]]] = {}
    for name, values in saved.items():
        if isinstance(values, Mapping):
            known = {field.name: field for field in fields(SECTIONS[name])} if name in SECTIONS else {}
            sections[name] = [
                {
                    "key": key,
                    "value": value,
                    "default": known[key].default if key in known else None,
                    "help": known[key].metadata["help"] if key in known else "",
                    "changed": key not in known or value != known[key].default,
                }
                for key, value in values.items()
            ]
    return sections


def _reject_examples(dataset: DatasetManifest) -> dict[str, list[Mapping[str, Any]]]:
    """Return reason -> its first few reject lines, in the order of the manifest's counts."""
    lines = charts.read_log(dataset.path / "rejects.jsonl").lines
    reasons = sorted(dataset.rejects, key=lambda reason: (-dataset.rejects[reason], reason))
    return {
        reason: [line for line in lines if line.get("reason") == reason][:_REJECT_EXAMPLES]
        for reason in reasons
    }


def _frames(snapshots: Sequence[Path]) -> list[tuple[float, Picture]]:
    """Return (kimg, picture) of at most `_MAX_FRAMES` snapshots; undecodable ones are left out."""
    chosen = _spread(snapshots, _MAX_FRAMES)
    pictures = [(int(path.stem) / 1000, _picture_file(path, _FRAMES_BYTES // len(chosen))) for path in chosen]
    return [(kimg, picture) for kimg, picture in pictures if picture]


def _strip(snapshots: Sequence[Path], resolution: int) -> tuple[list[float], Picture] | None:
    """Return (kimg of each column, picture): the first latent vectors, one a row, at up to eight moments."""
    columns, moments = [], []
    for path in _spread(snapshots, _STRIP_COLUMNS):
        with contextlib.suppress(OSError, SyntaxError), Image.open(path) as image:
            columns.append(image.convert("RGB").crop((0, 0, resolution, image.height)))
            moments.append(int(path.stem) / 1000)
    if len({column.size for column in columns}) != 1:
        return None
    return moments, _picture(
        grids.grid(np.stack([np.asarray(column) for column in columns]), _STRIP_COLUMNS), _STRIP_BYTES
    )


def _spread(paths: Sequence[Path], limit: int) -> list[Path]:
    """Return at most `limit` of the paths, evenly spread, always with the first and the last."""
    count = min(limit, len(paths))
    return [paths[index * (len(paths) - 1) // max(1, count - 1)] for index in range(count)]


def _film(run_dir: Path) -> str:
    path = run_dir / "samples" / "training.gif"
    if not path.is_file() or path.stat().st_size > _FILM_BYTES:
        return ""
    return _data_uri("gif", path.read_bytes())


def _picture_file(path: Path, limit_bytes: int, *, lossless: bool = False) -> Picture | None:
    """Return the picture at `path` for the page; None where there is none or it cannot be decoded."""
    try:
        with Image.open(path) as image:
            return _picture(image.convert("RGB"), limit_bytes, lossless=lossless)
    except (OSError, SyntaxError):  # Pillow raises SyntaxError for a broken PNG chunk.
        return None


def _picture(image: Image.Image, limit_bytes: int, *, lossless: bool = False) -> Picture:
    """Return the picture as WebP, as good and as large as fits into `limit_bytes`, at best `lossless`."""
    tries: list[dict[str, Any]] = [{"lossless": True}] * lossless + [{"quality": 90}, {"quality": 75}]
    image = image.convert("RGB")
    image.thumbnail((_MAX_SIDE_PIXELS, _MAX_SIDE_PIXELS), Image.Resampling.LANCZOS)
    while True:
        for options in tries:
            stream = io.BytesIO()
            image.save(stream, "WEBP", **options)
            if stream.tell() <= limit_bytes:
                return Picture(_data_uri("webp", stream.getvalue()), image.width, image.height)
        image = image.reduce(2)


def _data_uri(format: str, data: bytes) -> str:
    return f"data:image/{format};base64,{base64.b64encode(data).decode()}"
