"""The plan: what would run, why, and for how long."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from segpipe import artifacts
from segpipe.commands import plan

ROOT = Path(__file__).parents[3]
EDGES = [
    ("resolve", "preprocess@a"),
    ("preprocess@a", "train@one"),
    ("preprocess@a", "train@two"),
    ("train@one", "evaluate@one"),
    ("train@two", "evaluate@two"),
    ("evaluate@one", "report"),
    ("evaluate@two", "report"),
]
CHANGED = {"train@two": [{"changed deps": {"segpipe/models/unet.py": "modified", "segpipe/layers": "modified"}}]}


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def told(changed: Mapping[str, Any], wanted: list[str]) -> list[tuple[str, bool, str]]:
    return [(step.stage, step.is_certain, step.why) for step in plan.planned(changed, EDGES, wanted)]


def test_what_changed_runs_and_what_stands_on_it_perhaps() -> None:
    assert told(CHANGED, []) == [
        ("train@two", True, "segpipe/models/unet.py modified and 1 more"),
        ("evaluate@two", False, "if train@two gives something new"),
        ("report", False, "if evaluate@two gives something new"),
    ]


def test_only_what_was_asked_for_and_what_it_needs_is_told() -> None:
    assert [stage for stage, *_ in told(CHANGED, ["evaluate@two"])] == ["train@two", "evaluate@two"]
    assert told(CHANGED, ["evaluate@one"]) == []
    assert [stage for stage, *_ in told(CHANGED, ["evaluate"])] == ["train@two", "evaluate@two"]


def test_a_stage_stands_after_all_that_it_needs() -> None:
    order = [stage for stage, *_ in told({"report": ["always changed"], "resolve": ["changed command"]}, [])]
    assert order[0] == "resolve"
    assert all(order.index(first) < order.index(then) for first, then in EDGES)


def test_a_project_that_is_up_to_date_has_nothing_to_run() -> None:
    assert list(plan.lines([])) == ["Nothing: everything is up to date."]


def test_the_time_of_a_training_is_its_last_time_an_epoch_for_as_many_as_it_is_to_run() -> None:
    rows = [{"epoch": 1, "seconds": 30.0}, {"epoch": 2, "seconds": 50.0}]
    artifacts.write_rows(artifacts.checkpoint("one") / "timing.csv", rows, rows[0])
    artifacts.write_json(artifacts.resolved("experiments", "one"), {"epochs": 10, "repeats": 3})
    assert plan.seconds("train@one") == 40 * 10 * 3
    assert plan.seconds("train@two") is None


def test_the_time_of_another_stage_is_what_it_took_when_it_last_ended_well() -> None:
    for code, slept in (("0", 0.2), ("1", 0.0)):
        main = f"import time; from segpipe.terminal import door; door(lambda: time.sleep({slept}) or {code}, None)"
        environment = {**os.environ, "DVC_STAGE": "evaluate@one", "PYTHONPATH": str(ROOT)}
        assert subprocess.run([sys.executable, "-c", main], env=environment, check=False).returncode == int(code)
    known = plan.seconds("evaluate@one")
    assert known is not None
    assert 0.2 <= known < 5
    assert plan.seconds("evaluate@two") is None


def test_the_disk_is_what_each_stage_left_last_time() -> None:
    artifacts.DVC_LOCK.write_text(
        "schema: '2.0'\nstages:\n  train@one:\n    cmd: x\n    deps: [{path: a, size: 7}]\n"
        "    outs:\n    - {path: data/checkpoints/one, size: 2000000}\n"
    )
    assert plan.output_sizes() == {"train@one": 2_000_000}
    (step,) = plan.planned({"train@one": ["changed command"]}, [], [])
    assert (step.why, step.bytes) == ("changed command", 2_000_000)


def test_the_sum_says_what_it_does_not_know() -> None:
    steps = [
        plan.Step("train@one", "", True, 5400.0, 3_000_000),
        plan.Step("train@two", "", False, None, None),
        plan.Step("evaluate@two", "", False, None, 500_000),
    ]
    *_, certain, at_most = plan.lines(steps)
    assert certain == "\ncertain: 1 stages, 1 h 30 min (1.50 h), 3.0 MB"
    assert at_most.endswith("(1.50 h) and 2 that were never timed here, 3.5 MB")
