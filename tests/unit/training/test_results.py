"""Which epoch is the best, and what is said at the end."""

from __future__ import annotations

import pytest

from segpipe.params.schema import Trained
from segpipe.training.results import epoch_line, highest, summary
from tests.unit.training.test_step import PLAIN

HISTORY = [
    {"epoch": 1, "train_loss": 0.9, "val_loss": 0.50, "val_miou": 0.20, "val_mpa": 0.5, "val_pixel_accuracy": 0.9},
    {"epoch": 2, "train_loss": 0.8, "val_loss": 0.40, "val_miou": 0.70, "val_mpa": 0.6, "val_pixel_accuracy": 0.8},
    {"epoch": 3, "train_loss": 0.7, "val_loss": 0.30, "val_miou": 0.70, "val_mpa": 0.7, "val_pixel_accuracy": 0.8},
    {"epoch": 4, "train_loss": 0.6, "val_loss": 0.35, "val_miou": 0.60, "val_mpa": 0.7, "val_pixel_accuracy": 0.8},
]
TIMING = [{"epoch": number, "seconds": 30.0, "images_per_second": 10.0 * number} for number in range(1, 5)]


@pytest.mark.parametrize(("best_by", "epoch"), [("miou", 2), ("mpa", 3), ("pixel_accuracy", 1), ("loss", 3)])
def test_the_best_epoch_is_the_first_best_by_what_is_asked_for(best_by: str, epoch: int) -> None:
    assert highest(Trained.model_validate({**PLAIN, "best_by": best_by}), HISTORY) == epoch


def test_a_line_for_each_epoch_says_how_it_goes_and_how_long_it_takes() -> None:
    line = epoch_line("trial", Trained.model_validate({**PLAIN, "epochs": 10}), HISTORY, TIMING)
    # six epochs of 30 s are left
    assert line == "trial 4/10: loss 0.600, val loss 0.350, val mIoU 0.600, 40 images/s, 3 min left"


def test_the_summary_names_the_best_epoch_its_score_the_time_and_the_speed() -> None:
    settings = Trained.model_validate({**PLAIN, "epochs": 4})
    assert summary("trial", settings, HISTORY, TIMING) == (
        "trial: 4 epochs in 2 min, the best one 2 (val miou 0.700), 25 images/s"
    )
    early = settings.model_copy(update={"epochs": 9, "stop_after": 2})
    assert summary("trial", early, HISTORY, TIMING).startswith("trial: stopped after 4 epochs in 2 min")
