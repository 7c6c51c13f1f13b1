"""Work in processes: in order, with errors that arrive whole, and over within a second of Ctrl-C."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from segpipe.parallel import AHEAD, in_processes, num_processes
from segpipe.preparation.reading import Refusal

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def two_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SEGPIPE_WORKERS", "2")


def slow_at_first(number: int) -> int:
    time.sleep(0.1 if number % 4 == 0 else 0)
    return number * number


def refuse_three(number: int) -> int:
    if number == 3:
        raise ValueError("three was found")
    return number


def refuse_a_file(number: int) -> int:
    raise Refusal(Path("masks/000123.png"), "mode", f"mask of mode {number}")


def process_id(_task: int) -> int:
    time.sleep(0.05)
    return os.getpid()


def much(number: int) -> bytes:
    return bytes(3_000_000) if number else b""


def run_out(number: int) -> int:
    raise EOFError(f"file {number} ends early")


def what_cannot_be_sent(_task: int) -> object:
    return lambda: None


def die(_task: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_results_come_in_the_order_of_their_tasks() -> None:
    assert list(in_processes(slow_at_first, range(40))) == [number * number for number in range(40)]


def test_no_tasks_need_no_work() -> None:
    assert list(in_processes(slow_at_first, [])) == []


def test_an_error_reaches_the_caller_in_its_place_and_ends_the_work() -> None:
    results = in_processes(refuse_three, range(10**9))
    assert list(itertools.islice(results, 3)) == [0, 1, 2]
    with pytest.raises(ValueError, match=r"^three was found$"):
        next(results)
    assert not multiprocessing.active_children()


def test_a_refused_file_reaches_the_caller_by_name() -> None:
    with pytest.raises(ValueError, match=r"^masks/000123\.png: mask of mode 7\. Images have 8 bits"):
        list(in_processes(refuse_a_file, [7]))


def test_tasks_are_drawn_only_a_little_ahead() -> None:
    drawn = itertools.count()
    results = in_processes(slow_at_first, drawn)
    assert [next(results) for _ in range(5)] == [0, 1, 4, 9, 16]
    assert isinstance(results, Iterator)
    assert next(drawn) <= 5 + 2 * AHEAD
    del results
    assert not multiprocessing.active_children()


def test_whoever_has_enough_need_not_wait_for_answers_that_are_on_their_way() -> None:
    """More than a pipe holds: a worker that is ended now is in the middle of one."""
    for _ in range(5):
        results = in_processes(much, itertools.count())
        assert next(results) == b""
        del results
        assert not multiprocessing.active_children()


def test_an_error_like_that_of_a_broken_pipe_is_the_tasks_own() -> None:
    with pytest.raises(EOFError, match=r"^file 4 ends early$") as raised:
        list(in_processes(run_out, [4]))
    assert "in run_out" in str(raised.value.__cause__)


def test_an_answer_that_cannot_be_sent_is_said_as_that() -> None:
    with pytest.raises((AttributeError, pickle.PicklingError), match="pickle"):
        list(in_processes(what_cannot_be_sent, [1]))


def test_few_tasks_need_few_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEGPIPE_WORKERS", "8")
    results = in_processes(process_id, range(2))
    next(results)
    assert len(multiprocessing.active_children()) == 2
    assert len(list(results)) == 1


@pytest.mark.parametrize("workers", [1, 2])
def test_the_environment_says_how_many_processes(monkeypatch: pytest.MonkeyPatch, workers: int) -> None:
    monkeypatch.setenv("SEGPIPE_WORKERS", str(workers))
    used = set(in_processes(process_id, range(12)))
    assert len(used) == workers
    assert os.getpid() not in used


def test_params_yaml_says_it_where_the_environment_does_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "params.yaml").write_text("hardware: {workers: 3}\n")
    assert num_processes() == 2
    monkeypatch.delenv("SEGPIPE_WORKERS")
    assert num_processes() == 3
    (tmp_path / "params.yaml").write_text("hardware: {workers: 0}\n")
    assert num_processes() == len(os.sched_getaffinity(0))


def test_a_worker_that_was_killed_is_said_with_a_way_on() -> None:
    with pytest.raises(ValueError, match=r"ended from outside.*SEGPIPE_WORKERS=1$"):
        list(in_processes(die, range(4)))
    assert not multiprocessing.active_children()


WORDS = "stopped: nothing is half-written. Run the same command to go on."

STAGE = """
import os, sys, time
from segpipe.parallel import in_processes
from segpipe.terminal import exit_code

def work(seconds):
    time.sleep(seconds)

def main(seconds):
    for number, _ in enumerate(in_processes(work, [0.0] + [seconds] * 500)):
        if number == 0:
            print("ready", flush=True)
            time.sleep(float(os.environ.get("BUSY_FOR", "0")))

if __name__ == "__main__":
    sys.exit(exit_code(lambda: main(float(sys.argv[1]))))
elif len(sys.argv) > 2:
    print("starting", flush=True)
    time.sleep(float(sys.argv[2]))
"""


def still_alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Those that run half a second later; what is dead but whom nobody has buried is not among them."""
    _, left = psutil.wait_procs(processes, timeout=0.5)
    return [process for process in left if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]


def stopped(folder: Path, arguments: list[str], sign: int, to_the_group: bool = False) -> tuple[int, str, float]:
    """Exit code, words and seconds of a command that gets `sign` once it has spoken; none of its processes stays."""
    (folder / "stage.py").write_text(STAGE)
    with (folder / "words").open("w") as words:
        process = subprocess.Popen(
            [sys.executable, "stage.py", *arguments],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=words,
            start_new_session=True,
        )
    assert process.stdout is not None
    process.stdout.readline()
    children = psutil.Process(process.pid).children(recursive=True)
    assert children
    began = time.monotonic()
    try:
        (os.killpg if to_the_group else os.kill)(process.pid, sign)
        code = process.wait(timeout=5)
        seconds = time.monotonic() - began
        assert not still_alive(children)
    finally:
        process.stdout.close()
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    return code, (folder / "words").read_text().strip(), seconds


@pytest.mark.parametrize("sign", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_an_interrupt_to_the_parent_ends_everything_within_a_second(tmp_path: Path, sign: int) -> None:
    code, words, seconds = stopped(tmp_path, ["0.05"], sign)
    assert (code, words) == (128 + sign, WORDS)
    assert seconds < 1.5


def test_an_interrupt_of_the_whole_group_says_one_line(tmp_path: Path) -> None:
    """What Ctrl-C on a terminal is: every process gets it."""
    code, words, seconds = stopped(tmp_path, ["0.05"], signal.SIGINT, to_the_group=True)
    assert (code, words) == (130, WORDS)
    assert seconds < 1.5


@pytest.mark.slow
def test_an_interrupt_waits_for_no_long_task(tmp_path: Path) -> None:
    code, _, seconds = stopped(tmp_path, ["20"], signal.SIGINT)
    assert code == 130
    assert seconds < 1.5


def test_an_interrupt_of_whoever_takes_the_results_waits_for_no_long_task(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is raised there, outside of the loop that hands out tasks."""
    monkeypatch.setenv("BUSY_FOR", "20")
    code, words, seconds = stopped(tmp_path, ["20"], signal.SIGINT)
    assert (code, words) == (130, WORDS)
    assert seconds < 1.5


@pytest.mark.slow
def test_an_interrupt_while_the_workers_are_starting_says_one_line(tmp_path: Path) -> None:
    code, words, seconds = stopped(tmp_path, ["0.05", "1.0"], signal.SIGINT, to_the_group=True)
    assert (code, words) == (130, WORDS)
    assert seconds < 1.5
