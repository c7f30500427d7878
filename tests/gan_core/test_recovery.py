"""Going back: after NaN with half the learning rates, after running out of memory with half the pictures at once."""

from __future__ import annotations

import dataclasses
import json
import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from gan_core import guards
from gan_core.checkpoints import chosen_checkpoint, load_manifest, load_state
from gan_core.config import RunConfig, TrainConfig, load_config
from gan_core.errors import ArtifactError, ConfigError, Diverged
from gan_core.gan import Gan
from gan_core.handoff import Checkpoint, DatasetManifest
from gan_core.recovery import Divergence, Recovery
from gan_core.snapshot_scores import SnapshotScorer
from gan_core.training import train
from tests.datasets import make_dataset
from tests.gan_core.test_training import lines
from tests.gan_core.train_process import SETTINGS

TINY = ("model.name=mlp", "eval.snapshot_score_count=8", "train.total_kimg=0.16")
CONFIG = load_config("smoke", [*SETTINGS, *TINY])  # 20 steps of 8, a checkpoint every 6, a line every 4
Step = Callable[[Any, Any], None]


def told_by_us(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return faceloom's own messages: TensorFlow counts the functions of all tests in a process, and warns of many."""
    return [record.getMessage() for record in caplog.records if record.name.startswith("gan_core")]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> DatasetManifest:
    """Publish 36 small pictures."""
    return make_dataset(tmp_path_factory.mktemp("data") / "tiny", count=36)


def with_train(**options: Any) -> RunConfig:
    """Return CONFIG with other options of the training."""
    return dataclasses.replace(CONFIG, train=dataclasses.replace(CONFIG.train, **options))


def hook(monkeypatch: pytest.MonkeyPatch, act: Callable[[Gan, int], None]) -> None:
    """Call `act` with the networks and the number of the first step before every device call."""
    build = Gan.__init__

    def hooked(gan: Gan, *args: Any) -> None:
        build(gan, *args)
        run_steps = gan.train_steps

        def train_steps(images: Any, first_step: Any) -> None:
            act(gan, int(first_step))
            run_steps(images, first_step)

        gan.train_steps = train_steps

    monkeypatch.setattr(Gan, "__init__", hooked)


def differing(one: Checkpoint, other: Checkpoint) -> list[str]:
    """Return the names of arrays that are not equal, bit for bit."""
    states = [load_state(checkpoint) for checkpoint in (one, other)]
    assert states[0].keys() == states[1].keys()
    return [name for name in states[0] if not np.array_equal(states[0][name], states[1][name])]


def test_every_divergence_halves_both_learning_rates(tmp_path: Path) -> None:
    """After three, the fourth ends the training with all that was seen; the options asked for are what is halved."""
    config = with_train(learning_rate_g=0.4, learning_rate_d=0.2)
    recovery = Recovery()
    for count, images in enumerate((100, 200, 300)):
        recovery = recovery.after_divergence(images, "loss_g", config.train, tmp_path)
        assert recovery.divergences[-1] == Divergence(images, "loss_g", 0.4 / 2**count, 0.2 / 2**count)
    applied = recovery.applied(config).train
    assert (applied.learning_rate_g, applied.learning_rate_d) == (0.05, 0.025)
    assert dataclasses.replace(applied, learning_rate_g=0.4, learning_rate_d=0.2) == config.train
    with pytest.raises(Diverged) as caught:
        recovery.after_divergence(400, "sums", config.train, tmp_path)
    assert str(caught.value) == (
        "loss_g was not finite at 0.1 kimg (learning rates 0.4 and 0.2); then "
        "loss_g was not finite at 0.2 kimg (learning rates 0.2 and 0.1); then "
        "loss_g was not finite at 0.3 kimg (learning rates 0.1 and 0.05); then "
        "sums was not finite at 0.4 kimg (learning rates 0.05 and 0.025); the last good checkpoint is kept in "
        f"{tmp_path / 'checkpoints'}. Try a lower train.learning_rate_g and train.learning_rate_d (now 0.4 and 0.2)"
    )


def test_recovery_is_kept_in_a_file_and_in_the_progress(tmp_path: Path) -> None:
    """The file wins, as it is written first; without it the checkpoint's progress tells; a damaged file is named."""
    once = Recovery((Divergence(100, "loss_d", 0.1, 0.2),), 4)
    assert Recovery.load(tmp_path, {}) == Recovery()
    assert Recovery.load(tmp_path, {"recovery": json.loads(json.dumps(once.to_json()))}) == once
    once.write(tmp_path)
    assert Recovery.load(tmp_path, {}) == once
    (tmp_path / "recovery.json").write_text("[]")
    with pytest.raises(ArtifactError, match=r"recovery\.json cannot be read .*; delete it, and the training goes on"):
        Recovery.load(tmp_path, {})


def test_parts_shrink_until_one_picture(tmp_path: Path) -> None:
    """What memory does not hold is halved from what was held before; below one picture there is nothing to do."""
    recovery = Recovery().with_smaller_parts(0, "full", TrainConfig(batch_size=12))
    assert recovery.applied(with_train(batch_size=12)).train.micro_batch == 6
    assert recovery.with_smaller_parts(0, "full", TrainConfig(batch_size=12)) == Recovery((), 3)
    with pytest.raises(ConfigError) as caught:
        Recovery().with_smaller_parts(0, "OOM when allocating", TrainConfig(batch_size=12, micro_batch=1))
    assert str(caught.value) == (
        "the device's memory does not suffice for one picture at a time (OOM when allocating); choose a smaller "
        "model.base_channels or data.resolution, or free the memory that other programs hold"
    )


def poison_at(step: int, above: float) -> Callable[[Gan, int], None]:
    """Return what puts NaN into every logit before a step, where the learning rate is larger than `above`."""

    def act(gan: Gan, first_step: int) -> None:
        if first_step == step and gan.config.train.learning_rate_g > above:
            bias = gan.discriminator.trainable_variables[-1]
            bias.assign(bias + np.nan)

    return act


def test_nan_goes_back_to_the_checkpoint_and_halves(
    tmp_path: Path, dataset: DatasetManifest, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """NaN at step 14 goes back to 96 images, cuts the logs, and ends as if the rates had been halved there by hand.

    A process that is killed right after it noted the divergence does the same: here it is a new process of the run.
    """
    rate = CONFIG.train.learning_rate_g
    train(with_train(total_kimg=0.096), dataset, tmp_path / "by hand")
    Recovery((Divergence(128, "loss_g", rate, rate),)).write(tmp_path / "by hand")
    by_hand = train(CONFIG, dataset, tmp_path / "by hand")
    hook(monkeypatch, poison_at(14, above=rate * 0.6))
    with caplog.at_level(logging.WARNING):
        gone_back = train(CONFIG, dataset, tmp_path / "back")
    assert told_by_us(caplog) == [
        "loss_g was not finite at 0.128 kimg (learning rates 0.0002 and 0.0002); going back to the last good "
        "checkpoint with half the learning rates (1 of 3)"
    ]
    assert differing(gone_back, by_hand) == []
    assert lines(tmp_path / "back" / "metrics.jsonl") == lines(tmp_path / "by hand" / "metrics.jsonl")
    scores = [lines(tmp_path / name / "snapshot_scores.jsonl") for name in ("back", "by hand")]
    assert scores[0] == [line for line in scores[1] if line["images"] != 96]  # the end of the shorter training
    assert [line["images"] for line in lines(tmp_path / "back" / "metrics.jsonl")] == [32, 64, 96, 128, 160]
    seen = {"images": 128, "what": "loss_g", "learning_rate_g": rate, "learning_rate_d": rate}
    saved = {"divergences": [seen], "micro_batch": 0}
    assert load_manifest(gone_back).fields["progress"]["recovery"] == saved
    assert json.loads((tmp_path / "back" / "recovery.json").read_text()) == saved
    rates = {float(load_state(gone_back)[f"optimizer_{network}/001"]) for network in "gd"}
    assert rates == {float(np.float32(rate / 2))}


def test_nan_before_the_first_checkpoint_starts_over(
    tmp_path: Path, dataset: DatasetManifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a checkpoint it goes back to the start: as a run with half the learning rates from the beginning."""
    rate = CONFIG.train.learning_rate_g
    halved = train(with_train(learning_rate_g=rate / 2, learning_rate_d=rate / 2), dataset, tmp_path / "halved")
    hook(monkeypatch, poison_at(2, above=rate * 0.6))
    gone_back = train(CONFIG, dataset, tmp_path / "back")
    assert differing(gone_back, halved) == []
    assert lines(tmp_path / "back" / "metrics.jsonl") == lines(tmp_path / "halved" / "metrics.jsonl")


def test_four_divergences_are_the_end(
    tmp_path: Path, dataset: DatasetManifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A training that diverges under every learning rate says all four, and what is on the disk is finite."""
    hook(monkeypatch, poison_at(14, above=0.0))
    with pytest.raises(Diverged) as caught:
        train(CONFIG, dataset, tmp_path)
    seen = re.findall(r"loss_g was not finite at 0\.128 kimg \(learning rates (\S+) and (\S+)\)", str(caught.value))
    assert seen == [("0.0002", "0.0002"), ("0.0001", "0.0001"), ("5e-05", "5e-05"), ("2.5e-05", "2.5e-05")]
    kept = sorted((tmp_path / "checkpoints").glob("[0-9]*"))
    assert [folder.name for folder in kept][-1] == "000000000096"
    for folder in kept:
        state = load_state(Checkpoint(tmp_path, int(folder.name), folder))
        assert guards.first_not_finite(state) is None
    with pytest.raises(Diverged):
        train(CONFIG, dataset, tmp_path)


def test_weights_are_looked_at_in_logs_snapshots_and_saves(
    tmp_path: Path, dataset: DatasetManifest, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A weight that no loss shows is found before a checkpoint (48 images), a snapshot (80) or a line (128) is made."""

    def act(gan: Gan, first_step: int) -> None:
        share = gan.config.train.learning_rate_g / CONFIG.train.learning_rate_g
        weight = (gan.generator if share == 0.25 else gan.averaged).variables[0]
        if (first_step, share) in {(5, 1.0), (9, 0.5), (14, 0.25)}:
            weight.assign(weight * np.nan)

    hook(monkeypatch, act)
    with caplog.at_level(logging.WARNING):
        train(CONFIG, dataset, tmp_path)
    found = [text.partition(" (learning")[0] for text in told_by_us(caplog) if "not finite" in text]
    assert found == [
        "averaged/000/kernel was not finite at 0.048 kimg",
        "averaged/000/kernel was not finite at 0.08 kimg",
        "generator/000/kernel was not finite at 0.128 kimg",
    ]


def test_skipped_steps_of_float16_are_no_divergence(
    tmp_path: Path, dataset: DatasetManifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Loss scaling starts far too high: steps are skipped while it is halved, and training goes on by itself."""
    build = Gan.__init__

    def hooked(gan: Gan, *args: Any) -> None:
        build(gan, *args)
        gan.optimizer_d.dynamic_scale.assign(2.0**26)

    monkeypatch.setattr(Gan, "__init__", hooked)
    last = train(with_train(precision="mixed_float16"), dataset, tmp_path)
    state = load_state(last)
    scales = [array.item() for name, array in state.items() if name.startswith("optimizer_d") and array.size == 1]
    assert not (tmp_path / "recovery.json").exists()
    assert load_manifest(last).fields["progress"]["recovery"] == Recovery().to_json()
    halvings = [26 - np.log2(scale) for scale in scales if scale > 2**6 and np.log2(scale) % 1 == 0]
    assert len(halvings) == 1
    skipped = halvings[0]
    assert 0 < skipped < 20
    assert 20 - skipped in scales  # Adam counts the steps that were taken


def out_of_memory_above(pictures: int, from_step: int = 0) -> Callable[[Gan, int], None]:
    """Return what fails as TensorFlow does while more than so many pictures are in memory at once."""

    def act(gan: Gan, first_step: int) -> None:
        held = gan.config.train.micro_batch or gan.config.train.batch_size
        if first_step >= from_step and held > pictures:
            kernel = gan.generator.trainable_variables[0]
            kernel.assign(kernel + 1.0)  # a step that fails leaves half of its work behind
            raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor\nHint: more")

    return act


def test_out_of_memory_halves_the_parts(
    tmp_path: Path, dataset: DatasetManifest, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """From the first step on, a batch of 8 fits only by twos: the run is that of train.micro_batch=2, bit for bit."""
    by_twos = train(with_train(micro_batch=2), dataset, tmp_path / "by twos")
    hook(monkeypatch, out_of_memory_above(2))
    with caplog.at_level(logging.WARNING):
        found = train(CONFIG, dataset, tmp_path / "found")
    assert differing(found, by_twos) == []
    told = "going back to the last checkpoint, with the same batch in parts of"
    assert told_by_us(caplog) == [
        f"out of memory at 0 kimg (OOM when allocating tensor); {told} {size} pictures (train.micro_batch)"
        for size in (4, 2)
    ]


def test_parts_stay_small_after_a_resume(
    tmp_path: Path, dataset: DatasetManifest, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Memory that runs out at step 8 goes back to 48 images; a later process of the run does not run into it again."""
    shorter = with_train(total_kimg=0.112)
    hook(monkeypatch, out_of_memory_above(4, from_step=8))
    with caplog.at_level(logging.WARNING):
        train(shorter, dataset, tmp_path)
        assert len(caplog.messages) == 1
        last = train(CONFIG, dataset, tmp_path)
    assert len(caplog.messages) == 1
    assert load_manifest(last).fields["progress"]["recovery"] == {"divergences": [], "micro_batch": 4}
    assert [line["images"] for line in lines(tmp_path / "metrics.jsonl")] == [32, 64, 96, 112, 128, 160]


def test_memory_for_no_picture_is_a_clear_error(
    tmp_path: Path, dataset: DatasetManifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """8, 4, 2, 1, and then the message says what to change."""
    hook(monkeypatch, out_of_memory_above(0))
    with pytest.raises(ConfigError, match="does not suffice for one picture at a time"):
        train(CONFIG, dataset, tmp_path)
    assert json.loads((tmp_path / "recovery.json").read_text())["micro_batch"] == 1


def test_early_stop_and_the_best(
    tmp_path: Path, dataset: DatasetManifest, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Scores 9, 5, 6, 7, ... every 16 images with a patience of 40 images: best at 32, the end at 80, and it stays."""
    scores = iter([1.0, 9.0, 5.0, 6.0, 7.0, 8.0])
    monkeypatch.setattr(SnapshotScorer, "score", lambda *_: {"swd": next(scores), "swd_floor": 1.0, "n": 8})
    config = with_train(patience_kimg=0.04, snapshot_every_kimg=0.016)
    with caplog.at_level(logging.WARNING):
        last = train(config, dataset, tmp_path)
    reason = (
        "stopped early at 0.08 of 0.16 kimg: the score was best at 0.032 kimg (SWD 5), and train.patience_kimg=0.04 "
        "have passed since"
    )
    assert told_by_us(caplog) == [reason]
    assert last.images_seen == 80
    assert [folder.name for folder in sorted((tmp_path / "checkpoints").glob("[0-9]*"))] == [
        "000000000032",
        "000000000048",
        "000000000080",
    ]
    assert train(config, dataset, tmp_path) == last
    wanting = dataclasses.replace(config, eval=dataclasses.replace(config.eval, checkpoint="best"))
    chosen = [chosen_checkpoint(tmp_path, asked) for asked in (config, wanting)]
    assert [checkpoint.images_seen for checkpoint in chosen if checkpoint] == [80, 32]


def test_generator_that_stands_still_has_collapsed(
    tmp_path: Path, dataset: DatasetManifest, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A generator that ignores its latent vector draws one picture: a field in every score, one warning."""
    monkeypatch.setattr(guards, "COLLAPSE_FROM_KIMG", 0.08)

    def act(gan: Gan, _: int) -> None:
        for kernel in (gan.generator.trainable_variables[0], gan.averaged.trainable_variables[0]):
            kernel.assign(kernel * 0)

    hook(monkeypatch, act)
    with caplog.at_level(logging.WARNING):
        train(with_train(learning_rate_g=0.0), dataset, tmp_path)
    scores = lines(tmp_path / "snapshot_scores.jsonl")
    assert [(line["images"], line["diversity"] < 1e-3, line.get("collapsed")) for line in scores[1:]] == [
        (80, True, 1),
        (160, True, 1),
    ]
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith("at 0.08 kimg mode collapse: generated pictures are 0 times as far apart")


def test_discriminator_that_wins_is_told(
    tmp_path: Path, dataset: DatasetManifest, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A discriminator against a generator that does not learn wins for long: a field in its lines, one warning."""
    monkeypatch.setattr(guards, "WINNING_KIMG", 0.064)
    easy = with_train(
        learning_rate_g=0.0, learning_rate_d=0.01, label_smoothing=0.0, total_kimg=0.48, beta2=0.9, loss="hinge"
    )
    with caplog.at_level(logging.WARNING):
        train(easy, dataset, tmp_path)
    told = [line.get("discriminator_wins", 0) for line in lines(tmp_path / "metrics.jsonl")]
    first = told.index(1)
    assert first >= 1
    assert told == [0] * first + [1] * (len(told) - first)
    warned = [text for text in told_by_us(caplog) if "the discriminator wins" in text]
    assert len(warned) == 1
    assert warned[0].startswith(f"at {0.032 * (first + 1):g} kimg the discriminator wins: its loss has been near")
