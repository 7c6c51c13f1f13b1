"""Prints and keeps what a measurement found: the machine, and a row for each thing that was measured."""

from __future__ import annotations

import json
import operator
import os
import platform
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

FOLDER = Path(__file__).parent / "results"
SIGNS: dict[str, Callable[[float, float], bool]] = {"<": operator.lt, "<=": operator.le, ">=": operator.ge}


@dataclass(frozen=True)
class Row:
    """One measured thing, and the bound that it must keep: a sign of SIGNS, a blank, a number."""

    what: str
    measured: float
    unit: str
    bound: str = ""

    @property
    def keeps_its_bound(self) -> bool:
        if not self.bound:
            return True
        sign, _, limit = self.bound.partition(" ")
        return SIGNS[sign](self.measured, float(limit))


def so_far(rows: list[Row]) -> list[Row]:
    """The same rows, said at once: what a long measurement has found is not lost when it is stopped."""
    for row in rows:
        print(f"{row.what}: {row.measured:.4g} {row.unit}", file=sys.stderr, flush=True)
    return rows


def publish(name: str, rows: list[Row]) -> int:
    """The table on the terminal and in bench/results/<name>.json; 1 when a bound is broken."""
    width = max(len(row.what) for row in rows)
    for row in rows:
        verdict = ("ok" if row.keeps_its_bound else "MISSED") if row.bound else ""
        print(f"{row.what:<{width}}  {row.measured:>10.2f} {row.unit:<12} {row.bound:<10} {verdict}")
    FOLDER.mkdir(exist_ok=True)
    content = {"machine": machine(), "rows": [asdict(row) for row in rows]}
    (FOLDER / f"{name}.json").write_text(json.dumps(content, indent=2) + "\n")
    return 0 if all(row.keeps_its_bound for row in rows) else 1


def machine() -> dict[str, str | int]:
    cpuinfo = Path("/proc/cpuinfo")
    models = [
        line.partition(":")[2].strip() for line in cpuinfo.read_text().splitlines() if line.startswith("model name")
    ]
    return {
        "processor": models[0] if models else platform.processor(),
        "cores": os.cpu_count() or 0,
        "python": platform.python_version(),
    }
