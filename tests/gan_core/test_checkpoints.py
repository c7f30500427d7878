from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gan_core import artifacts
from gan_core.checkpoints import (
    State,
    best_checkpoint,
    checkpoint_folder,
    chosen_checkpoint,
    finished_checkpoint,
    latest_checkpoint,
    load_manifest,
    load_state,
    save_checkpoint,
    stopped_early,
)
from gan_core.config import EvalConfig, RunConfig, TrainConfig
from gan_core.errors import ArtifactError
from gan_core.handoff import Checkpoint


def config(keep: int = 2) -> RunConfig:
    """Return a config of a training of 1,024 images that keeps `keep` checkpoints."""
    return RunConfig(preset="custom", train=TrainConfig(total_kimg=1.0, batch_size=32, keep_checkpoints=keep))


def state(value: float = 1.0) -> State:
    """Return a state with the kinds of arrays and names that a training has."""
    return {
        "generator/000/project/kernel": np.arange(6, dtype=np.float32).reshape(2, 3) * np.float32(value),
        "averaged/000/project/kernel": np.full((2, 3), value, np.float32),
        "averaged_elsewhere": np.zeros(1, np.float32),
        "optimizer_g/000/adam/iteration": np.array(7, np.int64),
        "seed": np.array([1, 2**32 - 1], np.uint32),
        "empty": np.zeros((0, 4), np.float32),
    }


def save(run_dir: Path, images_seen: int, keep: int = 2) -> Checkpoint:
    """Save a checkpoint after `images_seen` images."""
    return save_checkpoint(run_dir, config(keep), images_seen, state(images_seen), {"seconds": 1.5})


def kept(run_dir: Path) -> list[int]:
    """Return the images seen of the checkpoints on disk."""
    return sorted(int(path.name) for path in (run_dir / "checkpoints").iterdir() if path.is_dir())


def damage(checkpoint: Checkpoint, position: int = 100) -> None:
    """Flip one bit of the state."""
    path = checkpoint.path / "state.npz"
    data = bytearray(path.read_bytes())
    data[position] ^= 1
    path.write_bytes(data)


def test_state_comes_back_exactly(tmp_path: Path) -> None:
    """Names, dtypes, shapes and every bit survive."""
    checkpoint = save_checkpoint(tmp_path, config(), 64, state(0.1), {})
    loaded = load_state(checkpoint)
    assert checkpoint == Checkpoint(tmp_path, 64, tmp_path / "checkpoints" / "000000000064")
    assert list(loaded) == list(state())
    for name, array in state(0.1).items():
        assert (loaded[name].dtype, loaded[name].shape) == (array.dtype, array.shape)
        assert loaded[name].tobytes() == array.tobytes()


def test_one_owner_can_be_loaded_alone(tmp_path: Path) -> None:
    """Sampling needs the averaged generator only, and gets nothing whose name merely begins alike."""
    loaded = load_state(save(tmp_path, 64), "averaged")
    assert list(loaded) == ["averaged/000/project/kernel"]
    assert loaded["averaged/000/project/kernel"].tolist() == [[64.0] * 3] * 2


def test_manifest_says_what_was_trained_and_how_far(tmp_path: Path) -> None:
    """Config and progress lie beside the state, so that a checkpoint can be used alone."""
    fields = load_manifest(save(tmp_path, 64)).fields
    assert fields == {"images_seen": 64, "config": config().to_json(), "progress": {"seconds": 1.5}}
    assert RunConfig.from_json(fields["config"]) == config()


def test_digest_follows_the_state_and_the_images(tmp_path: Path) -> None:
    """Equal states after equal images have one digest, whichever run they belong to; others have another."""

    def digest(run: str, images_seen: int, value: float) -> str:
        return load_manifest(save_checkpoint(tmp_path / run, config(), images_seen, state(value), {})).digest

    first = digest("a", 64, 1.0)
    assert digest("b", 64, 1.0) == first
    assert digest("b", 64, 2.0) != first
    assert digest("b", 96, 1.0) != first


@pytest.mark.parametrize(("keep", "expected"), [(1, [160]), (2, [128, 160]), (9, [32, 64, 96, 128, 160])])
def test_newest_checkpoints_are_kept(tmp_path: Path, keep: int, expected: list[int]) -> None:
    """After every save, the newest `train.keep_checkpoints` are there and no others."""
    for images_seen in (32, 64, 96, 128, 160):
        save(tmp_path, images_seen, keep)
        assert kept(tmp_path)[-1] == images_seen
    assert kept(tmp_path) == expected


def test_saving_twice_replaces(tmp_path: Path) -> None:
    """The same place in the training is one checkpoint, with the later state."""
    save_checkpoint(tmp_path, config(), 64, state(1.0), {})
    checkpoint = save_checkpoint(tmp_path, config(), 64, state(2.0), {})
    assert kept(tmp_path) == [64]
    assert load_state(checkpoint)["averaged/000/project/kernel"].tolist() == [[2.0] * 3] * 2


