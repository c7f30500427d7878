"""`faceloom presets`: what there is, and every option of one."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from gan_core.config import SECTIONS, RunConfig, load_config, preset_header, preset_names
from gan_core.errors import ConfigError
from gan_core.options import allowed

_FACTS = ("command", "cost", "scores", "measured")


def describe(name: str) -> dict[str, str]:
    """Return a preset's name, what it is, and the facts of its header; absent facts are empty."""
    about, facts = [], dict.fromkeys(_FACTS, "")
    last = ""
    for line in preset_header(name):
        key, colon, text = line.partition(":")
        if colon and key in facts:
            facts[key], last = text.strip(), key
        elif last and line:
            facts[last] += f" {line}"
        elif line:
            about.append(line)
    return {"name": name, "about": " ".join(about), **facts}


def listing() -> tuple[list[dict[str, str]], str]:
    """Return all presets, as JSON and as text."""
    presets = [describe(name) for name in preset_names()]
    return presets, "\n\n".join(text_of(preset) for preset in presets)


def text_of(preset: dict[str, str]) -> str:
    """Return a preset's description as indented lines."""
    lines = [f"{preset['name']}: {preset['about']}"]
    return "\n".join(lines + [f"  {fact + ':':<10}{preset[fact]}" for fact in _FACTS if preset[fact]])


def cost(config: RunConfig) -> str:
    """Return the cost that the preset's header states, empty for a preset of the user's."""
    try:
        return describe(config.preset)["cost"] if config.preset in preset_names() else ""
    except ConfigError:
        return ""


def details(name: str) -> tuple[dict[str, Any], str]:
    """Return every option of a preset with value, default, allowed values and help, as JSON and as text."""
    config = load_config(name)
    options = {section: _options(section, getattr(config, section)) for section in SECTIONS}
    head = (
        describe(name)
        if name in preset_names()
        else {"name": config.preset, "about": name, **dict.fromkeys(_FACTS, "")}
    )
    lines = [
        text_of(head),
        "",
        "Set any of these with --set section.key=value; * marks what differs from the default.",
    ]
    for section, rows in options.items():
        lines += ["", f"[{section}]"]
        for row in rows:
            mark = "*" if row["value"] != row["default"] else " "
            lines.append(f"{mark} {row['key']} = {_plain(row['value'])}")
            lines.append(f"      {row['help']}; {row['allowed']}; default {_plain(row['default'])}")
    return {**head, "options": options}, "\n".join(lines)


def _options(section: str, config: Any) -> list[dict[str, Any]]:
    return [
        {
            "key": f"{section}.{spec.name}",
            "value": getattr(config, spec.name),
            "default": spec.default,
            "allowed": _allowed(spec),
            "help": spec.metadata["help"],
        }
        for spec in fields(config)
    ]


def _allowed(spec: Any) -> str:
    return "true or false" if type(spec.default) is bool else allowed(spec)


def _plain(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value) or "''"
