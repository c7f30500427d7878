"""`faceloom models`: what people see of the registry, and what they can do by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from flows.cli import main
from gan_core.registry import Registry
from tests.gan_core.registry.test_registry import register


def _call(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(list(args))
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), out, err


@pytest.fixture
def root(tmp_path: Path) -> str:
    """Return a data root with three versions, the first two of which were promoted in turn."""
    book = Registry(tmp_path, "smoke")
    decision: dict[str, Any] = {
        "promote": False,
        "summary": "not promoted: no better than v2",
        "reasons": [{"check": "better", "passed": False, "text": "21.0 ± 1.0 against 20.9 ± 1.0"}],
    }
    for number in (1, 2):
        register(tmp_path, f"run{number}", float(number))
        book.promote(number, "faceloom", "better")
    register(tmp_path, "run3", 3.0, decision)
    return str(tmp_path)


def test_the_list_has_a_star_at_the_blessed_one(root: str, capsys: pytest.CaptureFixture[str]) -> None:
    """JSON says it too, and a damaged version is listed as such."""
    (Path(root) / "registry" / "smoke" / "0001" / "manifest.json").write_text("{")
    code, out, _ = _call(capsys, "models", "list", "--data-root", root)
    assert code == 0
    lines = [line.split() for line in out.splitlines()[1:]]
    assert [line[:4] for line in lines] == [
        ["smoke", "v1", "damaged", "-"],
        ["*", "smoke", "v2", "run2"],
        ["smoke", "v3", "run3", "2,048"],
    ]
    assert "not passed" in out
    _, out, _ = _call(capsys, "models", "list", "--data-root", root, "--json")
    assert [(one["number"], one.get("blessed")) for one in json.loads(out)] == [(1, None), (2, True), (3, False)]


def test_a_version_shows_its_decision_and_history(root: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Reasons of the gate and every event are there; without a number it is the blessed one."""
    _, out, _ = _call(capsys, "models", "show", "smoke", "3", "--data-root", root)
    assert "gate      not promoted: no better than v2" in out
    assert "          FAILED  21.0 ± 1.0 against 20.9 ± 1.0" in out
    assert "v2 promoted by faceloom: better" in out
    _, out, _ = _call(capsys, "models", "show", "smoke", "--data-root", root, "--json")
    assert (json.loads(out)["number"], len(json.loads(out)["history"])) == (2, 5)


def test_promotion_and_rollback_by_hand_are_recorded(root: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Who and why stand in the history; a dry run changes nothing."""
    where = ("--data-root", root)
    assert _call(capsys, "models", "promote", "smoke", "3", "--who", "ada", "--why", "we like it", *where)[0] == 0
    _, out, _ = _call(capsys, "models", "rollback", "smoke", "--who", "bob", "--why", "green", "--dry-run", *where)
    assert out == "smoke would go back to v2\n"
    assert _call(capsys, "models", "rollback", "smoke", "--who", "bob", "--why", "green", *where)[0] == 0
    last = Registry(Path(root), "smoke").history()[-2:]
    assert [(line["event"], line["version"], line["who"], line["why"]) for line in last] == [
        ("promoted", 3, "ada", "we like it"),
        ("rolled back", 2, "bob", "green"),
    ]


def test_collection_says_what_it_keeps_and_why(root: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing that is referenced goes, however few shall stay."""
    _, out, _ = _call(capsys, "models", "gc", "--keep", "1", "--data-root", root)
    assert out.splitlines() == [
        "smoke: deleted nothing",
        "  keeps v1: blessed before; a rollback goes there",
        "  keeps v2: blessed",
        "  keeps v3: one of the newest",
    ]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("models", "show", "smoky"), "there is no model 'smoky'"),
        (("models", "promote", "smoke", "9", "--why", "x"), "smoke has no version 9; it has 1, 2, 3"),
        (("models", "promote", "smoke", "1"), "missing option '--why'"),
        (("models", "lst"), "unknown command 'lst' (did you mean 'list'?)"),
    ],
)
def test_mistakes_are_one_line(
    root: str, capsys: pytest.CaptureFixture[str], args: tuple[str, ...], message: str
) -> None:
    """Exit code 2, the value, and what there is."""
    where = () if args[-1] == "lst" else ("--data-root", root)
    code, _, err = _call(capsys, *args, *where)
    assert code == 2
    assert message in err and err.count("\n") == 1


def test_without_versions_the_list_says_how_to_make_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An empty registry is no error."""
    code, out, _ = _call(capsys, "models", "list", "--data-root", str(tmp_path))
    assert (code, "faceloom retrain smoke" in out) == (0, True)