@pytest.mark.parametrize("keep", [1, 2])
def test_saving_behind_damaged_checkpoints_drops_those(tmp_path: Path, keep: int) -> None:
    """When the training had to go back, what it saves is kept, and the damaged ones ahead of it go."""
    good = save(tmp_path, 16)
    for images_seen in (64, 96):
        damage(save(tmp_path, images_seen, 9))
    assert latest_checkpoint(tmp_path) == good
    fresh = save(tmp_path, 32, keep)
    assert kept(tmp_path) == [16, 32][-keep:]
    assert latest_checkpoint(tmp_path) == fresh


def test_latest_is_the_newest(tmp_path: Path) -> None:
    """Without checkpoints there is none; else it is the one with the most images."""
    assert latest_checkpoint(tmp_path) is None
    save(tmp_path, 64)
    newest = save(tmp_path, 1_000_000)
    assert latest_checkpoint(tmp_path) == newest


def test_damaged_newest_is_passed_over_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Training goes on from the checkpoint before, and the log says why."""
    good = save(tmp_path, 64)
    bad = save(tmp_path, 96)
    damage(bad)
    with caplog.at_level(logging.WARNING):
        assert latest_checkpoint(tmp_path) == good
    assert caplog.messages == [f"{bad.path} is damaged; going back to the checkpoint before it"]


def test_full_disk_leaves_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk is said in one line, and the previous checkpoint stays."""
    good = save(tmp_path, 64, keep=1)

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(ArtifactError) as caught:
        save(tmp_path, 96, keep=1)
    assert str(caught.value) == (
        f"the checkpoint at 0.096 kimg cannot be written to {checkpoint_folder(tmp_path, 96)} (No space left on "
        "device); those before it are kept: make room, and the same command continues from there"
    )
    assert kept(tmp_path) == [64]
    assert latest_checkpoint(tmp_path) == good


def test_finished_is_the_checkpoint_at_the_end_and_no_other(tmp_path: Path) -> None:
    """32 steps of 32 images make 1,024, the first whole number of batches from 1 kimg on."""
    save(tmp_path, 992)
    assert finished_checkpoint(tmp_path, config()) is None
    last = save(tmp_path, 1024)
    assert finished_checkpoint(tmp_path, config()) == last
    longer = RunConfig(preset="custom", train=TrainConfig(total_kimg=1.025, batch_size=32))
    assert finished_checkpoint(tmp_path, longer) is None
    damage(last)
    assert finished_checkpoint(tmp_path, config()) is None


def test_damaged_state_is_refused(tmp_path: Path) -> None:
    """Whichever byte of the file is hit, loading names the file instead of returning other weights."""
    checkpoint = save_checkpoint(tmp_path, config(), 64, {"w": np.ones(3, np.float32)}, {})
    path = checkpoint.path / "state.npz"
    data = path.read_bytes()
    for position in range(0, len(data), 16):
        path.write_bytes(data)
        damage(checkpoint, position)
        with pytest.raises(ArtifactError) as caught:
            load_state(checkpoint)
        assert str(caught.value) == (f"{path} is damaged: its SHA-256 is not the manifest's; delete it and run again")


def test_missing_state_is_refused(tmp_path: Path) -> None:
    """A checkpoint without its file, or without its manifest, is named."""
    checkpoint = save(tmp_path, 64)
    path = checkpoint.path / "state.npz"
    path.unlink()
    with pytest.raises(ArtifactError) as caught:
        load_state(checkpoint)
    assert str(caught.value) == f"{path} is missing; delete {checkpoint.path} and run again"
    with pytest.raises(ArtifactError) as caught:
        load_state(Checkpoint(tmp_path, 96, checkpoint_folder(tmp_path, 96)))
    assert str(caught.value) == (
        f"there is no checkpoint at {checkpoint_folder(tmp_path, 96)}: manifest.json is missing"
    )


def test_objects_are_not_saved(tmp_path: Path) -> None:
    """Only plain arrays go into a checkpoint; nothing is published when something else comes."""
    with pytest.raises(ValueError, match="Object arrays cannot be saved when allow_pickle=False"):
        save_checkpoint(tmp_path, config(), 64, {"code": np.array([print], object)}, {})
    assert kept(tmp_path) == []


def test_pickles_are_not_loaded(tmp_path: Path) -> None:
    """A well-formed checkpoint with a pickled object inside is refused, not executed."""
    folder = checkpoint_folder(tmp_path, 64)
    with artifacts.publishing(folder) as draft:
        np.savez(draft / "state.npz", code=np.array([{"a": 1}], object))
        artifacts.write_manifest(draft, "checkpoint", "d" * 64, {})
    with pytest.raises(ArtifactError) as caught:
        load_state(Checkpoint(tmp_path, 64, folder))
    assert str(caught.value) == (
        f"{folder}/state.npz cannot be read (Object arrays cannot be loaded when allow_pickle=False); "
        f"delete {folder} and train again"
    )


