"""How many steps a device call may have, so that nobody waits long for the loop to look at its signals."""

from __future__ import annotations

CALL_SECONDS = 2.0
"""What a device call may take: a training that is told to stop looks up after each."""


class Pace:
    """Steps a call, at most `steps_per_execution`: 1 at first, twice as many after a short call, fewer after a long.

    The number has no part in the result of a training.
    """

    def __init__(self, steps_per_execution: int) -> None:
        self._most = steps_per_execution
        self.steps = 1

    def took(self, steps: int, seconds: float) -> None:
        """Take note of a call."""
        if seconds > CALL_SECONDS:
            self.steps = max(1, int(steps * CALL_SECONDS / seconds))
        elif seconds <= CALL_SECONDS / 2:
            self.steps = min(self._most, max(self.steps, 2 * steps))
