"""A clone of the project as it stands, committed or not, and the whole demo run in it once."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Clone:
    """A project folder, and commands run in it."""

    folder: Path

    def run(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run to the end; the caller looks at the exit code."""
        return subprocess.run(
            command, cwd=self.folder, env=self.environment(environment), capture_output=True, text=True, check=False
        )

    def stage(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return self.run(sys.executable, "-m", f"stages.{arguments[0]}", *arguments[1:], **environment)

    def repro(self, *arguments: str) -> str:
        """`dvc repro`, which must succeed; what it said."""
        done = self.run(sys.executable, "-m", "dvc", "repro", *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def environment(self, extra: dict[str, str]) -> dict[str, str]:
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("SEGPIPE_", "DVC_", "MLFLOW_"))
        }
        # Stages call `python`, which must be this one.
        return {**kept, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", **extra}

    def edit(self, file: str, old: str, new: str) -> None:
        path = self.folder / file
        text = path.read_text()
        assert text.count(old) == 1, f"{file} holds {old!r} {text.count(old)} times"
        path.write_text(text.replace(old, new))


KEPT = {"drone", "drone_binary", "drone_5", "drone_binary_0", "drone_binary_500", "drone_5_500", "resnet34_imagenet"}
KEPT |= {"unet_drone_binary", "unet_drone_binary_plain", "unet_drone_5"}


def of_the_drone_set(params: str) -> str:
    """params.yaml without the other datasets and what stands on them: `.ci/run` has the whole demo run already."""
    kept, kind, is_wanted = [], "", True
    for line in params.splitlines(keepends=True):
        if block := re.match(r"  (\w+):\n", line):
            is_wanted = kind in ("hardware", "gates") or block[1] in KEPT
        elif kind_line := re.match(r"(\w+):", line):
            kind, is_wanted = kind_line[1], True
            line = "combined: {}\n" if kind == "combined" else line
        if is_wanted:
            kept.append(line)
    return "".join(kept)


def clone(folder: Path) -> Clone:
    """The files that git tracks or would track, in a repository of their own, with the drone set alone."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in listed.stdout.splitlines():
        source, target = ROOT / name, folder / name
        if source.is_file() and name != "reports/champion.json":  # the last demo's: a clone starts without one
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)
    (folder / "params.yaml").write_text(of_the_drone_set((ROOT / "params.yaml").read_text()))
    commit_as = ("-c", "user.name=test", "-c", "user.email=test@example.org", "commit", "-qm", "as it stands")
    for command in (("init", "-q"), ("add", "-A"), commit_as):
        subprocess.run(["git", *command], cwd=folder, check=True)
    return Clone(folder)


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """The demo, run from nothing to the end, as `make demo` does."""
    project = clone(tmp_path_factory.mktemp("demo"))
    done = project.run(sys.executable, "-m", "segpipe", "repro")
    assert done.returncode == 0, done.stdout + done.stderr
    return project


@pytest.fixture
def fresh(tmp_path: Path) -> Clone:
    """A clone in which nothing has run."""
    return clone(tmp_path)
