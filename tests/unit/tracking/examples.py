"""A run's record and its rows, and what a store has of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from segpipe import tracking

PARAMS = {"prepared": "tiles", "model": {"name": "unet", "frozen": True}, "epochs": 3}
RECORD: dict[str, Any] = {
    "experiment": "try_1",
    "description": "a try",
    "params": PARAMS,
    "lineage": {
        "commit": "c0ffee",
        "dirty": False,
        "environment": "e" * 64,
        "data": {"prepared": "a" * 64, "augmented": "b" * 64},
        "weights": {"sha256": "f" * 64, "label": "random: mechanics only"},
    },
    "machine": {"device": "cpu", "threads": 1},
}


def enter(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.mkdir(exist_ok=True)
    monkeypatch.chdir(folder)
    for variable in ("DVC_ROOT", "MLFLOW_TRACKING_URI", "MLFLOW_RUN_ID"):
        monkeypatch.delenv(variable, raising=False)
    tracking._client.cache_clear()


def history(epochs: int) -> list[dict[str, Any]]:
    return [{"epoch": e, "lr": 0.1, "val_loss": 1 / e, "val_miou": 1 - 1 / e} for e in range(1, epochs + 1)]


def timing(epochs: int) -> list[dict[str, Any]]:
    return [{"epoch": e, "seconds": 2.0 * e} for e in range(1, epochs + 1)]


def points(run_id: str | None, key: str) -> list[tuple[int, float]]:
    found = tracking._client().get_metric_history(run_id, key)
    return [(point.step, point.value) for point in found]


def expected(rows: list[dict[str, Any]], key: str) -> list[tuple[int, float]]:
    return [(row["epoch"], row[key]) for row in rows]


def all_runs() -> list[Any]:
    client = tracking._client()
    return list(client.search_runs([found.experiment_id for found in client.search_experiments()]))
