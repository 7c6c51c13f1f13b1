"""Cross entropy is torch's, wherever torch's is a number."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor
from torch.nn import functional

from segpipe.losses import cross_entropy


def loss(logits: Tensor, masks: Tensor, names: str, **options: Any) -> Tensor:
    module = cross_entropy.build(cross_entropy.Options(**options), list(names))
    (value,) = module(logits, masks).values()
    assert isinstance(value, Tensor)
    return value


def example(num_classes: int, ignored: float = 0.3) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(num_classes)
    logits = 3 * torch.randn(2, num_classes, 5, 7, generator=generator)
    masks = torch.randint(0, num_classes, (2, 5, 7), generator=generator, dtype=torch.uint8)
    masks[torch.rand(2, 5, 7, generator=generator) < ignored] = 255
    return logits, masks


@pytest.mark.parametrize("num_classes", [2, 5])
def test_it_is_torchs_cross_entropy_over_what_is_not_ignored(num_classes: int) -> None:
    logits, masks = example(num_classes)
    expected = functional.cross_entropy(logits, masks.long(), ignore_index=255)
    assert loss(logits, masks, "abcde"[:num_classes]).item() == pytest.approx(expected.item(), rel=1e-5)


def test_weights_by_name_are_torchs_weights_by_class() -> None:
    logits, masks = example(3)
    expected = functional.cross_entropy(logits, masks.long(), torch.tensor([1.0, 5.0, 0.25]), ignore_index=255)
    found = loss(logits, masks, "abc", class_weights={"b": 5.0, "c": 0.25})
    assert found.item() == pytest.approx(expected.item(), rel=1e-5)


def test_two_classes_are_the_binary_cross_entropy_of_the_difference() -> None:
    logits, masks = example(2, ignored=0)
    expected = functional.binary_cross_entropy_with_logits(logits[:, 1] - logits[:, 0], masks.float())
    assert loss(logits, masks, "ab").item() == pytest.approx(expected.item(), rel=1e-5)


def test_two_pixels_worked_out_by_hand() -> None:
    # Softmax of (0, ln 3) is (1/4, 3/4): truths 0 and 1 cost ln 4 and ln 4/3; the third pixel is ignored.
    logits = torch.tensor([[0.0, math.log(3)]] * 3).T.view(1, 2, 1, 3)
    masks = torch.tensor([[[0, 1, 255]]], dtype=torch.uint8)
    assert loss(logits, masks, "ab").item() == pytest.approx((math.log(4) + math.log(4 / 3)) / 2)


def test_bf16_logits_are_added_up_in_float32() -> None:
    logits, masks = example(5)
    rounded = logits.bfloat16()
    found = loss(rounded, masks, "abcde")
    assert found.dtype == torch.float32
    assert found.item() == pytest.approx(loss(rounded.float(), masks, "abcde").item(), rel=1e-6)


def test_a_weight_that_is_not_positive_is_refused() -> None:
    with pytest.raises(ValidationError):
        cross_entropy.Options(class_weights={"a": 0.0})
