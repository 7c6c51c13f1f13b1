"""How long the report of thirty experiments takes: to start, to draw, to appear in a browser and to answer there.

The results are fabricated, in the formats that the stages write, with the classes and the epochs of real ones.
The browser's part is measured where there is one: Chromium on PATH, or where SEGPIPE_BROWSER says.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from bench.results import Row, publish
from segpipe import artifacts
from tests.browser.chromium import Page, browser_path, started
from tests.unit.reporting.conftest import Project

ROOT = Path(__file__).parents[1]
EPOCHS, IMAGES = 60, 24
REPEATS = 5
SETS = {"two": 2, "five": 5, "twenty": 20}
TWENTY = {f"class {number}": [13 * number % 256, 29 * number % 256, 71 * number % 256] for number in range(20)}

PAINTED = "new Promise(done => requestAnimationFrame(() => setTimeout(done)))"
MOVED = "moved = one => { one.value = 100 - one.value || 20; one.dispatchEvent(new Event('input', {bubbles: true})) }"
TIMED = "(async () => {{ const began = performance.now(); {}; await {}; return performance.now() - began }})()"
PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
LARGEST = "document.querySelector('#set-twenty')"
ACTIONS = {
    "shows another set": "location.hash = location.hash === '#set-twenty' ? '#set-two' : '#set-twenty'",
    "sorts": f"{LARGEST}.querySelectorAll('.sortable thead button')[2].click()",
    "opens an experiment": f"{LARGEST}.querySelectorAll('summary')[3].click()",
    "shows all curves": f"{LARGEST}.querySelector('.all').click()",
    "slides": f"moved({LARGEST}.querySelector('.split'))",
    "shows errors only": f"{LARGEST}.querySelector('.only-errors').click()",
    "switches the theme": "document.querySelector('#theme').click()",
}


def fabricate(project: Project) -> None:
    """Thirty experiments on three sets of data, with all that the newest evaluation leaves."""
    for name, labels in {"two": project.TWO, "five": project.FIVE, "twenty": TWENTY}.items():
        project.add_set(name, labels, (240, 320))
        project.add_audit(f"{name}_source", labels)
    for number in range(30):
        name, prepared = f"experiment_{number:02}", list(SETS)[number % 3]
        project.add_experiment(name, prepared, epochs=EPOCHS)
        project.train(name, shift=1 + number % 5)
        project.evaluate(name, shift=1 + number % 5, images=IMAGES)
        project.add_what_newer_evaluations_hold(name, shift=1 + number % 5)


def seconds(*command: str) -> float:
    """Of a fresh process, from its start to its end."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    began = time.perf_counter()
    subprocess.run([sys.executable, *command], check=True, env=environment)
    return time.perf_counter() - began


def drawing() -> Iterator[Row]:
    start = [seconds("-c", "import segpipe.reporting") for _ in range(REPEATS)]
    yield Row("start of the stage", median(start), "s", "< 1")
    heavy = "import sys, segpipe.reporting as r; r.draw(); print(sum(n in sys.modules for n in ('torch', 'mlflow')))"
    counted = subprocess.run(
        [sys.executable, "-c", heavy],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    yield Row("torch and mlflow that it imports", float(counted.stdout), "", "< 1")
    yield Row("thirty experiments drawn", median(seconds("-m", "stages.report") for _ in range(3)), "s", "< 20")
    yield Row("the page", artifacts.PAGE.stat().st_size / 1e6, "MB", "< 15")


def browsing(page: Page) -> Iterator[Row]:
    page.resize(1280, 900)
    paints = []
    for _ in range(REPEATS):
        page.open(artifacts.PAGE)
        page.run(PAINTED)
        paints.append(page.run(PAINT))
        page.call("Network.clearBrowserCache")
    yield Row("first paint", median(paints) / 1000, "s", "< 1")
    page.run(f"{MOVED}; location.hash = '#set-twenty'; {PAINTED}")
    for what, action in ACTIONS.items():
        timed = TIMED.format(action, PAINTED)
        yield Row(f"the page {what}", median([page.run(timed) for _ in range(2 * REPEATS)]), "ms", "< 100")
        if what == "shows another set":
            page.run(f"location.hash = '#set-twenty'; {PAINTED}")


def main() -> int:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        os.chdir(scratch)
        fabricate(Project(Path(scratch)))
        rows = list(drawing())
        if browser_path():
            with started(Path(scratch) / "profile") as page:
                rows += browsing(page)
    return publish("report", rows)


if __name__ == "__main__":
    sys.exit(main())
