"""What the hardware block asks for is what computes, or is refused by name."""

from __future__ import annotations

import pytest
import torch

from segpipe.devices import Machine, machine
from segpipe.params import Hardware

CPU = torch.device("cpu")


def test_what_is_asked_for_is_taken() -> None:
    assert machine(Hardware(device="cpu", precision="bf16")) == Machine(CPU, "bf16")
    assert machine(Hardware(device="cpu", precision="fp32")) == Machine(CPU, "fp32")


def test_auto_chooses_what_can_compute_here() -> None:
    chosen = machine(Hardware())
    assert chosen.precision in {"fp32", "bf16"}
    assert torch.ones(2, device=chosen.device).sum().item() == 2
    if not torch.accelerator.is_available():
        assert chosen.device == CPU


@pytest.mark.parametrize("name", ["gpu", "cuda:99", "cpu:cpu", ""])
def test_a_device_that_is_not_here_is_refused_with_the_cure(name: str) -> None:
    with pytest.raises(ValueError, match=r"hardware\.device") as refusal:
        machine(Hardware(device=name))
    message = str(refusal.value)
    assert f"'{name}'" in message
    assert "SEGPIPE_DEVICE" in message
    assert len(message.splitlines()) <= 3


@pytest.mark.parametrize(("precision", "expected"), [("fp32", torch.float32), ("bf16", torch.bfloat16)])
def test_matrix_work_has_the_precision_that_was_chosen(precision: str, expected: torch.dtype) -> None:
    with Machine(CPU, precision).autocast():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == expected
    assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32


def test_the_machine_is_described_in_plain_values() -> None:
    described = Machine(CPU, "fp32").described()
    assert described.keys() == {"device", "precision", "processor", "threads", "torch"}
    assert (described["device"], described["precision"]) == ("cpu", "fp32")
    assert described["threads"] == torch.get_num_threads()
    assert described["torch"] == torch.__version__
    assert described["processor"]
