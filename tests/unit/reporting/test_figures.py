"""The charts: which are drawn, and that they are the same each time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from segpipe import artifacts
from segpipe.reporting import drawing, evidence, figures

if TYPE_CHECKING:
    from tests.unit.reporting.conftest import Project


@pytest.mark.slow
def test_each_set_and_each_scored_experiment_has_its_charts_in_both_formats(small_project: Project) -> None:
    figures.draw(evidence.gather().sets)
    by_set = {
        f"{chart}-{name}"
        for chart in ("miou", "loss", "latency", "parameters", "classes")
        for name in ("drone_two", "drone_five")
    }
    by_experiment = {f"confusion-{name}" for name in ("unet_two", "unet_five", "segformer_five")}
    by_experiment |= {"calibration-drone_five", "shares-uformer_five"}  # what one evaluation and one average left
    alone = {"latency-drone_two", "parameters-drone_two"}  # one experiment: one point would compare nothing
    expected = {f"{chart}.{kind}" for chart in (by_set - alone) | by_experiment for kind in ("png", "svg")}
    assert {path.name for path in artifacts.FIGURES.iterdir()} == expected


def test_charts_of_earlier_experiments_are_gone(project: Project) -> None:
    artifacts.FIGURES.mkdir(parents=True)
    (artifacts.FIGURES / "confusion-dropped.svg").write_text("old")
    figures.draw([])
    assert not (artifacts.FIGURES / "confusion-dropped.svg").exists()


def test_a_set_without_any_training_draws_nothing(project: Project) -> None:
    project.add_experiment("unet", "drone_two")
    figures.draw(evidence.gather().sets)
    assert list(artifacts.FIGURES.iterdir()) == []


def test_rows_of_a_confusion_become_shares_of_the_true_class() -> None:
    confusion = [[6, 2, 0], [0, 0, 0], [1, 1, 2]]
    assert figures.row_shares(confusion) == [[0.75, 0.25, 0], [None, None, None], [0.25, 0.25, 0.5]]


def test_thirty_experiments_all_look_different() -> None:
    looks = [drawing.style(index) for index in range(30)]
    assert len({str(look) for look in looks}) == 30
