"""A drone's camera above a level world in millimetres: which pixel shows which place, and what stands there.

Things are models: faces, limbs and balls around the spot where they stand. All of it is integer arithmetic.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

from segpipe.acquisition.scenery.canvas import DIRECTIONS, UNIT, Canvas, Color, Point, toned

Place = tuple[int, int, int]
"""East, north and up."""

FAR = 3_000_000
"""Where the ground ends: a little below the horizon, by less than the camera resolves."""


class Ground(NamedTuple):
    """The place that each pixel shows [H, W], how far ahead it lies, and how much of it a pixel spans, by row [H]."""

    x: np.ndarray
    y: np.ndarray
    ahead: np.ndarray
    span: np.ndarray
    horizon: int
    """The first row that shows ground."""


@dataclass(frozen=True)
class Camera:
    """Where the drone is, and which way its camera looks: `heading` and `pitch` (downwards) by the table."""

    size: tuple[int, int]
    focal: int
    middle: Point
    eye: Place
    heading: int
    pitch: int

    @property
    def near(self) -> int:
        return self.eye[2] // 4

    def sighted(self, places: np.ndarray) -> np.ndarray:
        """To the right of the eye, below its axis and ahead along it: [N, 3] of [N, 3]."""
        (cos, sin), (level, down) = DIRECTIONS[self.heading], DIRECTIONS[self.pitch]
        east, north, up = (places.astype(np.int64) - np.array(self.eye)).T
        right, forward = (north * cos - east * sin) // UNIT, (east * cos + north * sin) // UNIT
        return np.stack([right, -up * level - forward * down, forward * level - up * down], 1) // (1, UNIT, UNIT)

    def pixels(self, sighted: np.ndarray) -> np.ndarray:
        """Columns and rows: [N, 2] int32."""
        seen: np.ndarray = self.focal * sighted[:, :2] // sighted[:, 2:] + np.array(self.middle)
        return seen.astype(np.int32)

    def outline(self, places: np.ndarray) -> np.ndarray | None:
        """The outline of something large as it is seen; what lies behind the camera is cut off."""
        corners = self.sighted(places)
        if (corners[:, 2] < self.near).any():
            corners = self._cut(corners)
        return self.pixels(corners) if len(corners) > 2 else None

    def _cut(self, corners: np.ndarray) -> np.ndarray:
        kept = []
        for corner, following in zip(corners, np.roll(corners, -1, 0), strict=True):
            if corner[2] >= self.near:
                kept.append(corner)
            if (corner[2] < self.near) != (following[2] < self.near):
                kept.append(corner + (following - corner) * (self.near - corner[2]) // (following[2] - corner[2]))
        return np.array(kept, np.int64).reshape(-1, 3)

    def ground(self) -> Ground:
        height, width = self.size
        (cos, sin), (level, down) = DIRECTIONS[self.heading], DIRECTIONS[self.pitch]
        rows, columns = np.arange(height) - self.middle[1], np.arange(width) - self.middle[0]
        falling = self.focal * down + rows * level
        forward = self.eye[2] * (self.focal * level - rows * down) // np.maximum(falling, 1)
        forward = np.where(falling > 0, np.minimum(forward, FAR), FAR)
        ahead = np.maximum((forward * level + self.eye[2] * down) // UNIT, 1)
        right = columns * ahead[:, None] // self.focal
        x = self.eye[0] + (forward[:, None] * cos - right * sin) // UNIT
        y = self.eye[1] + (forward[:, None] * sin + right * cos) // UNIT
        span = np.maximum(1, ahead * np.maximum(ahead, self.eye[2]) // (self.focal * self.eye[2]))
        return Ground(x.astype(np.int32), y.astype(np.int32), ahead, span, int((falling <= 0).sum()))


class Air(NamedTuple):
    """What lies between the camera and things: its colour, and after how many millimetres half of a thing is lost."""

    color: Color
    depth: int

    def share(self, ahead: np.ndarray) -> np.ndarray:
        """How much of a thing is lost, in 256ths."""
        lost: np.ndarray = 256 * ahead // (ahead + self.depth)
        return lost

    def between(self, color: Color, ahead: int) -> Color:
        """The colour of something that far away."""
        lost = int(self.share(np.array(ahead)))
        red, green, blue = (own + (far - own) * lost // 256 for own, far in zip(color, self.color, strict=True))
        return red, green, blue


class Part(NamedTuple):
    """A ball (one place), a limb (two) or a face (more), and where its places begin and end in the model's."""

    start: int
    end: int
    width: int
    material: int
    color: Color
    is_side: bool


