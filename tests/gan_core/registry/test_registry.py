"""Versions, the pointer to the blessed one, and what survives kills between two writes."""

from __future__ import annotations

import json
import multiprocessing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gan_core import artifacts, registry
from gan_core.checkpoints import save_checkpoint
from gan_core.config import RunConfig, load_config
from gan_core.errors import ArtifactError, ConfigError
from gan_core.handoff import Checkpoint, DatasetManifest
from gan_core.registry import Registry, Version, pointer

CONFIG = load_config("smoke")


def dataset(root: Path) -> DatasetManifest:
    """Return a data set as its manifest describes it; its shards are not looked at."""
    return DatasetManifest(
        path=root / "datasets" / "faces",
        digest="d" * 64,
        name="faces",
        resolution=32,
        channels=3,
        splits={},
        rejects={},
        statistics={"mean": [1.0, 2.0, 3.0], "deviation": [4.0, 5.0, 6.0], "count": 7},
        protocol={},
        normalization={},
        source={"kind": "folder", "name": "faces", "location": "/faces", "fingerprint": "f", "counts": {"train": 7}},
        created_by={},
        licences={"CC BY 2.0": 7},
    )


def trained(root: Path, name: str, weight: float, config: RunConfig = CONFIG) -> tuple[Path, Checkpoint]:
    """Publish a checkpoint of a run, whose only array has this value."""
    run_dir = root / "runs" / name
    run_dir.mkdir(parents=True)
    return run_dir, save_checkpoint(run_dir, config, 2048, {"averaged/a": np.full(3, weight)}, {})


def register(root: Path, name: str, weight: float, decision: dict[str, Any] | None = None) -> Version:
    """Register the checkpoint of a new run of the model `smoke`."""
    return Registry(root, "smoke").register(*trained(root, name, weight), dataset(root), decision)


def test_a_version_says_where_it_comes_from_and_needs_no_run(tmp_path: Path) -> None:
    """Number, run, data, licences and parent are in its manifest; its checkpoint survives the run's folder."""
    first = register(tmp_path, "one", 1.0)
    assert (first.number, first.name, first.run, first.images_seen) == (1, "smoke v1", "one", 2048)
    assert (first.parent, first.source["counts"], first.licences) == (None, {"train": 7}, {"CC BY 2.0": 7})
    Registry(tmp_path, "smoke").promote(1, "me", "first")
    assert register(tmp_path, "two", 2.0).parent == 1
    artifacts.remove_tree(tmp_path / "runs")
    first.verify()
    with np.load(first.checkpoint.path / "state.npz") as state:
        assert state["averaged/a"].tolist() == [1.0, 1.0, 1.0]
    assert "CC BY 2.0: 7 pictures" in (first.path / "README.md").read_text()


def test_registering_again_is_the_same_version(tmp_path: Path) -> None:
    """A retried stage registers nothing twice, and writes no second line."""
    run = trained(tmp_path, "one", 1.0)
    book = Registry(tmp_path, "smoke")
    assert book.register(*run, dataset(tmp_path)) == book.register(*run, dataset(tmp_path))
    assert [line["event"] for line in book.history()] == ["registered"]


def test_scores_count_where_they_are_of_this_checkpoint(tmp_path: Path) -> None:
    """Scores of another checkpoint of the run are left out."""
    for name, is_own in (("one", True), ("two", False)):
        run_dir, checkpoint = trained(tmp_path, name, float(is_own))
        digest = artifacts.read_manifest(checkpoint.path, "checkpoint").digest if is_own else "0" * 64
        fields = {
            "values": {"swd": {"value": 3.0, "error": 0.5, "unit": "x1000", "better": "lower", "parameters": 1}},
            "protocol": {"checkpoint_digest": digest},
        }
        with artifacts.publishing(run_dir / "scores") as draft:
            artifacts.write_manifest(draft, "scores", "s" * 64, fields)
        version = Registry(tmp_path, "smoke").register(run_dir, checkpoint, dataset(tmp_path))
        expected = {"swd": {"value": 3.0, "error": 0.5, "unit": "x1000", "better": "lower"}} if is_own else {}
        assert version.scores == expected


