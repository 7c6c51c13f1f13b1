"""MLflow's own pages in a real browser: the panel is in the note, the metrics are in sections."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from segpipe import tracking
from tests.browser.chromium import Page
from tests.unit.tracking.conftest import away, empty_database, store
from tests.unit.tracking.examples import RECORD, history, timing
from tests.unit.tracking.test_files import server
from tests.unit.tracking.test_pages import COLORS, picture, prepared

__all__ = ["away", "empty_database", "store"]
pytestmark = pytest.mark.slow

TRAINING_PAGES = "localStorage.setItem('mlflow.workflowType_v1', '\"machine_learning\"')"


def until(page: Page, condition: str) -> None:
    limit = time.monotonic() + 60
    while not page.run(condition):
        assert time.monotonic() < limit, page.run("document.body?.innerText")
        time.sleep(0.2)


def test_a_run_shows_its_panel_and_an_experiment_its_sections(browser: Page, store: Path, away: str) -> None:
    prepared(is_fabricated=True)
    run = tracking.begin(RECORD, None)
    run.log_history(history(3), timing(3))
    run.log_evaluation({"test_miou": 0.5}, [picture(store, "best-1", part) for part in COLORS])
    run.end()
    browser.resize(1280, 900)
    with server(store, int(away.rpartition(":")[2])) as address:
        browser.call("Page.navigate", url=address)
        until(browser, f"location.href.startsWith('{address}') && !{TRAINING_PAGES}")
        browser.call("Page.navigate", url=f"{address}/?run#/experiments/{run.experiment_id}/runs/{run.id}")
        panel = "[...document.images].find(one => one.src.includes('panel.jpg'))"
        until(browser, f"{panel}?.naturalWidth == 672")  # three of 220 and two gaps of 6
        browser.call(
            "Page.navigate", url=f"{address}/?charts#/experiments/{run.experiment_id}/runs?compareRunsMode=CHART"
        )
        for section in ("test", "timing", "val"):
            until(browser, f"/^{section}\\s*\\(/m.test(document.body?.innerText)")
        assert "Fabricated data." in browser.run("document.body.innerText")
