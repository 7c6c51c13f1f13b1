"""Registers what was trained, and makes it champion when its gate is open."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import shutil
from pathlib import Path
from typing import Any

from segpipe import artifacts, lineage, params, tracking
from segpipe.checkpoints import MODEL_FILE, origin_of
from segpipe.inference import usable_model
from segpipe.params import Gate
from segpipe.promotion import evidence
from segpipe.promotion.evidence import Champion
from segpipe.promotion.gate import verdict
from segpipe.promotion.model_card import card
from segpipe.terminal import say
from segpipe.tracking import registry

SERVED_MODEL = Path(usable_model.__file__).with_name("served_model.py")
COUNTS_FILE, CARD_FILE = "image_counts.csv", "model_card.md"


def register_all(gates: dict[str, Gate]) -> int:
    """A version for each gate's experiment; 1 when a gate is closed, for its champion then stays."""
    return max([_register(name, gate) for name, gate in gates.items()], default=0)


def _register(name: str, gate: Gate) -> int:
    config = _config(gate.experiment)
    metrics = config["metrics"]
    content = hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()
    version = registry.registered_version(name, content) or _new_version(name, gate, config, content)
    registry.set_alias(name, tracking.CHALLENGER, version)
    if not all(check.passed for check in verdict(name, gate)):
        say(f"{name}: version {version} is registered as {tracking.CHALLENGER}; its gate is closed, the champion stays")
        return 1
    candidate = registry.find(name, version)
    if since := candidate.tags.get(registry.ROLLED_BACK):
        say(
            f"{name}: version {version} was rolled back at {since} and stays {tracking.CHALLENGER}, its gate is open. "
            f"To bring it back: `python -m segpipe rollback {name} --to {version}`"
        )
        return 0
    before = registry.promote(name, version, f"gate of {gate.experiment}")
    evidence.write_champion(name, champion_of(candidate))
    came = {None: "the first", version: "still the"}.get(before, f"after version {before}, the")
    say(f"{name}: version {version} ({gate.experiment}, mIoU {metrics['miou']:.4f}) is {came} {tracking.CHAMPION}")
    return 0


def champion_of(version: registry.Version) -> Champion:
    """What the next candidate is measured against, image by image, as it was packed into the registered version."""
    files = version.files()
    metrics = artifacts.read_json(files / usable_model.CONFIG_FILE)["metrics"]
    counts = evidence.read_counts(files / COUNTS_FILE, metrics)
    kept = ("experiment", "split", "miou", "data", "checkpoint", "fabricated", "weights_label", "evaluation")
    return Champion(**{key: metrics[key] for key in kept if key in metrics}, version=version.number, counts=counts)


def _config(experiment: str) -> dict[str, Any]:
    """config.json of the version: everything that decides what it predicts and how well, and nothing of the moment."""
    metrics = artifacts.read_json(artifacts.report(experiment) / "metrics.json")
    checkpoint = artifacts.checkpoint(experiment) / MODEL_FILE
    if lineage.file_hash(checkpoint) != metrics["checkpoint"]:
        raise ValueError(
            f"reports/{experiment}/metrics.json was measured on another checkpoint than {checkpoint}. "
            f"Evaluate it first: `dvc repro report`"
        )
    origin = origin_of(experiment, params.experiment(experiment))
    return {**usable_model.described(experiment), "origin_sha256": lineage.file_hash(origin), "metrics": metrics}


def _new_version(name: str, gate: Gate, config: dict[str, Any], content: str) -> str:
    folder = artifacts.checkpoint(gate.experiment)
    run = artifacts.read_json(folder / "run.json")
    history, timing = (artifacts.read_rows(folder / file) for file in ("history.csv", "timing.csv"))
    run_id = tracking.continued(run, list(history), list(timing)).id
    if run_id is None:
        raise ValueError(f"{name}: no registry answers at {tracking.uri()}. Start it, then `dvc repro register`")
    made, text = artifacts.working("registering") / name, card(name, config, run, _source(gate.experiment))
    artifacts.write_json(made / usable_model.CONFIG_FILE, config)
    artifacts.write_text(made / CARD_FILE, text)
    files = {
        "config": made / usable_model.CONFIG_FILE,
        "card": made / CARD_FILE,
        "checkpoint": folder / MODEL_FILE,
        "origin": origin_of(gate.experiment, params.experiment(gate.experiment)),
        "counts": artifacts.report(gate.experiment) / COUNTS_FILE,
    }
    tags = {**_tags(config["metrics"], run), "origin": config["origin_sha256"], "content": content}
    plain = {kind: _plain(path, made) for kind, path in files.items()}
    version = registry.register(name, run_id, SERVED_MODEL, plain, _example(config["size"]), tags)
    shutil.rmtree(made)
    registry.describe(name, version, text)
    return version


def _plain(path: Path, folder: Path) -> Path:
    """MLflow packs no symbolic links, and DVC leaves them where its `cache.type` says so."""
    return Path(shutil.copyfile(path, folder / path.name)) if path.is_symlink() else path


def _example(size: list[int]) -> dict[str, list[str]]:
    """An image as the served model takes it: drawn, since a picture of the data may not be passed on with a model."""
    from PIL import Image

    height, width = size
    png = io.BytesIO()
    Image.linear_gradient("L").resize((width, height)).convert("RGB").save(png, format="PNG")
    return {"image": [base64.b64encode(png.getvalue()).decode()]}


def _tags(metrics: dict[str, Any], run: dict[str, Any]) -> dict[str, str]:
    """The whole lineage: what `verify` compares with today."""
    came_from, machine = run["lineage"], run["machine"]
    return {
        **{key: metrics[key] for key in ("experiment", "checkpoint", "prepared", "data", "split", "weights_label")},
        "fabricated_data": str(metrics["fabricated"]),
        "miou": repr(metrics["miou"]),
        **{key: str(came_from[key]) for key in ("commit", "dirty", "environment")},
        **{f"data.{name}": str(content) for name, content in came_from["data"].items()},
        "weights": came_from["weights"]["sha256"],
        **{f"weights.{key}": str(came_from["weights"][key]) for key in ("name", "origin")},
        "selected_on": json.dumps(run["selected_on"]),
        "best_epoch": str(run["best_epoch"]),
        **{f"machine.{key}": str(value) for key, value in machine.items()},
    }


def _source(experiment: str) -> dict[str, Any]:
    """Where the images came from, as the audit of their dataset keeps it."""
    dataset = params.prepared(params.experiment(experiment).prepared).dataset
    audit = artifacts.audit(dataset) / "audit.json"
    if not audit.is_file():
        return {"dataset": dataset, "origin": "Its audit was not at hand.", "licence": "", "fabricated": False}
    source: dict[str, Any] = artifacts.read_json(audit)["source"]
    return source
