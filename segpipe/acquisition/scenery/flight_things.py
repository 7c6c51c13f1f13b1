"""What is filmed from a drone: names and ids, the materials with their colours and textures, and all that moves."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from segpipe.acquisition.scenery.canvas import Canvas, Color, Point, offset, toned
from segpipe.acquisition.scenery.flight_camera import Model, Place

THINGS = (
    "background", "person", "bike", "car", "drone", "boat", "animal", "obstacle", "construction", "vegetation", "road",
    "sky",
)  # fmt: skip
"""The vocabulary of AeroScapes, in the order of its ids."""

GREEN, OLIVE, BROWN, RED, TAN = (82, 110, 54), (112, 114, 66), (118, 96, 72), (142, 92, 76), (160, 144, 116)
GREY, DARK, PALE, BLUE, TEAL = (128, 128, 124), (72, 78, 80), (186, 184, 178), (86, 112, 138), (94, 134, 140)
STRAW, WHITE, HAZE, GLASS, RUBBER = (148, 138, 90), (224, 222, 214), (158, 184, 208), (46, 54, 60), (40, 42, 44)


class Material(NamedTuple):
    """What it belongs to, its colours (repeated where it likes one), and its share, in 64ths, of each texture."""

    thing: str
    colors: tuple[Color, ...]
    textures: tuple[int, int, int, int, int, int]
    """Five fields from the finest to the widest, then ripples."""
    is_ground: bool = False
    """Its textures lie on the ground, or else they stand in the picture."""


MATT, SMOOTH, LEAFY = (6, 4, 0, 8, 0, 0), (2, 0, 0, 4, 0, 0), (18, 18, 12, 8, 0, 0)

MATERIALS = (
    Material("background", (BROWN, TAN, OLIVE, STRAW, GREEN, GREY), (6, 8, 26, 26, 14, 0), is_ground=True),
    Material("background", (TAN, PALE, BROWN, GREY, DARK), (4, 10, 34, 14, 6, 0), is_ground=True),
    Material("background", (PALE, TAN, RED, GREY, DARK), (4, 6, 30, 10, 6, 0), is_ground=True),
    Material("background", (BLUE, TEAL, DARK, OLIVE, GREEN, GREY), (0, 0, 0, 8, 16, 26), is_ground=True),
    Material("road", (GREY, GREY, DARK, PALE, TAN, BROWN, OLIVE), (6, 4, 2, 8, 10, 0), is_ground=True),
    Material("road", (TAN, BROWN, STRAW, OLIVE, GREEN, GREY), (6, 4, 2, 12, 12, 0), is_ground=True),
    Material("road", (WHITE, PALE, TAN), (8, 6, 0, 10, 0, 0), is_ground=True),
    Material("vegetation", (GREEN, OLIVE, STRAW, BROWN, TAN), (30, 26, 6, 10, 8, 0), is_ground=True),
    Material("vegetation", (OLIVE, GREEN, STRAW, BROWN, GREY), (36, 32, 10, 14, 8, 0), is_ground=True),
    Material("vegetation", (GREEN, GREEN, OLIVE, OLIVE, BROWN, RED), LEAFY),
    Material("vegetation", (BROWN, DARK, GREY), MATT),
    Material("sky", (HAZE, HAZE, PALE, GREY, BLUE), (0, 0, 0, 6, 22, 14)),
    Material("construction", (PALE, TAN, RED, GREY, BLUE), (4, 4, 4, 10, 6, 0)),
    Material("construction", (RED, RED, GREY, DARK, BROWN, GREEN, BLUE), (8, 10, 4, 8, 0, 0)),
    Material("construction", (GLASS,), SMOOTH),
    Material("person", (RED, BLUE, PALE, DARK, GREEN, TAN, GREY), MATT),
    Material("bike", (DARK, RED, BLUE, PALE, GREEN), SMOOTH),
    Material("car", (PALE, DARK, RED, BLUE, GREY, GREEN, TAN, WHITE), SMOOTH),
    Material("drone", (DARK, PALE, GREY, RED), SMOOTH),
    Material("boat", (PALE, WHITE, RED, BLUE, BROWN, GREEN), MATT),
    Material("animal", (BROWN, DARK, PALE, TAN, RED), (8, 12, 8, 6, 0, 0)),
    Material("obstacle", (GREY, DARK, PALE, BROWN, RED, GREEN), MATT),
)
SOIL, GRAVEL, PAVING, WATER, ASPHALT, TRACK, PAINT, LAWN, MEADOW, LEAVES, BARK, SKY = range(12)
WALL, ROOF, PANE, PERSON, BIKE, CAR, DRONE, BOAT, ANIMAL, OBSTACLE = range(12, len(MATERIALS))

COLORS = [material.colors for material in MATERIALS]
THING_OF = np.array([THINGS.index(material.thing) for material in MATERIALS], np.uint8)
MIXTURE = np.array([material.textures for material in MATERIALS], np.int32)
IS_GROUND = np.array([material.is_ground for material in MATERIALS])


def person(dice: Canvas, model: Model, _limit: int) -> None:
    """Somebody in the middle of a step."""
    tall, stride = dice.between(1500, 1900), dice.between(60, 300)
    hip, shoulder = tall * 52 // 100, tall * 82 // 100
    top, trousers = dice.color(COLORS[PERSON], 30), dice.color(COLORS[PERSON], 24)
    model.cast([(0, 0, 0), (0, 0, tall)], 230)
    for side in (-1, 1):
        model.limb((side * stride, side * 110, 0), (0, side * 90, hip), 190, PERSON, trousers)
    for side in (-1, 1):
        model.limb((0, side * 230, shoulder), (-side * stride, side * 300, hip), 130, PERSON, toned(top, -18))
    model.limb((0, 0, hip - 60), (0, 0, shoulder), 430, PERSON, top)
    model.ball((40, 0, tall - 130), 130, PERSON, dice.color((BROWN, TAN, RED), 20))
    model.ball((-10, 0, tall - 90), 120, PERSON, dice.color((DARK, BROWN, TAN, PALE)))


def bike(dice: Canvas, model: Model, _limit: int) -> None:
    """A bicycle on its stand, or with its rider."""
    frame = dice.color(COLORS[BIKE], 30)
    model.cast([(-800, 0, 0), (800, 0, 0), (500, 0, 950), (-500, 0, 900)], 40)
    for hub in (-520, 520):
        rim = [(x, 0, z) for x, z in (offset((hub, 340), k, 340) for k in range(0, 54, 6))]
        for k in range(8):
            model.limb(rim[k], rim[k + 1], 75, BIKE, RUBBER)
    pedals, saddle, bars = (0, 0, 320), (-180, 0, 880), (400, 0, 960)
    for end, other in ((pedals, saddle), (pedals, bars), (saddle, (420, 0, 780))):
        model.limb(end, other, 75, BIKE, frame)
    model.limb((-520, 0, 340), saddle, 75, BIKE, frame)
    model.limb((520, 0, 340), bars, 75, BIKE, frame)
    model.limb((400, -290, 980), (400, 290, 980), 60, BIKE, RUBBER)
    model.limb((-290, 0, 900), (-80, 0, 900), 130, BIKE, RUBBER)
    if dice.chance(55):
        _rider(dice, model)


def _rider(dice: Canvas, model: Model) -> None:
    top, trousers = dice.color(COLORS[PERSON], 30), dice.color(COLORS[PERSON], 24)
    model.cast([(0, 0, 0), (0, 0, 1700)], 200)
    for side, foot in ((-1, 220), (1, 480)):
        model.limb((60, side * 120, foot), (-150, side * 110, 960), 170, PERSON, trousers)
        model.limb((60, side * 200, 1430), (400, side * 270, 1010), 110, PERSON, toned(top, -18))
    model.limb((-170, 0, 930), (60, 0, 1460), 400, PERSON, top)
    model.ball((160, 0, 1650), 140, PERSON, dice.color((DARK, BROWN, TAN, RED, WHITE)))


def car(dice: Canvas, model: Model, _limit: int) -> None:
    """A saloon, an estate or a van."""
    paint, kind = dice.color(COLORS[CAR], 24), dice.between(0, 3)
    half, side, roof = ((2100, 860, 1430), (2200, 880, 1500), (2600, 980, 2200))[kind]
    front, back = ((1150, -1500), (1150, -2000), (1900, -2450))[kind]
    body = _hull([(-half, 80), (-half + 250, 100), (half - 350, 100), (half, 75)], side)
    sill, top = _hull([(back, 94), (front, 94)], side), _hull([(back + 250, 80), (front - 500, 80)], side)
    model.cast([(x, y, up) for up in (0, 950) for x, y in body])
    model.cast([(x, y, up) for up in (900, roof) for x, y in top])
    for edge in (-1, 1):
        for hub in (-half + 750, half - 800):
            model.ball((hub, edge * (side - 60), 300), 300, CAR, RUBBER)
    model.prism(body, 330, body, 900, CAR, paint)
    model.prism(sill, 900, top, roof, CAR, GLASS if kind < 2 else toned(paint, -10))
    model.face([(x, y, roof + 15) for x, y in top], CAR, toned(paint, 16))
    for end, lamp, order in ((half + 15, WHITE, 1), (-half - 15, (150, 50, 44), -1)):
        for percents in ((-70, -40), (40, 70)):
            start, stop = (side * percent // 100 for percent in percents[::order])
            glass: list[Place] = [(end, start, 580), (end, stop, 580), (end, stop, 740), (end, start, 740)]
            model.face(glass, CAR, lamp, is_side=True)


def boat(dice: Canvas, model: Model, limit: int) -> None:
    """A rowing boat, a launch with a cabin or a sailing boat."""
    length, kind, paint = min(dice.between(4000, 9000), limit // 2), dice.between(0, 3), dice.color(COLORS[BOAT], 20)
    side, aft, bow = length * 18 // 100, -length // 4, length // 8
    hull, keel, deck = (
        _hull([(-long // 2, 80), (0, 100), (long * 3 // 10, 70), (long // 2, 6)], long * 18 // 100)
        for long in (length, length * 9 // 10, length * 8 // 10)
    )
    model.cast([(x, y, up) for up in (0, 700) for x, y in hull])
    model.prism(keel, 0, hull, 650, BOAT, paint)
    model.face([(x, y, 660) for x, y in deck], BOAT, dice.color((BROWN, PALE, TAN, DARK)))
    if kind == 0:
        for along in (aft, 0, bow):
            model.limb((along, -side * 7 // 10, 640), (along, side * 7 // 10, 640), 220, BOAT, paint)
    elif kind == 1:
        cabin = _hull([(aft, 60), (bow, 55)], side)
        model.prism(cabin, 600, cabin, 1700, BOAT, toned(paint, 14))
    else:
        mast = (length // 10, 0, length * 9 // 10)
        model.limb((length // 10, 0, 600), mast, 110, BOAT, PALE)
        model.face([mast, (length // 10, 0, 1100), (-length * 4 // 10, side // 3, 1100)], BOAT, WHITE)


def animal(dice: Canvas, model: Model, _limit: int) -> None:
    """A dog, a sheep, a cow or a horse."""
    tall, coat = (620, 850, 1350, 1550)[dice.between(0, 4)], dice.color(COLORS[ANIMAL], 20)
    rump, back, aside = tall * 64 // 100, tall * 7 // 10, tall // 7
    model.cast([(along, 0, up) for along in (-rump, rump) for up in (0, tall)], tall // 6)
    for along in (-rump, rump):
        for across in (-aside, aside):
            model.limb((along, across, 0), (along, across, tall // 2), tall // 8, ANIMAL, toned(coat, -24))
    for along in (-rump * 9 // 10, rump * 9 // 10):
        model.ball((along, 0, back), tall * 21 // 100, ANIMAL, toned(coat, -8))
    model.limb((-rump, 0, back), (rump, 0, back), tall * 45 // 100, ANIMAL, coat)
    model.limb((-rump, 0, back + tall // 10), (-rump * 13 // 10, 0, tall // 2), tall // 12, ANIMAL, toned(coat, -14))
    if dice.chance(40):
        model.ball((0, dice.between(-100, 101), tall * 85 // 100), tall // 6, ANIMAL, dice.color((DARK, WHITE)))
    head = (tall * 112 // 100, 0, tall)
    model.limb((rump * 8 // 10, 0, back), head, tall // 5, ANIMAL, coat)
    model.ball(head, aside, ANIMAL, toned(coat, 14))


def drone(dice: Canvas, model: Model, limit: int) -> None:
    """Another drone: arms, rotors, legs and a body."""
    reach, shell = limit // 60, dice.color(COLORS[DRONE], 20)
    for k in (6, 18, 30, 42):
        hub, foot = offset((0, 0), k, reach), offset((0, 0), k, reach // 2)
        model.limb((0, 0, 0), (*hub, 0), reach // 6, DRONE, shell)
        rotor = [offset(hub, turn, reach // 2) for turn in range(0, 48, 6)]
        model.face([(x, y, reach // 8) for x, y in rotor], DRONE, toned(shell, -30))
        model.limb((0, 0, 0), (*foot, -reach // 2), reach // 10, DRONE, shell)
    model.ball((0, 0, 0), reach * 3 // 10, DRONE, toned(shell, 20))


def _hull(stations: list[Point], side: int) -> list[Point]:
    """An outline that reaches, at each place along it, so many percent of `side` to the left and right."""
    left = [(along, side * percent // 100) for along, percent in stations]
    return [(along, -across) for along, across in left] + left[::-1]
