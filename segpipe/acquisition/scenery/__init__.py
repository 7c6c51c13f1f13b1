"""What fabricated images show, one file a kind of view: `aerial` looks straight down, `street` along, `flight` films.

A scenery file offers

    THINGS                          the names of what may be in a scene, by index
    sequence(seed, number, size)    the scenes of one sequence; `size` is [height, width]
    scenes(seed, count, size)       the first `count` scenes of a seed, in order: `in_order(sequence)`

A sequence depends on the seed, on its number and on the size, and on nothing else: the same bytes on every machine,
whatever was drawn before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from itertools import count as numbers
from typing import NamedTuple

import numpy as np


class Scene(NamedTuple):
    """An RGB image [H, W, 3] and, for each of its pixels, an index into THINGS [H, W]; both uint8.

    Scenes of one sequence show one place at successive moments: near-twins, which no split may part.
    """

    image: np.ndarray
    things: np.ndarray
    sequence: int
    frame: int = 0


def in_order(sequence: Callable[[int, int, tuple[int, int]], Iterable[Scene]]) -> Callable[..., Iterator[Scene]]:
    """The scenes of all sequences, one after the other."""

    def scenes(seed: int, count: int, size: tuple[int, int]) -> Iterator[Scene]:
        return islice(chain.from_iterable(sequence(seed, number, size) for number in numbers()), count)

    return scenes
