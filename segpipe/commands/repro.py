"""Do what `dvc repro` does, with branches of the graph that have nothing to do with each other side by side.

A small model leaves most of a processor idle, and so does the start of a stage. Each branch is a `dvc repro` of its own
with its share of the cores; a last one does what is left. On a GPU that one training fills, use `dvc repro` itself.
Speeds and latencies that are measured on the way are those of a machine that has other work too.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any

from segpipe import params
from segpipe.commands import plan
from segpipe.parallel import interrupts_raise, num_processes
from segpipe.terminal import say

MOST = 4
IDLE_WORDS = ("didn't change", "Updating lock file", "dvc push", "To track", "git add", "auto staging", "autostage")
"""What each `dvc repro` says, though nothing came of it: a dozen of them would drown what happens."""


@dataclass(frozen=True)
class Branch:
    """Stages that one `dvc repro` brings up to date in this order, once the branches that it needs are done."""

    stages: tuple[str, ...]
    needs: frozenset[str]


REST = Branch((), frozenset())
"""All stages."""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--jobs", type=int, help=f"branches at a time; else one for each core, and {MOST} at most")


def run(jobs: int | None) -> int:
    known = branches(params.load())
    stages = {step.stage for step in plan.steps([])}
    if not stages:
        say("Nothing: everything is up to date.")
        return 0
    cores = num_processes()
    jobs = min(cores, MOST) if jobs is None else max(1, jobs)
    share = str(max(1, cores // jobs))
    of_a_branch = {"OMP_NUM_THREADS": share, "SEGPIPE_WORKERS": share}
    failed = Branches(having(stages, known), of_a_branch).run(jobs) or Branches({"the rest": REST}, {}).run(1)
    if failed:
        say(f"error: {', '.join(failed)} failed (see above). Mend it, then run the same command again: it goes on")
    return len(failed)


def having(stages: set[str], known: Mapping[str, Branch]) -> dict[str, Branch]:
    """The branches that have one of these stages; the others are done."""
    left = {name: branch for name, branch in known.items() if stages.intersection(branch.stages)}
    return {name: Branch(branch.stages, branch.needs.intersection(left)) for name, branch in left.items()}


def branches(wanted: params.Params) -> dict[str, Branch]:
    """What may run side by side, by name; of those that are ready, the first begins first."""
    first = {"params": Branch(("resolve",), frozenset())}
    fetched = {"weights": Branch(tuple(f"fetch@{name}" for name in wanted.weights), frozenset(first))}
    sets = {_data(name): Branch(tuple(_of_dataset(wanted, name)), frozenset(first)) for name in wanted.datasets}
    trained = {
        name: Branch((f"train@{name}", f"evaluate@{name}"), frozenset({"weights", _data(dataset)}))
        for name, block in wanted.experiments.items()
        for dataset in [wanted.prepared[block.prepared].dataset]
    }
    combined = {
        name: Branch((f"combine@{name}", f"evaluate_combined@{name}"), frozenset(block.members.model_dump().values()))
        for name, block in wanted.combined.items()
    }
    members = sorted(name for branch in combined.values() for name in branch.needs)
    awaited = {name: trained.pop(name) for name in members if name in trained}
    return {**first, **fetched, **sets, **awaited, **combined, **trained}  # what takes longest on the whole, first


def _data(dataset: str) -> str:
    return f"dataset {dataset}"


def _of_dataset(wanted: params.Params, dataset: str) -> Iterator[str]:
    yield from (f"download@{dataset}", f"audit@{dataset}")
    prepared = [name for name, block in wanted.prepared.items() if block.dataset == dataset]
    yield from (f"preprocess@{name}" for name in prepared)
    yield from (f"augment@{name}" for name, block in wanted.augmented.items() if block.prepared in prepared)


class Branches:
    """A run of some branches, as many at a time as there are jobs."""

    def __init__(self, waiting: Mapping[str, Branch], environment: Mapping[str, str]) -> None:
        self._waiting = dict(waiting)
        self._environment = {**os.environ, "PYTHONUNBUFFERED": "1", **environment}  # lines come as they are said
        self._done: set[str] = set()
        self._running: dict[str, subprocess.Popen[str]] = {}

    def run(self, jobs: int) -> list[str]:
        """The names of those that failed; after the first, no other begins."""
        failed: list[str] = []
        relays: dict[Any, str] = {}
        with ThreadPoolExecutor(jobs) as threads, interrupts_raise():
            try:
                while relays or (self._waiting and not failed):
                    for name in [] if failed else self._ready()[: jobs - len(relays)]:
                        relays[threads.submit(_relay, self._start(name))] = name
                    for future in wait(relays, return_when=FIRST_COMPLETED).done:
                        name = relays.pop(future)
                        self._done.add(name)
                        failed += [name] if self._running.pop(name).wait() else []
            except KeyboardInterrupt as interrupt:
                self._interrupt(int(interrupt.args[0]))
                raise
        return failed

    def _ready(self) -> list[str]:
        return [name for name, branch in self._waiting.items() if branch.needs <= self._done]

    def _start(self, name: str) -> subprocess.Popen[str]:
        stages = self._waiting.pop(name).stages
        # Stages that are done already stay untouched: DVC locks what it checks, even from those that only read it.
        alone = ["--single-item", *stages] if stages else []
        self._running[name] = subprocess.Popen(
            [sys.executable, "-m", "dvc", "--wait-for-lock", "repro", *alone],
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,  # an interrupt is passed on to dvc and to its stage alike
        )
        return self._running[name]

    def _interrupt(self, number: int) -> None:
        for process in self._running.values():
            os.killpg(process.pid, number)
        for process in self._running.values():
            process.wait()


def _relay(process: subprocess.Popen[str]) -> None:
    """Say what it says, line by line, so that those of several do not mix."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.strip() and not any(words in line for words in IDLE_WORDS):
            say(line.rstrip())
