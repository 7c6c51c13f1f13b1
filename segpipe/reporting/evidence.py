"""Reads the files that a report stands on, and says which of them are missing and how to make them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segpipe import artifacts

TRAINING_FILES = ("run.json", "history.csv", "timing.csv")
EVALUATION_FILES = ("metrics.json", "confusion.csv", "image_counts.csv", "images.csv", "cost.json", "panels.json")

NONE = "\N{EN DASH}"
"""What stands in tables for a number that does not exist."""

Numbers = dict[str, float | None]


@dataclass(frozen=True)
class Training:
    """What `train` left: its lineage, two logs with a row an epoch, and how an average's shares were fitted."""

    run: dict[str, Any]
    history: list[Numbers]
    timing: list[Numbers]
    shares: list[Numbers]


@dataclass(frozen=True)
class Evaluation:
    """What `evaluate` left; `confusion` has a row a true class, by the order of `classes`. Older ones lack the last."""

    metrics: dict[str, Any]
    cost: dict[str, Any]
    classes: list[str]
    confusion: list[list[int]]
    image_mious: list[float]
    panels: list[dict[str, Any]]
    calibration: list[Numbers]
    calibration_scaled: list[Numbers]
    parity: list[dict[str, Any]]

    @property
    def interval(self) -> tuple[float, float] | None:
        """Where mIoU lies, by the bootstrap over the images; none where it was not taken."""
        found = (self.metrics.get("intervals") or {}).get("miou")
        return (found[0], found[1]) if found and None not in found else None


@dataclass(frozen=True)
class Experiment:
    """An experiment of params.yaml, with as much of its results as exists."""

    name: str
    description: str
    params: dict[str, Any]
    training: Training | None
    evaluation: Evaluation | None
    missing: tuple[str, ...]

    @property
    def miou(self) -> float | None:
        return self.evaluation.metrics["miou"] if self.evaluation else None

    @property
    def weights_label(self) -> str:
        """Empty, or why the weights make its numbers worth nothing: `random: mechanics only`."""
        if self.evaluation:
            return self.evaluation.metrics["weights_label"] or ""
        weights = self.training.run["lineage"]["weights"] if self.training else None
        return (weights or {}).get("label") or ""


@dataclass(frozen=True)
class PreparedSet:
    """Experiments that may be compared, best first, and the data that they share."""

    name: str
    manifest: dict[str, Any] | None
    missing: str
    licence: str
    experiments: list[Experiment]

    @property
    def has_public_pictures(self) -> bool:
        """Whether its pictures may be passed on, as the page is."""
        return bool(self.manifest and self.manifest["fabricated"]) or may_be_passed_on(self.licence)

    @property
    def evaluated(self) -> list[tuple[Experiment, Evaluation]]:
        return [(one, one.evaluation) for one in self.experiments if one.evaluation]

    @property
    def colors(self) -> list[list[int]]:
        """The display colours by class id; none without a manifest."""
        return [label["color"] for label in self.manifest["labels"]["classes"]] if self.manifest else []

    @property
    def is_fabricated(self) -> bool:
        claims = [evaluation.metrics["fabricated"] for _, evaluation in self.evaluated]
        return any(claims) or bool(self.manifest and self.manifest["fabricated"])


@dataclass(frozen=True)
class Audit:
    """What `audit` found in one dataset."""

    dataset: str
    content: dict[str, Any]
    contact_sheet: Path

    @property
    def has_public_pictures(self) -> bool:
        source = self.content["source"]
        return bool(source["fabricated"]) or may_be_passed_on(source["licence"])


@dataclass(frozen=True)
class Evidence:
    sets: list[PreparedSet]
    audits: list[Audit]

    @property
    def withholds_pictures(self) -> bool:
        """Whether the page that may be passed on lacks pictures that its reader has."""
        return not (
            all(a_set.has_public_pictures for a_set in self.sets)
            and all(audit.has_public_pictures for audit in self.audits)
        )

    @property
    def experiments(self) -> list[Experiment]:
        """All of them, by name."""
        return sorted((one for a_set in self.sets for one in a_set.experiments), key=lambda one: one.name)


def may_be_passed_on(licence: str) -> bool:
    """Whether terms, as a dataset's file words them, say nothing against it; unknown terms do not count as leave."""
    return bool(licence) and "redistribut" not in licence.lower()


def gather() -> Evidence:
    """Everything that can be reported now."""
    folder = artifacts.resolved("experiments", "any").parent
    experiments = [_experiment(path) for path in sorted(folder.glob("*.json"))]
    if not experiments:
        raise FileNotFoundError(
            f"{folder} holds no experiment; one file was expected for each in params.yaml. Run `dvc repro resolve`"
        )
    sets = [_prepared_set(name, experiments) for name in sorted({one.params["prepared"] for one in experiments})]
    datasets = sorted({a_set.manifest["dataset"] for a_set in sets if a_set.manifest})
    return Evidence(sets, [audit for audit in map(audit_of, datasets) if audit])


