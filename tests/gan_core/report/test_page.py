import base64
import dataclasses
import io
import itertools
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gan_core import artifacts, grids
from gan_core.errors import ArtifactError
from gan_core.handoff import DatasetManifest
from gan_core.report import page, write_report
from gan_core.report.drawing import source_hash
from tests import datasets, report_runs
from tests.datasets import split_pictures
from tests.gan_core.report.pages import Page, without_scripts, words

GENERATED = datasets.smooth_pictures(64, 32, 3)
GRID = grids.grid(GENERATED, 8)


def _full_run(root: Path, dataset: DatasetManifest) -> Path:
    return report_runs.full_run(root, dataset, GENERATED, datasets.smooth_pictures(64, 32, 3, seed=5))


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
    dataset = report_runs.data_set(root)
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

    monkeypatch.setattr(page, "_render", render)
    return rendered


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Written:
    """A run of which only config.json stands, and its page."""
    root = tmp_path_factory.mktemp("bare")
    dataset = report_runs.data_set(root)
    return _written(report_runs.bare_run(root, dataset), dataset)


def _pictures(page: Page) -> Iterator[Image.Image]:
    for image in page.images:
        yield Image.open(io.BytesIO(base64.b64decode((image["src"] or "").partition(",")[2])))


def test_the_device_of_the_training_is_named(full: Written, bare: Written) -> None:
    """Header and lineage name the device that the newest checkpoint names; without one they leave it out."""
    assert "· trained on NVIDIA H200" in words(full.text)
    assert "<dt>device</dt><dd>NVIDIA H200</dd>" in full.text
    assert "trained on" not in words(bare.text)
    assert "<dt>device</dt>" not in bare.text


def test_a_finished_report_is_left_alone(copied: tuple[Path, DatasetManifest], renderings: list[Path]) -> None:
    """Equal inputs return at once, also after more stages have run; a new line of the log renews the page."""
    run_dir, dataset = copied
    write_report(run_dir, dataset)
    with (run_dir / "stages.jsonl").open("a") as stream:
        stream.write(json.dumps(report_runs.stage("train", 0.1, "already done")) + "\n")
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


def test_without_config_there_is_no_run(tmp_path: Path, tiny_dataset: DatasetManifest) -> None:
    """A folder that is no run is refused with its name."""
    with pytest.raises(ArtifactError, match=r"config\.json is missing or damaged; train again"):
        write_report(tmp_path, tiny_dataset)


def test_config_of_another_version_is_shown_without_a_command(tmp_path: Path) -> None:
    """Unknown keys are listed; the command, which cannot be rebuilt, is not."""
    dataset = report_runs.data_set(tmp_path)
    run_dir = report_runs.bare_run(tmp_path, dataset)
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


def test_a_full_run_makes_one_self_contained_page(full: Written) -> None:
    """The page loads nothing from anywhere, its tags are balanced, its ids unique, its pictures described."""
    found = Page(full.text)
    assert [link for link in found.links if not link.startswith(("#", "data:image/"))] == []
    assert {link[1:] for link in found.links if link.startswith("#")} <= set(found.ids)
    assert sorted(found.ids) == sorted(set(found.ids))
    assert [image for image in found.images if not image["alt"]] == []
    assert re.findall(r"https?://|@import|url\((?!#)", without_scripts(full.text)) == []
    assert len(full.text) < 2_000_000


def test_only_the_page_s_own_scripts_may_run(full: Written) -> None:
    """The policy names each script by its hash and allows no eval and no request."""
    found = Page(full.text)
    hashes = " ".join(map(source_hash, found.scripts))
    assert found.policy == (
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
        f"script-src {hashes}; base-uri 'none'; form-action 'none'"
    )
    assert len(found.scripts) == 3


