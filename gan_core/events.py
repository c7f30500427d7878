"""TensorBoard's event files, written here, as TensorFlow's writer cannot go back.

A resumed training goes back to its checkpoint. What was written after it is taken out of the files, and the next file
begins with the mark of a restart (`SessionLog.START`), at which a TensorBoard that is looking drops from that step on
what it has read. Scalars, images and histograms have the form of `tf.summary` (TensorBoard's plugins of these names).
"""

from __future__ import annotations

import io
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from PIL import Image

from gan_core import artifacts
from gan_core.errors import ArtifactError
from gan_core.records import read_records, write_record

BUCKETS = 30  # of a histogram, as `tf.summary.histogram` has it
_PATTERN = "events.out.tfevents.*"

Value = Any


class Events:
    """The event files in `folder`, open at step `images_seen`; at 0 whatever is there is deleted."""

    def __init__(self, folder: Path, images_seen: int) -> None:
        artifacts.make_folder(folder)
        self.tags = _cut(folder, images_seen)
        # TensorBoard reads files in the order of their names.
        stamps = (path.name.split(".")[3] for path in _files(folder))
        last = max((int(stamp) for stamp in stamps if stamp.isdecimal()), default=0)
        self._path = folder / f"events.out.tfevents.{max(int(time.time()), last + 1)}.faceloom"
        begin = tf.compat.v1.SessionLog(status=tf.compat.v1.SessionLog.START)
        self._write(tf.compat.v1.Event(file_version="brain.Event:2", wall_time=time.time()))
        self._write(tf.compat.v1.Event(session_log=begin, step=images_seen and images_seen + 1, wall_time=time.time()))

    def add(self, step: int, *values: Value) -> None:
        """Append one event; `values` are what `scalar`, `picture` and `histogram` make."""
        self.tags |= {value.tag for value in values}
        summary = tf.compat.v1.Summary(value=values)
        self._write(tf.compat.v1.Event(step=step, wall_time=time.time(), summary=summary))

    def _write(self, event: Any) -> None:
        with self._path.open("ab") as stream:
            write_record(stream, event.SerializeToString())


def scalar(tag: str, number: float) -> Value:
    """Return a number, stored as float32."""
    return _value(tag, "scalars", np.float32(number))


def picture(tag: str, image: Image.Image) -> Value:
    """Return a picture, stored as PNG."""
    stream = io.BytesIO()
    image.save(stream, format="png")
    width, height = (str(side).encode() for side in image.size)
    return _value(tag, "images", np.array([width, height, stream.getvalue()], object))


def histogram(tag: str, numbers: npt.NDArray[Any]) -> Value:
    """Return how numbers are distributed, in `BUCKETS` buckets of one width; what is not finite is left out."""
    return _value(tag, "histograms", buckets(numbers))


def buckets(numbers: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return float64 [BUCKETS, 3], left edge, right edge and count; [0, 3] of nothing.

    Numbers that are all equal are the last bucket of no width, as in TensorBoard's own `histogram`.
    """
    finite = np.ravel(numbers).astype(np.float64)
    finite = finite[np.isfinite(finite)]
    if finite.size == 0:
        return np.zeros((0, 3))
    if finite.min() == finite.max():
        edges, counts = np.full(BUCKETS + 1, finite[0]), np.zeros(BUCKETS)
        counts[-1] = finite.size
    else:
        counts, edges = np.histogram(finite, BUCKETS)
    return np.stack([edges[:-1], edges[1:], counts.astype(np.float64)], axis=1)


def histograms_of(gan: Any) -> Mapping[str, npt.NDArray[Any]]:
    """Return tag -> numbers for every trainable weight of both networks, and for Adam's mean of its gradients.

    Adam's first moment is the mean of the gradients, the latest weighing most: `train.beta1` is the share that a step
    keeps. At 0.5, the last two or three steps. It costs no pass through the networks, which would move their state.
    """
    found: dict[str, npt.NDArray[Any]] = {}
    pairs = {"generator": (gan.generator, gan.optimizer_g), "discriminator": (gan.discriminator, gan.optimizer_d)}
    for owner, (network, optimizer) in pairs.items():
        adam = getattr(optimizer, "inner_optimizer", optimizer)
        moments = {variable.name: variable for variable in adam.variables}
        for weight in network.trainable_variables:
            found[f"weights/{owner}/{weight.path}"] = weight.numpy()
            moment = moments.get(f"{weight.path.replace('/', '_')}_momentum")  # as Keras names it
            if moment is not None:
                found[f"gradients/{owner}/{weight.path}"] = moment.numpy()
    return found


def _value(tag: str, plugin: str, array: Any) -> Value:
    data = tf.compat.v1.SummaryMetadata.PluginData(plugin_name=plugin)
    metadata = tf.compat.v1.SummaryMetadata(plugin_data=data)
    return tf.compat.v1.Summary.Value(tag=tag, tensor=tf.make_tensor_proto(array), metadata=metadata)


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob(_PATTERN))


def _cut(folder: Path, images_seen: int) -> set[str]:
    """Take what lies past `images_seen`, and what a kill cut short, out of all files; return the tags that stay."""
    tags: set[str] = set()
    for path in _files(folder):
        if images_seen == 0:
            path.unlink()
        else:
            tags |= _cut_file(path, images_seen)
    return tags


def _cut_file(path: Path, images_seen: int) -> set[str]:
    tags: set[str] = set()
    temporary = path.with_name(f".cut.{path.name.replace('tfevents', 'events')}")  # no name that TensorBoard reads
    is_whole = True
    with temporary.open("wb") as stream:
        try:
            for _, data in read_records(path):
                event = tf.compat.v1.Event.FromString(data)
                if event.HasField("summary") and event.step > images_seen:
                    is_whole = False
                    continue
                tags |= {value.tag for value in event.summary.value}
                write_record(stream, data)
        except ArtifactError:
            is_whole = False
    if is_whole:
        temporary.unlink()
    else:
        temporary.replace(path)
    return tags
