"""What a result comes from: the record that run.json keeps of it, and the fingerprint that a resume must match."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from segpipe import artifacts, lineage, params
from segpipe.checkpoints import MODEL_FILE, encoder_facts
from segpipe.devices import Machine
from segpipe.params import Combined, Experiment
from segpipe.processes import place


def record(name: str, settings: Experiment | Combined, classes: list[str], machine: Machine) -> dict[str, Any]:
    """Everything that is known of a training before its first step."""
    prepared, augmented = artifacts.prepared(settings.prepared), artifacts.augmented(settings.augmented)
    return {
        "experiment": name,
        "description": params.description(name),
        "params": settings.model_dump(mode="json"),
        "classes": classes,
        "lineage": {
            **lineage.commit(),
            "data": {
                "prepared": artifacts.read_json(prepared / "manifest.json")["content"],
                "augmented": artifacts.read_json(augmented / "manifest.json")["content"],
            },
            "weights": _encoder(settings) if isinstance(settings, Experiment) else _members(settings),
            "environment": lineage.environment(),
        },
        "machine": {**machine.described(), "processes": place().count},
    }


def _encoder(settings: Experiment) -> dict[str, str]:
    path = artifacts.weights(settings.weights)
    facts = encoder_facts(path)
    said = {key: facts[key] for key in ("origin", "label")}
    return {"name": settings.weights, "sha256": lineage.file_hash(path), **said}


def _members(settings: Combined) -> dict[str, str]:
    """Two checkpoints stand where else an encoder does."""
    names = (settings.members.first, settings.members.second)
    hashes = [lineage.file_hash(artifacts.checkpoint(name) / MODEL_FILE) for name in names]
    behind = [artifacts.read_json(artifacts.checkpoint(name) / "run.json")["lineage"]["weights"] for name in names]
    return {
        "name": " + ".join(names),
        "sha256": hashlib.sha256(" ".join(hashes).encode()).hexdigest(),
        "origin": f"the trained {' and '.join(names)}",
        "label": next((weights["label"] for weights in behind if weights["label"]), ""),
    }


def fingerprint(made_of: dict[str, Any], features: list[str | None]) -> str:
    """Changes with whatever changes the result: to go on from anything else would be a lie. Repeats change nothing."""
    settings = {key: value for key, value in made_of["params"].items() if key != "repeats"}
    inputs = [settings, made_of["machine"], made_of["lineage"]["data"], made_of["lineage"]["weights"], features]
    return hashlib.sha256(json.dumps([*inputs, lineage.source()], sort_keys=True).encode()).hexdigest()
