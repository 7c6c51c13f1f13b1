"""What evaluate writes agrees with itself, and with a recount from the model's own predictions."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.metrics import accuracy_score, f1_score, jaccard_score  # type: ignore[import-untyped,unused-ignore]

from segpipe import artifacts, params, tracking
from segpipe.checkpoints import build_model, load_model, origin_of
from segpipe.evaluation.scoring import evaluate
from segpipe.preparation.manifest import PackedSplit
from segpipe.training.loop import train
from tests.unit.training import tiny_project
from tests.unit.training.tiny_project import NAME

CLASSES = ["obstacles", "landing-zones"]


def written(name: str) -> Path:
    return artifacts.evaluation(NAME) / name


def refuse(constant: str) -> Any:
    raise AssertionError(f"{constant} is no JSON")


def metrics() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(written("metrics.json").read_text(), parse_constant=refuse)
    return content


def packed() -> PackedSplit:
    return PackedSplit(artifacts.prepared(params.experiment(NAME).prepared), "test")


@torch.inference_mode()
def predictions() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Truth and prediction by image, one image at a time, straight from the checkpoint."""
    settings, split = params.experiment(NAME), packed()
    model = build_model(settings.model, len(CLASSES), origin_of(NAME, settings), settings.seed)
    load_model(model, artifacts.checkpoint(NAME) / "model.safetensors")
    model.to(memory_format=torch.channels_last)
    found = {}
    for index, name in enumerate(split.names):
        image, truth = split[index]
        logits = model(torch.from_numpy(np.array(image)).permute(2, 0, 1)[None])
        found[name] = np.array(truth), logits.argmax(1)[0].numpy()
    return found


def counted() -> tuple[np.ndarray, np.ndarray]:
    pairs = list(predictions().values())
    truth, predicted = (np.concatenate([pair[i].ravel() for pair in pairs]) for i in (0, 1))
    return truth[truth != 255], predicted[truth != 255]


def test_the_scores_are_those_of_the_models_own_predictions(evaluated: Path) -> None:
    truth, predicted = counted()
    found = metrics()
    assert found["miou"] == pytest.approx(jaccard_score(truth, predicted, average="macro"), rel=1e-12)
    assert found["mean_dice"] == pytest.approx(f1_score(truth, predicted, average="macro"), rel=1e-12)
    assert found["pixel_accuracy"] == pytest.approx(accuracy_score(truth, predicted), rel=1e-12)
    by_class = jaccard_score(truth, predicted, average=None)
    assert [found["per_class"][name]["iou"] for name in CLASSES] == pytest.approx(by_class.tolist(), rel=1e-12)
    assert sum(found["per_class"][name]["support"] for name in CLASSES) == 4 * 30 * 32  # two of 32 rows are ignored


def test_the_counts_are_those_of_the_models_own_predictions(evaluated: Path) -> None:
    truth, predicted = counted()
    confusion = [[int(((truth == t) & (predicted == p)).sum()) for p in (0, 1)] for t in (0, 1)]
    rows = artifacts.read_rows(written("confusion.csv"))
    assert [row["truth"] for row in rows] == CLASSES
    assert [[int(row[name]) for name in CLASSES] for row in rows] == confusion

    by_image = iter(artifacts.read_rows(written("image_counts.csv")))
    for name, (one_truth, one_predicted) in predictions().items():
        is_counted = one_truth != 255
        for class_id, class_name in enumerate(CLASSES):
            t, p = (one_truth == class_id) & is_counted, (one_predicted == class_id) & is_counted
            expected = {"intersection": (t & p).sum(), "union": (t | p).sum(), "truth": t.sum()}
            row = next(by_image)
            assert row == {"image": name, "class": class_name, **{key: str(value) for key, value in expected.items()}}
    assert next(by_image, None) is None


def test_the_files_agree_with_each_other(evaluated: Path) -> None:
    counts = artifacts.read_rows(written("image_counts.csv"))
    confusion = artifacts.read_rows(written("confusion.csv"))
    for class_name in CLASSES:
        mine = [row for row in counts if row["class"] == class_name]
        hits, union, truth = (sum(int(row[key]) for row in mine) for key in ("intersection", "union", "truth"))
        (of_truth,) = (row for row in confusion if row["truth"] == class_name)
        assert hits == int(of_truth[class_name])
        assert truth == sum(int(of_truth[name]) for name in CLASSES) == metrics()["per_class"][class_name]["support"]
        assert metrics()["per_class"][class_name]["iou"] == pytest.approx(hits / union)
    for row in artifacts.read_rows(written("images.csv")):
        mine = [entry for entry in counts if entry["image"] == row["image"]]
        present = [int(entry["intersection"]) / int(entry["union"]) for entry in mine if int(entry["union"])]
        assert float(row["miou"]) == pytest.approx(np.mean(present))
        accuracy = sum(int(entry["intersection"]) for entry in mine) / sum(int(entry["truth"]) for entry in mine)
        assert float(row["pixel_accuracy"]) == pytest.approx(accuracy)


