"""The driver's eye: places in a street, in centimetres, become pixels of a canvas; far things are small and pale."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import TypeVar

import cv2
import numpy as np

from segpipe.acquisition.scenery.canvas import DIRECTIONS, UNIT, Canvas, Color, Point

Place = tuple[int, int, int]
"""Centimetres to the right of the eye, above the road, and ahead."""

Number = TypeVar("Number", int, np.ndarray)

NEAR, FAR = 250, 13000
STEPS = (450, 700, 1000, 1400, 1900, 2600, 3500, 4700, 6200, 8200, 10600)
"""Where ground is cut across: between two of these a bend looks straight, and the air equally thick."""


class View:
    """A camera before a street. `sun` is where shadows fall: (right, ahead) in hundredths of a thing's height."""

    def __init__(self, canvas: Canvas, air: Color) -> None:
        (height, width), between = canvas.size, canvas.between
        self.canvas, self.air = canvas, air
        self.focal = min(width, 2 * height)
        self.vanishing = (width * between(38, 63) // 100, height * between(37, 48) // 100)
        self.eye = between(120, 165)
        self.bend, self.climb = between(-1200, 1201), between(-150, 251)
        self.thickness = between(20, 150)
        self.is_sunny = canvas.chance(65)
        self.sun = (between(-110, 111), between(-40, 60))

    def pixel(self, place: Place) -> Point:
        """Where a place is seen."""
        right, up, ahead = place
        return self._seen(right, up, max(ahead, NEAR))

    def pixels(self, places: Sequence[Place]) -> np.ndarray:
        """Where places are seen: [N, 2]."""
        return np.array([self.pixel(place) for place in places], np.int32)

    def _seen(self, right: Number, up: Number, ahead: Number) -> tuple[Number, Number]:
        """The projection; a street bends, and climbs or falls, with the square of the distance."""
        far = (ahead // 10) ** 2
        x = self.vanishing[0] + self.focal * (right + self.bend * far // 1_000_000) // ahead
        y = self.vanishing[1] - self.focal * (up + self.climb * far // 1_000_000 - self.eye) // ahead
        return x, y

    def size(self, length: int, ahead: int) -> int:
        """A length in pixels, that far away."""
        return self.focal * length // max(ahead, NEAR)

    def through_air(self, color: Color, ahead: int) -> Color:
        """The colour as it arrives from that far away."""
        lost = min(190, ahead * self.thickness // 10000)
        (red, green, blue), (far_red, far_green, far_blue), kept = color, self.air, 256 - lost
        return (
            (red * kept + far_red * lost) >> 8,
            (green * kept + far_green * lost) >> 8,
            (blue * kept + far_blue * lost) >> 8,
        )

    def fill(self, places: Sequence[Place], thing: int, color: Color) -> None:
        """Put a face of something there, as pale as the distance of its first corner makes it."""
        self.canvas.fill(self.pixels(places), thing, self.through_air(color, places[0][2]))

    def fill_each(self, faces: np.ndarray, thing: int, color: Color) -> None:
        """Many faces of one colour at once, on something that is drawn already: [N, corners, 3]."""
        if len(faces):
            outlines = np.stack(self._seen(faces[:, :, 0], faces[:, :, 1], np.maximum(faces[:, :, 2], NEAR)), -1)
            paint = (*self.through_air(color, int(faces[0, 0, 2])), thing)
            cv2.fillPoly(self.canvas.layers, list(outlines.astype(np.int32)), paint)

    def panel(self, x: int, along: Point, heights: Point, thing: int, color: Color) -> None:
        """An upright rectangle that follows the street, between two distances and two heights."""
        (start, end), (low, high) = along, heights
        self.fill([(x, low, start), (x, low, end), (x, high, end), (x, high, start)], thing, color)

    def board(self, foot: Place, points: Sequence[Point], thing: int, color: Color) -> None:
        """A flat shape that faces the eye, given (right, up) from its foot."""
        x, y, z = foot
        self.fill([(x + right, y + up, z) for right, up in points], thing, color)

    def plate(self, foot: Place, low: Point, high: Point, thing: int, color: Color) -> None:
        """A rectangle that faces the eye, between two corners."""
        self.board(foot, [low, (high[0], low[1]), high, (low[0], high[1])], thing, color)

    def bar(self, foot: Place, start: Point, end: Point, width: int, thing: int, color: Color) -> None:
        """A straight bar that faces the eye; the thinnest is a pixel wide."""
        x, y, z = foot
        first, last = self.pixel((x + start[0], y + start[1], z)), self.pixel((x + end[0], y + end[1], z))
        self.canvas.strip(first, last, max(1, self.size(width, z)), thing, self.through_air(color, z))

    def disc(self, foot: Place, middle: Point, radius: int, thing: int, color: Color) -> None:
        x, y, z = foot
        center = self.pixel((x + middle[0], y + middle[1], z))
        self.canvas.disc(center, self.size(radius, z), thing, self.through_air(color, z))

    def ground(self, sides: Point, along: Point, thing: int, color: Color) -> None:
        """A level surface between two sides and two distances, laid along the bends of the street."""
        (left, right), (start, end) = sides, along
        cuts = (start, *(step for step in STEPS if start < step < end), end)
        for near, far in itertools.pairwise(cuts):
            self.fill([(left, 0, near), (right, 0, near), (right, 0, far), (left, 0, far)], thing, color)

    def shadow(self, sides: Point, along: Point, height: int) -> None:
        """What a thing on this rectangle, so high, casts on the ground; in dull weather it darkens its foot only."""
        aside, ahead = (part * height // 100 if self.is_sunny else 0 for part in self.sun)
        foot = [(x, 0, z) for x in sides for z in along]
        cast = [(x + aside, 0, z + ahead) for x, _, z in foot]
        cv2.fillPoly(self.canvas.shade, [cv2.convexHull(self.pixels(foot + cast))], 255)


Standing = tuple[int, Callable[[View], None]]
"""How far away something stands, and how it is drawn."""


def wheel(hub: Place, radius: int, is_across: bool) -> list[Place]:
    """A round outline in an upright plane: across the view, or along it."""
    x, y, z = hub
    ring = [(radius * cos // UNIT, radius * sin // UNIT) for cos, sin in DIRECTIONS[::4]]
    return [(x + out, y + up, z) if is_across else (x, y + up, z + out) for out, up in ring]


def depth(canvas: Canvas, low: int, high: int) -> int:
    """A random distance; the nearer ones are likelier."""
    share = canvas.between(0, 256)
    return low + (high - low) * share * share // 65536
