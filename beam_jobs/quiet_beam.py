"""Apache Beam without its remarks, and a little faster. Import this module before any other import of apache_beam.

Without the Google Cloud extra, the import says `apitools not found` through `logging.warning`, which prints
it and, if nobody has configured logging yet, installs a handler on the root logger that makes all later
remarks visible.
"""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def _without_root_handler() -> Iterator[None]:
    root, placeholder = logging.getLogger(), logging.NullHandler()
    disabled = logging.root.manager.disable
    root.addHandler(placeholder)
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(disabled)
        root.removeHandler(placeholder)


@contextlib.contextmanager
def _hidden(module: str) -> Iterator[None]:
    """Let imports of `module` fail, where nobody has imported it before."""
    hidden = module not in sys.modules
    if hidden:
        sys.modules[module] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        if hidden:
            del sys.modules[module]


# Beam reads and writes MongoDB where its client is installed, and it is always installed with Beam; importing it takes
# a sixth of the time of Beam's own import.
with _without_root_handler(), _hidden("pymongo"):
    import apache_beam as beam

__all__ = ["beam", "quiet"]


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep Beam's warnings off stderr while the block runs; its errors still get through."""
    logger = logging.getLogger("apache_beam")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
