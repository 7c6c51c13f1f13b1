"""A trained project, and an evaluated one, each made once; a test works on its own copy."""

from __future__ import annotations

from pathlib import Path

import pytest

from segpipe.evaluation.scoring import evaluate
from segpipe.training.loop import train
from tests.unit.training import tiny_project
from tests.unit.training.conftest import one_thread, project, template

__all__ = ["evaluated", "evaluated_template", "one_thread", "project", "template", "trained", "trained_template"]


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


@pytest.fixture(scope="session")
def evaluated_template(trained_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("evaluated")
    with pytest.MonkeyPatch.context() as monkeypatch:
        tiny_project.copy(trained_template, folder, monkeypatch)
        evaluate(tiny_project.NAME)
    return folder


@pytest.fixture
def evaluated(evaluated_template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return tiny_project.copy(evaluated_template, tmp_path / "project", monkeypatch)
