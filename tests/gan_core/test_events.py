"""TensorBoard's files: the form of tf.summary, histograms, and what a restart takes out of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator

from gan_core import events
from gan_core.config import DataConfig, ModelConfig, RunConfig, TrainConfig
from gan_core.events import Events
from gan_core.gan import Gan
from gan_core.records import read_records

EVERYTHING = dict.fromkeys(("scalars", "histograms", "images"), 0)  # no thinning
RAMP = np.linspace(0.0, 3.0, 61, dtype=np.float32)  # two in each bucket, three in the last


def values_of(folder: Path) -> list[tuple[int, Any]]:
    """Return (step, Summary.Value) of all files, in their order."""
    found = []
    for path in sorted(folder.iterdir()):
        for _, data in read_records(path):
            event = tf.compat.v1.Event.FromString(data)
            found += [(event.step, value) for value in event.summary.value]
    return found


def shown(folder: Path) -> dict[str, list[int]]:
    """Return tag -> steps, as TensorBoard shows them."""
    board = EventAccumulator(str(folder), tensor_size_guidance=EVERYTHING)
    board.Reload()
    return {tag: [event.step for event in board.Tensors(tag)] for tag in board.Tags()["tensors"]}


def log(board: Events, *steps: int) -> None:
    """Add a number and a histogram at each step."""
    for step in steps:
        board.add(step, events.scalar("loss_g", step / 8), events.histogram("weights/w", RAMP + step))


def test_values_have_the_form_of_tensorflows_own(tmp_path: Path) -> None:
    """A number and a picture are the messages that tf.summary writes; a histogram has its edges and counts."""
    picture = Image.new("RGB", (3, 2), (9, 8, 7))
    ours = Events(tmp_path / "ours", 0)
    ours.add(5, events.scalar("s", 0.25), events.picture("i", picture), events.histogram("h", RAMP))
    writer = tf.summary.create_file_writer(str(tmp_path / "theirs"))
    with writer.as_default(step=5):
        tf.summary.scalar("s", 0.25)
        tf.summary.image("i", np.asarray(picture)[None])
        tf.summary.histogram("h", RAMP)
    writer.close()
    pairs = zip(values_of(tmp_path / "ours"), values_of(tmp_path / "theirs"), strict=True)
    for (step, one), (other_step, other) in pairs:
        assert (step, one.tag, one.metadata) == (other_step, other.tag, other.metadata)
        arrays = tf.make_ndarray(one.tensor), tf.make_ndarray(other.tensor)
        if one.tag == "i":  # two encoders of PNG
            assert [list(array[:2]) for array in arrays] == [[b"3", b"2"]] * 2
            pictures = [tf.io.decode_png(array[2]).numpy() for array in arrays]
            np.testing.assert_array_equal(*pictures)
        else:
            np.testing.assert_allclose(*arrays, atol=1e-6)


def test_buckets_count_every_finite_number() -> None:
    """30 buckets of a thirtieth of the range; what is not finite is left out, equal numbers are one bucket."""
    counted = events.buckets(np.array([*RAMP, np.nan, np.inf]))
    np.testing.assert_allclose(counted[:, 0], np.arange(30) / 10, atol=1e-12)
    np.testing.assert_allclose(counted[:, 1], np.arange(1, 31) / 10, atol=1e-12)
    assert counted[:, 2].sum() == 61
    same = events.buckets(np.full(4, 2.5))
    assert (same[-1].tolist(), same[:, 2].sum()) == ([2.5, 2.5, 4.0], 4.0)
    assert events.buckets(np.array([np.nan])).shape == (0, 3)


def test_a_resume_takes_out_what_lies_past_it(tmp_path: Path) -> None:
    """Killed at 500 and resumed at 300, TensorBoard shows every step once: numbers and histograms."""
    log(Events(tmp_path, 0), 100, 200, 300, 400, 500)
    board = Events(tmp_path, 300)
    assert board.tags == {"loss_g", "weights/w"}
    assert shown(tmp_path) == {"loss_g": [100, 200, 300], "weights/w": [100, 200, 300]}
    log(board, 400, 500, 600)
    assert shown(tmp_path) == {tag: [100, 200, 300, 400, 500, 600] for tag in ("loss_g", "weights/w")}
    assert len(list(tmp_path.iterdir())) == 2


def test_a_tensorboard_that_is_looking_forgets_what_is_void(tmp_path: Path) -> None:
    """One that has read up to 500 before the resume at 300 shows no step twice afterwards."""
    log(Events(tmp_path, 0), 100, 200, 300, 400, 500)
    board = EventAccumulator(str(tmp_path), tensor_size_guidance=EVERYTHING)
    board.Reload()
    assert [event.step for event in board.Tensors("weights/w")] == [100, 200, 300, 400, 500]
    log(Events(tmp_path, 300), 400)
    board.Reload()
    assert [event.step for event in board.Tensors("weights/w")] == [100, 200, 300, 400]


def test_a_record_that_a_kill_cut_short_goes(tmp_path: Path) -> None:
    """The whole records before it stay, and the file that follows is read."""
    log(Events(tmp_path, 0), 100, 200)
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:-7])
    log(Events(tmp_path, 300), 400)
    assert shown(tmp_path) == {"loss_g": [100, 400], "weights/w": [100, 400]}


def test_files_that_hold_nothing_past_a_resume_are_left_alone(tmp_path: Path) -> None:
    """Their bytes and times stay; a new start deletes them."""
    log(Events(tmp_path, 0), 100)
    (path,) = tmp_path.iterdir()
    before = path.stat().st_ino, path.stat().st_mtime_ns
    Events(tmp_path, 100)
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == before
    Events(tmp_path, 0)
    assert shown(tmp_path) == {}


@pytest.mark.parametrize("precision", ["float32", "mixed_float16"])
def test_histograms_are_weights_and_gradients_of_both_networks(precision: str) -> None:
    """Each trainable weight once, and beside it the mean of its gradients, of the same shape; 1 kB each."""
    config = RunConfig(
        preset="test",
        data=DataConfig(resolution=28, channels=1),
        model=ModelConfig(name="mlp", base_channels=4, latent_size=8, dropout=0.0),
        train=TrainConfig(batch_size=4, beta1=0.0, precision=precision),
    )
    gan = Gan(config)
    before = [weight.numpy() for weight in gan.discriminator.trainable_variables]
    gan.train_steps(np.full((1, 4, 28, 28, 1), 99, np.uint8), tf.constant(0, tf.int64))
    found = events.histograms_of(gan)
    weights = {
        f"{owner}/{weight.path}": weight.numpy()
        for owner, network in (("generator", gan.generator), ("discriminator", gan.discriminator))
        for weight in network.trainable_variables
    }
    assert set(found) == {f"{kind}/{name}" for kind in ("weights", "gradients") for name in weights}
    for name, weight in weights.items():
        np.testing.assert_array_equal(found[f"weights/{name}"], weight)
        assert found[f"gradients/{name}"].shape == weight.shape
    # Adam's first step is against the sign of the gradient.
    for weight, old in zip(gan.discriminator.trainable_variables, before, strict=True):
        gradient = found[f"gradients/discriminator/{weight.path}"]
        large = np.abs(gradient) > 1e-6
        np.testing.assert_array_equal(np.sign(old - weight.numpy())[large], np.sign(gradient)[large])
    assert max(events.histogram(tag, numbers).ByteSize() for tag, numbers in found.items()) < 1000
