"""The measures equal those of other tools, whose values are kept in golden.json; see tests/parity."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from gan_core.measures.frechet import frechet_distance
from gan_core.measures.moments import moments_of
from tests.parity import ours
from tests.parity.feature_sets import PAIRS, SUBSET_SIZE, SUBSET_SIZES

GOLDEN = json.loads((Path(__file__).parent / "golden.json").read_text(encoding="utf-8"))["sets"]


def test_every_set_has_golden_values() -> None:
    """No feature set is left out."""
    assert set(GOLDEN) == set(PAIRS)


@pytest.mark.parametrize("name", PAIRS)
def test_equals_other_tools(name: str) -> None:
    """Each measure is within 1e-6, relative, of torch-fidelity 0.4.0, prdc 0.2, SciPy's root, and its definition."""
    found = ours.values(PAIRS[name](), SUBSET_SIZES.get(name, SUBSET_SIZE))
    assert set(found) == set(GOLDEN[name])
    for measure, by_tool in GOLDEN[name].items():
        assert {tool: found[measure] for tool in by_tool} == pytest.approx(by_tool, rel=1e-6, abs=0), measure


def test_a_set_of_few_vectors_has_the_exact_frechet_distance() -> None:
    """With fewer vectors than dimensions ours agrees with singular values to 1e-9, and SciPy to 1e-6."""
    pair = PAIRS["few"]()
    roots = [(each - each.mean(axis=0)) / np.sqrt(len(each) - 1) for each in pair[:2]]
    step = pair.real.mean(axis=0) - pair.fake.mean(axis=0)
    overlap = np.linalg.svd(roots[0] @ roots[1].T, compute_uv=False).sum()
    exact = step @ step + sum(np.square(root).sum() for root in roots) - 2 * overlap
    found = frechet_distance(moments_of(pair.real), moments_of(pair.fake))
    assert found == pytest.approx(exact, rel=1e-9)
    assert found == pytest.approx(GOLDEN["few"]["frechet"]["scipy"], rel=1e-6)
