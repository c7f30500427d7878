"""The sheets beside the samples: which latent and which condition each picture is made from."""

from __future__ import annotations

import numpy as np
import pytest

from gan_core.conditions import Array, Condition
from gan_core.dataset import Images
from gan_core.grids import grid
from gan_core.interpolation import great_circle
from gan_core.sample_sheets import classes, interpolations

ENDS = np.random.default_rng(0).standard_normal((12, 5)).astype(np.float32)
ATTRIBUTES = Condition("attributes", ("Hat", "Smiling"), ((0, 0), (0, 1), (1, 1)), (3, 9, 5))


class Painter:
    """A stand-in for a generator: grey pictures that tell latents apart, and a note of what was asked."""

    def __call__(self, latent: Array, conditions: Array | None) -> Images:
        """Return [N, 4, 4, 1] by the first number of each latent."""
        self.latent, self.conditions = latent, conditions
        levels = np.round(latent[:, 0] * 20 + 128).astype(np.uint8)
        self.pictures: Images = np.tile(levels[:, None, None, None], (1, 4, 4, 1))
        return self.pictures


def test_interpolations_go_from_seed_to_seed() -> None:
    """Six rows of nine: the great circles between seeds 7 and 8, 9 and 10, ..."""
    painter = Painter()
    sheet, facts = interpolations(painter, ENDS, 7, None)
    expected = [great_circle(ENDS[2 * row], ENDS[2 * row + 1], 9) for row in range(6)]
    np.testing.assert_array_equal(painter.latent, np.concatenate(expected))
    assert painter.conditions is None
    assert facts == {
        "file": "interpolations.png",
        "rows": 6,
        "columns": 9,
        "seeds": [[7, 8], [9, 10], [11, 12], [13, 14], [15, 16], [17, 18]],
    }
    np.testing.assert_array_equal(np.asarray(sheet), np.asarray(grid(painter.pictures, 9)))


def test_a_row_of_interpolations_keeps_its_condition() -> None:
    """The rows go through the conditions, and begin again where there are fewer."""
    painter = Painter()
    _, facts = interpolations(painter, ENDS, 0, ATTRIBUTES)
    assert painter.conditions is not None
    assert painter.conditions.tolist() == [row for row in [[0, 0], [0, 1], [1, 1]] * 2 for _ in range(9)]
    assert facts["names"] == ["Hat=0,Smiling=0", "Hat=0,Smiling=1", "Hat=1,Smiling=1"] * 2


def test_classes_share_the_latents_of_their_columns() -> None:
    """A row for each combination that training has, the same eight latents in each."""
    painter = Painter()
    sheet, facts = classes(painter, ENDS[:8], ATTRIBUTES)
    np.testing.assert_array_equal(painter.latent, np.concatenate([ENDS[:8]] * 3))
    assert painter.conditions is not None
    assert painter.conditions.tolist() == [[0, 0]] * 8 + [[0, 1]] * 8 + [[1, 1]] * 8
    names = ["Hat=0,Smiling=0", "Hat=0,Smiling=1", "Hat=1,Smiling=1"]
    assert facts == {"file": "classes.png", "names": names, "columns": 8, "of": 3}
    assert sheet.size == (8 * 6 - 2, 3 * 6 - 2)


@pytest.mark.parametrize(("counts", "missing"), [((5,) * 20, range(16, 20)), ((1,) * 4 + (5,) * 16, range(4))])
def test_of_many_classes_the_most_frequent_are_shown(counts: tuple[int, ...], missing: range) -> None:
    """Sixteen, in the order of the data set; of equally many the first."""
    names = tuple(f"class {number}" for number in range(20))
    condition = Condition("label", names, tuple((number,) for number in range(20)), counts)
    painter = Painter()
    _, facts = classes(painter, ENDS[:8], condition)
    shown = [number for number in range(20) if number not in missing]
    assert (facts["names"], facts["of"]) == ([names[number] for number in shown], 20)
    assert painter.conditions is not None
    assert painter.conditions.argmax(1).tolist() == [number for number in shown for _ in range(8)]
