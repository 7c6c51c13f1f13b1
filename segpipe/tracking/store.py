"""The tracking store: where it is, and a first contact that two processes may make at once."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING

from filelock import FileLock

from segpipe import artifacts
from segpipe.tracking import pages

if TYPE_CHECKING:
    from mlflow import MlflowClient


def uri() -> str:
    """MLFLOW_TRACKING_URI, or the project's own database."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{artifacts.main_repository().resolve()}/mlflow.db"


@cache
def client() -> MlflowClient:
    # A server that is away must not hold up the training for MLflow's default of minutes.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    import mlflow

    logging.getLogger("alembic").setLevel(logging.WARNING)
    logging.getLogger("mlflow").setLevel(logging.WARNING)
    logging.getLogger("mlflow.utils.environment").setLevel(logging.ERROR)  # it misses pip, which uv does not install
    mlflow.set_tracking_uri(uri())
    with database_lock():
        # The first contact creates the database; two processes that do so at once end with one of them dead.
        made = mlflow.MlflowClient()
        made.search_experiments(max_results=1)
    return made


def wake() -> None:
    """Import MLflow and meet the store: seconds, for whoever has something else to wait for meanwhile."""
    client()


@contextlib.contextmanager
def database_lock() -> Iterator[None]:
    path = artifacts.working("locks") / "tracking.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path):
        yield


def experiment_id(prepared: str) -> str:
    """One MLflow experiment for each prepared set, so that its page compares what is comparable."""
    known = client()  # which takes the same lock at the first contact
    with database_lock():
        found = known.get_experiment_by_name(prepared)
        if found is not None:
            return str(found.experiment_id)
        folder = (artifacts.main_repository().resolve() / "mlartifacts" / prepared).as_uri()
        location = folder if uri().startswith("sqlite") else None
        note = {pages.NOTE: said} if (said := pages.about(prepared)) else None
        return str(known.create_experiment(prepared, artifact_location=location, tags=note))
