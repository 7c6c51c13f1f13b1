"""The store made equal to the files: what it missed is uploaded, what it lost is rebuilt, and nothing comes twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from segpipe import artifacts, lineage
from segpipe.tracking.runs import continued, end_abandoned, find, known_as
from segpipe.tracking.store import client, experiment_id, uri

CHECKPOINT = "model.safetensors"


def upload(rebuild: bool = False) -> list[str]:
    """A line for each run that the store did not have as the files do; lost ones only come back with `rebuild`."""
    folders = sorted(path.parent for path in artifacts.checkpoint("any").parent.glob("*/run.json"))
    said = [line for folder in folders if (line := _uploaded(folder, rebuild))]
    gone = [name for experiment in client().search_experiments() for name in end_abandoned(experiment.experiment_id)]
    return [*said, *(f"{name}: its process is gone; ended as FAILED" for name in gone)]


def _uploaded(folder: Path, rebuild: bool) -> str:
    """What was done for one finished training, or nothing."""
    record = artifacts.read_json(folder / "run.json")
    name, run_id = record["experiment"], record["tracking"]["run_id"]
    if run_id and not rebuild and not _is_there(record):
        return f"{name}: its run {run_id} is lost; `python -m segpipe tracking rebuild` makes it anew"
    run = continued(record, *(_rows(folder / file) for file in ("history.csv", "timing.csv")))
    scored = artifacts.evaluation(name)
    if _is_scored_from(scored, folder):
        run.log_evaluation(scores_of(artifacts.read_json(scored / "metrics.json")), pictures_of(scored))
    run.end()
    if run.is_away:
        raise ValueError(f"{name}: {uri()} does not answer. Start it, then run this again: it goes on from there")
    return f"{name}: uploaded {', '.join(run.uploaded)}" if run.uploaded else ""


def scores_of(metrics: dict[str, Any]) -> dict[str, float]:
    """metrics.json under the names that the store uses: each score with its split, and the IoU of each class."""
    split = metrics["split"]
    scores = {f"{split}_{key}": value for key, value in metrics.items() if isinstance(value, float)}
    per_class = {f"{split}_iou.{name}": row["iou"] for name, row in metrics["per_class"].items()}
    return scores | {key: value for key, value in per_class.items() if value is not None}


def pictures_of(evaluation: Path) -> list[Path]:
    """What there is to look at."""
    return sorted(evaluation.glob("panels/*.png"))


def _is_scored_from(scored: Path, checkpoint: Path) -> bool:
    """Whether the evaluation is there, and of these very weights."""
    if not (scored / "metrics.json").is_file():
        return False
    of_weights: str = artifacts.read_json(scored / "metrics.json")["checkpoint"]
    return of_weights == lineage.file_hash(checkpoint / CHECKPOINT)


def _rows(path: Path) -> list[dict[str, Any]]:
    return [dict(row) for row in artifacts.read_rows(path)]


def _is_there(record: dict[str, Any]) -> bool:
    experiment = experiment_id(record["params"]["prepared"])
    return find(experiment, record["tracking"]["run_id"], known_as(record)) is not None
