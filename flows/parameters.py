"""What people and schedules may ask of a flow: texts with bounds, which make the form in Prefect's UI.

Parameters of a deployment come from whoever can reach the server, so they may do less than the command line of the
machine's own user: see `least_rights`.
"""

from __future__ import annotations

import os
import shlex
from contextvars import ContextVar
from pathlib import Path
from typing import Annotated

from pydantic import Field

from flows.least_rights import check_texts, permitted, permitted_config
from flows.stages import Order
from gan_core.config import load_config, preset_names
from gan_core.errors import ConfigError
from gan_core.paths import DEFAULT_DATA_ROOT, path_of

DEFAULT_PRESET = "quickstart"

# Prefect takes what a field means from the docstring of the flow; what it may be, from here.
Preset = Annotated[str, Field(examples=preset_names(), min_length=1, max_length=1000)]
Source = Annotated[str, Field(max_length=4000)]
Setting = Annotated[str, Field(pattern=r"^[a-z]+\.[a-z0-9_]+ *=", max_length=4000)]
Settings = Annotated[tuple[Setting, ...], Field(examples=[["train.total_kimg=100", "retrain.min_new_pictures=500"]])]
DataRoot = Annotated[str, Field(max_length=4000)]

# The command line asks in its own process, with rights of its own: what it wants is not parsed a second time.
ASKED: ContextVar[Order | None] = ContextVar("faceloom_asked", default=None)


def order_of(preset: str, source: str, settings: tuple[str, ...], data_root: str) -> Order:
    """Return what the parameters ask for.

    Beam's options come from FACELOOM_BEAM_ARGS alone: some of them name programs to run.

    Raises:
        ConfigError: an unknown preset or setting, a value out of range, or a path that parameters may not name.
    """
    if (asked := ASKED.get()) is not None:
        return asked
    check_texts(preset, source, data_root, *settings)
    own = path_of(os.environ.get("FACELOOM_DATA_ROOT") or str(DEFAULT_DATA_ROOT))
    root = permitted("data_root", data_root, own) if data_root else own
    if preset.endswith(".toml"):
        permitted("preset", preset, root)
    config = load_config(preset, settings, source=permitted("source", source, root) if source else None)
    permitted_config(config, root)
    return Order(config=config, data_root=root, beam_args=_beam_args())


def texts_of(order: Order) -> dict[str, object]:
    """Return the parameters that the UI shows for an order of the command line."""
    data = order.config.data
    return {
        "preset": order.config.preset,
        "source": data.path,
        "settings": (),
        "data_root": "" if order.data_root == Path(DEFAULT_DATA_ROOT) else str(order.data_root),
    }


def _beam_args() -> tuple[str, ...]:
    try:
        return tuple(shlex.split(os.environ.get("FACELOOM_BEAM_ARGS", "")))
    except ValueError as error:
        raise ConfigError(f"FACELOOM_BEAM_ARGS cannot be read as options: {error}") from None
