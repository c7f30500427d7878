from __future__ import annotations

import json
import math
import os
import re
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from beam_jobs import books, preprocess, shards
from beam_jobs.preprocess import prepare, run
from beam_jobs.runner import check_beam_args
from beam_jobs.shards import ShardJob, shard_of, shard_totals
from beam_jobs.sources import survey
from gan_core import artifacts
from gan_core.config import DataConfig
from gan_core.errors import ArtifactError, ConfigError, DataError, StageFailed
from gan_core.handoff import DatasetManifest, ImageRef
from gan_core.progress import Progress
from gan_core.records import decode_example, read_records
from tests import pictures
from tests.celeba import write_celeba
from tests.pictures import encode, scene

README = Path(__file__).parents[2] / "data" / "README.md"
SHARED = Path(__file__).parents[3] / "shared" / "data"
FOUR_PROCESSES = ("--direct_num_workers=4", "--direct_running_mode=multi_processing")
TWO_PROCESSES = ("--direct_num_workers=2", "--direct_running_mode=multi_processing")

Record = dict[str, Any]


def write_scenes(folder: Path, count: int) -> Path:
    """Write `count` PNGs of 40x40, and return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        (folder / f"{index:03d}.png").write_bytes(encode(scene(40, 40, index)))
    return folder


def square_config(folder: Path, **options: Any) -> DataConfig:
    """Return a config for a folder of square pictures, to 32x32."""
    return DataConfig(**{"path": str(folder), "crop": "center", "resolution": 32, **options})


def records(dataset: DatasetManifest, split: str = "train") -> list[Record]:
    """Return the decoded records of a split, the image as uint8 [H, W, C]."""
    found = []
    for shard in dataset.splits.get(split, ()):
        for _, data in read_records(dataset.path / shard.name):
            record: Record = decode_example(data)
            record["image"] = np.frombuffer(record["image"], np.uint8).reshape(record["shape"])
            found.append(record)
    return found


def shard_bytes(dataset: DatasetManifest) -> dict[str, str]:
    """Return shard -> SHA-256, in reading order."""
    return {shard.name: shard.sha256 for split in dataset.splits.values() for shard in split}


def rejects(dataset: DatasetManifest) -> list[dict[str, str]]:
    """Return the lines of rejects.jsonl."""
    return [json.loads(line) for line in (dataset.path / "rejects.jsonl").read_text().splitlines()]


def places(folder: Path) -> dict[str, tuple[int, int]]:
    """Return shard -> (inode, modification time): what stays when a file is not written again."""
    facts = {path.name: path.stat() for path in folder.glob("*.tfrecord")}
    return {name: (fact.st_ino, fact.st_mtime_ns) for name, fact in facts.items()}


def drafts(data_root: Path) -> list[Path]:
    """Return the hidden folders of unfinished data sets."""
    return list((data_root / "datasets").glob(".*.partial"))


def test_every_awkward_picture(tmp_path: Path) -> None:
    """Each awkward file becomes its pixels or its reject, and the neighbours of a reject survive."""
    (tmp_path / "in").mkdir()
    kinds = pictures.write_awkward(tmp_path / "in")
    dataset = prepare(square_config(tmp_path / "in", max_reject_fraction=0.5), tmp_path)
    lines = rejects(dataset)
    assert [(line["key"], line["reason"]) for line in lines] == [
        ("32-bit-beyond.tif", "unsupported"),
        ("bomb.png", "too-large"),
        ("damaged.png", "damaged"),
        ("empty.jpg", "empty"),
        ("float-nan.tif", "unsupported"),
        ("one-pixel.png", "too-small"),
        ("postscript.jpg", "not-a-picture"),
        ("text.jpg", "not-a-picture"),
        ("truncated.jpg", "truncated"),
        ("truncated.png", "truncated"),
    ]
    assert dataset.rejects == {
        "damaged": 1,
        "empty": 1,
        "not-a-picture": 2,
        "too-large": 1,
        "too-small": 1,
        "truncated": 2,
        "unsupported": 2,
    }
    kept = {record["key"].decode(): record["image"] for record in records(dataset)}
    assert set(kept) == set(kinds) - {line["key"] for line in lines}
    for name, image in kept.items():
        shown = cast(npt.NDArray[np.uint8], kinds[name].pixels)
        side, left = pictures.HEIGHT, (pictures.WIDTH - pictures.HEIGHT) // 2
        square = Image.fromarray(shown[:, left : left + side]).resize((32, 32), Image.Resampling.LANCZOS)
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
        "flip": "train",
        "storage": "uint8",
        "normalize": "[-1,1]",
        "background": "white",
    }
    assert dataset.normalization == {"scale": 2 / 255, "offset": -1.0}
    assert {"faceloom", "pillow"} <= set(dataset.created_by)
    assert sorted(path.name for path in dataset.path.iterdir()) == sorted(
        ["manifest.json", "preview.png", "rejects.jsonl", *shard_bytes(dataset)]
    )
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
    dataset = prepare(square_config(write_scenes(tmp_path / "in", 12), images_per_shard=6), tmp_path)
    assert shard_bytes(dataset) == {
        "train-00000-of-00002.tfrecord": "e79f584557c692ae4e13bb090160132ca63492e026f9757eb90726c92bc06e16",
        "train-00001-of-00002.tfrecord": "598a749385bdaccfb5edd06a60633b516ae1d1bf9a16afe04e1334a913f5f421",
    }
    assert [shard.count for shard in dataset.splits["train"]] == [8, 4]


def test_same_bytes_in_memory_and_in_four_processes(tmp_path: Path) -> None:
    """One worker in memory and four processes write the same bytes, and the processes say nothing on stderr."""
    root = write_celeba(tmp_path / "in", count=40)
    (root / "img_align_celeba/000007.jpg").write_bytes(b"no picture")
    (root / "img_align_celeba/000008.jpg").write_bytes(encode(scene(178, 218), "JPEG", exif=b"Exif\0\0MM\0*x"))
    config = DataConfig(path=str(root), resolution=32, images_per_shard=5)
    one = prepare(config, tmp_path / "one")
    command = [sys.executable, "-m", "beam_jobs.preprocess", "smoke", "--set", "data.images_per_shard=5"]
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


def test_shard_of_a_key_is_fixed() -> None:
    """A picture's shard follows from its key and the number of shards, nothing else."""
    totals = shard_totals({"train": 2049, "test": 1}, 1024)
    assert totals == {"train": 3, "test": 1}
    numbers = [shard_of(ImageRef(f"{index:06d}.jpg"), totals)[6:11] for index in range(1, 5)]
    assert numbers == ["00000", "00001", "00001", "00000"]
    assert shard_of(ImageRef("x.png", "test"), totals) == "test-00000-of-00001.tfrecord"


