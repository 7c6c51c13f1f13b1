"""Bars on a terminal, nothing but the batches elsewhere."""

from __future__ import annotations

import os
import subprocess
import sys
import termios
from pathlib import Path

import pytest
import torch

from segpipe.loading import Batch
from segpipe.training import display

ROOT = Path(__file__).parents[3]
WATCHED = """
import time
from segpipe.training import display
from tests.unit.training.test_display import batches
for epoch in display.epochs(range(2, 4), "trial"):
    for batch in display.steps(batches(), f"trial {epoch}/3", 2, 5, lambda: "loss 0.500, mIoU 0.250"):
        time.sleep(0.15)  # a bar is drawn ten times a second
    display.line(f"epoch {epoch} is over")
"""


def batches() -> list[Batch]:
    empty = torch.zeros(0)
    return [Batch(empty, empty, ["a", "b", "c"], whole=3), Batch(empty, empty, ["d", "e"], whole=2)]


def test_without_a_terminal_batches_pass_and_lines_are_said(capsys: pytest.CaptureFixture[str]) -> None:
    there = batches()
    assert list(display.steps(there, "trial", 2, 5, lambda: "loss 1")) == there
    assert list(display.epochs(range(3, 5), "trial")) == [3, 4]
    display.line("one epoch is over")
    assert capsys.readouterr().err == "one epoch is over\n"


@pytest.mark.slow
def test_a_terminal_shows_epochs_images_loss_overlap_and_the_time_left() -> None:
    terminal, its_end = os.openpty()
    termios.tcsetwinsize(its_end, (30, 150))
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen([sys.executable, "-c", WATCHED], stderr=its_end, env=environment)
    os.close(its_end)
    shown = b""
    try:
        while part := os.read(terminal, 4096):
            shown += part
    except OSError:  # a terminal that nobody holds any more
        pass
    assert process.wait() == 0
    said = shown.decode()
    for expected in (
        "trial 2/3: ",
        "/5 [",
        "1/3",
        "epoch 3 is over",
        "images/s",
        "loss 0.500, mIoU 0.250",
    ):
        assert expected in said, expected
