"""List what takes space and can be made again, with its size, and delete it when you say so."""

from __future__ import annotations

import argparse
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from segpipe import artifacts
from segpipe.terminal import say


@dataclass(frozen=True)
class Leftover:
    """Something that may go: where it lies, and what its going costs."""

    kind: str
    path: Path
    cost: str

    @property
    def bytes(self) -> int:
        if self.path.is_dir():
            return sum(one.lstat().st_size for one in self.path.rglob("*") if one.is_symlink() or one.is_file())
        return self.path.lstat().st_size


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=f"of {', '.join(KINDS)}; none means all of them")
    parser.add_argument("--yes", action="store_true", help="delete without asking, as a script must")


def run(kinds: list[str], yes: bool) -> int:
    unknown = sorted(set(kinds) - set(KINDS))
    if unknown:
        raise ValueError(f"{', '.join(unknown)}: no such kind. One of {', '.join(KINDS)} was expected")
    found = [one for kind in KINDS if kind in (kinds or KINDS) for one in KINDS[kind]()]
    sizes = {one: one.bytes for one in found}
    if not found:
        say("nothing to clean")
        return 0
    for one, size in sizes.items():
        sys.stdout.write(f"{size / 1e6:>10,.1f} MB  {one.kind:<10} {one.path}  ({one.cost})\n")
    sys.stdout.write(f"{sum(sizes.values()) / 1e6:>10,.1f} MB  in all\n")
    sys.stdout.flush()
    if not (yes or _agreed()):
        say("nothing was deleted. With --yes it is done without a question")
        return 0 if sys.stdin.isatty() else 1
    _delete(found)
    say(f"{sum(sizes.values()) / 1e6:,.1f} MB are free again")
    return 0


def _agreed() -> bool:
    return sys.stdin.isatty() and input("Delete all of this? [y/N] ").strip().lower() in ("y", "yes")


def _delete(found: list[Leftover]) -> None:
    tracked = _tracked_by_dvc()
    for one in found:
        path = one.path.resolve()
        if any(path == out or path in out.parents or out in path.parents for out in tracked):
            raise ValueError(
                f"{one.path} belongs to DVC, which alone may delete it: see dvc.lock. Nothing more was done"
            )
    if any(one.kind == "runs" for one in found):
        _collect_runs()
    for one in found:
        if one.path.is_dir() and not one.path.is_symlink():
            shutil.rmtree(one.path)
        else:
            one.path.unlink(missing_ok=True)


def _tracked_by_dvc() -> list[Path]:
    """Every output that dvc.lock knows of."""
    from ruamel.yaml import YAML

    if not artifacts.DVC_LOCK.is_file():
        return []
    stages = YAML(typ="safe", pure=True).load(artifacts.DVC_LOCK)["stages"].values()
    return [Path(out["path"]).resolve() for stage in stages for out in stage.get("outs", [])]


def features() -> Iterator[Leftover]:
    """What frozen backbones made of images; none while a training may read it."""
    if any(is_held(lock) for lock in artifacts.working("resume").glob("*.lock")):
        say("a training is running: its features stay")
        return
    for path in sorted(artifacts.features().glob("[!.]*")):
        yield Leftover("features", path, "computed again when next asked for")


def resume() -> Iterator[Leftover]:
    """Where killed trainings would go on, and what finished ones left."""
    for path in sorted(path for path in artifacts.working("resume").glob("*") if path.is_dir()):
        if not is_held(path.with_name(f"{path.name.rpartition('-')[0]}.lock")):
            yield Leftover("resume", path, "a training that was killed starts anew")


def downloads() -> Iterator[Leftover]:
    for path in sorted(artifacts.working("downloads").glob("*")):
        yield Leftover("downloads", path, "a download that was broken off starts anew")


def scratch() -> Iterator[Leftover]:
    for name in ("members", "registering", "verifying"):
        for path in sorted(artifacts.working(name).glob("*")):
            yield Leftover("scratch", path, "made again in seconds")


def runs() -> Iterator[Leftover]:
    """What MLflow still keeps of runs that somebody deleted in its pages."""
    database = artifacts.main_repository() / "mlflow.db"
    if not database.is_file():
        return
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    rows = connection.execute("select artifact_uri from runs where lifecycle_stage = 'deleted'").fetchall()
    connection.close()
    for (address,) in rows:
        folder = Path(unquote(urlsplit(address).path)).parent
        if folder.is_dir():
            yield Leftover("runs", folder, "deleted in MLflow already")


KINDS: dict[str, Callable[[], Iterator[Leftover]]] = {
    one.__name__: one for one in (features, resume, downloads, scratch, runs)
}


def is_held(lock: Path) -> bool:
    """Whether a running process works under this lock."""
    from filelock import FileLock, Timeout

    if not lock.is_file():
        return False
    try:
        with FileLock(lock, timeout=0):
            return False
    except Timeout:
        return True


def _collect_runs() -> None:
    """MLflow's own way of forgetting what was deleted: its database must forget it too."""
    store = f"sqlite:///{artifacts.main_repository().resolve()}/mlflow.db"
    command = [sys.executable, "-m", "mlflow", "gc", "--backend-store-uri", store]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ValueError(f"`mlflow gc` failed: {done.stderr.strip().splitlines()[-1:]}. Nothing was deleted")
