from __future__ import annotations

import math
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from beam_jobs.preprocess import prepare, run
from beam_jobs.sources.base import survey
from beam_jobs.sources.registry import open_source
from gan_core import artifacts
from gan_core.config import DataConfig
from gan_core.errors import DataError
from gan_core.handoff import DatasetManifest
from gan_core.progress import Progress
from tests import pictures
from tests.celeba import write_celeba
from tests.pictures import encode, scene
from tests.prepared import cut, records, rejects, shard_bytes, square_config, write_scenes

README = Path(__file__).parents[2] / "data" / "README.md"
SHARED = Path(__file__).parents[3] / "shared" / "data"
BESIDE_SHARDS = [
    "dataset_info.json",
    "features.json",
    "manifest.json",
    "preview.png",
    "rejects.jsonl",
    "shards.jsonl",
]
FOUR_PROCESSES = ("--direct_num_workers=4", "--direct_running_mode=multi_processing")


def test_every_awkward_picture(tmp_path: Path) -> None:
    """Each awkward file becomes its pixels or its reject, and the neighbours of a reject survive."""
    (tmp_path / "in").mkdir()
    kinds = pictures.write_awkward(tmp_path / "in")
    dataset = prepare(square_config(tmp_path / "in", max_reject_fraction=0.5), tmp_path)
    lines = rejects(dataset)
    assert [(line["key"], line["reason"]) for line in lines] == [
        ("32-bit-beyond.tif", "unsupported"),
        ("bomb.ico", "too-large"),
        ("bomb.png", "too-large"),
        ("damaged.png", "damaged"),
        ("empty.jpg", "empty"),
        ("flipped-bit.png", "damaged"),
        ("float-nan.tif", "unsupported"),
        ("one-pixel.png", "too-small"),
        ("postscript.jpg", "not-a-picture"),
        ("text.jpg", "not-a-picture"),
        ("truncated.jpg", "truncated"),
        ("truncated.png", "truncated"),
        ("without-end.png", "truncated"),
    ]
    assert dataset.rejects == {
        "damaged": 2,
        "empty": 1,
        "not-a-picture": 2,
        "too-large": 2,
        "too-small": 1,
        "truncated": 3,
        "unsupported": 2,
    }
    kept = {record["key"].decode(): record["image"] for record in records(dataset)}
    assert set(kept) == set(kinds) - {line["key"] for line in lines}
    for name, image in kept.items():
        shown = cast(npt.NDArray[np.uint8], kinds[name].pixels)
        height, width = shown.shape[:2]  # icons are square
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        square = Image.fromarray(shown[top : top + side, left : left + side]).resize((32, 32), Image.Resampling.LANCZOS)
        assert np.abs(image.astype(int) - np.asarray(square).astype(int)).max() <= 2 * kinds[name].tolerance, name


