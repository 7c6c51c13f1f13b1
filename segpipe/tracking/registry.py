"""The model registry: versions that hold what was trained, the aliases that point at them, and how those moved."""

from __future__ import annotations

import contextlib
import json
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segpipe.tracking.store import client, uri

CHAMPION, CHALLENGER = "champion", "challenger"
ROLLED_BACK = "rolled_back"
"""The tag of a version that somebody took down: no open gate makes it champion again."""

TAKEN_DOWN = "rollback"
"""Why a champion gave way to one that was before it; every other reason put a new one on top."""

DESCRIPTION_LENGTH = 5000
MOVE = "promotion."
"""Begins the tags of a registered model that say how its champion changed, in their order."""


@dataclass(frozen=True)
class Version:
    """One version of a registered model, and what its tags say of it."""

    model: str
    number: str
    tags: dict[str, str]

    @property
    def uri(self) -> str:
        return f"models:/{self.model}/{self.number}"

    def files(self) -> Path:
        """Where its weights and settings lie, on this machine."""
        from mlflow.artifacts import download_artifacts
        from mlflow.exceptions import MlflowException

        client()  # it says where MLflow's own functions look
        try:
            return Path(download_artifacts(artifact_uri=self.uri)) / "artifacts"
        except (MlflowException, OSError) as error:
            raise ValueError(
                f"{self.uri}: its files cannot be had ({str(error).splitlines()[0][:200]}).\n"
                "MLflow keeps absolute paths: if the project was moved, put it back, or `dvc repro register` anew"
            ) from None


def parsed(reference: str) -> tuple[str, str]:
    """`models:/name@alias`, `models:/name/3`, `name@alias`, `name@3` or `name` -> the name, and an alias or number."""
    of_mlflow = reference.removeprefix("models:/")
    name, _, which = of_mlflow.partition("/" if of_mlflow != reference and "/" in of_mlflow else "@")
    if not name or {"/", "@"} & {*name, *which}:
        raise ValueError(f"'{reference}' names no registered model: expected name@{CHAMPION}, name@3 or name")
    return name, which or CHAMPION


def find(model: str, which: str = CHAMPION) -> Version:
    """The version with this alias or number."""
    found = lookup(model, which)
    if found is None:
        raise ValueError(f"the registry at {uri()} has no {model}@{which}. {_known(model)}")
    return found


def lookup(model: str, which: str) -> Version | None:
    """The same; None where there is no such version."""
    from mlflow.exceptions import MlflowException

    with _answering(model):
        try:
            of_alias = client().get_model_version_by_alias
            found = client().get_model_version(model, which) if which.isdigit() else of_alias(model, which)
        except MlflowException as error:
            if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                return None
            raise
    return Version(model, str(found.version), dict(found.tags))


def _known(model: str) -> str:
    with _answering(model):
        models = sorted(found.name for found in client().search_registered_models())
        if model not in models:
            listed = ", ".join(models) or "no model yet"
            return f"It holds {listed}. `dvc repro register` adds those of `gates:` in params.yaml"
        aliases = client().get_registered_model(model).aliases
    listed = ", ".join(f"{alias} (version {number})" for alias, number in sorted(aliases.items()))
    return f"Of {model} it has {listed or 'versions without alias'}"


@contextlib.contextmanager
def _answering(model: str) -> Iterator[None]:
    """Whatever says that the registry cannot be reached, in a sentence."""
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, SQLAlchemyError, OSError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:120]
        raise ValueError(
            f"{model}: no registry answers at {uri()} ({reason}). Start it, or set MLFLOW_TRACKING_URI, then try again"
        ) from None


# Versions


def registered_version(model: str, content: str) -> str | None:
    """The version that holds exactly this content, if there is one."""
    with _answering(model):
        found = client().search_model_versions(f"name = '{model}' and tags.content = '{content}'")
    return max((str(version.version) for version in found), key=int, default=None)


def register(model: str, run_id: str, code: Path, files: dict[str, Path], example: Any, tags: dict[str, str]) -> str:
    """A new version of `model`: code and files packed together, so that it loads without this repository."""
    import mlflow
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema

    signature = ModelSignature(
        inputs=Schema([ColSpec(DataType.string, "image")]), outputs=Schema([ColSpec(DataType.string, "mask")])
    )
    store = client()  # before the run: it also says where MLflow's own functions write
    with mlflow.start_run(run_id=run_id), warnings.catch_warnings():
        # MLflow would rather read the signature off type hints than take the one below.
        warnings.filterwarnings("ignore", category=UserWarning, module="mlflow.*")
        info = mlflow.pyfunc.log_model(
            name=model,
            python_model=str(code),
            artifacts={name: str(path) for name, path in files.items()},
            code_paths=[str(Path(__file__).parents[1])],
            signature=signature,
            input_example=example,
            pip_requirements=_requirements(),
            registered_model_name=model,
        )
    version = str(info.registered_model_version)
    for key, value in tags.items():
        store.set_model_version_tag(model, version, key, value)
    return version


def describe(model: str, version: str, text: str) -> None:
    """What a person reads on the version's page: as much as MLflow's databases hold."""
    shown = text if len(text) <= DESCRIPTION_LENGTH else text[: DESCRIPTION_LENGTH - 1] + "…"
    with _answering(model):
        client().update_model_version(model, version, description=shown)


def tag(model: str, version: str, key: str, value: str) -> None:
    with _answering(model):
        client().set_model_version_tag(model, version, key, value)


def untag(model: str, version: str, key: str) -> None:
    with _answering(model):
        client().delete_model_version_tag(model, version, key)


def _requirements() -> list[str]:
    """What the served model imports, at the versions that are installed here."""
    from importlib.metadata import version

    needed = "mlflow torch timm segmentation-models-pytorch safetensors numpy pandas pillow opencv-python-headless"
    return [f"{package}=={version(package)}" for package in f"{needed} pydantic ruamel.yaml filelock tqdm".split()]


# Aliases


def set_alias(model: str, alias: str, version: str) -> None:
    with _answering(model):
        client().set_registered_model_alias(model, alias, version)


def promote(model: str, version: str, why: str) -> str | None:
    """Make this version the champion, and remember how that came; the champion that it was before, if any."""
    before = lookup(model, CHAMPION)
    if before is None or before.number != version:
        moves = _moves(model)
        move = {"from": before.number if before else None, "to": version, "why": why, "when": now()}
        with _answering(model):
            client().set_registered_model_tag(model, f"{MOVE}{len(moves) + 1:04d}", json.dumps(move))
        set_alias(model, CHAMPION, version)
    return before.number if before else None


def past_champions(model: str) -> list[str]:
    """The versions that were promoted one after the other and not taken down since; the present champion is last."""
    return standing(_moves(model))


def standing(moves: list[dict[str, Any]]) -> list[str]:
    """What is left of promotions when each rollback takes those away that came after the one that it went to."""
    stack: list[str] = []
    for move in moves:
        if move["why"] == TAKEN_DOWN and move["to"] in stack[:-1]:
            stack.pop()
            while stack[-1] != move["to"]:
                stack.pop()
        else:
            stack.append(move["to"])
    return stack


def _moves(model: str) -> list[dict[str, Any]]:
    with _answering(model):
        tags = client().get_registered_model(model).tags
    return [json.loads(tags[key]) for key in sorted(tags) if key.startswith(MOVE)]


def now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
