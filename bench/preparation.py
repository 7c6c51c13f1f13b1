"""What preprocessing and auditing cost beside merely decoding the same files, and whether memory grows with them.

The pictures are fabricated: textured, lit and noisy scenes, in files as large as the real ones. They lie in the page
cache. Decoding means the very calls that the stages decode with, in a plain pool of as many processes, with its start.
Each ratio is the median of those of interleaved rounds. Its like by processor time, of all processes together, suffers
less where other programs want the cores.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import psutil

from bench import fabricated_pairs as pairs
from bench.results import Row, publish
from segpipe import artifacts
from segpipe.parallel import num_processes
from segpipe.params import ResolvedPrepared
from segpipe.preparation.audit import audit
from segpipe.preparation.packing import pack
from segpipe.preparation.reading import read_image, read_raw_mask

ROOT = Path(__file__).parents[1]
REPEATS = 3
STREET_PAIRS, STREET_TURNS = 96, 3
REAL_PAIRS = 3269
"""In AeroScapes."""

FEW, MANY = 500, 5000
"""Pairs of 128x96, so that what is held for each weighs as much as it can beside what is held for one at a time."""

MEBIBYTE = 1 << 20


class Taken(NamedTuple):
    """Seconds by the clock, and of all processors together."""

    clock: float
    processors: float


def decode(name: str) -> None:
    """Decode every file of data/audits/<name>/pairs.csv, and drop the pixels."""
    raw = artifacts.raw(name)
    rows = artifacts.read_rows(artifacts.audit(name) / "pairs.csv")
    pool = get_context("spawn").Pool(num_processes())
    for _ in pool.imap_unordered(_decode_pair, [(raw / row["image"], raw / row["mask"]) for row in rows], chunksize=4):
        pass
    pool.close()
    pool.join()


def _decode_pair(files: tuple[Path, Path]) -> None:
    read_image(files[0])
    read_raw_mask(files[1])


def preprocess(name: str, size: tuple[int, int], interpolation: str) -> None:
    settings = {"dataset": name, "view": pairs.TABLE.name, "size": size, "interpolation": interpolation}
    pack(name, ResolvedPrepared.model_validate({**settings, "labels": pairs.TABLE.as_dict()}))


def examine(name: str) -> None:
    """The audit, with a split of ours, so that twins across it are looked for and would be a fault."""
    split = SimpleNamespace(kind="shares", test=0.1, val=0.1)
    audit(name, pairs.Bench(), [pairs.TABLE.name], split, 0, artifacts.raw(name), Path("audited"))


# Time


def taken(action: Callable[[], None]) -> Taken:
    began = time.perf_counter(), _processor_seconds()
    action()
    return Taken(time.perf_counter() - began[0], _processor_seconds() - began[1])


def _processor_seconds() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def median_seconds(rounds: list[Taken]) -> float:
    return statistics.median(each.clock for each in rounds)


def interleaved(actions: dict[str, Callable[[], None]]) -> dict[str, list[Taken]]:
    found: dict[str, list[Taken]] = {what: [] for what in actions}
    for _ in range(REPEATS):
        for what, action in actions.items():
            found[what].append(taken(action))
    return found


def against(one: list[Taken], other: list[Taken]) -> Taken:
    """The median over the rounds of one's seconds by the other's."""
    rounds = [(a.clock / b.clock, a.processors / b.processors) for a, b in zip(one, other, strict=True)]
    return Taken(*(statistics.median(each) for each in zip(*rounds, strict=True)))


def time_rows(count: int) -> list[Row]:
    pairs.fabricate("street", pairs.CITYSCAPES, STREET_PAIRS)
    pairs.fabricate("flight", pairs.AEROSCAPES, count)
    pairs.list_pairs("street", STREET_TURNS)
    pairs.list_pairs("flight", 1)
    street = interleaved(
        {"decoding": lambda: decode("street"), "area": lambda: preprocess("street", (512, 1024), "area")}
    )
    flight = interleaved(
        {
            "decoding": lambda: decode("flight"),
            "area": lambda: preprocess("flight", (518, 518), "area"),
            "bilinear": lambda: preprocess("flight", (518, 518), "bilinear"),
            "audit": lambda: examine("flight"),
        }
    )
    return [
        Row("street: an image, PNG of 2048x1024", pairs.megabytes("street", "images"), "MB"),
        *preprocessing_rows("street", STREET_PAIRS * STREET_TURNS, "512x1024", {"area": ">= 0.9"}, street),
        Row("flight: an image, JPEG of 1280x720", pairs.megabytes("flight", "images"), "MB"),
        *preprocessing_rows("flight", count, "518x518", {"area": ">= 0.5", "bilinear": ">= 0.7"}, flight),
        *audit_rows(count, flight),
    ]


def preprocessing_rows(
    name: str, count: int, size: str, bounds: dict[str, str], found: dict[str, list[Taken]]
) -> list[Row]:
    """The speed of decoding, then for each interpolation that of preprocessing, and its share of decoding's."""
    rows = [Row(f"{name}: decoding", count / median_seconds(found["decoding"]), "pairs/s")]
    for interpolation, bound in bounds.items():
        own, share = found[interpolation], against(found["decoding"], found[interpolation])
        title = f"{name}: to {size}, {interpolation}"
        rows += [
            Row(title, count / median_seconds(own), "pairs/s"),
            Row(f"{title}, of decoding's speed", share.clock, "×", bound),
            Row(f"{title}, the same by processor time", share.processors, "×"),
        ]
    return rows


