from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gan_core import artifacts
from gan_core.dataset import StreamedPictures, load_images, reference_order
from gan_core.evaluation import sets
from gan_core.evaluation.sets import PictureSet, extract, real_features
from gan_core.handoff import DatasetManifest
from tests.datasets import make_dataset
from tests.gan_core.evaluation.blocks import Blocks, pictures


@pytest.fixture
def dataset(tmp_path: Path) -> DatasetManifest:
    """Forty pictures and their mirrored copies."""
    return make_dataset(tmp_path / "datasets" / "tiny", mirrored=True)


def features_of(dataset: DatasetManifest, count: int, extractor: Blocks) -> np.ndarray:
    """Return what `real_features` gives for the first `count` originals."""
    order = reference_order(dataset, "train")[:count]
    pictures = StreamedPictures(dataset, "train")
    return real_features(dataset, "train", pictures, order, extractor, lambda: None).features


def test_extract_keeps_all_features_and_the_first_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Features and logits of every picture are there, pictures themselves up to the bound, each looked at once."""
    monkeypatch.setattr(sets, "PICTURES", 5)
    images, extractor, steps = pictures(8), Blocks(), []
    found = extract(extractor, [images[:3], images[3:6], images[6:]], lambda: steps.append(1))
    expected = Blocks().extract(images)
    np.testing.assert_array_equal(found.features, expected.features)
    assert expected.logits is not None and found.logits is not None
    np.testing.assert_array_equal(found.logits, expected.logits)
    np.testing.assert_array_equal(found.images, images[:5])
    assert (extractor.seen, len(steps), len(found)) == (8, 3, 8)


def test_a_part_of_a_set_has_its_pictures_features_and_rows() -> None:
    """Positions choose from all arrays; pictures that are not in memory are left out."""
    images = pictures(4)
    found = extract(Blocks(), [images], lambda: None)
    whole = PictureSet(images[:3], found.features, found.logits, np.arange(4)[:, None])
    part = whole.at(np.array([0, 2, 3]))
    np.testing.assert_array_equal(part.images, images[[0, 2]])
    np.testing.assert_array_equal(part.features, found.features[[0, 2, 3]])
    assert part.logits is not None and part.rows is not None
    np.testing.assert_array_equal(part.logits, found.features[[0, 2, 3], :4] / np.float32(64))
    assert part.rows.ravel().tolist() == [0, 2, 3]


def test_reference_features_are_of_the_originals(dataset: DatasetManifest) -> None:
    """Mirrored copies never enter the reference: features are those of the originals in their fixed order."""
    found = features_of(dataset, 40, Blocks())
    np.testing.assert_array_equal(found, Blocks().extract(load_images(dataset, "train")).features)
    assert len(found) == 40


def test_reference_features_are_cached(dataset: DatasetManifest) -> None:
    """The second evaluation of a data set reads files; fewer pictures are the first of them, more are extracted."""
    extractor = Blocks()
    first = np.array(features_of(dataset, 20, extractor))
    np.testing.assert_array_equal(features_of(dataset, 8, extractor), first[:8])
    np.testing.assert_array_equal(features_of(dataset, 20, extractor), first)
    assert extractor.seen == 20
    np.testing.assert_array_equal(features_of(dataset, 30, extractor)[:20], first)
    assert extractor.seen == 50
    (folder,) = (dataset.path.parent.parent / "references").glob("[!.]*")
    assert folder.name.startswith("tiny-32-blocks-")
    assert artifacts.read_manifest(folder, "reference").fields == {
        "count": 30,
        "split": "train",
        "dataset": dataset.digest,
        "extractor": extractor.facts.digest,
    }


def test_a_damaged_cache_is_made_again(dataset: DatasetManifest) -> None:
    """A byte that changed on the disk does not enter a score."""
    extractor = Blocks()
    first = np.array(features_of(dataset, 8, extractor))
    (file,) = (dataset.path.parent.parent / "references").glob("*/features.npy")
    damaged = bytearray(file.read_bytes())
    damaged[-1] ^= 1
    file.write_bytes(damaged)
    np.testing.assert_array_equal(features_of(dataset, 8, extractor), first)
    assert extractor.seen == 16


def test_another_extractor_has_another_cache(dataset: DatasetManifest) -> None:
    """Features by other weights are not mixed up."""

    class Other(Blocks):
        facts = Blocks.facts.__class__(**{**vars(Blocks.facts), "weights": "c" * 64})

    first, second = Blocks(), Other()
    features_of(dataset, 8, first)
    features_of(dataset, 8, second)
    assert (first.seen, second.seen) == (8, 8)
    assert len(list((dataset.path.parent.parent / "references").glob("[!.]*"))) == 2
