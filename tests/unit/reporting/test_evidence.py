"""What the report finds in the files, and what it says of those that are not there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from segpipe import artifacts
from segpipe.reporting import evidence

if TYPE_CHECKING:
    from tests.unit.reporting.conftest import Project


def test_without_experiments_the_reader_is_sent_to_resolve(project: Project) -> None:
    with pytest.raises(FileNotFoundError, match=r"holds no experiment.*dvc repro resolve"):
        evidence.gather()


def test_experiments_of_a_set_are_ranked_by_miou_and_unscored_ones_come_last(small_project: Project) -> None:
    five = next(a_set for a_set in evidence.gather().sets if a_set.name == "drone_five")
    assert [one.name for one in five.experiments] == ["unet_five", "segformer_five", "uformer_five"]


def test_the_first_missing_file_is_named_with_the_stage_that_makes_it(small_project: Project) -> None:
    (small_project.root / "data/evaluations/unet_five/cost.json").unlink()
    unet = next(one for one in evidence.gather().experiments if one.name == "unet_five")
    assert unet.evaluation is None
    assert unet.missing == ("data/evaluations/unet_five/cost.json is missing: run `dvc repro evaluate@unet_five`",)


def test_a_way_that_breaks_off_before_the_training_is_named_where_it_does(project: Project) -> None:
    project.add_experiment("unet", "drone_five")
    artifacts.write_json(artifacts.resolved("prepared", "drone_five"), {"dataset": "drone"})
    way = [
        (artifacts.raw("drone") / "source.json", "download@drone"),
        (artifacts.audit("drone") / "pairs.csv", "audit@drone"),
        (artifacts.prepared("drone_five") / "manifest.json", "preprocess@drone_five"),
        (artifacts.augmented("drone_five_500") / "manifest.json", "augment@drone_five_500"),
        (artifacts.weights("resnet50"), "fetch@resnet50"),
        (artifacts.checkpoint("unet") / "run.json", "train@unet"),
    ]
    for number, (file, stage) in enumerate(way):
        (unet,) = evidence.gather().experiments
        assert unet.missing[0] == f"{file} is missing: run `dvc repro {stage}`"
        if number == 2:
            project.add_set("drone_five", project.FIVE)
        else:
            artifacts.write_text(file, "")


def test_an_empty_field_and_nan_in_a_log_are_no_number(project: Project) -> None:
    project.add_set("drone_five", project.FIVE)
    project.add_experiment("unet", "drone_five", epochs=1)
    project.train("unet")
    log = "epoch,lr,train_loss,train_miou,val_loss,val_miou\n1,0.001,0.5,,nan,0.25\n"
    (project.root / "data/checkpoints/unet/history.csv").write_text(log)
    training = evidence.gather().experiments[0].training
    assert training is not None
    assert training.history == [
        {"epoch": 1, "lr": 0.001, "train_loss": 0.5, "train_miou": None, "val_loss": None, "val_miou": 0.25}
    ]


def test_the_confusion_is_read_by_class_name_whatever_the_order_of_its_columns(small_project: Project) -> None:
    path = small_project.root / "data/evaluations/unet_two/confusion.csv"
    path.write_text("truth,landing zones,obstacles\nobstacles,2,30\nlanding zones,60,8\n")
    unet = next(one for one in evidence.gather().experiments if one.name == "unet_two")
    assert unet.evaluation is not None
    assert unet.evaluation.confusion == [[30, 2], [8, 60]]
