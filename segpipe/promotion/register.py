"""Registers what was trained, and makes it champion when its gate is open."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

from segpipe import artifacts, lineage, params, tracking
from segpipe.checkpoints import MODEL_FILE, origin_of
from segpipe.inference import predict
from segpipe.params import Gate
from segpipe.promotion.evidence import Champion, Metrics, read_champions, read_counts
from segpipe.promotion.gate import verdict
from segpipe.terminal import say

SERVED_MODEL = Path(predict.__file__).with_name("served_model.py")


def register_all(gates: dict[str, Gate]) -> int:
    """A version for each gate's experiment; 1 when a gate is closed, for its champion then stays."""
    return max([_register(name, gate) for name, gate in gates.items()], default=0)


def _register(name: str, gate: Gate) -> int:
    metrics = artifacts.read_json(artifacts.report(gate.experiment) / "metrics.json")
    checkpoint = artifacts.checkpoint(gate.experiment) / MODEL_FILE
    if lineage.file_hash(checkpoint) != metrics["checkpoint"]:
        raise ValueError(
            f"reports/{gate.experiment}/metrics.json was measured on another checkpoint than {checkpoint}. "
            f"Evaluate it first: `dvc repro report`"
        )
    version = tracking.registered_version(name, metrics["checkpoint"]) or _new_version(name, gate, metrics)
    tracking.set_alias(name, tracking.CHALLENGER, version)
    if not all(check.passed for check in verdict(name, gate)):
        say(f"{name}: version {version} is registered as {tracking.CHALLENGER}; its gate is closed, the champion stays")
        return 1
    tracking.set_alias(name, tracking.CHAMPION, version)
    _write_champion(name, gate, metrics, version)
    say(f"{name}: version {version} ({gate.experiment}, mIoU {metrics['miou']:.4f}) is the {tracking.CHAMPION}")
    return 0


def _new_version(name: str, gate: Gate, metrics: dict[str, Any]) -> str:
    experiment = params.experiment(gate.experiment)
    prepared = params.prepared(experiment.prepared)
    folder = artifacts.checkpoint(gate.experiment)
    run = artifacts.read_json(folder / "run.json")
    history, timing = (artifacts.read_rows(folder / file) for file in ("history.csv", "timing.csv"))
    run_id = tracking.continued(run, list(history), list(timing)).id
    if run_id is None:
        raise ValueError(f"{name}: no registry answers at {tracking.uri()}. Start it, then `dvc repro register`")
    config = {
        "experiment": experiment.model_dump(mode="json"),
        "labels": prepared.labels,
        "size": list(prepared.size),
        "interpolation": prepared.interpolation,
        "metrics": metrics,
    }
    config_file = artifacts.working("registering") / name / "config.json"
    artifacts.write_json(config_file, config)
    origin = origin_of(gate.experiment, experiment)
    files = {"config": config_file, "checkpoint": folder / MODEL_FILE, "origin": origin}
    return tracking.register(name, run_id, SERVED_MODEL, files, _example(gate.experiment), _tags(metrics, run))


def _example(experiment: str) -> dict[str, list[str]]:
    """One image as the served model takes it."""
    panels = artifacts.evaluation(experiment)
    first = artifacts.read_json(panels / "panels.json")[0]["input"]
    return {"image": [base64.b64encode((panels / first).read_bytes()).decode()]}


def _tags(metrics: dict[str, Any], run: dict[str, Any]) -> dict[str, str]:
    came_from = run["lineage"]
    return {
        "experiment": metrics["experiment"],
        "checkpoint": metrics["checkpoint"],
        "data": metrics["data"],
        "commit": came_from["commit"],
        "dirty": str(came_from["dirty"]),
        "environment": came_from["environment"],
        "weights": came_from["weights"]["sha256"],
        "weights_label": came_from["weights"]["label"],
        "fabricated_data": str(metrics["fabricated"]),
        "miou": repr(metrics["miou"]),
    }


def _write_champion(name: str, gate: Gate, metrics: dict[str, Any], version: str) -> None:
    """What the next candidate is measured against, image by image, without the registry."""
    kept = ("experiment", "split", "miou", "data", "checkpoint", "fabricated", "weights_label")
    counts = read_counts(gate.experiment, Metrics.model_validate(metrics))
    champion = Champion(**{key: metrics[key] for key in kept}, version=version, counts=counts)
    champions = read_champions() | {name: champion}
    artifacts.write_json(artifacts.CHAMPIONS, {key: champions[key].model_dump() for key in sorted(champions)})
