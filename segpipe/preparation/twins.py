"""Finds pictures that show the same thing in other pixels: saved again, resized, brightened, shifted a little."""

from __future__ import annotations

import numpy as np
from PIL import Image

MAX_DISTANCE = 10
"""Differing bits, of 64, up to which two pictures may be twins. Unrelated drone tiles lie 16 apart or more; the same
tile saved at JPEG quality 20, halved, made noisy or shifted by 1 %, at most 8."""

MAX_DIFFERENCE = 8.0
"""Grey levels between the thumbnails, brightness set aside, up to which they are. Unrelated drone tiles: 19 or more;
the same tile after any of the above: mostly below 8."""

THUMBNAIL = 32


def difference_hash(grey: Image.Image) -> int:
    """64 bits: whether each cell of an 8x9 grid is darker than its right neighbour."""
    cells = np.asarray(grey.resize((9, 8), Image.Resampling.BOX))
    return int.from_bytes(np.packbits(cells[:, :-1] < cells[:, 1:]).tobytes(), "big")


def thumbnail(grey: Image.Image) -> np.ndarray:
    """[1024] uint8."""
    return np.asarray(grey.resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX)).ravel()


def across(hashes: np.ndarray, thumbnails: np.ndarray, sides: np.ndarray) -> list[tuple[int, int]]:
    """Each picture that has a twin on another side, with its nearest: [N] uint64, [N, 1024] uint8, [N]."""
    found = set()
    for i in range(len(hashes)):
        near = np.flatnonzero((np.bitwise_count(hashes ^ hashes[i]) <= MAX_DISTANCE) & (sides != sides[i]))
        if near.size:
            differences = _differences(thumbnails[i], thumbnails[near])
            if differences.min() <= MAX_DIFFERENCE:
                nearest = int(near[differences.argmin()])
                found.add((min(i, nearest), max(i, nearest)))
    return sorted(found)


def _differences(one: np.ndarray, many: np.ndarray) -> np.ndarray:
    """Mean absolute difference in grey levels after each picture's mean is taken off."""
    difference = many.astype(np.float32) - one
    differences: np.ndarray = np.abs(difference - difference.mean(1, keepdims=True)).mean(1)
    return differences