def test_statistics_are_those_of_the_records(tmp_path: Path) -> None:
    """Mean and deviation equal NumPy's over all stored training pixels, with and without stored copies."""
    root = write_celeba(tmp_path / "in", count=30)
    for flip in ("train", "store"):
        config = DataConfig(path=str(root), resolution=32, images_per_shard=7, flip=flip)
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
    chosen = [ref.key for ref in survey(preprocess.open_source(config, tmp_path), config)[1]]
    assert [record["key"].decode() for record in records(dataset)] == chosen
    assert len(chosen) == 4
    assert prepare(replace(config, limit=0), tmp_path).path != dataset.path


def test_second_call_does_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A finished data set is returned at once; a damaged one is made again."""
    config = square_config(write_scenes(tmp_path / "in", 6))
    first = prepare(config, tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(preprocess, "_run_pipeline", lambda *_: pytest.fail("there was nothing to do"))
        assert prepare(config, tmp_path) == first
    shard = first.path / first.splits["train"][0].name
    shard.write_bytes(b"scribble")
    assert prepare(config, tmp_path) == first
    assert artifacts.sha256_file(shard) == first.splits["train"][0].sha256


def test_finished_synthetic_data_set_needs_no_raw_pictures(tmp_path: Path) -> None:
    """The drawn pictures may be deleted once the data set is there."""
    config = DataConfig(kind="synthetic", synthetic_count=16, resolution=32)
    first = prepare(config, tmp_path)
    assert (first.count("train"), first.count("validation"), first.count("test")) == (13, 2, 1)
    for path in (tmp_path / "raw").glob("synthetic*"):
        artifacts.discard(path)
    assert prepare(config, tmp_path) == first
    assert list((tmp_path / "raw").glob("synthetic*")) == []


def test_resume_keeps_finished_shards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a crash, shards that are complete and undamaged are not written again; the result is the same."""
    folder = write_scenes(tmp_path / "in", 30)
    config = square_config(folder, images_per_shard=5)
    clean = prepare(config, tmp_path / "clean")

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(preprocess, "finish", crash)
        with pytest.raises(KeyboardInterrupt):
            prepare(config, tmp_path)
    (draft,) = drafts(tmp_path)
    before = places(draft)
    names = sorted(before)
    assert len(names) == 6
    (draft / names[1]).write_bytes((draft / names[1]).read_bytes()[:-1])
    (draft / ".work/receipts" / f"{names[2]}.json").unlink()
    (draft / names[3]).unlink()
    (draft / ".work/receipts" / f"{names[4]}.json").write_text("{ half")
    resumed = prepare(config, tmp_path)
    after = places(resumed.path)
    assert [name for name in names if after[name] == before[name]] == [names[0], names[5]]
    assert shard_bytes(resumed) == shard_bytes(clean)
    assert resumed.statistics == clean.statistics
    assert drafts(tmp_path) == []
    assert sorted(path.name for path in resumed.path.iterdir()) == sorted(path.name for path in clean.path.iterdir())


