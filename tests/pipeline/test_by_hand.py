"""Stages without DVC, as plain commands: in order, stopped by Ctrl-C, and where the machine is against them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.pipeline.conftest import Clone

pytestmark = pytest.mark.slow

COMMANDS = (
    ("resolve",),
    ("download", "drone"),
    ("audit", "drone"),
    ("preprocess", "drone_binary"),
    ("augment", "drone_binary_500"),
    ("fetch", "resnet34_imagenet"),
    ("train", "unet_drone_binary"),
    ("evaluate", "unet_drone_binary"),
    ("report",),
    ("gate",),
    ("register",),
)


def leftovers(folder: Path) -> list[Path]:
    return [path for place in ("data", "reports") for path in (folder / place).rglob(".*partial*")]


def test_each_stage_stops_within_a_second_of_ctrl_c_and_then_goes_on(fresh: Clone) -> None:
    shrink(fresh)
    for command in COMMANDS:
        for delay in (0.4, 1.5):
            stopped = subprocess.Popen(
                [sys.executable, "-m", f"stages.{command[0]}", *command[1:]],
                cwd=fresh.folder,
                env=fresh.environment({}),
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
            time.sleep(delay)
            if stopped.poll() is None:
                os.killpg(stopped.pid, signal.SIGINT)
                began = time.monotonic()
                _, said = stopped.communicate(timeout=20)
                assert time.monotonic() - began < 1.5, command
                assert "Traceback" not in said, said
                assert stopped.returncode in (130, 0, -signal.SIGINT), said
            assert not leftovers(fresh.folder), command
        done = fresh.stage(*command)
        assert done.returncode == 0, done.stderr


def shrink(project: Clone) -> None:
    """Few epochs and floors that they reach: these tests are about the stages, not about what they learn."""
    params = project.folder / "params.yaml"
    text = params.read_text().replace("      epochs: 10", "      epochs: 2").replace("images: 240", "images: 80")
    text = text.replace("miou: 0.60", "miou: 0.01").replace("iou: 0.40", "iou: 0.00").replace("test: 40", "test: 10")
    gates = text.index("  drone_5:\n    experiment")
    params.write_text(text[:gates])


@pytest.mark.parametrize("command", COMMANDS[1:-3], ids=lambda command: command[0])
def test_what_is_missing_is_named_in_at_most_three_lines(command: tuple[str, ...], fresh: Clone) -> None:
    done = fresh.stage(*command)
    if command[0] in ("download", "fetch"):
        assert done.returncode == 0, done.stderr
    else:
        assert done.returncode == 1
        assert len(done.stderr.strip().splitlines()) <= 3, done.stderr
        assert "Traceback" not in done.stderr
