"""Image and mask, changed together: the offline steps of S3, and the online recipes that the loader applies.

Everything random follows from what is passed in: a generator to a step, and to a recipe the number that the loader
drew for the sample, so that a sample's changes depend on the seed, the epoch and its place in the epoch alone.
"""

from __future__ import annotations

import math
import os
import random
from collections.abc import Callable
from typing import Any

import numpy as np

from segpipe.labels import IGNORE

Pair = tuple[np.ndarray, np.ndarray]
Recipe = Callable[[np.ndarray, np.ndarray, int, Pair], None]
"""(image, mask, number, into): writes the changed pair over `into`; `number`, of 32 bits, decides the changes."""

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


Change = Callable[[np.ndarray, np.ndarray, np.random.Generator], Pair]

_OFFLINE: dict[str, Change] = {
    "rotate": _rotated,
    "flip_horizontal": _flipped_horizontally,
    "flip_vertical": _flipped_vertically,
    "zoom": _zoomed,
}
OFFLINE_STEPS = tuple(_OFFLINE)

# Online recipes

BORDER = (124, 116, 104)
"""The colour outside an image's frame: the mean of ImageNet, which encoders receive as zero; black would be a cliff."""

ANY_FLIP: tuple[tuple[int, ...], ...] = ((), (-1, 0), (0,), (-1,))
"""None, left to right, upside down and both, in cv2's codes. For RGB its 1 takes longer than those two."""

ON_MASKS: dict[tuple[int, ...], tuple[int, ...]] = {(-1, 0): (1,), (-1,): (1, 0)}
"""The same flips, as they are fastest on single bytes."""

SIDEWAYS = ANY_FLIP[:2]
"""For pictures that have an upright."""


def recipe(name: str, size: tuple[int, int]) -> Recipe:
    """The recipe for images of one size, for one thread alone: albumentations' pipelines may not be shared."""
    return _PLAIN[name] if name in _PLAIN else _pipeline(*_PIPELINES[name], size)


def _none(image: np.ndarray, mask: np.ndarray, _number: int, into: Pair) -> None:
    np.copyto(into[0], image)
    np.copyto(into[1], mask)


def _flips(image: np.ndarray, mask: np.ndarray, number: int, into: Pair) -> None:
    _flipped(image, mask, ANY_FLIP[number % len(ANY_FLIP)], into)


def _flipped(image: np.ndarray, mask: np.ndarray, codes: tuple[int, ...], into: Pair) -> None:
    _turned(image, codes, into[0])
    _turned(mask, ON_MASKS.get(codes, codes), into[1])


def flipped_mask(mask: np.ndarray, number: int, into: np.ndarray) -> None:
    """The mask alone, as the recipe `flips` would turn it for this number."""
    codes = ANY_FLIP[number % len(ANY_FLIP)]
    _turned(mask, ON_MASKS.get(codes, codes), into)


def _turned(pixels: np.ndarray, codes: tuple[int, ...], into: np.ndarray) -> None:
    """Straight to where it belongs, which is 20 times as fast as copying numpy's reversed view."""
    import cv2

    if codes in ((), (0,)):  # cv2 turns upside down in place sooner than on the way elsewhere
        np.copyto(into, pixels)
        pixels = into
    for code in codes:
        pixels = cv2.flip(pixels, code, dst=into)


def _s1(image: np.ndarray, mask: np.ndarray, number: int, into: Pair) -> None:
    """As published, with the flip and without the resize, which belongs to preparation.

    The light is drawn as by albumentations' RandomBrightnessContrast. That one is not called, because it holds the
    interpreter's lock while it looks up each byte: a thread alone would be as fast as all of them.
    """
    import cv2

    rng = random.Random(number)
    _flipped(image, mask, rng.choice(SIDEWAYS), into)
    if rng.random() < 0.5:
        contrast, brightness = 1 + rng.uniform(-0.2, 0.2), 255 * rng.uniform(-0.2, 0.2)
        cv2.addWeighted(into[0], contrast, into[0], 0, brightness, dst=into[0])


Transforms = Callable[[Any, tuple[int, int]], list[Any]]


def _pipeline(transforms: Transforms, flips: tuple[tuple[int, ...], ...], size: tuple[int, int]) -> Recipe:
    """Albumentations' transforms, then a flip on the way to where the sample belongs."""
    os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"  # or it asks the network for its latest version when imported
    import albumentations
    import cv2

    cv2.setNumThreads(0)  # the threads of the loader are enough
    compose = albumentations.Compose(transforms(albumentations, size))

    def change(image: np.ndarray, mask: np.ndarray, number: int, into: Pair) -> None:
        compose.set_random_seed(number)
        changed = compose(image=image, mask=mask)
        _flipped(changed["image"], changed["mask"], flips[number % len(flips)], into)

    return change


def _street(A: Any, size: tuple[int, int]) -> list[Any]:  # noqa: N803, albumentations' own way of being imported
    """Half to double size, seen through a window of the size before. Colours come first: they leave BORDER alone."""
    import cv2

    return [
        A.ColorJitter(brightness=(0.7, 1.3), contrast=(0.7, 1.3), saturation=(0.7, 1.3), hue=(-0.03, 0.03), p=0.8),
        # Plain nearest goes by corners and would leave the mask half a pixel behind its image.
        A.RandomScale((-0.5, 1.0), mask_interpolation=cv2.INTER_NEAREST_EXACT, area_for_downscale="image", p=1.0),
        A.PadIfNeeded(*size, position="random", fill=BORDER, fill_mask=IGNORE),
        A.RandomCrop(*size),
    ]


def _heavy(A: Any, _size: tuple[int, int]) -> list[Any]:  # noqa: N803
    """For pictures from above, which have no upright. Nothing is cut out: a class that cannot be seen is no truth."""
    moves = {"scale": (0.8, 1.25), "translate_percent": (-0.1, 0.1), "rotate": (-30, 30)}
    return [
        A.RandomBrightnessContrast(p=0.5),
        A.HueSaturationValue(hue_shift_limit=10, sat_shift_limit=30, val_shift_limit=0, p=0.5),
        A.GaussianBlur(sigma_limit=(0.5, 1.5), p=0.2),
        A.GaussNoise(std_range=(0.02, 0.06), per_channel=False, p=0.2),
        A.Affine(**moves, keep_ratio=True, fill=BORDER, fill_mask=IGNORE, p=0.8),
    ]


_PLAIN: dict[str, Recipe] = {"none": _none, "flips": _flips, "s1": _s1}
_PIPELINES: dict[str, tuple[Transforms, tuple[tuple[int, ...], ...]]] = {
    "street": (_street, SIDEWAYS),
    "heavy": (_heavy, ANY_FLIP),
}
RECIPES = (*_PLAIN, *_PIPELINES)
