"""What a run is: four frozen sections, read from a preset and the command line, checked at construction.

The defaults are the classic DCGAN on 64x64 faces (Radford et al. 2016, arXiv:1511.06434).
"""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from importlib import resources
from pathlib import Path
from typing import Any

from gan_core import options
from gan_core.errors import ConfigError
from gan_core.options import option, suggestion

RESOLUTIONS = (28, 32, 64, 128, 256)
CROPS = (
    "celeba-108",
    "celeba-128",
    "celeba-140",
    "celeba-148",
    "celeba-160",
    "celeba-178",
    "landmarks",
    "center",
    "none",
)
NORMALIZE = ("[-1,1]", "[0,1]", "mean-deviation")
DUPLICATES = ("keep", "exact", "near")


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Which pictures, and how they become square tensors."""

    kind: str = option(
        "auto",
        "layout of the source; auto looks at it",
        choices=("auto", "synthetic", "celeba", "ffhq", "cifar10", "mnist", "fashion-mnist", "folder"),
        content=False,
    )
    path: str = option(
        "", "folder or archive of the pictures; empty for synthetic, and to download MNIST or CIFAR-10", content=False
    )
    mirrors: tuple[str, ...] = option(
        (), "addresses to download from instead of the usual ones, the first that answers", content=False
    )
    limit: int = option(0, "use only this many pictures, chosen by the hash of their names; 0 is all", low=0)
    folder_labels: bool = option(False, "take the first-level folders of a folder source as class labels")
    licences: tuple[str, ...] = option((), "use only pictures under these licences (FFHQ); empty is all")
    resolution: int = option(64, "side of the square result, pixels", choices=RESOLUTIONS)
    channels: int = option(3, "3 for RGB, 1 for luminance", choices=(1, 3))
    background: str = option("white", "what shows through transparent pixels", choices=("white", "black", "gray"))
    min_side: int = option(16, "pictures with a shorter side are rejected, pixels", low=1, high=100_000)
    max_megapixels: float = option(
        120.0, "larger pictures are rejected undecoded, million pixels", low=0.001, high=1000
    )
    min_aspect: float = option(0.0, "pictures with a smaller width / height are rejected; 0 is off", low=0.0, high=1e4)
    max_aspect: float = option(0.0, "pictures with a larger width / height are rejected; 0 is off", low=0.0, high=1e4)
    crop: str = option("celeba-148", "named crop, see docs/data.md", choices=CROPS)
    filter: str = option("lanczos", "resize filter, antialiased", choices=("lanczos", "bicubic", "area", "bilinear"))
    gray_world: bool = option(False, "scale the channels of each picture to one mean (colour constancy)")
    min_sharpness: float = option(
        0.0,
        "less sharp results are rejected: variance of the Laplacian, grey levels squared; 0 is off",
        low=0,
        high=1e6,
    )
    duplicates: str = option(
        "keep", "whether pictures with equal pixels, or that nearly look alike, are rejected", choices=DUPLICATES
    )
    near_bits: int = option(2, "pictures whose 64-bit hashes differ in at most so many bits are near", low=0, high=16)
    flip: str = option(
        "train", "mirrored copies: at load, stored in the shards, or never", choices=("train", "store", "none")
    )
    normalize: str = option("[-1,1]", "range that training sees; recorded, applied at load", choices=NORMALIZE)
    storage: str = option("uint8", "how a record holds its pixels", choices=("uint8", "float32", "png", "jpeg"))
    jpeg_quality: int = option(95, "of data.storage=jpeg", low=1, high=100)
    shard_mib: float = option(64.0, "size of a shard, at most, MiB", low=0.001, high=65_536)
    max_reject_fraction: float = option(
        0.1, "larger shares of rejects refuse the data set", low=0.0, high=1.0, content=False
    )
    synthetic_count: int = option(
        3000, "portraits that the synthetic source draws", low=16, high=1_000_000, content=False
    )
    synthetic_seed: int = option(1, "seed of the synthetic source", low=0, high=2**31 - 1, content=False)

    def __post_init__(self) -> None:
        options.check("data", self)
        if self.kind == "synthetic" and self.path:
            raise ConfigError(
                f"data.path must be empty for data.kind=synthetic, got '{self.path}'; "
                "leave --source out, or set data.kind"
            )
        if self.max_aspect and self.max_aspect < self.min_aspect:
            raise ConfigError(
                f"data.max_aspect must be >= data.min_aspect ({self.min_aspect:g}) or 0, got {self.max_aspect:g}"
            )


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The two networks."""

    name: str = option("dcgan", "architecture", choices=("dcgan",))
    base_channels: int = option(
        64, "channels of the widest-resolution layer; each halving doubles them", low=4, high=512
    )
    max_channels: int = option(512, "no layer is wider than this", low=4, high=4096)
    latent_size: int = option(100, "length of the latent vector, N(0, 1)", low=1, high=4096)
    dropout: float = option(0.2, "share of the discriminator's activations dropped in each layer", low=0.0, high=0.9)

    def __post_init__(self) -> None:
        options.check("model", self)


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """How the networks are trained. Progress is counted in thousands of real images shown (kimg)."""

    total_kimg: float = option(2500.0, "length of the training, thousand images shown", low=0.001, high=1e6)
    batch_size: int = option(128, "images a step", low=2, high=65_536)
    loss: str = option("bce", "adversarial loss", choices=("bce",))
    label_smoothing: float = option(0.1, "real labels are 1 minus this (one-sided)", low=0.0, high=0.5)
    learning_rate_g: float = option(2e-4, "Adam's step size, generator", low=0.0, high=1.0)
    learning_rate_d: float = option(2e-4, "Adam's step size, discriminator", low=0.0, high=1.0)
    beta1: float = option(0.5, "Adam's first-moment decay", low=0.0, high=0.9999)
    beta2: float = option(0.999, "Adam's second-moment decay", low=0.0, high=0.999999)
    ema_halflife_kimg: float = option(
        1.0, "half-life of the averaged generator, thousand images; 0 is off", low=0.0, high=1e5
    )
    seed: int = option(0, "seed of weights, order, flips, latents and dropout", low=0, high=2**31 - 1)
    precision: str = option(
        "float32", "compute type of the layers", choices=("float32", "mixed_bfloat16", "mixed_float16")
    )
    xla: bool = option(False, "compile the step with XLA")
    deterministic: bool = option(True, "choose only reproducible kernels (slower on a GPU)")
    steps_per_execution: int = option(1, "steps in one device call", low=1, high=10_000, content=False)
    placement: str = option(
        "auto",
        "where the pictures live: all in memory, or read from the shards",
        choices=("auto", "memory", "stream"),
        content=False,
    )
    log_every_kimg: float = option(1.0, "a line in metrics.jsonl, thousand images", low=0.001, high=1e5)
    snapshot_every_kimg: float = option(50.0, "a fixed-latent grid and a score, thousand images", low=0.001, high=1e5)
    checkpoint_every_kimg: float = option(50.0, "a checkpoint, thousand images", low=0.001, high=1e5, content=False)
    keep_checkpoints: int = option(2, "newest checkpoints kept", low=1, high=1000, content=False)

    def __post_init__(self) -> None:
        options.check("train", self)
        if self.total_kimg * 1000 < self.batch_size:
            raise ConfigError(
                f"train.total_kimg must be at least one batch ({self.batch_size / 1000:g} kimg), "
                f"got {self.total_kimg:g}"
            )

    @property
    def total_steps(self) -> int:
        """Steps until `total_kimg` images were shown, rounded up."""
        return -(-round(self.total_kimg * 1000) // self.batch_size)


@dataclass(frozen=True, kw_only=True)
class EvalConfig:
    """What is sampled from the trained generator, and how it is measured."""

    sample_count: int = option(64, "pictures that `sample` writes", low=1, high=10_000_000)
    sample_format: str = option("png", "PNG files or one .npz", choices=("png", "npz"))
    seed: int = option(0, "first seed of the samples; picture i has seed + i", low=0, high=2**31 - 1)
    score_count: int = option(2048, "generated and real pictures compared by a score", low=16, high=1_000_000)
    snapshot_score_count: int = option(512, "the same for the scores on the way; 0 is off", low=0, high=1_000_000)

    def __post_init__(self) -> None:
        options.check("eval", self)


SECTIONS: dict[str, type[Any]] = {"data": DataConfig, "model": ModelConfig, "train": TrainConfig, "eval": EvalConfig}


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """Everything that one run of the whole flow is told. `preset` is the name it started from."""

    preset: str
    data: DataConfig = DataConfig()
    model: ModelConfig = ModelConfig()
    train: TrainConfig = TrainConfig()
    eval: EvalConfig = EvalConfig()

    def __post_init__(self) -> None:
        if self.model.max_channels < self.model.base_channels:
            raise ConfigError(
                f"model.max_channels must be >= model.base_channels ({self.model.base_channels}), "
                f"got {self.model.max_channels}"
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
    return _with_lists({f.name: getattr(section, f.name) for f in fields(section) if f.metadata["content"]})


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