def _experiment(path: Path) -> Experiment:
    name, params = path.stem, artifacts.read_json(path)
    checkpoint, evaluation = artifacts.checkpoint(name), artifacts.evaluation(name)
    stage = "combine" if "members" in params else "train"
    untrained = _first_missing(checkpoint, TRAINING_FILES, f"{stage}@{name}")
    if untrained:
        untrained = _first_missing_input(params) or untrained
    unevaluated = _first_missing(evaluation, EVALUATION_FILES, f"evaluate@{name}")
    return Experiment(
        name,
        artifacts.read_json(artifacts.resolved("descriptions", "experiments"))[name],
        params,
        None if untrained else _training(checkpoint),
        None if unevaluated else _evaluation(evaluation),
        tuple(reason for reason in (untrained, unevaluated) if reason),
    )


def _first_missing_input(params: dict[str, Any]) -> str:
    """Where the way to a training breaks off, from its dataset on; empty when all that it needs is there."""
    prepared, augmented = params["prepared"], params["augmented"]
    steps = [
        (artifacts.prepared(prepared), "manifest.json", f"preprocess@{prepared}"),
        (artifacts.augmented(augmented), "manifest.json", f"augment@{augmented}"),
    ]
    if "members" in params:
        members = params["members"].values()
        steps += [(artifacts.checkpoint(member), "run.json", f"train@{member}") for member in members]
    else:
        weights = artifacts.weights(params["weights"])
        steps.append((weights.parent, weights.name, f"fetch@{params['weights']}"))
    block = artifacts.resolved("prepared", prepared)
    if block.exists() and not (artifacts.prepared(prepared) / "manifest.json").exists():
        dataset = artifacts.read_json(block)["dataset"]
        steps = [
            (artifacts.raw(dataset), "source.json", f"download@{dataset}"),
            (artifacts.audit(dataset), "pairs.csv", f"audit@{dataset}"),
            *steps,
        ]
    return next((reason for folder, file, stage in steps if (reason := _first_missing(folder, (file,), stage))), "")


def _first_missing(folder: Path, files: tuple[str, ...], stage: str) -> str:
    for file in files:
        if not (folder / file).exists():
            return f"{(folder / file).as_posix()} is missing: run `dvc repro {stage}`"
    return ""


def _training(folder: Path) -> Training:
    run = artifacts.read_json(folder / "run.json")
    logs = (_numbers(folder / f"{log}.csv") for log in ("history", "timing", "shares"))
    return Training(run, *logs)


def _evaluation(folder: Path) -> Evaluation:
    confusion = artifacts.read_rows(folder / "confusion.csv")
    classes = [row["truth"] for row in confusion]
    mious = [row["miou"] for row in _numbers(folder / "images.csv", text=("image",))]
    parity = folder / "parity.json"
    return Evaluation(
        artifacts.read_json(folder / "metrics.json"),
        artifacts.read_json(folder / "cost.json"),
        classes,
        [[int(row[name]) for name in classes] for row in confusion],
        sorted(miou for miou in mious if miou is not None),
        artifacts.read_json(folder / "panels.json"),
        _numbers(folder / "calibration.csv"),
        _numbers(folder / "calibration_scaled.csv"),
        artifacts.read_json(parity) if parity.exists() else [],
    )


def _numbers(path: Path, text: tuple[str, ...] = ()) -> list[Numbers]:
    """A log's rows; none where there is no such log, as its stage did not keep one."""
    if not path.exists():
        return []
    rows = artifacts.read_rows(path)
    return [{column: _number(value) for column, value in row.items() if column not in text} for row in rows]


def _number(text: str) -> float | None:
    """None where nothing was measured, which a log writes as an empty field or as `nan`."""
    value = float(text or "nan")
    return value if math.isfinite(value) else None


def _prepared_set(name: str, experiments: list[Experiment]) -> PreparedSet:
    missing = _first_missing(artifacts.prepared(name), ("manifest.json",), f"preprocess@{name}")
    manifest = None if missing else artifacts.read_json(artifacts.prepared(name) / "manifest.json")
    members = [one for one in experiments if one.params["prepared"] == name]
    audit = audit_of(manifest["dataset"]) if manifest else None
    licence = audit.content["source"]["licence"] if audit else ""
    return PreparedSet(name, manifest, missing, licence, sorted(members, key=_best_first))


def _best_first(experiment: Experiment) -> tuple[float, str]:
    return (1.0 if experiment.miou is None else -experiment.miou, experiment.name)


def audit_of(dataset: str) -> Audit | None:
    """None where it was not audited here."""
    folder = artifacts.audit(dataset)
    if not (folder / "audit.json").exists():
        return None
    return Audit(dataset, artifacts.read_json(folder / "audit.json"), folder / "contact_sheet.png")
