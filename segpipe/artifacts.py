"""Every path that segpipe reads or writes, and the one way of writing them: whole, or not at all."""

from __future__ import annotations

import contextlib
import csv
import errno
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

PARAMS = Path("params.yaml")
LOCK = Path("requirements.lock")
DVC_LOCK = Path("dvc.lock")
RESOLVED = Path("data/resolved")
REPORTS = Path("reports")
COMPARISON = REPORTS / "comparison.csv"
PAGE = REPORTS / "index.html"
FIGURES = REPORTS / "figures"
GATE_TABLE = REPORTS / "gate.md"
CHAMPIONS = REPORTS / "champion.json"


def resolved(kind: str, name: str) -> Path:
    """The validated params of one block, on which the stages depend."""
    return RESOLVED / kind / f"{name}.json"


def raw(dataset: str) -> Path:
    return Path("data/raw") / dataset


def audit(dataset: str) -> Path:
    return Path("data/audits") / dataset


def prepared(name: str) -> Path:
    return Path("data/prepared") / name


def augmented(name: str) -> Path:
    return Path("data/augmented") / name


def weights(name: str) -> Path:
    return Path("data/weights") / f"{name}.safetensors"


def checkpoint(experiment: str) -> Path:
    return Path("data/checkpoints") / experiment


def features() -> Path:
    """What frozen backbones made of images: shared by all experiments, temporary copies of the repository too."""
    return main_repository() / "data/features"


def evaluation(experiment: str) -> Path:
    return Path("data/evaluations") / experiment


def report(experiment: str) -> Path:
    """What git keeps of an evaluation."""
    return REPORTS / experiment


def main_repository() -> Path:
    """The repository itself, also when DVC runs an experiment in a temporary copy of it."""
    return Path(os.environ.get("DVC_ROOT", "."))


def working(name: str) -> Path:
    """A place outside DVC's outputs, which DVC deletes before it runs a stage: what must outlive a kill."""
    return main_repository() / ".segpipe" / name


def took(stage: str) -> Path:
    """How long one of DVC's stages ran when it last came to its end."""
    return working("timings") / f"{stage}.json"


@contextlib.contextmanager
def replacing_file(path: Path) -> Iterator[Path]:
    """A path to write to; it takes the place of `path` when the block ends well, and vanishes when it does not."""
    with _unfinished(path) as partial:
        yield partial
        partial.replace(path)


@contextlib.contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """The same for a folder: an empty one to fill, then `path` is the new one, whole."""
    with _unfinished(path) as partial:
        partial.mkdir()
        yield partial
        if path.exists():
            path.replace(_set_aside(path))
        partial.replace(path)


_in_work: set[Path] = set()


@contextlib.contextmanager
def _unfinished(path: Path) -> Iterator[Path]:
    """A place beside `path` that nothing is left of, however the block ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _settle(path)
    partial = path.with_name(f".{path.name}.partial-{os.getpid()}")
    _in_work.add(path)
    try:
        yield partial
    finally:
        _in_work.discard(path)
        _settle(path)


def abandon_work() -> None:
    """Leave nothing half-written, when the process is to end without unwinding."""
    while _in_work:
        _settle(_in_work.pop())


def _settle(path: Path) -> None:
    """Remove what was being written by us, or by a process that is gone; put back what was set aside for it."""
    for partial in path.parent.glob(f".{path.name}.partial-*"):
        owner = int(partial.name.rpartition("-")[2])
        if owner == os.getpid() or not is_running(owner):
            _remove(partial)
    aside = _set_aside(path)
    if aside.exists():
        if path.exists():
            _remove(aside)
        else:
            aside.replace(path)


def _set_aside(path: Path) -> Path:
    """Where a folder waits while its successor takes its place."""
    return path.with_name(f".{path.name}.before")


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def is_running(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except OSError as error:
        return error.errno == errno.EPERM
    return True


def read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def write_json(path: Path, content: Any) -> None:
    with replacing_file(path) as partial:
        partial.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def write_text(path: Path, text: str) -> None:
    with replacing_file(path) as partial:
        partial.write_text(text, encoding="utf-8")


def read_rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def write_rows(path: Path, rows: Iterable[Mapping[str, Any]], columns: Iterable[str]) -> None:
    """A CSV with these columns; numbers are written so that they read back to the last digit."""
    with replacing_file(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(columns), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
