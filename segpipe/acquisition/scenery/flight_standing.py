"""What stands still below a drone: trees and bushes, buildings and walls, and what is in the way."""

from __future__ import annotations

from segpipe.acquisition.scenery.canvas import Canvas, Point, box, offset, toned
from segpipe.acquisition.scenery.flight_camera import Model, Place
from segpipe.acquisition.scenery.flight_things import (
    BARK,
    BLUE,
    COLORS,
    GLASS,
    GREEN,
    LEAVES,
    OBSTACLE,
    PALE,
    PANE,
    RED,
    ROOF,
    WALL,
    WHITE,
)


def tree(dice: Canvas, model: Model, limit: int) -> None:
    """A tree in leaf, round or slender."""
    tall = min(dice.between(4500, 12000), limit * 9 // 10)
    is_round = dice.chance(70)
    radius = tall * (dice.between(28, 40) if is_round else 17) // 100
    half = tall * (30 if is_round else 55) // 100
    middle = max(tall - radius - half // 2, radius)
    model.limb((0, 0, 0), (0, 0, middle), tall // 18, BARK, dice.color(COLORS[BARK]))
    _crown(dice, model, (0, 0, middle), radius, half, 40)


def bush(dice: Canvas, model: Model, limit: int) -> None:
    """A bush, or a clump of them."""
    for _ in range(dice.between(1, 4)):
        x, y = offset((0, 0), dice.between(0, 48), dice.between(0, limit // 8))
        radius = min(dice.between(600, 1500), limit // 6)
        _crown(dice, model, (x, y, radius), radius, 0, 16)


def _crown(dice: Canvas, model: Model, middle: Place, radius: int, half: int, tufts: int) -> None:
    """Leaves: dark in the shade, bright towards the sun, the highest drawn last. `half` stretches them upwards."""
    (x, y, up), leaves = middle, dice.color(COLORS[LEAVES], 18)
    model.cast([(x, y, up - half // 3), (x, y, up + half // 3)], radius * 9 // 10)
    model.ball(middle, radius * 8 // 10, LEAVES, toned(leaves, -34))
    for rise in sorted(dice.between(-90, 101) for _ in range(tufts)):
        out = radius * (10000 - rise * rise) // 11000 + radius // 12
        east, north = offset((0, 0), dice.between(0, 48), out)
        shade = model.lit(east, north, 26) + rise // 4 + dice.between(-9, 10)
        place = (x + east, y + north, up + rise * (radius + half) // 110)
        model.ball(place, radius * dice.between(22, 42) // 100, LEAVES, toned(leaves, shade))


def house(dice: Canvas, model: Model, limit: int) -> None:
    """A house with a gable, or a block of flats or a hall with a flat roof."""
    length, width = (min(dice.between(*sides), limit * 9 // 10) for sides in ((8000, 20000), (6000, 12000)))
    tall, foot = min(dice.between(2600, 9500), limit * 6 // 10), _oblong((0, 0), length, width)
    model.cast([(x, y, up) for up in (0, tall) for x, y in foot])
    model.prism(foot, 0, foot, tall, WALL, dice.color(COLORS[WALL], 18))
    _windows(dice, model, foot, tall)
    roof = _gable if dice.chance(55) else _flat_roof
    roof(dice, model, length, width, tall)


def _windows(dice: Canvas, model: Model, foot: list[Point], tall: int) -> None:
    floors, every = max(1, tall // 2900), dice.between(2200, 3200)
    for k in range(4):
        (x, y), (to_x, to_y) = foot[k], foot[(k + 1) % 4]
        across = max(2, (abs(to_x - x) + abs(to_y - y)) // every)
        for floor in range(floors):
            low, high = (tall * (floor * 20 + part) // (20 * floors) for part in (6, 15))
            for window in range(across):
                (a, b), (c, d) = (
                    (x + (to_x - x) * tenths // (10 * across), y + (to_y - y) * tenths // (10 * across))
                    for tenths in (window * 10 + 3, window * 10 + 7)
                )
                model.face([(a, b, low), (c, d, low), (c, d, high), (a, b, high)], PANE, GLASS, is_side=True)


def _gable(dice: Canvas, model: Model, length: int, width: int, tall: int) -> None:
    tiles, end, edge, ridge = dice.color(COLORS[ROOF], 16), length * 52 // 100, width * 56 // 100, tall + width // 3
    for side in (-1, 1):
        slope: list[Place] = [(-side * end, side * -edge, tall), (side * end, side * -edge, tall)]
        slope += [(side * end, 0, ridge), (-side * end, 0, ridge)]
        model.face(slope, ROOF, toned(tiles, model.lit(0, -side, 34)), is_side=True)
    for side in (-1, 1):
        corners = [
            (side * end, -side * width // 2, tall),
            (side * end, side * width // 2, tall),
            (side * end, 0, ridge),
        ]
        model.face(corners, WALL, toned(tiles, 10), is_side=True)
    model.limb((-end, 0, ridge), (end, 0, ridge), 160, ROOF, toned(tiles, 24))


def _flat_roof(dice: Canvas, model: Model, length: int, width: int, tall: int) -> None:
    felt = dice.color(COLORS[ROOF], 14)
    for percent, shift in ((100, 22), (94, 0)):
        corners = _oblong((0, 0), length * percent // 100, width * percent // 100)
        model.face([(x, y, tall + 20) for x, y in corners], ROOF, toned(felt, shift))
    for _ in range(dice.between(1, 4)):
        spot = (dice.between(-length, length) // 3, dice.between(-width, width) // 3)
        vent = _oblong(spot, length // 9, length // 9)
        model.prism(vent, tall, vent, tall + length // 14, ROOF, toned(felt, 18))


def wall(dice: Canvas, model: Model, limit: int) -> None:
    """A garden wall, a pier or a barrier of concrete."""
    foot = _oblong((0, 0), min(dice.between(4000, 14000), limit), dice.between(250, 600))
    tall = dice.between(500, 1700)
    model.cast([(x, y, up) for up in (0, tall) for x, y in foot])
    model.prism(foot, 0, foot, tall, WALL, dice.color(COLORS[WALL], 18))


def pole(dice: Canvas, model: Model, limit: int) -> None:
    """A street lamp, a traffic sign or a mast with crossbeams."""
    tall, metal = min(dice.between(2600, 8500), limit * 8 // 10), dice.color(COLORS[OBSTACLE], 18)
    thick, kind = max(140, tall // 34), dice.between(0, 3)
    model.cast([(0, 0, 0), (0, 0, tall)], thick)
    model.limb((0, 0, 0), (0, 0, tall), thick, OBSTACLE, metal)
    if kind == 0:
        lamp = (tall // 5, 0, tall + 100)
        model.limb((0, 0, tall), lamp, thick, OBSTACLE, metal)
        model.limb((tall // 8, 0, tall + 60), lamp, thick * 2, OBSTACLE, PALE)
    elif kind == 1:
        plate = [(-450, 0, tall - 500), (450, 0, tall - 500), (450, 0, tall + 400), (-450, 0, tall + 400)]
        model.face(plate, OBSTACLE, dice.color((RED, BLUE, WHITE, GREEN)))
    else:
        for up in (tall * 9 // 10, tall * 97 // 100):
            model.limb((-tall // 7, 0, up), (tall // 7, 0, up), thick, OBSTACLE, metal)


def fence(dice: Canvas, model: Model, limit: int) -> None:
    """Posts and rails."""
    wood, gap = dice.color(COLORS[OBSTACLE], 18), dice.between(1200, 2200)
    posts = max(2, min(dice.between(3, 9), limit // gap))
    for k in range(posts + 1):
        model.limb((k * gap, 0, 0), (k * gap, 0, 1250), 130, OBSTACLE, toned(wood, 14))
    for up in (420, 800, 1150):
        start, end = (0, 0, up), (posts * gap, 0, up)
        model.limb(start, end, 110, OBSTACLE, wood)
        model.cast([start, end], 60)


def block(dice: Canvas, model: Model, _limit: int) -> None:
    """A bench, a bin, a crate, a cone: what stands in the way."""
    length, width, tall = dice.between(400, 1900), dice.between(400, 800), dice.between(400, 1100)
    taper, paint = dice.between(5, 11), dice.color(COLORS[OBSTACLE], 24)
    foot, top = _oblong((0, 0), length, width), _oblong((0, 0), length * taper // 10, width * taper // 10)
    model.cast([(x, y, up) for up in (0, tall) for x, y in foot])
    model.prism(foot, 0, top, tall, OBSTACLE, paint)
    if dice.chance(50):
        model.limb((-length // 2, 0, tall), (length // 2, 0, tall), 120, OBSTACLE, toned(paint, 40))


def _oblong(center: Point, length: int, width: int) -> list[Point]:
    return [(int(x), int(y)) for x, y in box(center, 0, length, width)]
