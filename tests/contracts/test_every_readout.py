"""The geometry proof: truth that is constant over a model's output cells comes back unmoved through its own readout."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from segpipe.confusion import confusion_matrix
from segpipe.evaluation.ceiling import perfect_prediction
from segpipe.layers.segmentation_model import SegmentationModel
from segpipe.metrics import overlap
from tests.contracts.model_variants import VARIANTS, EncoderOf, Variant, every, every_model_on_an_encoder

every_true_readout = every([variant for variant in VARIANTS if not variant.is_wrong_on_purpose])
every_false_readout = every([variant for variant in VARIANTS if variant.is_wrong_on_purpose])

SIZES = [(2, 3), (3, 5), (9, 7)]
"""In steps of the model's sizes: even, odd, upright and flat."""

CLASSES = 5


def shared_borders(cells: int, pixels: int) -> int:
    """Into how many parts a side falls whose borders are borders of cells and of pixels."""
    return math.gcd(cells, pixels)


def painted(model: SegmentationModel, size: tuple[int, int], ids: Tensor) -> tuple[Tensor, Tensor]:
    """Cells [1, C, h, w], and the truth [1, H, W] that is constant over them; `ids` [rows, columns] has one a part."""
    grid = model.cell_grid(size)
    cells, pixels = (spread(ids, *sides).unsqueeze(0) for sides in (grid, size))
    return functional.one_hot(cells, CLASSES).permute(0, 3, 1, 2).float(), pixels.byte()


def spread(ids: Tensor, height: int, width: int) -> Tensor:
    return ids.repeat_interleave(height // ids.shape[0], 0).repeat_interleave(width // ids.shape[1], 1)


def parts(model: SegmentationModel, size: tuple[int, int]) -> tuple[int, int]:
    rows, columns = (shared_borders(*sides) for sides in zip(model.cell_grid(size), size, strict=True))
    return rows, columns


def stripes(model: SegmentationModel, size: tuple[int, int], is_upright: bool) -> Tensor:
    """An id for each part, other than its neighbour's, the same all along."""
    rows, columns = parts(model, size)
    line = torch.arange(columns if is_upright else rows) % CLASSES
    return line.expand(rows, columns) if is_upright else line.unsqueeze(1).expand(rows, columns)


def miou(truth: Tensor, predicted: Tensor) -> float:
    assert truth.shape == predicted.shape
    return overlap.overall(confusion_matrix(truth.numpy(), predicted.numpy(), CLASSES))["miou"]


def read(model: SegmentationModel, cells: Tensor, size: tuple[int, int]) -> Tensor:
    return model.readout(cells, size).argmax(1).byte()


@every_true_readout
@pytest.mark.parametrize("is_upright", [True, False], ids=["upright", "level"])
def test_truth_sent_through_the_readout_comes_back_unmoved(
    variant: Variant, encoder_of: EncoderOf, is_upright: bool
) -> None:
    """Stripes, since a corner of a cell may lose a pixel to smooth up-sampling, and a straight border may not."""
    model = variant.build(encoder_of)
    for size in (variant.size(*steps) for steps in SIZES):
        cells, masks = painted(model, size, stripes(model, size, is_upright))
        truth, predicted = model.truth(masks), read(model, cells, size)
        assert torch.equal(predicted, truth)
        assert miou(truth, predicted) == 1.0
        assert torch.equal(perfect_prediction(model, masks, CLASSES), truth)
        for planted in (1, -1):
            assert miou(truth, predicted.roll(planted, 2 if is_upright else 1)) < 1.0


@every_true_readout
def test_where_cells_are_as_fine_as_pixels_not_even_a_corner_is_lost(variant: Variant, encoder_of: EncoderOf) -> None:
    model = variant.build(encoder_of)
    for size in (variant.size(*steps) for steps in SIZES):
        if any(cells < pixels for cells, pixels in zip(model.cell_grid(size), size, strict=True)):
            continue
        ids = torch.randint(0, CLASSES, parts(model, size), generator=torch.Generator().manual_seed(0))
        cells, masks = painted(model, size, ids)
        assert torch.equal(read(model, cells, size), model.truth(masks))


@every_false_readout
def test_the_readout_that_is_wrong_on_purpose_fails_the_proof(variant: Variant, encoder_of: EncoderOf) -> None:
    model = variant.build(encoder_of)
    scores = []
    for size in (variant.size(*steps) for steps in (*SIZES, (37, 37))):
        cells, masks = painted(model, size, stripes(model, size, is_upright=True))
        scores.append(miou(model.truth(masks), read(model, cells, size)))
    assert max(scores) < 0.9
    assert scores[-1] < 0.5  # at the published size, [518, 518]


@every_model_on_an_encoder
def test_the_cells_are_as_many_as_the_model_says(variant: Variant, encoder_of: EncoderOf) -> None:
    model = variant.build(encoder_of).eval()
    for tall, wide in SIZES[:2]:
        images = variant.images(1, tall, wide)
        with torch.inference_mode():
            cells = model.cell_logits(images.float())
        assert cells.shape[2:] == model.cell_grid(variant.size(tall, wide))


class Shifted(SegmentationModel):
    """A stand-in whose readout crops one pixel too far to the left."""

    output_stride = 4

    def readout(self, cell_logits: Tensor, size: tuple[int, int]) -> Tensor:
        large = functional.interpolate(cell_logits, scale_factor=4, mode="bilinear")
        return functional.pad(large, (1, 0, 0, 0), mode="replicate")[..., : size[1]]


def test_a_readout_that_moves_the_picture_by_a_pixel_is_caught() -> None:
    """The proof proves something."""
    model, size = Shifted((0.5,) * 3, (0.5,) * 3), (64, 96)
    cells, masks = painted(model, size, stripes(model, size, is_upright=True))
    assert miou(masks, read(model, cells, size)) < 1.0
    # Each stripe of 4 pixels loses one to its neighbour on either side: 3 hits of 5 in the union, 0.6; ends differ.
    assert miou(masks, read(model, cells, size)) == pytest.approx(0.6, abs=0.02)
    assert not torch.equal(perfect_prediction(model, masks, CLASSES), masks)
