"""params.yaml, validated and resolved: what each stage is told, complete with every default."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from segpipe import artifacts, components, lineage
from segpipe.components import did_you_mean
from segpipe.params import references
from segpipe.params.explaining import explanation
from segpipe.params.reading import KINDS, in_profile, read_yaml, where_written
from segpipe.params.schema import (
    Augmented,
    Combined,
    Dataset,
    Evaluation,
    Experiment,
    Gate,
    Hardware,
    Params,
    Prepared,
    ResolvedPrepared,
    Settings,
    Trained,
    Weights,
)

__all__ = [
    "Augmented",
    "Combined",
    "Dataset",
    "Evaluation",
    "Experiment",
    "Gate",
    "Hardware",
    "Params",
    "Prepared",
    "ResolvedPrepared",
    "Trained",
    "Weights",
]


def load(path: Path = artifacts.PARAMS, profile: str | None = None) -> Params:
    """The params in the profile that they choose, or in `profile`; both are validated, so that neither rots."""
    written = read_yaml(path)
    chosen = _validated(written, profile or written.get("profile"))
    for other in {"demo", "full"} - {chosen.profile}:
        _validated(written, other)
    return chosen


def _validated(written: dict[str, Any], profile: Any) -> Params:
    content = in_profile(written, profile)
    try:
        params = Params.model_validate(content)
    except ValidationError as error:
        raise ValueError(explanation(error, content, lambda path: where_written(path, written, profile))) from None
    if lines := references.broken_references(params):
        raise ValueError("\n".join(lines[:3]))
    return params


def resolve(params: Params) -> dict[str, dict[str, dict[str, Any]]]:
    """Every block by kind and name, as plain values with nothing left to look up."""
    blocks = {kind: {name: _resolved(params, kind, name) for name in getattr(params, kind)} for kind in KINDS}
    blocks["experiments"] |= blocks.pop("combined")
    # How to score, and words for people, lie apart: to change them must not train anything again.
    blocks["evaluations"] = {
        name: (block.evaluation or Evaluation()).model_dump(mode="json") for name, block in params.trained.items()
    }
    blocks["descriptions"] = {"experiments": {name: block.description for name, block in params.trained.items()}}
    return blocks


def _resolved(params: Params, kind: str, name: str) -> dict[str, Any]:
    block: Settings = getattr(params, kind)[name]
    values: dict[str, Any] = block.model_dump(mode="json")
    if "seed" in values and "seed" not in block.model_fields_set:
        values["seed"] = params.seed
    if isinstance(block, Dataset):
        values["parts"] = _parts("datasets", block.name, [])
    if isinstance(block, Prepared):
        values["labels"] = references.label_table(params, name).as_dict()
    if isinstance(block, Trained):
        values["parts"] = {}
        del values["description"], values["evaluation"]
        for field, folder in (("model", "models"), ("loss", "losses")):
            component = getattr(block, field)
            options = components.options(folder, component.name, component.options)
            values[field] = {"name": component.name, **options.model_dump(mode="json")}
            named = options.parts() if hasattr(options, "parts") else []
            values["parts"] |= _parts(folder, component.name, named)
    return values


def _parts(kind: str, name: str, named: list[str]) -> dict[str, str]:
    """DVC watches the file that is named: for those that it leans on, their hashes stand in the block."""
    others = sorted({*named, *(part for other in [name, *named] for part in components.parts(kind, other))})
    return {f"{kind}/{other}.py": lineage.file_hash(components.path(kind, other)) for other in others}


def everything_behind(experiment: str, blocks: dict[str, dict[str, dict[str, Any]]]) -> dict[str, Any]:
    """One experiment's resolved block, with the blocks that it stands on."""
    if experiment not in blocks["experiments"]:
        hint = did_you_mean(experiment, blocks["experiments"])
        raise ValueError(f"params.yaml: experiments: there is no '{experiment}'{hint}")
    block = blocks["experiments"][experiment]
    members = {name: blocks["experiments"][name] for name in block.get("members", {}).values()}
    experiments = {experiment: block, **members}
    behind = {
        kind: {one[kind]: blocks[kind][one[kind]] for one in experiments.values() if kind in one}
        for kind in ("prepared", "augmented", "weights")
    }
    dataset = blocks["prepared"][block["prepared"]]["dataset"]
    scored = {"evaluations": {experiment: blocks["evaluations"][experiment]}}
    return {"experiments": experiments, **scored, **behind, "datasets": {dataset: blocks["datasets"][dataset]}}


