"""The film of a training: which frames, how it is replaced, and what ffmpeg is given."""

from __future__ import annotations

import itertools
import logging
import stat
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gan_core import film
from gan_core.film import Film, thinned


def snapshots(run_dir: Path, count: int, size: tuple[int, int] = (10, 7)) -> list[Path]:
    """Write grids, the i-th in grey level 4 i."""
    (run_dir / "snapshots").mkdir(exist_ok=True)
    paths = [run_dir / "snapshots" / f"{index:012d}.png" for index in range(count)]
    for index, path in enumerate(paths):
        Image.new("RGB", size, (4 * index,) * 3).save(path)
    return paths


def levels(gif: Path) -> list[int]:
    """Return the grey level of each frame."""
    with Image.open(gif) as animation:
        found = []
        for index in range(getattr(animation, "n_frames", 1)):
            animation.seek(index)
            found.append(int(np.asarray(animation.convert("L"))[0, 0]))
        return found


@pytest.fixture(autouse=True)
def _no_ffmpeg(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")


def fake_ffmpeg(folder: Path, monkeypatch: pytest.MonkeyPatch, body: str) -> None:
    """Put an `ffmpeg` on the PATH: Python code with `words` (the arguments) and `pixels` (its input)."""
    script = folder / "ffmpeg"
    head = f"#!{sys.executable}\nimport sys\nwords, pixels = sys.argv[1:], sys.stdin.buffer.read()\n"
    script.write_text(head + body)
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(folder))


def test_the_film_grows_by_a_frame(tmp_path: Path) -> None:
    """With each snapshot there is a frame more, the newest last and longest; nothing else is left in the folder."""
    paths, one = snapshots(tmp_path, 3), Film(tmp_path)
    for count in (1, 2, 3):
        one.show(paths[:count])
        assert levels(one.gif) == [0, 4, 8][:count]
    with Image.open(one.gif) as animation:
        animation.seek(2)
        assert (animation.size, animation.info["duration"], animation.info["loop"]) == ((10, 7), 2000, 0)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["snapshots", "training.gif"]


def test_a_write_that_fails_leaves_the_film_of_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The film is replaced whole or not at all: a full disk leaves the old bytes and no other file."""
    paths, one = snapshots(tmp_path, 2), Film(tmp_path)
    one.show(paths[:1])
    before = one.gif.read_bytes()

    def fail(_frames: object, stream: object, **_: object) -> None:
        stream.write(b"GIF89a half")  # type: ignore[attr-defined]
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(film, "write_gif", fail)
    with pytest.raises(OSError, match="No space"):
        one.show(paths)
    assert one.gif.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["snapshots", "training.gif"]


def test_a_long_training_has_sixty_frames_at_most(tmp_path: Path) -> None:
    """61 snapshots give each second one and the last; none that was left out comes back later."""
    paths = snapshots(tmp_path, 62)
    one = Film(tmp_path)
    one.show(paths[:60])
    assert levels(one.gif) == [4 * index for index in range(60)]
    one.show(paths)
    assert levels(one.gif) == [4 * index for index in (*range(0, 61, 2), 61)]


@pytest.mark.parametrize("count", [1, 2, 59, 60, 61, 118, 119, 120, 1000])
def test_thinning_keeps_the_first_the_last_and_the_limit(count: int) -> None:
    """At most 60, the first and the last among them, one step of a power of two between all but the last."""
    items = [Path(str(index)) for index in range(count)]
    kept = [int(path.name) for path in thinned(items, 60)]
    assert (kept[0], kept[-1], len(kept) <= 60) == (0, count - 1, True)
    assert len(kept) >= min(count, 30)
    steps = {after - before for before, after in itertools.pairwise(kept[:-1])}
    assert steps <= {1} if count <= 60 else steps in [{2}, {4}, {8}, {16}, {32}]


def test_large_grids_are_made_small(tmp_path: Path) -> None:
    """A grid of 1300 pixels becomes one of 434: a third, the largest whole part that fits into 640."""
    one = Film(tmp_path)
    one.show(snapshots(tmp_path, 1, (1300, 20)))
    with Image.open(one.gif) as animation:
        assert animation.size == (434, 7)


def test_a_snapshot_that_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    """A damaged grid costs its frame alone."""
    paths, one = snapshots(tmp_path, 3), Film(tmp_path)
    paths[1].write_bytes(b"no picture")
    one.show(paths)
    assert levels(one.gif) == [0, 8]


def test_without_snapshots_there_is_no_film(tmp_path: Path) -> None:
    """A run that starts over has no film of before."""
    one = Film(tmp_path)
    one.show(snapshots(tmp_path, 1))
    one.mp4.write_bytes(b"old")
    one.show([])
    assert (one.gif.exists(), one.mp4.exists()) == (False, False)


def test_ffmpeg_gets_raw_frames_with_even_sides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two frames of 10x6 and seven times the last one more, 4 a second; the result appears by rename."""
    fake_ffmpeg(
        tmp_path,
        monkeypatch,
        "open(words[-1], 'w').write(' '.join(words[:-1]) + f' {sorted(set(pixels))} {len(pixels)}')",
    )
    one = Film(tmp_path)
    one.show(snapshots(tmp_path, 2))
    assert one.mp4.read_text() == (
        "-nostdin -loglevel error -y -f rawvideo -pix_fmt rgb24 -s 10x6 -r 4 -i pipe:0 "
        f"-c:v libx264 -preset veryfast -pix_fmt yuv420p -movflags +faststart -f mp4 [0, 4] {9 * 10 * 6 * 3}"
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ffmpeg", "snapshots", "training.gif", "training.mp4"]


def test_an_ffmpeg_without_libx264_uses_its_own_codec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second codec is tried once, and is the first next time."""
    code = f"""
open({str(tmp_path / "log")!r}, "a").write(words[words.index("-c:v") + 1] + "\\n")
if "libx264" in words:
    sys.exit("Unknown encoder 'libx264'")
open(words[-1], "w").write("film")
"""
    fake_ffmpeg(tmp_path, monkeypatch, code)
    one, paths = Film(tmp_path), snapshots(tmp_path, 2)
    one.show(paths[:1])
    one.show(paths)
    assert (tmp_path / "log").read_text().split() == ["libx264", "mpeg4", "mpeg4"]
    assert one.mp4.read_text() == "film"


def test_an_ffmpeg_that_fails_is_named_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The training goes on with the GIF alone, and the warning says why."""
    fake_ffmpeg(tmp_path, monkeypatch, "open(words[-1], 'w').write('half'); sys.exit('no such thing')")
    one, paths = Film(tmp_path), snapshots(tmp_path, 2)
    with caplog.at_level(logging.WARNING):
        one.show(paths[:1])
        one.show(paths)
    reason = f"{tmp_path}/ffmpeg cannot write {one.mp4} (no such thing); there will be training.gif alone"
    assert [record.getMessage() for record in caplog.records] == [reason]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ffmpeg", "snapshots", "training.gif"]
    assert levels(one.gif) == [0, 4]
