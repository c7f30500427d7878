"""docs/reliability.md and the tests that it names."""

from __future__ import annotations

import ast
import re

from tests.reliability.night import ROOT


def test_every_promise_names_a_test_that_exists() -> None:
    """Each row names one; and each night that is tested is in the page."""
    page = (ROOT / "docs" / "reliability.md").read_text()
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)` \|$", page, re.MULTILINE)
    rows = [line for line in page.splitlines() if line.startswith("| ") and not line.startswith("| what happens")]
    assert len(named) == len(rows) > 15
    for file, name in named:
        assert name in names_in(file), f"{file} has no {name}"
    nights = ("test_kills.py", "test_machines.py", "test_disasters.py", "test_short_nights.py")
    held = {(file, name) for file in nights for name in names_in(f"tests/reliability/{file}")}
    assert held <= {(file.rpartition("/")[2], name) for file, name in named}


def names_in(file: str) -> set[str]:
    """Return the names of a file's tests."""
    tree = ast.parse((ROOT / file).read_text())
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}
