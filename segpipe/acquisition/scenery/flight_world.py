"""The worlds that drones fly over: what is laid on the ground and what stands on it, the weather, and the flight."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import isqrt
from typing import NamedTuple

import numpy as np

from segpipe.acquisition.scenery import flight_standing as standing
from segpipe.acquisition.scenery import flight_things as things
from segpipe.acquisition.scenery.canvas import DIRECTIONS, UNIT, Canvas, Color, Point, box, offset, placed, toned
from segpipe.acquisition.scenery.flight_camera import Air, Camera, Model, Place
from segpipe.acquisition.scenery.flight_things import COLORS

LAWN, MEADOW, SOIL, GRAVEL, PAVING = things.LAWN, things.MEADOW, things.SOIL, things.GRAVEL, things.PAVING
OPEN, DRIVEN = (LAWN, MEADOW, SOIL, GRAVEL, PAVING), (things.ASPHALT, things.PAINT, things.TRACK)


class Habit(NamedTuple):
    """How a thing is built, where it stands and with how much room, how far it moves from frame to frame (in mm)."""

    build: Callable[[Canvas, Model, int], None]
    grounds: tuple[int, ...] = ()
    """None, where it flies."""
    room: int = 0
    pace: int = 0
    is_aligned: bool = False
    """Along the streets, or across them."""


HABITS = {
    "house": Habit(standing.house, OPEN, 6500, is_aligned=True),
    "wall": Habit(standing.wall, OPEN, 2500, is_aligned=True),
    "fence": Habit(standing.fence, OPEN, 2500, is_aligned=True),
    "tree": Habit(standing.tree, OPEN, 1800),
    "bush": Habit(standing.bush, OPEN, 1200),
    "pole": Habit(standing.pole, OPEN, 600),
    "block": Habit(standing.block, OPEN + DRIVEN, 700),
    "car": Habit(things.car, DRIVEN, 3000, pace=1200, is_aligned=True),
    "boat": Habit(things.boat, (things.WATER,), 2500, pace=500),
    "animal": Habit(things.animal, (LAWN, MEADOW, SOIL, things.TRACK), 1100, pace=200),
    "bike": Habit(things.bike, OPEN + DRIVEN, 900, pace=700),
    "person": Habit(things.person, OPEN + DRIVEN, 500, pace=400),
    "drone": Habit(things.drone),
}


class Setting(NamedTuple):
    """A kind of place: its ground and the patches on it, what is laid there, and how much stands there."""

    grounds: tuple[int, int]
    laid: tuple[str, ...]
    horizon: int
    """How often one sees it, in percent."""
    things: dict[str, Point]
    """The least and the most; what needs much room comes first, and finds it."""


STREET = {"house": (3, 6), "car": (2, 5), "pole": (2, 4), "tree": (1, 5), "bike": (0, 2), "person": (2, 5)}
PARK = {"tree": (4, 9), "bush": (2, 6), "animal": (1, 3), "block": (1, 4), "bike": (0, 1), "person": (2, 5)}
SHORE = {"drone": (0, 1), "boat": (2, 4), "tree": (2, 5), "bush": (2, 6), "wall": (0, 2), "person": (0, 4)}
PASTURE = {"drone": (0, 1), "animal": (3, 8), "fence": (1, 3), "tree": (1, 5), "bush": (1, 5), "person": (0, 1)}
CAR_PARK = {"car": (4, 10), "pole": (1, 3), "tree": (1, 4), "bike": (0, 1), "person": (1, 4)}
SUBURB = {
    "house": (4, 8), "wall": (1, 3), "tree": (3, 7), "bush": (1, 4), "car": (1, 3), "fence": (0, 2), "animal": (0, 2),
    "block": (0, 2), "person": (0, 4),
}  # fmt: skip
PLAYGROUND = {"wall": (0, 2), "tree": (0, 3), "block": (1, 3), "bike": (2, 4), "person": (4, 9)}
COUNTRY = {
    "drone": (1, 2), "house": (2, 5), "boat": (1, 3), "tree": (3, 8), "bush": (2, 5), "car": (0, 2), "pole": (0, 2),
}  # fmt: skip

SETTINGS = (
    Setting((PAVING, LAWN), ("road",), 25, STREET),
    Setting((LAWN, LAWN), ("path",), 0, PARK),
    Setting((LAWN, SOIL), ("lake",), 15, SHORE),
    Setting((MEADOW, LAWN), ("path",), 25, PASTURE),
    Setting((SOIL, LAWN), ("square",), 0, CAR_PARK),
    Setting((LAWN, PAVING), ("road",), 10, SUBURB),
    Setting((PAVING, GRAVEL), ("square",), 0, PLAYGROUND),
    Setting((MEADOW, LAWN), ("road", "lake"), 100, COUNTRY),
)
"""Sequences go through all of them, in an order of their own for each round."""


@dataclass(frozen=True)
class Laid:
    """Something flat on the ground: [N, 3]."""

    outline: np.ndarray
    material: int
    color: Color


@dataclass(frozen=True)
class Actor:
    """A model, where it is in the middle of the sequence, and how far it moves from frame to frame."""

    model: Model
    at: Place
    step: Place

    def place(self, moment: int) -> Place:
        return _moved(self.at, self.step, moment)


class Weather(NamedTuple):
    """`light` is where shadows fall, in 64ths of a height, and `sun` that direction; shades are in 256ths."""

    sun: int
    light: Point
    gloom: int
    daylight: int
    cast: np.ndarray
    sky: Color
    air: Air


class World:
    """What there is to film in a sequence. `dice` is a wider view of the ground, on which places are sought."""

    def __init__(self, dice: Canvas, size: tuple[int, int], setting: Setting) -> None:
        self.dice, self.setting, self.grid = dice, setting, dice.between(0, 48)
        self.camera = _camera(dice, size, dice.chance(setting.horizon))
        self.height = self.camera.eye[2]
        self.weather = _weather(dice)
        drift = offset((0, 0), dice.between(0, 48), self.height * dice.between(2, 7) // 100)
        self.drift = (*drift, self.height * dice.between(-12, 13) // 1000)
        self.grounds = [(material, dice.color(COLORS[material])) for material in setting.grounds]
        self.laid: list[Laid] = []
        for name in setting.laid:
            LAYERS[name](self)

    def lay(self, outline: np.ndarray, material: int, color: Color) -> None:
        """Put something on the ground, over what is there."""
        self.laid.append(Laid(np.pad(outline, ((0, 0), (0, 1))), material, color))

    def seen_at(self, moment: int, shake: Point) -> Camera:
        """The camera so many frames after the middle of the sequence."""
        middle = (self.camera.middle[0] + shake[0], self.camera.middle[1] + shake[1])
        return replace(self.camera, eye=_moved(self.camera.eye, self.drift, moment), middle=middle)


def _moved(start: Place, step: Place, moment: int) -> Place:
    x, y, z = (here + moment * by for here, by in zip(start, step, strict=True))
    return x, y, z


def _camera(dice: Canvas, size: tuple[int, int], sees_horizon: bool) -> Camera:
    """4 to 24 metres up, more often low, so that people are as large as in AeroScapes.

    The origin of the world is a little below the middle of its picture.
    """
    height, width = size
    pitch = dice.between(1, 3) if sees_horizon else dice.between(4, 10)
    up, heading = 4000 + 45 * dice.between(0, 22) ** 2, dice.between(0, 48)
    focal = max(8, isqrt(height * width) * 7 // 8)
    camera = Camera(size, focal, (width // 2, height // 2), (0, 0, up), heading, pitch)
    ground, row = camera.ground(), height * 65 // 100
    return replace(camera, eye=(-int(ground.x[row, width // 2]), -int(ground.y[row, width // 2]), up))


def _weather(dice: Canvas) -> Weather:
    sun, length, sky = dice.between(0, 48), dice.between(16, 110), dice.color(COLORS[things.SKY], 20)
    cos, sin = DIRECTIONS[sun]
    return Weather(
        sun=sun,
        light=(cos * length // UNIT, sin * length // UNIT),
        gloom=dice.between(25, 125),
        daylight=dice.between(200, 286),
        cast=dice.rng.integers(222, 291, 3, np.int32),
        sky=sky,
        air=Air(toned(sky, 20), dice.between(300, 2500) * 1000),
    )


def _road(world: World) -> None:
    """A road between pavements, with its lines; sometimes another crosses it."""
    dice, height, long = world.dice, world.height, 600_000
    center = offset((0, 0), dice.between(0, 48), dice.between(0, height // 4))
    lanes = min(6, max(2, height // 6000))
    width, walk = lanes * 3300, dice.between(1500, 4000)
    turns = (world.grid, world.grid + 12) if dice.chance(45) else (world.grid,)
    pavement, asphalt = dice.color(COLORS[PAVING]), dice.color(COLORS[things.ASPHALT])
    for broad, material, color in ((width + 2 * walk, PAVING, pavement), (width, things.ASPHALT, asphalt)):
        for turn in turns:
            world.lay(box(center, turn, long, broad), material, color)
    paint, dash = toned(asphalt, 66), max(2500, height // 4)
    for along in range(-9 * height // dash * dash, 9 * height, 2 * dash):
        for lane in range(1, lanes):
            spot = offset(center, world.grid, along, lane * 3300 - width // 2)
            world.lay(box(spot, world.grid, dash, max(160, height // 90)), things.PAINT, paint)


def _path(world: World) -> None:
    """A track or a footpath that winds through the picture."""
    dice, height = world.dice, world.height
    material = things.TRACK if dice.chance(60) else things.ASPHALT
    width, step = height * dice.between(12, 34) // 100, height // 4
    swings = np.cumsum(dice.rng.integers(-height, height + 1, 76)) * 2 // 7
    middle = np.convolve(swings, np.ones(12, np.int64), "valid") // 12
    across = (middle - middle[32]).tolist()
    left, right = ([((k - 32) * step, across[k] + edge) for k in range(65)] for edge in (-width, width))
    world.lay(placed((0, 0), world.grid, left + right[::-1]), material, dice.color(COLORS[material]))


def _square(world: World) -> None:
    """A car park or a court: a large pavement with lines on it."""
    dice, height = world.dice, world.height
    center = offset((0, 0), dice.between(0, 48), dice.between(0, height // 3))
    long, wide = height * dice.between(180, 330) // 100, height * dice.between(130, 260) // 100
    asphalt = dice.color(COLORS[things.ASPHALT])
    paint, thick, bay = toned(asphalt, dice.between(30, 80)), max(120, height // 100), max(2600, height // 6)
    world.lay(box(center, world.grid, long, wide), things.ASPHALT, asphalt)
    for across in (-wide * 4 // 10, 0, wide * 4 // 10):
        world.lay(box(offset(center, world.grid, 0, across), world.grid, long * 9 // 10, thick), things.PAINT, paint)
    for along in range(-long * 45 // 100, long * 45 // 100, bay):
        for side in (-1, 1):
            spot = offset(center, world.grid, along, side * wide * 32 // 100)
            world.lay(box(spot, world.grid, thick, wide * 16 // 100), things.PAINT, paint)


def _lake(world: World) -> None:
    """Water, and a shore around it."""
    dice, height = world.dice, world.height
    center = offset((0, 0), dice.between(0, 48), dice.between(height // 2, height))
    shape, reach, shore = dice.blob((0, 0), height), dice.between(100, 190), (SOIL, GRAVEL, LAWN)[dice.between(0, 3)]
    for percent, material in ((reach + 14, shore), (reach, things.WATER)):
        world.lay(shape * percent // 100 + center, material, dice.color(COLORS[material]))


LAYERS = {"road": _road, "path": _path, "square": _square, "lake": _lake}


def populated(world: World, materials: np.ndarray, camera: Camera) -> list[Actor]:
    """What stands in the world, where the wide camera's view of its ground leaves room for it."""
    search, actors = _Search(world.dice, materials, camera), []
    for name, (least, most) in world.setting.things.items():
        habit, number = HABITS[name], world.dice.between(least, most + 1)
        if not habit.grounds:
            actors += [_flying(world, habit) for _ in range(number)]
            continue
        for _ in range(number * (80 + world.height // 300) // 100):  # one sees more from higher up
            if spot := search.spot(habit):
                actors.append(_standing(world, habit, spot))
    return actors


def _standing(world: World, habit: Habit, spot: Point) -> Actor:
    dice = world.dice
    aligned, free = world.grid + 12 * dice.between(0, 4) + dice.between(-1, 2), dice.between(0, 48)
    turn = aligned if habit.is_aligned else free
    model = _built(world, habit, turn)
    is_moving = habit.pace > 0 and dice.chance(65)
    step = offset((0, 0), turn, min(habit.pace, world.height // 14)) if is_moving else (0, 0)
    return Actor(model, (*spot, 0), (*step, 0))


def _flying(world: World, habit: Habit) -> Actor:
    """Another drone in the middle of the picture, above the ground, that keeps up with the camera."""
    dice, camera = world.dice, world.camera
    model = _built(world, habit, dice.between(0, 48))
    level, down = DIRECTIONS[camera.pitch]
    away = world.height * dice.between(40, 75) // 100
    right, below = away * dice.between(-40, 41) // 100, away * dice.between(-25, 26) // 100
    x, y = offset(camera.eye[:2], camera.heading, (away * level - below * down) // UNIT, right)
    step = offset(world.drift[:2], dice.between(0, 48), world.height // 90)
    return Actor(model, (x, y, camera.eye[2] - (away * down + below * level) // UNIT), (*step, world.drift[2]))


def _built(world: World, habit: Habit, turn: int) -> Model:
    model = Model(turn, world.weather.sun, world.weather.light)
    habit.build(world.dice, model, world.height)
    return model


class _Search:
    """Finds room: on the right ground, and not where something stands already."""

    def __init__(self, dice: Canvas, materials: np.ndarray, camera: Camera) -> None:
        self.dice, self.materials, self.camera = dice, materials, camera
        self.ground = camera.ground()
        self.taken: list[tuple[int, int, int]] = []
        self.first = int((self.ground.ahead >= 16 * camera.eye[2]).sum())  # what is farther is too small to see

    def spot(self, habit: Habit) -> Point | None:
        """A place with room around it, if a few tries find one."""
        height, width = self.camera.size
        room = min(habit.room, self.camera.eye[2] // 2)
        for _ in range(30):
            row, column = self.dice.between(min(self.first, height - 1), height), self.dice.between(0, width)
            x, y = int(self.ground.x[row, column]), int(self.ground.y[row, column])
            is_free = all(abs(x - a) + abs(y - b) > room + around for a, b, around in self.taken)
            if is_free and self._lies_in(habit.grounds, row, column, room):
                self.taken.append((x, y, room))
                return x, y
        return None

    def _lies_in(self, grounds: tuple[int, ...], row: int, column: int, room: int) -> bool:
        across = min(self.camera.size[0], room * self.camera.focal // int(self.ground.ahead[row]))
        rows = slice(max(self.first, row - across // 2), row + across // 2 + 1)
        return bool(np.isin(self.materials[rows, max(0, column - across) : column + across + 1], grounds).all())
