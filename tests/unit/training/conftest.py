"""Ready-made projects to train, each built once; a test works in its own copy."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from segpipe import tracking
from tests.unit.training import tiny_project


@contextlib.contextmanager
def single_threaded() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    with single_threaded():
        yield


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with an empty database: making one takes MLflow seconds, so that all folders of tests share it."""
    folder = tmp_path_factory.getbasetemp() / "tiny_project"
    if not folder.exists():
        with pytest.MonkeyPatch.context() as monkeypatch:
            tiny_project.enter(folder, monkeypatch)
            tiny_project.build()
            tracking._client()
    return folder


@pytest.fixture
def project(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return tiny_project.copy(template, tmp_path, monkeypatch)
