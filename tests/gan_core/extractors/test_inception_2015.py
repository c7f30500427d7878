from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gan_core.errors import ConfigError
from gan_core.extractors import inception_2015
from gan_core.extractors.base import Choice
from gan_core.extractors.inception_2015 import Inception2015, facts_of
from gan_core.extractors.inception_weights import InceptionWeights
from tests.parity import inception
from tests.random_inception import arrays, pictures

Make = Callable[[str], Inception2015]


@pytest.fixture(scope="module")
def make() -> Make:
    """Return the extractor with random weights after a resizing; the network is made once."""
    from gan_core.extractors.inception_network import compiled, network

    weights = InceptionWeights(arrays(), is_published=False)
    run = compiled(network(weights.arrays))
    return lambda resizing: Inception2015(run, facts_of(weights, resizing))


@pytest.fixture(scope="module")
def golden() -> dict[str, Any]:
    """Return what pytorch-fid, torch-fidelity and clean-fid found; see tests/parity/inception.py."""
    found: dict[str, Any] = json.loads(inception.GOLDEN.read_text())
    return found


def held(found: Any, golden: list[float]) -> None:
    """Assert that these numbers are the peers' to 1e-4 of the largest."""
    np.testing.assert_allclose(inception.sampled(found), golden, rtol=0, atol=1e-4 * max(map(abs, golden)))


@pytest.mark.parametrize("case", ["features-32", "features-grey-28"])
def test_features_and_logits_are_those_of_torch_fidelity(make: Make, golden: dict[str, Any], case: str) -> None:
    """The same weights, the same picture: features after the last pooling, and logits without bias."""
    images = pictures(*inception.FEATURES[case])
    made = make("tensorflow").extract(images)
    assert (made.features.shape, made.features.dtype) == ((2, 2048), np.float32)
    assert made.logits is not None
    assert (made.logits.shape, made.logits.dtype) == ((2, 1008), np.float32)
    held(made.features, golden["numbers"][f"torch-fidelity/{case}"])
    held(made.logits, golden["numbers"][f"logits/{case}"])


@pytest.mark.parametrize(
    ("resizing", "peer"), [("legacy", "pytorch-fid/features-32"), ("clean", "features/clean/features-32")]
)
def test_features_are_those_of_the_others(make: Make, golden: dict[str, Any], resizing: str, peer: str) -> None:
    """After its own resizing, pytorch-fid's network finds the same, and so does the network behind clean-fid's."""
    held(make(resizing).extract(pictures(32, 3, 2)).features, golden["numbers"][peer])


def test_pictures_do_not_depend_on_their_batch(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three pictures in batches of two are as each alone; grey is as the same grey three times; none is none."""
    monkeypatch.setattr(inception_2015, "BATCH", 2)
    extractor, images = make("tensorflow"), pictures(28, 1, 3)
    together = extractor.extract(images)
    alone = extractor.extract(images[2:].repeat(3, axis=-1))
    np.testing.assert_allclose(together.features[2:], alone.features, rtol=0, atol=1e-4 * together.features.max())
    none = extractor.extract(images[:0])
    assert none.logits is not None
    assert (none.features.shape, none.logits.shape) == ((0, 2048), (0, 1008))


def test_facts(make: Make, golden: dict[str, Any]) -> None:
    """They are known before the first picture; weights have the digest of the file that PyTorch wrote of them."""
    facts = make("clean").facts
    assert (facts.name, facts.side, facts.dimensions, facts.classes) == ("inception-2015", 299, 2048, 1008)
    assert facts.weights == golden["weights"]
    assert (facts.resizing, facts.is_published) == ("clean", False)
    assert facts.note == "other weights than the published: compares with no FID"
    published = facts_of(InceptionWeights({}, is_published=True), "legacy")
    assert published.is_published
    assert published.note == "published weights, resized as pytorch-fid does it: compares with its FIDs"
    assert facts.digest != make("legacy").facts.digest


def test_unknown_resizing_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    """A typing mistake costs no download."""
    with pytest.raises(ConfigError, match=r"eval\.resizing must be one of legacy, tensorflow, clean for inception"):
        inception_2015.load(Choice(name="inception-2015", resizing="bicubic", downloads=tmp_path))
    assert list(tmp_path.iterdir()) == []
