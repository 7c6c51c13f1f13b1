"""Whatever happened to the store, the files make it whole again, and nothing comes twice."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from segpipe import artifacts, tracking
from segpipe.lineage import file_hash
from segpipe.tracking import origin
from tests.unit.tracking.examples import RECORD, all_runs, enter, expected, history, points, timing

NAME = RECORD["experiment"]
SCORES = {"test/miou": 0.5, "test/iou/tree": 0.25}


def write_files(run: tracking.Run, epochs: int = 3) -> dict[str, Any]:
    """What training and evaluation leave behind."""
    record = {**RECORD, "tracking": {"run_id": run.id, "experiment_id": run.experiment_id}}
    folder, scored = artifacts.checkpoint(NAME), artifacts.evaluation(NAME)
    for path, rows in (("history.csv", history(epochs)), ("timing.csv", timing(epochs))):
        artifacts.write_rows(folder / path, rows, rows[0])
    artifacts.write_json(folder / "run.json", record)
    (folder / "model.safetensors").write_bytes(b"weights")
    per_class = {"tree": {"iou": 0.25}, "car": {"iou": None}}
    metrics = {"split": "test", "miou": 0.5, "images": 4, "per_class": per_class}
    artifacts.write_json(scored / "metrics.json", {**metrics, "checkpoint": file_hash(folder / "model.safetensors")})
    (scored / "panels").mkdir()
    (scored / "panels" / "best-1.png").write_bytes(b"picture")
    return record


def is_whole(run_id: str | None, epochs: int = 3) -> bool:
    """All that the files hold, each point once."""
    run = tracking._client().get_run(run_id)
    assert points(run_id, "val/loss") == expected(history(epochs), "val_loss")
    assert points(run_id, "timing/seconds") == expected(timing(epochs), "seconds")
    for key, value in SCORES.items():
        assert points(run_id, key) == [(0, value)]
    assert [each.path for each in tracking._client().list_artifacts(run_id, "panels")] == ["panels/best-1.png"]
    return bool(run.info.status == "FINISHED")


def test_a_lost_store_is_rebuilt_once_however_often_one_asks(
    store: Path, empty_database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = tracking.begin(RECORD, None)
    record = write_files(lost)
    shutil.copyfile(empty_database, store / "mlflow.db")
    enter(store, monkeypatch)
    assert tracking.upload() == [
        f"{NAME}: its run {lost.id} is lost; `python -m segpipe tracking rebuild` makes it anew"
    ]
    assert all_runs() == []
    (line,) = tracking.upload(rebuild=True)
    assert line == (
        f"{NAME}: uploaded its settings and lineage, 3 of 3 epochs, 2 scores, 1 pictures, its end (FINISHED)"
    )
    (rebuilt,) = all_runs()
    assert rebuilt.info.run_id != lost.id
    assert is_whole(rebuilt.info.run_id)
    assert tracking.upload(rebuild=True) == tracking.upload() == []
    assert tracking.continued(record, history(3), timing(3)).id == rebuilt.info.run_id
    assert len(all_runs()) == 1
    assert is_whole(rebuilt.info.run_id)


def test_what_the_store_missed_is_uploaded_once(store: Path) -> None:
    run = tracking.begin(RECORD, None)
    run.log_history(history(1), timing(1))
    write_files(run)
    assert tracking.upload() == [f"{NAME}: uploaded 2 of 3 epochs, 2 scores, 1 pictures, its end (FINISHED)"]
    assert is_whole(run.id)
    ended = tracking._client().get_run(run.id).info.end_time
    assert tracking.upload() == []
    assert is_whole(run.id)
    assert tracking._client().get_run(run.id).info.end_time == ended


def test_a_training_that_no_store_saw_gets_its_run_once(
    store: Path, away: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", away)
    tracking._client.cache_clear()
    write_files(tracking.begin(RECORD, None))
    with pytest.raises(ValueError, match=r"does not answer\. Start it, then run this again"):
        tracking.upload()
    enter(store, monkeypatch)
    for _ in range(2):
        tracking.upload()
    (run,) = all_runs()
    assert is_whole(run.info.run_id)


def test_scores_of_other_weights_are_not_this_runs(store: Path) -> None:
    run = tracking.begin(RECORD, None)
    write_files(run)
    (artifacts.checkpoint(NAME) / "model.safetensors").write_bytes(b"newer weights")
    tracking.upload()
    assert points(run.id, "test/miou") == []
    assert points(run.id, "val/loss") == expected(history(3), "val_loss")


def test_a_run_whose_process_is_gone_has_failed_and_others_go_on(store: Path) -> None:
    runs = {name: tracking.begin({**RECORD, "experiment": name}, None) for name in ("gone", "elsewhere", "here")}
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    for name, process in (("gone", f"{socket.gethostname()}:{ended.pid}"), ("elsewhere", f"nowhere:{ended.pid}")):
        tracking._client().set_tag(runs[name].id, origin.PROCESS, process)
    assert tracking.upload() == ["gone: its process is gone; ended as FAILED"]
    status = {name: tracking._client().get_run(run.id).info.status for name, run in runs.items()}
    assert status == {"gone": "FAILED", "elsewhere": "RUNNING", "here": "RUNNING"}
    again = tracking.begin({**RECORD, "experiment": "gone"}, runs["gone"].id)
    assert tracking._client().get_run(again.id).info.status == "RUNNING"


@contextmanager
def server(folder: Path, port: int) -> Iterator[str]:
    """A real one, on loopback, for as long as the block takes."""
    address = f"http://127.0.0.1:{port}"
    options = [
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--workers",
        "1",
        "--backend-store-uri",
        "sqlite:///mlflow.db",
    ]
    process = subprocess.Popen(
        [sys.executable, "-m", "mlflow", "server", *options, "--artifacts-destination", str(folder / "kept")],
        cwd=folder,
        env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        for _ in range(600):
            try:
                urllib.request.urlopen(f"{address}/health", timeout=1)
                break
            except OSError:
                time.sleep(0.2)
        yield address
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()


@pytest.mark.slow
def test_a_server_that_stops_in_mid_run_gets_the_rest_when_it_is_back(
    store: Path, away: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    port = int(away.rpartition(":")[2])
    monkeypatch.setenv("MLFLOW_TRACKING_URI", away)
    with server(store, port):
        tracking._client.cache_clear()
        run = tracking.begin(RECORD, None)
        run.log_history(history(1), timing(1))
    run.log_history(history(2), timing(2))
    run.log_history(history(3), timing(3))
    run.end()
    assert capsys.readouterr().err.count("cannot be reached") == 1
    write_files(run)
    with server(store, port):
        tracking._client.cache_clear()
        command = [sys.executable, "-m", "segpipe", "tracking", "sync"]
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
        said = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stderr
        assert f"{NAME}: uploaded 2 of 3 epochs, 2 scores, 1 pictures, its end (FINISHED)" in said
        assert is_whole(run.id)
        assert json.loads(Path(artifacts.checkpoint(NAME) / "run.json").read_text())["tracking"]["run_id"] == run.id