def test_headings_and_landmarks_are_in_order(full: Written) -> None:
    """One h1, no level is skipped, and the page has its landmarks."""
    tags = Page(full.text).tags
    levels = [int(tag[1]) for tag in tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    assert [tag for tag in tags if tag in {"nav", "header", "main", "footer"}] == ["nav", "header", "main", "footer"]


def test_scores_stand_with_error_floor_parts_and_protocol(full: Written) -> None:
    """A score is shown with error, floor, parts, fingerprint and protocol, also one that the page does not know."""
    text = words(full.text)
    assert "Fr\u00e9chet distance 38.25 \u00b1 0.75 floor 6.50 \u00b1 0.25, 5.9 times as much" in text
    assert "20.12 \u00b1 0.25 x1000 floor 9.00 \u00b7 lower is better" in text
    assert "Scale Value Floor 32 px 22.0 9.50 16 px 18.2 8.50" in text
    assert "0.500 floor 0.250 \u00b7 best near the floor" in text
    assert "Part Value first real set 0.240 second real set 0.260" in text
    assert "Note: above the floor: less diverse" in text
    own = "fingerprint 0123456789ab 2,048 generated 2,048 real dataset digest dddddddddddd split train"
    assert text.count(own) == 7
    assert "novel 0.500 no floor measured Part Value 7 0.250" in text
    assert "levels 32, 16 window 7" in text
    assert "Fewer pictures than asked for: 2048 pictures a set" in text
    assert "These are scores of 2,048 pictures. Below 10,000" in text
    assert "Fr\u00e9chet distance has warnings: see Scores." in text
    assert "few &lt;pictures&gt;" in full.text


def test_measures_say_what_they_do_not_see(full: Written) -> None:
    """The page warns that SWD ignores a set's brightness, and that MS-SSIM sees gross collapse only."""
    text = words(full.text)
    assert "It does not see: The brightness and contrast of a set as a whole" in text
    assert "It does not see: Everything but gross collapse" in text


def test_memorisation_is_told(full: Written) -> None:
    """Well above what unseen real pictures get, the share of samples near a training picture is a warning."""
    assert "60.0 % of the samples are closer to a training picture" in words(full.text)
    assert "of real pictures that were not trained on, 37.5 % are. The generator may repeat" in words(full.text)
    neighbours = [image["alt"] for image in Page(full.text).images if (image["alt"] or "").startswith("neighbours")]
    assert neighbours[0] == ("neighbours: sample 1, then its nearest training pictures at 0.5, 0.55, 0.6, 0.65, 0.7")
    assert len(neighbours) == 4


def test_generated_and_real_have_the_same_layout(full: Written) -> None:
    """Both grids are embedded without loss; the real one holds stored pictures, evenly spread."""
    hero, generated, real, *_ = _pictures(Page(full.text))
    assert np.array_equal(np.asarray(generated), np.asarray(GRID))
    assert np.array_equal(np.asarray(real), np.asarray(grids.grid(split_pictures("train"), 8)))
    assert hero.size == (270, 202)


def test_everything_of_a_full_run_is_there(full: Written) -> None:
    """No part is missing, and each has its pictures: sheets, classes, film, networks, thumbnail of a reject."""
    assert "Not there yet" not in full.text
    alts = [image["alt"] or "" for image in Page(full.text).images]
    assert [alt for alt in alts if alt.startswith(("interpolations", "classes"))] == [
        "interpolations: from seed 0 to seed 1",
        "interpolations: from seed 2 to seed 3",
        "interpolations: from seed 4 to seed 5",
        "classes: cat",
        "classes: <b>dog</b>",
    ]
    assert {"Most realistic samples", "Least realistic samples", "Rejected: b.jpg"} <= set(alts)
    assert len([alt for alt in alts if alt.startswith("Fixed latent vectors after")]) == 9
    assert "Rejected: a.jpg" not in alts  # it has no tile
    assert "prepare 12.0 s 3,300 412" in words(full.text)
    text = words(full.text)
    assert "best 21 " in text and "Nothing of this run was promoted (blessed)." in text
    assert "cat 30.50 \u00b1 0.50 floor 12.0" in text
    assert "Conv2D + LeakyReLU" in full.text


def test_a_promoted_checkpoint_renews_the_page(copied: tuple[Path, DatasetManifest]) -> None:
    """The registry's checkpoint of this run is marked; that of another run is not."""
    run_dir, dataset = copied
    root = run_dir.parents[1]
    report_runs.bless(root, run_dir.with_name("other"), 6000)
    assert "Nothing of this run was promoted" in write_report(run_dir, dataset).path.read_text(encoding="utf-8")
    report_runs.bless(root, run_dir, 6000)
    text = words(write_report(run_dir, dataset).path.read_text(encoding="utf-8"))
    assert "blessed 6 40.1 \u00b1 2.2" in text
    assert "Blessed: the one that was promoted." in text


def test_a_bare_run_names_what_is_missing_and_the_command(bare: Written) -> None:
    """With only config.json the page is complete, and each gap says which command fills it."""
    Page(bare.text)
    tail = f"smoke --source '/pictures of/faces' --data-root {bare.run_dir.parents[1]} --set train.seed=3"
    found = re.findall(r"Not there yet: ([^.]+)\.</strong>\s*Made by<br><code>([^<]+)</code>", bare.text)
    assert [(what, command.replace("&#39;", "'")) for what, command in found] == [
        ("the samples", f"faceloom sample {tail}"),
        ("interpolations", f"faceloom sample {tail}"),
        ("the best and the worst samples", f"faceloom evaluate {tail}"),
        ("snapshots of the training", f"faceloom train {tail}"),
        ("the final scores", f"faceloom evaluate {tail}"),
        ("the nearest training pictures", f"faceloom evaluate {tail}"),
        ("the training log", f"faceloom train {tail}"),
        ("the description of the networks", f"faceloom train {tail}"),
        ("times of stages", f"faceloom run {tail}"),
    ]
    assert "Nothing was trained yet." in bare.text
    assert "There is no checkpoint yet." in bare.text


def test_names_from_the_data_are_text(full: Written) -> None:
    """A key, a class and a warning with markup in them are shown as they are, and run nothing."""
    assert "<code>a/&lt;script&gt;alert(1)&lt;/script&gt;é日.jpg</code> truncated" in full.text
    assert "&lt;b&gt;dog&lt;/b&gt;" in full.text
    assert "<b>dog" not in full.text
    assert "alert(1)</script>" not in full.text


def test_damaged_inputs_cost_their_part_of_the_page_only(copied: tuple[Path, DatasetManifest]) -> None:
    """Broken pictures, logs, samples, networks and shards are named or left out; the page is still written."""
    run_dir, dataset = copied
    (run_dir / "metrics.jsonl").write_text('{"kimg": 1.0, "loss_g": NaN, "loss_d": Infinity}\n{"kimg": 1.5, "lo')
    for path in sorted((run_dir / "snapshots").iterdir())[1:]:
        path.write_bytes(b"\x89PNG\r\n\x1a\nno")
    (run_dir / "samples" / "grid.png").write_bytes(b"")
    (run_dir / "stages.jsonl").write_text("")
    (run_dir / "networks.json").write_text('{"generator": {"layers": 3}, "discriminator": []}')
    (dataset.path / "train-00000-of-00003.tfrecord").write_bytes(b"0123456789abcdef")
    text = write_report(run_dir, dataset).path.read_text(encoding="utf-8")
    alts = [image["alt"] for image in Page(text).images]
    assert alts.count("Fixed latent vectors after 0.0 kimg") == 1
    assert "A loss is not a finite number in 1 line of the log, first at 1 kimg." in text
    assert "Left out of the logs: 1 unreadable line." in text
    assert "Not there yet: the samples." in text
    assert "Not there yet: the description of the networks." in text
    assert "The real pictures cannot be shown:" in text
    assert "damaged record length at byte 0" in text
