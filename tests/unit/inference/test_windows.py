"""Windows cover everything, blend to what each of them says, and move nothing, whatever the size of the image."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from segpipe.inference.predict import predict
from segpipe.inference.test_time import logits_of
from segpipe.inference.windows import bands, starts, stretched
from segpipe.params.schema import Evaluation
from tests.unit.inference.stand_ins import CLASSES, BySixteenths, Random, miou, painted, stripes


@pytest.mark.parametrize("length", [32, 33, 40, 63, 64, 65, 100, 257])
@pytest.mark.parametrize("overlap", [0.0, 0.25, 0.5, 0.9])
def test_windows_begin_with_the_image_end_with_it_and_overlap_as_asked(length: int, overlap: float) -> None:
    begins = starts(length, 32, overlap)
    assert (begins[0], begins[-1]) == (0, length - 32)
    steps = np.diff(begins)
    assert (steps > 0).all()
    assert len(set(steps[:-1])) <= 1
    assert not len(steps) or steps.max() <= max(1, int(32 * (1 - overlap)))
    covered = {place for begin in begins for place in range(begin, begin + 32)}
    assert covered == set(range(length))


def plainly_blended(model: Random, image: Tensor, window: tuple[int, int], overlap: float) -> np.ndarray:
    """The weighted mean over whole images in float64, window by window and pixel by pixel."""
    height, width = image.shape[2:]
    total, weight = np.zeros((CLASSES, height, width)), np.zeros((height, width))
    for top in starts(height, window[0], overlap):
        for left in starts(width, window[1], overlap):
            said = model(image[:, :, top : top + window[0], left : left + window[1]])[0].detach().numpy()
            for y in range(window[0]):
                for x in range(window[1]):
                    w = min(y + 1, window[0] - y) * min(x + 1, window[1] - x)
                    total[:, top + y, left + x] += w * said[:, y, x]
                    weight[top + y, left + x] += w
    return total / weight


@pytest.mark.parametrize("size", [(16, 24), (40, 51), (17, 24), (61, 24)])
@pytest.mark.parametrize("overlap", [0.0, 0.5, 0.75])
def test_blended_windows_are_the_weighted_mean_of_a_plain_loop(size: tuple[int, int], overlap: float) -> None:
    model, image = Random().eval(), torch.randint(0, 256, (1, 3, *size), dtype=torch.uint8)
    found = logits_of(model, image, Evaluation(window=(16, 24), overlap=overlap))[0].detach().numpy()
    assert np.allclose(found, plainly_blended(model, image, (16, 24), overlap), atol=1e-5)


@pytest.mark.parametrize("size", [(16, 24), (5, 7), (40, 7), (5, 60), (1, 1)])
def test_an_image_smaller_than_the_window_goes_on_as_its_last_pixels_are(size: tuple[int, int]) -> None:
    model, image = Random().eval(), torch.randint(0, 256, (1, 3, *size), dtype=torch.uint8)
    found = logits_of(model, image, Evaluation(window=(16, 24), overlap=0.5))
    assert found.shape == (1, CLASSES, *size)
    if size[0] <= 16 and size[1] <= 24:
        filled = np.pad(image[0].numpy(), ((0, 0), (0, 16 - size[0]), (0, 24 - size[1])), mode="edge")
        assert torch.allclose(found, model(torch.from_numpy(filled)[None])[:, :, : size[0], : size[1]], atol=1e-5)


def test_bands_come_as_rows_from_the_top_and_none_is_taller_than_a_window() -> None:
    model, images = Random().eval(), torch.randint(0, 256, (2, 3, 100, 40), dtype=torch.uint8)
    found = list(bands(model, images, (16, 24), 0.5))
    assert sum(band.shape[2] for band in found) == 100
    assert max(band.shape[2] for band in found) <= 16
    whole = logits_of(model, images, Evaluation(window=(16, 24)))
    assert torch.equal(torch.cat(found, 2), whole)
    mask = predict(model, images[1].permute(1, 2, 0).numpy(), (8, 8), "area", Evaluation(window=(16, 24)))
    assert np.array_equal(mask, whole[1].argmax(0).numpy())


@pytest.mark.parametrize("is_upright", [True, False])
@pytest.mark.parametrize("size", [(64, 96), (32, 48), (160, 64), (16, 32), (48, 200)])
@pytest.mark.parametrize("overlap", [0.0, 0.5, 0.75])
def test_truth_sent_through_windows_comes_back_unmoved(size: tuple[int, int], overlap: float, is_upright: bool) -> None:
    """The geometry proof: cells of 4x4 through windows of 32x32 whose places are borders of cells."""
    ids = stripes(size, 4, is_upright)
    how = Evaluation(window=(32, 32), overlap=overlap)
    predicted = logits_of(BySixteenths(), painted(ids), how).argmax(1)[0]
    assert miou(ids, predicted) == 1.0
    for planted in (1, -1):
        assert miou(ids, predicted.roll(planted, 1 if is_upright else 0)) < 1.0


@pytest.mark.parametrize("size", [(64, 96), (80, 40), (33, 47), (32, 48), (20, 30), (700, 600)])
@pytest.mark.parametrize("rows", [1, 7, 256])
def test_stretched_in_bands_is_stretched_whole(size: tuple[int, int], rows: int) -> None:
    logits = torch.randn(1, CLASSES, 32, 48)
    found = torch.cat(list(stretched(logits, size, rows)), 2)
    expected = functional.interpolate(logits, size, mode="bilinear", align_corners=False)
    assert torch.allclose(found, expected, atol=1e-5)
    assert torch.equal(found.argmax(1), expected.argmax(1))
