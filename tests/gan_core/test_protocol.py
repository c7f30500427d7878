from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gan_core.protocol import Protocol, described, differences, fingerprint

PROTOCOL = Protocol(
    dataset_digest="a" * 64,
    split="train",
    resolution=64,
    channels=3,
    crop="celeba-108",
    filter="lanczos",
    storage="png",
    mirrored=False,
    real_count=2048,
    generated_count=2048,
    parameters={"version": 1, "window": 7},
)
VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-9, 9), st.floats(-9, 9), st.text("ab", max_size=3), st.just([1, 2])
)
FLAT = st.dictionaries(st.sampled_from(["split", "crop", "real_count", "seed", "version", "window"]), VALUES)


def changed(**fields: Any) -> dict[str, Any]:
    """Return the protocol, as JSON, with other fields."""
    return {**PROTOCOL.to_json(), **fields}


def test_a_protocol_is_flat_and_its_fingerprint_stays() -> None:
    """The measure's own parameters stand beside the other fields, and the digits are those of today for ever."""
    assert PROTOCOL.to_json() == {
        "dataset_digest": "a" * 64, "split": "train", "resolution": 64, "channels": 3, "crop": "celeba-108",
        "filter": "lanczos", "storage": "png", "mirrored": False, "real_count": 2048, "generated_count": 2048,
        "extractor": "", "extractor_digest": "", "resizing": "", "version": 1, "window": 7,
    }  # fmt: skip
    assert PROTOCOL.fingerprint == fingerprint(PROTOCOL.to_json()) == "bcd6239d4c6c"


def test_whole_numbers_and_tuples_have_one_form() -> None:
    """2.0 is 2, -0.0 is 0 and a tuple is a list, also inside; True is not 1."""
    assert fingerprint({"a": (2.0, {"b": -0.0})}) == fingerprint({"a": [2, {"b": 0}]})
    assert fingerprint({"a": True}) != fingerprint({"a": 1})
    assert differences({"a": 2.0}, {"a": 2}) == []


def test_what_is_not_finite_has_no_fingerprint() -> None:
    """NaN equals nothing: it is refused."""
    with pytest.raises(ValueError, match="not JSON compliant"):
        fingerprint({"a": float("nan")})


def test_parameters_cannot_hide_a_field() -> None:
    """A parameter with the name of a field would take its place."""
    with pytest.raises(ValueError, match="cannot be called real_count, split"):
        dataclasses.replace(PROTOCOL, parameters={"split": "test", "real_count": 3, "k": 3})


def test_differences_are_in_plain_words() -> None:
    """Counts have thousands, digests their beginning, flags yes and no, and what is absent says so."""
    other = changed(dataset_digest="b" * 64, mirrored=True, real_count=10_000, crop=None, extractor="inception", k=3)
    del other["window"]
    assert [described(one) for one in differences(PROTOCOL.to_json(), other)] == [
        "dataset_digest: aaaaaaaaaaaa against bbbbbbbbbbbb",
        "crop: celeba-108 against none",
        "mirrored: no against yes",
        "real_count: 2,048 against 10,000",
        "extractor: none against inception",
        "window: 7 against not stated",
        "k: not stated against 3",
    ]


def test_digests_that_begin_alike_are_told_in_full() -> None:
    """Twelve digits are shown only where they tell two digests apart."""
    a, b = "0" * 64, "0" * 63 + "1"
    assert differences({"weights": a}, {"weights": b}) == [("weights", a, b)]


@given(FLAT, st.randoms())
@settings(max_examples=60, deadline=None)
def test_the_order_of_fields_plays_no_part(protocol: dict[str, Any], random: Any) -> None:
    """Any order of the same fields has the same fingerprint, and no differences."""
    names = list(protocol)
    random.shuffle(names)
    shuffled = {name: protocol[name] for name in names}
    assert fingerprint(shuffled) == fingerprint(protocol)
    assert differences(shuffled, protocol) == []


@given(FLAT, FLAT)
@settings(max_examples=150, deadline=None)
def test_fingerprints_differ_exactly_where_a_field_does(a: dict[str, Any], b: dict[str, Any]) -> None:
    """Two protocols have one fingerprint if and only if no difference can be named."""
    assert (fingerprint(a) == fingerprint(b)) == (differences(a, b) == [])


@pytest.mark.parametrize("name", [spec.name for spec in dataclasses.fields(Protocol) if spec.name != "parameters"])
def test_every_field_counts(name: str) -> None:
    """Another value of any one field is another fingerprint, and the one difference that is named."""
    other = changed(**{name: "another"})
    assert fingerprint(other) != PROTOCOL.fingerprint
    assert [field for field, _, _ in differences(PROTOCOL.to_json(), other)] == [name]
