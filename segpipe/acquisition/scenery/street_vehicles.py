"""Vehicles of street scenes: outlines drawn out to bodies, seen from behind, from before or from the side."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import NamedTuple

from segpipe.acquisition.scenery.canvas import Color, Point, toned
from segpipe.acquisition.scenery.street_things import (
    BUS,
    CAR,
    CARAVAN,
    COLORS,
    GLASS,
    GREY,
    PALE,
    RUBBER,
    TRAILER,
    TRAIN,
    TRUCK,
)
from segpipe.acquisition.scenery.street_view import Place, View, wheel


class Make(NamedTuple):
    """A kind of vehicle; its outline, in (along, up), goes from the foot of its rear over the roof to its front."""

    thing: int
    width: int
    outline: tuple[Point, ...]
    glass: tuple[int, ...]  # which edges of the outline are windows
    tail: int  # which edge bears the lamps behind
    nose: int  # and which before
    panes: tuple[tuple[Point, ...], ...] = ()
    wheels: tuple[int, ...] = ()
    radius: int = 32

    @property
    def length(self) -> int:
        return self.outline[-1][0]


def _row_of_panes(start: int, end: int, pitch: int, wide: int, low: int, high: int) -> tuple[tuple[Point, ...], ...]:
    return tuple(((k, low), (k, high), (k + wide, high), (k + wide, low)) for k in range(start, end, pitch))


SALOON = Make(
    CAR,
    width=180,
    outline=((0, 32), (0, 62), (4, 98), (60, 106), (112, 143), (250, 146), (322, 102), (425, 84), (438, 58), (438, 32)),
    glass=(3, 5),
    tail=1,
    nose=7,
    panes=(((72, 106), (116, 137), (176, 139), (176, 104)), ((184, 104), (184, 139), (246, 140), (306, 104))),
    wheels=(85, 350),
)
HATCHBACK = Make(
    CAR,
    width=174,
    outline=((0, 32), (0, 64), (5, 100), (42, 146), (230, 150), (302, 104), (385, 86), (398, 58), (398, 32)),
    glass=(2, 4),
    tail=1,
    nose=6,
    panes=(((34, 104), (56, 140), (138, 143), (138, 103)), ((146, 103), (146, 143), (224, 144), (288, 104))),
    wheels=(72, 318),
)
JEEP = Make(
    CAR,
    width=190,
    outline=((0, 42), (0, 80), (3, 114), (24, 172), (290, 174), (345, 122), (440, 108), (452, 70), (452, 42)),
    glass=(2, 4),
    tail=1,
    nose=6,
    panes=(((26, 120), (44, 164), (160, 166), (160, 120)), ((168, 120), (168, 166), (282, 167), (330, 122))),
    wheels=(90, 360),
    radius=37,
)
VAN = Make(
    CAR,
    width=198,
    outline=((0, 36), (0, 112), (3, 186), (10, 200), (392, 204), (470, 126), (520, 108), (530, 70), (530, 36)),
    glass=(1, 4),
    tail=0,
    nose=6,
    panes=(((396, 126), (396, 190), (412, 190), (462, 128)),),
    wheels=(90, 430),
    radius=34,
)
LORRY = Make(
    TRUCK,
    width=250,
    outline=(
        (0, 60), (0, 125), (0, 380), (600, 380), (602, 290), (650, 300), (760, 285), (785, 190), (790, 110), (790, 50),
    ),
    glass=(6,),
    tail=0,
    nose=8,
    panes=(((665, 190), (665, 262), (745, 262), (768, 192)),),
    wheels=(120, 230, 690),
    radius=50,
)  # fmt: skip
PICKUP = Make(
    TRUCK,
    width=220,
    outline=((0, 55), (0, 100), (0, 260), (420, 265), (424, 220), (480, 225), (540, 140), (590, 120), (596, 50)),
    glass=(5,),
    tail=0,
    nose=7,
    panes=(((438, 150), (438, 205), (476, 208), (520, 150)),),
    wheels=(95, 520),
    radius=40,
)
COACH = Make(
    BUS,
    width=255,
    outline=((0, 35), (0, 110), (0, 150), (4, 270), (10, 305), (1170, 305), (1176, 260), (1180, 110), (1180, 35)),
    glass=(2, 6),
    tail=0,
    nose=7,
    panes=_row_of_panes(30, 1100, 140, 120, 140, 262),
    wheels=(270, 920),
    radius=48,
)
TRAM = Make(
    TRAIN,
    width=250,
    outline=((0, 25), (0, 110), (0, 150), (20, 290), (60, 345), (2640, 345), (2680, 290), (2700, 150), (2700, 25)),
    glass=(2, 6),
    tail=0,
    nose=7,
    panes=_row_of_panes(90, 2500, 200, 170, 120, 275),
)
TOURER = Make(
    CARAVAN,
    width=215,
    outline=((0, 45), (0, 120), (12, 225), (40, 255), (420, 258), (455, 180), (460, 45)),
    glass=(1,),
    tail=0,
    nose=5,
    panes=(((120, 130), (120, 200), (240, 200), (240, 130)),),
    wheels=(220,),
)
CART = Make(
    TRAILER,
    width=165,
    outline=((0, 45), (0, 105), (240, 108), (240, 45)),
    glass=(),
    tail=0,
    nose=2,
    wheels=(120,),
    radius=28,
)

CARS = (SALOON, SALOON, HATCHBACK, HATCHBACK, JEEP, VAN)
"""What most people drive."""


class Stand(NamedTuple):
    """Where a vehicle stands: the middle of its end that is nearest to the eye, and which way it heads."""

    x: int
    z: int
    comes: bool = False  # towards the eye
    heads: int = 0  # across the view, to the right (1) or the left (-1)

    def place(self, make: Make, along: int, up: int, aside: int) -> Place:
        """A point of the vehicle: so far from its rear, so high, so far from its middle."""
        if self.heads:
            return self.x + self.heads * (along - make.length // 2), up, self.z + make.width // 2 - self.heads * aside
        ahead = make.length - along if self.comes else along
        return self.x + aside, up, self.z + ahead


def vehicle(view: View, make: Make, stand: Stand) -> None:
    """A vehicle with its shadow."""
    paint = view.canvas.color(COLORS[make.thing], 22)
    _shadow(view, make, stand)
    _axles(view, make, stand)
    _shell(view, make, stand, paint)
    if view.size(150, stand.z) < 5:
        return
    if side := _seen_side(view, make, stand):
        _flank(view, make, stand, side, paint)
    if not stand.heads:
        _lamps(view, make, stand, paint)


def _shadow(view: View, make: Make, stand: Stand) -> None:
    half = make.width // 2
    foot = [stand.place(make, along, 0, aside) for along in (0, make.length) for aside in (-half, half)]
    rights, _, aheads = zip(*foot, strict=True)
    view.shadow((min(rights) - 8, max(rights) + 8), (min(aheads) - 16, max(aheads) + 8), 140)


def _axles(view: View, make: Make, stand: Stand) -> None:
    """The wheels that show below the nearest end."""
    along = make.length - 40 if stand.comes else 40
    for side in (-1, 1):
        outer, inner = side * make.width // 2, side * (make.width // 2 - 24)
        corners = ((0, outer), (0, inner), (60, inner), (60, outer))
        if not stand.heads:
            view.fill([stand.place(make, along, up, aside) for up, aside in corners], make.thing, RUBBER)


def _half(make: Make, up: int) -> int:
    """Half the width at a height: bodies grow narrower above."""
    return make.width // 2 - min(14, max(0, up - 100) // 3)


def _shell(view: View, make: Make, stand: Stand, paint: Color) -> None:
    """Every edge of the outline drawn out over the width, the farthest first: what is hidden is painted over."""
    edges = list(enumerate(itertools.pairwise(make.outline)))
    for number, (low, high) in edges if stand.comes else reversed(edges):
        tone = GLASS if number in make.glass else toned(paint, _slope(low, high))
        face = [stand.place(make, *low, side * _half(make, low[1])) for side in (-1, 1)]
        face += [stand.place(make, *high, side * _half(make, high[1])) for side in (1, -1)]
        view.fill(face, make.thing, tone)


def _slope(low: Point, high: Point) -> int:
    """How much light falls on an edge: level ones are bright, steep ones are not."""
    along, up = abs(high[0] - low[0]), abs(high[1] - low[1])
    return 30 * along // max(1, along + up) - 8


def _seen_side(view: View, make: Make, stand: Stand) -> int:
    """Which flank shows: the left (-1), the right (1), or none."""
    if stand.heads:
        return stand.heads
    for side in (-1, 1):
        near, far = (view.pixel((stand.x + side * make.width // 2, 0, stand.z + z))[0] for z in (0, make.length))
        if (far - near) * side > 0:
            return side
    return 0


def _flank(view: View, make: Make, stand: Stand, side: int, paint: Color) -> None:
    """The side of a vehicle, with its windows and wheels."""

    def seen(points: Iterable[Point]) -> list[Place]:
        return [stand.place(make, along, up, side * _half(make, up)) for along, up in points]

    view.fill(seen(make.outline), make.thing, toned(paint, view.canvas.between(-26, -6)))
    view.fill(seen([(0, 40), (make.length, 40), (make.length, 60), (0, 60)]), make.thing, toned(paint, -34))
    for pane in make.panes:
        view.fill(seen(pane), make.thing, GLASS)
    for along in make.wheels:
        hub = stand.place(make, along, make.radius - 2, side * make.width // 2)
        view.fill(wheel(hub, make.radius, is_across=stand.heads != 0), make.thing, RUBBER)
        view.fill(wheel(hub, make.radius * 5 // 9, is_across=stand.heads != 0), make.thing, GREY)


def _lamps(view: View, make: Make, stand: Stand, paint: Color) -> None:
    """Two lamps on the nearest end, and a plate or a grill between them."""
    half, lamp = make.width // 2 - 4, (226, 222, 200) if stand.comes else (168, 38, 34)
    edge, reach, color = (make.nose, (1, 7), toned(paint, -60)) if stand.comes else (make.tail, (1, 5), PALE)
    sides = ((-half, 30 - half), (half - 30, half), (-half // 2, half // 2))
    for (left, right), tenths, tone in zip(sides, ((3, 9), (3, 9), reach), (lamp, lamp, color), strict=True):
        (start, low), (end, high) = (_on_edge(make, edge, k) for k in tenths)
        lower = [stand.place(make, start, low, aside) for aside in (left, right)]
        upper = [stand.place(make, end, high, aside) for aside in (right, left)]
        view.fill([*lower, *upper], make.thing, tone)


def _on_edge(make: Make, edge: int, tenths: int) -> Point:
    """A point of the outline, so many tenths along one of its edges."""
    (start, low), (end, high) = sorted(make.outline[edge : edge + 2], key=lambda point: point[1])
    return (start * (10 - tenths) + end * tenths) // 10, (low * (10 - tenths) + high * tenths) // 10
