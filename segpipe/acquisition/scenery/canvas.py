"""What fabricated scenes are drawn on: colours, class ids and shadows together, then texture, light and a lens.

Everything here is integer arithmetic or drawing without smoothing, so that a seed gives the same bytes everywhere.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import cv2
import numpy as np

Color = tuple[int, int, int]
Point = tuple[int, int]

UNIT = 1024
DIRECTIONS = [(round(UNIT * math.cos(k * math.pi / 24)), round(UNIT * math.sin(k * math.pi / 24))) for k in range(48)]
"""Unit vectors in 48 directions, on an integer grid: rotations without the sine of anybody's C library."""

TEXTURES = ("grain", "speckle", "clump", "blotch", "ripple")
"""The noise fields that materials mix, from the finest to the widest; ripples are long and thin."""

REFERENCE_SIDE = 192
"""Lengths are given in pixels of a scene whose shorter side is this long."""


def offset(origin: Point, direction: int, along: int, across: int = 0) -> Point:
    """The point so far along a direction of the table, and so far to its right."""
    cos, sin = DIRECTIONS[direction % len(DIRECTIONS)]
    return origin[0] + (along * cos - across * sin) // UNIT, origin[1] + (along * sin + across * cos) // UNIT


def placed(center: Point, direction: int, points: Iterable[Point]) -> np.ndarray:
    """An outline given around the origin, turned and moved to the center: [N, 2]."""
    return np.array([offset(center, direction, along, across) for along, across in points], np.int32)


def box(center: Point, direction: int, length: int, width: int) -> np.ndarray:
    """A turned rectangle: [4, 2]."""
    a, b = length // 2, width // 2
    return placed(center, direction, [(-a, -b), (a, -b), (a, b), (-a, b)])


def toned(color: Color, shift: int) -> Color:
    """The colour, brighter or darker."""
    red, green, blue = (min(255, max(0, channel + shift)) for channel in color)
    return red, green, blue


