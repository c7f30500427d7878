from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beam_jobs.names import Names, content_of, key_hash, line_of, ref_of
from gan_core.artifacts import canonical_json
from gan_core.handoff import SPLITS, ImageRef

FULL = ImageRef(
    "b/\u00e9\u2028\n\t.jpg", "test", "12-34", (0, 1), 7, 3, (0.1, 1 / 3), "CC BY\n2.0", "\x0b\x85 A. Author", (5, 6, 7)
)


@pytest.mark.parametrize("ref", [FULL, ImageRef("a.png"), ImageRef("a.png", span=(0,))])
def test_a_picture_round_trips_as_one_line(ref: ImageRef) -> None:
    """Whatever line breaks and tabs its names hold; a line without a span has no tab."""
    line = line_of(ref)
    assert ref_of(line) == ref
    assert line.splitlines() == [line]
    assert line.count(b"\t") == (1 if ref.span else 0)


def test_lines_are_canonical_json() -> None:
    """The bytes are fixed: data sets are named after their digest."""
    assert (
        line_of(FULL)
        == (
            '["b/\u00e9\u2028\\n\\t.jpg","test","12-34",[0,1],7,3,[0.1,0.3333333333333333],"CC BY\\n2.0",'
            '"\\u000b\x85 A. Author"]\t[5,6,7]'
        ).encode()
    )
    assert content_of(line_of(FULL)) == line_of(FULL).split(b"\t")[0] + b"\n"


NUMBERS = st.lists(st.integers(-1, 1) | st.integers(-300, 2**70), max_size=12).map(tuple)


@given(
    st.builds(
        ImageRef,
        st.text(),
        st.sampled_from(SPLITS),
        st.text(),
        NUMBERS | st.lists(st.integers(0, 9)).map(tuple),
        st.integers(),
        st.integers(),
        st.lists(st.floats(allow_nan=False, allow_infinity=False)).map(tuple),
        st.text(),
        st.text(),
        NUMBERS,
    )
)
def test_any_line_is_canonical_json(ref: ImageRef) -> None:
    """Whatever is in it: digits, larger and negative numbers, any text."""
    *facts, span = ref
    expected = canonical_json(facts) + (f"\t{canonical_json(span)}" if span else "")
    assert line_of(ref) == expected.encode()


def test_names_are_sorted_and_counted() -> None:
    """Whatever order a source lists in; splits that are empty are absent."""
    names = Names.of([FULL, ImageRef("c.png"), ImageRef("a.png")])
    assert [ref.key for ref in names] == ["a.png", FULL.key, "c.png"]
    assert (len(names), names.counts()) == (3, {"train": 2, "test": 1})
    assert (names.landmark_count, names.has_licences) == (2, True)
    assert list(names.hashes) == [key_hash("a.png"), key_hash(FULL.key), key_hash("c.png")]
    assert key_hash("a.png") == int(hashlib.sha256(b"a.png").hexdigest()[:16], 16)


def test_fingerprint_is_that_of_all_lines_without_spans() -> None:
    """Where an archive holds a picture is no part of what it is."""
    refs = [ImageRef("a.png", stamp="1"), ImageRef("b.png", stamp="2", span=(4, 5))]
    text = '["a.png","train","1",[],-1,-1,[],"",""]\n["b.png","train","2",[],-1,-1,[],"",""]\n'
    assert Names.of(refs).fingerprint() == hashlib.sha256(text.encode()).hexdigest()
    moved = [refs[0], ImageRef("b.png", stamp="2", span=(8, 5))]
    assert Names.of(moved).fingerprint() == Names.of(refs).fingerprint()