def test_a_promotion_is_an_atomic_pointer_and_a_line(tmp_path: Path) -> None:
    """Who and why are kept; promoting what is blessed changes nothing."""
    register(tmp_path, "one", 1.0)
    book = Registry(tmp_path, "smoke")
    assert book.blessed() is None
    for _ in range(2):
        book.promote(1, "ada", "the first one")
    assert (blessed := book.blessed()) is not None and blessed.number == 1
    last = book.history()[-1]
    assert (last["event"], last["version"], last["previous"], last["who"], last["why"]) == (
        "promoted",
        1,
        None,
        "ada",
        "the first one",
    )
    assert len(book.history()) == 2
    assert registry.blessed_images(tmp_path, "one") == 2048
    assert registry.blessed_images(tmp_path, "two") is None


def test_a_reason_may_have_any_character(tmp_path: Path) -> None:
    """U+2028 and its like end a line for Python's splitlines, but not for JSON."""
    register(tmp_path, "one", 1.0)
    why = "first\u2028second\u2029third\x85fourth\nfifth"
    Registry(tmp_path, "smoke").promote(1, "ada", why)
    events = [(line["event"], line["why"]) for line in Registry(tmp_path, "smoke").history()]
    assert events[1:] == [("promoted", why)] and len(events) == 2


def test_promotions_need_who_why_and_a_version(tmp_path: Path) -> None:
    """The message names the versions that there are."""
    register(tmp_path, "one", 1.0)
    book = Registry(tmp_path, "smoke")
    with pytest.raises(ConfigError, match="give --who and --why"):
        book.promote(1, "ada", " ")
    with pytest.raises(ConfigError, match="smoke has no version 4; it has 1"):
        book.promote(4, "ada", "why not")


def test_a_damaged_version_is_not_blessed(tmp_path: Path) -> None:
    """One changed byte of its checkpoint refuses the promotion, and the pointer stays where it was."""
    register(tmp_path, "one", 1.0)
    second = register(tmp_path, "two", 2.0)
    book = Registry(tmp_path, "smoke")
    book.promote(1, "ada", "good")
    path = second.checkpoint.path / "state.npz"
    data = bytearray(path.read_bytes())
    data[100] ^= 1
    path.write_bytes(data)
    with pytest.raises(ArtifactError, match=r"state\.npz is damaged"):
        book.promote(2, "ada", "better")
    assert (blessed := book.blessed()) is not None and blessed.number == 1


def test_rollbacks_go_back_step_by_step(tmp_path: Path) -> None:
    """Each takes the version that was blessed before; one that was rolled back from is not returned to."""
    book = Registry(tmp_path, "smoke")
    for number in (1, 2, 3):
        register(tmp_path, f"run{number}", float(number))
        book.promote(number, "gate", "better")
    assert [book.rollback(None, "ada", "worse").number for _ in range(2)] == [2, 1]
    with pytest.raises(ConfigError, match="nothing of smoke was blessed before"):
        book.rollback(None, "ada", "worse")
    assert book.rollback(3, "ada", "it was the light").number == 3
    assert [line["event"] for line in book.history() if line["event"] != "registered"] == [
        *["promoted"] * 3,
        *["rolled back"] * 3,
    ]