def audit_rows(count: int, found: dict[str, list[Taken]]) -> list[Row]:
    seconds, share = median_seconds(found["audit"]), against(found["audit"], found["decoding"])
    return [
        Row(f"flight: audit of {count} pairs", seconds, "s"),
        Row(f"flight: audit of {REAL_PAIRS} pairs, projected", seconds / count * REAL_PAIRS, "s"),
        Row("flight: audit, of decoding's time", share.clock, "×", "< 1.5"),
        Row("flight: audit, the same by processor time", share.processors, "×"),
    ]


# Memory


class Peak(NamedTuple):
    """Bytes that belong to no file (RssAnon): of the stage's own process, of its largest worker, of all together.

    Pages of mapped and cached files are not counted: the kernel keeps them while there is room and drops them at need,
    so that they grow into whatever memory there is. What is resident with them (RSS) is told too.
    """

    parent: float
    worker: float
    together: float
    resident: float


def peak_of(call: str) -> Peak:
    """Of a stage that runs in a process of its own, looked at fifty times a second."""
    command = [sys.executable, "-c", f"from bench.preparation import examine, preprocess; {call}"]
    seen = Peak(0, 0, 0, 0)
    with subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(ROOT)}) as process:
        while process.poll() is None:
            seen = Peak(*map(max, seen, _snapshot(process.pid)))
            time.sleep(0.02)
    if process.returncode:
        raise SystemExit(f"{call} failed: nothing was measured")
    return seen


def _snapshot(parent: int) -> Peak:
    try:
        workers = [child.pid for child in psutil.Process(parent).children(recursive=True)]
    except psutil.NoSuchProcess:
        workers = []
    sizes = [_sizes(number) for number in (parent, *workers)]
    own = [anonymous for anonymous, _ in sizes]
    return Peak(own[0], max(own[1:], default=0), sum(own), sum(resident for _, resident in sizes))


def _sizes(process: int) -> tuple[int, int]:
    """Anonymous and resident bytes; none, if it just ended."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0, 0
    found = {line.split(":")[0]: int(line.split()[1]) << 10 for line in lines if line.startswith(("RssAnon", "VmRSS"))}
    return found.get("RssAnon", 0), found.get("VmRSS", 0)


def memory_rows() -> list[Row]:
    for count in (FEW, MANY):
        pairs.fabricate(f"small_{count}", pairs.SMALL, count)
        pairs.list_pairs(f"small_{count}", 1)
    calls = {"preprocess": "preprocess('small_{}', (96, 128), 'area')", "audit": "examine('small_{}')"}
    return [row for stage, call in calls.items() for row in growth_rows(stage, call)]


def growth_rows(stage: str, call: str) -> list[Row]:
    """The medians for few pairs and for many, of each kind of peak, and how one stands to the other."""
    rounds = [[peak_of(call.format(count)) for count in (FEW, MANY)] for _ in range(REPEATS)]
    few, many = (Peak(*map(statistics.median, zip(*peaks, strict=True))) for peaks in zip(*rounds, strict=True))
    named = ("its own process", "its largest worker", "all, with pages of files", "all processes")
    rows = []
    for name, field in zip(named, ("parent", "worker", "resident", "together"), strict=True):
        before, after = getattr(few, field), getattr(many, field)
        title = f"{stage}: memory of {name}"
        rows += [
            Row(f"{title}, {FEW} pairs", before / MEBIBYTE, "MiB"),
            Row(f"{title}, {MANY} against {FEW}", after / before, "×", "< 1.1" if field == "together" else ""),
        ]
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=1000, help=f"AeroScapes-sized ones; {REAL_PAIRS} is all of it")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        os.chdir(scratch)
        rows = [*time_rows(arguments.pairs), *memory_rows()]
        os.chdir(ROOT)
    return publish("preparation", rows)


if __name__ == "__main__":
    sys.exit(main())
