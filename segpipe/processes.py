"""One piece of work in several processes, on one machine or several: they count exactly, and end together.

Nobody who calls this need know how many there are: alone, a process is the first of one.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING, Any

import numpy as np

from segpipe import artifacts
from segpipe.parallel import num_processes
from segpipe.params import Hardware

if TYPE_CHECKING:
    from multiprocessing.context import SpawnProcess

    from torch import Tensor
    from torch.distributed import TCPStore  # type: ignore[attr-defined]  # public, but for torch's own `__all__`

GRACE_SECONDS = 1.0
"""How long the others may say what they died of, when one has: who was cut off speaks as loud as who failed."""

CUT_OFF, UNFORESEEN, FORESEEN, KILLED = range(4)
"""What a process can have died of, the last one the likeliest to have come first."""


@dataclass(frozen=True)
class Place:
    """Which of `count` processes this is, and which of those on its machine."""

    rank: int = 0
    count: int = 1
    local_rank: int = 0

    @property
    def is_first(self) -> bool:
        """Whether this is the one process that writes, tracks and speaks."""
        return self.rank == 0


_own = Place()


def place() -> Place:
    return _own


def launch(work: Callable[[], None], hardware: Hardware) -> None:
    """Run `work` once for each device of each node; if one run dies, all end within seconds, with its error.

    Where torchrun or SLURM has made the processes already, this is one of them.
    """
    given = placed_by(os.environ)
    if given is not None:
        own, meeting = given
        os.environ |= meeting
        with _joined(own, None):
            work()
        return
    devices = _num_devices(hardware)
    if devices * hardware.nodes == 1:
        work()
    else:
        _Node(work, hardware, devices).run()


def summed(array: np.ndarray) -> np.ndarray:
    """The sum over all processes, on each of them: exact for int64, and always in the order of ranks."""
    if _own.count == 1:
        return array
    import torch
    from torch import distributed

    own = torch.from_numpy(np.ascontiguousarray(array))
    everyones = [torch.empty_like(own) for _ in range(_own.count)]
    distributed.all_gather(everyones, own)
    total: np.ndarray = np.sum([each.numpy() for each in everyones], axis=0, dtype=array.dtype)
    return total


def add_up(tensors: Sequence[Tensor]) -> None:
    """Each of these, all of one type and on this process's device, becomes its sum over all processes."""
    if _own.count == 1 or not tensors:
        return
    import torch
    from torch import distributed

    flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
    distributed.all_reduce(flat)
    for tensor, total in zip(tensors, torch.split(flat, [tensor.numel() for tensor in tensors]), strict=True):
        tensor.copy_(total.view(tensor.shape))  # keeps how it lies in memory, which fused optimizers go by


def gathered(value: Any) -> list[Any]:
    """Every process's value, in the order of ranks, on every process."""
    if _own.count == 1:
        return [value]
    from torch import distributed

    values: list[Any] = [None] * _own.count
    distributed.all_gather_object(values, value)
    return values


# Places that others gave


def placed_by(environment: Mapping[str, str]) -> tuple[Place, dict[str, str]] | None:
    """This process's place among those that torchrun or srun started, and what torch must know to meet them."""
    if {"RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"} <= environment.keys():
        return Place(*(int(environment.get(key, "0")) for key in ("RANK", "WORLD_SIZE", "LOCAL_RANK"))), {}
    # A batch script has the job's variables, though it is one process: only a step of srun has a step's.
    if int(environment.get("SLURM_STEP_NUM_TASKS", "1")) > 1:
        own = Place(*(int(environment[f"SLURM_{key}"]) for key in ("PROCID", "STEP_NUM_TASKS", "LOCALID")))
        port = 20_000 + int(environment["SLURM_JOB_ID"]) % 10_000  # as good as free, and the same for every process
        return own, {"MASTER_ADDR": _first_host(environment["SLURM_STEP_NODELIST"]), "MASTER_PORT": str(port)}
    return None


def _first_host(nodes: str) -> str:
    """Of SLURM's short form, `gpu[03-05,09],cpu1`."""
    found = re.match(r"([^,\[]+)(?:\[(\d+)[^\]]*\])?", nodes)
    assert found, nodes
    return found[1] + (found[2] or "")


def _store(host: str, port: int, *, is_host: bool) -> TCPStore:
    from torch import distributed

    return distributed.TCPStore(host, port, is_master=is_host, wait_for_workers=False)  # type: ignore[attr-defined]


@contextlib.contextmanager
def _joined(own: Place, store: TCPStore | None) -> Iterator[None]:
    """Be one of the processes: on a device of its own, and able to speak to the others; they meet where torch looks
    for them, or in the store that is given.
    """
    global _own
    import torch
    from torch import distributed

    if torch.accelerator.is_available():
        torch.accelerator.set_device_index(own.local_rank)
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    distributed.init_process_group(backend, store=store, rank=own.rank, world_size=own.count)
    _own = own
    try:
        yield
    finally:
        _own = Place()
    distributed.destroy_process_group()  # only after success: else it may wait for those that are gone


# Places that we give


def _num_devices(hardware: Hardware) -> int:
    """How many processes this machine gets: on a processor as many as are asked for, else one for each device."""
    import torch

    is_on_processor = hardware.device == "cpu" or not torch.accelerator.is_available()
    there = 1 if is_on_processor else torch.accelerator.device_count()
    if not is_on_processor and hardware.devices > there:
        raise ValueError(
            f"hardware.devices: {hardware.devices} are asked for, and this machine has {there}. "
            "Lower it, or take 0 for all, in params.yaml or SEGPIPE_DEVICES"
        )
    return hardware.devices or there


