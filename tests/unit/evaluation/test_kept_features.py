"""Scores of kept features are those of the images, but for what bf16 rounds off; and nothing so scored is promoted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from segpipe import artifacts
from segpipe.evaluation.scoring import evaluate
from tests.unit.training.tiny_project import NAME

TOLERANCE = 0.02
"""Of a score, and of a loss relatively: what training with and without kept features is held to, too."""


def scored(**how: Any) -> dict[str, Any]:
    content = json.loads(Path("params.yaml").read_text())
    content["experiments"][NAME]["evaluation"], content["gates"] = how, {}
    Path("params.yaml").write_text(json.dumps(content))
    evaluate(NAME)
    found: dict[str, Any] = artifacts.read_json(artifacts.evaluation(NAME) / "metrics.json")
    return found


@pytest.mark.usefixtures("trained")
def test_kept_features_come_to_the_same_scores_as_the_images() -> None:
    from_images = scored()
    kept = set(artifacts.features().glob("*/manifest.json"))
    from_features = scored(kept_features=True)
    assert len(set(artifacts.features().glob("*/manifest.json")) - kept) == 1  # those of the split that is scored
    assert from_features["evaluation"]["kept_features"]
    for metric in ("miou", "pixel_accuracy", "boundary_iou", "ece"):
        assert from_features[metric] == pytest.approx(from_images[metric], abs=TOLERANCE)
    assert from_features["loss"] == pytest.approx(from_images["loss"], rel=TOLERANCE)
    assert from_features["loss"] != from_images["loss"]  # or features were not used


@pytest.mark.usefixtures("trained")
def test_scoring_kept_features_twice_is_the_same_to_the_last_digit() -> None:
    first, again = scored(kept_features=True), scored(kept_features=True)
    assert first == again
