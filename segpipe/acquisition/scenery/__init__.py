"""What fabricated images show, one file a kind of view: `aerial` looks straight down, `street` along, `flight` films.

A scenery file offers

    THINGS                      the names of what may be in a scene, by index
    scenes(seed, count, size)   the first `count` scenes of a seed; `size` is [height, width]

Scene i depends on the seed, on i and on the size, and on nothing else: the same bytes on every machine.
"""

from __future__ import annotations

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
