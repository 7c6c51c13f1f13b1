"""Look at this machine and this clone, and say what is missing and how to mend it."""

from __future__ import annotations

import argparse
import configparser
import importlib.metadata
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from segpipe import artifacts

OLDEST_PYTHON = (3, 11)
GIGABYTE = 1e9
LEAST_FREE, ENOUGH_FREE = 2 * GIGABYTE, 40 * GIGABYTE
"""Less than the first, and the demo does not fit; less than the second, and no real dataset does."""

ADDRESSES = {
    "Kaggle": "https://www.kaggle.com",
    "Cityscapes": "https://www.cityscapes-dataset.com",
    "pretrained weights": "https://huggingface.co",
}
PATIENCE = 2.0
"""Seconds for an answer from elsewhere."""


class Finding(NamedTuple):
    """What one look found: `ok`, `note` (something to know) or `FAULT` (something to mend), and what to do."""

    state: str
    subject: str
    found: str
    cure: str = ""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--torch", action="store_true", help="import torch too, and see whether it finds the GPU")
    parser.add_argument("--network", action="store_true", help="try the addresses that data and weights come from")


def run(torch: bool, network: bool) -> int:
    looks: list[Callable[[], Iterator[Finding]]] = [
        python,
        packages,
        gpu,
        disk,
        settings,
        git,
        dvc,
        mlflow,
        credentials,
    ]
    looks += [torch_itself] * torch + [addresses] * network
    with ThreadPoolExecutor(len(looks)) as pool:
        findings = [finding for found in pool.map(_looked, looks) for finding in found]
    sys.stdout.write("\n".join(lines(findings)) + "\n")
    return int(any(finding.state == "FAULT" for finding in findings))


def lines(findings: list[Finding]) -> Iterator[str]:
    """A line for each finding, its cure below it, and a sentence at the end."""
    for state, subject, found, cure in findings:
        yield f"{state:<6} {subject:<12} {found}"
        if cure:
            yield f"{'':<19} → {cure}"
    faults = sum(finding.state == "FAULT" for finding in findings)
    yield f"\n{faults} to mend." if faults else "\nNothing to mend."


def _looked(look: Callable[[], Iterator[Finding]]) -> list[Finding]:
    """A look that fails is a finding too: this is where things are broken."""
    try:
        return list(look())
    except (OSError, ValueError, subprocess.SubprocessError, sqlite3.Error) as error:
        return [Finding("FAULT", look.__name__, str(error).replace("\n", " "))]


