"""RANKS.md: the figures of the rank check, and which orders they keep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from benchmarks import markdown
from benchmarks.evaluation.degradations import BLURS, CHAIN, NOISES, SHUFFLES

Value = tuple[float, float | None]  # and its standard error, where there is one
Rows = Mapping[str, Mapping[str, Value]]

REAL, OTHER = "real", "men only"
HIGHER_IS_BETTER = ("precision", "recall", "density", "coverage")
# From good to bad: what a measure has to put in this order to pass.
ORDERS: dict[str, tuple[str, ...]] = {
    "real < other real < blurred < noisy < shuffled": (REAL, OTHER, *CHAIN),
    "ever more blur": (REAL, *(f"blur {sigma:g}" for sigma in BLURS)),
    "ever more noise": (REAL, *(f"noise {level:g}" for level in NOISES)),
    "ever smaller patches": (REAL, *(f"shuffle {cut}x{cut}" for cut in SHUFFLES)),
}
_ABOUT = """\
# Do the measures put real faces in order?

*Written by `python -m benchmarks.evaluation.ranks`; see its first lines for the command.*

{count:,} faces of CelebA at 64x64 are the reference; each set below has as many, of other pictures, unless it says its
n. `real` are faces like the reference, `men only` a part of them, which a good measure tells from all, yet finds nearer
than damage. The damaged sets are `real` made worse, with the change of a pixel in grey levels (root mean square) beside
them: kinds of damage have no other common scale. Blur in pixels, noise in grey levels, shuffles in patches. `kimg` are
checkpoints of a training on the same faces. Behind a value is its standard error over the sampling of the compared set.

What to expect, and what not:

- Frechet and kernel distances claim every order below.
- `swd` looks at 7x7 pixels at a time, of which most survive a shuffle: it claims an order within a kind of damage only.
- Recall asks whether real pictures have neighbours in the set, not whether the set is good. Density and coverage, and
  precision most of all, are flat near real data and near nothing: they claim the long steps from kind to kind, not the
  small ones.
- Other faces with another framing (`portraits`) are farther off than damage: a distance between sets sees framing,
  clothes and backdrops too. Only pictures that were cropped alike compare.

![the damage, done to drawn portraits: real, then row by row in the order of the table](ranks.png)

*Drawn portraits, since photographs of CelebA may not be passed on: real, then the damaged sets in the order below.*
"""


def page(tables: Mapping[str, Rows], changes: Mapping[str, float], count: int) -> str:
    """Return the page. tables: title -> set -> measure -> value and standard error."""
    parts = [_ABOUT.format(count=count)]
    for title, rows in tables.items():
        measures = list(next(iter(rows.values())))
        lines = [
            [name, f"{changes[name]:.0f}" if name in changes else "", *(_cell(row[each]) for each in measures)]
            for name, row in rows.items()
        ]
        parts += [f"## By {title}\n", markdown.table(["set", "change", *measures], lines) + "\n"]
        verdicts = [[measure, *(verdict(rows, measure, order) for order in ORDERS.values())] for measure in measures]
        parts.append(markdown.table(["in order?", *ORDERS], verdicts) + "\n")
    return "\n".join(parts)


def verdict(rows: Rows, measure: str, order: Sequence[str]) -> str:
    """Return "yes", or each pair of neighbours in `order` of which the better one scores no better."""
    sign = -1.0 if measure in HIGHER_IS_BETTER else 1.0
    values = [sign * rows[name][measure][0] for name in order]
    wrong = [
        f"{better} / {worse}"
        for (better, worse), (low, high) in zip(pairwise(order), pairwise(values), strict=True)
        if low >= high
    ]
    return "yes" if not wrong else "no: " + ", ".join(wrong)


def _cell(value: Value) -> str:
    number, error = value
    return f"{number:.4g}" if error is None else f"{number:.4g} ± {error:.1g}"
