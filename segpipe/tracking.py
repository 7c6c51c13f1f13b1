"""MLflow, and the only door to it: runs that survive its absence, and the model registry.

The history lies in files; the tracking store is a copy for people to look at. While it is away, training goes on,
and what it missed is uploaded at the next contact.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import time
import warnings
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from segpipe import artifacts
from segpipe.terminal import say

if TYPE_CHECKING:
    from mlflow import MlflowClient

CHAMPION, CHALLENGER = "champion", "challenger"


def uri() -> str:
    """MLFLOW_TRACKING_URI, or the project's own database."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{artifacts.main_repository().resolve()}/mlflow.db"


@cache
def _client() -> MlflowClient:
    # A server that is away must not hold up the training for MLflow's default of minutes.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    import mlflow

    logging.getLogger("alembic").setLevel(logging.WARNING)
    logging.getLogger("mlflow").setLevel(logging.WARNING)
    logging.getLogger("mlflow.utils.environment").setLevel(logging.ERROR)  # it misses pip, which uv does not install
    mlflow.set_tracking_uri(uri())
    with _database_lock():
        # The first contact creates the database; two processes that do so at once end with one of them dead.
        client = mlflow.MlflowClient()
        client.search_experiments(max_results=1)
    return client


@contextlib.contextmanager
def _database_lock() -> Iterator[None]:
    path = artifacts.working("locks") / "tracking.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path):
        yield


def _experiment_id(prepared: str) -> str:
    """One MLflow experiment for each prepared set, so that its page compares what is comparable."""
    client = _client()
    with _database_lock():
        found = client.get_experiment_by_name(prepared)
        if found is not None:
            return str(found.experiment_id)
        folder = (artifacts.main_repository().resolve() / "mlartifacts" / prepared).as_uri()
        location = folder if uri().startswith("sqlite") else None
        return str(client.create_experiment(prepared, artifact_location=location))


class Run:
    """One MLflow run, written to when the store can be reached, and never a reason to stop."""

    def __init__(self, record: dict[str, Any], run_id: str | None) -> None:
        self._record = record
        self._is_away = False
        self.id = run_id
        self.experiment_id: str | None = None
        self._attempt(self._open)

    def log_history(self, history: list[dict[str, Any]], timing: list[dict[str, Any]]) -> None:
        """Every epoch that the store has not seen yet, each once."""
        self._attempt(lambda: self._upload_history(history, timing))

    def log_evaluation(self, scores: dict[str, float], pictures: list[Path]) -> None:
        """The final scores, under the names that the files use, and pictures to look at."""
        self._attempt(lambda: self._upload_evaluation(scores, pictures))

    def end(self) -> None:
        self._attempt(lambda: _client().set_terminated(self._known_id(), "FINISHED"))

    def _attempt(self, action: Any) -> None:
        from mlflow.exceptions import MlflowException
        from sqlalchemy.exc import SQLAlchemyError

        try:
            action()
        except (MlflowException, SQLAlchemyError, OSError) as error:
            if not self._is_away:
                reason = (str(error).splitlines() or [type(error).__name__])[0]
                say(f"tracking: {uri()} cannot be reached ({reason[:120]}); going on, the files hold everything")
            self._is_away = True
        else:
            self._is_away = False

    def _known_id(self) -> str:
        if self.id is None:
            self._open()
        assert self.id is not None
        return self.id

    def _open(self) -> None:
        """Continue the run if the store has it, else begin one with all that is known of it."""
        known = self._find() if self.id is not None else None
        if known is None:
            self.id = self._begin()
        else:
            self.experiment_id = known.info.experiment_id
            _client().update_run(self.id, status="RUNNING")

    def _find(self) -> Any:
        from mlflow.exceptions import MlflowException

        try:
            run = _client().get_run(self.id)
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return None
            raise
        return run if run.info.lifecycle_stage == "active" else None

    def _begin(self) -> str:
        from mlflow.entities import Param, RunTag

        record, came_from = self._record, self._record["lineage"]
        tags = {
            "mlflow.source.name": "python -m stages.train",
            "mlflow.source.git.commit": came_from["commit"],
            "mlflow.note.content": record["description"],
            "model": record["params"]["model"]["name"],
            "dirty": came_from["dirty"],
            "environment": came_from["environment"],
            "weights": came_from["weights"]["sha256"],
            "weights_label": came_from["weights"]["label"],
            **{f"data.{name}": content for name, content in came_from["data"].items()},
            **{f"machine.{name}": value for name, value in record["machine"].items()},
        }
        self.experiment_id = _experiment_id(record["params"]["prepared"])
        run = _client().create_run(self.experiment_id, run_name=record["experiment"])
        settings = _flat(record["params"])
        _client().log_batch(
            run.info.run_id,
            params=[Param(key, str(value)) for key, value in settings.items()],
            tags=[RunTag(key, str(value)) for key, value in tags.items()],
        )
        return str(run.info.run_id)

    def _upload_history(self, history: list[dict[str, Any]], timing: list[dict[str, Any]]) -> None:
        from mlflow.entities import Metric

        run_id = self._known_id()
        seen = {point.step for point in _client().get_metric_history(run_id, "val_loss")}
        now = int(time.time() * 1000)
        for scores, speeds in zip(history, timing, strict=True):
            epoch = int(scores["epoch"])
            if epoch not in seen:  # an epoch is uploaded whole, or not at all
                values = {**scores, **speeds}
                del values["epoch"]
                _client().log_batch(run_id, [Metric(key, float(value), now, epoch) for key, value in values.items()])

    def _upload_evaluation(self, scores: dict[str, float], pictures: list[Path]) -> None:
        from mlflow.entities import Metric

        run_id, now = self._known_id(), int(time.time() * 1000)
        points = [Metric(re.sub(r"[^\w .:/-]", "_", key), value, now, 0) for key, value in scores.items()]
        _client().log_batch(run_id, points)
        for picture in pictures:
            _client().log_artifact(run_id, str(picture), "panels")


