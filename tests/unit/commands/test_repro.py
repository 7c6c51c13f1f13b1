"""Branches of the graph side by side: each after what it needs, none after a failure, all down at Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from segpipe import params
from segpipe.commands.repro import Branch, Branches, branches, having

ROOT = Path(__file__).parents[3]

WORK = """
import json, sys, time
name, seconds, code = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
began = time.time()
time.sleep(seconds)
json.dump([began, time.time()], open(name + ".json", "w"))
sys.exit(code)
"""


def project(seconds: dict[str, float], failing: str = "") -> None:
    """A DVC repository whose stages sleep and write when they did."""
    Path("work.py").write_text(WORK)
    stages = {
        name: {"cmd": f"{sys.executable} work.py {name} {lasts} {int(name == failing)}", "outs": [f"{name}.json"]}
        for name, lasts in seconds.items()
    }
    Path("dvc.yaml").write_text(json.dumps({"stages": stages}))
    for command in (["git", "init", "-q"], [sys.executable, "-m", "dvc", "init", "-q"]):
        subprocess.run(command, check=True)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def times(name: str) -> tuple[float, float]:
    began, ended = json.loads(Path(f"{name}.json").read_text())
    return began, ended


def test_every_stage_but_the_last_three_is_in_one_branch() -> None:
    command = [sys.executable, "-m", "dvc", "stage", "list", "--name-only"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    planned = [stage for branch in branches(params.load(ROOT / "params.yaml")).values() for stage in branch.stages]
    assert sorted([*planned, "report", "gate", "register"]) == sorted(listed)


def test_what_a_stage_needs_is_in_a_branch_that_its_own_waits_for() -> None:
    """By DVC's graph: else two might write, or read what is being written, at once."""
    command = [sys.executable, "-m", "dvc", "dag", "--dot"]
    graph = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    edges = [line.split('"')[1::2] for line in graph.splitlines() if "->" in line]
    planned = branches(params.load(ROOT / "params.yaml"))
    home = {stage: name for name, branch in planned.items() for stage in branch.stages}

    def awaited(name: str) -> set[str]:
        return {name}.union(*(awaited(need) for need in planned[name].needs))

    inside = [(one, other) for one, other in edges if other in home]
    assert len(inside) > len(home)
    for one, other in inside:
        assert home[one] in awaited(home[other]), f"{other} needs {one}"
        if home[one] == home[other]:
            order = planned[home[one]].stages
            assert order.index(one) < order.index(other)


def test_branches_without_anything_to_do_are_left_out_and_not_waited_for() -> None:
    known = {
        "data": Branch(("download", "pack"), frozenset()),
        "weights": Branch(("fetch",), frozenset()),
        "one": Branch(("train", "evaluate"), frozenset({"data", "weights"})),
    }
    assert having({"evaluate", "pack"}, known) == {
        "data": Branch(("download", "pack"), frozenset()),
        "one": Branch(("train", "evaluate"), frozenset({"data"})),
    }
    assert having(set(), known) == {}


def test_branches_run_side_by_side_and_after_what_they_need() -> None:
    project({"a": 4, "b": 4, "c": 0})
    waiting = {
        "last": Branch(("c",), frozenset({"one", "other"})),
        "one": Branch(("a",), frozenset()),
        "other": Branch(("b",), frozenset()),
    }
    assert Branches(waiting, {}).run(2) == []
    assert max(times("a")[0], times("b")[0]) < min(times("a")[1], times("b")[1])
    assert times("c")[0] > max(times("a")[1], times("b")[1])
    assert {"a", "b", "c"} <= set(Path("dvc.lock").read_text().replace(":", "").split())


@pytest.mark.slow
def test_after_a_failure_nothing_else_begins_and_what_runs_is_finished(capfd: pytest.CaptureFixture[str]) -> None:
    project({"a": 0, "b": 6, "c": 0}, failing="a")
    waiting = {
        "one": Branch(("a",), frozenset()),
        "other": Branch(("b",), frozenset()),
        "later": Branch(("c",), frozenset()),
    }
    assert Branches(waiting, {}).run(2) == ["one"]
    assert Path("b.json").exists()
    assert not Path("c.json").exists()
    assert "failed to reproduce 'a'" in capfd.readouterr().err


RUN = """
import sys
from segpipe.commands.repro import Branch, Branches
from segpipe.terminal import exit_code
waiting = {name: Branch((name,), frozenset()) for name in ("a", "b")}
sys.exit(exit_code(lambda: len(Branches(waiting, {}).run(2))))
"""


@pytest.mark.slow
@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_every_branch_and_its_stage(sign: int) -> None:
    project({"a": 60, "b": 60})
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen([sys.executable, "-c", RUN], env=environment, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        children = psutil.Process(process.pid).children(recursive=True)
        if sum("work.py" in " ".join(child.cmdline()) for child in children) >= 2:
            break
        time.sleep(0.1)
    process.send_signal(sign)
    _, said = process.communicate(timeout=20)
    assert process.returncode == 128 + sign
    assert said.rstrip().endswith("stopped: nothing is half-written. Run the same command to go on.")
    _, left = psutil.wait_procs(children, timeout=2)
    assert not left
