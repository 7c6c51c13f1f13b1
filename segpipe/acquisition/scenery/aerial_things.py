"""The things of aerial scenes: their names and ids, the colours they come in, their textures, and how each is drawn."""

from __future__ import annotations

import itertools

import numpy as np

from segpipe.acquisition.scenery.canvas import Canvas, Color, Point, box, offset, placed, toned

THINGS = (
    "unlabeled", "paved-area", "dirt", "grass", "gravel", "water", "rocks", "pool", "vegetation", "roof", "wall",
    "window", "door", "fence", "fence-pole", "person", "dog", "car", "bicycle", "tree", "bald-tree", "ar-marker",
    "obstacle", "conflicting",
)  # fmt: skip
"""The vocabulary of the Semantic Drone Dataset, in the order of its ids. The last three are never drawn."""

CLUTTER, PAVED, DIRT, GRASS, GRAVEL, WATER, ROCKS, POOL, VEGETATION, ROOF, WALL, WINDOW = range(12)
DOOR, FENCE, POLE, PERSON, DOG, CAR, BICYCLE, TREE, BALD_TREE = range(12, 21)

GREEN, OLIVE, BROWN, RED, TAN = (84, 108, 58), (110, 110, 68), (118, 96, 72), (142, 92, 76), (156, 140, 112)
GREY, DARK, PALE, BLUE, TEAL = (126, 126, 122), (74, 80, 82), (182, 178, 170), (82, 110, 134), (92, 138, 142)

COLORS: dict[int, tuple[Color, ...]] = {
    CLUTTER: (RED, BLUE, GREEN, PALE, DARK, TAN),
    PAVED: (GREY, GREY, GREY, DARK, PALE, RED, TAN),
    DIRT: (BROWN, BROWN, BROWN, RED, TAN),
    GRASS: (GREEN, GREEN, GREEN, OLIVE, OLIVE, TAN),
    GRAVEL: (GREY, PALE, PALE, TAN),
    WATER: (DARK, BLUE, BLUE, TEAL, OLIVE),
    ROCKS: (GREY, TAN, PALE, BROWN),
    POOL: (TEAL, TEAL, BLUE),
    VEGETATION: (GREEN, GREEN, GREEN, OLIVE, RED),
    ROOF: (RED, RED, RED, GREY, DARK, PALE, GREEN, BLUE),
    WALL: (PALE, TAN, RED, GREY),
    WINDOW: (DARK,),
    DOOR: (BROWN,),
    FENCE: (BROWN, PALE, DARK, GREY),
    PERSON: (RED, BLUE, PALE, DARK, GREEN, TAN),
    DOG: (BROWN, DARK, PALE),
    CAR: (PALE, DARK, RED, BLUE, GREEN, GREY, TAN),
    BICYCLE: (DARK, RED, BLUE, PALE),
    TREE: (GREEN, GREEN, GREEN, OLIVE, BROWN, RED),
    BALD_TREE: (BROWN, GREY, DARK),
}
"""A material's colours, repeated where it likes one; most colours belong to many materials."""

GLASS, RUBBER = (44, 52, 58), (40, 42, 44)

LEAVES, LIQUID, SMOOTH, MATT = (12, 18, 32, 6, 0), (2, 0, 0, 8, 22), (3, 0, 0, 4, 0), (4, 3, 0, 10, 0)
MIXTURES = {
    PAVED: (5, 3, 0, 14, 0),
    DIRT: (5, 8, 18, 24, 0),
    GRASS: (18, 16, 6, 16, 0),
    GRAVEL: (28, 22, 0, 6, 0),
    WATER: LIQUID,
    POOL: LIQUID,
    VEGETATION: LEAVES,
    TREE: LEAVES,
    ROOF: (4, 4, 0, 8, 0),
    ROCKS: (10, 12, 12, 0, 0),
    CAR: SMOOTH,
    WINDOW: SMOOTH,
}
"""How much of each texture of the canvas, in 64ths, is in a material."""

