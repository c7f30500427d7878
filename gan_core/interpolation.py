"""Between two latents: the great circle, on which N(0, 1) latents keep the length that they have."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]
_Vector = npt.NDArray[np.float64]

_PARALLEL = 1e-6  # radians: nearer to the same or to opposite directions, the arc between is not determined


def great_circle(start: Array, end: Array, steps: int) -> Array:
    """Return the way from one latent to another, [steps, size]: its first row is `start`, its last `end`, exactly.

    Directions turn evenly in the plane of both (Shoemake 1985, "Animating rotation with quaternion curves"; White 2016,
    arXiv:1609.04468), lengths grow evenly. A straight line would pass the middle at 0.7 of the length, where a
    generator in high dimensions has seen no latent. In opposite directions, which have no one arc, the way turns
    through the axis that is farthest from both; in the same direction, and from or to the origin, it is straight.

    Args:
        start: float32 [size].
        end: float32 [size].
        steps: rows to return, at least 2.
    """
    a, b = start.astype(np.float64), end.astype(np.float64)
    length_a, length_b = np.linalg.norm(a), np.linalg.norm(b)
    shares = np.linspace(0.0, 1.0, steps)[:, np.newaxis]
    way = (1 - shares) * a + shares * b
    if length_a and length_b:
        from_a, aside, angle = _plane(a / length_a, b / length_b)
        if angle > _PARALLEL:
            turned = np.cos(shares * angle) * from_a + np.sin(shares * angle) * aside
            way = ((1 - shares) * length_a + shares * length_b) * turned
    found = way.astype(np.float32)
    found[0], found[-1] = start, end
    return found


def _plane(a: _Vector, b: _Vector) -> tuple[_Vector, _Vector, float]:
    """Return unit vectors a and, perpendicular to it, the way towards b; and the angle between a and b, 0 to pi."""
    # Of half-angles: the arc cosine of the product is wrong by 1e-8 near both ends.
    angle = 2 * float(np.arctan2(np.linalg.norm(a - b), np.linalg.norm(a + b)))
    if np.pi - angle < _PARALLEL:
        axis = np.eye(len(a))[np.argmin(np.abs(a))]
        aside = axis - (axis @ a) * a
    else:
        aside = b - (b @ a) * a
    length = np.linalg.norm(aside)
    return (a, aside / length, angle) if length else (a, aside, 0.0)
