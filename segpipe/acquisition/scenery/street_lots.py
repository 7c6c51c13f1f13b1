"""The land along a street, lot by lot: houses, gardens, walls, fences, parks, and what closes the view at its end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import numpy as np

from segpipe.acquisition.scenery import street_things as things
from segpipe.acquisition.scenery.canvas import Color, Point, toned
from segpipe.acquisition.scenery.street_things import COLORS, GLASS, MURK, PALE, WHITE
from segpipe.acquisition.scenery.street_vehicles import CARS, Stand, vehicle
from segpipe.acquisition.scenery.street_view import FAR, Place, Standing, View

DEPTH, STOREY, PIECE = 1100, 300, 260
CURTAINS = (GLASS, GLASS, (72, 82, 92), (96, 104, 110), (40, 44, 48), (150, 146, 132))
TILES = ((150, 82, 62), (110, 64, 54), (70, 70, 74), (98, 96, 94))


class Lot(NamedTuple):
    """A piece of land on the right side of the street (1) or the left (-1)."""

    kind: str
    side: int
    front: int  # how far to the right of the eye it begins; below zero on the left
    start: int
    end: int

    def somewhere(self, view: View, near: int, far: int) -> Place:
        """A place on it, so far from its front."""
        aside = self.side * view.canvas.between(near, far)
        return self.front + aside, 0, view.canvas.between(self.start, self.end)


def standing_on(view: View, lot: Lot) -> Iterator[Standing]:
    """What is built, planted and parked on a lot."""
    return KINDS[lot.kind](view, lot)


def _houses(view: View, lot: Lot, back: int = 0, gap: int = 0, storeys: tuple[int, int] = (2, 7)) -> Iterator[Standing]:
    front, number = lot.front + lot.side * back, view.canvas.between(*storeys)
    along = (lot.start + gap, lot.end - gap)
    yield lot.end + 1, partial(house, front=front, along=along, storeys=number)


def _walled(view: View, lot: Lot) -> Iterator[Standing]:
    stone, tall = view.canvas.color(COLORS[things.WALL], 22), view.canvas.between(140, 360)
    yield from _in_pieces(lot, wall, tall=tall, color=stone)
    yield from _trees(view, lot, 2)


def _fenced(view: View, lot: Lot) -> Iterator[Standing]:
    paint, tall = view.canvas.color(COLORS[things.FENCE]), view.canvas.between(90, 230)
    return _in_pieces(lot, fence, tall=tall, color=paint, gap=view.canvas.between(22, 70))


def _villa(view: View, lot: Lot) -> Iterator[Standing]:
    """A house in its garden, behind a fence, a wall, a hedge or nothing."""
    canvas = view.canvas
    yield from _houses(view, lot, back=canvas.between(350, 800), gap=150, storeys=(1, 4))
    kind = canvas.between(0, 100)
    if kind < 40:
        yield from _fenced(view, lot)
    elif kind < 60:
        stone, tall = canvas.color(COLORS[things.WALL], 22), canvas.between(60, 180)
        yield from _in_pieces(lot, wall, tall=tall, color=stone)
    elif kind < 85:
        leaves, tall = canvas.color(COLORS[things.VEGETATION]), canvas.between(90, 190)
        yield from _in_pieces(lot, things.hedge, tall=tall, color=leaves)
    yield from _trees(view, lot, 2)


def _park(view: View, lot: Lot) -> Iterator[Standing]:
    if view.canvas.chance(35):
        yield from _fenced(view, lot)
    yield from _trees(view, lot, 5)
    for _ in range(view.canvas.between(0, 4)):
        radius, (x, _, z) = view.canvas.between(60, 160), lot.somewhere(view, 200, 1200)
        leaves = view.canvas.color(COLORS[things.VEGETATION])
        yield z, partial(things.bush, middle=(x, radius // 2, z), radius=radius, leaves=leaves)


def _embankment(view: View, lot: Lot) -> Iterator[Standing]:
    yield from _in_pieces(lot, guard_rail)
    yield from _trees(view, lot, 3)


def _car_park(view: View, lot: Lot) -> Iterator[Standing]:
    for z in range(lot.start + 60, lot.end - 200, 290):
        if view.canvas.chance(75):
            make, stand = CARS[view.canvas.between(0, len(CARS))], Stand(lot.front + lot.side * 320, z, heads=-lot.side)
            yield z, partial(vehicle, make=make, stand=stand)
    yield from _trees(view, lot, 2)


def _square(view: View, lot: Lot) -> Iterator[Standing]:
    yield from _houses(view, lot, back=1200, storeys=(3, 6))
    for _ in range(view.canvas.between(1, 5)):
        foot, drawn = lot.somewhere(view, 50, 900), things.person if view.canvas.chance(60) else things.furniture
        yield foot[2], partial(drawn, foot=foot)


def _street(view: View, lot: Lot) -> Iterator[Standing]:
    """A street comes in from the side: a car may wait there."""
    if view.canvas.chance(35):
        stand = Stand(lot.front + lot.side * view.canvas.between(250, 900), lot.start + 120, heads=-lot.side)
        yield stand.z, partial(vehicle, make=CARS[view.canvas.between(0, len(CARS))], stand=stand)


KINDS: dict[str, Callable[[View, Lot], Iterator[Standing]]] = {
    "houses": _houses,
    "walled": _walled,
    "villa": _villa,
    "park": _park,
    "embankment": _embankment,
    "car park": _car_park,
    "square": _square,
    "street": _street,
}


def _trees(view: View, lot: Lot, most: int) -> Iterator[Standing]:
    for _ in range(view.canvas.between(1, most + 1)):
        foot = lot.somewhere(view, 150, 1500)
        yield foot[2], partial(things.tree, foot=foot)


def _in_pieces(lot: Lot, drawn: Callable[..., None], **how: object) -> Iterator[Standing]:
    """Something along the front of a lot: what stands before one piece of it may stand behind the next."""
    for start in range(lot.start, lot.end, PIECE):
        end = min(start + PIECE, lot.end)
        yield end, partial(drawn, x=lot.front, along=(start, end), **how)


def wall(view: View, x: int, along: Point, tall: int, color: Color) -> None:
    """A piece of a wall: courses of stones, and a coping."""
    view.panel(x, along, (0, tall), things.WALL, color)
    if view.size(100, along[0]) >= 8:
        for up in range(50, tall - 20, 50):
            view.panel(x, along, (up, up + 4), things.WALL, toned(color, -14))
    view.panel(x, along, (tall - 14, tall), things.WALL, toned(color, 24))


def fence(view: View, x: int, along: Point, tall: int, color: Color, gap: int) -> None:
    """A piece of a fence: what is seen through it counts as fence."""
    start, end = along
    view.canvas.claim(view.pixels([(x, 0, start), (x, 0, end), (x, tall, end), (x, tall, start)]), things.FENCE)
    view.panel(x, (start, start + 10), (0, tall), things.FENCE, color)
    for z in range(start + gap, end, max(gap, start // 60)):
        view.panel(x, (z, z + 5), (0, tall), things.FENCE, color)
    for up in (tall // 5, tall - 12):
        view.panel(x, along, (up, up + 9), things.FENCE, toned(color, 10))


def guard_rail(view: View, x: int, along: Point) -> None:
    """A piece of a crash barrier, with its post."""
    steel = (150, 152, 152)
    view.panel(x, (along[0], along[0] + 14), (0, 60), things.GUARD_RAIL, toned(steel, -40))
    for up, shift in ((42, -14), (56, 20), (66, -4)):
        view.panel(x, along, (up, up + 12), things.GUARD_RAIL, toned(steel, shift))


def house(view: View, front: int, along: Point, storeys: int) -> None:
    """A house along the street, with the gable that looks towards the eye."""
    canvas, side, (start, end) = view.canvas, 1 if front > 0 else -1, along
    plaster, tall = canvas.color(COLORS[things.BUILDING], 22), storeys * STOREY + canvas.between(40, 120)
    ridge, back = tall + (canvas.between(150, 420) if canvas.chance(60) else 20), front + side * DEPTH
    middle, light = (front + back) // 2, canvas.between(8, 30) * (1 if view.sun[0] * side > 0 else -1)
    gable = [(front, 0, start), (front, tall, start), (middle, ridge, start), (back, tall, start), (back, 0, start)]
    view.fill(gable, things.BUILDING, toned(plaster, -20))
    _windows(view, (front + side * 120, 0, start), (side, 0), DEPTH - 200, storeys)
    roof = [(front, tall, start), (middle, ridge, start), (middle, ridge, end), (front, tall, end)]
    view.fill(roof, things.BUILDING, canvas.color(TILES))
    _front(view, front, along, tall, toned(plaster, light if view.is_sunny else 0))
    _windows(view, (front, 0, start + 60), (0, 1), end - start - 120, storeys)
    if canvas.chance(50):
        _shops(view, front, along)


def _front(view: View, front: int, along: Point, tall: int, plaster: Color) -> None:
    """The wall towards the street: its base, its cornice, and perhaps a ledge at each storey."""
    canvas, thing = view.canvas, things.BUILDING
    view.panel(front, along, (0, tall), thing, plaster)
    view.panel(front, along, (0, canvas.between(40, 120)), thing, toned(plaster, -18))
    view.panel(front, along, (tall - 30, tall), thing, toned(plaster, 22))
    if canvas.chance(45):
        for up in range(STOREY + 40, tall - 60, STOREY):
            view.panel(front, along, (up - 8, up + 8), thing, toned(plaster, 16))


def _windows(view: View, corner: Place, way: Point, length: int, storeys: int) -> None:
    """Rows of windows on a wall that leads from a corner (right, ahead)."""
    canvas, pitch, (x, y, z) = view.canvas, view.canvas.between(190, 380), corner
    bays = length // pitch
    width = abs(view.pixel((x + way[0] * length, y, z + way[1] * length))[0] - view.pixel(corner)[0])
    if bays < 1 or width < 2 * bays:
        return
    wide, high = canvas.between(80, pitch - 70), canvas.between(110, 190)
    lefts = np.arange(bays) * pitch + (pitch - wide) // 2
    spots = np.stack(np.meshgrid(lefts, np.arange(storeys) * STOREY + 90), -1).reshape(-1, 2)
    frames = _rectangles(corner, way, spots - 12, wide + 24, high + 24)
    view.fill_each(frames, things.BUILDING, canvas.color((WHITE, PALE, MURK)))
    panes, kinds = _rectangles(corner, way, spots, wide, high), canvas.rng.integers(0, 3, len(spots))
    for kind in range(3):
        view.fill_each(panes[kinds == kind], things.BUILDING, canvas.color(CURTAINS))


def _rectangles(corner: Place, way: Point, spots: np.ndarray, wide: int, high: int) -> np.ndarray:
    """Upright rectangles, each at (along, up) from a wall's corner: [N, 2] becomes [N, 4, 3]."""
    points = spots[:, None] + np.array([(0, 0), (wide, 0), (wide, high), (0, high)])
    along, up = points[:, :, 0], points[:, :, 1]
    return np.stack([corner[0] + way[0] * along, corner[1] + up, corner[2] + way[1] * along], -1)


