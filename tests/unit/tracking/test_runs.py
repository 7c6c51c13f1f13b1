"""The tracking store is a copy of the files: it may be away, lost or shared, and every point is in it once."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from segpipe import tracking
from tests.unit.tracking.examples import PARAMS, RECORD, all_runs, enter, expected, history, points, timing

ROOT = Path(__file__).parents[3]


def test_a_run_says_where_it_comes_from(store: Path) -> None:
    run = tracking.begin(RECORD, None)
    data = tracking._client().get_run(run.id).data
    assert data.params == {
        "prepared": "tiles",
        "model.name": "unet",
        "model.frozen": "True",
        "epochs": "3",
    }
    told = {"model": "unet", "dirty": "False", "data.prepared": "a" * 64, "machine.threads": "1", "weights": "f" * 64}
    assert told.items() <= data.tags.items()
    assert data.tags["mlflow.source.git.commit"] == "c0ffee"
    assert tracking._client().get_experiment(run.experiment_id).name == "tiles"


def test_a_run_names_its_data_by_what_is_in_it(store: Path) -> None:
    """MLflow takes 36 characters of a digest at most."""
    Path("dvc.lock").write_text("  - path: data/prepared/tiles\n    hash: md5\n    md5: d1ce.dir\n")
    run = tracking.begin({**RECORD, "params": {**PARAMS, "augmented": "copies"}}, None)
    found = tracking._client().get_run(run.id)
    inputs = {(each.dataset.name, each.dataset.digest, each.tags[0].value) for each in found.inputs.dataset_inputs}
    assert inputs == {("tiles", "a" * 36, "training, validation"), ("copies", "b" * 36, "training")}
    assert found.data.tags["dvc.prepared"] == "d1ce.dir"
    assert "dvc.weights" not in found.data.tags


def test_a_runs_note_says_what_it_is_and_how_to_repeat_it(store: Path) -> None:
    run = tracking.begin(RECORD, None)
    note = tracking._client().get_run(run.id).data.tags["mlflow.note.content"]
    assert note.startswith("a try\n")
    for said in ("`tiles`", "`unet`", "random: mechanics only", "git checkout c0ffee", "dvc repro evaluate@try_1"):
        assert said in note


def test_each_epoch_that_is_logged_as_it_ends_says_how_busy_the_machine_was(store: Path) -> None:
    run = tracking.begin(RECORD, None)
    for epochs in (1, 2):
        run.log_history(history(epochs), timing(epochs))
    used = points(run.id, "system/process_memory_megabytes")
    assert [step for step, _ in used] == [1, 2]
    assert all(10 < megabytes < 1e6 for _, megabytes in used)


def test_every_epoch_is_logged_once_however_often_the_history_is_given(store: Path) -> None:
    run = tracking.begin(RECORD, None)
    for epochs in (1, 1, 2, 3, 3):
        run.log_history(history(epochs), timing(epochs))
    for key, column in (("lr", "lr"), ("val/loss", "val_loss"), ("val/miou", "val_miou")):
        assert points(run.id, key) == expected(history(3), column)
    assert points(run.id, "timing/seconds") == expected(timing(3), "seconds")


def test_a_long_history_that_needs_several_uploads_arrives_whole(store: Path) -> None:
    run = tracking.begin(RECORD, None)
    run.log_history(history(400), timing(400))
    assert points(run.id, "val/miou") == expected(history(400), "val_miou")
    assert points(run.id, "timing/seconds") == expected(timing(400), "seconds")


def test_a_training_that_was_killed_goes_on_with_its_run(store: Path) -> None:
    first = tracking.begin(RECORD, None)
    first.log_history(history(1), timing(1))
    second = tracking.begin(RECORD, first.id)
    second.log_history(history(2), timing(2))
    second.end()
    assert second.id == first.id
    assert second.experiment_id == first.experiment_id
    assert points(first.id, "val/loss") == expected(history(2), "val_loss")
    assert tracking._client().get_run(first.id).info.status == "FINISHED"


def test_a_server_that_is_away_stops_nothing_and_is_mentioned_once(
    store: Path, away: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", away)
    run = tracking.begin(RECORD, None)
    for epochs in (1, 2, 3):
        run.log_history(history(epochs), timing(epochs))
    run.log_evaluation({"test_miou": 0.5}, [])
    run.end()
    said = capsys.readouterr().err
    assert said.count("cannot be reached") == 1
    assert away in said
    assert run.id is None


def test_a_store_that_is_back_receives_everything_it_missed(
    store: Path, away: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", away)
    run = tracking.begin(RECORD, None)
    run.log_history(history(2), timing(2))
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    run.log_history(history(3), timing(3))
    assert points(run.id, "val/loss") == expected(history(3), "val_loss")
    assert len(all_runs()) == 1
    capsys.readouterr()

    run.log_history(history(4), timing(4))
    assert points(run.id, "timing/seconds") == expected(timing(4), "seconds")
    assert "cannot be reached" not in capsys.readouterr().err


def test_a_run_keeps_its_id_while_the_store_is_away(store: Path, away: str, monkeypatch: pytest.MonkeyPatch) -> None:
    first = tracking.begin(RECORD, None)
    first.log_history(history(1), timing(1))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", away)
    tracking._client.cache_clear()
    second = tracking.begin(RECORD, first.id)
    second.log_history(history(2), timing(2))
    assert second.id == first.id
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    tracking._client.cache_clear()
    second.log_history(history(3), timing(3))
    assert points(first.id, "val/loss") == expected(history(3), "val_loss")
    assert len(all_runs()) == 1


@pytest.mark.parametrize("broken", ["a file that is no database", "a folder that is not there"])
def test_a_broken_database_stops_nothing_either(
    broken: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    enter(tmp_path, monkeypatch)
    if broken == "a file that is no database":
        (tmp_path / "mlflow.db").write_bytes(b"no database" * 1000)
    else:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:////dev/null/nowhere/mlflow.db")
    run = tracking.begin(RECORD, None)
    run.log_history(history(1), timing(1))
    assert capsys.readouterr().err.count("cannot be reached") == 1


def test_a_lost_run_is_rebuilt_from_the_files(
    store: Path, empty_database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = tracking.begin(RECORD, None)
    finished = {**RECORD, "tracking": {"run_id": first.id, "experiment_id": first.experiment_id}}
    (store / "new").mkdir()
    shutil.copyfile(empty_database, store / "new" / "mlflow.db")
    enter(store / "new", monkeypatch)
    # As they are read from the CSV: all text.
    texts = [[{key: str(value) for key, value in row.items()} for row in rows] for rows in (history(3), timing(3))]
    run = tracking.continued(finished, *texts)
    assert run.id != first.id
    assert points(run.id, "val/loss") == expected(history(3), "val_loss")
    assert points(run.id, "timing/seconds") == expected(timing(3), "seconds")
    assert [found.info.run_id for found in all_runs()] == [run.id]


def test_a_run_that_the_store_still_has_is_continued_without_doubling(store: Path) -> None:
    first = tracking.begin(RECORD, None)
    first.log_history(history(3), timing(3))
    first.end()
    finished = {**RECORD, "tracking": {"run_id": first.id, "experiment_id": first.experiment_id}}
    run = tracking.continued(finished, history(3), timing(3))
    assert run.id == first.id
    assert points(run.id, "val/loss") == expected(history(3), "val_loss")


def test_a_run_that_somebody_deleted_is_rebuilt(store: Path) -> None:
    first = tracking.begin(RECORD, None)
    tracking._client().delete_run(first.id)
    finished = {**RECORD, "tracking": {"run_id": first.id, "experiment_id": first.experiment_id}}
    run = tracking.continued(finished, history(2), timing(2))
    assert run.id != first.id
    assert points(run.id, "val/loss") == expected(history(2), "val_loss")


def test_an_evaluation_adds_its_scores_and_pictures(store: Path) -> None:
    run = tracking.begin(RECORD, None)
    picture = store / "best-1-input.png"
    picture.write_bytes(b"picture")
    run.log_evaluation({"test_miou": 0.625, "test_iou.landing-zones": 0.5}, [picture])
    metrics = tracking._client().get_run(run.id).data.metrics
    assert metrics == {"test/miou": 0.625, "test/iou/landing-zones": 0.5}
    assert [found.path for found in tracking._client().list_artifacts(run.id, "panels")] == ["panels/best-1-input.png"]


WRITER = """
import json, sys
from segpipe import tracking
record, history, timing = json.loads(sys.argv[1])
run = tracking.begin(record, None)
for epochs in range(1, len(history) + 1):
    run.log_history(history[:epochs], timing[:epochs])
run.end()
"""


@pytest.mark.slow
def test_two_processes_on_a_fresh_database_keep_every_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    enter(tmp_path, monkeypatch)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    command = [sys.executable, "-c", WRITER, json.dumps([RECORD, history(5), timing(5)])]
    writers = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    said = [writer.communicate(timeout=120)[1] for writer in writers]
    assert [writer.returncode for writer in writers] == [0, 0], said
    assert not any("cannot be reached" in lines for lines in said)
    found = all_runs()
    assert len(found) == 2
    assert len({run.info.experiment_id for run in found}) == 1
    for run in found:
        assert points(run.info.run_id, "val/loss") == expected(history(5), "val_loss")
        assert points(run.info.run_id, "timing/seconds") == expected(timing(5), "seconds")
