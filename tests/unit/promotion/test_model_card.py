"""The card: everything that a stranger must know, and no more than is true."""

from __future__ import annotations

from typing import Any

import pytest

from segpipe.promotion.model_card import card

CITYSCAPES = (
    "Cityscapes terms of use: non-commercial; neither the data nor modified versions of it may be redistributed"
)


@pytest.fixture
def facts() -> dict[str, Any]:
    """A model on real streets, good at roads, bad at poles, and never shown a train."""
    classes = {"road": (0.9, 0.95, 0.94, 5000), "pole": (0.1, 0.4, 0.0, 30), "train": (None, None, None, 0)}
    per_class = {
        name: dict(zip(("iou", "precision", "recall", "support"), values, strict=True))
        for name, values in classes.items()
    }
    metrics = {
        "experiment": "dense_aspp_cityscapes",
        "prepared": "cityscapes_20",
        "fabricated": False,
        "weights_label": "",
        "split": "test",
        "selected_on": {"checkpoint": "val"},
        "images": 500,
        "miou": 0.5,
        "pixel_accuracy": 0.91,
        "intervals": {"miou": [0.48, 0.525]},
        "per_class": per_class,
        "data": "d" * 64,
        "checkpoint": "c" * 64,
    }
    config = {
        "experiment": {"model": {"name": "dense_aspp"}, "prepared": "cityscapes_20", "augmented": "cityscapes_20_0"},
        "evaluation": {"split": "test", "flips": True, "window": None, "scales": [1.0]},
        "labels": {"name": "cityscapes_20", "classes": [{"name": name} for name in classes]},
        "size": [512, 1024],
        "interpolation": "area",
        "metrics": metrics,
    }
    weights = {"name": "densenet121_imagenet", "sha256": "e" * 64, "origin": "timm densenet121", "label": ""}
    lineage = {"commit": "a" * 40, "dirty": False, "environment": "b" * 64, "weights": weights}
    run = {"description": "S2's model 4", "lineage": lineage, "machine": {"device": "cuda", "precision": "bf16"}}
    source = {"dataset": "cityscapes", "origin": "csDownload", "licence": CITYSCAPES, "fabricated": False}
    return {"name": "streets", "config": config, "run": run, "source": source}


def test_metrics_stand_with_their_intervals_and_what_was_selected_where(facts: dict[str, Any]) -> None:
    text = card(**facts)
    assert "mIoU 0.5000 [0.4800, 0.5250] on 500 images of the test split" in text
    assert "| mIoU | 0.5000 | 0.4800, 0.5250 |" in text
    assert "| pixel accuracy | 0.9100 |  |" in text
    assert "Scored on test; selected: checkpoint on val." in text
    assert "flatters" not in text


def test_a_score_that_something_was_selected_on_is_called_flattered(facts: dict[str, Any]) -> None:
    facts["config"]["metrics"]["selected_on"] = {"checkpoint": "test"}
    assert "which flatters it" in card(**facts)


def test_weak_classes_are_named_and_unknown_ones_told_apart_from_them(facts: dict[str, Any]) -> None:
    weak = card(**facts).partition("## What it is bad at")[2].partition("##")[0]
    assert "- **pole**: IoU 0.1000, less than half of the mean. It is never found." in weak
    assert "Nothing is known of train" in weak
    assert "road" not in weak


def test_a_model_without_weak_classes_says_so(facts: dict[str, Any]) -> None:
    facts["config"]["metrics"]["per_class"]["pole"]["iou"] = 0.25  # half of 0.5 is not less than half
    assert "No class has less than half of the mean IoU" in card(**facts)


def test_a_model_of_real_cityscapes_is_called_non_commercial(facts: dict[str, Any]) -> None:
    text = card(**facts)
    assert "**Non-commercial.**" in text
    assert "may be passed on: this card shows none" in text
    assert CITYSCAPES in text
    assert "![" not in text  # no picture
    facts["source"]["licence"] = "fabricated by segpipe: no terms"
    assert "Non-commercial" not in card(**facts)
    assert "passed on" not in card(**facts)
    facts["source"]["licence"] = ""
    assert "- Terms: not stated" in card(**facts)


def test_fabricated_data_and_random_weights_are_told_before_the_first_table(facts: dict[str, Any]) -> None:
    assert "mechanics" not in card(**facts)
    facts["config"]["metrics"] |= {"fabricated": True, "weights_label": "random: mechanics only"}
    before = card(**facts).partition("|")[0]
    assert "**Fabricated data, weights random: mechanics only.**" in before


def test_every_class_has_its_id_and_its_scores(facts: dict[str, Any]) -> None:
    text = card(**facts)
    assert "| 0 | road | 0.9000 | 0.9500 | 0.9400 | 5,000 |" in text
    assert "| 2 | train | – | – | – | 0 |" in text


def test_its_use_and_its_origin_can_be_copied_from_it(facts: dict[str, Any]) -> None:
    text = card(**facts)
    assert 'mlflow.pyfunc.load_model("models:/streets@champion")' in text
    assert "resized to 512 × 1024 (area)" in text
    assert "Scored with split test, flips True." in text
    for sha in ("a" * 40, "b" * 64, "c" * 64, "d" * 64, "e" * 64):
        assert f"`{sha}`" in text


def test_a_combined_model_without_an_encoder_of_its_own_has_a_card_too(facts: dict[str, Any]) -> None:
    facts["run"]["lineage"]["weights"] = None
    assert "encoder weights" not in card(**facts)