def _shops(view: View, front: int, along: Point) -> None:
    """A ground floor of glass below awnings."""
    canvas, inward = view.canvas, -1 if front > 0 else 1
    for near in range(along[0] + 60, along[1] - 300, canvas.between(380, 620)):
        far, out = near + canvas.between(260, 340), front + inward * canvas.between(0, 110)
        view.panel(front, (near, far), (30, 230), things.BUILDING, canvas.color(CURTAINS))
        awning = [(front, 290, near), (front, 290, far), (out, 235, far), (out, 235, near)]
        view.fill(awning, things.BUILDING, canvas.color(COLORS[things.BUILDING], 40))


def backdrop(view: View, road: Point) -> Iterator[Standing]:
    """What closes the view: trees and houses at the end, sometimes a bridge or a tunnel before them."""
    canvas = view.canvas
    if canvas.chance(12):
        z = canvas.between(3500, 8000)
        yield z, partial(tunnel if canvas.chance(45) else bridge, start=z, road=road)
    leaves, is_town = canvas.color(COLORS[things.VEGETATION]), canvas.chance(50)
    for x in range(-9000, 9001, 600):
        place = (x + canvas.between(-200, 200), canvas.between(150, 420), FAR + canvas.between(0, 900))
        if is_town and canvas.chance(60):
            yield place[2], partial(far_house, foot=(place[0], 0, place[2]))
        else:
            yield place[2], partial(things.bush, middle=place, radius=canvas.between(300, 620), leaves=leaves)