def python() -> Iterator[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info < OLDEST_PYTHON:
        yield Finding("FAULT", "Python", f"{version}, and 3.11 or newer was expected", "put a newer python3 on PATH")
    elif sys.prefix == sys.base_prefix:
        yield Finding("note", "Python", f"{version}, in no virtual environment", "`source .venv/bin/activate`")
    else:
        yield Finding("ok", "Python", f"{version} in {sys.prefix}")


def packages() -> Iterator[Finding]:
    """What is installed, against requirements.lock."""
    if not artifacts.LOCK.is_file():
        yield Finding("FAULT", "packages", f"there is no {artifacts.LOCK} here", "run this in the project's folder")
        return
    locked, needed = locked_versions(artifacts.LOCK.read_text(encoding="utf-8"))
    installed = {_plain(one.name): one.version.partition("+")[0] for one in importlib.metadata.distributions()}
    missing = sorted(needed - installed.keys())
    others = sorted(name for name, versions in locked.items() if installed.get(name, versions[0]) not in versions)
    if missing or others:
        differing = [f"{name} {installed[name]} instead of {' or '.join(locked[name])}" for name in others]
        told = ", ".join([*differing, *(f"no {name}" for name in missing)][:5])
        count = len(missing) + len(others)
        yield Finding("FAULT", "packages", f"{count} of {len(locked)} are not as locked: {told}", "`make setup`")
    else:
        yield Finding("ok", "packages", f"all {len(locked)} as locked")


def locked_versions(text: str) -> tuple[dict[str, list[str]], set[str]]:
    """By name the versions that are locked, one for each kind of machine; and the names that every machine needs."""
    versions: dict[str, list[str]] = {}
    needed = set()
    for name, version, marker in re.findall(r"^([\w.-]+)(?:\[[\w,-]+\])?==([^\s;\\]+)\s*(;?)", text, flags=re.M):
        versions.setdefault(_plain(name), []).append(version.partition("+")[0])
        if not marker:
            needed.add(_plain(name))
    return versions, needed


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def gpu() -> Iterator[Finding]:
    if not shutil.which("nvidia-smi"):
        yield Finding("note", "GPU", "no NVIDIA driver: training runs on the processor")
        return
    query = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total,memory.used", "--format=csv,noheader"]
    done = subprocess.run(query, capture_output=True, text=True, timeout=10, check=False)
    if done.returncode:
        said = (done.stdout + done.stderr).strip().splitlines()[:1]
        yield Finding("FAULT", "GPU", f"nvidia-smi fails: {' '.join(said)}", "load or update the NVIDIA driver")
    for line in done.stdout.splitlines() if not done.returncode else []:
        name, driver, memory, used = line.split(", ")
        yield Finding("ok", "GPU", f"{name}, {memory} ({used} in use), driver {driver}")


def torch_itself() -> Iterator[Finding]:
    import torch

    found = torch.accelerator.current_accelerator(check_available=True)
    has_driver = shutil.which("nvidia-smi") is not None
    if found is None and has_driver:
        cure = "update the NVIDIA driver, or `make setup` if torch is a build without CUDA"
        yield Finding("FAULT", "torch", f"{torch.__version__} does not see the GPU", cure)
    else:
        yield Finding("ok", "torch", f"{torch.__version__} on {found or 'the processor'}")


def disk() -> Iterator[Finding]:
    free = shutil.disk_usage(".").free
    found = f"{free / GIGABYTE:.0f} GB free in {Path.cwd()}"
    cure = "`python -m segpipe clean`, or `dvc gc -w` for old results"
    if free < LEAST_FREE:
        yield Finding("FAULT", "disk", found, cure)
    elif free < ENOUGH_FREE:
        yield Finding("note", "disk", f"{found}: enough for the demo, not for the real data", cure)
    else:
        yield Finding("ok", "disk", found)


def settings() -> Iterator[Finding]:
    from segpipe import params

    loaded = params.load()
    yield Finding("ok", "params.yaml", f"profile {loaded.profile}, {len(loaded.experiments)} experiments")


def git() -> Iterator[Finding]:
    from segpipe import lineage

    found = lineage.commit()
    where = f"commit {found['commit'][:12]}"
    if found["dirty"]:
        cure = "commit before you train what others shall trace"
        yield Finding("note", "git", f"{where}, with changes that are in no commit", cure)
    else:
        yield Finding("ok", "git", where)


def dvc() -> Iterator[Finding]:
    folder = artifacts.main_repository() / ".dvc"
    if not folder.is_dir():
        yield Finding("FAULT", "DVC", f"there is no {folder}", "run this in a clone; a new project needs `dvc init`")
        return
    config = configparser.ConfigParser()
    config.read([folder / "config", folder / "config.local"])
    remotes = [name for name in config.sections() if "remote" in name]
    shared = f"{len(remotes)} remotes" if remotes else "no remote: results stay on this machine"
    locked = "with" if artifacts.DVC_LOCK.is_file() else "without"
    yield Finding("ok", "DVC", f"{importlib.metadata.version('dvc')}, {locked} dvc.lock, {shared}")
    yield from _busy(folder / "tmp" / "rwlock")


def _busy(lock: Path) -> Iterator[Finding]:
    """Stages that hold their files: running ones, or ones that were killed."""
    holders = {int(number) for number in re.findall(r'"pid": (\d+)', lock.read_text())} if lock.is_file() else set()
    for holder in sorted(holders):
        if artifacts.is_running(holder):
            yield Finding("note", "DVC", f"process {holder} runs a stage", "wait for it before you run others")
        else:
            yield Finding("note", "DVC", f"process {holder} was killed in a stage", "the next `dvc repro` clears it up")


def mlflow() -> Iterator[Finding]:
    from segpipe.tracking import uri

    address = uri()
    if address.startswith("http"):
        host = urlsplit(address).netloc.rpartition("@")[2]
        trouble = answer(address)
        cure = "training goes on without it, and uploads later; start it, or unset MLFLOW_TRACKING_URI"
        yield Finding("note", "MLflow", f"{host}: {trouble}", cure) if trouble else Finding("ok", "MLflow", host)
        return
    path = Path(address.removeprefix("sqlite:///"))
    if not path.is_file():
        yield Finding("ok", "MLflow", f"no {path.name} yet: the first training makes it")
        return
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=PATIENCE) as database:
        runs, versions = (database.execute(f"select count(*) from {table}").fetchone()[0] for table in TABLES)
    database.close()
    yield Finding("ok", "MLflow", f"{path.name} with {runs} runs and {versions} model versions")


