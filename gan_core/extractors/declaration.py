"""What a network in a file wants to be given: a TOML file beside it, `face.onnx.toml` for `face.onnx`.

A file of weights does not say whether it wants 0 to 255 or -1 to 1, red or blue first; a wrong guess gives numbers that
look right.
"""

from __future__ import annotations

import tomllib
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gan_core.artifacts import digest_of
from gan_core.errors import ConfigError
from gan_core.extractors.base import Images
from gan_core.extractors.resizing import RESIZINGS, resize
from gan_core.options import suggestion

EXAMPLE = """\
title = "A network that tells faces apart"
side = 112                      # pixels of the square picture that it sees
channels = "rgb"                # or "bgr", "grey"
layout = "nchw"                 # or "nhwc"
range = [-1.0, 1.0]             # what 0 and 255 become; or mean = [127.5] and std = [128.0], of [0, 255]
resizing = "clean"              # or "legacy", "tensorflow"
features = "embedding"          # name of the output; [N, D], or [N, D, H, W] to be averaged
logits = ""                     # name of the output, where there is one
licence = "MIT"
note = "trained on photographs of faces"
"""
_CHANNELS, _LAYOUTS = ("rgb", "bgr", "grey"), ("nchw", "nhwc")
_MAX_SIDE, _MAX_BYTES = 1024, 1 << 16
_TEXTS = ("title", "channels", "layout", "resizing", "features", "logits", "licence", "note")

Pixels = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Declaration:
    """The declared preprocessing and outputs; see EXAMPLE."""

    title: str
    side: int
    channels: str
    layout: str
    features: str
    resizing: str = "clean"
    range: tuple[float, ...] = ()
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    logits: str = ""
    licence: str = ""
    note: str = ""
    path: Path = field(default=Path(), compare=False)

    @property
    def depth(self) -> int:
        """Channels of the picture that the network sees."""
        return 1 if self.channels == "grey" else 3

    @property
    def outputs(self) -> list[str]:
        """Names of the outputs, features first."""
        return [self.features, *([self.logits] if self.logits else [])]

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one picture as the network sees it."""
        size = (self.side, self.side)
        return (self.depth, *size) if self.layout == "nchw" else (*size, self.depth)

    def digest(self, weights: str) -> str:
        """Return the SHA-256 of a file's digest and of what is done with pictures before and after it."""
        facts = asdict(self)
        return digest_of([weights, {name: facts[name] for name in facts.keys() - {"title", "licence", "note", "path"}}])

    def pixels(self, images: Images) -> Pixels:
        """Return what the network is given for uint8 [N, S, S, C], C = 1 or 3: float32 [N, *shape]."""
        found = resize(images, self.resizing, self.side)
        if self.channels == "grey" and found.shape[3] == 3:
            found = found @ np.array([[0.299], [0.587], [0.114]], np.float32)  # ITU-R BT.601
        elif found.shape[3] < self.depth:
            found = np.repeat(found, self.depth, axis=3)
        elif self.channels == "bgr":
            found = found[..., ::-1]
        if self.range:
            low, high = self.range
            scale, offset = np.array([(high - low) / 255]), np.array([low])
        else:
            scale = 1 / np.array(self.std)
            offset = -np.array(self.mean) * scale
        found = found * scale.astype(np.float32) + offset.astype(np.float32)
        return np.ascontiguousarray(np.moveaxis(found, 3, 1) if self.layout == "nchw" else found, np.float32)


def read(network: Path) -> Declaration:
    """Return the declaration beside a network's file. Raises ConfigError where it is missing or wrong."""
    path = network.with_name(f"{network.name}.toml")
    if not path.is_file():
        raise ConfigError(f"{network} needs a declaration of what it wants to be given, {path}, such as:\n{EXAMPLE}")
    if path.stat().st_size > _MAX_BYTES:
        raise ConfigError(f"{path} must have at most {_MAX_BYTES:,} bytes, it has {path.stat().st_size:,}")
    try:
        given = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {error}; an example:\n{EXAMPLE}") from None
    return _checked(given, path)


def _checked(given: dict[str, Any], path: Path) -> Declaration:
    def wrong(what: str) -> ConfigError:
        return ConfigError(f"{path}: {what}; an example:\n{EXAMPLE}")

    known = [spec.name for spec in fields(Declaration) if spec.name != "path"]
    for name in given:
        if name not in known:
            raise wrong(f"there is no '{name}'{suggestion(name, known)}")
    for name in ("title", "side", "channels", "layout", "features"):
        if not given.get(name):
            raise wrong(f"{name} is missing")
    for name in _TEXTS:
        if not isinstance(given.get(name, ""), str):
            raise wrong(f"{name} must be a text, got {given[name]!r}")
    for name, choices in (("channels", _CHANNELS), ("layout", _LAYOUTS), ("resizing", tuple(RESIZINGS))):
        if given.get(name, choices[0]) not in choices:
            raise wrong(f"{name} must be one of {', '.join(choices)}, got '{given[name]}'")
    side = given["side"]
    if type(side) is not int or not 1 <= side <= _MAX_SIDE:
        raise wrong(f"side must be a whole number in [1, {_MAX_SIDE}], got {side!r}")
    if ("range" in given) == ("mean" in given) or ("mean" in given) != ("std" in given):
        raise wrong("give either range or both mean and std")
    depth = 1 if given["channels"] == "grey" else 3
    for name, lengths in (("range", (2,)), ("mean", (1, depth)), ("std", (1, depth))):
        values = given.get(name, [1.0] * lengths[0])
        numbers = isinstance(values, list) and all(type(value) in (int, float) for value in values)
        if not numbers or len(values) not in lengths or not np.isfinite(values).all():
            raise wrong(f"{name} must be a list of {' or '.join(map(str, lengths))} finite numbers, got {values!r}")
    if any(value <= 0 for value in given.get("std", [])):
        raise wrong(f"std must be above 0, got {given['std']!r}")
    if "range" in given and given["range"][0] == given["range"][1]:
        raise wrong(f"range must have two different numbers, got {given['range']!r}")
    lists: dict[str, tuple[float, ...]] = {
        name: tuple(float(value) for value in given[name]) for name in ("range", "mean", "std") if name in given
    }
    return Declaration(**{**given, **lists, "path": path})
