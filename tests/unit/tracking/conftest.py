"""Stores to write to: an empty one, and one that nobody runs."""

from __future__ import annotations

import shutil
import socket
from pathlib import Path

import pytest

from segpipe import tracking
from tests.unit.tracking.examples import enter


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Making one takes MLflow seconds; tests take a copy."""
    folder = tmp_path_factory.mktemp("database")
    with pytest.MonkeyPatch.context() as monkeypatch:
        enter(folder, monkeypatch)
        tracking._client()
    return folder / "mlflow.db"


@pytest.fixture
def store(empty_database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copyfile(empty_database, tmp_path / "mlflow.db")
    enter(tmp_path, monkeypatch)
    return tmp_path


@pytest.fixture
def away(monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of a server that nobody runs: a port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    return f"http://127.0.0.1:{port}"
