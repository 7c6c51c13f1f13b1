from __future__ import annotations

import io
import time
from collections.abc import Callable

import cv2
import numpy as np
import pytest
from PIL import Image

from segpipe.preparation import twins


def picture(seed: int, size: tuple[int, int] = (60, 80)) -> np.ndarray:
    """A scene of its own: smooth random colours with a little grain."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 240, (5, 6, 3), np.uint8)
    scene: np.ndarray = cv2.resize(coarse, size[::-1]) + random.integers(0, 12, (*size, 3), np.uint8)
    return scene


def found(pictures: list[np.ndarray], sides: list[int]) -> list[tuple[int, int]]:
    greys = [Image.fromarray(pixels).convert("L") for pixels in pictures]
    hashes = np.array([twins.difference_hash(grey) for grey in greys], np.uint64)
    return twins.across(hashes, np.array([twins.thumbnail(grey) for grey in greys]), np.array(sides))


def saved_as_jpeg(pixels: np.ndarray) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=40)
    return np.asarray(Image.open(file))


def halved(pixels: np.ndarray) -> np.ndarray:
    return np.asarray(cv2.resize(pixels, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA))


def brightened(pixels: np.ndarray) -> np.ndarray:
    brighter: np.ndarray = np.clip(pixels.astype(int) + 15, 0, 255)
    return brighter.astype(np.uint8)


def shifted(pixels: np.ndarray) -> np.ndarray:
    return np.roll(pixels, 2, 1)


def test_the_hash_says_where_it_grows_brighter_to_the_right() -> None:
    # Nine columns 0, 10 … 80, of which the fifth is put back to 0: all steps rise but the one into it.
    columns = np.array([0, 10, 20, 30, 0, 50, 60, 70, 80], np.uint8)
    grey = Image.fromarray(np.tile(columns, (8, 1)))
    assert twins.difference_hash(grey) == int("11101111" * 8, 2)


@pytest.mark.parametrize("change", [saved_as_jpeg, halved, brightened, shifted])
def test_a_changed_copy_on_the_other_side_is_a_twin(change: Callable[[np.ndarray], np.ndarray]) -> None:
    scenes = [picture(seed, (240, 320)) for seed in range(6)]
    assert found([*scenes, change(scenes[2])], [0] * 6 + [1]) == [(2, 6)]


def test_a_copy_on_the_same_side_is_none() -> None:
    scene = picture(0, (240, 320))
    assert found([scene, halved(scene)], [1, 1]) == []


def test_every_twin_is_named() -> None:
    scene = picture(0, (240, 320))
    assert found([scene, shifted(scene), brightened(scene)], [0, 1, 1]) == [(0, 1), (0, 2)]


def test_unrelated_scenes_and_noise_are_not_twins() -> None:
    noise = [np.random.default_rng(seed).integers(0, 256, (96, 128, 3), np.uint8) for seed in range(60)]
    assert found([picture(seed) for seed in range(60)] + noise, [0, 1] * 60) == []


def test_a_large_set_is_searched_in_seconds() -> None:
    random = np.random.default_rng(0)
    hashes = random.integers(0, 1 << 63, 6000, np.uint64)
    thumbnails = random.integers(0, 256, (6000, 1024), np.uint8)
    hashes[5999], thumbnails[5999] = hashes[18], thumbnails[18]
    began = time.monotonic()
    assert twins.across(hashes, thumbnails, np.arange(6000) % 2) == [(18, 5999)]
    assert time.monotonic() - began < 5