class Model:
    """A thing, drawn part by part in the order given. Places are along it, across it and up from where it stands.

    `turn` is its direction, `sun` that in which shadows fall, as far as `light` says in 64ths of a height.
    """

    def __init__(self, turn: int, sun: int, light: Point) -> None:
        self.turn, self.sun, self.light = turn, sun, light
        self.places: list[Place] = []
        self.parts: list[Part] = []
        self.shadows: list[np.ndarray] = []

    def ball(self, center: Place, radius: int, material: int, color: Color) -> None:
        self._add([center], radius, material, color)

    def limb(self, start: Place, end: Place, width: int, material: int, color: Color) -> None:
        self._add([start, end], width, material, color)

    def face(self, places: list[Place], material: int, color: Color, *, is_side: bool = False) -> None:
        """A plane. A side of a solid, its corners counter-clockwise from outside, hides when turned away."""
        self._add(places, 0, material, color, is_side)

    def prism(self, foot: list[Point], low: int, top: list[Point], high: int, material: int, color: Color) -> None:
        """A solid between two outlines of as many corners, with a lit top, and sides lit by where they face."""
        for k in range(len(foot)):
            j = (k + 1) % len(foot)
            (x, y), (to_x, to_y) = foot[k], foot[j]
            side: list[Place] = [(x, y, low), (to_x, to_y, low), (*top[j], high), (*top[k], high)]
            self.face(side, material, toned(color, self.lit(to_y - y, x - to_x, 34)), is_side=True)
        self.face([(x, y, high) for x, y in top], material, toned(color, 10), is_side=True)

    def lit(self, along: int, across: int, strength: int) -> int:
        """How much brighter a wall is that faces this way."""
        cos, sin = DIRECTIONS[(self.sun - self.turn) % len(DIRECTIONS)]
        return -strength * (along * cos + across * sin) // (max(1, abs(along) + abs(across)) * UNIT)

    def cast(self, places: list[Place], width: int = 0) -> None:
        """A shadow: of an outline that reaches up from the ground, thickened by a width."""
        turned = self._turned(places)
        fallen = turned[:, :2] + turned[:, 2:] * np.array(self.light) // 64
        around = np.array([(-width, 0), (0, -width), (width, 0), (0, width)])
        corners = (fallen[:, None] + around).reshape(-1, 2) // 16  # so that the hull's products stay small
        self.shadows.append(cv2.convexHull(corners.astype(np.int32))[:, 0] * 16)

    def show(self, canvas: Canvas, camera: Camera, at: Place, air: Air) -> None:
        """Draw it where it is, if all of it is before the camera and some of it in the picture."""
        sighted = camera.sighted(self._turned(self.places) + np.array(at))
        ahead = int(sighted[0, 2])
        if sighted[:, 2].min() < camera.near:
            return
        pixels = camera.pixels(sighted)
        if _misses(pixels, canvas.size):
            return
        for part in self.parts:
            corners, color = pixels[part.start : part.end], air.between(part.color, ahead)
            across, points = part.width * camera.focal // ahead, [(x, y) for x, y in corners.tolist()]
            if len(points) == 1:
                canvas.disc(points[0], across, part.material, color)
            elif len(points) == 2:
                canvas.strip(points[0], points[1], max(1, across), part.material, color)
            elif not part.is_side or _faces_us(points):
                canvas.fill(corners, part.material, color)

    def _turned(self, places: list[Place]) -> np.ndarray:
        """To the east, north and up of where it stands: [N, 3]."""
        (cos, sin), local = DIRECTIONS[self.turn % len(DIRECTIONS)], np.array(places, np.int64)
        east, north = local[:, 0] * cos - local[:, 1] * sin, local[:, 0] * sin + local[:, 1] * cos
        return np.stack([east // UNIT, north // UNIT, local[:, 2]], 1)

    def _add(self, places: list[Place], width: int, material: int, color: Color, is_side: bool = False) -> None:
        start = len(self.places)
        self.places += places
        self.parts.append(Part(start, len(self.places), width, material, color, is_side))


def _misses(pixels: np.ndarray, size: tuple[int, int]) -> bool:
    """Whether all of it lies so far outside that no thickness brings it in."""
    (left, up), (right, down), margin = pixels.min(0), pixels.max(0), max(size) // 4
    return bool(right < -margin or down < -margin or left > size[1] + margin or up > size[0] + margin)


def _faces_us(corners: list[Point]) -> bool:
    (ax, ay), (bx, by), (cx, cy) = corners[:3]
    return (bx - ax) * (cy - ay) > (by - ay) * (cx - ax)
