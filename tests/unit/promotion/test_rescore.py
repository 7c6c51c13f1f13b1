"""New data close the gate until the champion is scored on them; after that, like is compared with like."""

from __future__ import annotations

from pathlib import Path

import pytest

from segpipe import artifacts, params
from segpipe.evaluation.scoring import evaluate
from segpipe.promotion.gate import verdict
from segpipe.promotion.rescore import rescore
from tests.unit.promotion.promoting import MODEL, champion, change_test_images, pixels_by_image, report
from tests.unit.training import tiny_project
from tests.unit.training.tiny_project import NAME

pytestmark = pytest.mark.slow


def test_a_champion_is_scored_on_the_new_data_and_the_gate_opens_again(
    registered: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change_test_images()
    evaluate(NAME)
    report()
    gate, before = params.gates()[MODEL], champion()
    closed = verdict(MODEL, gate)[-1]
    assert (closed.passed, f"segpipe rescore {MODEL}" in closed.found) == (False, True)

    capsys.readouterr()
    rescore(MODEL)
    now, metrics = champion(), artifacts.read_json(artifacts.report(NAME) / "metrics.json")
    # The candidate is the champion, so that its own evaluation says what the champion must score.
    assert now["counts"] == pixels_by_image()
    assert (now["data"], now["miou"]) == (metrics["data"], metrics["miou"])
    assert now["data"] != before["data"]
    assert {key: now[key] for key in ("version", "experiment", "checkpoint")} == {
        key: before[key] for key in ("version", "experiment", "checkpoint")
    }
    said = capsys.readouterr().err
    assert f"{before['miou']:.4f}" in said
    assert f"{now['miou']:.4f}" in said
    opened = verdict(MODEL, gate)[-1]
    assert (opened.passed, opened.found) == (True, "0.0000")


def test_what_is_not_in_params_or_not_registered_is_said(evaluated: Path) -> None:
    with pytest.raises(ValueError, match="did you mean 'tiny'"):
        rescore("tinny")
    with pytest.raises(ValueError, match="no model yet") as refusal:
        rescore(MODEL)
    assert "dvc repro register" in str(refusal.value)


def test_flips_asked_for_since_change_the_way_of_scoring_and_not_the_data(registered: Path) -> None:
    tiny_project.write_params(epochs=12, optimizer={"name": "adam", "lr": 0.02}, evaluation={"flips": True})
    before = champion()
    rescore(MODEL)
    now = champion()
    assert now["evaluation"]["flips"] is True
    assert now["data"] == before["data"]
    assert now["counts"] != before["counts"]
