"""Runs that survive the store's absence: the files hold everything, the store is a copy for people to look at."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from segpipe.terminal import say
from segpipe.tracking import origin, pages
from segpipe.tracking.load import machine_load
from segpipe.tracking.store import client, database_lock, experiment_id, uri

Rows = list[dict[str, Any]]


class Run:
    """One MLflow run, written to when the store can be reached, and never a reason to stop."""

    def __init__(self, record: dict[str, Any], run_id: str | None, known_as: str | None = None) -> None:
        self._record, self._known_as = record, known_as
        self.is_away = False
        self.uploaded: list[str] = []
        """What the store did not have before, in words."""
        self.id = run_id
        self.experiment_id: str | None = None
        self._attempt(self._open)

    def log_history(self, history: Rows, timing: Rows) -> None:
        """Every epoch that the store has not seen yet, each once."""
        self._attempt(lambda: self._upload_history(history, timing))

    def log_evaluation(self, scores: dict[str, float], pictures: list[Path]) -> None:
        """The final scores, under the names that the files use, and pictures to look at; each where it is news."""
        self._attempt(lambda: self._upload_evaluation(scores, pictures))

    def end(self, status: str = "FINISHED") -> None:
        """FINISHED, or FAILED; a run that has ended so already keeps its time."""
        self._attempt(lambda: self._end(status))

    def _end(self, status: str) -> None:
        if client().get_run(self._known_id()).info.status != status:
            client().set_terminated(self._known_id(), status)
            self.uploaded.append(f"its end ({status})")

    def _attempt(self, action: Callable[[], Any]) -> None:
        from mlflow.exceptions import MlflowException
        from sqlalchemy.exc import SQLAlchemyError

        try:
            action()
        except (MlflowException, SQLAlchemyError, OSError) as error:
            if not self.is_away:
                reason = (str(error).splitlines() or [type(error).__name__])[0]
                say(f"tracking: {uri()} cannot be reached ({reason[:120]}); going on, the files hold everything")
            self.is_away = True
        else:
            self.is_away = False

    def _known_id(self) -> str:
        if self.id is None or self.experiment_id is None:  # it was away when we began
            self._open()
        assert self.id is not None
        return self.id

    def _open(self) -> None:
        """Continue the run if the store has it, else begin one with all that is known of it."""
        self.experiment_id = experiment_id(self._record["params"]["prepared"])
        end_abandoned(self.experiment_id)
        with database_lock():  # two who rebuild the same run must not both begin it
            known = find(self.experiment_id, self.id, self._known_as)
            self.id = str(known.info.run_id) if known else self._begin()
        if known and self._known_as is None:  # we are its training, which goes on
            client().set_tag(self.id, origin.PROCESS, origin.this_process())
            client().update_run(self.id, status="RUNNING")

    def _begin(self) -> str:
        from mlflow.entities import Param, RunTag

        run = client().create_run(self.experiment_id, run_name=self._record["experiment"])
        tags = {**origin.tags(self._record), origin.PROCESS: origin.this_process()}
        if self._known_as is not None:
            tags[origin.OURS] = self._known_as
        settings = {key: value for key, value in origin.flat(self._record["params"]).items() if value != ""}
        client().log_batch(
            run.info.run_id,
            params=[Param(key, str(value)) for key, value in settings.items()],
            tags=[RunTag(key, value) for key, value in tags.items()],
        )
        client().log_inputs(run.info.run_id, datasets=origin.datasets(self._record))
        self.uploaded.append("its settings and lineage")
        return str(run.info.run_id)

    def _upload_history(self, history: Rows, timing: Rows) -> None:
        run_id = self._known_id()
        seen = {point.step for point in client().get_metric_history(run_id, "val/loss")}
        new = [
            (scores, speeds) for scores, speeds in zip(history, timing, strict=True) if int(scores["epoch"]) not in seen
        ]
        for scores, speeds in new:  # an epoch is uploaded whole, or not at all
            load = machine_load() if self._known_as is None and scores is history[-1] else {}
            self._log({**pages.of_epoch(scores, speeds), **load}, int(scores["epoch"]))
        if new:
            self.uploaded.append(f"{len(new)} of {len(history)} epochs")

    def _upload_evaluation(self, scores: dict[str, float], pictures: list[Path]) -> None:
        run_id = self._known_id()
        there = client().get_run(run_id).data.metrics
        new = {key: value for key, value in pages.named(scores).items() if there.get(key) != value}
        if new:
            self._log(new, 0)
            self.uploaded.append(f"{len(new)} scores")
        sizes = {Path(found.path).name: found.file_size for found in client().list_artifacts(run_id, "panels")}
        missing = [picture for picture in pictures if sizes.get(picture.name) != picture.stat().st_size]
        if missing:
            self._show(pictures)  # first: what is cut off here comes again, as long as a picture is missing
        for picture in missing:
            client().log_artifact(run_id, str(picture), "panels")
        if missing:
            self.uploaded.append(f"{len(missing)} pictures")

    def _show(self, pictures: list[Path]) -> None:
        """A panel of the pictures, in the note that heads the run's page."""
        panel, run_id = pages.panel(pictures), self._known_id()
        if panel is not None:
            client().log_image(run_id, panel, pages.PICTURE)
            note = client().get_run(run_id).data.tags.get(pages.NOTE, "")
            client().set_tag(run_id, pages.NOTE, pages.with_picture(note, run_id))

    def _log(self, values: dict[str, Any], step: int) -> None:
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        client().log_batch(self._known_id(), [Metric(key, float(value), now, step) for key, value in values.items()])


def begin(record: dict[str, Any], run_id: str | None) -> Run:
    """The run of a training: the one it had before it was killed, or a new one."""
    return Run(record, run_id)


def continued(record: dict[str, Any], history: Rows, timing: Rows) -> Run:
    """The run of a finished training; where the store has lost it, or never had it, it is rebuilt from the files."""
    run = Run(record, record["tracking"]["run_id"], known_as(record))
    run.log_history(history, timing)
    return run


def known_as(record: dict[str, Any]) -> str:
    """What the files call a finished training's run: by its id, or by all they say where no store ever gave it one."""
    said = json.dumps(record, sort_keys=True).encode()
    run_id: str = record["tracking"]["run_id"] or hashlib.sha256(said).hexdigest()[:32]
    return run_id


def find(experiment: str, run_id: str | None, known_as: str | None) -> Any:
    """The run with this id, or the one that was rebuilt to stand for it; None where neither is there any more."""
    run = _by_id(run_id) if run_id is not None else None
    if run is None and known_as is not None:
        found = client().search_runs([experiment], f"tags.`{origin.OURS}` = '{known_as}'", max_results=1)
        run = found[0] if found else None
    return run


def _by_id(run_id: str) -> Any:
    from mlflow.exceptions import MlflowException

    try:
        run = client().get_run(run_id)
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return None
        raise
    return run if run.info.lifecycle_stage == "active" else None


def end_abandoned(experiment: str) -> list[str]:
    """Runs whose process on this machine is gone without having ended them: they have failed. Their names."""
    abandoned = [
        run
        for run in client().search_runs([experiment], "attributes.status = 'RUNNING'")
        if origin.is_gone(run.data.tags.get(origin.PROCESS))
    ]
    for run in abandoned:
        client().set_terminated(run.info.run_id, "FAILED")
    return [str(run.info.run_name) for run in abandoned]
