"""A killed training goes on bit for bit, alone, and on one tracking run."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path

import pytest
from safetensors import SafetensorError, safe_open

from segpipe import artifacts, params, tracking
from segpipe.training.loop import Training, train
from tests.unit.training import tiny_project
from tests.unit.training.tiny_project import NAME

pytestmark = pytest.mark.slow
EPOCHS = 14


@pytest.fixture(scope="session")
def trainable(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everything is trained, so that the resume must bring back batch statistics and an optimizer of many shapes."""
    folder = tmp_path_factory.mktemp("trainable")
    with pytest.MonkeyPatch.context() as monkeypatch:
        tiny_project.enter(folder, monkeypatch)
        model = {"name": "unet", "frozen": False, "decoder_channels": [16, 8, 8, 8, 8]}
        tiny_project.build("mobilenet_v2", model=model, epochs=EPOCHS, schedule={"kind": "plateau", "patience": 1})
        tracking._client()
    return folder


def epochs_done(file: str = "state") -> int:
    for path in Path(".segpipe/resume").glob(f"*/{file}.safetensors"):
        try:
            with safe_open(path, framework="pt") as opened:
                return len(json.loads(opened.metadata()["facts"])["history"])
        except (FileNotFoundError, SafetensorError):
            continue  # replaced or dropped at this very moment
    return 0


def wait_for_epoch(process: subprocess.Popen[str], epoch: int, file: str = "state") -> None:
    deadline = time.monotonic() + 120
    while epochs_done(file) < epoch:
        assert process.poll() is None, process.stderr.read() if process.stderr else ""
        assert time.monotonic() < deadline
        time.sleep(0.01)


def runs() -> list[str]:
    client = tracking._client()
    found = client.search_runs([e.experiment_id for e in client.search_experiments()])
    return [run.info.run_id for run in found]


def steps(run_id: str) -> list[int]:
    return [point.step for point in tracking._client().get_metric_history(run_id, "val/loss")]


def test_a_killed_training_ends_as_the_unbroken_one(
    trainable: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny_project.copy(trainable, tmp_path / "unbroken", monkeypatch)
    train(NAME)
    expected = tiny_project.outputs()

    tiny_project.copy(trainable, tmp_path / "killed", monkeypatch)
    process = tiny_project.trainer()
    wait_for_epoch(process, 3)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    done = epochs_done()
    assert 3 <= done < EPOCHS
    assert not artifacts.checkpoint(NAME).exists()

    capsys.readouterr()
    train(NAME)
    assert f"going on after epoch {done} of {EPOCHS}" in capsys.readouterr().err
    assert tiny_project.outputs()["history.csv"] == expected["history.csv"]
    assert tiny_project.outputs()["model.safetensors"] == expected["model.safetensors"]
    (run_id,) = runs()
    assert steps(run_id) == list(range(1, EPOCHS + 1))
    assert artifacts.read_json(artifacts.checkpoint(NAME) / "run.json")["tracking"]["run_id"] == run_id


def whole_checkpoint() -> dict[str, bytes]:
    """All files of the training and its repeats that may not differ from one run to the next."""
    folder = artifacts.checkpoint(NAME)
    names = ("model.safetensors", "history.csv")
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.name in names}


def test_everything_that_a_step_leans_on_survives_kills_at_any_moment(
    trainable: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Average, momentum, warm-up, parts, early stop and repeats; killed while it begins, trains, and repeats."""
    model = {"name": "unet", "frozen": False, "decoder_channels": [16, 8, 8, 8, 8]}
    everything = {
        "model": model,
        "epochs": 12,
        "optimizer": {"name": "sgd", "lr": 0.1, "momentum": 0.9},
        "schedule": {"kind": "poly"},
        "warmup": 2.5,
        "accumulate": 2,
        "clip": 1.0,
        "ema": 0.8,
        "best_by": "loss",
        "stop_after": 9,
        "repeats": 2,
    }
    for run in ("unbroken", "killed"):
        tiny_project.copy(trainable, tmp_path / run, monkeypatch)
        tiny_project.write_params(**everything)
        if run == "unbroken":
            train(NAME)
            expected = whole_checkpoint()
    assert len(expected) == 4
    seed = params.experiment(NAME).seed + 1
    for epoch, file, later in ((0, "state", 0.0), (4, "state", 0.11), (2, f"seed-{seed}", 0.05)):
        process = tiny_project.trainer()
        wait_for_epoch(process, epoch, file)
        time.sleep(later)  # into the next epoch, wherever that is
        process.kill()
        process.wait()
        assert not artifacts.checkpoint(NAME).exists()
    train(NAME)
    assert whole_checkpoint() == expected


def test_a_run_that_the_store_took_up_late_is_kept_at_once(project: Path) -> None:
    """The store is back at the end of an epoch: were we killed in the next one, we would go on in the same run."""
    tiny_project.write_params(epochs=1)
    training = Training(NAME, params.experiment(NAME))
    with pytest.MonkeyPatch.context() as away:
        away.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
        away.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        tracking._client.cache_clear()
        run = tracking.begin(training.record, None)
    tracking._client.cache_clear()
    assert run.id is None
    with training.resume.held():
        training._epochs(run)
    kept = training.resume.read()
    assert kept is not None
    assert kept.values["run_id"] == run.id
    assert tracking._client().get_run(str(run.id)).data.metrics


def test_a_second_trainer_is_refused_while_the_first_one_works(
    trainable: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny_project.copy(trainable, tmp_path, monkeypatch)
    first = tiny_project.trainer()
    try:
        wait_for_epoch(first, 1)
        with pytest.raises(ValueError, match=f"another process trains '{NAME}' already"):
            train(NAME)
        assert first.poll() is None
    finally:
        first.kill()
        first.wait()


def test_an_interrupted_training_says_how_to_go_on(
    trainable: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny_project.copy(trainable, tmp_path, monkeypatch)
    process = tiny_project.trainer()
    wait_for_epoch(process, 1)
    process.terminate()
    _, said = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    assert "nothing is half-written" in said
    assert not list(artifacts.checkpoint(NAME).parent.glob("*"))
