"""A whole image of any size gets a mask of its own size; at the training size, the plain model's."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from segpipe.inference.predict import predict
from segpipe.layers.segmentation_model import SegmentationModel

SIZE = (32, 48)


class ByColour(SegmentationModel):
    """Says of each pixel which channel is the strongest."""

    def __init__(self) -> None:
        super().__init__((0.0,) * 3, (1.0,) * 3)

    def cell_logits(self, images: Tensor) -> Tensor:
        return images


class Random(SegmentationModel):
    def __init__(self) -> None:
        super().__init__((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 5, 3, padding=1))

    def cell_logits(self, images: Tensor) -> Tensor:
        logits: Tensor = self.layers(images)
        return logits


def picture(size: tuple[int, int], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)


@pytest.mark.parametrize("size", [SIZE, (64, 96), (31, 33), (100, 20), (7, 200), (1, 1)])
@pytest.mark.parametrize("interpolation", ["area", "bilinear"])
def test_the_mask_has_the_size_of_the_image(size: tuple[int, int], interpolation: str) -> None:
    mask = predict(Random().eval(), picture(size), SIZE, interpolation)
    assert mask.shape == size
    assert mask.dtype == np.uint8
    assert mask.max() < 5


def test_at_the_training_size_it_is_the_plain_model() -> None:
    model, image = Random().eval(), picture(SIZE)
    expected = model(torch.from_numpy(image).permute(2, 0, 1)[None]).argmax(1)[0].numpy()
    assert np.array_equal(predict(model, image, SIZE, "area"), expected)


def test_elsewhere_logits_are_stretched_and_not_class_ids() -> None:
    model, image = Random().eval(), picture((80, 100))
    small = cv2.resize(image, (48, 32), interpolation=cv2.INTER_AREA)
    logits = model(torch.from_numpy(small).permute(2, 0, 1)[None])
    expected = functional.interpolate(logits, (80, 100), mode="bilinear").argmax(1)[0].numpy()
    assert np.array_equal(predict(model, image, SIZE, "area"), expected)


@pytest.mark.parametrize("factor", [2, 3])
def test_nothing_moves_on_the_way_there_and_back(factor: int) -> None:
    """Halves of one colour: their border lies on a border of cells, and must stay there."""
    for axis in (0, 1):
        image = np.zeros((SIZE[0] * factor, SIZE[1] * factor, 3), np.uint8)
        image[..., 0] = 200
        second = image if axis else image.swapaxes(0, 1)
        second[:, second.shape[1] // 2 :] = (0, 200, 0)
        assert np.array_equal(predict(ByColour(), image, SIZE, "area"), image.argmax(2))


def test_the_image_is_left_as_it_was_and_may_be_read_only() -> None:
    for size in (SIZE, (64, 96)):
        image = picture(size)
        before = image.copy()
        image.setflags(write=False)
        predict(Random().eval(), image, SIZE, "area")
        assert np.array_equal(image, before)


def test_an_image_that_is_a_view_turned_round_is_read_rightly() -> None:
    image = picture(SIZE)
    turned = np.ascontiguousarray(image[::-1, ::-1])
    model = Random().eval()
    assert np.array_equal(predict(model, turned[::-1, ::-1], SIZE, "area"), predict(model, image, SIZE, "area"))


def test_a_model_that_shows_only_the_centre_makes_no_mask_of_the_whole() -> None:
    class Centre(ByColour):
        shows_whole_image = False

    with pytest.raises(ValueError, match="shows only the centre"):
        predict(Centre(), picture(SIZE), SIZE, "area")
