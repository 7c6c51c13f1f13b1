"""Windows and scales that a model cannot take are refused before anything long starts; and what floors may name."""

from __future__ import annotations

from typing import Any

import pytest

from segpipe import params
from segpipe.params.references import OVERALL, PER_CLASS
from tests.unit.params.conftest import BINARY, Edit, complaint

PATH = BINARY.replace("/", ".")


def test_a_window_that_the_model_does_not_take_is_refused_with_the_nearest(edit: Edit) -> None:
    assert complaint(edit, {f"{BINARY}/evaluation": {"window": [64, 90]}}) == (
        f"{PATH}.evaluation.window: [64, 90] does not fit model 'unet', which takes multiples of 32 (nearest: [64, 96])"
    )


def test_a_scale_that_makes_such_a_size_is_refused(edit: Edit) -> None:
    # The demo's size is 96x128: times 1.5 it is 144x192, and 144 is no multiple of 32.
    assert complaint(edit, {f"{BINARY}/evaluation": {"scales": [1.0, 1.5]}}) == (
        f"{PATH}.evaluation.scales: 1.5 makes [144, 192] of [96, 128], and model 'unet' takes multiples of 32: "
        "take another scale, or a window that fits"
    )


def test_what_members_do_not_take_a_combined_model_does_not_take(edit: Edit) -> None:
    found = complaint(edit, {"combined/pair/evaluation": {"window": [40, 64]}})
    assert found.startswith(
        "combined.pair.evaluation.window: [40, 64] does not fit model 'uformer', which takes multip"
    )


@pytest.mark.parametrize(
    "evaluation",
    [{"scales": [1.0, 2.0]}, {"window": [64, 64], "scales": [0.5, 1.0, 1.5]}, {"native": True, "flips": True}],
)
def test_what_fits_is_taken(edit: Edit, evaluation: dict[str, Any]) -> None:
    edit({f"{BINARY}/evaluation": evaluation})
    params.load()


@pytest.mark.parametrize("metric", ["boundary_iou", "miou_small", "native_miou", "per_class.*.iou_large"])
def test_a_floor_may_be_put_under_what_evaluate_counts(edit: Edit, metric: str) -> None:
    edit({"gates/drone_binary/floors": {metric: 0.1}})
    params.load()


def test_a_floor_under_an_error_makes_no_sense_and_is_refused(edit: Edit) -> None:
    assert "ece: no such metric" in complaint(edit, {"gates/drone_binary/floors": {"ece": 0.1}})
    assert not {"ece", "loss"} & {*OVERALL, *PER_CLASS}


@pytest.mark.parametrize("other", [{"window": [64, 64]}, {"flips": True}, {"scales": [1.0, 2.0]}])
def test_kept_features_are_of_whole_images_as_they_are(edit: Edit, other: dict[str, Any]) -> None:
    assert complaint(edit, {f"{BINARY}/evaluation": {"kept_features": True, **other}}) == (
        f"{PATH}.evaluation.kept_features: kept features are of whole images as they are: "
        "leave it out, or window, flips and scales"
    )


def test_what_is_promoted_is_scored_by_its_images(edit: Edit) -> None:
    assert complaint(edit, {f"{BINARY}/evaluation": {"kept_features": True}}) == (
        "gates.drone_binary.experiment: 'unet_drone_binary' is scored by kept features, which are rounded, "
        "and what is promoted by its images: take evaluation.kept_features out of it"
    )