def test_metrics_say_what_they_were_taken_on(evaluated: Path) -> None:
    found = metrics()
    checkpoint = artifacts.checkpoint(NAME) / "model.safetensors"
    prepared = artifacts.prepared(params.experiment(NAME).prepared)
    told = {
        "experiment": NAME,
        "prepared": params.experiment(NAME).prepared,
        "fabricated": True,
        "weights_label": "random: mechanics only",
        "split": "test",
        "selected_on": {"checkpoint": "val", "temperature": "val"},
        "images": 4,
        "resolution_ceiling": 1.0,
        "data": artifacts.read_json(prepared / "manifest.json")["content"],
        "checkpoint": hashlib.sha256(checkpoint.read_bytes()).hexdigest(),
    }
    assert told.items() <= found.items()
    assert found["loss"] > 0


def test_an_evaluation_on_val_repeats_the_best_epoch_of_the_history(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where training saw the images themselves: kept features are rounded."""
    monkeypatch.setenv("SEGPIPE_FEATURE_CACHE_GB", "0")
    train(NAME)
    run = artifacts.read_json(artifacts.checkpoint(NAME) / "run.json")
    best = artifacts.read_rows(artifacts.checkpoint(NAME) / "history.csv")[run["best_epoch"] - 1]
    tiny_project.write_params(evaluation={"split": "val"})
    evaluate(NAME)
    for metric in ("miou", "pixel_accuracy", "mpa"):
        assert metrics()[metric] == float(best[f"val_{metric}"])


def test_two_evaluations_write_the_same_bytes(trained: Path) -> None:
    names = ["metrics.json", "confusion.csv", "image_counts.csv", "images.csv", "panels.json"]
    ends = []
    for _ in range(2):
        evaluate(NAME)
        ends.append([written(name).read_bytes() for name in names])
    assert ends[0] == ends[1]


def test_the_panels_show_input_truth_and_prediction(evaluated: Path) -> None:
    panels = artifacts.read_json(written("panels.json"))
    scores = {row["image"]: float(row["miou"]) for row in artifacts.read_rows(written("images.csv"))}
    assert [panel["miou"] for panel in panels] == sorted(scores.values(), reverse=True)
    assert {panel["image"] for panel in panels} == scores.keys()
    pairs, split = predictions(), packed()
    for panel in panels:
        truth, predicted = pairs[panel["image"]]
        assert np.array_equal(np.asarray(Image.open(written(panel["truth"]))), truth)
        assert np.array_equal(np.asarray(Image.open(written(panel["prediction"]))), predicted)
        image, _ = split[split.names.index(panel["image"])]
        assert np.array_equal(np.asarray(Image.open(written(panel["input"]))), image)


def test_the_cost_is_counted_on_the_model_itself(evaluated: Path) -> None:
    cost, settings = artifacts.read_json(written("cost.json")), params.experiment(NAME)
    model = build_model(settings.model, 2, origin_of(NAME, settings), 0)
    encoder = sum(p.numel() for p in model.get_submodule("backbone").parameters())
    assert cost["parameters"] == sum(p.numel() for p in model.parameters())
    assert cost["trainable_parameters"] == cost["parameters"] - encoder
    assert cost["checkpoint_bytes"] == (artifacts.checkpoint(NAME) / "model.safetensors").stat().st_size
    assert cost["latency_ms"] > 0


def test_the_scores_land_on_the_run_of_the_training(evaluated: Path) -> None:
    run_id = artifacts.read_json(artifacts.checkpoint(NAME) / "run.json")["tracking"]["run_id"]
    logged = tracking._client().get_run(run_id).data.metrics
    assert logged["test/miou"] == metrics()["miou"]
    assert logged["test/iou/landing-zones"] == metrics()["per_class"]["landing-zones"]["iou"]


def test_an_empty_split_is_refused(tmp_path: Path, trained: Path) -> None:
    manifest = artifacts.prepared(params.experiment(NAME).prepared) / "manifest.json"
    content = artifacts.read_json(manifest)
    del content["splits"]["test"]
    artifacts.write_json(manifest, content)
    with pytest.raises(ValueError, match="has no test images"):
        evaluate(NAME)
    assert not artifacts.evaluation(NAME).exists()


def test_a_split_in_which_all_is_ignored_has_null_for_its_scores(trained: Path) -> None:
    folder = artifacts.prepared(params.experiment(NAME).prepared)
    masks = np.load(folder / "test-0-masks.npy")
    np.save(folder / "test-0-masks.npy", np.full_like(masks, 255))
    evaluate(NAME)
    assert metrics()["miou"] is None
    assert metrics()["resolution_ceiling"] is None
    assert metrics()["loss"] == 0
