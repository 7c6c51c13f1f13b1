"""The resolution ceiling against cells averaged and up-sampled in plain numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from segpipe.confusion import confusion_matrix
from segpipe.evaluation.ceiling import perfect_prediction
from segpipe.layers.segmentation_model import SegmentationModel
from segpipe.metrics import overlap

STRIDE = 4


class Coarse(SegmentationModel):
    """Stands for any model with cells of 4x4 pixels and bilinear up-sampling."""

    output_stride = STRIDE

    def readout(self, cell_logits: Tensor, size: tuple[int, int]) -> Tensor:
        return functional.interpolate(cell_logits, size, mode="bilinear", align_corners=False)


def model(kind: type[SegmentationModel]) -> SegmentationModel:
    return kind((0.5,) * 3, (0.5,) * 3)


def masks(num_classes: int, ignored: float = 0.0) -> np.ndarray:
    """Three images of slanted borders and small things."""
    rng = np.random.default_rng(num_classes)
    y, x = np.mgrid[:24, :32]
    drawn = np.stack([(x + k * y) // 11 % num_classes for k in (1, 2, 3)]).astype(np.uint8)
    drawn[rng.random(drawn.shape) < 0.05] = num_classes - 1
    drawn[rng.random(drawn.shape) < ignored] = 255
    return drawn


def miou(truth: np.ndarray, predicted: np.ndarray, num_classes: int) -> float:
    return overlap.overall(confusion_matrix(truth, predicted, num_classes))["miou"]


def blend(cells: int, pixels: int) -> np.ndarray:
    """The weight of each cell for each pixel: bilinear between the centres of cells, flat beyond the outer ones."""
    weights = np.zeros((pixels, cells))
    for pixel in range(pixels):
        place = min(max((pixel + 0.5) / STRIDE - 0.5, 0), cells - 1)
        low = min(int(place), cells - 2)
        weights[pixel, low : low + 2] = low + 1 - place, place - low
    return weights


def slow_perfect(truth: np.ndarray, num_classes: int) -> np.ndarray:
    height, width = (side // STRIDE for side in truth.shape)
    scores = []
    for class_id in range(num_classes):
        shares = (truth == class_id).reshape(height, STRIDE, width, STRIDE).mean((1, 3))
        scores.append(blend(height, truth.shape[0]) @ shares @ blend(width, truth.shape[1]).T)
    best: np.ndarray = np.argmax(np.round(scores, 5), 0)  # ties go to the lower class, whatever the last bits say
    return best


@pytest.mark.parametrize("ignored", [0.0, 0.2])
@pytest.mark.parametrize("num_classes", [2, 5, 20])
def test_at_stride_1_a_perfect_predictor_is_perfect(num_classes: int, ignored: float) -> None:
    truth = masks(num_classes, ignored)
    predicted = perfect_prediction(model(SegmentationModel), torch.from_numpy(truth), num_classes).numpy()
    assert np.array_equal(predicted[truth != 255], truth[truth != 255])
    assert miou(truth, predicted, num_classes) == 1.0


@pytest.mark.parametrize("ignored", [0.0, 0.2])
@pytest.mark.parametrize("num_classes", [2, 5])
def test_coarse_cells_cost_what_a_count_by_hand_says(num_classes: int, ignored: float) -> None:
    truth = masks(num_classes, ignored)
    predicted = perfect_prediction(model(Coarse), torch.from_numpy(truth), num_classes).numpy()
    expected = np.stack([slow_perfect(image, num_classes) for image in truth])
    # Shares are sixteenths and weights eighths: exact in float32, so that ties are ties in both.
    assert np.array_equal(predicted, expected)
    assert 0.3 < miou(truth, predicted, num_classes) < 1.0
    assert miou(truth, predicted, num_classes) == miou(truth, expected.astype(np.uint8), num_classes)


def test_truth_as_coarse_as_the_cells_loses_nothing_along_straight_borders() -> None:
    truth = np.repeat(np.arange(8) % 3, STRIDE).astype(np.uint8)[None, None].repeat(24, 1)
    predicted = perfect_prediction(model(Coarse), torch.from_numpy(truth), 3).numpy()
    assert np.array_equal(predicted, truth)


def test_a_thing_smaller_than_half_a_cell_is_lost() -> None:
    truth = np.zeros((1, 16, 16), np.uint8)
    truth[0, 5:7, 5:7] = 1
    assert not perfect_prediction(model(Coarse), torch.from_numpy(truth), 2).any()


def test_sizes_that_are_no_multiple_of_the_stride_keep_their_size() -> None:
    truth = np.zeros((1, 18, 19), np.uint8)
    truth[:, :, 8:] = 1
    predicted = perfect_prediction(model(Coarse), torch.from_numpy(truth), 2)
    assert predicted.shape == (1, 18, 19)
    assert predicted.dtype == torch.uint8


class Finer(SegmentationModel):
    """Stands for a model whose cells and pixels do not divide each other."""

    def __init__(self, grid: tuple[int, int]) -> None:
        super().__init__((0.5,) * 3, (0.5,) * 3)
        self.grid = grid

    def cell_grid(self, size: tuple[int, int]) -> tuple[int, int]:
        return self.grid

    def readout(self, cell_logits: Tensor, size: tuple[int, int]) -> Tensor:
        return cell_logits


def covered(cells: int, pixels: int) -> np.ndarray:
    """Which share of each cell each pixel covers: [cells, pixels]."""
    shares = np.zeros((cells, pixels))
    for cell, pixel in np.ndindex(cells, pixels):
        begin, end = cell * pixels / cells, (cell + 1) * pixels / cells
        shares[cell, pixel] = max(0.0, min(end, pixel + 1) - max(begin, pixel)) * cells / pixels
    return shares


@pytest.mark.parametrize("grid", [(8, 16), (24, 32), (32, 24), (7, 9), (1, 64)])
def test_a_cell_holds_the_class_that_covers_most_of_it(grid: tuple[int, int]) -> None:
    truth = masks(5)
    perfect = perfect_prediction(Finer(grid), torch.from_numpy(truth), 5).numpy()
    one_hot = (truth[:, None] == np.arange(5)[:, None, None]).astype(float)
    shares = covered(grid[0], 24) @ one_hot @ covered(grid[1], 32).T
    assert perfect.shape == (3, *grid)
    assert np.array_equal(perfect, np.argmax(np.round(shares, 9), 1))  # ties go to the lower class


def test_half_and_half_is_a_tie_whatever_the_number_of_parts() -> None:
    """Ties go to the lower class, in cells of 14 by 14 pixels as in cells of 2 by 2, whichever half it has."""
    for side in (2, 6, 10, 14, 22):
        truth = torch.zeros(2, side, side, dtype=torch.uint8)
        truth[0, : side // 2] = truth[1, :, side // 2 :] = 1
        assert perfect_prediction(Finer((1, 1)), truth, 2).flatten().tolist() == [0, 0]


def test_ignored_pixels_belong_to_no_class() -> None:
    truth = torch.full((1, 4, 4), 255, dtype=torch.uint8)
    truth[0, 0, 0] = 1
    assert set(perfect_prediction(model(Coarse), truth, 3).flatten().tolist()) == {1}
