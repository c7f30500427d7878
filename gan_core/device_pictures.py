"""A whole split on the device that trains."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from gan_core.conditions import Values
from gan_core.dataset import Images, Indices, MemoryPictures
from gan_core.handoff import DatasetManifest


class DevicePictures:
    """A whole split as one variable on a device, to be indexed inside the compiled step.

    Attributes:
        table: uint8 [N, H, W, C], in the manifest's order. A variable, not a tensor: TensorFlow has a GPU kernel that
            picks rows of uint8 from variables (ResourceGather), and none that picks them from tensors (GatherV2),
            which would bring the whole set to the processor at every step.
        values: see `dataset.Pictures`; these stay in the machine's memory.
    """

    def __init__(self, dataset: DatasetManifest, split: str, condition: Sequence[str] = (), device: str = "") -> None:
        """Read the split into memory, and from there onto a device.

        Args:
            dataset: the data set.
            split: train, validation or test.
            condition: names whose values are read as well.
            device: TensorFlow's name, such as "GPU:0"; empty is where it places variables by itself.
        """
        host = MemoryPictures(dataset, split, condition)
        self.values: Values = host.values
        with tf.device(device or None):
            self.table = tf.Variable(host.images, trainable=False, name="pictures")

    def __len__(self) -> int:
        return int(self.table.shape[0])

    def read(self, indices: Indices) -> Images:
        """Return uint8 [len(indices), H, W, C] in [0, 255]."""
        images: Images = tf.gather(self.table, indices).numpy()
        return images
