"""Work spread over processes, in order, that ends within a second of Ctrl-C."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
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


def in_processes(function: Callable[[Task], Result], tasks: Iterable[Task]) -> Iterator[Result]:
    """`function` of each task, in order; memory does not grow with the number of tasks."""
    remaining, processes = iter(tasks), num_processes()
    executor = ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"))
    try:
        with _interrupts(signal.SIG_IGN):  # what starts in here does not hear Ctrl-C
            pending = deque(executor.submit(function, task) for task in islice(remaining, processes * AHEAD))
        with _interrupts(_raise):
            while pending:
                yield pending.popleft().result()
                pending.extend(executor.submit(function, task) for task in islice(remaining, 1))
    except (KeyboardInterrupt, GeneratorExit):  # the second one where whoever asks is interrupted, not we
        for process in multiprocessing.active_children():
            process.kill()
        raise
    except BrokenProcessPool:
        raise ValueError(
            "a worker process was ended from outside, perhaps for want of memory. "
            f"Run it again with fewer than {processes} processes: SEGPIPE_WORKERS={max(1, processes // 2)}"
        ) from None
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


def _raise(number: int, _frame: Any) -> NoReturn:
    raise KeyboardInterrupt(number)


@contextlib.contextmanager
def _interrupts(handler: Any) -> Iterator[None]:
    """Another way of taking Ctrl-C and SIGTERM: raised, since a pool must be taken down, not just left."""
    before = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)
