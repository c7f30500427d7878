"""The training as a film that grows: `training.gif`, and `training.mp4` where there is an ffmpeg.

Each snapshot writes both anew, by rename, so its cost must not grow: there are at most `MAX_FRAMES` frames, none wider
than `MAX_SIDE_PIXELS`, and those of the snapshot before are not decoded again.
"""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from gan_core.grids import write_gif

MAX_FRAMES = 60
MAX_SIDE_PIXELS = 640
FRAME_MS, HOLD_MS = 250, 2000
FFMPEG_SECONDS = 120.0
# The second is part of every ffmpeg, and the first not of all.
_CODECS = {"libx264": ("-preset", "veryfast"), "mpeg4": ("-q:v", "4")}

_LOG = logging.getLogger(__name__)


class Film:
    """The film of one run, from the grids in `run_dir/snapshots`."""

    def __init__(self, run_dir: Path) -> None:
        self.gif, self.mp4 = run_dir / "training.gif", run_dir / "training.mp4"
        self._ffmpeg = shutil.which("ffmpeg")
        self._codecs = list(_CODECS)
        self._frames: dict[Path, Image.Image] = {}

    def show(self, snapshots: Sequence[Path]) -> None:
        """Write the film of these grids, the oldest first; without any, delete it."""
        if not snapshots:
            self.gif.unlink(missing_ok=True)
            self.mp4.unlink(missing_ok=True)
            return
        chosen = thinned(snapshots, MAX_FRAMES)
        made = {path: self._frames.get(path) or _frame(path) for path in chosen}
        self._frames = {path: frame for path, frame in made.items() if frame is not None}
        frames = list(self._frames.values())
        if not frames:
            return
        temporary = _hidden(self.gif)
        try:
            with temporary.open("wb") as stream:
                write_gif(frames, stream, frame_ms=FRAME_MS, hold_ms=HOLD_MS)
            temporary.replace(self.gif)
        finally:
            temporary.unlink(missing_ok=True)
        if self._ffmpeg:
            self._encode(self._ffmpeg, frames)

    def _encode(self, ffmpeg: str, frames: Sequence[Image.Image]) -> None:
        """Write the MP4. A film is never worth a training: an ffmpeg that fails is named once and left alone."""
        still = [frames[-1]] * (HOLD_MS // FRAME_MS - 1)
        pixels = b"".join(_even(frame).tobytes() for frame in (*frames, *still))
        width, height = _even(frames[0]).size
        temporary, reason = _hidden(self.mp4), ""
        try:
            while self._codecs:
                reason = _run(ffmpeg, self._codecs[0], pixels, (width, height), temporary)
                if not reason:
                    temporary.replace(self.mp4)
                    return
                self._codecs.pop(0)
        finally:
            temporary.unlink(missing_ok=True)
        self._ffmpeg = None
        _LOG.warning("%s cannot write %s (%s); there will be training.gif alone", ffmpeg, self.mp4, reason)


def thinned(items: Sequence[Path], limit: int) -> list[Path]:
    """Return the last and every 2**k-th from the first, at most `limit` in all, for the smallest k.

    As the sequence grows, what was once left out stays out: films share most of their frames.
    """
    stride = 1
    while len(items) > 1 and -(-(len(items) - 1) // stride) + 1 > limit:
        stride *= 2
    return [*items[:-1:stride], items[-1]]


def _frame(path: Path) -> Image.Image | None:
    """Return a grid with its own palette of 256 colours, small enough; None where it cannot be read."""
    try:
        with Image.open(path) as picture:
            factor = -(-max(picture.size) // MAX_SIDE_PIXELS)
            small = picture.convert("RGB").reduce(factor)
            # A hundred times as fast as the median cut, which took 0.2 s of a processor, and nearly as close.
            return small.quantize(256, Image.Quantize.FASTOCTREE)
    except OSError:
        return None


def _even(frame: Image.Image) -> Image.Image:
    """Return RGB with even sides, which the common colour format of films (4:2:0) needs; a last row may go."""
    width, height = (side // 2 * 2 for side in frame.size)
    return frame.convert("RGB").crop((0, 0, width, height))


def _run(ffmpeg: str, codec: str, pixels: bytes, size: tuple[int, int], target: Path) -> str:
    """Encode raw RGB frames; return why that failed, empty where it did not."""
    shape = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{size[0]}x{size[1]}", "-r", f"{1000 / FRAME_MS:g}"]
    form = ["-c:v", codec, *_CODECS[codec], "-pix_fmt", "yuv420p", "-movflags", "+faststart", "-f", "mp4"]
    command = [ffmpeg, "-nostdin", "-loglevel", "error", "-y", *shape, "-i", "pipe:0", *form, str(target)]
    try:
        # A session of its own: Ctrl-C is for the training, which saves and leaves.
        done = subprocess.run(
            command, input=pixels, capture_output=True, timeout=FFMPEG_SECONDS, check=False, start_new_session=True
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if done.returncode == 0 and target.is_file():
        return ""
    words = done.stderr.decode(errors="replace").strip().splitlines()
    return words[-1] if words else f"exit code {done.returncode}"


def _hidden(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}")