def test_records_and_manifest(tmp_path: Path) -> None:
    """Keys, labels, splits, counts and facts of a small CelebA, all of them."""
    root = write_celeba(tmp_path / "in", count=8)
    reported: list[Progress] = []
    dataset = prepare(DataConfig(path=str(root), resolution=32), tmp_path, report_progress=reported.append)
    assert dataset.path == tmp_path / "datasets" / f"celeba-32-{dataset.digest[:12]}"
    assert {split: dataset.count(split) for split in dataset.splits} == {"train": 6, "validation": 1, "test": 1}
    assert list(shard_bytes(dataset)) == [
        "train-00000-of-00001.tfrecord",
        "validation-00000-of-00001.tfrecord",
        "test-00000-of-00001.tfrecord",
    ]
    train = records(dataset)
    assert [record["key"] for record in train] == [b"%06d.jpg" % index for index in range(1, 7)]
    assert [record["attributes"] for record in train] == [[1, 1], [0, 1]] * 3
    assert [record["identity"] for record in train] == [[100 + index] for index in range(1, 7)]
    assert [record["mirrored"] for record in train] == [[0]] * 6
    assert {tuple(record["shape"]) for record in train} == {(32, 32, 3)}
    assert [record["key"] for record in records(dataset, "test")] == [b"000008.jpg"]
    assert (dataset.name, dataset.attribute_names) == ("celeba", ("Odd", "Face"))
    assert dataset.source["counts"] == {"train": 6, "validation": 1, "test": 1}
    assert dataset.protocol == {
        "crop": "celeba-148",
        "filter": "lanczos",
        "gray_world": False,
        "flip": "train",
        "storage": "uint8",
        "jpeg_quality": 95,
        "normalize": "[-1,1]",
        "background": "white",
    }
    assert dataset.normalization == {"scale": [2 / 255] * 3, "offset": [-1.0] * 3}
    assert {"faceloom", "pillow"} <= set(dataset.created_by)
    assert sorted(path.name for path in dataset.path.iterdir()) == sorted([*BESIDE_SHARDS, *shard_bytes(dataset)])
    assert (dataset.path / "rejects.jsonl").read_bytes() == b""
    last = reported[-1]
    assert (last.stage, last.done, last.total, last.unit) == ("prepare", 8, 8, "images")
    assert set(last.figures) == {"rejects", "images_per_second"}


