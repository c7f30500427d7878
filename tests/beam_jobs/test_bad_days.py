"""What a job leaves behind on bad days, and that the same call then ends in the same bytes."""

from __future__ import annotations

import os
import threading
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from beam_jobs import books, pipeline, preprocess, shard_writer
from beam_jobs.names import line_of
from beam_jobs.pool import open_pool, start, wait
from beam_jobs.preprocess import prepare
from beam_jobs.shard_writer import ShardJob
from beam_jobs.sources.registry import open_source
from gan_core import artifacts
from gan_core.config import DataConfig
from gan_core.errors import ArtifactError, DataError
from gan_core.handoff import DatasetManifest, ImageRef
from gan_core.progress import Progress
from tests.prepared import drafts, places, shard_bytes, square_config, write_scenes


def test_second_call_does_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A finished data set is returned at once; a damaged one is made again."""
    config = square_config(write_scenes(tmp_path / "in", 6))
    first = prepare(config, tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(pipeline, "run_shards", lambda *_: pytest.fail("there was nothing to do"))
        assert prepare(config, tmp_path) == first
    shard = first.path / first.splits["train"][0].name
    shard.write_bytes(b"scribble")
    assert prepare(config, tmp_path) == first
    assert artifacts.sha256_file(shard) == first.splits["train"][0].sha256


def test_resume_keeps_finished_shards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a crash, shards that are complete and undamaged are not written again; the result is the same."""
    folder = write_scenes(tmp_path / "in", 30)
    config = square_config(folder, per_shard=5)
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
    config = square_config(write_scenes(tmp_path / "in", 40), per_shard=40)
    original = shard_writer.prepare_picture
    gate = threading.Event()

    def slow(*arguments: Any) -> Any:
        gate.wait(0.3)  # 40 of them would take 12 s
        return original(*arguments)

    def interrupt(_: Progress) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(shard_writer, "prepare_picture", slow)
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


def test_pictures_that_change_are_rejected_and_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What disappears after the listing is a reject; a repeated job looks again, and only there."""
    folder = write_scenes(tmp_path / "in", 12)
    config = square_config(folder, per_shard=4)
    victim = folder / "005.png"
    data, times = victim.read_bytes(), victim.stat().st_mtime_ns
    original = pipeline.run_shards

    def lose_one(*arguments: Any) -> None:
        victim.unlink()
        original(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(pipeline, "run_shards", lose_one)
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
    original = pipeline.run_shards

    def lose_all(*arguments: Any) -> None:
        folder.rename(tmp_path / "elsewhere")
        original(*arguments)

    monkeypatch.setattr(pipeline, "run_shards", lose_all)
    with pytest.raises(DataError) as caught:
        prepare(square_config(folder), tmp_path)
    assert str(caught.value) == (
        f"{folder} cannot be read any more (No such file or directory); run again when it is back"
    )


def test_full_disk_is_one_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be written names the shard and says how to go on."""
    full = OSError(28, "No space left on device")
    monkeypatch.setattr(shard_writer, "write_record", lambda *_: (_ for _ in ()).throw(full))
    with pytest.raises(ArtifactError, match="No space left on device; make room and run again, it continues"):
        prepare(square_config(write_scenes(tmp_path / "in", 3)), tmp_path)


def test_two_callers_share_one_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asks for a data set that another is making waits, and gets that one."""
    config = square_config(write_scenes(tmp_path / "in", 8))
    original, runs = pipeline.run_shards, []

    def count(*arguments: Any) -> None:
        runs.append(1)
        original(*arguments)

    monkeypatch.setattr(pipeline, "run_shards", count)
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
    names = {f"train-0000{index}-of-00004.tfrecord": [line_of(ImageRef(f"{index}.png"))] for index in range(4)}
    owner = books.start_work(tmp_path)
    books.write_names(tmp_path, names)
    job = ShardJob(tmp_path, DataConfig(path="x"), DeadlyReader(), "recipe", 0, owner)
    with open_pool(2) as pool:
        start(pool, partial(shard_writer.prepare_shard, job), names)
        pipeline.run_shards(partial(wait, pool, tmp_path), list(names), ())
    assert str(books.failure(tmp_path)) == (
        "a worker process of the Beam job was killed (out of memory? the kernel's log says: dmesg); "
        "finished shards are kept, run the same command again"
    )


def test_worker_of_another_launcher_stops(tmp_path: Path) -> None:
    """A worker that outlives its launcher finds a new owner in the draft, and leaves everything alone."""
    config = square_config(write_scenes(tmp_path / "in", 2))
    source = open_source(config, tmp_path)
    draft = tmp_path / "draft"
    job = ShardJob(draft, config, source.reader(), "recipe", 0, books.start_work(draft))
    books.start_work(draft)
    name = "train-00000-of-00001.tfrecord"
    books.write_names(draft, {name: [line_of(ref) for ref in source.list()]})
    shard_writer.prepare_shard(job, name)
    assert list(draft.glob("*.tfrecord")) == []
    assert books.read_receipt(draft, "train-00000-of-00001.tfrecord") is None
