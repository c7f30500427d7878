import base64
import dataclasses
import io
import json
import re
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gan_core import artifacts, grids, report
from gan_core.artifacts import digest_of
from gan_core.charts import Log
from gan_core.config import load_config
from gan_core.errors import ArtifactError
from gan_core.handoff import DatasetManifest, run_digest, run_folder
from gan_core.report import write_report
from tests import datasets
from tests.datasets import split_pictures

VOID = {"meta", "img", "input", "br", "link", "hr"}
EVIL = "a/<script>alert(1)</script>é日.jpg"
GRID = grids.grid(datasets.smooth_pictures(64, 32, 3), 8)


class Page(HTMLParser):
    """Collects what tests look at, and fails on tags that do not close in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.images: list[dict[str, str | None]] = []
        self.scripts = 0
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note the tag, and that it is open."""
        found = dict(attrs)
        self.ids += [value for key, value in attrs if key == "id" and value]
        self.links += [
            value or "" for key, value in attrs if key in {"src", "href", "srcset", "data", "action"}
        ]
        self.images += [found] if tag == "img" else []
        self.scripts += tag == "script"
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag that closes itself."""
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        """Check that the tag closes the one opened last."""
        assert self.open.pop() == tag


def _dataset(root: Path) -> DatasetManifest:
    made = datasets.make_dataset(root / "datasets" / "tiny-32")
    _lines(made.path / "rejects.jsonl", [{"key": EVIL, "reason": "undecodable", "detail": "truncated"}])
    return dataclasses.replace(made, rejects={"undecodable": 7})


def _bare_run(root: Path, dataset: DatasetManifest) -> Path:
    config = load_config("smoke", ["train.seed=3"], source=Path("/pictures of/faces"))
    run_dir = run_folder(root, config, dataset.digest)
    run_dir.mkdir(parents=True)
    facts = {
        "config": config.to_json(),
        "digest": run_digest(config, dataset.digest),
        "machine": {"device": "CPU"},
    }
    artifacts.write_json(run_dir / "config.json", facts)
    return run_dir


def _full_run(root: Path, dataset: DatasetManifest) -> Path:
    run_dir = _bare_run(root, dataset)
    _lines(run_dir / "metrics.jsonl", [{"kimg": k, "loss_g": 2 - k / 2, "loss_d": 0.5} for k in (1.0, 2.0)])
    _lines(
        run_dir / "snapshot_scores.jsonl", [{"kimg": k, "swd": 20 / k, "swd_floor": 9.0} for k in (1.0, 2.0)]
    )
    _lines(run_dir / "stages.jsonl", [_stage("train", 750.0, "failed"), _stage("train", 30.0, "done")])
    (run_dir / "snapshots").mkdir()
    for images in (1000, 2000):
        GRID.save(run_dir / "snapshots" / f"{images:012d}.png")
    _publish(run_dir / "checkpoints" / "000000002000", "checkpoint", {"images_seen": 2000})
    _publish(run_dir / "samples", "samples", {"seed": 0, "images_seen": 2000}, GRID)
    swd = {
        "value": 20.125,
        "floor": 9.0,
        "unit": "SWD x1000",
        "better": "lower",
        "parts": {"32": {"value": 20.125}},
    }
    fields = {
        "values": {"swd": swd, "novel": {"value": 0.5}},
        "protocol": {"real_count": 2048, "split": "train"},
    }
    _publish(run_dir / "scores", "scores", fields)
    return run_dir


@pytest.fixture(scope="module")
def full_page(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page of a run with everything that its stages leave."""
    root = tmp_path_factory.mktemp("full")
    dataset = _dataset(root)
    return write_report(_full_run(root, dataset), dataset).path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def bare_page(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A root folder, and the page of a run in it of which only config.json stands."""
    root = tmp_path_factory.mktemp("bare")
    dataset = _dataset(root)
    return root, write_report(_bare_run(root, dataset), dataset).path.read_text(encoding="utf-8")


def _lines(path: Path, lines: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def _stage(stage: str, seconds: float, outcome: str) -> dict[str, Any]:
    return {"stage": stage, "seconds": seconds, "started": "2026-11-22T02:10:00+00:00", "outcome": outcome}


def _publish(folder: Path, kind: str, fields: dict[str, Any], grid: Image.Image | None = None) -> None:
    with artifacts.publishing(folder) as draft:
        if grid is not None:
            grid.save(draft / "grid.png")
        artifacts.write_manifest(draft, kind, digest_of([kind, fields]), fields)


def _text(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


def _pictures(page: Page) -> Iterator[Image.Image]:
    for image in page.images:
        yield Image.open(io.BytesIO(base64.b64decode((image["src"] or "").partition(",")[2])))


def test_a_full_run_makes_one_self_contained_page(full_page: str) -> None:
    """The page loads nothing from anywhere, its tags are balanced, its ids unique, its pictures described."""
    page = Page(full_page)
    assert [link for link in page.links if not link.startswith(("#", "data:image/"))] == []
    assert {link[1:] for link in page.links if link.startswith("#")} <= set(page.ids)
    assert sorted(page.ids) == sorted(set(page.ids))
    assert [image for image in page.images if not image["alt"]] == []
    assert re.findall(r"https?://|@import|url\((?!#)", full_page) == []
    assert len(full_page) < 1_000_000


def test_scores_stand_beside_floor_and_protocol(full_page: str) -> None:
    """A score is shown with unit, floor and protocol, also one of a measure that the page does not know."""
    text = _text(full_page)
    assert "20.1 SWD x1000 floor 9.00 · lower is better 32 20.1" in text
    assert "2.2 \u00d7 its floor of 9.00" in text
    assert "real count 2,048 split train" in text
    assert "novel 0.500 no floor measured" in text


def test_generated_and_real_have_the_same_layout(full_page: str) -> None:
    """Both grids are embedded without loss; the real one holds stored pictures, evenly spread."""
    page = Page(full_page)
    generated, real, *rest = _pictures(page)
    assert generated.size == (8 * 34 - 2, 8 * 34 - 2)
    assert np.array_equal(np.asarray(generated), np.asarray(GRID))
    assert np.array_equal(np.asarray(real), np.asarray(grids.grid(split_pictures("train"), 8)))
    assert [picture.size for picture in rest] == [(270, 270), (270, 270), (66, 270)]


def test_a_bare_run_names_what_is_missing_and_the_command(bare_page: tuple[Path, str]) -> None:
    """With only config.json the page is complete, and each gap says which command fills it."""
    root, text = bare_page
    Page(text)
    tail = f"smoke --source '/pictures of/faces' --data-root {root} --set train.seed=3"
    found = re.findall(r"Not there yet: ([^.]+)\.</strong>\s*Made by<br><code>([^<]+)</code>", text)
    assert [(what, command.replace("&#39;", "'")) for what, command in found] == [
        ("the samples", f"faceloom sample {tail}"),
        ("snapshots of the training", f"faceloom train {tail}"),
        ("the final scores", f"faceloom evaluate {tail}"),
        ("the training log", f"faceloom train {tail}"),
        ("times of stages", f"faceloom run {tail}"),
    ]
    assert "Nothing was trained yet." in text


def test_a_finished_report_is_left_alone(tmp_path: Path) -> None:
    """Equal inputs return at once, also after more stages have run; a new line of the log renews the page."""
    dataset = _dataset(tmp_path)
    run_dir = _full_run(tmp_path, dataset)
    path = write_report(run_dir, dataset).path
    before = path.stat().st_ino
    with (run_dir / "stages.jsonl").open("a") as stream:
        stream.write(json.dumps(_stage("train", 0.1, "already done")) + "\n")
    write_report(run_dir, dataset)
    assert path.stat().st_ino == before
    with (run_dir / "metrics.jsonl").open("a") as stream:
        stream.write('{"kimg": 3.0, "loss_g": 1.0, "loss_d": 1.0}\n')
    write_report(run_dir, dataset)
    assert path.stat().st_ino != before


def test_a_damaged_page_is_written_again_to_the_byte(tmp_path: Path) -> None:
    """A page that does not verify is made again, and equal inputs give equal bytes."""
    dataset = _dataset(tmp_path)
    run_dir = _full_run(tmp_path, dataset)
    path = write_report(run_dir, dataset).path
    before = path.read_bytes()
    path.write_bytes(before[:100])
    assert write_report(run_dir, dataset).path.read_bytes() == before


def test_names_of_pictures_are_text(full_page: str) -> None:
    """A key with markup in it is shown as it is, and runs nothing."""
    assert "<code>a/&lt;script&gt;alert(1)&lt;/script&gt;é日.jpg</code> truncated" in full_page
    assert Page(full_page).scripts == 1


def test_damaged_inputs_cost_their_part_of_the_page_only(tmp_path: Path) -> None:
    """Broken pictures, logs, samples and shards are named or left out; the page is still written."""
    dataset = _dataset(tmp_path)
    run_dir = _full_run(tmp_path, dataset)
    (run_dir / "metrics.jsonl").write_text(
        '{"kimg": 1.0, "loss_g": NaN, "loss_d": Infinity}\n{"kimg": 1.5, "lo'
    )
    (run_dir / "snapshots" / "000000001000.png").write_bytes(b"\x89PNG\r\n\x1a\nno")
    (run_dir / "samples" / "grid.png").write_bytes(b"")
    (run_dir / "stages.jsonl").write_text("")
    (dataset.path / "train-00000-of-00003.tfrecord").write_bytes(b"0123456789abcdef")
    text = write_report(run_dir, dataset).path.read_text(encoding="utf-8")
    assert len(Page(text).images) == 2  # the undamaged snapshot, and its column in the strip
    assert "A loss is not a finite number in 1 line of the log, first at 1 kimg." in text
    assert "Left out of the logs: 1 unreadable line." in text
    assert "Not there yet: the samples." in text
    assert "The real pictures cannot be shown:" in text
    assert "damaged record length at byte 0" in text


def test_without_config_there_is_no_run(tmp_path: Path, tiny_dataset: DatasetManifest) -> None:
    """A folder that is no run is refused with its name."""
    with pytest.raises(ArtifactError, match=r"config\.json is missing or damaged; train again"):
        write_report(tmp_path, tiny_dataset)


def test_config_of_another_version_is_shown_without_a_command(tmp_path: Path) -> None:
    """Unknown keys are listed; the command, which cannot be rebuilt, is not."""
    dataset = _dataset(tmp_path)
    run_dir = _bare_run(tmp_path, dataset)
    run = json.loads((run_dir / "config.json").read_text())
    run["config"]["train"]["future_option"] = 7
    artifacts.write_json(run_dir / "config.json", run)
    text = write_report(run_dir, dataset).path.read_text(encoding="utf-8")
    assert '<th scope="row">future_option<small></small></th><td><mark>7</mark></td>' in text
    assert "the command cannot be rebuilt from it" in text


def test_changed_values_are_marked_beside_their_default(bare_page: tuple[Path, str]) -> None:
    """A value that is not the default is marked; a default is not."""
    _, text = bare_page
    assert "<mark>3</mark><small>default 0</small>" in text
    assert re.findall(r'row">latent_size<small>[^<]+</small></th><td>([^<]+)</td>', text) == ["100"]


def test_mirrored_copies_are_passed_over(
    tmp_path: Path, make_dataset: Callable[..., DatasetManifest]
) -> None:
    """Where a data set stores mirrored copies, the real pictures are the originals."""
    mirrored = make_dataset(tmp_path / "mirrored", count=8, mirrored=True)
    shown = report.real_pictures(mirrored, "train", 64)
    assert np.array_equal(np.asarray(shown), np.asarray(grids.grid(split_pictures("train", 8), 8)))


def test_real_pictures_are_spread_evenly(tiny_dataset: DatasetManifest) -> None:
    """Four of the sixteen in the first shard are every fourth; an empty split is refused."""
    shown = report.real_pictures(tiny_dataset, "train", 4)
    assert np.array_equal(np.asarray(shown), np.asarray(grids.grid(split_pictures("train")[:16:4], 8)))
    with pytest.raises(ArtifactError, match="has no pictures in the split 'test'"):
        report.real_pictures(tiny_dataset, "test", 4)


def test_large_pictures_are_made_to_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Noise, which no format compresses, is shrunk until the picture keeps its share of the page."""
    dataset = _dataset(tmp_path)
    run_dir = _full_run(tmp_path, dataset)
    monkeypatch.setattr(report, "_GRID_BYTES", 20_000)
    noise = np.random.default_rng(0).integers(0, 256, (400, 400, 3), np.uint8)
    _publish(run_dir / "samples", "samples", {"noise": 1}, Image.fromarray(noise))
    page = Page(write_report(run_dir, dataset).path.read_text(encoding="utf-8"))
    assert next(_pictures(page)).size in {(200, 200), (100, 100)}
    assert len(page.images[0]["src"] or "") <= 20_000 * 4 / 3 + 100


def test_findings_name_what_spoils_a_run() -> None:
    """An interrupted stage, an unfinished training, a dominant discriminator and a rising score are named."""
    metrics = Log(({"kimg": 1.0, "loss_g": 1, "loss_d": 1, "accuracy_real": 1.0, "accuracy_fake": 0.98},))
    scores = Log(({"kimg": 1.0, "swd": 10.0}, {"kimg": 2.0, "swd": 12.5}))
    assert report.findings(1.0, 4.0, metrics, scores, [{"name": "train", "outcome": "interrupted"}]) == [
        "The stage “train” was interrupted.",
        "Training is at 1 of 4 kimg: this page shows an unfinished run.",
        "In the last fifth the discriminator was right 99% of the time: too strong to teach.",
        "On the way the SWD was best at 1 kimg (10); it has risen to 12.5 since.",
    ]
    assert report.findings(4.0, 4.0, Log(), Log(), [{"name": "train", "outcome": "done"}]) == []


def test_attempts_of_a_stage_are_summed() -> None:
    """Failed attempts count; a later look at finished work does not; the report does not judge itself."""
    lines = [
        _stage("train", 10.0, "failed"),
        _stage("train", 5.0, "done"),
        _stage("train", 1.0, "already done"),
    ]
    log = Log((*lines, _stage("report", 1.0, "failed")))
    expected = {"name": "train", "seconds": 15.0, "runs": 2, "outcome": "done"}
    assert report.stage_times(log) == [{**expected, "started": "2026-11-22T02:10:00+00:00"}]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (2048, "2,048"),
        (True, "yes"),
        (0.28, "0.28"),
        (36.0, "36"),
        (12345.6, "12,346"),
        (float("nan"), "not finite"),
        (None, "none"),
        ({"train": 300, "test": 2}, "train 300, test 2"),
        ([64, 32], "64, 32"),
        ("ab" * 32, "abababababab"),
        ("celeba-148", "celeba-148"),
    ],
)
def test_values_are_shown_for_reading(value: Any, shown: str) -> None:
    """Numbers have separators, collections commas, digests twelve digits."""
    assert report.show(value) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(8.12, "8.1 s"), (59.99, "1 min 00 s"), (750, "12 min 30 s"), (11100, "3 h 05 min")],
)
def test_durations(seconds: float, shown: str) -> None:
    """A duration has the two units that matter."""
    assert report.duration(seconds) == shown


def test_times_are_utc() -> None:
    """A time with an offset is shown in UTC; a text that is no time stays as it is."""
    assert report.when("2026-11-22T02:10:00+02:00") == "22 November 2026, 00:10 UTC"
    assert report.when("yesterday") == "yesterday"
