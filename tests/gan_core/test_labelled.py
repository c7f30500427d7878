from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gan_core import labelled
from gan_core.errors import ConfigError
from gan_core.labelled import parts
from tests.written_datasets import pictures, write_dataset


def test_the_test_split_is_held_out(tmp_path: Path) -> None:
    """Pictures of the test split come before those of validation, without copies; unlabelled ones are counted."""
    listed = [*pictures(4), *pictures(2, "validation"), *pictures(3, "test")]
    listed[1] = replace(listed[1], label=-1)
    listed[7] = replace(listed[7], label=-1)
    learned, held_out = parts(write_dataset(tmp_path / "d", listed, mirrored=True), ["label"])
    assert (learned.split, learned.indices.tolist(), learned.unlabelled) == ("train", [0, 1, 4, 5, 6, 7], 1)
    assert learned.values.tolist() == [[0], [0], [0], [0], [1], [1]]
    assert (held_out.split, held_out.indices.tolist(), held_out.unlabelled) == ("test", [0, 4], 1)
    assert held_out.values.tolist() == [[0], [0]]


def test_a_tenth_of_the_training_pictures_is_held_out(tmp_path: Path) -> None:
    """Where there is no other split; no copy of a held-out picture is learned from, and the choice stays."""
    dataset = write_dataset(tmp_path / "d", pictures(30), mirrored=True)
    learned, held_out = parts(dataset, ["label"])
    assert (len(learned.indices), len(held_out.indices), held_out.split) == (54, 3, "train")
    assert (held_out.indices % 2 == 0).all()  # originals come first
    assert not set(learned.indices // 2) & set(held_out.indices // 2)
    assert parts(dataset, ["label"])[1].indices.tolist() == held_out.indices.tolist()


def test_at_most_so_many_are_held_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A large test split is subsampled."""
    monkeypatch.setattr(labelled, "HELD_OUT_AT_MOST", 4)
    _, held_out = parts(write_dataset(tmp_path / "d", [*pictures(3), *pictures(9, "test")]), ["label"])
    assert len(set(held_out.indices.tolist())) == 4
    assert held_out.values[:, 0].tolist() == [index % 2 for index in held_out.indices]


def test_no_classes(tmp_path: Path) -> None:
    """Without classes the message says how to get some; with classes that no picture has, too."""
    listed = [replace(one, label=-1) for one in pictures(4)]
    with pytest.raises(ConfigError, match=r"needs classes, and .* has none; prepare .*data\.folder_labels=true"):
        parts(write_dataset(tmp_path / "without", listed), ["label"])
    dataset = write_dataset(tmp_path / "one", [*listed[:3], replace(listed[3], label=1)])
    with pytest.raises(ConfigError, match=r"have a class, and 1 of 4 training .* have; label them in the source"):
        parts(dataset, ["label"])