TABLES = ("runs", "model_versions")


def credentials() -> Iterator[Finding]:
    """Where they were found, and nothing of what they are."""
    home = Path.home() / ".kaggle"
    folders = (home, Path(os.environ.get("KAGGLE_CONFIG_DIR", home)), Path.home() / ".config/kaggle")
    kaggle = [home / "access_token", *(folder / "kaggle.json" for folder in folders)]
    needed = {"KAGGLE_API_TOKEN": (), "KAGGLE_USERNAME": ("KAGGLE_KEY",)}
    yield _credential("Kaggle", needed, kaggle, "make a token at https://www.kaggle.com/settings")
    stored = Path(os.environ.get("XDG_DATA_HOME", Path.home() / ".local/share")) / "cityscapesscripts/credentials.json"
    needed = {"CITYSCAPES_USERNAME": ("CITYSCAPES_PASSWORD",)}
    yield _credential("Cityscapes", needed, [stored], "set CITYSCAPES_USERNAME and CITYSCAPES_PASSWORD")


def _credential(what: str, variables: dict[str, tuple[str, ...]], files: list[Path], cure: str) -> Finding:
    subject = "credentials"
    for variable, with_it in variables.items():
        if all(os.environ.get(name) for name in (variable, *with_it)):
            return Finding("ok", subject, f"{what}: in the environment, {' and '.join((variable, *with_it))}")
    for path in files:
        if path.is_file():
            if path.stat().st_mode & 0o077:
                return Finding("note", subject, f"{what}: {path}, which others can read", f"`chmod 600 {path}`")
            return Finding("ok", subject, f"{what}: {path}")
    return Finding("note", subject, f"{what}: none, which only its real data needs", cure)


def addresses() -> Iterator[Finding]:
    """All at once, and none for longer than our patience: looking up a name knows no limit of its own."""
    told: dict[str, str] = {}
    threads = [
        threading.Thread(target=lambda name=name, url=url: told.update({name: answer(url)}), daemon=True)
        for name, url in ADDRESSES.items()
    ]
    for thread in threads:
        thread.start()
    limit = time.monotonic() + PATIENCE + 0.5
    for thread in threads:
        thread.join(max(0, limit - time.monotonic()))
    for name, url in ADDRESSES.items():
        trouble = told.get(name, f"no answer in {PATIENCE:.0f} s")
        cure = "only its download needs it; behind a proxy set HTTPS_PROXY"
        where = f"{name}, {urlsplit(url).netloc}"
        yield Finding("note", "network", f"{where}: {trouble}", cure) if trouble else Finding("ok", "network", where)


def answer(url: str) -> str:
    """Empty where somebody answers, whatever the answer is; else what went wrong."""
    try:
        urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=PATIENCE).close()
    except urllib.error.HTTPError:
        return ""
    except OSError as error:
        return str(getattr(error, "reason", error))
    return ""
