"""A sum of losses: its terms and their names, its parts, and what it refuses with which words."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from pydantic import ValidationError

from segpipe import components
from segpipe.losses import weighted_sum
from segpipe.params.explaining import explanation
from tests.unit.losses.examples import example

WEIGHTS = torch.tensor([1.0, 2.0, 0.5])


def options(*terms: dict[str, Any]) -> Any:
    return components.options("losses", "weighted_sum", {"terms": list(terms)})


def terms_of(name: str, **settings: Any) -> dict[str, Any]:
    module = components.find("losses", name)
    found: dict[str, Any] = module.build(module.Options(**settings), WEIGHTS)(*example(3))
    return found


def refusal(*terms: dict[str, Any]) -> str:
    with pytest.raises(ValidationError) as caught:
        options(*terms)
    return explanation(caught.value, {"terms": list(terms)}, lambda path: ["loss", *path])


def test_each_term_is_that_loss_times_its_weight_under_the_same_class_weights() -> None:
    settings = options({"name": "focal", "weight": 0.25, "options": {"gamma": 1.5}}, {"name": "lovasz"})
    found = weighted_sum.build(settings, WEIGHTS)(*example(3))
    assert list(found) == ["focal", "lovasz"]
    assert torch.equal(found["focal"], 0.25 * terms_of("focal", gamma=1.5)["focal"])
    assert torch.equal(found["lovasz"], terms_of("lovasz")["lovasz"])


def test_terms_of_one_name_take_their_places_behind_it() -> None:
    settings = options(
        {"name": "dice"}, {"name": "bce_dice"}, {"name": "tversky"}, {"name": "tversky", "options": {"alpha": 0.9}}
    )
    found = weighted_sum.build(settings, WEIGHTS)(*example(3))
    assert list(found) == ["dice_1", "bce", "dice_2", "tversky_3", "tversky_4"]
    assert torch.equal(found["dice_2"], terms_of("bce_dice")["dice"])
    assert torch.equal(found["tversky_4"], terms_of("tversky", alpha=0.9)["tversky"])


def test_the_losses_that_it_is_made_of_are_its_parts() -> None:
    settings = options({"name": "tversky"}, {"name": "dice"}, {"name": "tversky", "options": {"alpha": 0.9}})
    assert settings.parts() == ["dice", "tversky"]


def test_the_options_are_complete_with_the_defaults_of_each_loss_and_read_back_the_same() -> None:
    settings = options({"name": "tversky", "options": {"alpha": 0.9}}, {"name": "focal"})
    resolved = settings.model_dump(mode="json")
    assert [term["options"] for term in resolved["terms"]] == [{"alpha": 0.9, "beta": 0.5}, {"gamma": 2.0}]
    assert [term["weight"] for term in resolved["terms"]] == [1, 1]
    assert components.options("losses", "weighted_sum", resolved) == settings


def test_the_modules_in_it_move_with_it() -> None:
    module = weighted_sum.build(options({"name": "dice"}, {"name": "focal"}), WEIGHTS).double()
    assert [buffer.dtype for buffer in module.buffers()] == [torch.float64] * 2


def test_a_sum_in_a_sum_is_refused() -> None:
    found = refusal({"name": "dice"}, {"name": "weighted_sum", "options": {"terms": [{"name": "dice"}]}})
    expected = "found 'weighted_sum', expected a loss that is no sum: write its terms into this list"
    assert found == f"params.yaml: loss.terms.1.name: {expected}"


def test_a_loss_that_does_not_exist_is_named_with_the_nearest_that_does() -> None:
    expected = "found 'lovas', expected a file in segpipe/losses (did you mean 'lovasz'?)"
    assert refusal({"name": "lovas"}) == f"params.yaml: loss.terms.0.name: {expected}"


def test_a_misspelt_option_of_a_term_is_named_by_its_whole_path() -> None:
    found = refusal({"name": "dice"}, {"name": "focal", "options": {"gama": 1.0}})
    assert found == "params.yaml: loss.terms.1.options.gama: no such setting (did you mean 'gamma'?)"


def test_a_value_that_does_not_fit_an_option_of_a_term_is_named_by_its_whole_path() -> None:
    found = refusal({"name": "focal", "options": {"gamma": -1}})
    assert found == "params.yaml: loss.terms.0.options.gamma: found -1, expected greater than or equal to 0"


def test_a_term_must_weigh_something_and_a_sum_must_have_one() -> None:
    assert (
        refusal({"name": "dice", "weight": 0}) == "params.yaml: loss.terms.0.weight: found 0, expected greater than 0"
    )
    assert refusal() == "params.yaml: loss.terms: found [], expected at least one loss in it"