def test_a_kill_between_pointer_and_book_is_made_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pointer stands; the next look writes the line that is missing, once, after a line that was cut short."""
    register(tmp_path, "one", 1.0)
    book = Registry(tmp_path, "smoke")

    def killed(folder: Path, _line: dict[str, Any]) -> None:
        with (folder / pointer.BOOK).open("a") as stream:
            stream.write('{"id": "cut')
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(pointer, "note", killed)
        with pytest.raises(KeyboardInterrupt):
            book.promote(1, "ada", "good")
    assert (blessed := book.blessed()) is not None and blessed.number == 1
    for _ in range(2):
        assert [(line["event"], line["who"]) for line in book.history()] == [
            ("registered", "faceloom"),
            ("promoted", "ada"),
        ]


def test_a_kill_before_the_line_of_a_registration_is_made_good(tmp_path: Path) -> None:
    """A version that the book does not know gets its line at the next look."""
    register(tmp_path, "one", 1.0)
    folder = tmp_path / "registry" / "smoke"
    (folder / pointer.BOOK).unlink()
    assert [(line["event"], line["version"]) for line in Registry(tmp_path, "smoke").history()] == [("registered", 1)]


def test_a_damaged_pointer_says_how_to_mend_it(tmp_path: Path) -> None:
    """The message names the file, the history and the command."""
    register(tmp_path, "one", 1.0)
    (tmp_path / "registry" / "smoke" / pointer.POINTER).write_text("{")
    with pytest.raises(ArtifactError, match=r"blessed\.json cannot be read .* faceloom models promote"):
        Registry(tmp_path, "smoke").blessed()


def _promote(root: str, number: int) -> None:
    Registry(Path(root), "smoke").promote(number, f"process {number}", "race")


def test_two_promoters_at_once_leave_one_order(tmp_path: Path) -> None:
    """Each line's previous version is the one of the line before, and the pointer is that of the last line."""
    for number in (1, 2, 3, 4):
        register(tmp_path, f"run{number}", float(number))
    spawn = multiprocessing.get_context("spawn")
    processes = [spawn.Process(target=_promote, args=(str(tmp_path), number)) for number in (1, 2, 3, 4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
        assert process.exitcode == 0
    book = Registry(tmp_path, "smoke")
    lines = [line for line in book.history() if line["event"] == "promoted"]
    assert sorted(line["version"] for line in lines) == [1, 2, 3, 4]
    assert [line["previous"] for line in lines] == [None, *[line["version"] for line in lines[:-1]]]
    saved = json.loads((book.folder / pointer.POINTER).read_text())
    assert saved["id"] == lines[-1]["id"]


def test_collection_keeps_what_is_referenced(tmp_path: Path) -> None:
    """Blessed, the one before, their parents and the newest stay; a dry run deletes nothing; numbers are not reused."""
    book = Registry(tmp_path, "smoke")
    for number in range(1, 7):
        register(tmp_path, f"run{number}", float(number))
        if number in (1, 3, 4):
            book.promote(number, "gate", "better")
    # 2 and 3 have the parent 1, 4 has 3, 5 and 6 have 4; 2 and 5 are nobody's parent, and 6 is the newest.
    assert book.collect(dry_run=True) == [2, 5]
    assert book.numbers() == [1, 2, 3, 4, 5, 6]
    assert book.collect() == [2, 5]
    assert book.numbers() == [1, 3, 4, 6]
    assert book.referenced() == {
        4: "blessed",
        3: "blessed before; a rollback goes there",
        6: "one of the newest",
        1: "parent of 3",
    }
    artifacts.discard(book.folder / "0006")
    assert register(tmp_path, "run7", 7.0).number == 7


def test_a_rejection_is_noted_once(tmp_path: Path) -> None:
    """The blessed version stays, and the history says why the other was not taken."""
    register(tmp_path, "one", 1.0)
    register(tmp_path, "two", 2.0)
    book = Registry(tmp_path, "smoke")
    book.promote(1, "gate", "first")
    for _ in range(2):
        book.reject(2, "gate", "no better")
    assert [(line["event"], line["version"], line["previous"]) for line in book.history()][-1] == ("rejected", 2, 1)
    assert len(book.history()) == 4


def test_an_object_store_is_refused() -> None:
    """There is no lock for two promoters there."""
    from gan_core.paths import path_of

    with pytest.raises(ConfigError, match="needs a folder of this machine"):
        Registry(path_of("s3://bucket/gans"), "smoke")
