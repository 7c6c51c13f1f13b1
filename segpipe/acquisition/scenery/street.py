"""Fabricated street scenes: what a driver sees, with everything the smaller the farther it is.

Materials share their colours on purpose (a house as grey as the road, a car as green as a hedge, a wall as bright as
the sky): it takes shape, place and texture to tell them apart. Each scene shows a place of its own. Scene i depends on
the seed, on i and on the size, and on nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import NamedTuple

import numpy as np

from segpipe.acquisition.scenery import Scene, in_order
from segpipe.acquisition.scenery import street_things as things
from segpipe.acquisition.scenery import street_vehicles as vehicles
from segpipe.acquisition.scenery.canvas import Canvas, Color, Point, noise, toned
from segpipe.acquisition.scenery.street_lots import Lot, backdrop, standing_on
from segpipe.acquisition.scenery.street_things import COLORS, MIXTURE, ROAD, SIDEWALK, TERRAIN, THINGS, WHITE
from segpipe.acquisition.scenery.street_vehicles import Make, Stand
from segpipe.acquisition.scenery.street_view import FAR, NEAR, Standing, View, depth

__all__ = ["THINGS", "scenes", "sequence"]

LANE, BAY, MIDDLE, SIGHT = 330, 230, 6200, 9000
"""The widths of a lane and of a parked car's place; how far lines are drawn, and how far small things and cars."""

TOWNS = (
    ("houses", "houses", "houses", "houses", "houses", "street", "walled", "square"),
    ("villa", "villa", "villa", "park", "houses", "street", "walled", "car park"),
    ("park", "park", "villa", "walled", "embankment", "houses", "car park"),
)
"""The lots of three kinds of neighbourhood, repeated where there are many."""

FLOORS = {"houses": SIDEWALK, "street": ROAD, "square": things.GROUND, "car park": things.PARKING}
"""What the ground of a lot is; the others have terrain."""

KERBSIDE: tuple[tuple[Callable[..., None], int], ...] = (
    (things.furniture, 45),
    (things.bin_on_wheels, 25),
    (things.bollards, 30),
    (things.direction_board, 20),
    (things.pole_group, 6),
)
"""What may stand by a kerb, and in how many of a hundred scenes."""


class Street(NamedTuple):
    """The plan, in centimetres to the right of the eye; of what is on both sides, the left comes first."""

    lanes: tuple[int, ...]  # their left edges; the own one is among them
    own: int
    parks: tuple[bool, bool]
    verges: tuple[int, int]
    walks: tuple[int, int]
    crossing: int  # how far ahead another street crosses; 0 if none does
    has_rails: bool

    @property
    def road(self) -> Point:
        """Its left and its right edge."""
        return self.lanes[0] - BAY * self.parks[0], self.lanes[-1] + LANE + BAY * self.parks[1]

    def kerb(self, side: int) -> int:
        return self.road[side > 0]

    def room(self, side: int) -> int:
        """How broad the land is between the kerb and the first house."""
        return self.verges[side > 0] + self.walks[side > 0]

    def front(self, side: int) -> int:
        return self.kerb(side) + side * self.room(side)


def sequence(seed: int, number: int, size: tuple[int, int]) -> Iterator[Scene]:
    """A single scene; `size` is [height, width]."""
    yield Scene(*_photograph(np.random.Generator(np.random.PCG64([seed, number, *size])), size), sequence=number)


scenes = in_order(sequence)


