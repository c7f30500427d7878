"""When a retraining is due, from names, sizes and times alone."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from beam_jobs.sources.registry import look
from flows.stages import Order
from flows.triggers import Trigger, after_preparing, drift, look_for
from gan_core import artifacts
from gan_core.checkpoints import save_checkpoint
from gan_core.config import load_config
from gan_core.handoff import DatasetManifest
from gan_core.registry import Registry, Version
from tests.gan_core.registry.test_registry import dataset


def picture(folder: Path, name: str) -> None:
    """Add a picture."""
    folder.mkdir(exist_ok=True)
    Image.new("RGB", (8, 8), (len(name), 0, 0)).save(folder / f"{name}.png")


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    """Return a folder of three pictures."""
    for name in ("a", "b", "c"):
        picture(tmp_path / "faces", name)
    return tmp_path / "faces"


def order(root: Path, *settings: str) -> Order:
    """Return the order of a retraining on `faces`."""
    return Order(config=load_config("smoke", settings, source=root / "faces"), data_root=root / "data")


def trained(asked: Order, name: str = "one") -> Version:
    """Register and promote a model of the pictures that are there now."""
    run_dir = asked.data_root / "runs" / name
    run_dir.mkdir(parents=True)
    state = {"averaged/a": np.full(3, float(len(name)))}
    checkpoint = save_checkpoint(run_dir, asked.config, 64, state, {})
    listed = look(asked.config.data, asked.data_root)
    assert listed.names is not None
    of = dataclasses.replace(dataset(asked.data_root), source=dataclasses.asdict(listed.summary))
    registry = Registry(asked.data_root, "smoke")
    version = registry.register(run_dir, checkpoint, of, None, listed.names.line_hashes())
    registry.promote(version.number, "gate", "better")
    return version


def verdict(trigger: Trigger) -> tuple[bool, str]:
    """Return what is said."""
    return trigger.due, trigger.reason


def aged(version: Version, days: float) -> None:
    """Let a version be so many days older."""
    manifest = artifacts.read_manifest(version.path, "model")
    made = (datetime.now(UTC) - timedelta(days=days)).isoformat(timespec="seconds")
    artifacts.write_manifest(version.path, "model", manifest.digest, {**manifest.fields, "created": made})


def test_the_first_is_due(faces: Path, tmp_path: Path) -> None:
    """Without a model there is nothing to compare with, and nothing to begin from."""
    trigger = look_for(order(tmp_path))
    assert verdict(trigger) == (True, "no model yet")
    assert (trigger.order.config.train.transfer, trigger.order.config.train.seed) == ("", 0)


def test_the_same_pictures_are_nothing_to_do(faces: Path, tmp_path: Path) -> None:
    """The reason names the version that has seen them."""
    trained(order(tmp_path))
    assert verdict(look_for(order(tmp_path))) == (False, "nothing to do, because smoke v1 has seen all pictures")


def test_new_and_changed_pictures_count_and_removed_ones_do_not(faces: Path, tmp_path: Path) -> None:
    """One more and one touched are two; beside them, one less changes nothing."""
    trained(order(tmp_path))
    picture(faces, "d")
    os.utime(faces / "a.png", (1, 1))
    (faces / "b.png").unlink()
    trigger = look_for(order(tmp_path, "retrain.min_new_pictures=2"))
    assert verdict(trigger) == (True, "2 new pictures")
    assert verdict(look_for(order(tmp_path, "retrain.min_new_pictures=3"))) == (
        False,
        "nothing to do, because there are 2 new pictures, and retrain.min_new_pictures=3",
    )


def test_a_retraining_begins_with_the_blessed_model_or_from_scratch(faces: Path, tmp_path: Path) -> None:
    """Its seed is another one, or the same data and weights would give the same model again."""
    version = trained(order(tmp_path))
    found = look_for(order(tmp_path), force=True)
    assert verdict(found) == (True, "on demand")
    assert found.order.config.train.transfer == str(version.checkpoint.path)
    assert found.order.config.train.seed == 1
    scratch = look_for(order(tmp_path, "retrain.start=scratch"), force=True)
    assert (scratch.order.config.train.transfer, scratch.order.config.train.seed) == ("", 1)


def test_age_counts_from_the_newest_model(faces: Path, tmp_path: Path) -> None:
    """Seven days are due at seven, and a clock that was set back makes nothing due."""
    version = trained(order(tmp_path))
    for days, due in ((6.9, False), (7.1, True), (-3.0, False)):
        aged(version, days)
        assert look_for(order(tmp_path, "retrain.max_age_days=7")).due is due
        assert not look_for(order(tmp_path)).due
    aged(version, 7.1)
    assert look_for(order(tmp_path, "retrain.max_age_days=7")).reason == "smoke v1 is 7.1 days old, 7 is the limit"


def test_a_version_without_a_decision_is_due(faces: Path, tmp_path: Path) -> None:
    """A kill between registration and decision leaves it; its own config comes back, so that its run is found."""
    asked = order(tmp_path, "train.seed=11")
    trained(asked)
    book = asked.data_root / "registry" / "smoke"
    (book / "history.jsonl").unlink()
    (book / "blessed.json").unlink()
    trigger = look_for(order(tmp_path))
    assert verdict(trigger) == (True, "smoke v1 was registered and not decided on")
    assert trigger.order.config.train.seed == 11


def test_too_few_new_pictures_ask_for_the_drift(faces: Path, tmp_path: Path) -> None:
    """The statistics of the prepared data set decide: means by the deviation before, deviations by their ratio."""
    version = trained(order(tmp_path))
    picture(faces, "d")
    trigger = look_for(order(tmp_path, "retrain.min_new_pictures=9", "retrain.min_drift=0.5"))
    assert (trigger.due, trigger.unsure) == (False, True)
    same: dict[str, Any] = dict(version.statistics)
    for statistics, found in (
        (same, 0.0),
        ({**same, "mean": [1.0, 2.0, 6.0]}, 0.5),
        ({**same, "deviation": [4.0, 5.0, 12.0]}, 0.6931471805599453),
    ):
        now: DatasetManifest = dataclasses.replace(dataset(tmp_path), statistics=statistics)
        assert drift(version, now) == found
        assert after_preparing(trigger, now).due is (found >= 0.5)
    assert after_preparing(trigger, dataset(tmp_path)).reason == (
        "nothing to do, because the pixels drifted by 0 standard deviations, 0.5 is the limit"
    )


def test_nothing_to_do_imports_neither_tensorflow_nor_beam_nor_prefect(faces: Path, tmp_path: Path) -> None:
    """The command ends in a process that never saw them."""
    asked = order(tmp_path)
    trained(asked)
    words = ["retrain", "smoke", "--source", str(faces), "--data-root", str(asked.data_root)]
    code = (
        "import sys\nfrom flows.cli import main\n"
        f"try:\n    main({words!r})\nfinally:\n"
        "    print([name for name in ('tensorflow', 'keras', 'apache_beam', 'prefect') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert found.stdout.splitlines() == ["nothing to do, because smoke v1 has seen all pictures", "[]"]
    assert found.returncode == 0


def test_held_out_pictures_stay_held_out_when_others_come(faces: Path, tmp_path: Path) -> None:
    """The hash of the name decides, so a retraining is tested on what no model has seen."""
    for number in range(40):
        picture(faces, f"face{number}")
    config = load_config("smoke", ["data.test_share=0.25"], source=faces).data

    def split_of() -> dict[str, str]:
        names = look(config, tmp_path).names
        assert names is not None
        return {ref.key: ref.split for ref in names}

    before = split_of()
    for number in range(40, 60):
        picture(faces, f"face{number}")
    after = split_of()
    assert before == {key: after[key] for key in before}
    assert sum(split == "test" for split in after.values()) == 15
