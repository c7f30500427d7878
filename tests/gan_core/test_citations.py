from __future__ import annotations

import pytest

from gan_core.citations import citations, published
from gan_core.sections import RESOLUTIONS


def test_citations_are_found_by_data_set_and_resolution() -> None:
    """CIFAR-10 at 32 has the scores of one DCGAN by two toolboxes, which differ by a factor: hence the protocols."""
    found = [
        (one.measure, one.value, one.real_count, one.generated_count)
        for one in published("cifar10", 32)
        if one.model == "DCGAN"
    ]
    assert found == [
        ("fid", 28.95, 10000, 10000),
        ("fid", 50.281, 10000, 10000),
        ("inception_score", 6.697, 10000, 10000),
    ]
    assert published("cifar10", 64) == []
    assert published("synthetic", 32) == []


@pytest.mark.parametrize("citation", citations(), ids=lambda one: f"{one.measure}-{one.model}-{one.dataset}")
def test_a_citation_says_what_it_is_and_what_is_not_known(citation: object) -> None:
    """Every entry names its data set as configs do, where it was read, and the gaps in its protocol."""
    from gan_core.citations import Citation

    assert isinstance(citation, Citation)
    assert citation.dataset in ("celeba", "cifar10")
    assert citation.resolution in RESOLUTIONS
    assert " at " in citation.verified
    assert citation.unknown
    assert (citation.error > 0) == bool(citation.error_of)
    assert citation.extractor in citation.protocol


def test_the_protocol_is_told_in_words() -> None:
    """What is not stated is said to be so."""
    found = {one.measure: one.protocol for one in published("celeba", 64) if one.model == "DCGAN"}
    assert found["ms_ssim"] == "real pictures not stated; 10,000 generated; no network"
    sngan = published("celeba", 64)[0]
    assert sngan.protocol == (
        "split all; crop: 178 square of the middle, torchvision Resize; 50,000 real; 50,000 generated; "
        "Inception network of the Mimicry library"
    )
