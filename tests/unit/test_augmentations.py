"""Image and mask change together, without black corners and without invented ids."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from segpipe.augmentations import MAX_ANGLE, OFFLINE_STEPS, _warped, filling_zoom, offline_step
from segpipe.labels import IGNORE

SIZES = [(64, 64), (48, 96), (96, 40), (33, 57), (16, 200)]


def scene(size: tuple[int, int], seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A bright square whose mask is 1 on a dark ground whose mask is 0, somewhere off the middle."""
    rng = np.random.default_rng(seed)
    height, width = size
    top, left = int(rng.integers(height // 8, height // 3)), int(rng.integers(width // 8, width // 3))
    mask = np.zeros(size, np.uint8)
    mask[top : top + height // 3, left : left + width // 4] = 1
    return np.repeat(mask[..., None] * 255, 3, axis=2), mask


def centre(weights: np.ndarray) -> np.ndarray:
    """The centre of mass (y, x)."""
    y, x = np.mgrid[: weights.shape[0], : weights.shape[1]]
    return np.array([np.average(y, weights=weights), np.average(x, weights=weights)])


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("step", OFFLINE_STEPS)
def test_the_mask_goes_wherever_the_image_goes(step: str, size: tuple[int, int]) -> None:
    for seed in range(12):
        image, mask = scene(size, seed)
        turned, relabelled = offline_step(step, image, mask, np.random.default_rng(seed))
        inside, outside = cv2.erode(relabelled.copy(), np.ones((3, 3))), cv2.dilate(relabelled.copy(), np.ones((3, 3)))
        bright = turned[..., 0] > 127
        assert bright[inside == 1].all()
        assert not bright[outside == 0].any()


def test_over_many_scenes_neither_side_is_ahead() -> None:
    """A mask half a pixel behind its image would show here: in the mean the rounding cancels out."""
    for step in OFFLINE_STEPS:
        apart = []
        for seed in range(1500):
            turned, relabelled = offline_step(step, *scene((60, 80), seed), np.random.default_rng(seed))
            apart.append(centre(turned[..., 0].astype(float)) - centre(relabelled.astype(float)))
        assert np.abs(np.mean(apart, axis=0)).max() < 0.03


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("step", OFFLINE_STEPS)
def test_a_step_keeps_size_and_type_and_invents_no_id(step: str, size: tuple[int, int]) -> None:
    rng = np.random.default_rng(1)
    mask = rng.choice(np.array([0, 3, 200, IGNORE], np.uint8), size)
    image = rng.integers(0, 256, (*size, 3), np.uint8)
    for seed in range(5):
        turned, relabelled = offline_step(step, image, mask, np.random.default_rng(seed))
        assert (turned.shape, relabelled.shape) == (image.shape, mask.shape)
        assert turned.dtype == relabelled.dtype == np.uint8
        assert set(np.unique(relabelled)) <= {0, 3, 200, IGNORE}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("step", OFFLINE_STEPS)
def test_white_stays_white_to_the_corners(step: str, size: tuple[int, int]) -> None:
    for seed in range(20):
        turned, relabelled = offline_step(
            step, np.full((*size, 3), 255, np.uint8), np.full(size, 4, np.uint8), np.random.default_rng(seed)
        )
        assert turned.min() == 255
        assert relabelled.min() == relabelled.max() == 4


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("angle", [-MAX_ANGLE, -7.3, -0.1, 0.0, 1.0, 13.0, MAX_ANGLE])
def test_the_least_zoom_that_fills_the_frame_is_enough_and_no_more(size: tuple[int, int], angle: float) -> None:
    """By the corners: turned back and shrunk they must lie within the image, and one of them on its rim."""
    height, width = size
    zoom, turn = filling_zoom(height, width, angle), np.deg2rad(angle)
    corners = np.array([[x, y] for x in (-width / 2, width / 2) for y in (-height / 2, height / 2)]) / zoom
    back = corners @ np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    reach = np.abs(back).max(axis=0) / np.array([width / 2, height / 2])
    assert reach.max() == pytest.approx(1.0, abs=1e-9)


def test_a_rotation_of_nothing_is_nothing() -> None:
    rng = np.random.default_rng(0)
    image, mask = rng.integers(0, 256, (30, 41, 3), np.uint8), rng.integers(0, 5, (30, 41), np.uint8)
    turned, relabelled = _warped(image, mask, 0.0, filling_zoom(30, 41, 0.0), (0.0, 0.0))
    assert np.array_equal(turned, image)
    assert np.array_equal(relabelled, mask)


def test_a_rotation_turns_about_the_middle() -> None:
    """A quarter turn of a square image is numpy's own."""
    rng = np.random.default_rng(0)
    image, mask = rng.integers(0, 256, (25, 25, 3), np.uint8), rng.integers(0, 5, (25, 25), np.uint8)
    turned, relabelled = _warped(image, mask, 90.0, 1.0, (0.0, 0.0))
    assert np.array_equal(turned, np.rot90(image))
    assert np.array_equal(relabelled, np.rot90(mask))


@pytest.mark.parametrize(("step", "axis"), [("flip_horizontal", 1), ("flip_vertical", 0)])
def test_a_flip_mirrors_one_axis_and_twice_is_nothing(step: str, axis: int) -> None:
    rng = np.random.default_rng(0)
    image, mask = rng.integers(0, 256, (9, 14, 3), np.uint8), rng.integers(0, 5, (9, 14), np.uint8)
    once = offline_step(step, image, mask, rng)
    assert np.array_equal(once[0], np.flip(image, axis))
    assert np.array_equal(once[1], np.flip(mask, axis))
    again = offline_step(step, *once, rng)
    assert np.array_equal(again[0], image)
    assert np.array_equal(again[1], mask)


def test_a_zoom_looks_closer_and_not_always_at_the_same_place() -> None:
    ramp = np.repeat(np.tile(np.arange(200, dtype=np.uint8), (80, 1))[..., None], 3, axis=2)
    middles = []
    for seed in range(20):
        turned, _ = offline_step("zoom", ramp, np.zeros((80, 200), np.uint8), np.random.default_rng(seed))
        span = float(turned[40, -1, 0]) - float(turned[40, 0, 0])
        assert 199 / 1.5 - 2 <= span <= 199 / 1.1 + 2
        middles.append(float(turned[40, 100, 0]))
    assert max(middles) - min(middles) > 15


@pytest.mark.parametrize("step", OFFLINE_STEPS)
def test_the_same_generator_gives_the_same_copy(step: str) -> None:
    image, mask = scene((40, 56))
    before = image.copy(), mask.copy()
    first, second = (offline_step(step, image, mask, np.random.default_rng(5)) for _ in range(2))
    assert np.array_equal(first[0], second[0])
    assert np.array_equal(first[1], second[1])
    assert np.array_equal(image, before[0])
    assert np.array_equal(mask, before[1])


@pytest.mark.parametrize("step", ["rotate", "zoom"])
def test_another_generator_gives_another_copy(step: str) -> None:
    image, mask = scene((40, 56))
    first, second = (offline_step(step, image, mask, np.random.default_rng(seed)) for seed in (5, 6))
    assert not np.array_equal(first[0], second[0])
