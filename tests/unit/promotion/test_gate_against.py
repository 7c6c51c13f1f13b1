"""No worse than what: a champion measured in the same way, or the same experiment as it was committed once."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from segpipe import artifacts
from segpipe.params import Gate
from segpipe.promotion.gate import Check, verdict
from tests.unit.promotion.test_gate import change_metrics, gate, reports, run, table, write_champion, write_report

__all__ = ["reports"]


def git(*arguments: str) -> str:
    identity = ["-c", "user.name=segpipe", "-c", "user.email=segpipe@localhost", "-c", "commit.gpgsign=false"]
    return subprocess.run(["git", *identity, *arguments], check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def committed(reports: Path) -> str:
    """A revision in which ours scored 0.8, as the reports do still."""
    git("init", "-q", "-b", "main")
    git("add", "-A")
    git("commit", "-q", "-m", "Scored")
    return git("rev-parse", "HEAD")


def last(**changes: Any) -> Check:
    checked: Gate = gate(**changes)
    return verdict("houses", checked)[-1]


def test_the_same_numbers_as_at_a_revision_pass_without_tolerance(committed: str) -> None:
    found = last(against=committed, delta=0.0)
    assert (found.passed, found.found) == (True, "0.0000")
    assert f"ours at {committed}" in found.subject


def test_worse_than_at_a_revision_closes_the_gate_and_the_branch_may_be_named(committed: str) -> None:
    write_report(0.75)  # every image five points worse, whichever are drawn
    assert last(against="main", delta=0.051).passed
    assert last(against="HEAD", delta=0.049).found == "−0.0500"
    assert run(against="main", delta=0.049) == 1


def test_a_champion_has_no_say_where_a_revision_was_asked_for(committed: str) -> None:
    write_champion(0.99)
    assert last(against="main").passed
    assert not last().passed


@pytest.mark.parametrize("revision", ["nowhere", "HEAD~7", "main@{5}"])
def test_a_revision_that_is_not_there_closes_the_gate(revision: str, committed: str) -> None:
    found = last(against=revision)
    assert not found.passed
    assert f"cannot be read at '{revision}'" in found.found


def test_an_experiment_that_was_not_there_then_closes_the_gate(committed: str) -> None:
    git("rm", "-q", "--cached", "reports/ours/image_counts.csv")
    git("commit", "-q", "-m", "Forgotten")
    found = last(against="main")
    assert (found.passed, "image_counts.csv" in found.found) == (False, True)


def test_a_folder_without_git_closes_the_gate() -> None:
    assert not last(against="HEAD").passed


def test_other_data_at_a_revision_closes_the_gate(committed: str) -> None:
    change_metrics(data="d2")
    found = last(against="main")
    assert (found.passed, "other data" in found.found) == (False, True)


def test_a_project_below_the_top_of_its_repository_is_found_there(
    reports: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "below").mkdir()
    reports.rename(tmp_path / "below" / "reports")
    git("init", "-q", "-b", "main")
    git("add", "-A")
    git("commit", "-q", "-m", "Scored")
    monkeypatch.chdir(tmp_path / "below")
    assert last(against="main", delta=0.0).passed


@pytest.mark.parametrize("revision", ["", "--output=x", "a b", "HEAD:reports"])
def test_what_git_could_take_for_something_else_is_no_revision(revision: str) -> None:
    with pytest.raises(ValueError, match="against"):
        gate(against=revision)


@pytest.mark.parametrize("how", [{"flips": True}, {"scales": [0.5, 1.0]}, {"window": [64, 64]}])
def test_a_champion_that_was_scored_in_another_way_closes_the_gate(how: dict[str, Any]) -> None:
    write_champion(0.1, evaluation=how)
    found = last()
    assert (found.passed, "segpipe rescore houses" in found.found) == (False, True)
    change_metrics(evaluation=how)
    assert last().passed


def test_what_changes_no_count_may_differ_from_the_champion() -> None:
    write_champion(0.8, evaluation={"boundary": 0.01, "native": True})
    assert last().passed


def test_every_number_may_have_a_floor_however_deep_it_lies() -> None:
    change_metrics(intervals={"miou": [0.7, 0.9]}, repeats={"mean": 0.8, "seeds": [7, 8]}, selected_on={"a": "val"})
    floors = {"intervals.miou.0": 0.65, "repeats.mean": 0.79, "per_class.*.recall": 0.7}
    assert run(floors=floors) == 0
    assert run(floors={"intervals.miou.0": 0.75}) == 1
    assert "| **FAIL** | houses | intervals.miou.0 | ≥ 0.750 | 0.7000 |" in table()
    assert run(floors={"selected_on.a": 0.0}) == 1


def test_a_setting_of_the_evaluation_is_no_score() -> None:
    change_metrics(evaluation={"overlap": 0.9})
    assert run(floors={"evaluation.overlap": 0.1}) == 1


def test_numbers_that_the_counts_do_not_give_are_no_evidence() -> None:
    change_metrics(miou=0.9)
    assert run(floors={"boundary_iou": 0.1}) == 1
    assert "metrics.json says 0.9" in table()


def test_another_number_of_images_than_the_counts_have_is_no_evidence() -> None:
    change_metrics(images=21)
    assert run(floors={"boundary_iou": 0.1}) == 1
    assert "holds 20 images, and metrics.json 21" in table()


def test_the_numbers_of_another_experiment_are_no_evidence() -> None:
    change_metrics(experiment="theirs")
    assert run() == 1
    assert "is of experiment 'theirs', expected 'ours'" in table()


def test_a_bar_in_a_name_does_not_break_the_table() -> None:
    path = artifacts.report("ours") / "metrics.json"
    path.write_text(json.dumps(artifacts.read_json(path) | {"a|b": 0.5}))
    assert run(floors={"a|b": 0.4}) == 0
    assert "| houses | a/b | ≥ 0.400 | 0.5000 |" in table()
