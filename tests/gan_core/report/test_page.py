import base64
import dataclasses
import io
import json
import re
import shutil
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gan_core import artifacts, grids, report
from gan_core.artifacts import digest_of
from gan_core.config import load_config
from gan_core.errors import ArtifactError
from gan_core.handoff import DatasetManifest, run_digest, run_folder
from gan_core.report import write_report
from tests import datasets
from tests.datasets import split_pictures

VOID = {"meta", "img", "input", "br", "link", "hr"}
EVIL = "a/<script>alert(1)</script>é日.jpg"
GRID = grids.grid(datasets.smooth_pictures(64, 32, 3), 8)
SCORES = {
    "swd": {
        "value": 20.125,
        "floor": 9.0,
        "unit": "SWD x1000",
        "better": "lower",
        "parts": {"32": {"value": 22.0, "floor": 9.5}, "16": {"value": 18.25, "floor": 8.5}},
    },
    "ms_ssim": {
        "value": 0.5,
        "floor": 0.25,
        "unit": "MS-SSIM",
        "better": "lower",
        "parts": {"real_a": 0.24, "real_b": 0.26},
        "note": "above the floor: less diverse",
    },
    "novel": {"value": 0.5},
}
PROTOCOL = {
    "requested_count": 4096,
    "real_count": 2048,
    "floor_count": 2048,
    "generated_count": 2048,
    "split": "train",
    "mirrored": False,
    "parameters": {"swd": {"levels": [32, 16], "window": 7}, "ms_ssim": {"pairs": 1024}},
    "note": "2048 pictures a set: of 8192 real ones asked for there are 4096",
}


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
        self.links += [value or "" for key, value in attrs if key in {"src", "href", "srcset", "data", "action"}]
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
        "machine": {"cpus": 2},
    }
    artifacts.write_json(run_dir / "config.json", facts)
    return run_dir


def _full_run(root: Path, dataset: DatasetManifest) -> Path:
    run_dir = _bare_run(root, dataset)
    _lines(run_dir / "metrics.jsonl", [{"kimg": k, "loss_g": 2 - k / 2, "loss_d": 0.5} for k in (1.0, 2.0)])
    _lines(run_dir / "snapshot_scores.jsonl", [{"kimg": k, "swd": 20 / k, "swd_floor": 9.0} for k in (1.0, 2.0)])
    _lines(run_dir / "stages.jsonl", [_stage("train", 750.0, "failed"), _stage("train", 30.0, "done")])
    (run_dir / "snapshots").mkdir()
    for images in (1000, 2000):
        GRID.save(run_dir / "snapshots" / f"{images:012d}.png")
    checkpoint = {"images_seen": 2000, "progress": {"seconds": 30.0, "device": "NVIDIA H200"}}
    _publish(run_dir / "checkpoints" / "000000002000", "checkpoint", checkpoint)
    _publish(run_dir / "samples", "samples", {"seed": 0, "images_seen": 2000}, GRID)
    _publish(run_dir / "scores", "scores", {"values": SCORES, "protocol": PROTOCOL})
    return run_dir


@dataclasses.dataclass(frozen=True)
class Written:
    """A run, its data set, and the page about it."""

    run_dir: Path
    dataset: DatasetManifest
    path: Path
    text: str