def _meeting_point(hardware: Hardware) -> tuple[str, int]:
    if hardware.nodes == 1:
        return "127.0.0.1", 0
    host, _, port = hardware.rendezvous.rpartition(":")
    if not host or not port.isdecimal() or hardware.node >= hardware.nodes:
        raise ValueError(
            f"hardware: node {hardware.node} of {hardware.nodes}, rendezvous '{hardware.rendezvous}': expected a node "
            "below the number of nodes, and host:port of node 0. Set SEGPIPE_NODE and SEGPIPE_RENDEZVOUS on each node"
        )
    return host, int(port)


@dataclass(frozen=True)
class _Death:
    """How a process ended: `cause` is what it could still say, and how likely it is what began it all."""

    rank: int
    code: int
    cause: str | None
    likelihood: int

    def __str__(self) -> str:
        if self.cause is not None:
            return self.cause
        how = f"signal {signal.Signals(-self.code).name}" if self.code < 0 else f"exit code {self.code}"
        return (
            f"the process of rank {self.rank} was ended from outside ({how}), perhaps for want of memory.\n"
            "The others were ended too. Run the same command to go on"
        )


def _said(report: Connection) -> tuple[str | None, int]:
    """The last words of a process that has ended, if it had any."""
    try:
        words: tuple[str, int] = report.recv()
    except EOFError:
        return None, KILLED
    return words


class _Node:
    """The processes of this machine, and the one that watches over them: this one."""

    def __init__(self, work: Callable[[], None], hardware: Hardware, devices: int) -> None:
        self._work, self._nodes, self._node, self._devices = work, hardware.nodes, hardware.node, devices
        host, port = _meeting_point(hardware)
        self._store = _store(host, port, is_host=hardware.node == 0)
        self._meeting = host, self._store.port
        self._running: dict[int, tuple[SpawnProcess, Connection]] = {}

    def run(self) -> None:
        try:
            for local_rank in range(self._devices):
                self._start(local_rank)
            self._watch()
        finally:
            for process, _ in self._running.values():
                process.kill()
                process.join()

    def _start(self, local_rank: int) -> None:
        own = Place(self._node * self._devices + local_rank, self._nodes * self._devices, local_rank)
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe(duplex=False)
        arguments = (self._work, own, self._devices, self._meeting, theirs)
        process = context.Process(target=_rank, args=arguments, daemon=True)
        process.start()
        theirs.close()
        self._running[own.rank] = process, ours

    def _watch(self) -> None:
        """Until all have ended well, here and on the other nodes; or else one has not."""
        while self._running or self._is_awaited():
            wait([process.sentinel for process, _ in self._running.values()], timeout=0.2)
            codes = {rank: process.exitcode for rank, (process, _) in self._running.items()}
            if any(codes.values()):
                raise ValueError(self._told(self._deaths()))
            for rank in (rank for rank, code in codes.items() if code == 0):
                del self._running[rank]
                self._tell("ended", None)
            self._listen()

    def _is_awaited(self) -> bool:
        """Whether others still meet here."""
        return self._node == 0 and self._nodes > 1 and self._store.add("ended", 0) < self._nodes * self._devices

    def _deaths(self) -> list[_Death]:
        deadline = time.monotonic() + GRACE_SECONDS
        while time.monotonic() < deadline and any(process.is_alive() for process, _ in self._running.values()):
            time.sleep(0.02)
        return [
            _Death(rank, process.exitcode, *_said(report))
            for rank, (process, report) in self._running.items()
            if process.exitcode
        ]

    def _told(self, deaths: list[_Death]) -> str:
        reason = str(max(deaths, key=lambda death: death.likelihood))
        self._tell("failed", reason)
        return reason

    def _tell(self, what: str, reason: str | None) -> None:
        """The other nodes look here once in a while."""
        if self._nodes > 1:
            self._store.set(what, reason) if reason else self._store.add(what, 1)

    def _listen(self) -> None:
        if self._nodes == 1:
            return
        try:
            failed = self._store.get("failed").decode() if self._store.check(["failed"]) else None
        except RuntimeError:
            failed = "node 0 does not answer any more"
        if failed:
            raise ValueError(f"another node failed: {failed}")


def _rank(work: Callable[[], None], own: Place, devices: int, meeting: tuple[str, int], report: Connection) -> None:
    """What a process of ours does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all: the one that watches ends the others
    threading.Thread(target=_end_with_parent, daemon=True).start()
    import torch

    os.environ["SEGPIPE_WORKERS"] = str(max(1, num_processes() // devices))
    torch.set_num_threads(max(1, torch.get_num_threads() // devices))
    try:
        with _joined(own, _store(*meeting, is_host=False)):
            work()
    except Exception as error:  # told to the one that watches, who shows it to the person
        if os.environ.get("SEGPIPE_DEBUG") == "1":
            raise
        likelihood = _likelihood(error)
        report.send((str(error) if likelihood == FORESEEN else f"{type(error).__name__}: {error}", likelihood))
        os._exit(1)  # what torch would still wait for may be gone


def _likelihood(error: Exception) -> int:
    """Where a process is cut off from the others, torch raises a RuntimeError."""
    if isinstance(error, (ValueError, OSError)):
        return FORESEEN
    return CUT_OFF if isinstance(error, RuntimeError) else UNFORESEEN


def _end_with_parent() -> None:
    """Whoever kills the one that watches means all of us."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    artifacts.abandon_work()
    os._exit(1)