def _photograph(rng: np.random.Generator, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    canvas = Canvas(size, rng)
    view, street = View(canvas, canvas.color(COLORS[things.SKY])), _planned(canvas)
    lots = [lot for side in (-1, 1) for lot in _lots(canvas, street, side)]
    _sky(view)
    _ground(view, street, lots)
    standing = [*backdrop(view, street.road), *_kerbside(canvas, street), *_traffic(canvas, street)]
    standing += [*_parked(canvas, street), *_people(canvas, street)]
    standing += [thing for lot in lots for thing in standing_on(view, lot)]
    draw_all(view, standing)
    _frame(canvas)
    return canvas.photograph(MIXTURE), canvas.things.copy()


def draw_all(view: View, standing: Iterable[Standing]) -> None:
    """The farthest first: what is nearer hides it."""
    for _, draw in sorted(standing, key=lambda thing: -thing[0]):
        draw(view)


def _planned(canvas: Canvas) -> Street:
    between, chance = canvas.between, canvas.chance
    own, before, after = between(-200, -130), (0, 1, 1, 2)[between(0, 4)], between(0, 5) // 3
    return Street(
        lanes=tuple(own + LANE * k for k in range(-before, after + 1)),
        own=own,
        parks=(chance(55), chance(55)),
        verges=(210 * chance(35), 210 * chance(35)),
        walks=(between(200, 620), between(200, 620)),
        crossing=between(1500, 5000) if chance(40) else 0,
        has_rails=before > 0 and chance(24),
    )


def _lots(canvas: Canvas, street: Street, side: int) -> Iterator[Lot]:
    """The land along one side, from here to the end; where another street crosses, it is left open."""
    kinds, start = TOWNS[canvas.between(0, len(TOWNS))], NEAR
    while start < FAR - 800:
        kind, length = kinds[canvas.between(0, len(kinds))], canvas.between(900, 2600)
        end = min(start + (700 if kind == "street" else length), FAR)
        if start == street.crossing:
            kind, end = "street", start + 800
        elif start < street.crossing <= end:
            end = street.crossing
        yield Lot(kind, side, street.front(side), start, end)
        start = end


def _sky(view: View) -> None:
    """A sky that is brighter below, with or without clouds."""
    canvas, (height, width) = view.canvas, view.canvas.size
    low = min(height, view.vanishing[1] + height // 8)
    rows, zenith = np.arange(low, dtype=np.int32)[:, None], toned(view.air, canvas.between(-50, 10))
    canvas.layers[:low, :, 3] = things.SKY
    canvas.layers[:low, :, :3] = ((np.array(zenith) * (low - rows) + np.array(view.air) * rows) // low)[:, None]
    if canvas.chance(60):
        clouds = noise(canvas.rng, (low, width), (canvas.length(10), canvas.length(46)))
        canvas.layers[:low, :, :3][clouds > canvas.between(130, 170)] = canvas.color((WHITE, WHITE, view.air))


def _ground(view: View, street: Street, lots: list[Lot]) -> None:
    canvas, asphalt, paving = view.canvas, view.canvas.color(COLORS[ROAD]), view.canvas.color(COLORS[SIDEWALK])
    _fields(view)
    for lot in reversed(lots):
        floor = FLOORS.get(lot.kind, TERRAIN)
        color = {ROAD: asphalt, SIDEWALK: paving}.get(floor) or canvas.color(COLORS[floor])
        view.ground((lot.front, lot.side * SIGHT), (lot.start, lot.end), floor, color)
    for side in (-1, 1):
        _walk(view, street, side, paving)
    _road(view, street, asphalt)
    for lot in lots:
        if lot.kind == "street":
            view.ground((street.kerb(lot.side), lot.side * SIGHT), (lot.start, lot.end), ROAD, asphalt)
        elif lot.kind == "houses" and view.is_sunny:
            sides = (lot.front, lot.front + lot.side * 900)
            view.shadow(sides, (lot.start, lot.end), canvas.between(700, 1300))


def _fields(view: View) -> None:
    """Everything below the horizon, before the town is built on it."""
    canvas, (height, width), horizon = view.canvas, view.canvas.size, view.pixel((0, 0, FAR))[1]
    color = view.through_air(canvas.color(COLORS[TERRAIN]), FAR)
    canvas.fill(np.array([(0, horizon), (width, horizon), (width, height), (0, height)], np.int32), TERRAIN, color)


def _walk(view: View, street: Street, side: int, paving: Color) -> None:
    """A sidewalk behind its kerb, and perhaps a strip of grass between them."""
    kerb, verge = street.kerb(side), street.verges[side > 0]
    view.ground((kerb, street.front(side)), (NEAR, FAR), SIDEWALK, paving)
    if verge:
        view.ground((kerb + side * 30, kerb + side * verge), (NEAR, FAR), TERRAIN, view.canvas.color(COLORS[TERRAIN]))
    view.ground((kerb - side * 6, kerb + side * 20), (NEAR, MIDDLE), SIDEWALK, toned(paving, 24))


def _road(view: View, street: Street, asphalt: Color) -> None:
    """The asphalt with its repairs, the places to park, the rails, and the lines."""
    canvas, (left, right), along = view.canvas, street.road, (NEAR, FAR)
    view.ground(street.road, along, ROAD, asphalt)
    for _ in range(canvas.between(2, 9)):
        x, z = canvas.between(left, right - 60), depth(canvas, 400, 3000)
        patch = (x, min(right, x + canvas.between(30, 260)))
        view.ground(patch, (z, z + canvas.between(40, 700)), ROAD, toned(asphalt, canvas.between(-26, 20)))
    for parks, sides in zip(street.parks, ((left, left + BAY), (right - BAY, right)), strict=True):
        if parks and canvas.chance(30):
            view.ground(sides, along, things.PARKING, canvas.color(COLORS[things.PARKING]))
    if street.has_rails:
        bed, track = canvas.color(COLORS[things.RAILS]), street.lanes[0]
        view.ground((track + 20, track + 300), along, things.RAILS, bed)
        for rail in (track + 85, track + 230):
            view.ground((rail, rail + 9), (NEAR, MIDDLE), things.RAILS, toned(bed, -46))
    _lines(view, street, toned(asphalt, canvas.between(40, 100)))


def _lines(view: View, street: Street, paint: Color) -> None:
    """Dashes between lanes, lines at the edges, and a zebra crossing before another street."""
    canvas, dash, (left, right) = view.canvas, view.canvas.between(150, 420), street.road
    for lane in street.lanes[1:]:
        for near in range(NEAR, MIDDLE, 2 * dash):
            view.ground((lane - 7, lane + 7), (near, near + dash), ROAD, paint)
    if canvas.chance(50):
        for edge in (street.lanes[0], street.lanes[-1] + LANE):
            view.ground((edge - 6, edge + 6), (NEAR, MIDDLE), ROAD, paint)
    if street.crossing and canvas.chance(70):
        for x in range(left + 20, right - 40, 100):
            view.ground((x, x + 50), (street.crossing - 420, street.crossing - 60), ROAD, paint)


def _kerbside(canvas: Canvas, street: Street) -> Iterator[Standing]:
    """What stands beside the kerbs: lamps, trees, signs, signals, bins, cycles."""
    for side in (-1, 1):
        edge, room = street.kerb(side) + side * 45, street.room(side)
        yield from _in_a_row(canvas, things.lamp_post, edge, canvas.between(1800, 3600))
        if canvas.chance(45):
            yield from _in_a_row(canvas, things.tree, edge + side * 50, canvas.between(700, 1500))
        for _ in range(canvas.between(1, 4)):
            yield _standing(things.sign, edge, depth(canvas, 700, 5000))
        for drawn, percent in KERBSIDE:
            if canvas.chance(percent):
                yield _standing(drawn, edge + side * canvas.between(0, room - 60), depth(canvas, 900, 4000))
        for _ in range(canvas.between(0, 4)):
            x, how = edge + side * canvas.between(20, room - 60), (canvas.chance(60), canvas.chance(30))
            yield _standing(things.cycle, x, depth(canvas, 700, 3500), is_across=how[0], is_motor=how[1])
        if street.crossing or canvas.chance(25):
            z = street.crossing - 100 if street.crossing else depth(canvas, 1200, 5000)
            yield _standing(things.traffic_light, edge, z)


def _standing(drawn: Callable[..., None], x: int, z: int, **how: object) -> Standing:
    return z, partial(drawn, foot=(x, 0, z), **how)


def _in_a_row(canvas: Canvas, drawn: Callable[..., None], x: int, pitch: int) -> Iterator[Standing]:
    for z in range(canvas.between(600, 600 + pitch), SIGHT, pitch):
        yield _standing(drawn, x, z)


def _driving(make: Make, x: int, z: int, comes: bool = False, heads: int = 0) -> Standing:
    return z, partial(vehicles.vehicle, make=make, stand=Stand(x, z, comes, heads))


def _traffic(canvas: Canvas, street: Street) -> Iterator[Standing]:
    """What drives in each lane, and what crosses."""
    for lane in street.lanes:
        comes, z = lane < street.own, canvas.between(700, 3500)
        if street.has_rails and lane == street.lanes[0]:
            if canvas.chance(45):
                yield _driving(vehicles.TRAM, lane + 160, z, comes)
            continue
        gap = canvas.between(900, 3000)
        while z < SIGHT and canvas.chance(75):
            make, x = _make(canvas), lane + LANE // 2 + canvas.between(-30, 31)
            yield _driving(make, x, z, comes)
            if make.thing == things.CAR and not comes and canvas.chance(6):
                yield _driving(vehicles.CART, x, z - 300)
            z += make.length + gap + canvas.between(0, 1500)
    if street.crossing and canvas.chance(60):
        heads = 1 if canvas.chance(50) else -1
        z = street.crossing + (150 if heads > 0 else 480)
        yield _driving(_make(canvas), canvas.between(-1500, 1501), z, heads=heads)


def _make(canvas: Canvas) -> Make:
    """Mostly a car."""
    draw = canvas.between(0, 100)
    for make, share in ((vehicles.LORRY, 5), (vehicles.PICKUP, 4), (vehicles.COACH, 6), (vehicles.TOURER, 2)):
        draw -= share
        if draw < 0:
            return make
    return vehicles.CARS[canvas.between(0, len(vehicles.CARS))]


def _parked(canvas: Canvas, street: Street) -> Iterator[Standing]:
    """Rows of parked cars with gaps, and none where another street crosses."""
    for side in (-1, 1):
        z, x = canvas.between(500, 1500), street.kerb(side) - side * BAY // 2
        while street.parks[side > 0] and z < SIGHT:
            make = vehicles.CARS[canvas.between(0, len(vehicles.CARS))]
            is_free = not street.crossing or not street.crossing - 1100 < z < street.crossing + 900
            if is_free and canvas.chance(75):
                yield _driving(make, x, z, comes=side < 0)
            z += make.length + canvas.between(60, 300)


def _people(canvas: Canvas, street: Street) -> Iterator[Standing]:
    """Who walks on the sidewalks, rides along the road, or crosses it."""
    for side in (-1, 1):
        for _ in range(canvas.between(0, 8)):
            x = street.kerb(side) + side * canvas.between(60, street.room(side) - 40)
            yield _standing(things.person, x, depth(canvas, 700, 6000))
    for _ in range(canvas.between(0, 3)):
        x, is_motor = street.lanes[-1] + LANE - canvas.between(40, 130), canvas.chance(35)
        yield _standing(things.cyclist, x, depth(canvas, 800, 4000), is_across=False, is_motor=is_motor)
    for _ in range(canvas.between(0, 4) if street.crossing else 0):
        x, z = canvas.between(*street.road), street.crossing - canvas.between(80, 400)
        if canvas.chance(60):
            yield _standing(things.person, x, z)
        else:
            yield _standing(things.cyclist, x, z, is_across=True, is_motor=canvas.chance(30))


def _frame(canvas: Canvas) -> None:
    """The bonnet of the own vehicle, and the edges that straightening the picture left empty."""
    (height, width), paint = canvas.size, canvas.color(COLORS[things.CAR])
    bulge = height * canvas.between(3, 10) // 100
    hood = [(width * k // 16, height - bulge * (64 - (k - 8) ** 2) // 64) for k in range(17)]
    canvas.fill(np.array([*hood, (width, height), (0, height)], np.int32), things.EGO, paint)
    edge = 1 + width // 400
    for thing, percent, strips in (
        (things.BORDER, 70, (np.s_[:, :edge], np.s_[:, width - edge :])),
        (things.OUTSIDE, 50, (np.s_[:edge], np.s_[height - edge :])),
    ):
        if canvas.chance(percent):
            for strip in strips:
                canvas.layers[strip] = (0, 0, 0, thing)
