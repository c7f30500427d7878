"""What to do about a failure: the end of the message of a failed state, where people meet it in Prefect's UI.

Prefect makes that message of the error's own text. So tasks and flows raise errors of the same type with a longer text;
the terminal, whose user knows the command, shows the one behind it.
"""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Iterator
from contextvars import ContextVar
from typing import TypeVar

from flows.least_rights import check_texts
from flows.stages import Order
from gan_core import lineage
from gan_core.errors import ConfigError, DataError, Diverged, FaceloomError, Interrupted

E = TypeVar("E", bound=Exception)

RETRY = "Finished stages are kept: Retry here goes on where it stopped"
# What policy.FINAL names, and nothing else, is not tried again.
STEPS: dict[type[FaceloomError], str] = {
    ConfigError: "Not tried again: change what it names, then Run with that",
    DataError: "Not tried again: change the pictures or the options that it names, then Retry here",
    Diverged: "Not tried again: change the options that it names, then Run with them",
    Interrupted: "Not tried again, as it was stopped on purpose: Retry here goes on",
}
_PLAIN = "faceloom_plain"
_COMMAND: ContextVar[str] = ContextVar("faceloom_command", default="")


@contextlib.contextmanager
def told(command: str = "") -> Iterator[None]:
    """Raise the block's errors with the next step at their end, once where such blocks lie in each other.

    Args:
        command: what a terminal would be told; empty is that of the block around.
    """
    token = _COMMAND.set(command or _COMMAND.get())
    try:
        yield
    except (FaceloomError, TimeoutError) as error:
        if plain(error) is not error:
            raise
        longer = type(error)(_text(error)).with_traceback(error.__traceback__)
        setattr(longer, _PLAIN, error)
        raise longer from None  # one traceback in Prefect's log, not two
    finally:
        _COMMAND.reset(token)


def plain(error: E) -> E:
    """Return the error behind one that `told` raised, else the error itself."""
    found: E = getattr(error, _PLAIN, error)
    return found


def command(verb: str, order: Order) -> str:
    """Return the shell command for an order; one that seems to hold a password names the preset alone.

    Args:
        verb: run or retrain.
        order: what the flow was asked for.
    """
    text = lineage.command(verb, order.config, order.data_root)
    if order.beam_args:
        text += f" -- {shlex.join(order.beam_args)}"
    try:
        check_texts(*shlex.split(text))
    except ConfigError:
        return f"faceloom {verb} {order.config.preset} ..."
    return text


def _text(error: Exception) -> str:
    step = next((step for kind, step in STEPS.items() if isinstance(error, kind)), RETRY)
    ways = f"{step}, or: {_COMMAND.get()}" if _COMMAND.get() else step
    return f"{str(error).rstrip('.')}. {ways}"
