"""When a failed stage is tried again."""

from __future__ import annotations

from typing import Any

from gan_core.errors import ConfigError, DataError, Diverged, Interrupted

# What the user asked for, or what the data and the networks are: the same again would fail the same way.
FINAL = (ConfigError, DataError, Diverged, Interrupted)
RETRY_JITTER = 0.5

MINUTE, HOUR, DAY = 60, 3600, 86_400


def worth_a_retry(_task: Any, _task_run: Any, state: Any) -> bool:
    """Say whether Prefect shall try again: what was killed, timed out or stalled, but not what was wrong."""
    return not isinstance(state.data, FINAL)