def test_interrupt_stops_the_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C ends the job within seconds, in the middle of a shard, and the same call finishes it."""
    config = square_config(write_scenes(tmp_path / "in", 40), images_per_shard=40)
    original = shards.prepare_picture
    gate = threading.Event()

    def slow(data: bytes, config: DataConfig) -> Any:
        gate.wait(0.3)  # 40 of them would take 12 s
        return original(data, config)

    def interrupt(_: Progress) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(shards, "prepare_picture", slow)
        with pytest.raises(KeyboardInterrupt):
            prepare(config, tmp_path, report_progress=interrupt)
    (draft,) = drafts(tmp_path)
    assert places(draft) == {}
    assert list((draft / ".work").glob("*.part")) == []
    assert prepare(config, tmp_path).count("train") == 40


def test_too_many_rejects(tmp_path: Path) -> None:
    """Nothing is published, the error has counts, examples and fix; a larger fraction reuses the shards."""
    folder = write_scenes(tmp_path / "in", 6)
    for name in ("a.png", "b.png"):
        (folder / name).write_bytes(b"text")
    (folder / "c.png").write_bytes(b"")
    config = square_config(folder)
    with pytest.raises(DataError) as caught:
        prepare(config, tmp_path)
    (draft,) = drafts(tmp_path)
    assert str(caught.value) == (
        f"3 of 9 pictures of {folder} cannot be used (not-a-picture 2, empty 1), and data.max_reject_fraction "
        "is 0.1; for example a.png: 4 bytes that start with b'text'; b.png: 4 bytes that start with b'text'; "
        f"c.png: 0 bytes; all are in {draft / 'rejects.jsonl'}; "
        "repair them, or set data.max_reject_fraction=0.34 to go on without them"
    )
    assert [path for path in (tmp_path / "datasets").iterdir() if not path.name.startswith(".")] == []
    before = places(draft)
    dataset = prepare(replace(config, max_reject_fraction=0.34), tmp_path)
    assert places(dataset.path) == before
    assert dataset.rejects == {"empty": 1, "not-a-picture": 2}


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


def test_pictures_that_change_are_rejected_and_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What disappears after the listing is a reject; a repeated job looks again, and only there."""
    folder = write_scenes(tmp_path / "in", 12)
    config = square_config(folder, images_per_shard=4)
    victim = folder / "005.png"
    data, times = victim.read_bytes(), victim.stat().st_mtime_ns
    original = preprocess._run_pipeline

    def lose_one(*arguments: Any) -> None:
        victim.unlink()
        original(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(preprocess, "_run_pipeline", lose_one)
        with pytest.raises(DataError, match=r"\(missing 1\)"):
            prepare(replace(config, max_reject_fraction=0.0), tmp_path)
    (draft,) = drafts(tmp_path)
    before = places(draft)
    victim.write_bytes(data)
    os.utime(victim, ns=(times, times))
    dataset = prepare(config, tmp_path)
    after = places(dataset.path)
    assert dataset.rejects == {}
    assert sum(after[name] != before[name] for name in before) == 1


def test_source_that_vanishes_is_one_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the whole source is gone, the job ends with one line, not with a reject for each picture."""
    folder = write_scenes(tmp_path / "in", 6)
    original = preprocess._run_pipeline

    def lose_all(*arguments: Any) -> None:
        folder.rename(tmp_path / "elsewhere")
        original(*arguments)

    monkeypatch.setattr(preprocess, "_run_pipeline", lose_all)
    with pytest.raises(DataError) as caught:
        prepare(square_config(folder), tmp_path)
    assert str(caught.value) == (
        f"{folder} cannot be read any more (No such file or directory); run again when it is back"
    )


def test_full_disk_is_one_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be written names the shard and says how to go on."""
    full = OSError(28, "No space left on device")
    monkeypatch.setattr(shards, "write_record", lambda *_: (_ for _ in ()).throw(full))
    with pytest.raises(ArtifactError, match="No space left on device; make room and run again, it continues"):
        prepare(square_config(write_scenes(tmp_path / "in", 3)), tmp_path)


def test_two_callers_share_one_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asks for a data set that another is making waits, and gets that one."""
    config = square_config(write_scenes(tmp_path / "in", 8))
    original, runs = preprocess._run_pipeline, []

    def count(*arguments: Any) -> None:
        runs.append(1)
        original(*arguments)

    monkeypatch.setattr(preprocess, "_run_pipeline", count)
    made: list[DatasetManifest] = []
    threads = [threading.Thread(target=lambda: made.append(prepare(config, tmp_path))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made[0] == made[1]
    assert runs == [1]
    assert drafts(tmp_path) == []


class DeadlyReader:
    """Ends its process at the first picture, as the kernel does when memory runs out."""

    def read(self, ref: ImageRef) -> bytes:
        """End the process."""
        os._exit(9)


def test_dead_worker_ends_the_job(tmp_path: Path) -> None:
    """A worker process that is killed fails the job with one line; it does not hang."""
    refs = [ImageRef(f"{index}.png") for index in range(4)]
    owner = books.start_work(tmp_path)
    job = ShardJob(tmp_path, DataConfig(path="x"), DeadlyReader(), owner)
    with pytest.raises(StageFailed) as caught:
        preprocess._run_pipeline(job, refs, {"train": 2}, TWO_PROCESSES)
    assert str(caught.value) == (
        "the Beam job failed: Worker subprocess exited with return code 9; "
        "finished shards are kept, run the same command again"
    )


def test_worker_of_another_launcher_stops(tmp_path: Path) -> None:
    """A worker that outlives its launcher finds a new owner in the draft, and leaves everything alone."""
    config = square_config(write_scenes(tmp_path / "in", 2))
    source = preprocess.open_source(config, tmp_path)
    draft = tmp_path / "draft"
    job = ShardJob(draft, config, source.reader(), books.start_work(draft))
    books.start_work(draft)
    shards.prepare_shard(job, "train-00000-of-00001.tfrecord", source.list())
    assert list(draft.glob("*.tfrecord")) == []
    assert books.read_receipt(draft, "train-00000-of-00001.tfrecord") is None


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--direct_num_wrokers=2"], "Beam knows no option --direct_num_wrokers; local ones are"),
        (["--runner=FnApiRunner", "--nonsense"], "Beam knows no option --nonsense; local ones are"),
        (["--direct_num_workers=two"], "argument --direct_num_workers: invalid int value: 'two'"),
        (["--direct_running_mode=fast"], "argument --direct_running_mode: invalid choice: 'fast'"),
        (["--runner=Sparkle"], "Unexpected pipeline runner: Sparkle"),
        (["direct_num_workers=2"], "Beam options look like --name=value, got 'direct_num_workers=2'"),
    ],
)
def test_beam_options_that_do_not_exist(
    tmp_path: Path, args: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A mistake in the options for Beam is a ConfigError before anything is listed, and prints no usage."""
    with pytest.raises(ConfigError) as caught:
        prepare(square_config(tmp_path / "missing"), tmp_path, beam_args=args)
    assert message in str(caught.value)
    assert capsys.readouterr() == ("", "")


def test_beam_options_reach_beam() -> None:
    """Options arrive as they are given."""
    options = check_beam_args(["--direct_num_workers=3", "--direct_running_mode", "multi_threading"])
    given = options.get_all_options(drop_default=True)
    assert given == {"direct_num_workers": 3, "direct_running_mode": "multi_threading"}


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
