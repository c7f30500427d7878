"""Where things are: from the face's own coordinates to the picture's pixels and back.

Face coordinates (u, v) are pixels of the frontal face, measured from the point between the eyes: u to the
right of the picture, v down. The head turns about that point, as CelebA's alignment keeps the eyes in place:
the nose and the outline move, the eyes hardly do. The depth of the face is a smooth dome; that is enough for
moderate angles.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from beam_jobs.sources.portrait.canvas import Field, pixel_grid
from beam_jobs.sources.portrait.traits import Traits

EYES_X, EYES_Y = 88.5, 111.0
"""The point between the eyes, in pixels of the picture."""
EYE_U = 19.5
"""Half the distance between the pupils, in pixels."""
_DEPTH = 46.0
_NOSE_DEPTH = 11.0


def _dome(u: Field, v: Field) -> Field:
    w = np.exp(u * u * (-0.5 / 30**2) + (v - 18) * (v - 18) * (-0.5 / 48**2))
    return w * _DEPTH


def _dome_at(u: float, v: float) -> float:
    return _DEPTH * math.exp(-0.5 * (u / 30) ** 2 - 0.5 * ((v - 18) / 48) ** 2)


_EYE_DEPTH = _dome_at(EYE_U, 0.0)


@dataclass(frozen=True)
class View:
    """Coordinates of every pixel of one portrait, float32 [218, 178] each, in pixels.

    `hx, hy` follow the head's outline and hair, `u, v` the surface of the face; `bx, by` stay with the
    body, which does not turn. All are measured from the point between the eyes of a frontal face.
    """

    traits: Traits
    hx: Field
    hy: Field
    u: Field
    v: Field
    bx: Field
    by: Field

    def window(self, rows: slice, columns: slice = slice(None)) -> View:
        """Return the view of a part of the picture."""
        box = (rows, columns)
        parts = (a[box] for a in (self.hx, self.hy, self.u, self.v, self.bx, self.by))
        return View(self.traits, *parts)

    def project(self, u: float, v: float, lift: float = 0.0) -> tuple[float, float]:
        """Return the pixel (x, y) of a point of the face that stands `lift` pixels out of its dome."""
        yaw, pitch, roll = (math.radians(a) for a in (self.traits.yaw, self.traits.pitch, self.traits.roll))
        depth = _dome_at(u, v) - _EYE_DEPTH + lift
        x = u * math.cos(yaw) + depth * math.sin(yaw)
        y = v * math.cos(pitch) - depth * math.sin(pitch)
        c, s = math.cos(roll), math.sin(roll)
        return EYES_X + c * x - s * y, EYES_Y + s * x + c * y

    def nose_lift(self) -> tuple[float, float]:
        """Return how far the tip of the nose moves (du, dv), in pixels, because it stands out of the face."""
        return (
            _NOSE_DEPTH * math.sin(math.radians(self.traits.yaw)),
            -_NOSE_DEPTH * math.sin(math.radians(self.traits.pitch)),
        )


def view_of(traits: Traits) -> View:
    """Return the coordinates of all pixels for the pose in `traits`."""
    x, y = pixel_grid()
    yaw, pitch, roll = (math.radians(a) for a in (traits.yaw, traits.pitch, traits.roll))
    c, s = math.cos(roll), math.sin(roll)
    bx, by = x - EYES_X, y - EYES_Y
    rx, ry = c * bx + s * by, c * by - s * bx
    back = 0.12 * _DEPTH - _EYE_DEPTH  # the outline lies this far behind the eyes
    hx, hy = rx - back * math.sin(yaw), ry + back * math.sin(pitch)
    u, v = rx, ry
    # Two fixed-point steps invert the projection to a fraction of a pixel at these angles.
    for _ in range(2):
        depth = _dome(u, v) - _EYE_DEPTH
        u = (rx - depth * math.sin(yaw)) * (1 / math.cos(yaw))
        v = (ry + depth * math.sin(pitch)) * (1 / math.cos(pitch))
    # The neck stands where the middle of the head is, and on the other side of a tilt.
    bx = bx - back * math.sin(yaw) + 60 * s
    return View(traits, hx, hy, u, v, bx, by)
