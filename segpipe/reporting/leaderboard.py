"""The columns of the leaderboard, and what else is said of an experiment in figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Any

from segpipe.reporting.evidence import NONE, Evaluation, Experiment
from segpipe.reporting.wording import duration, percent, plain, score, short

SCORES = {
    "resolution_ceiling": "ceiling",
    "colour_alone": "colour alone",
    "native_miou": "mIoU at full size",
    "boundary_iou": "boundary IoU",
    "miou_small": "mIoU, small",
    "miou_medium": "mIoU, medium",
    "miou_large": "mIoU, large",
    "pixel_accuracy": "pixel accuracy",
    "mpa": "mPA",
    "mean_dice": "Dice",
    "fwiou": "fwIoU",
    "loss": "loss",
    "ece": "ECE",
    "ece_calibrated": "ECE, scaled",
}
PER_CLASS = {
    "iou": "IoU",
    "boundary_iou": "boundary IoU",
    "iou_small": "IoU, small",
    "iou_medium": "IoU, medium",
    "iou_large": "IoU, large",
    "dice": "Dice",
    "precision": "precision",
    "recall": "recall",
}


@dataclass(frozen=True)
class Column:
    """A sortable number of the leaderboard."""

    title: str
    value: float | None
    text: str


def columns(evaluated: Sequence[tuple[Experiment, Evaluation]]) -> list[list[Column]]:
    """Each evaluated experiment's numbers after mIoU; what none of them has, takes no column."""
    rows = [_row(experiment, evaluation) for experiment, evaluation in evaluated]
    known = [i for i in range(len(rows[0])) if any(row[i].value is not None for row in rows)] if rows else []
    return [[row[i] for i in known] for row in rows]


def _row(experiment: Experiment, evaluation: Evaluation) -> list[Column]:
    metrics, cost = evaluation.metrics, evaluation.cost
    rates = [row["images_per_second"] for row in experiment.training.timing] if experiment.training else []
    known = [rate for rate in rates if rate is not None]
    rate = mean(known) if known else None
    return [
        *(Column(title, metrics.get(key), score(metrics.get(key))) for key, title in SCORES.items()),
        Column("parameters", cost["parameters"], short(cost["parameters"])),
        Column("FLOPs", cost.get("flops"), short(cost.get("flops"))),
        Column("latency, ms", cost["latency_ms"], plain(cost["latency_ms"])),
        Column("trained, images/s", rate, plain(rate)),
    ]


def per_class(evaluation: Evaluation) -> dict[str, list[float | None]]:
    """Each metric that the classes have, in the order of the classes."""
    rows = [evaluation.metrics["per_class"][name] for name in evaluation.classes]
    return {title: [row[key] for row in rows] for key, title in PER_CLASS.items() if all(key in row for row in rows)}


def chosen_where_scored(evaluation: Evaluation) -> bool:
    """Whether something was selected on the very split that the score is taken on, which flatters it."""
    return evaluation.metrics["split"] in evaluation.metrics["selected_on"].values()


def repeats(evaluation: Evaluation) -> str:
    """What other seeds gave, in words; empty when there was one seed only."""
    found: dict[str, Any] | None = evaluation.metrics.get("repeats")
    if not found:
        return ""
    return f"{score(found['mean'])} ± {score(found['spread'])} over {len(found['seeds'])} seeds"


def effort(experiment: Experiment) -> dict[str, str]:
    """What the training took."""
    if not experiment.training:
        return {}
    timing = experiment.training.timing
    seconds = [row["seconds"] or 0 for row in timing]
    waiting = [row["waiting_share"] for row in timing if row["waiting_share"] is not None]
    return {
        "epochs": str(len(timing)),
        "best epoch": str(experiment.training.run["best_epoch"]),
        "training": duration(sum(seconds)),
        "one epoch": duration(mean(seconds)) if seconds else NONE,
        "waiting for data": percent(mean(waiting)) if waiting else NONE,
    }
