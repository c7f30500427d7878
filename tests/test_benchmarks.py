"""The arithmetic of the benchmarks, their input, and that their loop does what faceloom does. Nothing here is timed."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from beam_jobs.pixels.pictures import prepare_picture
from benchmarks import markdown, pages, pictures, pillow_loop, scale, summary
from benchmarks.measure import Run
from benchmarks.process_memory import Curve
from benchmarks.summary import Line, Ratio
from gan_core.config import DataConfig
from gan_core.records import decode_example, read_records
from tests.pictures import encode, scene

RUN = Run("faceloom", "178x218 JPEG", 100, 64, 1, 1.0, 2.0, 100, 1_250_000)


def timed(contender: str, count: int, seconds: Sequence[float]) -> list[Run]:
    """Return one run for each of `seconds`, numbered from 1."""
    return [
        replace(RUN, contender=contender, pictures=count, number=number, seconds=second)
        for number, second in enumerate(seconds, start=1)
    ]


def test_ratio_pairs_the_runs_of_a_round() -> None:
    """Each run is divided by the other's of the same round; one without a partner does not count."""
    runs = [*timed("faceloom", 100, [1.0, 2.0, 4.0]), *timed("loop", 100, [3.0, 4.0])]
    assert summary.ratio(runs, "faceloom", "loop", 100) == Ratio(2.5, 2.0, 3.0)
    assert summary.ratio(runs, "faceloom", "dataset_tool", 100) is None


def test_marginal_is_the_slope_between_two_sizes() -> None:
    """What a further picture costs is the difference of the medians, so that the start does not count."""
    runs = [*timed("faceloom", 100, [3.0, 3.5, 9.0]), *timed("faceloom", 300, [7.5])]
    assert summary.marginal(runs, "faceloom", 100, 300) == pytest.approx(0.02)
    assert summary.marginal(runs, "faceloom", 100, 200) is None


def test_fit_finds_start_and_slope_and_says_who_is_off_the_line() -> None:
    """Points on a line give the line, and a size that costs a tenth more a picture is 10 % off."""
    points = [(1000, 5.0), (2000, 7.0), (10_000, 23.0)]
    line = summary.fit(points)
    assert (line.start, line.each) == pytest.approx((3.0, 0.002))
    away = summary.deviations([(1000, 5.0), (2000, 7.4)], Line(3.0, 0.002))
    assert away == pytest.approx({1000: 0.0, 2000: 0.1})


def test_all_together_adds_what_was_seen_at_the_same_look() -> None:
    """The PSS of the workers counts to the launcher's look just before; a process that ended counts no longer."""
    launcher = Curve("launcher", [0.0, 0.5, 1.0], [9, 9, 9], [10, 20, 30], 9)
    worker = Curve("worker", [0.51], [9], [5], 9)
    assert summary.total_pss(replace(RUN, memory=(launcher, worker))) == ([0.0, 0.5, 1.0], [10, 25, 30])


def test_runs_survive_their_json() -> None:
    """What is read back from a results file equals what was written, curves included, one line a run."""
    run = replace(RUN, memory=(Curve("worker", [0.5], [7.0], [6.0], 8.0),), options=("data.storage=png",))
    text = pages.compact_json({"machine": {"cores": 2}, "found": {}, "runs": [run.to_json(), RUN.to_json()]})
    saved = json.loads(text)
    assert [Run.from_json(one) for one in saved["runs"]] == [run, RUN]
    assert sum(line.startswith('{"contender"') for line in text.splitlines()) == 2


def test_larger_jobs_are_plain_arithmetic() -> None:
    """3,600,000 pictures at 2 ms of a core and 0.1 ms of the launcher: 2 core hours, 6 minutes, 0.1 USD."""
    job = scale.job(3_600_000, scale.Rates(0.002, 12_800, 7000), scale.NameRates(0.0001, 250, 1024))
    assert (job.core_hours, job.launcher_hours) == pytest.approx((2.0, 0.1))
    assert job.hours(4) == pytest.approx(0.6)
    assert job.usd(0.05) == pytest.approx(0.1)
    assert (job.output_bytes, job.shards) == (46_080_000_000, 687)
    assert (job.input_bytes, job.line_bytes, job.launcher_bytes) == (25_200_000_000, 900_000_000, 3_686_400_000)
    assert job.shuffle_bytes == 687 * 29


