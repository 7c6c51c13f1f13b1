"""How long the demo, a run with nothing to do, and the start of a light stage take, in a clone of its own.

The demo was to take three minutes with three U-Nets, and eight with all seven systems.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.results import Row, publish

ROOT = Path(__file__).parents[1]
PATH = f"{Path(sys.executable).parent}:{os.environ['PATH']}"


def seconds(command: list[str], folder: Path, repeats: int = 1) -> float:
    """The fastest of several runs, all of which must succeed."""
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        subprocess.run(command, cwd=folder, check=True, capture_output=True, env={**os.environ, "PATH": PATH})
        times.append(time.perf_counter() - began)
    return min(times)


def main() -> int:
    with tempfile.TemporaryDirectory() as scratch:
        clone = Path(scratch) / "clone"
        subprocess.run(["git", "clone", "-q", str(ROOT), str(clone)], check=True)
        demo, repro = [[sys.executable, "-m", *module] for module in (("segpipe", "repro"), ("dvc", "repro"))]
        rows = [
            Row("the whole demo, side by side", seconds(demo, clone), "s", "< 480"),
            Row("dvc repro, nothing to do", seconds(repro, clone, 3), "s", "< 2"),
        ]
        for stage in ("gate", "report"):
            command = [sys.executable, "-m", f"stages.{stage}", "--help"]
            rows.append(Row(f"python -m stages.{stage} --help", seconds(command, clone, 5), "s", "< 0.5"))
    return publish("pipeline", rows)


if __name__ == "__main__":
    sys.exit(main())
