"""The things of street scenes: their names and ids, the colours they come in, their textures, and the smaller ones."""

from __future__ import annotations

import numpy as np

from segpipe.acquisition.scenery.canvas import Color, Point, toned
from segpipe.acquisition.scenery.street_view import Place, View

THINGS = (
    "unlabeled", "ego vehicle", "rectification border", "out of roi", "static", "dynamic", "ground", "road",
    "sidewalk", "parking", "rail track", "building", "wall", "fence", "guard rail", "bridge", "tunnel", "pole",
    "polegroup", "traffic light", "traffic sign", "vegetation", "terrain", "sky", "person", "rider", "car", "truck",
    "bus", "caravan", "trailer", "train", "motorcycle", "bicycle",
)  # fmt: skip
"""The labels of Cityscapes, in the order of their ids."""

UNLABELED, EGO, BORDER, OUTSIDE, STATIC, DYNAMIC, GROUND, ROAD, SIDEWALK, PARKING, RAILS, BUILDING = range(12)
WALL, FENCE, GUARD_RAIL, BRIDGE, TUNNEL, POLE, POLE_GROUP, LIGHT, SIGN, VEGETATION, TERRAIN, SKY = range(12, 24)
PERSON, RIDER, CAR, TRUCK, BUS, CARAVAN, TRAILER, TRAIN, MOTORCYCLE, BICYCLE = range(24, 34)

GREEN, LEAF, OLIVE, BROWN = (84, 108, 58), (58, 82, 44), (110, 110, 68), (110, 90, 70)
RED, TAN, BLUE, NAVY, YELLOW = (146, 84, 70), (166, 148, 118), (82, 112, 142), (46, 60, 92), (190, 156, 60)
GREY, MURK, DARK, PALE, WHITE = (124, 124, 122), (94, 96, 98), (58, 62, 66), (176, 174, 168), (216, 216, 212)
AZURE = (150, 180, 208)
GLASS, RUBBER, SKIN = (50, 58, 66), (36, 37, 39), (186, 144, 118)
CLOTHES = (DARK, DARK, NAVY, BLUE, RED, PALE, GREEN, TAN, BROWN, WHITE)

COLORS: dict[int, tuple[Color, ...]] = {
    STATIC: (GREY, GREEN, YELLOW, DARK, RED, PALE, BROWN),
    DYNAMIC: (DARK, BROWN, BLUE, RED, GREEN),
    GROUND: (GREY, TAN, RED, PALE),
    ROAD: (GREY, GREY, MURK, MURK, PALE, DARK),
    SIDEWALK: (GREY, MURK, PALE, PALE, RED, TAN),
    PARKING: (GREY, MURK, PALE, RED),
    RAILS: (GREY, MURK, BROWN, GREEN),
    BUILDING: (GREY, MURK, PALE, WHITE, TAN, TAN, RED, BROWN, YELLOW, BLUE, OLIVE, AZURE),
    WALL: (GREY, PALE, WHITE, RED, TAN, MURK, OLIVE),
    FENCE: (DARK, GREEN, BROWN, GREY, WHITE, RED),
    GUARD_RAIL: (GREY, PALE),
    BRIDGE: (GREY, PALE, MURK, TAN),
    TUNNEL: (GREY, PALE, TAN),
    POLE: (GREY, GREY, DARK, MURK, PALE, GREEN, BROWN),
    LIGHT: (DARK, DARK, MURK, YELLOW),
    SIGN: (WHITE, RED, BLUE, YELLOW, GREEN, PALE),
    VEGETATION: (GREEN, GREEN, LEAF, LEAF, OLIVE, OLIVE, BROWN, YELLOW),
    TERRAIN: (GREEN, GREEN, OLIVE, OLIVE, TAN, BROWN),
    SKY: (WHITE, PALE, AZURE, AZURE, BLUE, GREY),
    CAR: (PALE, WHITE, DARK, DARK, MURK, GREY, RED, BLUE, NAVY, GREEN, TAN),
    TRUCK: (WHITE, PALE, BLUE, RED, GREEN, GREY, YELLOW),
    BUS: (WHITE, YELLOW, RED, BLUE, PALE, GREEN),
    CARAVAN: (WHITE, PALE, TAN),
    TRAILER: (GREY, BROWN, DARK, BLUE),
    TRAIN: (RED, YELLOW, PALE, BLUE, GREEN),
    MOTORCYCLE: (DARK, DARK, RED, BLUE, GREY),
    BICYCLE: (DARK, DARK, RED, BLUE, PALE, GREEN),
}
"""A material's colours, repeated where it likes one; most colours belong to many materials."""

