"""What a run says of where it comes from: its settings, its data, its weights, the code and the machine."""

from __future__ import annotations

import os
import re
import socket
from typing import Any

from segpipe import artifacts
from segpipe.tracking import pages

LONGEST_DIGEST = 36
"""MLflow's limit: the beginning of a sha256 is name enough."""

OURS = "segpipe.id"
"""The tag of a run that was rebuilt: what the files call it, whose store is lost."""

PROCESS = "segpipe.process"
"""The tag of a run's writer, `host:process`: who sees that it is gone may end the run."""


def tags(record: dict[str, Any]) -> dict[str, str]:
    """Everything by which runs are told apart, and found again."""
    came_from, settings = record["lineage"], record["params"]
    told = {
        "mlflow.source.name": "python -m stages.train",
        "mlflow.source.git.commit": came_from["commit"],
        pages.NOTE: note(record),
        "model": settings["model"]["name"],
        "fabricated_data": pages.is_fabricated(settings["prepared"]),
        "dirty": came_from["dirty"],
        "environment": came_from["environment"],
        "weights": came_from["weights"]["sha256"],
        "weights_label": came_from["weights"]["label"],
        **{f"data.{name}": content for name, content in came_from["data"].items()},
        **{f"dvc.{name}": digest for name, digest in _in_dvc_lock(settings).items()},
        **{f"machine.{name}": value for name, value in record["machine"].items()},
    }
    return {key: str(value) for key, value in told.items()}


def note(record: dict[str, Any]) -> str:
    """Markdown, shown at the head of the run's page."""
    settings, came_from, name = record["params"], record["lineage"], record["experiment"]
    weights = came_from["weights"]
    changed = " with changes that are in no commit" if came_from["dirty"] else ""
    rows = {
        "Data": f"`{settings['prepared']}`, augmented as `{settings.get('augmented', 'none')}`"
        + (" (**fabricated**)" if pages.is_fabricated(settings["prepared"]) else ""),
        "Model": f"`{settings['model']['name']}` on `{weights.get('name', 'its weights')}`"
        + (f" (**{weights['label']}**)" if weights["label"] else ""),
        "Code": f"commit `{came_from['commit'][:12]}`{changed}",
        "Machine": ", ".join(f"{key} {value}" for key, value in record["machine"].items()),
    }
    table = "\n".join(f"| **{key}** | {value} |" for key, value in rows.items())
    again = f"git checkout {came_from['commit'][:12]}\ndvc repro evaluate@{name}"
    return f"{record['description']}\n\n| | |\n|---|---|\n{table}\n\nTo repeat it:\n\n```\n{again}\n```\n"


def _in_dvc_lock(settings: dict[str, Any]) -> dict[str, str]:
    """What DVC calls the data and the weights, where it has made them."""
    if not artifacts.DVC_LOCK.is_file():
        return {}
    text = artifacts.DVC_LOCK.read_text(encoding="utf-8")
    wanted = {kind: f"data/{kind}/{settings.get(kind)}" for kind in ("prepared", "augmented")}
    wanted |= {"weights": str(artifacts.weights(settings.get("weights", "")))}
    entries = {kind: rf"path: {re.escape(path)}\n\s+hash: md5\n\s+md5: (\S+)" for kind, path in wanted.items()}
    found = {kind: re.search(entry, text) for kind, entry in entries.items()}
    return {kind: match[1] for kind, match in found.items() if match}


def datasets(record: dict[str, Any]) -> list[Any]:
    """MLflow's own entries for what was trained on and what it was selected by."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    settings, contents = record["params"], record["lineage"]["data"]
    inputs = []
    for kind, context in (("prepared", "training, validation"), ("augmented", "training")):
        if kind in settings and kind in contents:
            place = f"data/{kind}/{settings[kind]}"
            digest = contents[kind][:LONGEST_DIGEST]
            dataset = Dataset(settings[kind], digest, "local", f'{{"uri": "{place}"}}')
            inputs.append(DatasetInput(dataset, [InputTag("mlflow.data.context", context)]))
    return inputs


def flat(settings: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings by dotted names."""
    found: dict[str, Any] = {}
    for key, value in settings.items():
        found |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return found


def this_process() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"


def is_gone(process: str | None) -> bool:
    """Whether this was a process of this machine that has ended; of another machine nobody can say."""
    host, _, number = (process or "").rpartition(":")
    return host == socket.gethostname() and not artifacts.is_running(int(number))
