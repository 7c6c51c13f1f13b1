"""What one block says of another: names that lead nowhere, sizes, classes and metrics that do not exist."""

from __future__ import annotations

from typing import Any

import pytest

from segpipe import params
from tests.unit.params.conftest import BINARY, Edit, complaint

PATH = BINARY.replace("/", ".")


@pytest.mark.parametrize(
    ("place", "value", "meant"),
    [
        ("datasets/drone/name", "dron", "drone"),
        ("prepared/drone_5/dataset", "dron", "drone"),
        ("augmented/drone_5_500/prepared", "drone_55", "drone_5"),
        (f"{BINARY}/prepared", "drone_binry", "drone_binary"),
        (f"{BINARY}/augmented", "drone_binary_50", "drone_binary_500"),
        (f"{BINARY}/weights", "resnet34", "resnet34_imagenet"),
        (f"{BINARY}/model/name", "unett", "unet"),
        (f"{BINARY}/loss/name", "tverski", "tversky"),
        ("gates/drone_binary/experiment", "unet_drone_binry", "unet_drone_binary"),
    ],
)
def test_a_name_that_leads_nowhere_gets_the_nearest(edit: Edit, place: str, value: str, meant: str) -> None:
    line = f"{place.replace('/', '.')}: there is no '{value}' (did you mean '{meant}'?)"
    assert complaint(edit, {place: value}).splitlines()[0] == line


def test_a_name_near_nothing_gets_all_that_there_is(edit: Edit) -> None:
    line = f"{PATH}.weights: there is no 'zzz' (there is: resnet34_imagenet)"
    assert complaint(edit, {f"{BINARY}/weights": "zzz"}) == line


@pytest.mark.parametrize("kind", ["models", "losses"])
def test_a_component_is_no_path_and_no_private_file(edit: Edit, kind: str) -> None:
    place = {"models": "model", "losses": "loss"}[kind]
    for name in ("../labels", "__init__", ""):
        assert f"{PATH}.{place}.name: there is no '{name}'" in complaint(edit, {f"{BINARY}/{place}/name": name})


def test_a_view_that_the_dataset_does_not_offer_is_refused(edit: Edit) -> None:
    assert complaint(edit, {"datasets/drone/views": ["drone_binary", "drone_5", "drone_6"]}) == (
        "datasets.drone.views: dataset 'drone' has no view 'drone_6' (did you mean 'drone_5'?)"
    )


def test_a_view_that_is_not_audited_is_refused(edit: Edit) -> None:
    assert complaint(edit, {"datasets/drone/views": ["drone_binary"]}) == (
        "prepared.drone_5.view: 'drone_5' is not among the views of dataset 'drone', which are audited "
        "(did you mean 'drone_binary'?)"
    )


def test_an_augmented_set_of_another_prepared_set_is_refused(edit: Edit) -> None:
    assert complaint(edit, {f"{BINARY}/augmented": "drone_5_500"}) == (
        f"{PATH}.augmented: 'drone_5_500' is made from prepared set 'drone_5', "
        "but the experiment trains on 'drone_binary': name an augmented set of that one"
    )


@pytest.mark.parametrize(
    ("size", "nearest"),
    [([100, 128], [96, 128]), ([96, 145], [96, 160]), ([10, 128], [32, 128]), ([113, 1], [128, 32])],
)
def test_a_size_that_the_model_cannot_take_gets_the_nearest_that_it_can(
    edit: Edit, size: list[int], nearest: list[int]
) -> None:
    assert complaint(edit, {"prepared/drone_binary/demo/size": size}) == (
        f"{PATH}.prepared: size {size} of 'drone_binary' does not fit model 'unet', "
        f"which takes multiples of 32 (nearest: {nearest})"
    )


def test_class_weights_of_unknown_classes_are_refused(edit: Edit) -> None:
    weights = {"landing-zone": 2.0, "obstacles": 1.0}
    assert complaint(edit, {f"{BINARY}/class_weights": weights}) == (
        f"{PATH}.class_weights: label table 'drone_binary' has no class 'landing-zone' (did you mean 'landing-zones'?)"
    )


def test_a_class_weight_below_zero_is_named_by_its_class(edit: Edit) -> None:
    line = f"{PATH}.class_weights.landing-zones: found -2.0, expected greater than 0"
    assert complaint(edit, {f"{BINARY}/class_weights": {"landing-zones": -2.0}}) == line


def test_class_weights_of_known_classes_are_taken(edit: Edit) -> None:
    edit({f"{BINARY}/class_weights": {"landing-zones": 2}})
    block = params.resolve(params.load())["experiments"]["unet_drone_binary"]
    assert block["class_weights"] == {"landing-zones": 2.0}


@pytest.mark.parametrize(
    ("metric", "problem"),
    [
        ("miuo", "no such metric (did you mean 'miou'?)"),
        ("iou", "no such metric (did you mean 'miou'?)"),
        ("per_class.*.iuo", "no such per-class metric 'iuo' (did you mean 'iou'?)"),
        (
            "per_class.landing.iou",
            "experiment 'unet_drone_binary' has no class 'landing' (did you mean 'landing-zones'?)",
        ),
        ("per_class.water.dice", "experiment 'unet_drone_binary' has no class 'water' (there is: "),
        ("per_class.iou", "experiment 'unet_drone_binary' has no class '' (there is: landing-zones, obstacles)"),
    ],
)
def test_a_floor_of_what_is_never_measured_is_refused(edit: Edit, metric: str, problem: str) -> None:
    line = complaint(edit, {"gates/drone_binary/floors": {metric: 0.5}})
    assert line.startswith(f"gates.drone_binary.floors.{metric}: {problem}")


@pytest.mark.parametrize(
    "metric", ["miou", "mpa", "fwiou", "mean_dice", "per_class.*.recall", "per_class.obstacles.iou"]
)
def test_a_floor_of_what_is_measured_is_taken(edit: Edit, metric: str) -> None:
    edit({"gates/drone_binary/floors": {metric: 0.5}})
    assert params.load().gates["drone_binary"].floors == {metric: 0.5}


def test_an_experiment_may_not_take_the_place_of_the_figures(edit: Edit, published: dict[str, Any]) -> None:
    block = published["experiments"]["unet_drone_5"]
    assert complaint(edit, {"experiments": {**published["experiments"], "figures": block}}) == (
        "experiments.figures: reports/figures holds the report's figures: give the experiment another name"
    )