def write_resolved(blocks: dict[str, dict[str, dict[str, Any]]]) -> None:
    """data/resolved/<kind>/<name>.json, and nothing else under data/resolved; untouched where nothing changed."""
    from filelock import FileLock

    files = {f"{kind}/{name}.json": values for kind, named in blocks.items() for name, values in named.items()}
    if _are_written(files):
        return
    lock = artifacts.working("resolved.lock")
    lock.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(lock):  # the processes of one training may all find that params.yaml was edited
        if not _are_written(files):
            with artifacts.replacing_folder(artifacts.RESOLVED) as partial:
                for file, values in files.items():
                    artifacts.write_json(partial / file, values)


def _are_written(files: dict[str, dict[str, Any]]) -> bool:
    there = {str(path.relative_to(artifacts.RESOLVED)): path for path in artifacts.RESOLVED.glob("*/*.json")}
    try:
        return there.keys() == files.keys() and all(artifacts.read_json(there[file]) == files[file] for file in files)
    except FileNotFoundError:  # another process replaces them now
        return False


def dataset(name: str) -> Dataset:
    return Dataset.model_validate_json(_block_text("datasets", name))


def prepared(name: str) -> ResolvedPrepared:
    return ResolvedPrepared.model_validate_json(_block_text("prepared", name))


def augmented(name: str) -> Augmented:
    return Augmented.model_validate_json(_block_text("augmented", name))


def weights(name: str) -> Weights:
    return Weights.model_validate_json(_block_text("weights", name))


def experiment(name: str) -> Experiment | Combined:
    text = _block_text("experiments", name)
    return (Combined if "members" in json.loads(text) else Experiment).model_validate_json(text)


def evaluation(experiment: str) -> Evaluation:
    """How an experiment is scored."""
    return Evaluation.model_validate_json(_block_text("evaluations", experiment))


def description(experiment: str) -> str:
    """What params.yaml says of an experiment, for people."""
    known: dict[str, str] = artifacts.read_json(artifacts.resolved("descriptions", "experiments"))
    return known.get(experiment, "")


def gates() -> dict[str, Gate]:
    """Every gate, by the name of the registered model."""
    _keep_up_with_params()
    folder = artifacts.RESOLVED / "gates"
    return {file.stem: Gate.model_validate_json(file.read_text("utf-8")) for file in sorted(folder.glob("*.json"))}


def _block_text(kind: str, name: str) -> str:
    _keep_up_with_params()
    path = artifacts.resolved(kind, name)
    if not path.is_file():
        known = [file.stem for file in path.parent.glob("*.json")]
        raise ValueError(f"params.yaml: {kind}: there is no '{name}'{did_you_mean(name, known)}")
    return path.read_text(encoding="utf-8")


def _keep_up_with_params() -> None:
    """Run by hand, a stage follows params.yaml as it stands; under DVC it follows what `resolve` wrote."""
    if "DVC_STAGE" not in os.environ:
        write_resolved(resolve(load()))


def hardware() -> Hardware:
    """The machine's block of params.yaml, under what the environment says: SEGPIPE_DEVICE, _PRECISION, _WORKERS."""
    written = (read_yaml(artifacts.PARAMS).get("hardware") or {}) if artifacts.PARAMS.is_file() else {}
    from_environment = {
        field: os.environ[f"SEGPIPE_{field.upper()}"]
        for field in Hardware.model_fields
        if f"SEGPIPE_{field.upper()}" in os.environ
    }
    content = {**written, **from_environment}
    try:
        return Hardware.model_validate(content, strict=False)
    except ValidationError as error:
        lines = explanation(error, content, lambda path: ["hardware", *path])
        for field in from_environment:
            lines = lines.replace(f"params.yaml: hardware.{field}:", f"SEGPIPE_{field.upper()}:")
        raise ValueError(lines) from None
