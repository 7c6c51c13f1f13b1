"""Other libraries to be measured against, each set of them in an environment of its own, where ours stays as it is."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path

ENVIRONMENTS = Path(__file__).parents[1] / ".segpipe" / "bench"


def python_with(name: str, packages: Sequence[str]) -> Path:
    """The interpreter of an environment that has these beside our own packages; made once, in minutes.

    It finds ours through a path file, so that both run on the same torch, and no torch is installed twice.
    """
    folder, wanted = ENVIRONMENTS / name, "\n".join(packages)
    python, ready = folder / "bin" / "python", folder / "ready"
    if not ready.is_file() or ready.read_text() != wanted:
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        (site,) = folder.glob("lib/python*/site-packages")
        (site / "segpipe_environment.pth").write_text(sysconfig.get_path("purelib") + "\n")
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *packages], check=True)
        ready.write_text(wanted)
    return python
