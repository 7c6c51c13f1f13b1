"""Training on kept features comes to what training on images comes to, but for what bf16 rounds off."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from segpipe import artifacts
from segpipe.features import room
from segpipe.training.loop import train
from tests.unit.training.tiny_project import NAME, outputs

TOLERANCE = 0.02
"""Of a loss, relatively, and of a score: after three epochs 0.008 was seen, on four validation images of 32x32."""


def trained(monkeypatch: pytest.MonkeyPatch, gigabytes: str) -> dict[str, np.ndarray]:
    monkeypatch.setenv("SEGPIPE_FEATURE_CACHE_GB", gigabytes)
    monkeypatch.setenv("SEGPIPE_FRESH", "1")
    room._in_use.clear()
    train(NAME)
    rows = artifacts.read_rows(artifacts.checkpoint(NAME) / "history.csv")
    return {key: np.array([float(row[key]) for row in rows]) for key in rows[0]}


@pytest.mark.slow
def test_kept_features_train_to_the_same_losses_and_scores(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from_images, from_features = trained(monkeypatch, "0"), trained(monkeypatch, "1")
    assert len(list(artifacts.features().glob("*/manifest.json"))) == 4 * 2 + 1  # both sets in four flips, and val
    assert from_images.keys() == from_features.keys()
    differs = False
    for key, expected in from_images.items():
        scale = expected if key.endswith("loss") else 1
        assert np.abs((from_features[key] - expected) / scale).max() <= TOLERANCE, key
        differs |= bool(np.any(from_features[key] != expected))
    assert differs  # or features were not used


@pytest.mark.slow
def test_training_twice_on_the_same_features_is_the_same_to_the_last_bit(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained(monkeypatch, "1")
    first = outputs()
    trained(monkeypatch, "1")
    assert outputs() == first