def test_fill_replaces_marked_places_alone() -> None:
    """Text between the marks is replaced, again and again; places without results and all else stay."""
    page = "a\n<!-- benchmark: one -->\nold\n<!-- end -->\nb\n<!-- benchmark: two -->\nkept\n<!-- end -->\n"
    filled = markdown.fill(page, {"one": "| new |"})
    assert filled == page.replace("old", "\n| new |\n")
    assert markdown.fill(filled, {"one": "| new |"}) == filled


def test_the_loop_writes_the_pixels_that_faceloom_writes(tmp_path: Path) -> None:
    """On 178x218, cut to the inner 148x148 by Lanczos: the compared work is the same, to the last pixel."""
    path = tmp_path / "000001.jpg"
    path.write_bytes(encode(scene(178, 218), "JPEG", quality=90))
    pillow_loop.prepare([path], tmp_path / "out", "celeba-148", 64)
    ((_, record),) = read_records(tmp_path / "out")
    features = decode_example(record)
    expected = prepare_picture(path.read_bytes(), DataConfig()).pixels
    assert features == {"image": expected.tobytes(), "shape": [64, 64, 3], "key": b"000001.jpg"}


def test_celeba_is_enlarged_and_repeated_under_official_names(tmp_path: Path) -> None:
    """Two pictures become five of 178x218: 1, 2, 1, 2, 1, with the rows of the lists that belong to them."""
    original = tmp_path / "original"
    original.mkdir()
    with zipfile.ZipFile(original / "img_align_celeba.zip", "w") as archive:
        for number in (1, 2):
            archive.writestr(f"img_align_celeba/00000{number}.jpg", encode(scene(89, 109, number), "JPEG"))
    (original / "list_attr_celeba.txt").write_text("2\nBald Young\n000001.jpg -1  1\n000002.jpg  1 -1\n")
    (original / "identity_CelebA.txt").write_text("000001.jpg 7\n000002.jpg 9\n")
    made = pictures.celeba(tmp_path / "made", original, 5)
    files = {path.name: path.read_bytes() for path in sorted(made.folder.iterdir())}
    assert (made.pictures, list(files)) == (5, [f"00000{number}.jpg" for number in range(1, 6)])
    assert files["000001.jpg"] == files["000003.jpg"] == files["000005.jpg"] != files["000002.jpg"]
    assert Image.open(io.BytesIO(files["000002.jpg"])).size == (178, 218)
    assert (made.source / "identity_CelebA.txt").read_text().split() == [
        *("000001.jpg", "7", "000002.jpg", "9", "000003.jpg", "7", "000004.jpg", "9", "000005.jpg", "7")
    ]
    assert (made.source / "list_attr_celeba.txt").read_text().splitlines()[:4] == [
        *("5", "Bald Young", "000001.jpg -1  1", "000002.jpg  1 -1")
    ]


def test_large_squares_come_from_the_middle_of_large_portraits(tmp_path: Path) -> None:
    """A portrait with a side below 300 is passed over; the others become 1024x1024 in folders of a thousand."""
    with zipfile.ZipFile(tmp_path / "portraits.zip", "w") as archive:
        archive.writestr("small.jpg", encode(scene(200, 400), "JPEG"))
        stripes = np.zeros((400, 300, 3), np.uint8)
        stripes[50:350] = 200
        archive.writestr("tall.jpg", encode(stripes, "JPEG", quality=95))
    made = pictures.large(tmp_path / "made", tmp_path / "portraits.zip", 2, ".png")
    paths = [path.relative_to(made.source).as_posix() for path in sorted(made.folder.rglob("*.png"))]
    assert paths == ["00000/00000.png", "00000/00001.png"]
    pixels = np.asarray(Image.open(made.source / paths[0]))
    assert pixels.shape == (1024, 1024, 3)
    assert pixels[64:-64].mean() == pytest.approx(200, abs=1)