def _written(run_dir: Path, dataset: DatasetManifest) -> Written:
    path = write_report(run_dir, dataset).path
    return Written(run_dir, dataset, path, path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Written:
    """A run with everything that its stages leave, and its page. Whoever changes it copies it first."""
    root = tmp_path_factory.mktemp("full")
    dataset = _dataset(root)
    return _written(_full_run(root, dataset), dataset)


@pytest.fixture
def copied(full: Written, tmp_path: Path) -> tuple[Path, DatasetManifest]:
    """A copy of the full run without its page, and of its data set."""
    run_dir, folder = tmp_path / "runs" / full.run_dir.name, tmp_path / "datasets" / "tiny-32"
    shutil.copytree(full.run_dir, run_dir, ignore=shutil.ignore_patterns("report"))
    shutil.copytree(full.dataset.path, folder)
    return run_dir, dataclasses.replace(full.dataset, path=folder)


@pytest.fixture
def renderings(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The runs whose page is rendered from now on; the page is a stub."""
    rendered: list[Path] = []

    def render(run_dir: Path, *_: Any) -> str:
        rendered.append(run_dir)
        return "page"

    monkeypatch.setattr(report, "_render", render)
    return rendered


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Written:
    """A run of which only config.json stands, and its page."""
    root = tmp_path_factory.mktemp("bare")
    dataset = _dataset(root)
    return _written(_bare_run(root, dataset), dataset)


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


def test_a_full_run_makes_one_self_contained_page(full: Written) -> None:
    """The page loads nothing from anywhere, its tags are balanced, its ids unique, its pictures described."""
    page = Page(full.text)
    assert [link for link in page.links if not link.startswith(("#", "data:image/"))] == []
    assert {link[1:] for link in page.links if link.startswith("#")} <= set(page.ids)
    assert sorted(page.ids) == sorted(set(page.ids))
    assert [image for image in page.images if not image["alt"]] == []
    assert re.findall(r"https?://|@import|url\((?!#)", full.text) == []
    assert len(full.text) < 1_000_000


def test_scores_stand_beside_floor_parts_and_protocol(full: Written) -> None:
    """A score is shown with unit, floor, parts and protocol, also one of a measure that the page does not know."""
    text = _text(full.text)
    assert "20.1 SWD x1000 floor 9.00 · lower is better" in text
    assert "Scale Value Floor 32 px 22.0 9.50 16 px 18.2 8.50" in text
    assert "2.2 \u00d7 its floor of 9.00" in text
    counts = "2,048 generated 2,048 real 2,048 other real for the floor split train mirrored no"
    assert f"{counts} levels 32, 16 window 7" in text
    assert "0.500 MS-SSIM floor 0.250 · best near the floor" in text
    assert "Part Value first real set 0.240 second real set 0.260" in text
    assert "Note: above the floor: less diverse" in text
    assert f"{counts} pairs 1,024" in text
    assert "novel 0.500 no floor measured" in text
    assert "Fewer pictures than asked for: 2048 pictures a set" in text


def test_measures_say_what_they_do_not_see(full: Written) -> None:
    """The page warns that SWD ignores a set's brightness, and that MS-SSIM sees gross collapse only."""
    text = _text(full.text)
    assert "It does not see: The brightness and contrast of a set as a whole" in text
    assert "It does not see: Everything but gross collapse" in text


def test_the_device_of_the_training_is_named(full: Written, bare: Written) -> None:
    """Header and lineage name the device that the newest checkpoint names; without one they leave it out."""
    assert "· trained on NVIDIA H200" in _text(full.text)
    assert "<dt>device</dt><dd>NVIDIA H200</dd>" in full.text
    assert "trained on" not in _text(bare.text)
    assert "<dt>device</dt>" not in bare.text


def test_generated_and_real_have_the_same_layout(full: Written) -> None:
    """Both grids are embedded without loss; the real one holds stored pictures, evenly spread."""
    page = Page(full.text)
    generated, real, *rest = _pictures(page)
    assert np.array_equal(np.asarray(generated), np.asarray(GRID))
    assert np.array_equal(np.asarray(real), np.asarray(grids.grid(split_pictures("train"), 8)))
    assert [picture.size for picture in rest] == [(270, 270), (270, 270), (66, 270), (134, 134)]


def test_a_bare_run_names_what_is_missing_and_the_command(bare: Written) -> None:
    """With only config.json the page is complete, and each gap says which command fills it."""
    Page(bare.text)
    tail = f"smoke --source '/pictures of/faces' --data-root {bare.run_dir.parents[1]} --set train.seed=3"
    found = re.findall(r"Not there yet: ([^.]+)\.</strong>\s*Made by<br><code>([^<]+)</code>", bare.text)
    assert [(what, command.replace("&#39;", "'")) for what, command in found] == [
        ("the samples", f"faceloom sample {tail}"),
        ("snapshots of the training", f"faceloom train {tail}"),
        ("the final scores", f"faceloom evaluate {tail}"),
        ("the training log", f"faceloom train {tail}"),
        ("times of stages", f"faceloom run {tail}"),
    ]
    assert "Nothing was trained yet." in bare.text


def test_a_finished_report_is_left_alone(copied: tuple[Path, DatasetManifest], renderings: list[Path]) -> None:
    """Equal inputs return at once, also after more stages have run; a new line of the log renews the page."""
    run_dir, dataset = copied
    write_report(run_dir, dataset)
    with (run_dir / "stages.jsonl").open("a") as stream:
        stream.write(json.dumps(_stage("train", 0.1, "already done")) + "\n")
    write_report(run_dir, dataset)
    assert renderings == [run_dir]
    with (run_dir / "metrics.jsonl").open("a") as stream:
        stream.write('{"kimg": 3.0, "loss_g": 1.0, "loss_d": 1.0}\n')
    write_report(run_dir, dataset)
    assert renderings == [run_dir, run_dir]


def test_a_damaged_page_is_written_again(copied: tuple[Path, DatasetManifest], renderings: list[Path]) -> None:
    """A page that does not verify is made again."""
    path = write_report(*copied).path
    path.write_text("pa")
    assert write_report(*copied).path.read_text() == "page"
    assert len(renderings) == 2


def test_equal_inputs_give_equal_bytes(full: Written, copied: tuple[Path, DatasetManifest]) -> None:
    """A page holds no date of its own: another copy of the run gives it to the byte, its own folder aside."""
    run_dir, dataset = copied
    text = write_report(run_dir, dataset).path.read_text(encoding="utf-8")
    assert text == full.text.replace(str(full.run_dir.parents[1]), str(run_dir.parents[1]))


def test_names_of_pictures_are_text(full: Written) -> None:
    """A key with markup in it is shown as it is, and runs nothing."""
    assert "<code>a/&lt;script&gt;alert(1)&lt;/script&gt;é日.jpg</code> truncated" in full.text
    assert Page(full.text).scripts == 1


def test_damaged_inputs_cost_their_part_of_the_page_only(copied: tuple[Path, DatasetManifest]) -> None:
    """Broken pictures, logs, samples and shards are named or left out; the page is still written."""
    run_dir, dataset = copied
    (run_dir / "metrics.jsonl").write_text('{"kimg": 1.0, "loss_g": NaN, "loss_d": Infinity}\n{"kimg": 1.5, "lo')
    (run_dir / "snapshots" / "000000001000.png").write_bytes(b"\x89PNG\r\n\x1a\nno")
    (run_dir / "samples" / "grid.png").write_bytes(b"")
    (run_dir / "stages.jsonl").write_text("")
    (dataset.path / "train-00000-of-00003.tfrecord").write_bytes(b"0123456789abcdef")
    text = write_report(run_dir, dataset).path.read_text(encoding="utf-8")
    assert len(Page(text).images) == 3  # the undamaged snapshot, its column in the strip, its GIF
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


def test_changed_values_are_marked_beside_their_default(bare: Written) -> None:
    """A value that is not the default is marked; a default is not."""
    assert "<mark>3</mark><small>default 0</small>" in bare.text
    assert re.findall(r'row">latent_size<small>[^<]+</small></th><td>([^<]+)</td>', bare.text) == ["100"]
