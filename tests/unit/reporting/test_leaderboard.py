"""The leaderboard's columns, and what was published beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from segpipe import artifacts
from segpipe.reporting import evidence, leaderboard
from segpipe.reporting.published import published

if TYPE_CHECKING:
    from tests.unit.reporting.conftest import Project


def five() -> evidence.PreparedSet:
    return next(one for one in evidence.gather().sets if one.name == "drone_five")


def test_a_column_that_no_experiment_has_is_left_out(small_project: Project) -> None:
    rows = leaderboard.columns(five().evaluated)
    titles = [column.title for column in rows[0]]
    assert [column.title for column in rows[1]] == titles
    assert "mIoU at full size" not in titles  # null in the one, absent in the other
    assert "FLOPs" not in titles


def test_an_older_evaluation_has_a_dash_where_a_newer_one_has_a_number(small_project: Project) -> None:
    rows = {
        one.name: row for (one, _), row in zip(five().evaluated, leaderboard.columns(five().evaluated), strict=True)
    }
    boundary = {name: next(c for c in row if c.title == "boundary IoU") for name, row in rows.items()}
    assert (boundary["unet_five"].value, boundary["unet_five"].text) == (0.5, "0.500")
    assert (boundary["segformer_five"].value, boundary["segformer_five"].text) == (None, "\N{EN DASH}")


def test_metrics_of_the_classes_are_those_that_every_class_has(small_project: Project) -> None:
    found = {one.name: leaderboard.per_class(evaluation) for one, evaluation in five().evaluated}
    assert list(found["segformer_five"]) == ["IoU", "Dice", "precision", "recall"]
    assert found["unet_five"]["boundary IoU"] == [0.5] * 5


def real(small_project: Project, label: str = "") -> evidence.Experiment:
    path = artifacts.evaluation("unet_two") / "metrics.json"
    artifacts.write_json(path, {**artifacts.read_json(path), "fabricated": False, "weights_label": label})
    return next(one for one in evidence.gather().experiments if one.name == "unet_two")


def test_a_published_number_stands_beside_a_real_one_alone(small_project: Project) -> None:
    fabricated = next(one for one in evidence.gather().experiments if one.name == "unet_two")
    assert published(fabricated, "drone_binary") is None
    assert published(real(small_project, "random: mechanics only"), "drone_binary") is None
    found = published(real(small_project), "drone_binary")
    assert found
    assert found.miou == 0.783
    assert published(real(small_project), "somebody_s_own") is None
