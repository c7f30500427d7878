"""Apache Beam without its remarks, and a little faster. Import this module before any other import of apache_beam.

Without the Google Cloud extra, the import says `apitools not found` through `logging.warning`, which prints
it and, if nobody has configured logging yet, installs a handler on the root logger that makes all later
remarks visible.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import sys
from collections.abc import Iterable, Iterator


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


# Connectors that nobody here uses, whose clients always come with Beam: MongoDB's and BigQuery's take a third of the
# time of its whole import, and Arrow, for Parquet, a fifth of the rest. It does without what cannot be imported.
_NOT_NOW = ("pymongo", "bson", "apache_beam.io.gcp.bigquery", "pyarrow")


@contextlib.contextmanager
def _hidden(modules: Iterable[str]) -> Iterator[None]:
    """Let imports of `modules` fail while the block runs, but for those that somebody has imported before."""
    hidden = [name for name in modules if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None is how Python says it
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """Keep the garbage collector away from what the block makes, now and later.

    An import leaves objects that live as long as the process. The collector would look through them again and again,
    and once more at the end: a tenth of a second for each second of the import.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if enabled:
            gc.enable()


with _without_root_handler(), _hidden(_NOT_NOW), _uncollected():
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
