"""What docs/serving.md says, done: `make serve` on a champion, a request, an overlay; a word where there is none."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segpipe.inference.usable_model import chosen_machine, usable
from tests.unit.promotion.promoting import MODEL
from tests.unit.training.tiny_project import ROOT, scene

pytestmark = pytest.mark.slow


def command(model: str, port: int) -> tuple[list[str], dict[str, str]]:
    """`make serve` as it stands, but for the environment that it would set up first."""
    given = ["make", "--no-print-directory", "-n", "-o", "setup", "-f", str(ROOT / "Makefile"), "serve"]
    recipe = subprocess.run(given, capture_output=True, text=True, check=True).stdout
    there = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    extra = {"PATH": there, "PYTHONPATH": str(ROOT), "MODEL": model, "PORT": str(port), "OMP_NUM_THREADS": "1"}
    return ["bash", "-eu", "-o", "pipefail", "-c", recipe], {**os.environ, **extra}


@contextmanager
def served(model: str) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    line, environment = command(model, port)
    process = subprocess.Popen(line, env=environment, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        for _ in range(600):
            assert process.poll() is None
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=1)
                break
            except OSError:
                time.sleep(0.2)
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()


def test_the_served_champion_answers_the_script_of_the_guide(registered: Path) -> None:
    guide = (ROOT / "docs/serving.md").read_text(encoding="utf-8")
    (script,) = re.findall(r"```python\n(.*?)```", guide, re.DOTALL)
    Path("ask.py").write_text(script)
    image, _ = scene(5)
    Image.fromarray(image).save("tile.png")
    with served(MODEL) as address:
        subprocess.run([sys.executable, "ask.py", "tile.png", "overlay.png", address], check=True)
    mask = usable(f"{MODEL}@champion", chosen_machine("cpu")).mask(image)
    assert set(np.unique(mask)) == {0, 1}
    colors = np.array([(214, 69, 65), (172, 164, 186)])  # as the guide gives them
    halfway = (image.astype(float) + colors[mask]) / 2
    assert np.abs(np.asarray(Image.open("overlay.png")) - halfway).max() <= 1


def test_without_a_champion_it_says_what_there_is(registered: Path) -> None:
    line, environment = command("nobody", 1)
    said = subprocess.run(line, env=environment, capture_output=True, text=True)
    assert said.returncode == 1
    assert "has no nobody@champion. It holds tiny." in said.stderr
    assert "Traceback" not in said.stderr
