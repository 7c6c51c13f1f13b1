"""Two trained experiments become a third: by a fitted share, or by training on through their average."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from segpipe import artifacts, params
from segpipe.checkpoints import MEMBERS_FILE, build_model, load_model, origin_of
from segpipe.evaluation.scoring import evaluate
from segpipe.layers.weighted_average import WeightedAverage
from segpipe.loading import Samples
from segpipe.metrics import overlap
from segpipe.training.loop import train
from tests.unit.training import tiny_project
from tests.unit.training.conftest import one_thread, template

__all__ = ["one_thread", "template"]

pytestmark = pytest.mark.slow

FIRST, SECOND, PAIR = tiny_project.NAME, "other_seed", "pair"


def combine(**changes: Any) -> None:
    """Add a second experiment and the pair to params.yaml."""
    content = json.loads(Path("params.yaml").read_text())
    block = content["experiments"][FIRST]
    content["experiments"][SECOND] = block | {"seed": 1}
    shared = {key: block[key] for key in ("prepared", "augmented", "loss", "batch")}
    combined = {"model": {"name": "uformer"}, "members": {"first": FIRST, "second": SECOND}}
    content["combined"] = {PAIR: {**shared, **combined, **changes}}
    Path("params.yaml").write_text(json.dumps(content))


@pytest.fixture(scope="session")
def members_template(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("members")
    with pytest.MonkeyPatch.context() as monkeypatch:
        tiny_project.copy(template, folder, monkeypatch)
        combine()
        train(FIRST)
        train(SECOND)
    return folder


@pytest.fixture
def members(members_template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return tiny_project.copy(members_template, tmp_path, monkeypatch)


def pair() -> WeightedAverage:
    settings = params.experiment(PAIR)
    model = load_model(
        build_model(settings.model, 2, origin_of(PAIR, settings), settings.seed),
        artifacts.checkpoint(PAIR) / "model.safetensors",
    )
    assert isinstance(model, WeightedAverage)
    return model


def member_probabilities(name: str, images: torch.Tensor) -> torch.Tensor:
    settings = params.experiment(name)
    model = build_model(settings.model, 2, origin_of(name, settings), settings.seed)
    load_model(model, artifacts.checkpoint(name) / "model.safetensors")
    with torch.inference_mode():
        probabilities: torch.Tensor = model(images).softmax(1)
    return probabilities


def validation() -> tuple[torch.Tensor, np.ndarray]:
    samples = Samples([artifacts.prepared(params.experiment(FIRST).prepared)], "val")
    images, masks = zip(*(samples[index] for index in range(len(samples))), strict=True)
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2), np.stack(masks)


def test_the_fitted_share_is_the_best_of_its_curve_and_the_curve_is_that_of_the_members(members: Path) -> None:
    train(PAIR)
    curve = artifacts.read_rows(artifacts.checkpoint(PAIR) / "shares.csv")
    assert [float(row["share_of_first"]) for row in curve] == pytest.approx(np.linspace(0, 1, 21))
    images, masks = validation()
    first, second = (member_probabilities(name, images).numpy() for name in (FIRST, SECOND))
    for row in curve:
        share = float(row["share_of_first"])
        predicted = (share * first + (1 - share) * second).argmax(1)
        counted = masks != 255
        confusion = np.zeros((2, 2), np.int64)
        np.add.at(confusion, (masks[counted], predicted[counted]), 1)
        assert float(row["val_miou"]) == pytest.approx(overlap.overall(confusion)["miou"], abs=2e-3)
    best = max(float(row["val_miou"]) for row in curve)
    chosen = next(float(row["share_of_first"]) for row in curve if float(row["val_miou"]) == best)
    assert pair().share_of_first == pytest.approx(chosen, abs=1e-6)


def test_an_average_trains_nothing_and_says_what_it_was_fitted_on(members: Path) -> None:
    train(PAIR)
    folder = artifacts.checkpoint(PAIR)
    run = artifacts.read_json(folder / "run.json")
    assert run["selected_on"] == {"share of the first member": "val"}
    assert run["lineage"]["weights"]["name"] == f"{FIRST} + {SECOND}"
    assert run["lineage"]["weights"]["label"] == "random: mechanics only"
    assert [row["epoch"] for row in artifacts.read_rows(folder / "history.csv")] == ["0"]
    images, _ = validation()
    with torch.inference_mode():
        of_first = pair().first(images).softmax(1)
    torch.testing.assert_close(of_first, member_probabilities(FIRST, images))


def test_a_combined_model_is_evaluated_without_its_members_experiments(members: Path) -> None:
    train(PAIR)
    for name in (FIRST, SECOND):
        artifacts.checkpoint(name).rename(artifacts.checkpoint(name).with_name(f"{name}-away"))
    evaluate(PAIR)
    assert artifacts.read_json(artifacts.evaluation(PAIR) / "metrics.json")["images"] == 4


def test_training_on_moves_both_members_and_their_share(members: Path) -> None:
    combine(model={"name": "uformer", "mode": "joint"}, epochs=2, optimizer={"name": "adam", "lr": 0.01})
    train(PAIR)
    folder = artifacts.checkpoint(PAIR)
    assert [row["epoch"] for row in artifacts.read_rows(folder / "history.csv")] == ["1", "2"]
    assert (folder / MEMBERS_FILE).is_file()
    images, _ = validation()
    model = pair()
    assert model.share_of_first != 0.5
    with torch.inference_mode():
        assert not torch.allclose(model.first(images).softmax(1), member_probabilities(FIRST, images), atol=1e-4)
        assert not torch.allclose(model.second(images).softmax(1), member_probabilities(SECOND, images), atol=1e-4)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"epochs": 3}, "combined.pair.epochs: found 3, expected 0 for mode average"),
        ({"model": {"name": "uformer", "mode": "joint"}}, "combined.pair.epochs: found 0"),
        ({"model": {"name": "unet"}}, "combined.pair.model.name: 'unet' takes no members"),
        ({"members": {"first": FIRST, "second": "other_sed"}}, "did you mean 'other_seed'"),
    ],
)
def test_a_pair_that_makes_no_sense_is_refused(members: Path, changes: dict[str, Any], problem: str) -> None:
    combine(**changes)
    with pytest.raises(ValueError, match=problem):
        params.load()