def begin(record: dict[str, Any], run_id: str | None) -> Run:
    """The run of a training: the one it had before it was killed, or a new one."""
    return Run(record, run_id)


def continued(record: dict[str, Any], history: list[dict[str, Any]], timing: list[dict[str, Any]]) -> Run:
    """The run of a finished training; where the store has lost it, or never had it, it is rebuilt from the files."""
    run = Run(record, record["tracking"]["run_id"])
    run.log_history(history, timing)
    return run


def _flat(settings: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat


# The registry


def registered_version(model: str, checkpoint: str) -> str | None:
    """The version that holds exactly this checkpoint, if there is one."""
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        found = _client().search_model_versions(f"name = '{model}' and tags.checkpoint = '{checkpoint}'")
    except (MlflowException, SQLAlchemyError, OSError):
        raise ValueError(f"{model}: no registry answers at {uri()}. Start it, then `dvc repro register`") from None
    return max((str(version.version) for version in found), key=int, default=None)


def register(model: str, run_id: str, code: Path, files: dict[str, Path], example: Any, tags: dict[str, str]) -> str:
    """A new version of `model`: code and files packed together, so that it loads without this repository."""
    import mlflow
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema

    signature = ModelSignature(
        inputs=Schema([ColSpec(DataType.string, "image")]), outputs=Schema([ColSpec(DataType.string, "mask")])
    )
    client = _client()
    with mlflow.start_run(run_id=run_id), warnings.catch_warnings():
        # MLflow would rather read the signature off type hints than take the one below.
        warnings.filterwarnings("ignore", category=UserWarning, module="mlflow.*")
        info = mlflow.pyfunc.log_model(
            name=model,
            python_model=str(code),
            artifacts={name: str(path) for name, path in files.items()},
            code_paths=[str(Path(__file__).parent)],
            signature=signature,
            input_example=example,
            pip_requirements=_requirements(),
            registered_model_name=model,
        )
    version = str(info.registered_model_version)
    for key, value in tags.items():
        client.set_model_version_tag(model, version, key, value)
    return version


def set_alias(model: str, alias: str, version: str) -> None:
    _client().set_registered_model_alias(model, alias, version)


def _requirements() -> list[str]:
    """What the served model imports, at the versions that are installed here."""
    from importlib.metadata import version

    needed = "mlflow torch timm segmentation-models-pytorch safetensors numpy pandas pillow opencv-python-headless"
    return [f"{package}=={version(package)}" for package in f"{needed} pydantic ruamel.yaml filelock tqdm".split()]
