"""Several processes count as one, and end as one."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from segpipe.params import Hardware
from segpipe.processes import Place, gathered, launch, place, placed_by, summed

ROOT = Path(__file__).parents[2]
TWO = Hardware(device="cpu", devices=2)


@pytest.fixture(autouse=True)
def quiet_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def count(folder: Path) -> None:
    """Each process adds an amount that no float holds, and writes down what it is told."""
    own = place()
    total = summed(np.array([[2**53 + 1, own.rank], [0, 1]], np.int64))
    halves = summed(np.array([0.1 * (own.rank + 1)]))
    said = (own.count, own.is_first, total.tolist(), halves.tolist(), gathered(f"rank {own.rank}"))
    (folder / f"{own.rank}.txt").write_text(repr(said))


def fail(how: str) -> None:
    if place().rank == 1:
        if how == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        raise (ValueError if how == "in words" else KeyError)("rank 1 has had enough")
    summed(np.zeros(1))  # the first one waits for the second


def write_number_and_wait(folder: Path) -> None:
    (folder / f"{place().rank}.pid").write_text(str(os.getpid()))
    time.sleep(60)


def test_alone_a_process_is_the_first_of_one() -> None:
    seen: list[Place] = []
    launch(lambda: seen.append(place()), Hardware(device="cpu"))
    assert seen == [Place(0, 1, 0)]
    assert place().is_first
    assert summed(np.array([3, 4])).tolist() == [3, 4]
    assert gathered("alone") == ["alone"]


@pytest.mark.slow
def test_two_processes_add_up_exactly_and_know_each_others_values(tmp_path: Path) -> None:
    launch(partial(count, tmp_path), TWO)
    for rank in range(2):
        total = [[2**54 + 2, 1], [0, 2]]
        expected = (2, rank == 0, total, [0.1 + 0.2], ["rank 0", "rank 1"])
        assert (tmp_path / f"{rank}.txt").read_text() == repr(expected)
    assert place() == Place()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("in words", "^rank 1 has had enough$"),
        ("by a bug", "^KeyError: 'rank 1 has had enough'$"),
        ("killed", r"rank 1 was ended from outside \(signal SIGKILL\)"),
    ],
)
def test_a_dead_process_ends_all_in_seconds_with_its_own_error(how: str, said: str) -> None:
    began = time.monotonic()
    with pytest.raises(ValueError, match=said):
        launch(partial(fail, how), TWO)
    assert time.monotonic() - began < 30


@pytest.mark.slow
def test_whoever_kills_the_watcher_ends_all(tmp_path: Path) -> None:
    code = (
        "from functools import partial; from pathlib import Path; from tests.unit import test_processes as t\n"
        f"if __name__ == '__main__': t.launch(partial(t.write_number_and_wait, Path({str(tmp_path)!r})), t.TWO)"
    )
    (tmp_path / "watcher.py").write_text(code)
    watcher = subprocess.Popen([sys.executable, "watcher.py"], env=os.environ | {"PYTHONPATH": str(ROOT)})
    _until(lambda: len(list(tmp_path.glob("*.pid"))) == 2)
    numbers = [int(path.read_text() or "0") for path in tmp_path.glob("*.pid")]
    watcher.kill()
    watcher.wait()
    _until(lambda: not any(Path(f"/proc/{number}").exists() for number in numbers))


@pytest.mark.slow
def test_two_nodes_count_as_one(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    nodes = [_node(number, port, "count", tmp_path) for number in (0, 1)]
    assert [node.wait(60) for node in nodes] == [0, 0]
    assert sorted(path.name for path in tmp_path.glob("*.txt")) == ["0.txt", "1.txt"]
    assert "['rank 0', 'rank 1']" in (tmp_path / "0.txt").read_text()


@pytest.mark.slow
def test_a_node_hears_that_another_one_failed() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    nodes = [_node(number, port, "fail", "in words") for number in (0, 1)]
    said = [node.communicate(timeout=60)[1] for node in nodes]
    assert [node.returncode for node in nodes] == [1, 1]
    assert "ValueError: rank 1 has had enough" in said[1]


def _node(number: int, port: int, work: str, argument: object) -> subprocess.Popen[str]:
    hardware = f"t.Hardware(device='cpu', nodes=2, node={number}, rendezvous='127.0.0.1:{port}')"
    given = f"t.Path({str(argument)!r})" if isinstance(argument, Path) else repr(argument)
    code = f"from tests.unit import test_processes as t; t.launch(t.partial(t.{work}, {given}), {hardware})"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.Popen([sys.executable, "-c", code], env=environment, stderr=subprocess.PIPE, text=True)


def _until(claim: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not claim():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.slow
def test_torchrun_launches_as_well(tmp_path: Path) -> None:
    code = f"from tests.unit import test_processes as t; t.launch(t.partial(t.count, t.Path({str(tmp_path)!r})), t.TWO)"
    (tmp_path / "work.py").write_text(code)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "work.py"]
    subprocess.run(command, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=True, capture_output=True, timeout=120)
    assert "['rank 0', 'rank 1']" in (tmp_path / "1.txt").read_text()


def test_torchrun_says_where_a_process_stands() -> None:
    given = {"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1", "MASTER_ADDR": "head", "MASTER_PORT": "29500"}
    assert placed_by(given) == (Place(5, 8, 1), {})
    assert placed_by({"RANK": "5"}) is None


@pytest.mark.parametrize(("nodes", "first"), [("gpu[03-05,09],cpu1", "gpu03"), ("gpu7", "gpu7"), ("a-b1,a-b2", "a-b1")])
def test_a_step_of_srun_gives_places(nodes: str, first: str) -> None:
    step = {"SLURM_STEP_NUM_TASKS": "4", "SLURM_STEP_NODELIST": nodes, "SLURM_LOCALID": "1"}
    meeting = {"MASTER_ADDR": first, "MASTER_PORT": "23456"}
    assert placed_by({"SLURM_PROCID": "3", "SLURM_JOB_ID": "123456", **step}) == (Place(3, 4, 1), meeting)


def test_a_batch_script_of_slurm_is_one_process() -> None:
    assert placed_by({"SLURM_PROCID": "0", "SLURM_NTASKS": "4", "SLURM_JOB_ID": "1", "SLURM_LOCALID": "0"}) is None


@pytest.mark.parametrize("wrong", [{"rendezvous": ""}, {"rendezvous": "head"}, {"rendezvous": "head:29500", "node": 2}])
def test_nodes_without_a_place_to_meet_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="host:port of node 0"):
        launch(lambda: None, Hardware.model_validate({"device": "cpu", "nodes": 2, **wrong}))