def test_names_sort_by_time(tmp_path: Path) -> None:
    """Folder names have one length, up to a million million images."""
    assert checkpoint_folder(tmp_path, 5) == tmp_path / "checkpoints" / "000000000005"
    assert checkpoint_folder(tmp_path, 10**12 - 1).name == "999999999999"


def test_manifest_is_json_with_the_state_alone(tmp_path: Path) -> None:
    """A checkpoint is one file of arrays and its manifest."""
    saved = json.loads((save(tmp_path, 64).path / "manifest.json").read_text())
    assert (saved["kind"], list(saved["files"])) == ("checkpoint", ["state.npz"])


def scored(run_dir: Path, images_seen: int, best: int, keep: int = 2, **progress: Any) -> Checkpoint:
    """Save a checkpoint that was made when the score at `best` was the lowest."""
    known = {"best": {"images": best, "swd": 10.0, "n": 64}, **progress}
    return save_checkpoint(run_dir, config(keep), images_seen, state(images_seen), known)


def test_best_is_kept_beside_the_newest(tmp_path: Path) -> None:
    """The best by score stays as long as a kept checkpoint names it, so that going back one finds its own best."""
    for images_seen, best in ((32, 32), (64, 32), (96, 32), (128, 32)):
        scored(tmp_path, images_seen, best)
    assert kept(tmp_path) == [32, 96, 128]
    scored(tmp_path, 160, 160)
    assert kept(tmp_path) == [32, 128, 160]
    scored(tmp_path, 192, 160)
    assert kept(tmp_path) == [160, 192]


def test_config_chooses_last_or_best(tmp_path: Path) -> None:
    """`eval.checkpoint` says which checkpoint of a finished training is sampled and scored."""
    best = scored(tmp_path, 64, 64, 9)
    damaged = scored(tmp_path, 96, 96, 9)
    assert chosen_checkpoint(tmp_path, config()) is None
    last = scored(tmp_path, 1024, 64, 9)
    wanting = RunConfig(preset="custom", train=config().train, eval=EvalConfig(checkpoint="best"))
    assert (chosen_checkpoint(tmp_path, config()), chosen_checkpoint(tmp_path, wanting)) == (last, best)
    damage(damaged)
    with pytest.raises(ArtifactError) as caught:
        best_checkpoint(Checkpoint(tmp_path, 96, damaged.path))
    assert str(caught.value) == (
        f"the best checkpoint of {tmp_path} cannot be used: {damaged.path} is missing or damaged; "
        "use eval.checkpoint=last"
    )
    with pytest.raises(ArtifactError, match=r"no score was taken on the way; use eval\.checkpoint=last"):
        best_checkpoint(save(tmp_path, 1056))


def test_training_that_stopped_early_is_finished(tmp_path: Path) -> None:
    """Its newest checkpoint is the end, as long as patience is asked for and nothing is damaged."""
    patient = RunConfig(preset="custom", train=TrainConfig(total_kimg=1.0, batch_size=32, patience_kimg=0.1))
    scored(tmp_path, 64, 32)
    assert finished_checkpoint(tmp_path, patient) is None
    last = scored(tmp_path, 160, 32, stopped_early="stopped early at 0.16 of 1.024 kimg")
    assert finished_checkpoint(tmp_path, patient) == last
    assert stopped_early(load_manifest(last)) == "stopped early at 0.16 of 1.024 kimg"
    assert finished_checkpoint(tmp_path, config()) is None
    damage(last)
    assert finished_checkpoint(tmp_path, patient) is None


def test_end_without_its_snapshot_is_not_finished(tmp_path: Path) -> None:
    """A training that was told to stop in its last snapshot has that still to do."""
    save_checkpoint(tmp_path, config(), 1024, state(), {"snapshot_due": True})
    assert finished_checkpoint(tmp_path, config()) is None


def test_all_damaged_is_an_error(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Training does not silently start over; what a kill left without a manifest is no checkpoint and no reason."""
    (tmp_path / "checkpoints" / "000000000032").mkdir(parents=True)
    assert latest_checkpoint(tmp_path) is None
    for images_seen in (64, 96):
        damage(save(tmp_path, images_seen))
    with pytest.raises(ArtifactError) as caught:
        latest_checkpoint(tmp_path)
    assert str(caught.value) == (
        f"all checkpoints in {tmp_path / 'checkpoints'} are damaged (2); bring one back from a backup, or delete the "
        "folder to train from the start"
    )
    assert len(caplog.messages) == 2