def far_house(view: View, foot: Place) -> None:
    """A house far away; now and then nobody could tell that it is one."""
    canvas, thing = view.canvas, things.UNLABELED if view.canvas.chance(5) else things.BUILDING
    wide, high = canvas.between(300, 700), canvas.between(500, 1500)
    view.plate(foot, (-wide, 0), (wide, high), thing, canvas.color(COLORS[things.BUILDING]))


def bridge(view: View, start: int, road: Point) -> None:
    """Another road crosses above this one."""
    stone, foot, up = view.canvas.color(COLORS[things.BRIDGE]), (0, 0, start), view.canvas.between(440, 560)
    for x in (road[0] - 60, road[1] + 60):
        view.plate(foot, (x - 50, 0), (x + 50, up), things.BRIDGE, toned(stone, -14))
    below = [(-7000, up, start), (7000, up, start), (7000, up, start + 900), (-7000, up, start + 900)]
    view.fill(below, things.BRIDGE, toned(stone, -60))
    for low, high, shift in ((0, 90, 0), (90, 110, 24), (110, 190, -10)):
        view.plate(foot, (-7000, up + low), (7000, up + high), things.BRIDGE, toned(stone, shift))


def tunnel(view: View, start: int, road: Point) -> None:
    """The street goes into a hill."""
    stone, foot, (left, right) = view.canvas.color(COLORS[things.TUNNEL]), (0, 0, start), road
    high = view.canvas.between(700, 1100)
    view.plate(foot, (-4000, 0), (4000, high), things.TUNNEL, stone)
    for up in range(60, high, 120):
        view.plate(foot, (-4000, up), (4000, up + 8), things.TUNNEL, toned(stone, -12))
    mouth = [(left - 80, 0), (right + 80, 0), (right + 80, 380), (right - 60, 500), (left + 60, 500), (left - 80, 380)]
    view.board(foot, mouth, things.TUNNEL, toned(stone, -90))
