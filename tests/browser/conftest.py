"""A browser, where there is one, and a small report for it to open."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from segpipe import artifacts
from segpipe.reporting import draw
from tests.browser.chromium import Page, browser_path, started
from tests.unit.reporting.conftest import Project, fill

DESKTOP, PHONE = (1280, 900), (390, 844)


@pytest.fixture(scope="package")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """reports/index.html of a small project."""
    folder = tmp_path_factory.mktemp("project")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        fill(Project(folder))
        draw()
    return folder / artifacts.PAGE


@pytest.fixture(scope="package")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    if browser_path() is None:
        pytest.skip("no browser: install Chromium, or say where one is with SEGPIPE_BROWSER")
    with started(tmp_path_factory.mktemp("profile")) as page:
        yield page


@pytest.fixture
def page(browser: Page, report: Path) -> Page:
    """The report in a desktop's window, as on a first visit."""
    browser.resize(*DESKTOP)
    browser.prefer(color_scheme="light")
    browser.open(report)
    browser.run("localStorage.clear()")
    browser.console.clear()
    browser.requests.clear()
    browser.open(report)
    return browser


@pytest.fixture(scope="package")
def axe() -> str:
    """The source of axe-core, 4.14 or newer: older ones cannot read today's colours, and find every contrast well."""
    place = os.environ.get("SEGPIPE_AXE")
    if not place:
        pytest.skip("no axe-core: `npm pack axe-core`, unpack it, and set SEGPIPE_AXE to its axe.min.js")
    return Path(place).read_text(encoding="utf-8")
