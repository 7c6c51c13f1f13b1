"""Flips and scales are undone exactly, and averaged; what cannot be undone is refused."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from segpipe.inference.test_time import is_plain, logits_of
from segpipe.params.schema import Evaluation
from tests.unit.inference.stand_ins import BySixteenths, Random, miou, painted, stripes

SIZE = (64, 96)


def pictures() -> Tensor:
    return torch.randint(0, 256, (2, 3, *SIZE), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_without_flips_and_scales_it_is_the_plain_model() -> None:
    model = Random().eval()
    assert is_plain(Evaluation())
    assert torch.equal(logits_of(model, pictures(), Evaluation()), model(pictures()))


def test_flips_average_what_is_said_of_the_image_and_of_its_mirror_image() -> None:
    model, images = Random().eval(), pictures()
    expected = (model(images) + model(images.flip(3)).flip(3)) / 2
    assert torch.allclose(logits_of(model, images, Evaluation(flips=True)), expected, atol=1e-6)


def test_a_mirrored_image_has_the_mirrored_prediction_when_both_are_looked_at() -> None:
    model, images, how = Random().eval(), pictures(), Evaluation(flips=True, scales=(1.0, 0.5))
    there, mirrored = logits_of(model, images, how), logits_of(model, images.flip(3), how).flip(3)
    assert torch.allclose(there, mirrored, atol=1e-5)


def test_scales_average_what_is_said_of_the_image_at_other_sizes() -> None:
    model, images = Random().eval(), pictures()
    large = functional.interpolate(images.float(), (128, 192), mode="bilinear")
    back = functional.interpolate(model(large), SIZE, mode="bilinear")
    expected = (model(images) + back) / 2
    assert torch.allclose(logits_of(model, images, Evaluation(scales=(1.0, 2.0))), expected, atol=1e-5)


@pytest.mark.parametrize("is_upright", [True, False])
@pytest.mark.parametrize("window", [None, (32, 32)])
@pytest.mark.parametrize("scales", [(1.0,), (1.0, 2.0), (0.5, 1.0, 1.5), (2.0,)])
@pytest.mark.parametrize("flips", [False, True])
def test_truth_sent_through_flips_scales_and_windows_comes_back_unmoved(
    flips: bool, scales: tuple[float, ...], window: tuple[int, int] | None, is_upright: bool
) -> None:
    """The geometry proof: stripes that are borders of cells at every scale; a shift of one pixel is seen."""
    ids = stripes(SIZE, 8, is_upright)
    how = Evaluation(flips=flips, scales=scales, window=window)
    predicted = logits_of(BySixteenths(), painted(ids), how).argmax(1)[0]
    assert miou(ids, predicted) == 1.0
    for planted in (1, -1):
        assert miou(ids, predicted.roll(planted, 1 if is_upright else 0)) < 1.0


class OnePixelOff(BySixteenths):
    """Enlarges its cells and loses a column on the way."""

    def readout(self, cell_logits: Tensor, size: tuple[int, int]) -> Tensor:
        return super().readout(cell_logits, size).roll(1, 3)


@pytest.mark.parametrize("flips", [False, True])
def test_a_model_that_moves_the_picture_by_a_pixel_is_caught(flips: bool) -> None:
    ids = stripes(SIZE, 8, is_upright=True)
    predicted = logits_of(OnePixelOff(), painted(ids), Evaluation(flips=flips)).argmax(1)[0]
    assert miou(ids, predicted) < 1.0


@pytest.mark.parametrize("how", [Evaluation(flips=True), Evaluation(scales=(2.0,)), Evaluation(window=(32, 32))])
def test_a_model_that_shows_only_the_centre_is_refused(how: Evaluation) -> None:
    class Centre(Random):
        shows_whole_image = False

    with pytest.raises(ValueError, match="shows only the centre of an image, and windows, flips and scales need all"):
        logits_of(Centre(), pictures(), how)