LEAVES, HARD, ROUGH, MATT = (14, 20, 34, 10, 0), (6, 3, 0, 14, 0), (8, 5, 4, 14, 6), (4, 3, 0, 10, 0)
MIXTURES = {
    GROUND: ROUGH,
    ROAD: HARD,
    SIDEWALK: ROUGH,
    PARKING: HARD,
    RAILS: ROUGH,
    BUILDING: (5, 4, 3, 12, 0),
    WALL: (9, 10, 6, 12, 0),
    VEGETATION: LEAVES,
    TERRAIN: (18, 16, 10, 16, 4),
    SKY: (0, 0, 2, 10, 0),
    CAR: (2, 0, 0, 6, 0),
    EGO: (2, 0, 0, 8, 0),
    BORDER: (0, 0, 0, 0, 0),
    OUTSIDE: (0, 0, 0, 0, 0),
}
"""How much of each texture of the canvas, in 64ths, is in a material."""

MIXTURE = np.array([MIXTURES.get(thing, MATT) for thing in range(len(THINGS))], np.int32)


def person(view: View, foot: Place) -> None:
    """Somebody who stands or walks, seen from before, behind or the side."""
    canvas, tall = view.canvas, view.canvas.between(150, 192)
    stride, coat, legs = canvas.between(0, 26), canvas.color(CLOTHES, 24), canvas.color(CLOTHES, 20)
    view.shadow((foot[0] - 20, foot[0] + 20), (foot[2] - 10, foot[2] + 15), tall)
    for step in (-stride, stride):
        view.bar(foot, (step // 2 - 5, 48 * tall // 100), (step, 2), 15, PERSON, toned(legs, step // 3))
    _trunk(view, foot, 0, 46 * tall // 100, 84 * tall // 100, PERSON, coat)
    view.bar(foot, (-17, 80 * tall // 100), (-20 - stride // 2, tall // 2), 10, PERSON, toned(coat, -16))
    view.bar(foot, (17, 80 * tall // 100), (20 + stride // 2, tall // 2), 10, PERSON, toned(coat, 12))
    _head(view, foot, 0, 92 * tall // 100, PERSON)
    if canvas.chance(15):
        bag = (foot[0] + canvas.between(-34, 34), foot[1], foot[2] - 5)
        view.plate(bag, (-14, 2), (14, canvas.between(30, 66)), DYNAMIC, canvas.color(COLORS[DYNAMIC]))


def _trunk(view: View, foot: Place, lean: int, hip: int, neck: int, thing: int, coat: Color) -> None:
    shape = [(-16, hip), (16, hip), (21 + lean, neck - 10), (9 + lean, neck), (lean - 9, neck), (lean - 21, neck - 10)]
    view.board(foot, shape, thing, coat)
    view.board(foot, [(0, hip), (16, hip), (21 + lean, neck - 10), (lean, neck)], thing, toned(coat, -12))


def _head(view: View, foot: Place, right: int, up: int, thing: int, helmet: Color | None = None) -> None:
    top = helmet or view.canvas.color((DARK, BROWN, TAN, GREY))
    view.disc(foot, (right, up + 3), 12, thing, top)
    view.disc(foot, (right, up - 3), 9, thing, view.canvas.color((SKIN, SKIN, BROWN, top)))


def cyclist(view: View, foot: Place, is_across: bool, is_motor: bool) -> None:
    """Somebody who rides: a bicycle or a motorcycle below, a rider above."""
    canvas, coat, saddle = view.canvas, view.canvas.color(CLOTHES, 24), 82 if is_motor else 95
    cycle(view, foot, is_across, is_motor)
    lean, legs = canvas.between(14, 36) if is_across else 0, canvas.color(CLOTHES)
    for side in (-1, 1):
        knee = (26, 62 + side * 8) if is_across else (side * 16, 66 + side * 6)
        pedal = (6 + side * 8, 28 - side * 10) if is_across else (side * 13, 22 + side * 8)
        view.bar(foot, (side * 3 - lean // 2, saddle), knee, 16, RIDER, toned(legs, side * 8))
        view.bar(foot, knee, pedal, 13, RIDER, toned(legs, side * 8))
    _trunk(view, (foot[0] - lean // 2, foot[1], foot[2]), lean, saddle - 8, saddle + 60, RIDER, coat)
    for side in (-1, 1):
        shoulder = (lean // 2 + side * (4 if is_across else 18), saddle + 52)
        view.bar(foot, shoulder, (40, 104) if is_across else (side * 27, 98), 10, RIDER, toned(coat, side * 12))
    helmet = canvas.color((RED, WHITE, DARK, BLUE, YELLOW)) if is_motor or canvas.chance(50) else None
    _head(view, foot, lean, saddle + 73, RIDER, helmet)


def cycle(view: View, foot: Place, is_across: bool, is_motor: bool) -> None:
    """A bicycle or motorcycle, seen from the side or from its end."""
    thing = MOTORCYCLE if is_motor else BICYCLE
    paint, (x, _, z) = view.canvas.color(COLORS[thing], 20), foot
    reach = 70 if is_across else 12
    view.shadow((x - reach, x + reach), (z - 10, z + (15 if is_across else 120)), 90)
    if not is_across:
        _cycle_end(view, foot, thing, is_motor, paint)
    elif is_motor:
        _motorcycle_side(view, foot, paint)
    else:
        _bicycle_side(view, foot, paint)


def _cycle_end(view: View, foot: Place, thing: int, is_motor: bool, paint: Color) -> None:
    tyre = 9 if is_motor else 4
    view.plate(foot, (-tyre, 0), (tyre, 66), thing, RUBBER)
    if is_motor:
        view.board(foot, [(-18, 40), (18, 40), (24, 74), (12, 92), (-12, 92), (-24, 74)], thing, paint)
        view.plate(foot, (-8, 62), (8, 72), thing, (170, 50, 44))
    view.bar(foot, (0, 40), (0, 92), 6, thing, paint)
    view.bar(foot, (-30, 100), (30, 100), 5, thing, DARK)


def _bicycle_side(view: View, foot: Place, paint: Color) -> None:
    for hub in (-52, 52):
        view.disc(foot, (hub, 34), 35, BICYCLE, RUBBER)
        view.disc(foot, (hub, 34), 28, BICYCLE, view.canvas.color((GREY, MURK, PALE)))
    saddle, pedals, head = (-18, 90), (-8, 34), (38, 86)
    for start, end in (((-52, 34), saddle), (pedals, saddle), (pedals, head), (saddle, head), ((52, 34), (36, 104))):
        view.bar(foot, start, end, 5, BICYCLE, paint)
    view.bar(foot, (-30, 96), (-8, 96), 7, BICYCLE, DARK)
    view.bar(foot, (28, 106), (44, 104), 5, BICYCLE, DARK)


def _motorcycle_side(view: View, foot: Place, paint: Color) -> None:
    for hub in (-68, 68):
        view.disc(foot, (hub, 31), 32, MOTORCYCLE, RUBBER)
        view.disc(foot, (hub, 31), 17, MOTORCYCLE, GREY)
    view.board(foot, [(-40, 28), (34, 24), (44, 60), (-30, 66)], MOTORCYCLE, MURK)
    tank = [(-88, 74), (-20, 64), (44, 58), (58, 92), (34, 104), (-8, 82), (-60, 88)]
    view.board(foot, tank, MOTORCYCLE, paint)
    view.bar(foot, (68, 31), (42, 106), 8, MOTORCYCLE, GREY)


def lamp_post(view: View, foot: Place) -> None:
    """A pole by the road, with an arm and a lamp that hang over it."""
    canvas, (x, _, z) = view.canvas, foot
    steel, tall = canvas.color(COLORS[POLE]), canvas.between(450, 900)
    arm = -canvas.between(60, 220) if x > 0 else canvas.between(60, 220)
    view.shadow((x - 6, x + 6), (z - 6, z + 6), tall)
    view.bar(foot, (0, 0), (0, tall), 15, POLE, steel)
    view.bar(foot, (0, tall), (arm, tall + 30), 9, POLE, steel)
    view.bar(foot, (arm, tall + 24), (arm * 3 // 4, tall + 26), 22, POLE, toned(steel, 30))


def bollards(view: View, foot: Place) -> None:
    """A few short poles in a row along the kerb."""
    x, y, z = foot
    steel = view.canvas.color((*COLORS[POLE], WHITE))
    for k in range(view.canvas.between(2, 6), 0, -1):
        view.bar((x, y, z + 160 * k), (0, 0), (0, 95), 12, POLE, steel)


def pole_group(view: View, foot: Place) -> None:
    """Poles too many to be told apart."""
    x, y, z = foot
    for k in range(view.canvas.between(3, 7)):
        steel = view.canvas.color(COLORS[POLE])
        view.bar((x + 22 * k, y, z), (0, 0), (0, view.canvas.between(240, 520)), 10, POLE_GROUP, steel)


def traffic_light(view: View, foot: Place) -> None:
    """A signal on its pole; on a wide road a second one hangs from an arm."""
    canvas, steel = view.canvas, view.canvas.color(COLORS[POLE])
    inward = -1 if foot[0] > 0 else 1
    hangs, tall = canvas.chance(45), canvas.between(270, 340)
    view.shadow((foot[0] - 6, foot[0] + 6), (foot[2] - 6, foot[2] + 6), 300)
    view.bar(foot, (0, 0), (0, 580 if hangs else tall - 10), 14, POLE, steel)
    housing, lit = canvas.color(COLORS[LIGHT]), canvas.between(0, 3)
    _signal(view, foot, inward * 4, tall, housing, lit)
    if hangs:
        arm = inward * canvas.between(230, 420)
        view.bar(foot, (0, 570), (arm, 590), 11, POLE, steel)
        _signal(view, foot, arm, 600, housing, lit)


def _signal(view: View, foot: Place, right: int, top: int, housing: Color, lit: int) -> None:
    view.plate(foot, (right - 21, top - 110), (right + 21, top), LIGHT, housing)
    lamps = ((206, 62, 48), (214, 160, 52), (84, 190, 130))
    for k, lamp in enumerate(lamps):
        color = lamp if k == lit else toned(housing, -24)
        view.disc(foot, (right, top - 20 - 34 * k), 13, LIGHT, color)


OCTAGON = ((-12, -32), (12, -32), (32, -12), (32, 12), (12, 32), (-12, 32), (-32, 12), (-32, -12))
SHAPES = (
    OCTAGON,
    OCTAGON,
    ((-38, -30), (38, -30), (0, 34)),
    ((-38, 30), (38, 30), (0, -34)),
    ((-38, 0), (0, -38), (38, 0), (0, 38)),
    ((-30, -30), (30, -30), (30, 30), (-30, 30)),
    ((-60, -22), (60, -22), (60, 22), (-60, 22)),
)
"""Outlines of traffic signs, around their middles; seen from the road, an octagon is a disc."""


def sign(view: View, foot: Place) -> None:
    """One or two traffic signs on a pole."""
    canvas, tall = view.canvas, view.canvas.between(230, 330)
    view.bar(foot, (0, 0), (0, tall), 8, POLE, canvas.color(COLORS[POLE]))
    for k in range(canvas.between(1, 3)):
        _shield(view, foot, tall - 72 * k)


def _shield(view: View, foot: Place, up: int) -> None:
    """A traffic sign: its rim, its ground, and something on it."""
    canvas, shape = view.canvas, SHAPES[view.canvas.between(0, len(SHAPES))]
    rim = canvas.color(COLORS[SIGN], 24)
    view.board(foot, [(x, up + y) for x, y in shape], SIGN, rim)
    inner = [(2 * x // 3, up + 2 * y // 3) for x, y in shape]
    view.board(foot, inner, SIGN, canvas.color((WHITE, rim, BLUE, YELLOW)))
    view.bar(foot, (-10, up), (10, up), canvas.between(8, 22), SIGN, canvas.color((DARK, WHITE, RED)))


def direction_board(view: View, foot: Place) -> None:
    """A large board with the names of places, on two poles."""
    canvas, up = view.canvas, view.canvas.between(230, 330)
    wide, ink = canvas.between(70, 150), canvas.color((WHITE, WHITE, DARK))
    for side in (-1, 1):
        view.bar(foot, (side * wide * 3 // 4, 0), (side * wide * 3 // 4, up), 10, POLE, canvas.color(COLORS[POLE]))
    view.plate(foot, (-wide, up), (wide, up + 130), SIGN, canvas.color((BLUE, YELLOW, WHITE, GREEN)))
    for line in (35, 70, 105):
        view.bar(foot, (20 - wide, up + line), (canvas.between(-20, wide), up + line), 12, SIGN, ink)


def tree(view: View, foot: Place) -> None:
    """A trunk and a crown of many tufts, bright on top."""
    canvas, (x, _, z) = view.canvas, foot
    leaves, bark = canvas.color(COLORS[VEGETATION]), canvas.color((BROWN, DARK, MURK))
    wide = canvas.between(110, 330)
    up = canvas.between(230, 420) + wide
    view.shadow((x - wide // 2, x + wide // 2), (z - wide // 2, z + wide // 2), up)
    view.bar(foot, (0, 0), (canvas.between(-20, 21), up), canvas.between(18, 46), VEGETATION, bark)
    for _ in range(canvas.between(2, 5)):
        bough = (x + canvas.between(-wide // 2, wide // 2 + 1), up + canvas.between(-wide // 2, wide // 2 + 1), z)
        bush(view, bough, wide * canvas.between(60, 100) // 100, leaves)


def bush(view: View, middle: Place, radius: int, leaves: Color) -> None:
    """A round of leaves, darker below."""
    canvas, (x, y), size = view.canvas, view.pixel(middle), view.size(radius, middle[2])
    leaves = view.through_air(leaves, middle[2])
    canvas.fill(canvas.blob((x, y), size), VEGETATION, toned(leaves, -22))
    tufts = canvas.rng.integers([-96, -96, -12, 10], [97, 97, 13, 35], (2 + min(size, 40) // 3, 4)).tolist()
    for right, up, shift, share in tufts:
        spot = (x + size * right // 128, y - size * up // 128)
        canvas.disc(spot, size * share // 100, VEGETATION, toned(leaves, 20 * up // 96 + shift))


def hedge(view: View, x: int, along: Point, tall: int, color: Color) -> None:
    """A piece of a row of bushes along the street."""
    start, end = along
    for ahead in range(end, start, -tall // 2):
        bush(view, (x, tall * 2 // 5, ahead), tall * 3 // 5, color)


def furniture(view: View, foot: Place) -> None:
    """What stands about and has no name of its own: a box, a bin, a bench, a column of posters."""
    canvas, (x, _, z) = view.canvas, foot
    paint, kind = canvas.color(COLORS[STATIC]), canvas.between(0, 3)
    wide, tall = ((28, 110), (50, 130), (55, 240))[kind]
    view.shadow((x - wide, x + wide), (z, z + wide), tall)
    view.plate(foot, (-wide, 0), (wide, tall), STATIC, toned(paint, -16))
    view.plate(foot, (-wide, tall // 3), (wide // 3, tall), STATIC, paint)
    view.plate(foot, (-wide - 4, tall - 16), (wide + 4, tall), STATIC, toned(paint, 22))


def bin_on_wheels(view: View, foot: Place) -> None:
    """A dustbin that stands out today, or a pram: what moves now and then."""
    paint = view.canvas.color(COLORS[DYNAMIC])
    view.board(foot, [(-24, 8), (24, 8), (30, 98), (-30, 98)], DYNAMIC, paint)
    view.plate(foot, (-32, 96), (32, 108), DYNAMIC, toned(paint, -20))
    for side in (-18, 18):
        view.disc(foot, (side, 8), 9, DYNAMIC, RUBBER)
