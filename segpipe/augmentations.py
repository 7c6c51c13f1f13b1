"""Image and mask, changed together: the offline steps of S3, and the online recipes that the loader applies.

Everything random comes from the generator that is passed in: a sample's changes depend on (seed, epoch, index) alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

Pair = tuple[np.ndarray, np.ndarray]

MAX_ANGLE = 20.0
MAX_ZOOM = 1.5


def offline_step(step: str, image: np.ndarray, mask: np.ndarray, rng: np.random.Generator) -> Pair:
    """A changed copy of image [H, W, 3] and mask [H, W], of the same size and without black corners."""
    return _OFFLINE[step](image, mask, rng)


def _rotated(image: np.ndarray, mask: np.ndarray, rng: np.random.Generator) -> Pair:
    angle = rng.uniform(-MAX_ANGLE, MAX_ANGLE)
    return _warped(image, mask, angle, filling_zoom(image.shape[0], image.shape[1], angle), (0.0, 0.0))


def _flipped_horizontally(image: np.ndarray, mask: np.ndarray, _rng: np.random.Generator) -> Pair:
    return image[:, ::-1], mask[:, ::-1]


def _flipped_vertically(image: np.ndarray, mask: np.ndarray, _rng: np.random.Generator) -> Pair:
    return image[::-1], mask[::-1]


def filling_zoom(height: int, width: int, angle: float) -> float:
    """The least zoom at which an image rotated by `angle` degrees still covers its own frame."""
    turn = math.radians(abs(angle))
    return math.cos(turn) + max(height / width, width / height) * math.sin(turn)


def _zoomed(image: np.ndarray, mask: np.ndarray, rng: np.random.Generator) -> Pair:
    """A window of the image, anywhere in it, at full size."""
    zoom = rng.uniform(1.1, MAX_ZOOM)
    room = (1 - 1 / zoom) / 2
    offset = (rng.uniform(-room, room) * image.shape[1], rng.uniform(-room, room) * image.shape[0])
    return _warped(image, mask, 0.0, zoom, offset)


def _warped(image: np.ndarray, mask: np.ndarray, angle: float, zoom: float, offset: tuple[float, float]) -> Pair:
    """Rotated and zoomed about the centre plus `offset` (x, y), which comes to the middle."""
    import cv2

    height, width = mask.shape
    middle = ((width - 1) / 2, (height - 1) / 2)
    matrix = cv2.getRotationMatrix2D((middle[0] + offset[0], middle[1] + offset[1]), angle, zoom)
    matrix[:, 2] -= offset
    # Reflection only ever serves the rounding at the rim: the zoom leaves nothing outside.
    turned, relabelled = (
        cv2.warpAffine(pixels, matrix, (width, height), flags=method, borderMode=cv2.BORDER_REFLECT_101)
        for pixels, method in ((image, cv2.INTER_LINEAR), (mask, cv2.INTER_NEAREST))
    )
    return turned, relabelled


def _none(image: np.ndarray, mask: np.ndarray, _rng: np.random.Generator) -> Pair:
    return image, mask


def _flips(image: np.ndarray, mask: np.ndarray, rng: np.random.Generator) -> Pair:
    """Each axis turned round in half of the samples."""
    down, right = (slice(None, None, step) for step in rng.choice([1, -1], 2))
    return image[down, right], mask[down, right]


Change = Callable[[np.ndarray, np.ndarray, np.random.Generator], Pair]

RECIPES: dict[str, Change] = {"none": _none, "flips": _flips}

_OFFLINE: dict[str, Change] = {
    "rotate": _rotated,
    "flip_horizontal": _flipped_horizontally,
    "flip_vertical": _flipped_vertically,
    "zoom": _zoomed,
}
OFFLINE_STEPS = tuple(_OFFLINE)
