"""A trained project, made once; a test evaluates its own copy."""

from __future__ import annotations

from pathlib import Path

import pytest

from segpipe.training.loop import train
from tests.unit.training import tiny_project
from tests.unit.training.conftest import one_thread, template

__all__ = ["one_thread", "template", "trained", "trained_template"]


@pytest.fixture(scope="session")
def trained_template(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as monkeypatch:
        tiny_project.copy(template, folder, monkeypatch)
        train(tiny_project.NAME)
    return folder


@pytest.fixture
def trained(trained_template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return tiny_project.copy(trained_template, tmp_path, monkeypatch)