def test_readme_example_reads_the_records(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The example in data/README.md reads a data set with TensorFlow alone, with and without attributes."""
    (code,) = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert code.count("data/datasets/synthetic-64-0123456789ab") == 1
    celeba = DataConfig(path=str(write_celeba(tmp_path / "celeba", count=5)), resolution=32)
    plain = square_config(write_scenes(tmp_path / "plain", 3), channels=1)
    for config in (celeba, plain):
        dataset = prepare(config, tmp_path)
        names: dict[str, Any] = {}
        exec(code.replace("data/datasets/synthetic-64-0123456789ab", str(dataset.path)), names)
        read = [{key: value.numpy() for key, value in example.items()} for example in names["dataset"]]
        for example, record in zip(read, records(dataset), strict=True):
            assert example["key"] == record["key"]
            assert np.array_equal(example["image"], record["image"])
            assert example["attributes"].tolist() == record["attributes"]
            assert [example["identity"]] == record["identity"]
            assert [example["mirrored"]] == record["mirrored"]
    assert capsys.readouterr().out.splitlines()[-1].endswith(".png (32, 32, 1)")


def test_golden_shard(tmp_path: Path) -> None:
    """The bytes of a shard are fixed: records, order, framing and pixels."""
    dataset = prepare(square_config(write_scenes(tmp_path / "in", 12), per_shard=6), tmp_path)
    assert shard_bytes(dataset) == {
        "train-00000-of-00002.tfrecord": "6e24df99192871fd93fb48d16ea97097c562a7c6bf6c5644d303d1408b01152d",
        "train-00001-of-00002.tfrecord": "037184ee0e7a72049d3fe628eb21bc4e0b32d2fb9e70e27ceddfa5a484c24970",
    }
    assert [shard.count for shard in dataset.splits["train"]] == [8, 4]


def test_same_bytes_in_memory_and_in_four_processes(tmp_path: Path) -> None:
    """One worker in memory and four processes write the same bytes, and the processes say nothing on stderr."""
    root = write_celeba(tmp_path / "in", count=40)
    (root / "img_align_celeba/000007.jpg").write_bytes(b"no picture")
    (root / "img_align_celeba/000008.jpg").write_bytes(encode(scene(178, 218), "JPEG", exif=b"Exif\0\0MM\0*x"))
    config = cut(DataConfig(path=str(root), resolution=32), 5)
    one = prepare(config, tmp_path / "one")
    command = [sys.executable, "-m", "beam_jobs.preprocess", "smoke", "--set", f"data.shard_mib={config.shard_mib}"]
    where = ["--source", root, "--data-root", tmp_path / "four", "--", *FOUR_PROCESSES]
    done = subprocess.run([*command, *where], capture_output=True, text=True, check=True)
    four = DatasetManifest.load(tmp_path / "four" / one.path.relative_to(tmp_path / "one"))
    assert (done.stdout, done.stderr) == (f"{four.path}\n", "")
    assert len(shard_bytes(one)) == 10
    assert shard_bytes(one) == shard_bytes(four)
    assert replace(one, path=four.path) == four
    assert rejects(one) == rejects(four)
    assert [line["key"] for line in rejects(four)] == ["000007.jpg"]
    hashes = [artifacts.sha256_file(made.path / "preview.png") for made in (one, four)]
    assert hashes[0] == hashes[1]


def test_zip_and_folder_give_the_same_shards(tmp_path: Path) -> None:
    """CelebA as a zip has the same keys and the same bytes as CelebA unpacked."""
    folder = write_celeba(tmp_path / "folder", count=8)
    zipped = write_celeba(tmp_path / "zipped", count=8, zipped=True)
    made = [prepare(DataConfig(path=str(path), resolution=32), tmp_path) for path in (folder, zipped)]
    assert made[0].path != made[1].path
    assert shard_bytes(made[0]) == shard_bytes(made[1])


def test_statistics_are_those_of_the_records(tmp_path: Path) -> None:
    """Mean and deviation equal NumPy's over all stored training pixels, with and without stored copies."""
    root = write_celeba(tmp_path / "in", count=30)
    for flip in ("train", "store"):
        config = cut(DataConfig(path=str(root), resolution=32, flip=flip), 7)
        dataset = prepare(config, tmp_path)
        pixels = np.stack([record["image"] for record in records(dataset)]).astype(np.float64)
        assert dataset.statistics["count"] == 28
        assert np.allclose(dataset.statistics["mean"], pixels.mean(axis=(0, 1, 2)), rtol=1e-12, atol=0)
        assert np.allclose(dataset.statistics["deviation"], pixels.std(axis=(0, 1, 2)), rtol=1e-12, atol=0)


def test_stored_flips_follow_their_originals(tmp_path: Path) -> None:
    """`data.flip=store` writes every picture and then its mirrored copy, under the same key."""
    folder = write_scenes(tmp_path / "in", 5)
    plain, stored = (prepare(square_config(folder, flip=flip), tmp_path) for flip in ("none", "store"))
    assert (plain.count("train"), stored.count("train")) == (5, 10)
    originals, both = records(plain), records(stored)
    assert [record["mirrored"] for record in both] == [[0], [1]] * 5
    for index, original in enumerate(originals):
        first, second = both[2 * index : 2 * index + 2]
        assert first["key"] == second["key"] == original["key"]
        assert np.array_equal(first["image"], original["image"])
        assert np.array_equal(second["image"], original["image"][:, ::-1])
    assert stored.statistics == plain.statistics


def test_limit(tmp_path: Path) -> None:
    """`data.limit` keeps the pictures with the smallest hashes, in a data set of its own."""
    config = square_config(write_scenes(tmp_path / "in", 12), limit=4)
    dataset = prepare(config, tmp_path)
    chosen = [ref.key for ref in survey(open_source(config, tmp_path), config)[1]]
    assert [record["key"].decode() for record in records(dataset)] == chosen
    assert len(chosen) == 4
    assert prepare(replace(config, limit=0), tmp_path).path != dataset.path


def test_finished_synthetic_data_set_needs_no_raw_pictures(tmp_path: Path) -> None:
    """The drawn pictures may be deleted once the data set is there."""
    config = DataConfig(kind="synthetic", synthetic_count=16, resolution=32)
    first = prepare(config, tmp_path)
    assert (first.count("train"), first.count("validation"), first.count("test")) == (13, 2, 1)
    for path in (tmp_path / "raw").glob("synthetic*"):
        artifacts.discard(path)
    assert prepare(config, tmp_path) == first
    assert list((tmp_path / "raw").glob("synthetic*")) == []


def test_wrong_crop_is_explained(tmp_path: Path) -> None:
    """A CelebA crop on other pictures says which crop to take."""
    folder = write_scenes(tmp_path / "in", 3)
    with pytest.raises(DataError) as caught:
        prepare(DataConfig(path=str(folder)), tmp_path)
    assert str(caught.value).endswith("data.crop=celeba-148 does not fit pictures of this shape, set data.crop=center")


def test_no_training_pictures(tmp_path: Path) -> None:
    """A data set without training pictures is refused, even where all rejects are allowed."""
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.png").write_bytes(b"text")
    with pytest.raises(DataError, match=r"has no usable picture in the split train \(rejects: not-a-picture 1\)"):
        prepare(square_config(folder, max_reject_fraction=1.0), tmp_path)


def test_preview_is_a_grid_of_the_first_pictures(tmp_path: Path) -> None:
    """Twelve pictures of 32x32 are shown magnified by two, eight in a row, with gaps of 2 pixels."""
    dataset = prepare(square_config(write_scenes(tmp_path / "in", 12), flip="store"), tmp_path)
    grid = np.asarray(Image.open(dataset.path / "preview.png"))
    assert grid.shape == (2 * 66 + 2, 8 * 66 + 2, 3)
    ninth = records(dataset)[16]
    assert np.array_equal(grid[68:132:2, 2:66:2], ninth["image"])
    assert grid[:2].min() == 255
    assert grid[-60:, -60:].min() == 255


def test_run_prints_the_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The module's own command line prepares a preset, and ends with the exit code of an error."""
    folder = write_scenes(tmp_path / "in", 4)
    arguments = ["smoke", "--source", str(folder), "--data-root", str(tmp_path), "--set", "data.crop=none"]
    assert run([*arguments, "--", "--direct_num_workers=1"]) == 0
    printed = capsys.readouterr()
    (made,) = (tmp_path / "datasets").glob("in-32-*")
    assert (printed.out, printed.err) == (f"{made}\n", "")
    assert run([*arguments, "--set", "data.crop=nun"]) == 2
    assert "data.crop must be one of" in capsys.readouterr().err


@pytest.mark.skipif(not (SHARED / "celeba").is_dir(), reason="../shared/data/celeba is not on this machine")
def test_real_celeba(tmp_path: Path) -> None:
    """200 real pictures at half of CelebA's size: none is rejected, and they have the usual colours."""
    config = DataConfig(path=str(SHARED / "celeba"), resolution=32, limit=200)
    dataset = prepare(config, tmp_path)
    assert (dataset.count("train"), dict(dataset.rejects)) == (200, {})
    assert len(dataset.attribute_names) == 40
    for mean, usual in zip(dataset.statistics["mean"], (132, 106, 92), strict=True):
        assert math.isclose(mean, usual, abs_tol=12)


def test_duplicates_are_left_out(tmp_path: Path) -> None:
    """Equal pixels are there once, whatever the files are; near ones too on request; both are counted rejects."""
    folder = write_scenes(tmp_path / "in", 12)
    (folder / "copy.png").write_bytes(encode(scene(40, 40, 3)))
    brighter = np.minimum(scene(40, 40, 5), 252) + 3
    (folder / "near.png").write_bytes(encode(brighter.astype(np.uint8)))
    kept = {
        how: prepare(square_config(folder, duplicates=how, near_bits=2), tmp_path) for how in ("keep", "exact", "near")
    }
    assert {how: dataset.count("train") for how, dataset in kept.items()} == {"keep": 14, "exact": 13, "near": 12}
    assert [dict(dataset.rejects) for dataset in kept.values()] == [
        {},
        {"duplicate": 1},
        {"duplicate": 1, "near-duplicate": 1},
    ]
    lines = {line["key"]: line for line in rejects(kept["near"])}
    assert set(lines) == {"copy.png", "near.png"}
    assert "003.png" in lines["copy.png"]["detail"]
    assert "005.png" in lines["near.png"]["detail"]
    assert kept["exact"].statistics["count"] == 13


@pytest.mark.parametrize("normalize", ["[-1,1]", "[0,1]", "mean-deviation"])
@pytest.mark.parametrize("form", ["uint8", "float32", "png", "jpeg"])
def test_every_storage_holds_the_same_pictures(form: str, normalize: str, tmp_path: Path) -> None:
    """Whatever form records have, they decode to the pixels of uint8 ones, JPEG nearly; so do their statistics."""
    folder = write_scenes(tmp_path / "in", 6)
    plain = prepare(square_config(folder), tmp_path)
    made = prepare(square_config(folder, storage=form, normalize=normalize, per_shard=3, flip="store"), tmp_path)
    pairs = {record["key"]: record["image"] for record in records(plain)}
    allowed = 40 if form == "jpeg" else 0
    for record in records(made):
        expected = pairs[record["key"]][:, ::-1] if record["mirrored"] == [1] else pairs[record["key"]]
        assert np.abs(record["image"].astype(int) - expected).max() <= allowed
    assert made.count("train") == 12
    if form != "jpeg":
        assert made.statistics == plain.statistics
    for channel in range(3) if normalize == "mean-deviation" else ():
        mean, deviation = (made.statistics[name][channel] for name in ("mean", "deviation"))
        scale, offset = (made.normalization[name][channel] for name in ("scale", "offset"))
        assert (scale, offset) == (1 / deviation, -mean * (1 / deviation))


def test_labels_landmarks_and_classes_reach_the_records(tmp_path: Path) -> None:
    """Folders become classes on request, and the manifest says what the numbers mean."""
    for name in ("cats", "dogs"):
        write_scenes(tmp_path / "in" / name, 2)
    dataset = prepare(square_config(tmp_path / "in", folder_labels=True), tmp_path)
    assert dataset.label_names == ("cats", "dogs")
    found = [(record["key"], record["label"], record["landmarks"]) for record in records(dataset)]
    assert found == [
        (b"cats/000.png", [0], []),
        (b"cats/001.png", [0], []),
        (b"dogs/000.png", [1], []),
        (b"dogs/001.png", [1], []),
    ]


def test_landmarks_follow_crop_and_flip(tmp_path: Path) -> None:
    """CelebA's points are in pixels of the prepared picture; in the mirrored copy left and right change places."""
    root = write_celeba(tmp_path / "in", count=3)
    lines = [
        "3",
        "lefteye_x lefteye_y righteye_x righteye_y nose_x nose_y leftmouth_x leftmouth_y rightmouth_x rightmouth_y",
    ]
    lines += [f"00000{index}.jpg 69 109 106 113 77 142 73 152 108 154" for index in (1, 2)]
    (root / "list_landmarks_align_celeba.txt").write_text("\n".join(lines) + "\n")
    config = DataConfig(path=str(root), resolution=64, crop="celeba-148", flip="store")
    found = [
        record for split in ("train", "validation", "test") for record in records(prepare(config, tmp_path), split)
    ]
    by_key = {(record["key"], record["mirrored"][0]): record["landmarks"] for record in found}
    points = np.array([[69, 109], [106, 113], [77, 142], [73, 152], [108, 154]])
    expected = (points - [15, 35]) * 64 / 148
    assert np.allclose(np.reshape(by_key[b"000001.jpg", 0], (5, 2)), expected, atol=1e-4)
    mirrored = expected[[1, 0, 2, 4, 3]] * [-1, 1] + [64, 0]
    assert np.allclose(np.reshape(by_key[b"000001.jpg", 1], (5, 2)), mirrored, atol=1e-4)
    assert np.isnan(by_key[b"000003.jpg", 0]).all()
    assert len(by_key[b"000003.jpg", 0]) == 10
