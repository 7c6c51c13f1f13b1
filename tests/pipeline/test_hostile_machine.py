"""Where the machine is against a stage: a full disk, a folder that cannot be written, no git."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.pipeline.conftest import Clone
from tests.pipeline.test_by_hand import shrink

# A mount of one's own needs a namespace of one's own, which some systems and containers do not allow.
CAN_MOUNT = (
    subprocess.run(["unshare", "-rm", "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True).returncode == 0
)
needs_mounts = pytest.mark.skipif(not CAN_MOUNT, reason="this machine lets nobody mount a small disk for a test")

pytestmark = pytest.mark.slow

NEEDED = (
    ("resolve",),
    ("download", "drone"),
    ("audit", "drone"),
    ("preprocess", "drone_binary"),
    ("augment", "drone_binary_0"),
    ("augment", "drone_binary_500"),
    ("fetch", "resnet34_imagenet"),
)


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """Everything up to the training."""
    from tests.pipeline.conftest import clone

    project = clone(tmp_path_factory.mktemp("ready"))
    shrink(project)
    for command in NEEDED:
        done = project.stage(*command)
        assert done.returncode == 0, done.stderr
    return project


def said_in(project: Clone, mount: str, command: str) -> tuple[int, list[str]]:
    """Exit code and lines of a command in a namespace in which `mount` has happened."""
    done = project.run("unshare", "-rm", "sh", "-c", f"{mount} && cd {project.folder} && {command}")
    return done.returncode, done.stderr.strip().splitlines()


@needs_mounts
@pytest.mark.parametrize(
    ("folder", "command"),
    [
        ("data/raw", "download drone"),
        ("data/audits", "audit drone"),
        ("data/prepared", "preprocess drone_5"),
        ("data/weights", "fetch resnet34_imagenet"),
        (".segpipe", "train unet_drone_binary"),
    ],
)
def test_a_full_disk_is_said_in_a_line_and_nothing_is_left_on_it(ready: Clone, folder: str, command: str) -> None:
    (ready.folder / folder).mkdir(exist_ok=True)
    mount = f"mount -t tmpfs -o size=200k none {ready.folder / folder}"
    list_it = f"code=$?; find {folder} -type f >&2; exit $code"
    code, lines = said_in(ready, mount, f"python -m stages.{command}; {list_it}")
    assert code == 1
    written = [line for line in lines if line.startswith(folder) and not line.endswith((".lock", ".json"))]
    assert not written
    assert sum("error: " in line for line in lines if "libpng" not in line) == 1, lines
    assert any("space" in line for line in lines), lines
    assert not any("Traceback" in line for line in lines)


@needs_mounts
@pytest.mark.parametrize("command", ["download drone", "preprocess drone_5", "train unet_drone_binary", "report"])
def test_a_folder_that_cannot_be_written_is_named_with_the_cure(ready: Clone, command: str) -> None:
    here = ready.folder
    mount = f"mount --bind {here} {here} && mount -o remount,bind,ro {here}"
    code, lines = said_in(ready, mount, f"python -m stages.{command}")
    assert code == 1
    assert len(lines) <= 3
    assert any("read-only file system" in line for line in lines), lines


def test_a_training_outside_git_is_refused_since_its_result_could_not_be_traced(ready: Clone, tmp_path: Path) -> None:
    (ready.folder / ".git").rename(tmp_path / "git")
    try:
        done = ready.stage("train", "unet_drone_binary")
    finally:
        (tmp_path / "git").rename(ready.folder / ".git")
    assert done.returncode == 1
    assert "git init" in done.stderr
    assert len(done.stderr.strip().splitlines()) <= 3


def test_an_unknown_experiment_is_answered_with_the_nearest_name(ready: Clone) -> None:
    done = ready.stage("train", "unet_drone_binari")
    assert (done.returncode, done.stderr) == (
        1,
        "error: params.yaml: experiments: there is no 'unet_drone_binari' (did you mean 'unet_drone_binary'?)\n",
    )


def test_a_forgotten_name_is_a_mistake_of_usage(ready: Clone) -> None:
    done = ready.stage("train")
    assert done.returncode == 2
    assert done.stderr.startswith("usage: python -m stages.train [-h] name")
