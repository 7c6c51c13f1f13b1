"""A result names its commit, and whether anything but the pipeline's own outputs differs from it."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import pytest

from segpipe import lineage

TRACKED = ("segpipe/model.py", "dvc.lock", "reports/comparison.csv", ".gitignore", "data/.gitignore", "params.yaml")


def git(*arguments: str) -> str:
    identity = ("-c", "user.name=Test", "-c", "user.email=test@localhost", "-c", "commit.gpgsign=false")
    done = subprocess.run(["git", *identity, *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clone with one commit, in which the test runs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    for variable in ("GIT_DIR", "GIT_WORK_TREE"):
        monkeypatch.delenv(variable, raising=False)
    for name in TRACKED:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("first\n")
    git("init", "--quiet")
    git("add", "--all")
    git("commit", "--quiet", "--message", "Start")
    return tmp_path


def test_a_fresh_clone_is_its_commit(repository: Path) -> None:
    head = git("rev-parse", "HEAD")
    assert lineage.commit() == {"commit": head, "dirty": False}
    assert len(head) == 40


@pytest.mark.parametrize("name", ["dvc.lock", "reports/comparison.csv", ".gitignore", "data/.gitignore"])
def test_what_the_pipeline_writes_itself_makes_nothing_dirty(repository: Path, name: str) -> None:
    (repository / name).write_text("second\n")
    assert lineage.commit()["dirty"] is False
    git("add", name)
    assert lineage.commit()["dirty"] is False
    git("rm", "--quiet", "--cached", name)
    assert lineage.commit()["dirty"] is False


@pytest.mark.parametrize("name", ["reports/unet/metrics.json", "data/raw/.gitignore", "reports/.gitignore"])
def test_what_the_pipeline_adds_makes_nothing_dirty(repository: Path, name: str) -> None:
    (repository / name).parent.mkdir(parents=True, exist_ok=True)
    (repository / name).write_text("new\n")
    assert lineage.commit()["dirty"] is False


@pytest.mark.parametrize("name", ["segpipe/model.py", "params.yaml"])
def test_a_changed_file_makes_it_dirty_until_it_is_changed_back(repository: Path, name: str) -> None:
    (repository / name).write_text("second\n")
    assert lineage.commit()["dirty"] is True
    git("add", name)
    assert lineage.commit()["dirty"] is True
    git("commit", "--quiet", "--message", "Change")
    assert lineage.commit() == {"commit": git("rev-parse", "HEAD"), "dirty": False}


@pytest.mark.parametrize("name", ["segpipe/model.py", "params.yaml"])
def test_a_deleted_file_makes_it_dirty(repository: Path, name: str) -> None:
    (repository / name).unlink()
    assert lineage.commit()["dirty"] is True


@pytest.mark.parametrize("name", ["segpipe/new.py", "segpipe/reports/new.py", "segpipe/dvc.lock", "reports.py"])
def test_a_new_file_makes_it_dirty(repository: Path, name: str) -> None:
    (repository / name).parent.mkdir(exist_ok=True)
    (repository / name).write_text("new\n")
    assert lineage.commit()["dirty"] is True


def test_an_ignored_file_makes_nothing_dirty(repository: Path) -> None:
    (repository / ".gitignore").write_text("*.log\n")
    (repository / "a.log").write_text("new\n")
    assert lineage.commit()["dirty"] is False


def test_a_folder_that_is_no_clone_gets_the_cure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(ValueError) as refused:
        lineage.commit()
    found, cure = str(refused.value).splitlines()
    assert found.startswith("git could not name the commit that this result comes from (fatal: not a git repository")
    assert cure == "Run in a clone, or make this folder one: git init && git add -A && git commit -m 'Start'"


def test_a_clone_without_a_commit_gets_the_cure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    git("init", "--quiet")
    with pytest.raises(ValueError, match="git could not name the commit") as refused:
        lineage.commit()
    assert len(str(refused.value).splitlines()) == 2


def test_a_machine_without_git_gets_the_cure(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(repository))
    with pytest.raises(FileNotFoundError, match=r"there is no git.*install git"):
        lineage.commit()


def test_the_environment_is_the_hash_of_its_lock(repository: Path) -> None:
    assert lineage.environment() == "unlocked"
    (repository / "requirements.lock").write_bytes(b"torch==1\n")
    assert lineage.environment() == hashlib.sha256(b"torch==1\n").hexdigest()


def test_a_files_hash_is_that_of_its_bytes(tmp_path: Path) -> None:
    content = bytes(range(256)) * 5000
    (tmp_path / "file").write_bytes(content)
    assert lineage.file_hash(tmp_path / "file") == hashlib.sha256(content).hexdigest()


def test_the_source_hash_is_the_same_from_wherever_it_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = lineage.source()
    monkeypatch.chdir(tmp_path)
    assert lineage.source() == here
    assert len(here) == 64
