"""Recomputes a registered number from the registered weights and the data that it was measured on."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from segpipe import artifacts, lineage
from segpipe.checkpoints import MODEL_FILE
from segpipe.inference.usable_model import UsableModel, chosen_machine, registered
from segpipe.params import Evaluation
from segpipe.preparation.manifest import Shard, content_hash
from segpipe.promotion import evidence, recount
from segpipe.promotion.register import COUNTS_FILE
from segpipe.terminal import say
from segpipe.tracking import registry

DIFFERENT = 3


def verify(reference: str) -> int:
    """0 when the number is the registered one to the last digit, else 3; either way, what is not as it was then."""
    version = registry.find(*registry.parsed(reference))
    usable = registered(version, chosen_machine())
    metrics = usable.config["metrics"]
    prepared = data_of(version)
    how = Evaluation.model_validate({**usable.config["evaluation"], "split": metrics["split"]})
    confusions = recount.recounted(usable, prepared, how)
    then = evidence.read_counts(version.files() / COUNTS_FILE, metrics)
    pixels, miou = recount.num_differing_pixels(then, recount.counts(confusions)), recount.miou(confusions)
    is_equal = pixels == 0 and miou == metrics["miou"]
    where = f"{len(confusions)} images of {metrics['prepared']}'s {metrics['split']} split"
    say(f"{usable.name} ({metrics['experiment']}), {where}")
    say(f"  registered  mIoU {metrics['miou']!r}\n  recomputed  mIoU {miou!r}")
    size = usable.size[0] * usable.size[1] * len(confusions)
    say("Equal to the last digit." if is_equal else f"NOT equal: at least {pixels} of {size} pixels differ.")
    for line in _differences(version, usable):
        say(line)
    return 0 if is_equal else DIFFERENT


def _differences(version: registry.Version, usable: UsableModel) -> list[str]:
    """What is not as it was when the model was trained, then and now."""
    files, commit = version.files(), lineage.commit()
    now = {
        "checkpoint": lineage.file_hash(files / MODEL_FILE),
        "origin": lineage.file_hash(files / usable.config["origin"]),
        "commit": commit["commit"],
        "dirty": str(commit["dirty"]),
        "environment": lineage.environment(),
        **{f"machine.{key}": str(value) for key, value in usable.here.described().items()},
    }
    differing = {key: (version.tags.get(key, "unknown"), value) for key, value in now.items()}
    differing = {key: both for key, both in differing.items() if both[0] != both[1]}
    if not differing:
        return ["Data, weights, code, environment and processor are those of then."]
    lines = [
        f"  {NAMES.get(key, key.removeprefix('machine.'))}: {_short(a)} → {_short(b)}"
        for key, (a, b) in differing.items()
    ]
    return ["The data are those of then. Not as then:", *lines]


def _short(value: str) -> str:
    """A hash by its beginning, anything else as it is."""
    return value[:12] if len(value) in (40, 64) and " " not in value else value


NAMES = {
    "checkpoint": "trained weights",
    "origin": "weights that training began from",
    "dirty": "uncommitted changes",
    "environment": "requirements.lock",
}


def data_of(version: registry.Version) -> Path:
    """The prepared set with the content that the version was scored on: here, or from DVC's cache or remote."""
    content, name = version.tags["data"], version.tags["prepared"]
    for manifest in sorted(artifacts.prepared(name).parent.glob("*/manifest.json")):
        if artifacts.read_json(manifest)["content"] == content:
            return _undamaged(manifest.parent, content)
    reasons = []
    for revision in ("", "HEAD", version.tags["commit"]):
        to = artifacts.working("verifying") / f"{content[:12]}-{revision[:12] or 'now'}"
        reasons.append(_get(artifacts.prepared(name), revision, to))
        if _content(to) == content:
            return _undamaged(to, content)
        shutil.rmtree(to, ignore_errors=True)
    raise FileNotFoundError(
        f"the data that {version.uri} was scored on ({name}, content {content[:12]}) are not in data/prepared, and "
        f"neither by today's dvc.lock nor by that of commit {version.tags['commit'][:12]} in DVC's cache or remote "
        f"({next(filter(None, reasons), 'there it is other data')}).\n"
        f"Check out the commit whose dvc.lock made them, then: dvc pull preprocess@{name}"
    )


def _get(path: Path, revision: str, to: Path) -> str:
    """Fetch what DVC knows of `path` at a revision, or say why it could not be had."""
    shutil.rmtree(to, ignore_errors=True)
    to.parent.mkdir(parents=True, exist_ok=True)
    at = ["--rev", revision] if revision else []
    command = [sys.executable, "-m", "dvc", "get", "--quiet", *at, "-o", str(to), ".", str(path)]
    done = subprocess.run(command, capture_output=True, text=True)
    lines = done.stderr.strip().splitlines() or ["dvc failed"]
    return next((line for line in lines if line.startswith("ERROR")), lines[-1])[:200] if done.returncode else ""


def _content(folder: Path) -> str:
    manifest = folder / "manifest.json"
    return str(artifacts.read_json(manifest)["content"]) if manifest.is_file() else ""


def _undamaged(folder: Path, content: str) -> Path:
    """The folder, if its arrays are what its manifest says."""
    splits = artifacts.read_json(folder / "manifest.json")["splits"]
    shards = [Shard(split, **shard) for split, described in splits.items() for shard in described["shards"]]
    found = content_hash(folder, shards)
    if found != content:
        raise ValueError(
            f"{folder} is damaged: its arrays have content {found[:12]}, and its manifest says {content[:12]}. "
            f"Take it again from DVC's cache: `dvc checkout --force preprocess@{folder.name}`"
        )
    return folder
