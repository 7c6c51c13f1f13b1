"""Fabricated aerial scenes: what a drone sees that looks straight down on gardens, streets and ponds.

Materials share their colours on purpose (a roof may be as grey as the road, a pond as dark as a shadow): it takes shape
and texture to tell them apart. Scene i depends on the seed, on i and on the size, and on nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from segpipe.acquisition.scenery import Scene, in_order
from segpipe.acquisition.scenery import aerial_things as draw
from segpipe.acquisition.scenery.aerial_things import COLORS, DIRT, GRASS, GRAVEL, MIXTURE, PAVED, POOL, THINGS, WATER
from segpipe.acquisition.scenery.canvas import Canvas, Point, box, noise, offset, toned

__all__ = ["THINGS", "scenes", "sequence"]


def sequence(seed: int, number: int, size: tuple[int, int]) -> Iterator[Scene]:
    """A single scene; `size` is [height, width]."""
    yield Scene(*_photograph(np.random.Generator(np.random.PCG64([seed, number, *size])), size), sequence=number)


scenes = in_order(sequence)


def _photograph(rng: np.random.Generator, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    canvas = Canvas(size, rng)
    grid = canvas.between(0, 48)  # what people build and park follows one direction
    _terrain(canvas)
    _waters(canvas, grid)
    _pavements(canvas, grid)
    _scatter(canvas, grid, draw.building, least=1, most=2, radius=16)
    _scatter(canvas, grid, draw.hedge, least=1, most=3, radius=6)
    _scatter(canvas, grid, draw.fence, least=1, most=2, radius=4)
    _scatter(canvas, grid, draw.rocks, least=1, most=3, radius=7)
    _scatter(canvas, grid, draw.crate, least=2, most=5, radius=9)
    _scatter(canvas, grid, draw.car, least=3, most=6, radius=10)
    _scatter(canvas, grid, draw.bicycle, least=0, most=3, radius=5)
    _scatter(canvas, grid, draw.person, least=2, most=7, radius=4)
    _scatter(canvas, grid, draw.dog, least=0, most=1, radius=4)
    for _ in range(canvas.between(2, 7)):
        draw.tree(canvas, canvas.somewhere(), grid)
    if canvas.chance(45):
        draw.bald_tree(canvas, canvas.somewhere(), grid)
    return canvas.photograph(MIXTURE), canvas.things.copy()


def _scatter(
    canvas: Canvas, grid: int, drawn: Callable[[Canvas, Point, int], None], *, least: int, most: int, radius: int
) -> None:
    """Draw some of a thing, each where there is open ground around it."""
    for _ in range(canvas.between(least, most + 1)):
        if spot := canvas.free_spot(canvas.length(radius), (PAVED, DIRT, GRASS, GRAVEL)):
            drawn(canvas, spot, grid)


def _terrain(canvas: Canvas) -> None:
    ground, *patches = (int(thing) for thing in canvas.rng.permutation([GRASS, GRASS, DIRT, GRAVEL])[:3])
    canvas.layers[:] = (*canvas.color(COLORS[ground]), ground)
    for thing in patches:
        relief = noise(canvas.rng, canvas.size, (canvas.length(64), canvas.length(64)))
        canvas.layers[relief > canvas.between(120, 160)] = (*canvas.color(COLORS[thing]), thing)


def _waters(canvas: Canvas, grid: int) -> None:
    """A pond, a pool or both."""
    kind = canvas.between(0, 100)
    if kind < 70:
        _pond(canvas)
    if kind > 50:
        _pool(canvas, grid)


def _pond(canvas: Canvas) -> None:
    center, radius, shore = canvas.somewhere(), canvas.length(canvas.between(42, 72)), canvas.length(4)
    outline, bank = canvas.blob(center, radius), (GRASS, DIRT, GRAVEL)[canvas.between(0, 3)]
    middle = np.array(center, np.int32)
    canvas.fill((outline - middle) * (radius + shore) // radius + middle, bank, canvas.color(COLORS[bank]))
    canvas.fill(outline, WATER, canvas.color(COLORS[WATER]))


def _pool(canvas: Canvas, grid: int) -> None:
    length, width = canvas.length(canvas.between(48, 80)), canvas.length(canvas.between(28, 46))
    center, terrace, step = canvas.somewhere(canvas.length(24)), canvas.length(canvas.between(8, 20)), canvas.length(5)
    water = canvas.color(COLORS[POOL])
    canvas.fill(box(center, grid, length + terrace, width + terrace), PAVED, canvas.color(COLORS[PAVED]))
    canvas.fill(box(center, grid, length, width), POOL, toned(water, 14))
    canvas.fill(box(center, grid, length - step, width - step), POOL, water)


def _pavements(canvas: Canvas, grid: int) -> None:
    if canvas.chance(70):
        _road(canvas, grid)
    if canvas.chance(55):
        _plaza(canvas, grid)


def _road(canvas: Canvas, grid: int) -> None:
    """A road from edge to edge, between pavements of another colour, with a dashed line in its middle."""
    center, reach = canvas.somewhere(canvas.length(30)), sum(canvas.size)
    width, asphalt = canvas.length(canvas.between(30, 46)), canvas.color(COLORS[PAVED])
    canvas.fill(box(center, grid, 2 * reach, width + canvas.length(12)), PAVED, canvas.color(COLORS[PAVED]))
    canvas.fill(box(center, grid, 2 * reach, width), PAVED, asphalt)
    dash = canvas.length(12)
    for along in range(-reach, reach, 2 * dash):
        canvas.fill(box(offset(center, grid, along), grid, dash, canvas.length(2)), PAVED, toned(asphalt, 60))


def _plaza(canvas: Canvas, grid: int) -> None:
    """A paved square with the joints of its slabs."""
    center, slabs, step = canvas.somewhere(), canvas.color(COLORS[PAVED]), canvas.length(canvas.between(7, 13))
    end, side = canvas.length(canvas.between(30, 60)), canvas.length(canvas.between(25, 45))
    canvas.fill(box(center, grid, 2 * end, 2 * side), PAVED, slabs)
    for along in range(-end, end, step):
        draw.line(canvas, center, grid, (along, -side), (along, side), PAVED, toned(slabs, -16))
    for across in range(-side, side, step):
        draw.line(canvas, center, grid, (-end, across), (end, across), PAVED, toned(slabs, -16))
