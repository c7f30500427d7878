from __future__ import annotations

import json

import numpy as np
import pytest

from gan_core.errors import ConfigError
from gan_core.extractors.inception_2015 import pixels
from gan_core.extractors.resizing import RESIZINGS, resize
from tests.parity import inception
from tests.random_inception import SIDES, pictures


@pytest.mark.parametrize("resizing", RESIZINGS)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("side", SIDES)
def test_the_network_sees_what_its_peers_see(side: int, channels: int, resizing: str) -> None:
    """Enlarged and reduced, grey and in colour, pictures are those of pytorch-fid, torch-fidelity and clean-fid."""
    golden = json.loads(inception.GOLDEN.read_text())["numbers"][f"pixels/{resizing}/{side}-{channels}"]
    found = pixels(pictures(side, channels), resizing)
    assert (found.shape, found.dtype) == ((1, 299, 299, 3), np.float32)
    np.testing.assert_allclose(inception.sampled(found), golden, rtol=0, atol=2e-6)


@pytest.mark.parametrize("resizing", RESIZINGS)
def test_right_size_stays_as_it_is(resizing: str) -> None:
    """A picture of 299x299 is not touched, and each picture and side is resized by itself."""
    images = pictures(299, 3, 2)
    np.testing.assert_array_equal(resize(images, resizing, 299), images)
    oblong = images[:, :, :150]
    found = resize(oblong, resizing, 299)
    assert found.shape == (2, 299, 299, 3)
    np.testing.assert_allclose(found[1:], resize(oblong[1:], resizing, 299), rtol=0, atol=1e-4)


def test_bilinear_weights_by_hand() -> None:
    """Two pixels to four: between centres 0, 1/4, 3/4, 1; from corners 0, 1/2, 1, 1."""
    line = np.array([0, 100], np.uint8).reshape(1, 1, 2, 1).repeat(2, axis=1)
    assert resize(line, "legacy", 4)[0, 0, :, 0].tolist() == [0, 25, 75, 100]
    assert resize(line, "tensorflow", 4)[0, 0, :, 0].tolist() == [0, 50, 100, 100]


def test_bicubic_is_clipped() -> None:
    """Beside an edge the cubic swings over; what is above white or below black is cut, as clean-fid cuts it."""
    edge = np.repeat(np.array([0, 0, 0, 255, 255, 255], np.uint8), 6).reshape(1, 6, 6, 1)
    found = resize(edge, "clean", 299)
    assert (found.min(), found.max()) == (0, 255)
    assert np.mean(found == 255) > 0.2


def test_unknown_resizing() -> None:
    """The known ones are listed."""
    with pytest.raises(ConfigError, match=r"eval\.resizing must be one of legacy, tensorflow, clean, got 'lanczos'"):
        resize(pictures(28, 1), "lanczos", 299)
