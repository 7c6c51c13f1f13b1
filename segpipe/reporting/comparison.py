"""Writes what git keeps of the results: one table of all experiments, and copies of the files that the gate reads."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from typing import Any

from segpipe import artifacts
from segpipe.reporting.evidence import Experiment
from segpipe.reporting.wording import sentence

SCORES = ("miou", "miou_absent_as_zero", "pixel_accuracy", "mpa", "mean_dice", "fwiou", "loss")
BESIDE = ("resolution_ceiling", "colour_alone")
# Equal results must give an equal file: seconds and milliseconds are shown on the page, and stay out of here.
COLUMNS = (
    *("experiment", "model", "prepared", "augmented", "split", "selected_on", *SCORES, *BESIDE),
    *("parameters", "trainable_parameters", "epochs", "data", "checkpoint", "fabricated", "weights", "note"),
)
SUMMARY = artifacts.REPORTS / "metrics.json"
"""What `dvc metrics` shows."""
COPIED = ("metrics.json", "image_counts.csv")


def write(experiments: Iterable[Experiment]) -> None:
    """reports/comparison.csv, a row for each experiment, scored or not; reports/metrics.json, the scores by set."""
    rows = [row(experiment) for experiment in experiments]
    artifacts.write_rows(artifacts.COMPARISON, rows, COLUMNS)
    by_set: dict[str, dict[str, Any]] = {}
    for one in rows:
        if "split" in one:
            by_set.setdefault(one["prepared"], {})[one["experiment"]] = {score: one[score] for score in SCORES}
    artifacts.write_json(SUMMARY, by_set)


def row(experiment: Experiment) -> dict[str, Any]:
    """What is known of an experiment; `note` says why the scores are empty, where they are."""
    params = experiment.params
    known = {
        "experiment": experiment.name,
        "model": params["model"]["name"],
        "prepared": params["prepared"],
        "augmented": params.get("augmented"),
        "epochs": params.get("epochs"),
        "weights": experiment.weights_label or params.get("weights"),
    }
    if experiment.evaluation is None:
        return {**known, "note": experiment.missing[0]}
    metrics, cost = experiment.evaluation.metrics, experiment.evaluation.cost
    return {
        **known,
        **{score: metrics[score] for score in ("split", "fabricated", *SCORES, *BESIDE)},
        **{count: cost[count] for count in ("parameters", "trainable_parameters")},
        "selected_on": sentence(metrics["selected_on"]),
        "data": metrics["data"][:12],
        "checkpoint": metrics["checkpoint"][:12],
    }


def copy_evaluations(experiments: Iterable[Experiment]) -> None:
    """reports/<experiment>/: exact copies; a dropped experiment's folder goes, if it holds nothing else."""
    named = set()
    for experiment in experiments:
        named.add(experiment.name)
        if experiment.evaluation:
            for file in COPIED:
                source = artifacts.evaluation(experiment.name) / file
                with artifacts.replacing_file(artifacts.report(experiment.name) / file) as partial:
                    shutil.copyfile(source, partial)
    for folder in artifacts.REPORTS.iterdir():
        if folder.is_dir() and folder.name not in named:
            held = {path.name for path in folder.iterdir()}
            if held and held <= set(COPIED):
                shutil.rmtree(folder)
