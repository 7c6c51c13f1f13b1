"""A trained and evaluated project that learnt something, made once; a test promotes its own copy."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from segpipe.evaluation.scoring import evaluate
from segpipe.training.loop import train
from tests.unit.promotion import promoting
from tests.unit.training import tiny_project
from tests.unit.training.conftest import one_thread, single_threaded, template

__all__ = ["evaluated", "evaluated_template", "one_thread", "template"]


@pytest.fixture(autouse=True)
def undisturbed_imports(monkeypatch: pytest.MonkeyPatch) -> None:
    """MLflow puts a logged model's code on the path when it tries it."""
    monkeypatch.setattr(sys, "path", list(sys.path))


@pytest.fixture(scope="session")
def evaluated_template(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("evaluated")
    with pytest.MonkeyPatch.context() as monkeypatch, single_threaded():  # as its tests are
        tiny_project.copy(template, folder, monkeypatch)
        tiny_project.write_params(epochs=12, optimizer={"name": "adam", "lr": 0.02})
        train(tiny_project.NAME)
        evaluate(tiny_project.NAME)
    return folder


@pytest.fixture
def evaluated(evaluated_template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return tiny_project.copy(evaluated_template, tmp_path / "project", monkeypatch)


@pytest.fixture(scope="session")
def registered_template(evaluated_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its champion's files stay here, whoever copies the project: MLflow keeps absolute paths."""
    folder = tmp_path_factory.mktemp("registered")
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(sys, "path", list(sys.path))
        tiny_project.copy(evaluated_template, folder, monkeypatch)
        promoting.report()
        promoting.register()
    return folder


@pytest.fixture
def registered(registered_template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose first version is champion."""
    return tiny_project.copy(registered_template, tmp_path / "project", monkeypatch)
