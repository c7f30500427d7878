"""What a run is: five sections (sections.py), read from a preset and the command line."""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from importlib import resources
from pathlib import Path
from typing import Any

from gan_core import options
from gan_core.errors import ConfigError
from gan_core.options import suggestion
from gan_core.sections import (
    CROPS,
    DUPLICATES,
    NORMALIZE,
    RESOLUTIONS,
    DataConfig,
    EvalConfig,
    ModelConfig,
    RetrainConfig,
    TrainConfig,
)

__all__ = [
    "CROPS",
    "DUPLICATES",
    "NORMALIZE",
    "RESOLUTIONS",
    "SECTIONS",
    "DataConfig",
    "EvalConfig",
    "ModelConfig",
    "RetrainConfig",
    "RunConfig",
    "TrainConfig",
    "content",
    "load_config",
    "preset_header",
    "preset_names",
]

SECTIONS: dict[str, type[Any]] = {
    "data": DataConfig,
    "model": ModelConfig,
    "train": TrainConfig,
    "eval": EvalConfig,
    "retrain": RetrainConfig,
}


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """Everything that one run of the whole flow is told. `preset` is the name it started from."""

    preset: str
    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    eval: EvalConfig = field(default_factory=EvalConfig)
    retrain: RetrainConfig = field(default_factory=RetrainConfig)

    def __post_init__(self) -> None:
        if self.model.max_channels < self.model.base_channels:
            raise ConfigError(
                f"model.max_channels must be >= model.base_channels ({self.model.base_channels}), "
                f"got {self.model.max_channels}"
            )
        needs_scores = {
            "train.patience_kimg": self.train.patience_kimg > 0,
            "eval.checkpoint=best": self.eval.checkpoint == "best",
        }
        for name, is_asked in needs_scores.items():
            if is_asked and not self.eval.snapshot_score_count:
                raise ConfigError(
                    f"{name} needs scores on the way, and eval.snapshot_score_count is 0; set it to 512, for example"
                )

    def to_json(self) -> dict[str, Any]:
        """Return plain dicts, lists and numbers; `from_json` is the inverse."""
        saved = dataclasses.asdict(self)
        return {name: _with_lists(value) if isinstance(value, dict) else value for name, value in saved.items()}

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> RunConfig:
        """Rebuild a config from `to_json`. Raises ConfigError for unknown keys and bad values."""
        name = str(saved.get("preset", "custom"))
        return _build(name, _tables(name, {key: value for key, value in saved.items() if key != "preset"}))


def content(section: Any) -> dict[str, Any]:
    """Return the fields of a config section that determine what is produced (see `options.option`), as JSON types."""
    values = {f.name: getattr(section, f.name) for f in fields(section) if f.metadata["content"]}
    before = {f.name: f.default for f in fields(section) if f.metadata["later"]}
    return _with_lists({name: value for name, value in values.items() if name not in before or value != before[name]})


def _with_lists(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values with lists for tuples, as JSON has them."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def preset_names() -> list[str]:
    """Return the names of the presets that come with faceloom, sorted."""
    folder = resources.files("gan_core") / "presets"
    return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))


def preset_header(name: str) -> list[str]:
    """Return the comment lines at the top of a preset: what it is for, the command, the cost, the scores."""
    lines = []
    for line in _preset_text(name).splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.removeprefix("#").strip())
    return lines


def load_config(preset: str, overrides: Iterable[str] = (), *, source: Path | None = None) -> RunConfig:
    """Build the config of a run.

    Args:
        preset: a name from `preset_names()`, or the path of a TOML file of the same form.
        overrides: `section.key=value` texts, the later ones win.
        source: the pictures, sets `data.path`; where the preset says `synthetic`, the kind becomes `auto`.

    Raises:
        ConfigError: unknown preset, section or key, wrong type, or a value out of range.
    """
    name, text = _find_preset(preset)
    try:
        tables = _tables(name, tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"preset '{preset}' is not valid TOML: {error}") from None
    if source is not None:
        tables.setdefault("data", {})["path"] = str(source)
        if tables["data"].get("kind") == "synthetic":
            tables["data"]["kind"] = "auto"
    for override in overrides:
        section, key, value = _parse_override(override)
        tables.setdefault(section, {})[key] = value
    return _build(name, tables)


def _find_preset(preset: str) -> tuple[str, str]:
    if preset.endswith(".toml"):
        path = Path(preset)
        if not path.is_file():
            raise ConfigError(
                f"preset file '{preset}' does not exist; name one of {', '.join(preset_names())} or a file"
            )
        try:
            return path.stem, path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"preset file '{preset}' cannot be read: {error}") from None
    if preset not in preset_names():
        known = preset_names()
        raise ConfigError(f"unknown preset '{preset}'{suggestion(preset, known)}; known: {', '.join(known)}")
    return preset, _preset_text(preset)


def _preset_text(name: str) -> str:
    return (resources.files("gan_core") / "presets" / f"{name}.toml").read_text(encoding="utf-8")


def _parse_override(override: str) -> tuple[str, str, Any]:
    name, equals, text = override.partition("=")
    section, dot, key = name.strip().partition(".")
    if not (equals and dot and key):
        raise ConfigError(f"--set takes section.key=value, for example train.total_kimg=20; got '{override}'")
    spec = {f.name: f for f in fields(_section(section))}.get(key)
    if spec is None:
        raise ConfigError(_unknown_key(section, key))
    return section, key, options.parse(section, spec, text.strip())


def _section(name: str) -> type[Any]:
    if name not in SECTIONS:
        known = ", ".join(SECTIONS)
        raise ConfigError(f"unknown section '{name}'{suggestion(name, SECTIONS)}; known: {known}")
    return SECTIONS[name]


def _unknown_key(section: str, key: str) -> str:
    known = [f.name for f in fields(SECTIONS[section])]
    return f"unknown key '{section}.{key}'{suggestion(key, known)}; known in {section}: {', '.join(known)}"


def _tables(name: str, document: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    for section, values in document.items():
        _section(section)
        if not isinstance(values, Mapping):
            raise ConfigError(f"preset '{name}': '{section}' must be a table like [{section}], got {values!r}")
    return {section: dict(values) for section, values in document.items()}


def _build(name: str, tables: Mapping[str, Mapping[str, Any]]) -> RunConfig:
    sections = {}
    for section, values in tables.items():
        known = {f.name for f in fields(SECTIONS[section])}
        for key in values:
            if key not in known:
                raise ConfigError(_unknown_key(section, key))
        sections[section] = SECTIONS[section](**values)
    return RunConfig(preset=name, **sections)
