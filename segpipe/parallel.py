"""Work spread over processes, in order, that ends within a second of Ctrl-C."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import traceback
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from multiprocessing.connection import Connection
from queue import SimpleQueue
from typing import Any, NoReturn, TypeVar

from segpipe import params

Task = TypeVar("Task")
Result = TypeVar("Result")

AHEAD = 8
"""Tasks handed out per process before their results are asked for: enough to keep it busy, few enough to stay small."""


def num_processes() -> int:
    """What the hardware block asks for, or the cores that this process may use."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return params.hardware().workers or cores


def in_processes(function: Callable[[Task], Result], tasks: Iterable[Task]) -> Generator[Result, None, None]:
    """`function` of each task, in order; memory does not grow with the number of tasks."""
    remaining, most = iter(tasks), num_processes()
    first = list(islice(remaining, most * AHEAD))
    with _interrupts(signal.SIG_IGN):  # what starts in here does not hear Ctrl-C
        workers = [_Worker(function) for _ in first[:most]]
    idle: SimpleQueue[_Worker] = SimpleQueue()
    for worker in workers:
        idle.put(worker)
    threads = ThreadPoolExecutor(most)  # each has a task with one of the workers

    def result_of(task: Task) -> Any:
        worker = idle.get()
        try:
            return worker.result_of(task)
        finally:
            idle.put(worker)

    try:
        with interrupts_raise():
            pending = deque(threads.submit(result_of, task) for task in first)
            while pending:
                yield pending.popleft().result()
                pending.extend(threads.submit(result_of, task) for task in islice(remaining, 1))
    except _GoneError:
        raise ValueError(
            "a worker process was ended from outside, perhaps for want of memory. "
            f"Run it again with fewer than {most} processes: SEGPIPE_WORKERS={max(1, most // 2)}"
        ) from None
    finally:  # also where whoever takes the results is interrupted, or has enough of them
        for worker in workers:
            worker.end()
        threads.shutdown(wait=True, cancel_futures=True)


class _GoneError(Exception):
    """A worker that will not answer any more."""


class _Worker:
    """A process and the only pipe to it: when the process is killed, whoever waits for its answer hears of it.

    The standard pool's workers share one pipe. One that is killed in the middle of an answer leaves its reader, and so
    the whole program, waiting for the rest.
    """

    def __init__(self, function: Callable[[Any], Any]) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_work, args=(theirs, function), daemon=True)
        self._process.start()
        theirs.close()

    def result_of(self, task: Any) -> Any:
        try:
            self._pipe.send(task)
            result, error, told = self._pipe.recv()
        except (EOFError, OSError):
            raise _GoneError from None
        if error is not None:
            raise error from RuntimeError(f"in a worker process\n{told}")
        return result

    def end(self) -> None:
        self._process.kill()
        self._process.join()


def _work(pipe: Connection, function: Callable[[Any], Any]) -> None:
    """Answer until nobody asks any more."""
    with contextlib.suppress(EOFError, BrokenPipeError):
        while True:
            task = pipe.recv()
            try:
                pipe.send((function(task), None, ""))
            except Exception as error:  # a task may raise anything: it is raised again where the result is asked for
                pipe.send((None, error, traceback.format_exc()))


def _raise(number: int, _frame: Any) -> NoReturn:
    raise KeyboardInterrupt(number)


def interrupts_raise() -> contextlib.AbstractContextManager[None]:
    """Ctrl-C and SIGTERM raise KeyboardInterrupt, where other processes must be taken down first."""
    return _interrupts(_raise)


@contextlib.contextmanager
def _interrupts(handler: Any) -> Iterator[None]:
    """Another way of taking Ctrl-C and SIGTERM, for a while."""
    before = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)
