"""Fabricated drone flights: sequences of frames that a camera takes while it drifts over one made-up world.

Frames of a sequence are near-twins: a shift, a little zoom, things that moved, new noise. Materials share their
colours on purpose (water may be as grey as the road, dry grass as brown as soil): one must look at shapes and textures.
A flight depends on the seed, on its number and on the size, and on nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import cv2
import numpy as np

from segpipe.acquisition.scenery import Scene, in_order
from segpipe.acquisition.scenery.canvas import Canvas, toned
from segpipe.acquisition.scenery.flight_camera import Camera, Ground
from segpipe.acquisition.scenery.flight_things import COLORS, IS_GROUND, LEAVES, MEADOW, MIXTURE, SKY, THING_OF, THINGS
from segpipe.acquisition.scenery.flight_world import SETTINGS, World, populated

__all__ = ["THINGS", "scenes", "sequence"]

SHORTEST, LONGEST = 2, 3

TILE, CELL = 512, 16
"""The side of the noise that covers the world again and again, and of its cells."""

FIELDS = (2, 5, 13, 34, 90)
"""How many pixels a cell of each texture is wide, in the middle of the picture."""


def sequence(seed: int, number: int, size: tuple[int, int]) -> Iterator[Scene]:
    """The frames of one flight; `size` is [height, width]."""
    length = int(_random(seed, number).integers(SHORTEST, LONGEST + 1))
    film = _Film(seed, number, size)
    for frame in range(length):
        canvas = Canvas(size, _random(seed, number, *size, 1 + frame))
        ground = film.expose(canvas, frame - length // 2)
        yield Scene(film.developed(canvas, ground), THING_OF[canvas.things], number, frame)


scenes = in_order(sequence)


def _random(*keys: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(list(keys)))


class _Film:
    """A sequence: its world, who is in it, and the noise of which all textures are made."""

    def __init__(self, seed: int, sequence: int, size: tuple[int, int]) -> None:
        (height, width), (turn, number) = size, divmod(sequence, len(SETTINGS))
        setting = SETTINGS[int(_random(seed, turn, 1).permutation(len(SETTINGS))[number])]
        dice = Canvas((height * 3 // 2, width * 8 // 5), _random(seed, sequence, *size))
        self.world = World(dice, size, setting)
        self.tile, self.threshold, self.woods = _tile(dice), dice.between(122, 150), dice.color(COLORS[LEAVES])
        self.span = 1 + self.world.height * 3 // (2 * self.world.camera.focal)  # of a pixel in the picture's middle
        wide = replace(self.world.camera, size=dice.size, middle=(width * 4 // 5, height * 3 // 4))
        self._lay(dice, wide, wide.ground())
        self.actors = populated(self.world, dice.things, wide)

    def expose(self, canvas: Canvas, moment: int) -> Ground:
        """Draw the ground, the shadows on it and the sky, then what stands there, the farthest first."""
        shake = canvas.length(1)
        camera = self.world.seen_at(moment, (canvas.between(-shake, shake + 1), canvas.between(-shake, shake + 1)))
        ground = camera.ground()
        self._lay(canvas, camera, ground)
        scene = [(actor.model, actor.place(moment)) for actor in self.actors]
        for model, place in scene:
            for shadow in model.shadows:
                outline = camera.outline(np.pad(shadow + np.array(place[:2]), ((0, 0), (0, 1))))
                if outline is not None:
                    cv2.fillPoly(canvas.shade, [outline], 255)
        self._draw_sky(canvas, camera, ground.horizon)
        ahead = camera.sighted(np.array([place for _, place in scene]).reshape(-1, 3))[:, 2]
        for k in np.argsort(-ahead, kind="stable").tolist():
            model, place = scene[k]
            model.show(canvas, camera, place, self.world.weather.air)
        return ground

    def _lay(self, canvas: Canvas, camera: Camera, ground: Ground) -> None:
        """Two materials in patches, and what is laid on them."""
        (base, color), (patch, other) = self.world.grounds
        canvas.layers[:] = (*color, base)
        canvas.layers[self._relief(ground) > self.threshold] = (*other, patch)
        for piece in self.world.laid:
            outline = camera.outline(piece.outline)
            if outline is not None:
                canvas.fill(outline, piece.material, piece.color)

    def _draw_sky(self, canvas: Canvas, camera: Camera, horizon: int) -> None:
        """Brighter towards the horizon, where woods and hills stand before it."""
        width, sky = canvas.size[1], self.world.weather.sky
        for row in range(horizon):
            canvas.layers[row] = (*toned(sky, 34 * row // horizon), SKY)
        canvas.shade[:horizon] = 0
        if horizon:
            columns = np.arange(0, width + 8, 8)
            rise = self.tile[0, (columns - camera.middle[0]) // 2 % TILE].astype(np.int64)
            tops = np.stack([columns, horizon + 1 - (rise - 96) * canvas.length(8) // 64], 1)
            foot = np.array([(width + 8, horizon + 1), (0, horizon + 1)])
            canvas.fill(np.concatenate([tops, foot]).astype(np.int32), MEADOW, self.woods)

    def _noise(self, x: np.ndarray, y: np.ndarray, step: int) -> np.ndarray:
        """[H, W] uint8; a cell is CELL steps wide."""
        found: np.ndarray = self.tile.ravel().take((y // step % TILE) * TILE + x // step % TILE)
        return found

    def _relief(self, ground: Ground) -> np.ndarray:
        """The same between the steps as well, so that edges are smooth: [H, W] int32."""
        (x, y), step = (ground.x, ground.y), max(16, self.world.height // 20)
        along, across = x % step * 16 // step, y % step * 16 // step
        low, high = (
            self._noise(x, north, step) * (16 - along) + self._noise(x + step, north, step) * along
            for north in (y, y + step)
        )
        found: np.ndarray = (low * (16 - across) + high * across) >> 8
        return found

    def developed(self, canvas: Canvas, ground: Ground) -> np.ndarray:
        """The image of what is on the canvas: textures, haze, light, a lens and a sensor."""
        weather, height = self.world.weather, canvas.size[0]
        image = canvas.layers[:, :, :3].astype(np.int32) + self._textures(canvas, ground)[:, :, None]
        lost = np.where(IS_GROUND[canvas.things], weather.air.share(ground.ahead)[:, None], 0).astype(np.int32)
        image += (np.array(weather.air.color, np.int32) - image) * lost[:, :, None] >> 8
        slope = (np.arange(height, dtype=np.int32) - height // 2) * 16 // height
        shade = cv2.GaussianBlur(canvas.shade, (3, 3), 0).astype(np.int32)
        light = (weather.daylight + canvas.between(-4, 5) + slope[:, None]) * (256 - shade * weather.gloom // 256) >> 8
        image = (image * light[:, :, None] >> 8) * weather.cast >> 8
        soft = cv2.GaussianBlur(np.clip(image, 0, 255).astype(np.uint8), (3, 3), 0)
        sensor = canvas.rng.integers(-5, 6, (*canvas.size, 3), np.int16)
        taken: np.ndarray = np.clip(soft + sensor, 0, 255)
        return taken.astype(np.uint8)

    def _textures(self, canvas: Canvas, ground: Ground) -> np.ndarray:
        """What the fields add to the colours, as each material weighs them; the unresolved fade: [H, W]."""
        is_ground, weights = IS_GROUND[canvas.things], MIXTURE[canvas.things]
        rows, columns = np.indices(canvas.size, np.int32) * np.int32(self.span)
        x, y = np.where(is_ground, ground.x, columns), np.where(is_ground, ground.y, rows)
        total = np.zeros(canvas.size, np.int32)
        for k, (pixels, stretch) in enumerate((*((pixels, 1) for pixels in FIELDS), (FIELDS[2], 4))):
            resolved = np.minimum(64, 24 * pixels * self.span // ground.span).astype(np.int32)
            noise = self._noise(x // stretch, y, max(1, self.span * pixels // CELL)).astype(np.int32) - 128
            total += noise * weights[:, :, k] * np.where(is_ground, resolved[:, None], 64) >> 6
        total >>= 6
        return total


def _tile(dice: Canvas) -> np.ndarray:
    """Smooth noise that goes on across its edges: [TILE, TILE] uint8."""
    lattice = np.pad(dice.rng.integers(0, 256, (TILE // CELL, TILE // CELL), np.uint8), 2, mode="wrap")
    side = TILE + 4 * CELL
    grown = cv2.resize(lattice, (side, side), interpolation=cv2.INTER_LINEAR_EXACT)
    smooth = cv2.GaussianBlur(grown, (CELL + 1, CELL + 1), 0)
    return np.ascontiguousarray(smooth[2 * CELL : -2 * CELL, 2 * CELL : -2 * CELL])
