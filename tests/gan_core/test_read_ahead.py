from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest

from gan_core import read_ahead
from gan_core.read_ahead import Images, ReadAhead


def batch_of(step: int) -> Images:
    """Return one picture whose pixels are the step."""
    return np.full((1, 2, 2, 1), step, np.uint8)


def steps_of(batches: list[Images]) -> list[int]:
    """Return which steps the batches are for."""
    return [int(batch[0, 0, 0, 0]) for batch in batches]


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    """Every test ends its thread."""
    yield
    assert [thread for thread in threading.enumerate() if thread.name == "read-ahead"] == []


def test_batches_come_in_order_however_they_are_taken() -> None:
    """From the first step to the end, one or several at a time, more at once than wait."""
    with ReadAhead(batch_of, 3, 12, read_ahead.QUEUE_BYTES) as ahead:
        assert [steps_of(ahead.take(count)) for count in (1, 2, 5, 1)] == [[3], [4, 5], [6, 7, 8, 9, 10], [11]]
        assert ahead.take(1) == []


def test_only_a_bounded_number_is_read_ahead() -> None:
    """Two batches wait and one is in the thread's hand, when a batch is as large as the bound."""
    read: list[int] = []
    third = threading.Event()

    def noted(step: int) -> Images:
        read.append(step)
        if len(read) == 3:
            third.set()
        return batch_of(step)

    with ReadAhead(noted, 0, 100, read_ahead.QUEUE_BYTES):
        assert third.wait(60)
    assert read == [0, 1, 2]


def test_an_error_is_raised_where_its_batch_is_taken() -> None:
    """Batches before it are whole; the error is the reader's own."""

    def broken(step: int) -> Images:
        if step == 2:
            raise ValueError("shard 7")
        return batch_of(step)

    with ReadAhead(broken, 0, 5, 1) as ahead:
        assert steps_of(ahead.take(2)) == [0, 1]
        with pytest.raises(ValueError, match="shard 7"):
            ahead.take(1)


def test_a_signal_ends_the_wait_for_pixels() -> None:
    """What is ready is returned, and nobody waits for a disk that does not answer."""
    answers, signals = threading.Event(), [15]

    def slow(step: int) -> Images:
        if step == 1:
            answers.wait(60)
        return batch_of(step)

    with ReadAhead(slow, 0, 5, 1) as ahead:
        assert steps_of(ahead.take(1)) == [0]
        assert ahead.take(1, signals) == []
        answers.set()


def test_closing_does_not_wait_for_a_disk_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a while the thread is left to itself; it does not keep the process."""
    monkeypatch.setattr(read_ahead, "_CLOSE_SECONDS", 0.01)
    answers = threading.Event()

    def hanging(step: int) -> Images:
        answers.wait(60)
        return batch_of(step)

    ahead = ReadAhead(hanging, 0, 5, 1)
    ahead.close()
    (thread,) = [thread for thread in threading.enumerate() if thread.name == "read-ahead"]
    assert thread.daemon
    answers.set()
    thread.join(60)
