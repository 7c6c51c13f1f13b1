"""What the demo's results in reports/ say: the committed ones, or, in CI, those that it has just made."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MARGIN = 0.15


@pytest.mark.parametrize(
    "prepared", ["aeroscapes_12_wide", "cityscapes_20", "drone_binary", "drone_5", "massachusetts_binary"]
)
def test_the_best_model_of_a_fabricated_set_sees_more_than_colour(prepared: str) -> None:
    """Of aeroscapes_12, for frozen transformers of random weights, it is not true: its frames count as wide ones."""
    files = (ROOT / "reports").glob("*/metrics.json")
    scored = [metrics for metrics in map(json.loads, (file.read_text() for file in files)) if metrics["fabricated"]]
    margins = [one["miou"] - one["colour_alone"] for one in scored if one["prepared"] == prepared]
    assert max(margins) >= MARGIN
