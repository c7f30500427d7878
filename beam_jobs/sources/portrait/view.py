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

from beam_jobs.sources.portrait.canvas import HEIGHT, WIDTH, Box, Field, pixel_grid
from beam_jobs.sources.portrait.traits import Traits

EYES_X, EYES_Y = 88.5, 111.0
"""The point between the eyes, in pixels of the picture."""
EYE_U = 19.5
"""Half the distance between the pupils, in pixels."""
_DEPTH = 46.0
_NOSE_DEPTH = 11.0


def _dome(u: Field, v: Field) -> Field:
    """Return the height of the dome, 1 at its top."""
    w = u * u
    w *= -0.5 / 30**2
    down = v - 18
    down *= down
    down *= -0.5 / 48**2
    w += down
    return np.exp(w, out=w)


def _dome_at(u: float, v: float) -> float:
    return _DEPTH * math.exp(-0.5 * (u / 30) ** 2 - 0.5 * ((v - 18) / 48) ** 2)


_EYE_DEPTH = _dome_at(EYE_U, 0.0)


@dataclass(frozen=True)
class View:
    """Coordinates of every pixel of one portrait, float32, in pixels.

    `hx, hy` follow the head's outline and hair, `u, v` the surface of the face, all [218, 178]; `bx` [1, 178]
    and `by` [218, 1] stay with the body, which does not turn. All are measured from the point between the
    eyes of a frontal face.
    """

    traits: Traits
    hx: Field
    hy: Field
    u: Field
    v: Field
    bx: Field
    by: Field

    def window(self, box: Box) -> View:
        """Return the view of a part of the picture; contiguous copies, which are twice as fast to work on."""
        hx, hy, u, v = (field[box].copy() for field in (self.hx, self.hy, self.u, self.v))
        return View(self.traits, hx, hy, u, v, self.bx[:, box[1]], self.by[box[0]])

    def head_box(self, x: tuple[float, float], y: tuple[float, float]) -> Box:
        """Return the rows and columns that hold all pixels with hx and hy in these ranges, within the picture."""
        c, s = math.cos(math.radians(self.traits.roll)), math.sin(math.radians(self.traits.roll))
        # hx and hy are the pixel grid, turned by the roll and shifted.
        x0 = float(self.hx[0, 0]) * c - float(self.hy[0, 0]) * s
        y0 = float(self.hy[0, 0]) * c + float(self.hx[0, 0]) * s
        across = [c * a - s * b - x0 for a in x for b in y]
        down = [s * a + c * b - y0 for a in x for b in y]
        return _span(down, HEIGHT), _span(across, WIDTH)

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


def _span(places: list[float], size: int) -> slice:
    return slice(min(max(int(min(places)) - 1, 0), size), min(max(int(max(places)) + 2, 0), size))


def view_of(traits: Traits) -> View:
    """Return the coordinates of all pixels for the pose in `traits`."""
    yaw, pitch, roll = (math.radians(a) for a in (traits.yaw, traits.pitch, traits.roll))
    c, s = math.cos(roll), math.sin(roll)
    bx, by = pixel_grid()
    bx, by = bx - EYES_X, by - EYES_Y
    rx, ry = c * bx + s * by, c * by - s * bx
    back = 0.12 * _DEPTH - _EYE_DEPTH  # the outline lies this far behind the eyes
    hx, hy = rx - back * math.sin(yaw), ry + back * math.sin(pitch)
    far_u = (rx + _EYE_DEPTH * math.sin(yaw)) * (1 / math.cos(yaw))
    far_v = (ry - _EYE_DEPTH * math.sin(pitch)) * (1 / math.cos(pitch))
    u, v = rx, ry
    # Two fixed-point steps invert the projection to a fraction of a pixel at these angles.
    for _ in range(2):
        dome = _dome(u, v)
        u = far_u - dome * (_DEPTH * math.tan(yaw))
        v = far_v + dome * (_DEPTH * math.tan(pitch))
    # The neck stands where the middle of the head is, and on the other side of a tilt.
    bx = bx - back * math.sin(yaw) + 60 * s
    return View(traits, hx, hy, u, v, bx, by)
