"""What the number of a score depends on: two scores compare only where all of it is the same.

A fingerprint stands for a protocol beside every score; `differences` says in words why two fingerprints differ.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from gan_core.artifacts import canonical_json, digest_of

FINGERPRINT_DIGITS = 12
DATA_FIELDS = ("dataset_digest", "split", "resolution", "channels", "crop", "filter", "storage")
_ABSENT = "not stated"
_HEX = frozenset("0123456789abcdef")


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """The protocol of one score.

    Attributes:
        dataset_digest: of the data set that the real pictures are from, 64 hex digits.
        split: of it, such as "train".
        resolution: side of the pictures, pixels.
        channels: 1 or 3.
        crop: how sources were cropped, as in `data.crop`.
        filter: how they were resized, as in `data.filter`.
        storage: how a record holds them, as in `data.storage`.
        mirrored: whether mirrored copies are among the real pictures.
        real_count: real pictures that were compared.
        generated_count: generated pictures that were compared.
        extractor: name of the network behind the features; empty for measures of pixels.
        extractor_digest: of its weights and all else that its features depend on, see `extractors.base.Facts`.
        resizing: how a picture gets its size; empty for measures of pixels.
        parameters: of the measure itself, with its version; JSON types. Their names must not be those above.
    """

    dataset_digest: str
    split: str
    resolution: int
    channels: int
    crop: Any
    filter: Any
    storage: Any
    mirrored: bool
    real_count: int
    generated_count: int
    extractor: str = ""
    extractor_digest: str = ""
    resizing: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        taken = sorted({spec.name for spec in fields(self)} & {*self.parameters})
        if taken:
            raise ValueError(
                f"a measure's parameters cannot be called {', '.join(taken)}: the protocol has these names"
            )

    def to_json(self) -> dict[str, Any]:
        """Return the flat mapping that is written beside the score."""
        flat = asdict(self)
        return {**{key: value for key, value in flat.items() if key != "parameters"}, **flat["parameters"]}

    @property
    def fingerprint(self) -> str:
        """Twelve hex digits that are equal where the protocols are."""
        return fingerprint(self.to_json())


def fingerprint(protocol: Mapping[str, Any]) -> str:
    """Return the first 12 hex digits of the SHA-256 of the protocol's canonical JSON.

    The order of keys plays no part, nor does whether a whole number is written 2 or 2.0, or a sequence as a tuple.

    Raises:
        ValueError: a number in it is not finite.
    """
    return digest_of(_canonical(protocol))[:FINGERPRINT_DIGITS]


def differences(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Return (field, its value in a, its value in b), as text, for every field that differs; a's order, then b's.

    It is empty exactly where the fingerprints are equal.
    """
    return [
        (name, _words(a, name, b), _words(b, name, a))
        for name in dict.fromkeys((*a, *b))
        if (name in a) != (name in b) or _text(a[name]) != _text(b[name])
    ]


def described(difference: tuple[str, str, str]) -> str:
    """Return `real_count: 2,048 against 10,000`."""
    name, a, b = difference
    return f"{name}: {a} against {b}"


def _canonical(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _canonical(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_canonical(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _text(value: Any) -> str:
    return canonical_json(_canonical(value))


def _words(protocol: Mapping[str, Any], name: str, other: Mapping[str, Any]) -> str:
    if name not in protocol:
        return _ABSENT
    value = _canonical(protocol[name])
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int) and name != "seed":
        return f"{value:,}"
    if isinstance(value, str):
        return _short(value, other.get(name)) or "none"
    return "none" if value is None else _text(value)


def _short(value: str, other: Any) -> str:
    """Return the beginning of a SHA-256, where it tells the two apart."""
    is_digest = len(value) == 64 and set(value) <= _HEX
    start = value[:FINGERPRINT_DIGITS]
    return start if is_digest and not str(other).startswith(start) else value
