"""What a result comes from: the record that run.json keeps of it, and the fingerprint that a resume must match."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from segpipe import artifacts, lineage, params
from segpipe.checkpoints import encoder_facts
from segpipe.devices import Machine
from segpipe.params import Experiment


def record(name: str, settings: Experiment, classes: list[str], machine: Machine) -> dict[str, Any]:
    """Everything that is known of a training before its first step."""
    prepared, augmented = artifacts.prepared(settings.prepared), artifacts.augmented(settings.augmented)
    encoder = artifacts.weights(settings.weights)
    facts = encoder_facts(encoder)
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
            "weights": {
                "name": settings.weights,
                "sha256": lineage.file_hash(encoder),
                "origin": facts["origin"],
                "label": facts["label"],
            },
            "environment": lineage.environment(),
        },
        "machine": machine.described(),
    }


def fingerprint(made_of: dict[str, Any]) -> str:
    """Changes with whatever changes the result: to go on from anything else would be a lie."""
    inputs = [made_of["params"], made_of["machine"], made_of["lineage"]["data"], made_of["lineage"]["weights"]]
    return hashlib.sha256(json.dumps([*inputs, lineage.source()], sort_keys=True).encode()).hexdigest()
