"""The sheets beside the samples: ways between latents, and every class from the same latents."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image

from gan_core.conditions import Array, Condition
from gan_core.dataset import Images
from gan_core.grids import grid
from gan_core.interpolation import great_circle

INTERPOLATIONS, CLASSES = "interpolations.png", "classes.png"
PAIRS, STEPS = 6, 9
MAX_CLASSES, CLASS_COLUMNS = 16, 8

Draw = Callable[[Array, Array | None], Images]
"""From latents, float32 [N, latent_size], and conditions, float32 [N, size] or None: uint8 [N, H, W, C]."""
Sheet = tuple[Image.Image, dict[str, Any]]


def interpolations(draw: Draw, latent: Array, first_seed: int, condition: Condition | None) -> Sheet:
    """Return a row for each of 6 pairs of seeds, 9 pictures from the one to the other, and the manifest's field.

    Args:
        draw: makes pictures.
        latent: those of 12 seeds, float32 [12, latent_size]; row i of the sheet goes from number 2 i to 2 i + 1.
        first_seed: of those.
        condition: of the samples; all pictures of a row have the same one, the rows go through the most frequent.
    """
    ways = [great_circle(latent[2 * row], latent[2 * row + 1], STEPS) for row in range(PAIRS)]
    seeds = [[first_seed + 2 * row, first_seed + 2 * row + 1] for row in range(PAIRS)]
    facts = {"file": INTERPOLATIONS, "rows": PAIRS, "columns": STEPS, "seeds": seeds}
    told = None
    if condition is not None:
        rows = condition.most_frequent(PAIRS)
        rows = [rows[place % len(rows)] for place in range(PAIRS)]
        told = condition.array(rows).repeat(STEPS, axis=0)
        facts["names"] = [condition.name_of(row) for row in rows]
    return grid(draw(np.concatenate(ways), told), STEPS), facts


def classes(draw: Draw, latent: Array, condition: Condition) -> Sheet:
    """Return a row for each class or combination of attributes, the 16 most frequent, and the manifest's field.

    Args:
        draw: makes pictures.
        latent: those of 8 seeds, float32 [8, latent_size]; column i of the sheet shows the latent i.
        condition: of the run.
    """
    rows = condition.most_frequent(MAX_CLASSES)
    told = condition.array(rows).repeat(CLASS_COLUMNS, axis=0)
    pictures = draw(np.tile(latent, (len(rows), 1)), told)
    names = [condition.name_of(row) for row in rows]
    return grid(pictures, CLASS_COLUMNS), {
        "file": CLASSES,
        "names": names,
        "columns": CLASS_COLUMNS,
        "of": len(condition.rows),
    }
