"""Cleaning: what may go is listed first, nothing goes unasked, and never what DVC keeps."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from filelock import FileLock

from segpipe import artifacts
from segpipe.commands import clean


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A feature cache of 3000 bytes, and two trainings that could go on, of 1000 each."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    for path, size in (
        ("data/features/abc/part.npy", 3000),
        (".segpipe/resume/unet-0123/state.safetensors", 1000),
        (".segpipe/resume/other-4567/state.safetensors", 1000),
    ):
        Path(path).parent.mkdir(parents=True)
        Path(path).write_bytes(bytes(size))
    Path(".segpipe/resume/unet.lock").touch()
    return tmp_path


def test_everything_is_listed_with_its_size_and_nothing_goes_unasked(capsys: pytest.CaptureFixture[str]) -> None:
    assert clean.run([], yes=False) == 1  # a script gets no question, and must say --yes
    listed = capsys.readouterr().out
    assert "data/features/abc" in listed
    assert listed.splitlines()[-1].split() == ["0.0", "MB", "in", "all"]
    assert Path("data/features/abc/part.npy").exists()


def test_sizes_are_counted_over_all_files_of_a_folder() -> None:
    (found,) = clean.features()
    Path("data/features/abc/more").mkdir()
    Path("data/features/abc/more/part.npy").write_bytes(bytes(500))
    assert found.bytes == 3500


def test_only_the_kinds_that_were_named_go() -> None:
    assert clean.run(["resume"], yes=True) == 0
    assert sorted(path.name for path in Path(".segpipe/resume").iterdir()) == ["unet.lock"]
    assert Path("data/features/abc/part.npy").exists()


def test_what_a_running_training_works_with_stays() -> None:
    with FileLock(".segpipe/resume/unet.lock"):
        clean.run([], yes=True)
    assert Path(".segpipe/resume/unet-0123/state.safetensors").exists()
    assert Path("data/features/abc/part.npy").exists()
    assert not Path(".segpipe/resume/other-4567").exists()


def test_what_dvc_keeps_is_refused_and_nothing_else_goes_either() -> None:
    artifacts.DVC_LOCK.write_text("schema: '2.0'\nstages:\n  x:\n    cmd: x\n    outs: [{path: data/features/abc}]\n")
    with pytest.raises(ValueError, match="features/abc belongs to DVC"):
        clean.run([], yes=True)
    assert Path("data/features/abc/part.npy").exists()
    assert Path(".segpipe/resume/other-4567").exists()


def test_an_unknown_kind_is_refused_with_the_known_ones() -> None:
    with pytest.raises(
        ValueError, match=r"checkpoints: no such kind\. One of features, resume, downloads, scratch, runs"
    ):
        clean.run(["checkpoints"], yes=True)


def test_runs_are_those_that_were_deleted_in_mlflow_already(tmp_path: Path) -> None:
    with sqlite3.connect("mlflow.db") as database:
        database.execute("create table runs (artifact_uri text, lifecycle_stage text)")
        for name, stage in (("kept", "active"), ("gone", "deleted"), ("nowhere", "deleted")):
            folder = tmp_path / "mlartifacts" / name
            database.execute("insert into runs values (?, ?)", (f"{folder.as_uri()}/artifacts", stage))
            if name != "nowhere":
                (folder / "artifacts").mkdir(parents=True)
    database.close()
    assert [one.path.name for one in clean.runs()] == ["gone"]


def test_an_empty_project_has_nothing_to_clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    monkeypatch.chdir(empty)
    assert clean.run([], yes=False) == 0
