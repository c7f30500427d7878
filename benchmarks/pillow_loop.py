"""The loop that everybody writes: Pillow opens, crops and resizes picture after picture; TFRecords take the result.

Without checks, rejects, statistics, checksums of files, resume: what decoding, resizing and writing cost alone.
With `--processes N` each of N forked processes takes an equal share: the limit of what N cores can do.
"""

from __future__ import annotations

import argparse
import multiprocessing
from collections.abc import Callable, Sequence
from pathlib import Path

from PIL import Image

from gan_core.records import encode_example, write_record

Box = tuple[int, int, int, int]  # left, top, right, bottom


def _centre(width: int, height: int) -> Box:
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    return left, top, left + side, top + side


CROPS: dict[str, Callable[[int, int], Box]] = {
    "celeba-148": lambda width, height: (15, 35, 163, 183),  # of 178x218
    "center": _centre,
}


def prepare(paths: Sequence[Path], out: Path, crop: str, side: int, *, scaled_decode: bool = False) -> None:
    """Write one TFRecord file: image (uint8 [side, side, 3], row by row), shape and key of each picture, in order.

    Args:
        paths: the pictures.
        out: the file.
        crop: a key of CROPS.
        side: of the result, pixels.
        scaled_decode: let libjpeg decode at 1/2, 1/4 or 1/8 where both sides keep twice the result's.
    """
    with out.open("wb") as stream:
        for path in paths:
            with Image.open(path) as image:
                if scaled_decode:
                    image.draft(None, (2 * side, 2 * side))
                square = image.convert("RGB").crop(CROPS[crop](*image.size))
                pixels = square.resize((side, side), Image.Resampling.LANCZOS).tobytes()
            features = {"image": pixels, "shape": (side, side, 3), "key": path.name.encode()}
            write_record(stream, encode_example(features))


def main() -> None:
    """Prepare a folder."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pillow_loop", description=__doc__)
    parser.add_argument("folder", type=Path, help="pictures, at any depth")
    parser.add_argument("out", type=Path, help="a folder for the TFRecords; it is made")
    parser.add_argument("--crop", default="celeba-148", choices=CROPS, help="default: %(default)s")
    parser.add_argument("--resolution", type=int, default=64, help="pixels (default: %(default)s)")
    parser.add_argument("--processes", type=int, default=1, help="default: %(default)s, which forks nothing")
    parser.add_argument("--scaled-decode", action="store_true", help="let libjpeg shrink while it decodes")
    given = parser.parse_args()
    given.out.mkdir(parents=True)
    paths = sorted(path for path in given.folder.rglob("*") if path.suffix in {".jpg", ".png"})
    shares = [paths[first :: given.processes] for first in range(given.processes)]

    def work(number: int) -> None:
        out = given.out / f"{number}.tfrecord"
        prepare(shares[number], out, given.crop, given.resolution, scaled_decode=given.scaled_decode)

    if given.processes == 1:
        work(0)
        return
    fork = multiprocessing.get_context("fork")  # the cheapest start, and nothing here has threads
    processes = [fork.Process(target=work, args=(number,)) for number in range(given.processes)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    if any(process.exitcode for process in processes):
        raise SystemExit("a process failed")


if __name__ == "__main__":
    main()
