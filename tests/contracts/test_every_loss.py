"""What every file in segpipe/losses/ owes: exact gradients, and blindness to what is ignored."""

from __future__ import annotations

import re

import pytest
import torch
from torch import Tensor, nn

from segpipe import components

TAKEN = {"loss", "miou", "pixel_accuracy", "mpa"}
"""Names that history.csv has columns for already."""

every_loss = pytest.mark.parametrize("name", components.names("losses"))
two_and_five = pytest.mark.parametrize("num_classes", [2, 5])


def built(name: str, num_classes: int) -> nn.Module:
    class_names = [f"class {i}" for i in range(num_classes)]
    module: nn.Module = components.find("losses", name).build(components.options("losses", name, {}), class_names)
    return module


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
def test_the_gradient_is_that_of_the_value(name: str, num_classes: int) -> None:
    logits, masks = example(num_classes)
    loss = built(name, num_classes).double()
    assert torch.autograd.gradcheck(lambda scores: total(loss(scores, masks)), logits.requires_grad_())


@every_loss
@two_and_five
def test_what_lies_under_ignored_pixels_changes_nothing(name: str, num_classes: int) -> None:
    logits, masks = example(num_classes)
    ignored = masks.eq(255).unsqueeze(1)
    loss = built(name, num_classes)
    other = torch.where(ignored, 50 * logits.flip(0), logits)
    first, second = (scores.float().requires_grad_() for scores in (logits, other))
    values = [total(loss(scores, masks)) for scores in (first, second)]
    assert torch.equal(*values)
    gradients = [torch.autograd.grad(value, scores)[0] for value, scores in zip(values, (first, second), strict=True)]
    assert torch.equal(*gradients)
    assert not gradients[0][ignored.expand_as(gradients[0])].any()


@every_loss
@two_and_five
def test_a_batch_in_which_all_is_ignored_costs_nothing_and_teaches_nothing(name: str, num_classes: int) -> None:
    logits, masks = example(num_classes)
    scores = logits.float().requires_grad_()
    value = total(built(name, num_classes)(scores, torch.full_like(masks, 255)))
    torch.autograd.backward(value)
    assert value.item() == 0
    assert scores.grad is not None
    assert not scores.grad.any()


@every_loss
@two_and_five
def test_the_terms_are_named_numbers_that_can_be_added_up(name: str, num_classes: int) -> None:
    logits, masks = example(num_classes)
    terms = built(name, num_classes)(logits.float(), masks)
    assert terms
    assert all(re.fullmatch(r"[a-z][a-z0-9_]*", term) for term in terms)
    assert not TAKEN & terms.keys()
    assert all(value.shape == () and value.isfinite() and value >= 0 for value in terms.values())


@every_loss
@two_and_five
def test_the_loss_falls_as_the_prediction_nears_the_truth(name: str, num_classes: int) -> None:
    logits, masks = example(num_classes)
    truth = nn.functional.one_hot(masks.where(masks != 255, 0).long(), num_classes).movedim(-1, 1)
    loss = built(name, num_classes)
    values = [total(loss(logits.float() + margin * truth, masks)).item() for margin in (-10, 0, 3, 10)]
    assert values == sorted(values, reverse=True)
    assert len(set(values)) == 4


@every_loss
def test_the_order_of_pixels_and_images_does_not_matter(name: str) -> None:
    logits, masks = example(5)
    loss = built(name, 5)
    turned = total(loss(logits.float().flip(0, 2, 3), masks.flip(0, 1, 2))).item()
    assert turned == pytest.approx(total(loss(logits.float(), masks)).item(), rel=1e-5)


@every_loss
def test_logits_of_huge_size_still_give_a_number(name: str) -> None:
    logits, masks = example(5)
    scores = (1e4 * logits).float().requires_grad_()
    value = total(built(name, 5)(scores, masks))
    torch.autograd.backward(value)
    assert value.isfinite()
    assert scores.grad is not None
    assert scores.grad.isfinite().all()
