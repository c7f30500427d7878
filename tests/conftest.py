"""Fixtures that several test files use."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from gan_core.handoff import DatasetManifest
from tests import datasets

# Early enough, as nothing above imports TensorFlow: for its log level, and against ~/.keras/keras.json.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ["KERAS_BACKEND"] = "tensorflow"


@pytest.fixture(scope="session")
def make_dataset() -> Callable[..., DatasetManifest]:
    """`make_dataset(folder, count=40, resolution=32, channels=3, ...)`, see tests/datasets.py."""
    return datasets.make_dataset


@pytest.fixture(scope="session")
def tiny_dataset(tmp_path_factory: pytest.TempPathFactory) -> DatasetManifest:
    """40 pictures of 32x32x3 each in train and validation, in shards of 16. Read it, do not write to it."""
    return datasets.make_dataset(tmp_path_factory.mktemp("datasets") / "tiny-32", splits=("train", "validation"))