MIXTURE = np.array([MIXTURES.get(thing, MATT) for thing in range(len(THINGS))], np.int32)


def building(canvas: Canvas, center: Point, grid: int) -> None:
    """A house with walls, windows, a door and one of two roofs."""
    length, width = canvas.length(canvas.between(50, 96)), canvas.length(canvas.between(36, 60))
    turn, rise = grid + 12 * canvas.between(0, 2), canvas.between(26, 50)
    height, breadth = canvas.size
    # What is nearer to the camera leans away from the middle of the picture, and is larger.
    top = (center[0] + (center[0] - breadth // 2) * rise // 200, center[1] + (center[1] - height // 2) * rise // 200)
    foot = box(center, turn, length, width)
    length, width = length * 108 // 100, width * 108 // 100
    canvas.shadow(foot, canvas.length(rise))
    _walls(canvas, foot, box(top, turn, length, width), turn)
    roof = _gable_roof if canvas.chance(60) else _flat_roof
    roof(canvas, top, turn, length, width, canvas.color(COLORS[ROOF]))


def _walls(canvas: Canvas, foot: np.ndarray, eaves: np.ndarray, turn: int) -> None:
    """All four walls: the roof will hide those that face away from the camera."""
    plaster = canvas.color(COLORS[WALL])
    for side in range(4):
        below, above = foot[[side, (side + 1) % 4]], eaves[[side, (side + 1) % 4]]
        wall = np.concatenate([below, above[::-1]])
        canvas.fill(wall, WALL, toned(plaster, canvas.lit(turn - 12 + 12 * side, 40)))
        for along in range(1, 12, 2):
            is_door = side == 0 and along == 5
            thing, low, high = (DOOR, 0, 10) if is_door else (WINDOW, 5, 11)
            canvas.fill(_opening(below, above, along, low, high), thing, COLORS[thing][0])


def _opening(below: np.ndarray, above: np.ndarray, along: int, low: int, high: int) -> np.ndarray:
    """A window's outline, 13ths along a wall and 16ths up."""

    def point(k: int, up: int) -> np.ndarray:
        foot, eaves = below[0] * (13 - k) + below[1] * k, above[0] * (13 - k) + above[1] * k
        height: np.ndarray = foot * (16 - up) + eaves * up
        return height // (13 * 16)

    return np.array([point(along, low), point(along + 1, low), point(along + 1, high), point(along, high)], np.int32)


def _gable_roof(canvas: Canvas, top: Point, turn: int, length: int, width: int, tiles: Color) -> None:
    row, end = canvas.length(canvas.between(3, 6)), length // 2
    for side in (-1, 1):
        slope = toned(tiles, canvas.lit(turn + 12 * side, 34))
        edge = side * width // 2
        canvas.fill(placed(top, turn, [(-end, 0), (end, 0), (end, edge), (-end, edge)]), ROOF, slope)
        for across in range(row, width // 2, row):
            line(canvas, top, turn, (-end, side * across), (end, side * across), ROOF, toned(slope, -14))
    line(canvas, top, turn, (-end, 0), (end, 0), ROOF, toned(tiles, 30))
    _block(canvas, offset(top, turn, length // 5, width // 5), turn, canvas.length(6), ROOF, toned(tiles, -30))


def _flat_roof(canvas: Canvas, top: Point, turn: int, length: int, width: int, felt: Color) -> None:
    rim = canvas.length(5)
    canvas.fill(box(top, turn, length, width), ROOF, toned(felt, 26))
    canvas.fill(box(top, turn, length - rim, width - rim), ROOF, felt)
    reach = (width - rim) // 2
    for along in range(-length // 2 + 2 * rim, length // 2 - rim, canvas.length(16)):
        line(canvas, top, turn, (along, -reach), (along, reach), ROOF, toned(felt, -10))
    for _ in range(canvas.between(1, 4)):
        spot = offset(top, turn, canvas.between(-length // 3, length // 3), canvas.between(-width // 3, width // 3))
        _block(canvas, spot, turn, canvas.length(canvas.between(5, 10)), ROOF, toned(felt, 20))


def line(canvas: Canvas, center: Point, turn: int, start: Point, end: Point, thing: int, color: Color) -> None:
    """A thin line between two points that are given around a center."""
    canvas.strip(offset(center, turn, *start), offset(center, turn, *end), canvas.length(1), thing, color)


def _block(canvas: Canvas, spot: Point, turn: int, side: int, thing: int, color: Color) -> None:
    outline = box(spot, turn, side, side)
    canvas.shadow(outline, side // 2 + 1)
    canvas.fill(outline, thing, toned(color, -24))
    canvas.fill(box(spot, turn, side * 2 // 3, side * 2 // 3), thing, color)


def crate(canvas: Canvas, spot: Point, grid: int) -> None:
    """A box, a bin or a table: what has no name of its own."""
    side = canvas.length(canvas.between(12, 26))
    _block(canvas, spot, grid + canvas.between(-2, 3), side, CLUTTER, canvas.color(COLORS[CLUTTER]))


def hedge(canvas: Canvas, spot: Point, grid: int) -> None:
    """A row of bushes."""
    leaves, step = canvas.color(COLORS[VEGETATION]), canvas.length(7)
    for k in range(canvas.between(3, 9)):
        bush = offset(spot, grid, k * step, canvas.length(4) * canvas.between(-1, 2))
        _crown(canvas, bush, canvas.length(canvas.between(4, 8)), VEGETATION, leaves)


def tree(canvas: Canvas, spot: Point, _grid: int) -> None:
    """A tree in leaf; its shadow stands off, for the crown hangs in the air."""
    radius = canvas.length(canvas.between(10, 24))
    canvas.shadow(canvas.blob(offset(spot, canvas.light, radius // 2), radius), radius // 2)
    _crown(canvas, spot, radius, TREE, canvas.color(COLORS[TREE]))


def _crown(canvas: Canvas, center: Point, radius: int, thing: int, leaves: Color) -> None:
    """A round of leaves: a dark body, and tufts that are brighter towards the light."""
    outline = canvas.blob(center, radius)
    canvas.shadow(outline, radius // 2 + 1)
    canvas.fill(outline, thing, toned(leaves, -26))
    for _ in range(4 + min(radius, 24) // 2):
        direction, out = canvas.between(0, 48), canvas.between(0, radius * 3 // 4 + 1)
        tuft = toned(leaves, canvas.lit(direction, 30) * out // radius + canvas.between(-8, 9))
        canvas.disc(offset(center, direction, out), radius * canvas.between(2, 5) // 12, thing, tuft)


def bald_tree(canvas: Canvas, spot: Point, _grid: int) -> None:
    """A tree without leaves: forked branches in all directions."""
    bark, unit = canvas.color(COLORS[BALD_TREE]), canvas.length
    for _ in range(canvas.between(5, 9)):
        direction, reach = canvas.between(0, 48), unit(canvas.between(9, 20))
        fork = offset(spot, direction, reach * 2 // 3)
        canvas.shadow(np.array([spot, fork], np.int32), unit(6))
        canvas.strip(spot, fork, unit(2), BALD_TREE, bark)
        for turn in (-3, 0, 3):
            canvas.strip(fork, offset(spot, direction + turn, reach), unit(1), BALD_TREE, toned(bark, 12))


def fence(canvas: Canvas, spot: Point, grid: int) -> None:
    """Boards between poles, straight or round a corner."""
    boards, gap, turn = canvas.color(COLORS[FENCE]), canvas.length(14), grid + 12 * canvas.between(0, 4)
    posts = [(k * gap, 0) for k in range(canvas.between(3, 9))]
    posts += [(posts[-1][0], k * gap) for k in range(1, canvas.between(1, 6))]
    poles = [offset(spot, turn, *post) for post in posts]
    for ends in itertools.pairwise(poles):
        canvas.shadow(np.array(ends, np.int32), canvas.length(5))
    for start, end in itertools.pairwise(poles):
        canvas.strip(start, end, canvas.length(3), FENCE, boards)
    for pole in poles:
        canvas.fill(box(pole, turn, canvas.length(4), canvas.length(4)), POLE, toned(boards, 24))


def rocks(canvas: Canvas, spot: Point, _grid: int) -> None:
    """A few boulders of one stone, each with a lit face."""
    stone = canvas.color(COLORS[ROCKS])
    for _ in range(canvas.between(2, 8)):
        place = offset(spot, canvas.between(0, 48), canvas.length(canvas.between(0, 15)))
        radius = canvas.length(canvas.between(5, 12))
        outline = canvas.blob(place, radius)
        canvas.shadow(outline, radius // 2 + 1)
        canvas.fill(outline, ROCKS, toned(stone, -34))
        canvas.fill(canvas.blob(offset(place, canvas.light, -radius // 3), radius * 2 // 3), ROCKS, toned(stone, 12))


def car(canvas: Canvas, spot: Point, grid: int) -> None:
    """A car, parked along the grid or across it."""
    direction, unit = grid + 12 * canvas.between(0, 4) + canvas.between(-1, 2), canvas.length
    half, side, bevel = unit(21), unit(10), unit(4)
    left = [(-half, bevel - side), (bevel - half, -side), (half - bevel, -side), (half, bevel - side)]
    outline = placed(spot, direction, left + [(along, -across) for along, across in reversed(left)])
    paint = canvas.color(COLORS[CAR], 20)
    canvas.shadow(outline, unit(6))
    canvas.fill(outline, CAR, paint)
    canvas.fill(box(spot, direction, unit(28), unit(17)), CAR, GLASS)
    canvas.fill(box(offset(spot, direction, -unit(2)), direction, unit(18), unit(15)), CAR, toned(paint, 16))


def bicycle(canvas: Canvas, spot: Point, _grid: int) -> None:
    """A bicycle from above: two wheels in a line, a saddle and bars across it."""
    direction, unit, frame = canvas.between(0, 48), canvas.length, canvas.color(COLORS[BICYCLE])
    wheels = box(spot, direction, unit(18), unit(2))
    canvas.shadow(wheels, unit(4))
    canvas.fill(wheels, BICYCLE, RUBBER)
    canvas.fill(box(spot, direction, unit(9), unit(3)), BICYCLE, frame)
    for along, width in ((-unit(3), unit(4)), (unit(5), unit(8))):
        canvas.fill(box(offset(spot, direction, along), direction, unit(2), width), BICYCLE, frame)


def person(canvas: Canvas, spot: Point, _grid: int) -> None:
    """Somebody from above: shoulders, a head, and a shadow that is longer than both."""
    direction, unit = canvas.between(0, 48), canvas.length
    left = [(-unit(2), -unit(4)), (unit(1), -unit(5)), (unit(3), -unit(3))]
    outline = placed(spot, direction, left + [(along, -across) for along, across in reversed(left)])
    canvas.shadow(box(spot, direction, unit(4), unit(5)), unit(13))
    canvas.fill(outline, PERSON, canvas.color(COLORS[PERSON], 30))
    canvas.disc(spot, unit(2), PERSON, canvas.color((DARK, BROWN, TAN)))


def dog(canvas: Canvas, spot: Point, _grid: int) -> None:
    """A dog: a body and a head."""
    direction, unit, coat = canvas.between(0, 48), canvas.length, canvas.color(COLORS[DOG])
    body = box(spot, direction, unit(8), unit(4))
    canvas.shadow(body, unit(3))
    canvas.fill(body, DOG, coat)
    canvas.disc(offset(spot, direction, unit(5)), unit(2), DOG, toned(coat, 14))
