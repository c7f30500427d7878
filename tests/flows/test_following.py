"""A log is read while it grows: whole lines, once each, also when a resume cuts the file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from flows.following import Tail
from gan_core import artifacts


def line(images: int, seconds: float = 0.0) -> str:
    """Return a line of a log."""
    return json.dumps({"images": images, "seconds": seconds}) + "\n"


def seen(found: tuple[list[dict[str, Any]], bool]) -> tuple[list[int], bool]:
    """Return the images of the new lines, and whether others are gone."""
    return [one["images"] for one in found[0]], found[1]


def test_each_line_is_told_once(tmp_path: Path) -> None:
    """Before the file is there, there is nothing; then what was appended since the last look."""
    tail = Tail(tmp_path / "log")
    assert seen(tail.read()) == ([], False)
    tail.path.write_text(line(1) + line(2))
    assert seen(tail.read()) == ([1, 2], False)
    assert seen(tail.read()) == ([], False)
    with tail.path.open("a") as stream:
        stream.write(line(3))
    assert seen(tail.read()) == ([3], False)
    assert [one["images"] for one in tail.lines] == [1, 2, 3]


def test_half_a_line_waits_for_its_end(tmp_path: Path) -> None:
    """A line that is being written is no error, and is told when it is whole; damaged ones are passed over."""
    tail = Tail(tmp_path / "log")
    tail.path.write_text(line(1) + line(2)[:9])
    assert seen(tail.read()) == ([1], False)
    with tail.path.open("a") as stream:
        stream.write(line(2)[9:] + "no JSON\n[7]\n" + line(3))
    assert seen(tail.read()) == ([2, 3], False)


def test_a_resume_that_cuts_is_seen(tmp_path: Path) -> None:
    """The file is replaced by its beginning; what differs from there on is new, even where it is as long."""
    tail = Tail(tmp_path / "log")
    tail.path.write_text(line(1) + line(2) + line(3))
    tail.read()
    artifacts.replace_file(tail.path, line(1).encode())
    with tail.path.open("a") as stream:
        stream.write(line(2, 9.0) + line(3, 9.5))
    assert seen(tail.read()) == ([2, 3], True)
    assert [one["seconds"] for one in tail.lines] == [0.0, 9.0, 9.5]


def test_a_resume_that_cuts_nothing_is_no_news(tmp_path: Path) -> None:
    """The same lines in another file: nothing is told again."""
    tail = Tail(tmp_path / "log")
    tail.path.write_text(line(1) + line(2))
    tail.read()
    artifacts.replace_file(tail.path, (line(1) + line(2) + line(3)).encode())
    assert seen(tail.read()) == ([3], False)


def test_a_file_that_goes_away_was_cut(tmp_path: Path) -> None:
    """And it begins anew when it is back."""
    tail = Tail(tmp_path / "log")
    tail.path.write_text(line(1))
    tail.read()
    tail.path.unlink()
    assert seen(tail.read()) == ([], True)
    tail.path.write_text(line(1))
    assert seen(tail.read()) == ([1], False)
