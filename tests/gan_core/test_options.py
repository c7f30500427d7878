from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import pytest

from gan_core import options
from gan_core.errors import ConfigError
from gan_core.options import option


@dataclass(frozen=True, kw_only=True)
class Oven:
    """One field of every kind."""

    shelves: int = option(2, "shelves in use", low=1, high=1_000_000)
    minutes: float = option(30.0, "time", low=0.5)
    mode: str = option("fan", "heating", choices=("fan", "grill"))
    size: int = option(60, "width, cm", choices=(45, 60))
    label: str = option("", "a note", content=False)
    timer: bool = option(True, "ring at the end")
    dishes: tuple[str, ...] = option((), "what is inside")

    def __post_init__(self) -> None:
        options.check("oven", self)


SPECS = {spec.name: spec for spec in fields(Oven)}


def test_option_keeps_default_and_metadata() -> None:
    """A declared option is a dataclass field whose metadata has help, bounds, choices, content and later."""
    assert SPECS["shelves"].default == 2
    assert dict(SPECS["shelves"].metadata) == {
        "help": "shelves in use",
        "low": 1,
        "high": 1_000_000,
        "choices": None,
        "content": True,
        "later": False,
    }
    assert SPECS["label"].metadata["content"] is False


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"shelves": 2.0}, "oven.shelves must be a whole number in [1, 1000000], got 2.0"),
        ({"shelves": True}, "oven.shelves must be a whole number in [1, 1000000], got True"),
        ({"shelves": "2"}, "oven.shelves must be a whole number in [1, 1000000], got '2'"),
        ({"shelves": 0}, "oven.shelves must be in [1, 1000000], got 0"),
        ({"shelves": 1_000_001}, "oven.shelves must be in [1, 1000000], got 1000001"),
        ({"minutes": "long"}, "oven.minutes must be a number >= 0.5, got 'long'"),
        ({"minutes": False}, "oven.minutes must be a number >= 0.5, got False"),
        ({"minutes": 0.25}, "oven.minutes must be >= 0.5, got 0.25"),
        ({"minutes": float("nan")}, "oven.minutes must be a finite number, got nan"),
        ({"minutes": float("inf")}, "oven.minutes must be a finite number, got inf"),
        ({"mode": "gril"}, "oven.mode must be one of fan, grill, got 'gril' (did you mean 'grill'?)"),
        ({"mode": "steam"}, "oven.mode must be one of fan, grill, got 'steam'"),
        ({"mode": 3}, "oven.mode must be a text, one of fan, grill, got 3"),
        ({"dishes": "pie"}, "oven.dishes must be a list of texts, got 'pie'"),
        ({"dishes": ["pie", 2]}, "oven.dishes must be a list of texts, got ['pie', 2]"),
        ({"dishes": ("pie", 2)}, "oven.dishes must be a list of texts, got ('pie', 2)"),
        ({"size": 50}, "oven.size must be one of 45, 60, got 50"),
        ({"size": "60"}, "oven.size must be a whole number, one of 45, 60, got '60'"),
        ({"label": None}, "oven.label must be a text, got None"),
        ({"timer": 1}, "oven.timer must be true or false, got 1"),
    ],
)
def test_check_rejects_with_name_value_and_range(values: dict[str, Any], message: str) -> None:
    """A value of the wrong type or range is refused in one line that names it and what would be right."""
    with pytest.raises(ConfigError) as caught:
        Oven(**values)
    assert str(caught.value) == message


@pytest.mark.parametrize("shelves", [1, 1_000_000])
def test_bounds_are_inclusive(shelves: int) -> None:
    """Both ends of a range are allowed."""
    assert Oven(shelves=shelves).shelves == shelves


def test_whole_number_for_a_float_becomes_a_float() -> None:
    """An int where a float is wanted is taken as one, so that 20 and 20.0 have one digest."""
    minutes = Oven(minutes=20).minutes
    assert (minutes, type(minutes)) == (20.0, float)


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("shelves", "in [1, 1000000]"),
        ("minutes", ">= 0.5"),
        ("mode", "one of fan, grill"),
        ("size", "one of 45, 60"),
        ("label", "for example ''"),
        ("timer", "for example True"),
    ],
)
def test_allowed_describes_the_values(key: str, expected: str) -> None:
    """The documentation of a field says its choices or its range, or gives an example."""
    assert options.allowed(SPECS[key]) == expected


@pytest.mark.parametrize(
    ("key", "text", "expected"),
    [
        ("shelves", "3", 3),
        ("shelves", "10_000", 10_000),
        ("minutes", "7", 7.0),
        ("minutes", "2e1", 20.0),
        ("mode", "grill", "grill"),
        ("label", "a=b.c", "a=b.c"),
        *(("timer", text, True) for text in ("true", "True", "yes", "on", "1")),
        *(("timer", text, False) for text in ("false", "FALSE", "no", "off", "0")),
    ],
)
def test_parse_reads_the_type_of_the_field(key: str, text: str, expected: Any) -> None:
    """A text from the command line becomes the field's type."""
    value = options.parse("oven", SPECS[key], text)
    assert (value, type(value)) == (expected, type(expected))


@pytest.mark.parametrize(
    ("key", "text", "message"),
    [
        ("shelves", "two", "oven.shelves must be a whole number in [1, 1000000], got 'two'"),
        ("shelves", "2.5", "oven.shelves must be a whole number in [1, 1000000], got '2.5'"),
        ("shelves", "", "oven.shelves must be a whole number in [1, 1000000], got ''"),
        ("minutes", "half", "oven.minutes must be a number >= 0.5, got 'half'"),
        ("size", "wide", "oven.size must be a whole number, one of 45, 60, got 'wide'"),
        ("timer", "maybe", "oven.timer must be true or false, got 'maybe'"),
    ],
)
def test_parse_rejects_other_texts(key: str, text: str, message: str) -> None:
    """A text that is not of the field's type is refused with the type and the range."""
    with pytest.raises(ConfigError) as caught:
        options.parse("oven", SPECS[key], text)
    assert str(caught.value) == message


def test_suggestion_names_only_near_misses() -> None:
    """A typing mistake gets a suggestion, an unrelated word gets none."""
    assert options.suggestion("traim", ["data", "train"]) == " (did you mean 'train'?)"
    assert options.suggestion("oven", ["data", "train"]) == ""


def test_a_list_becomes_a_tuple() -> None:
    """TOML's and JSON's lists of texts become the tuples that a frozen config holds."""
    assert Oven(dishes=["pie", "bread"]).dishes == ("pie", "bread")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ()),
        ("[]", ()),
        ("pie", ("pie",)),
        ("pie, bread", ("pie", "bread")),
        ('["pie, hot", "bread"]', ("pie, hot", "bread")),
    ],
)
def test_parse_reads_lists(text: str, expected: tuple[str, ...]) -> None:
    """A list is written as JSON, or with commas where no text has one."""
    assert options.parse("oven", SPECS["dishes"], text) == expected


@pytest.mark.parametrize("text", ["[pie]", "[1]", '["pie"'])
def test_parse_rejects_other_lists(text: str) -> None:
    """A bracket that opens no JSON list of texts is refused, with an example of one."""
    with pytest.raises(ConfigError) as caught:
        options.parse("oven", SPECS["dishes"], text)
    assert str(caught.value) == f"""oven.dishes must be a list of texts such as ["a", "b"] or a,b; got '{text}'"""
