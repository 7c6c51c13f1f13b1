"""Masks by the nearest pixel of the source, images by area: against definitions of their own."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from segpipe.preparation.resizing import resized_image, resized_mask

RATIOS = [
    ((60, 80), (20, 20)),
    ((61, 83), (20, 27)),
    ((7, 5), (3, 4)),
    ((10, 10), (7, 13)),
    ((5, 7), (11, 23)),
    ((4, 4), (8, 12)),
    ((1, 9), (5, 3)),
    ((720, 11), (518, 5)),
]


def nearest(source: int, target: int) -> list[int]:
    """The source pixel in which the centre of each target pixel lies, in exact fractions."""
    return [math.floor((index + Fraction(1, 2)) * Fraction(source, target)) for index in range(target)]


def random_mask(size: tuple[int, int], ids: list[int]) -> np.ndarray:
    return np.random.default_rng(size[0]).choice(np.array(ids, np.uint8), size)


@pytest.mark.parametrize(("source", "target"), RATIOS)
def test_a_mask_takes_the_pixel_in_which_each_centre_lies(source: tuple[int, int], target: tuple[int, int]) -> None:
    mask = random_mask(source, list(range(256)))
    rows, columns = nearest(source[0], target[0]), nearest(source[1], target[1])
    expected = [[int(mask[row, column]) for column in columns] for row in rows]
    assert resized_mask(mask, target).tolist() == expected


@pytest.mark.parametrize(("source", "target"), RATIOS)
def test_a_mask_equals_pillows_nearest(source: tuple[int, int], target: tuple[int, int]) -> None:
    mask = random_mask(source, list(range(256)))
    expected = np.asarray(Image.fromarray(mask).resize(target[::-1], Image.Resampling.NEAREST))
    assert np.array_equal(resized_mask(mask, target), expected)


@pytest.mark.parametrize(("source", "target"), RATIOS)
def test_a_mask_gets_no_new_id(source: tuple[int, int], target: tuple[int, int]) -> None:
    resized = resized_mask(random_mask(source, [0, 7, 255]), target)
    assert resized.shape == target
    assert resized.dtype == np.uint8
    assert set(np.unique(resized)) <= {0, 7, 255}


def test_growing_and_shrinking_back_by_a_whole_factor_moves_nothing() -> None:
    mask = random_mask((12, 9), list(range(6)))
    grown = resized_mask(mask, (36, 45))
    assert np.array_equal(grown, np.kron(mask, np.ones((3, 5), np.uint8)))
    assert np.array_equal(resized_mask(grown, (12, 9)), mask)


def test_a_mirrored_mask_gives_the_mirrored_result_where_no_centre_lies_on_a_border() -> None:
    mask = random_mask((15, 25), list(range(9)))
    assert np.array_equal(resized_mask(mask[::-1, ::-1], (5, 15)), resized_mask(mask, (5, 15))[::-1, ::-1])


@pytest.mark.parametrize("factor", [2, 3, 4, 8])
def test_an_image_that_shrinks_by_a_whole_factor_is_the_mean_of_its_blocks(factor: int) -> None:
    image = np.random.default_rng(factor).integers(0, 256, (6 * factor, 5 * factor, 3), np.uint8)
    means = image.astype(float).reshape(6, factor, 5, factor, 3).mean((1, 3))
    resized = resized_image(image, (6, 5), "area")
    assert resized.shape == (6, 5, 3)
    assert resized.dtype == np.uint8
    assert np.abs(resized - means).max() <= 0.5


@pytest.mark.parametrize("interpolation", ["area", "bilinear"])
def test_an_image_stays_in_its_place(interpolation: str) -> None:
    """The centre of mass of a blob, in shares of the frame, before and after: within a fiftieth of a pixel."""
    y, x = np.mgrid[:90, :120]
    blob = 255 * np.exp(-((y - 40.3) ** 2 + (x - 70.8) ** 2) / 200)
    image = np.repeat(blob.astype(np.uint8)[..., None], 3, axis=2)
    for size in ((45, 60), (60, 96), (180, 240), (135, 60)):
        resized = resized_image(image, size, interpolation)
        for before, after in zip(middle(image), middle(resized), strict=True):
            assert abs(before - after) * max(size) < 0.2


def middle(image: np.ndarray) -> tuple[float, float]:
    weights = image[..., 0].astype(float)
    y, x = np.mgrid[: weights.shape[0], : weights.shape[1]]
    vertical = ((y + 0.5) * weights).sum() / weights.sum() / weights.shape[0]
    horizontal = ((x + 0.5) * weights).sum() / weights.sum() / weights.shape[1]
    return float(vertical), float(horizontal)


@pytest.mark.parametrize("interpolation", ["area", "bilinear"])
def test_the_same_size_changes_no_pixel(interpolation: str) -> None:
    image = np.random.default_rng(0).integers(0, 256, (13, 17, 3), np.uint8)
    mask = random_mask((13, 17), list(range(256)))
    assert np.array_equal(resized_image(image, (13, 17), interpolation), image)
    assert np.array_equal(resized_mask(mask, (13, 17)), mask)


def test_area_and_bilinear_are_two_things_when_shrinking_and_one_when_growing() -> None:
    image = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
    for size, is_same in (((10, 10), False), ((50, 50), True)):
        assert np.array_equal(resized_image(image, size, "area"), resized_image(image, size, "bilinear")) == is_same


def test_one_colour_stays_one_colour() -> None:
    image = np.full((31, 47, 3), (3, 128, 255), np.uint8)
    for size in ((10, 20), (62, 90), (20, 60)):
        assert (resized_image(image, size, "area") == (3, 128, 255)).all()
