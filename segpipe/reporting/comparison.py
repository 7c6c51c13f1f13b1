"""Writes what git keeps of the results: one table of all experiments, and copies of the files that the gate reads."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from typing import Any

from segpipe import artifacts
from segpipe.reporting.evidence import Experiment

SCORES = ("miou", "miou_absent_as_zero", "pixel_accuracy", "mpa", "mean_dice", "fwiou", "loss")
BESIDE = ("resolution_ceiling", "colour_alone")
# Equal results must give an equal file: seconds and milliseconds are shown on the page, and stay out of here.
COLUMNS = (
    *("experiment", "model", "prepared", "augmented", "split", "selected_on", *SCORES, *BESIDE),
    *("parameters", "trainable_parameters", "epochs", "data", "checkpoint", "fabricated", "weights", "note"),
)
COPIED = ("metrics.json", "image_counts.csv")


def write(experiments: Iterable[Experiment]) -> None:
    """reports/comparison.csv: a row for each experiment, scored or not."""
    artifacts.write_rows(artifacts.COMPARISON, map(row, experiments), COLUMNS)


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


def sentence(selected_on: Mapping[str, str]) -> str:
    """What was chosen on which split, in words: `{"checkpoint": "val"}` is `checkpoint on val`."""
    return ", ".join(f"{choice} on {split}" for choice, split in selected_on.items())


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
