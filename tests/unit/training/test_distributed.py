"""Two processes train as one does, count every image once, and end together."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from safetensors.torch import load_file

from segpipe import artifacts
from segpipe.training.loop import train
from tests.unit.training import tiny_project
from tests.unit.training.test_resuming import epochs_done, runs, steps, wait_for_epoch
from tests.unit.training.tiny_project import NAME

pytestmark = pytest.mark.slow

WITHOUT_BATCH_NORM: dict[str, Any] = {
    "model": {"name": "segformer", "frozen": True, "last_layer": "convolution", "width": 16},
    "loss": {"name": "cross_entropy"},
    "optimizer": {"name": "sgd", "lr": 0.05},
    "epochs": 4,
    "batch": 5,
}
"""Batch norm sees what its process has of a batch, so only a model without it can be compared; 12 images make
batches of 5, 5 and 2, which two processes part as 2 and 3, 2 and 3, 1 and 1."""

TOLERANCE = 1e-5
"""Of a loss, relative: two halves are added up in another order than a whole."""

EXACT = ("epoch", "lr", "train_cross_entropy")
FLIPPED = 2e-3
"""Of a score: what a few pixels on the border of two classes change, which such a difference may push across."""


@pytest.fixture(scope="session")
def linear(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("linear")
    with pytest.MonkeyPatch.context() as monkeypatch:
        tiny_project.enter(folder, monkeypatch)
        tiny_project.build("mit_b0", **WITHOUT_BATCH_NORM)
    return folder


def history(folder: Path) -> list[dict[str, float]]:
    rows = artifacts.read_rows(folder / artifacts.checkpoint(NAME) / "history.csv")
    return [{key: float(value) for key, value in row.items()} for row in rows]


@pytest.mark.parametrize("accumulate", [1, 2])
def test_two_processes_make_the_loss_curve_of_one(
    linear: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, accumulate: int
) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    for folder, devices in ((one, 1), (two, 2)):
        tiny_project.copy(linear, folder, monkeypatch)
        tiny_project.write_params(**WITHOUT_BATCH_NORM, accumulate=accumulate)
        monkeypatch.setenv("SEGPIPE_DEVICES", str(devices))
        monkeypatch.setenv("OMP_NUM_THREADS", "1")
        train(NAME)
    for expected, found in zip(history(one), history(two), strict=True):
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            is_loss = name in EXACT or name.endswith("loss")
            near = pytest.approx(value, rel=TOLERANCE) if is_loss else pytest.approx(value, abs=FLIPPED)
            assert found[name] == near, name
    weights = [load_file(folder / artifacts.checkpoint(NAME) / "model.safetensors") for folder in (one, two)]
    for key, value in weights[0].items():
        torch.testing.assert_close(weights[1][key], value, rtol=1e-4, atol=1e-6)
    assert artifacts.read_json(two / artifacts.checkpoint(NAME) / "run.json")["machine"]["processes"] == 2
    (run_id,) = runs()
    assert steps(run_id) == [1, 2, 3, 4]


def test_a_dead_rank_ends_the_stage_in_seconds_and_the_next_run_goes_on(
    linear: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = {**WITHOUT_BATCH_NORM, "epochs": 400}
    tiny_project.copy(linear, tmp_path, monkeypatch)
    tiny_project.write_params(**many)
    monkeypatch.setenv("SEGPIPE_DEVICES", "2")
    process = tiny_project.trainer()
    wait_for_epoch(process, 2)
    ranks = [child for child in psutil.Process(process.pid).children() if "spawn_main" in " ".join(child.cmdline())]
    assert len(ranks) == 2
    began = time.monotonic()
    os.kill(ranks[1].pid, signal.SIGKILL)
    _, said = process.communicate(timeout=30)
    assert time.monotonic() - began < 15
    assert process.returncode == 1
    assert "error: the process of rank 1 was ended from outside (signal SIGKILL)" in said
    assert "Traceback" not in said
    assert not any(rank.is_running() for rank in ranks)
    done = epochs_done()
    assert 2 <= done < 400
    assert not artifacts.checkpoint(NAME).exists()
    again = tiny_project.trainer()
    wait_for_epoch(again, done + 1)
    again.kill()
    _wait_until_gone(again)


def _wait_until_gone(process: subprocess.Popen[str]) -> None:
    """The ranks see that whoever watched them is gone."""
    _, said = process.communicate(timeout=30)  # returns when the last one has closed its end
    assert "going on after epoch" in said


def test_a_batch_that_leaves_a_device_without_an_image_is_refused(
    linear: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny_project.copy(linear, tmp_path, monkeypatch)
    tiny_project.write_params(**{**WITHOUT_BATCH_NORM, "batch": 1})
    monkeypatch.setenv("SEGPIPE_DEVICES", "2")
    with pytest.raises(ValueError, match="a batch of 1 leaves some of 2 devices without an image"):
        train(NAME)
