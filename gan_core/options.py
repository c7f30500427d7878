"""Typed, bounded, documented fields for the frozen configuration, and the messages for values that do not fit."""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Iterable
from dataclasses import Field, field, fields
from typing import Any

from gan_core.errors import ConfigError


def option(
    default: Any,
    help: str,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[Any, ...] | None = None,
    content: bool = True,
    later: bool = False,
) -> Any:
    """Declare one field of a config section.

    Args:
        default: the value when neither preset nor command line says otherwise; its type is the field's type,
            and a tuple is a list of texts.
        help: one line for `faceloom presets --options` and the docs, with the unit.
        low: smallest allowed value, inclusive.
        high: largest allowed value, inclusive.
        choices: the allowed values, where they are few; those of each item of a list.
        content: whether the value determines what is produced, and so belongs into the digest.
        later: whether there are runs from before the option; they keep their digests and folders, because at its
            default it is left out of the digest.
    """
    metadata = {"help": help, "low": low, "high": high, "choices": choices, "content": content, "later": later}
    return field(default=default, metadata=metadata)


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return `" (did you mean 'x'?)"` for a near miss, else an empty string."""
    near = difflib.get_close_matches(name, list(known), n=1)
    return f" (did you mean '{near[0]}'?)" if near else ""


def check(section: str, config: Any) -> None:
    """Raise ConfigError unless every field of the dataclass instance `config` has its type and range."""
    for spec in fields(config):
        value = getattr(config, spec.name)
        name = f"{section}.{spec.name}"
        wanted: type[Any] = type(spec.default)
        if wanted is float and type(value) is int:
            value = float(value)
            object.__setattr__(config, spec.name, value)
        if wanted is tuple and type(value) is list and all(isinstance(item, str) for item in value):
            value = tuple(value)  # TOML and JSON have lists
            object.__setattr__(config, spec.name, value)
        if type(value) is not wanted or (wanted is tuple and not all(isinstance(item, str) for item in value)):
            raise ConfigError(f"{name} must be {_kind(spec)}, got {value!r}")
        choices, low, high = (spec.metadata[key] for key in ("choices", "low", "high"))
        for item in value if wanted is tuple else (value,):
            if choices is not None and item not in choices:
                hint = suggestion(item, choices) if isinstance(item, str) else ""
                raise ConfigError(f"{name} must be {allowed(spec)}, got {item!r}{hint}")
        if wanted is float and not math.isfinite(value):
            raise ConfigError(f"{name} must be a finite number, got {value!r}")
        if (low is not None and value < low) or (high is not None and value > high):
            raise ConfigError(f"{name} must be {allowed(spec)}, got {value!r}")


def allowed(spec: Field[Any]) -> str:
    """Describe the values that a field takes, for messages and documentation."""
    choices, low, high = (spec.metadata[key] for key in ("choices", "low", "high"))
    if choices is not None:
        some = "some of " if isinstance(spec.default, tuple) else "one of "
        return some + ", ".join(str(choice) or "''" for choice in choices)
    if low is not None and high is not None:
        return f"in [{_number(low)}, {_number(high)}]"
    if low is not None:
        return f">= {_number(low)}"
    return f"for example {spec.default!r}"


def _kind(spec: Field[Any]) -> str:
    kind = _KIND[type(spec.default)]
    if spec.metadata["choices"] is not None:
        return f"{kind}, {allowed(spec)}"
    return kind if spec.metadata["low"] is None else f"{kind} {allowed(spec)}"


def _number(bound: float) -> str:
    return str(bound) if isinstance(bound, int) else f"{bound:g}"


def parse(section: str, spec: Field[Any], text: str) -> Any:
    """Read `text` from the command line as the type of the field `spec`. Raises ConfigError when it is not one."""
    wanted: type[Any] = type(spec.default)
    name = f"{section}.{spec.name}"
    if wanted is str:
        return text
    if wanted is tuple:
        return _parse_list(name, text)
    if wanted is bool:
        lowered = text.lower()
        if lowered in {"true", "yes", "on", "1"}:
            return True
        if lowered in {"false", "no", "off", "0"}:
            return False
        raise ConfigError(f"{name} must be true or false, got '{text}'")
    try:
        return wanted(text.replace("_", ""))
    except ValueError:
        raise ConfigError(f"{name} must be {_kind(spec)}, got '{text}'") from None


def _parse_list(name: str, text: str) -> tuple[str, ...]:
    """Read `["a", "b"]` or `a,b`; an empty text is an empty list."""
    if not text.startswith("["):
        return tuple(item.strip() for item in text.split(",") if item.strip())
    try:
        items = json.loads(text)
    except ValueError:
        items = None
    if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
        raise ConfigError(f'{name} must be a list of texts such as ["a", "b"] or a,b; got \'{text}\'')
    return tuple(items)


_KIND: dict[type, str] = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "a text",
    tuple: "a list of texts",
}
