"""Soft counts: the confusion matrix where predictions are hard, a count in float64 where they are not."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from segpipe.confusion import confusion_matrix
from segpipe.layers.soft_counts import SoftCounts, soft_counts


def example(num_classes: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(num_classes)
    logits = torch.randn(2, num_classes, 6, 7, generator=generator)
    masks = torch.randint(0, num_classes, (2, 6, 7), generator=generator, dtype=torch.uint8)
    masks[torch.rand(2, 6, 7, generator=generator) < 0.3] = 255
    return logits, masks


@pytest.mark.parametrize("num_classes", [2, 5, 20])
def test_hard_predictions_are_counted_as_the_confusion_matrix_counts_them(num_classes: int) -> None:
    logits, masks = example(num_classes)
    counts = soft_counts(1e6 * logits, masks)
    confusion = confusion_matrix(masks.numpy(), logits.argmax(1).byte().numpy(), num_classes)
    assert counts.hits.tolist() == confusion.diagonal().tolist()
    assert counts.predicted.tolist() == confusion.sum(0).tolist()
    assert counts.true.tolist() == confusion.sum(1).tolist()


def test_probabilities_are_added_up_pixel_by_pixel() -> None:
    # Softmax of (0, 0) and (ln 3, 0): 1/2 and 3/4 for class 0; the third pixel is ignored.
    logits = torch.tensor([[1.0, 3.0, 7.0], [1.0, 1.0, 1.0]]).log().view(1, 2, 1, 3)
    counts = soft_counts(logits, torch.tensor([[[0, 1, 255]]], dtype=torch.uint8))
    assert counts.hits.tolist() == pytest.approx([0.5, 0.25])
    assert counts.predicted.tolist() == pytest.approx([1.25, 0.75])
    assert counts.true.tolist() == [1, 1]


def test_a_class_is_present_that_has_a_true_pixel_and_no_other() -> None:
    masks = torch.tensor([[[0, 2, 255]]], dtype=torch.uint8)
    assert soft_counts(torch.zeros(1, 4, 1, 3), masks).is_present.tolist() == [True, False, True, False]


def test_tversky_losses_are_those_worked_out_by_hand() -> None:
    # 3 hits, 1 wrong, 2 missed; nothing right; neither predicted nor there.
    counts = SoftCounts(torch.tensor([3.0, 0, 0]), torch.tensor([4.0, 2, 0]), torch.tensor([5, 1, 0]))
    expected = [1 - 3 / (3 + 0.3 * 1 + 0.7 * 2), 1, 1]
    assert counts.tversky_losses(0.3, 0.7).tolist() == pytest.approx(expected)
    assert counts.tversky_losses(0.5, 0.5).tolist() == pytest.approx([1 - 2 * 3 / (4 + 5), 1, 1])


def test_true_pixels_are_counted_in_whole_numbers() -> None:
    """A float32 count stands still at 2^24."""
    logits, masks = example(2)
    assert soft_counts(logits, masks).true.dtype == torch.int64