def noise(rng: np.random.Generator, size: tuple[int, int], cell: tuple[int, int]) -> np.ndarray:
    """Smooth noise around 128 whose features are about `cell` = (height, width) pixels: [H, W] uint8."""
    height, width = size
    tall, wide = max(1, cell[0]), max(1, cell[1])
    lattice = rng.integers(0, 256, (height // tall + 3, width // wide + 3), np.uint8)
    across, down = lattice.shape[1] * wide, lattice.shape[0] * tall
    grown = cv2.resize(lattice, (across, down), interpolation=cv2.INTER_LINEAR_EXACT)
    grown = cv2.GaussianBlur(grown, (wide // 2 * 2 + 1, tall // 2 * 2 + 1), 0)
    return np.ascontiguousarray(grown[tall : tall + height, wide : wide + width])


class Canvas:
    """A scene in the making. `light` is the direction in which shadows fall."""

    def __init__(self, size: tuple[int, int], rng: np.random.Generator) -> None:
        self.size, self.rng = size, rng
        self.layers = np.zeros((*size, 4), np.uint8)  # red, green, blue, thing
        self.shade = np.zeros(size, np.uint8)
        self.light = self.between(0, len(DIRECTIONS))

    @property
    def things(self) -> np.ndarray:
        return self.layers[:, :, 3]

    def between(self, low: int, high: int) -> int:
        """A random integer of [low, high)."""
        return int(self.rng.integers(low, high))

    def chance(self, percent: int) -> bool:
        return self.between(0, 100) < percent

    def length(self, reference: int) -> int:
        """A length in pixels of this scene."""
        return max(1, reference * min(self.size) // REFERENCE_SIDE)

    def color(self, choices: Sequence[Color], jitter: int = 14) -> Color:
        """One of the colours, a little off."""
        red, green, blue = choices[self.between(0, len(choices))]
        shift = self.between(-jitter, jitter + 1)
        return toned((red + self.between(-6, 7), green + self.between(-6, 7), blue + self.between(-6, 7)), shift)

    def lit(self, direction: int, strength: int) -> int:
        """How much brighter a slope is that faces this direction."""
        cos, _ = DIRECTIONS[(direction - self.light) % len(DIRECTIONS)]
        return -strength * cos // UNIT

    def somewhere(self, margin: int = 0) -> Point:
        height, width = self.size
        return self.between(margin, width - margin), self.between(margin, height - margin)

    def free_spot(self, radius: int, ground: Sequence[int]) -> Point | None:
        """A place whose surroundings are all of these things, if a few tries find one."""
        for _ in range(12):
            x, y = self.somewhere(radius)
            if np.isin(self.things[y - radius : y + radius + 1, x - radius : x + radius + 1], ground).all():
                return x, y
        return None

    def blob(self, center: Point, radius: int) -> np.ndarray:
        """A closed outline with a wandering radius: [24, 2]."""
        rough = self.rng.integers(640, 1217, 8)
        between = [rough[k // 3] * (3 - k % 3) + rough[(k // 3 + 1) % 8] * (k % 3) for k in range(24)]
        reach = [int(thirds) * radius // (3 * UNIT) for thirds in between]
        return np.array([offset(center, 2 * k, reach[k]) for k in range(24)], np.int32)

    def fill(self, outline: np.ndarray, thing: int, color: Color) -> None:
        """Put something there; what lay below, and its shadow, is gone."""
        cv2.fillPoly(self.layers, [outline], (*color, thing))
        cv2.fillPoly(self.shade, [outline], 0)

    def claim(self, outline: np.ndarray, thing: int) -> None:
        """Call what is seen there by this name, and leave its colours: the holes of a fence."""
        inside = np.zeros(self.size, np.uint8)
        cv2.fillPoly(inside, [outline], 1)
        self.things[inside > 0] = thing

    def disc(self, center: Point, radius: int, thing: int, color: Color) -> None:
        cv2.circle(self.layers, center, radius, (*color, thing), -1)
        cv2.circle(self.shade, center, radius, 0, -1)

    def strip(self, start: Point, end: Point, width: int, thing: int, color: Color) -> None:
        """A straight band from one point to another."""
        dx, dy = end[0] - start[0], end[1] - start[1]
        length = max(1, math.isqrt(dx * dx + dy * dy))
        aside = np.array([-dy * width // (2 * length), dx * width // (2 * length)], np.int32)
        ends = np.array([start, end], np.int32)
        self.fill(np.concatenate([ends + aside, ends[::-1] - aside]), thing, color)

    def shadow(self, outline: np.ndarray, height: int) -> None:
        """What an upright thing with this outline casts; draw the thing after it."""
        cast = outline + np.array(offset((0, 0), self.light, height), np.int32)
        hull = cv2.convexHull(np.concatenate([outline, cast]))
        cv2.fillPoly(self.shade, [hull], 255)

    def photograph(self, mixture: np.ndarray) -> np.ndarray:
        """The image that a camera takes; `mixture` weighs the textures for each thing, in 64ths: [T, 5]."""
        image = self.layers[:, :, :3].astype(np.int32)
        image += self._texture(mixture)[:, :, None]
        image = image * self._illumination()[:, :, None] >> 8
        image = image * self.rng.integers(236, 277, 3) >> 8  # the colour cast
        soft: np.ndarray = cv2.GaussianBlur(np.clip(image, 0, 255).astype(np.uint8), (3, 3), 0)
        sensor = self.rng.integers(-5, 6, (*self.size, 3), np.int16)
        taken: np.ndarray = np.clip(soft + sensor, 0, 255)
        return taken.astype(np.uint8)

    def _texture(self, mixture: np.ndarray) -> np.ndarray:
        size, unit = self.size, self.length
        stretched = (unit(3), unit(14)) if self.chance(50) else (unit(14), unit(3))
        fields = [
            self.rng.integers(0, 256, size, np.uint8),
            noise(self.rng, size, (unit(2), unit(2))),
            noise(self.rng, size, (unit(5), unit(5))),
            noise(self.rng, size, (unit(28), unit(28))),
            noise(self.rng, size, stretched),
        ]
        total = np.zeros(size, np.int32)
        for field, weights in zip(fields, mixture.T, strict=True):
            total += (field.astype(np.int32) - 128) * weights.astype(np.int32)[self.things]
        total >>= 6
        return total

    def _illumination(self) -> np.ndarray:
        """Brightness in 256ths: a slope over the picture, and the shadows with their soft edges."""
        height, width = self.size
        slope_y, slope_x = self.between(-40, 41), self.between(-40, 41)
        rows = (np.arange(height, dtype=np.int32) * 2 - height) * slope_y // (2 * height)
        columns = (np.arange(width, dtype=np.int32) * 2 - width) * slope_x // (2 * width)
        daylight: np.ndarray = self.between(230, 296) + rows[:, None] + columns[None, :]
        penumbra = cv2.GaussianBlur(self.shade, (5, 5), 0).astype(np.int32)
        daylight *= 256 - penumbra * 115 // 256
        daylight >>= 8
        return daylight
