"""What every file in segpipe/losses/ owes: exact gradients, no eyes for ignored pixels, weights that mean one thing."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn

from segpipe import components, losses
from segpipe.params.schema import Component

TAKEN = {"loss", "miou", "pixel_accuracy", "mpa"}
"""Names that history.csv has columns for already."""

SETTINGS: dict[str, list[dict[str, Any]]] = {
    "bce_dice": [{}, {"bce_weight": 0.2, "with_background": True}],
    "focal": [{}, {"gamma": 0.5}],
    "tversky": [{}, {"alpha": 0.3, "beta": 0.7}],
    "weighted_sum": [{"terms": [{"name": "dice"}, {"name": "bce_dice", "weight": 0.5}, {"name": "lovasz"}]}],
}
"""Under which settings a loss keeps its contract, where its defaults are not enough."""


class Variant(NamedTuple):
    """A loss with the settings that a contract is tried under."""

    name: str
    settings: dict[str, Any]

    def build(self, class_weights: Sequence[float]) -> nn.Module:
        return losses.built(Component.model_validate({"name": self.name, **self.settings}), class_weights)

    def __str__(self) -> str:
        return "-".join([self.name, *(f"{key}={value}" for key, value in self.settings.items() if key != "terms")])


VARIANTS = [Variant(name, settings) for name in components.names("losses") for settings in SETTINGS.get(name, [{}])]
every_loss = pytest.mark.parametrize("variant", VARIANTS, ids=str)
two_and_five = pytest.mark.parametrize("num_classes", [2, 5])


def built(variant: Variant, num_classes: int) -> nn.Module:
    return variant.build([1.0] * num_classes)


def total(terms: dict[str, Tensor]) -> Tensor:
    return torch.stack(list(terms.values())).sum()


def example(num_classes: int, size: tuple[int, int] = (4, 5)) -> tuple[Tensor, Tensor]:
    """Logits and masks of two images; a third of the pixels is ignored."""
    generator = torch.Generator().manual_seed(num_classes)
    logits = torch.randn(2, num_classes, *size, generator=generator, dtype=torch.float64)
    masks = torch.randint(0, num_classes, (2, *size), generator=generator, dtype=torch.uint8)
    masks[torch.rand(2, *size, generator=generator) < 1 / 3] = 255
    return logits, masks


@every_loss
@two_and_five
def test_the_gradient_is_that_of_the_value(variant: Variant, num_classes: int) -> None:
    logits, masks = example(num_classes)
    loss = built(variant, num_classes).double()
    assert torch.autograd.gradcheck(lambda scores: total(loss(scores, masks)), logits.requires_grad_())


@every_loss
@two_and_five
def test_what_lies_under_ignored_pixels_changes_nothing(variant: Variant, num_classes: int) -> None:
    logits, masks = example(num_classes)
    ignored = masks.eq(255).unsqueeze(1)
    loss = built(variant, num_classes)
    other = torch.where(ignored, 50 * logits.flip(0), logits)
    first, second = (scores.float().requires_grad_() for scores in (logits, other))
    values = [total(loss(scores, masks)) for scores in (first, second)]
    assert torch.equal(*values)
    gradients = [torch.autograd.grad(value, scores)[0] for value, scores in zip(values, (first, second), strict=True)]
    assert torch.equal(*gradients)
    assert not gradients[0][ignored.expand_as(gradients[0])].any()


@every_loss
@two_and_five
def test_a_batch_in_which_all_is_ignored_costs_nothing_and_teaches_nothing(variant: Variant, num_classes: int) -> None:
    logits, masks = example(num_classes)
    scores = logits.float().requires_grad_()
    value = total(built(variant, num_classes)(scores, torch.full_like(masks, 255)))
    torch.autograd.backward(value)
    assert value.item() == 0
    assert scores.grad is not None
    assert not scores.grad.any()


@every_loss
@two_and_five
def test_the_terms_are_named_numbers_that_can_be_added_up(variant: Variant, num_classes: int) -> None:
    logits, masks = example(num_classes)
    terms = built(variant, num_classes)(logits.float(), masks)
    assert terms
    assert all(re.fullmatch(r"[a-z][a-z0-9_]*", term) for term in terms)
    assert not TAKEN & terms.keys()
    assert all(value.shape == () and value.isfinite() and value >= 0 for value in terms.values())


@every_loss
@two_and_five
def test_the_loss_falls_as_the_prediction_nears_the_truth(variant: Variant, num_classes: int) -> None:
    logits, masks = example(num_classes)
    truth = nn.functional.one_hot(masks.where(masks != 255, 0).long(), num_classes).movedim(-1, 1)
    loss = built(variant, num_classes)
    values = [total(loss(logits.float() + margin * truth, masks)).item() for margin in (-10, 0, 3, 10)]
    assert values == sorted(values, reverse=True)
    assert len(set(values)) == 4


@every_loss
def test_the_order_of_pixels_and_images_does_not_matter(variant: Variant) -> None:
    logits, masks = example(5)
    loss = built(variant, 5)
    turned = total(loss(logits.float().flip(0, 2, 3), masks.flip(0, 1, 2))).item()
    assert turned == pytest.approx(total(loss(logits.float(), masks)).item(), rel=1e-5)


@every_loss
@two_and_five
@pytest.mark.parametrize("size", [1e-6, 0.25, 1e6])
def test_class_weights_that_are_all_equal_change_nothing(variant: Variant, num_classes: int, size: float) -> None:
    logits, masks = example(num_classes)
    found = variant.build([size] * num_classes)(logits.float(), masks)
    expected = built(variant, num_classes)(logits.float(), masks)
    assert found.keys() == expected.keys()
    assert all(found[term].item() == pytest.approx(expected[term].item(), rel=1e-5) for term in expected)


@every_loss
@two_and_five
def test_a_heavier_class_draws_the_loss_toward_what_it_costs_alone(variant: Variant, num_classes: int) -> None:
    logits, masks = example(num_classes)
    plain = built(variant, num_classes)(logits, masks)
    for heavy in range(num_classes):
        doubled = variant.build([1.0 + (heavy == c) for c in range(num_classes)])(logits, masks)
        alone = variant.build([float(heavy == c) for c in range(num_classes)])(logits, masks)
        # But for a term that this class is no part of, or all of.
        moved = [t for t in plain if alone[t] > 0 and not torch.isclose(plain[t], alone[t])]
        assert moved
        assert all(abs(doubled[term] - alone[term]) < abs(plain[term] - alone[term]) for term in moved)


@every_loss
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_added_up_in_float32(variant: Variant, dtype: torch.dtype) -> None:
    """4096 pixels: a bf16 sum of ones stands still at 256, a fp16 sum at 2048."""
    logits, masks = example(5, size=(32, 64))
    rounded = logits.to(dtype)
    found, expected = (built(variant, 5)(scores, masks) for scores in (rounded, rounded.float()))
    for term, value in found.items():
        assert value.dtype == torch.float32
        assert torch.equal(value, expected[term])


@every_loss
def test_little_more_than_the_logits_is_kept_for_the_gradient(variant: Variant) -> None:
    """At 4x512x1024 and 20 classes the logits are 168 MB."""
    logits, masks = example(20, size=(16, 24))
    scores = logits.float().requires_grad_()
    kept: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        value = total(built(variant, 20)(scores, masks))
    assert value.requires_grad
    of_one_loss = 3 * scores.untyped_storage().nbytes()
    assert sum(kept.values()) <= of_one_loss * len(variant.settings.get("terms", [variant.name]))


@every_loss
def test_logits_of_huge_size_still_give_a_number(variant: Variant) -> None:
    logits, masks = example(5)
    scores = (1e4 * logits).float().requires_grad_()
    value = total(built(variant, 5)(scores, masks))
    torch.autograd.backward(value)
    assert value.isfinite()
    assert scores.grad is not None
    assert scores.grad.isfinite().all()
