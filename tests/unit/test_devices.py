"""What the hardware block asks for is what computes, or is refused by name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from segpipe.devices import Machine, has_bf16_units, machine
from segpipe.params import Hardware

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    yield
    torch.use_deterministic_algorithms(False)


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
    assert described.keys() == {"device", "precision", "compiled", "deterministic", "processor", "threads", "torch"}
    assert (described["compiled"], described["deterministic"]) == (False, False)
    assert (described["device"], described["precision"]) == ("cpu", "fp32")
    assert described["threads"] == torch.get_num_threads()
    assert described["torch"] == torch.__version__
    assert described["processor"]


@pytest.mark.parametrize(
    ("flags", "has_units"),
    [
        ("fpu sse2 avx2 fma", False),
        ("avx2 avx512f avx512_bf16 avx512_vnni", True),
        ("avx512f amx_bf16 amx_tile", True),
        ("fp asimd bf16 i8mm", True),
        ("avx512f avx512_fp16", False),
    ],
)
def test_a_processor_has_bf16_units_where_its_flags_say_so(flags: str, has_units: bool) -> None:
    assert has_bf16_units(f"model name : one\nflags : {flags}\n") is has_units


def test_auto_is_bf16_on_this_processor_only_with_units() -> None:
    """torch's own word for it is no good: it is also given where bf16 is emulated, slower than float32."""
    flags = set(Path("/proc/cpuinfo").read_text().split())
    expected = "bf16" if flags & {"avx512_bf16", "amx_bf16", "bf16"} else "fp32"
    assert machine(Hardware(device="cpu")).precision == expected


def test_fp16_is_taken_where_the_processor_computes_in_it_and_refused_in_words_elsewhere() -> None:
    hardware = Hardware(device="cpu", precision="fp16")
    if "avx512_fp16" in Path("/proc/cpuinfo").read_text().split():
        assert machine(hardware).precision == "fp16"
    else:
        with pytest.raises(ValueError, match=r"hardware\.precision: 'fp16' .* SEGPIPE_PRECISION"):
            machine(hardware)


def test_deterministic_is_switched_on_and_off() -> None:
    here = machine(Hardware(device="cpu", deterministic=True))
    assert here.is_deterministic
    assert torch.are_deterministic_algorithms_enabled()
    assert torch.backends.cudnn.deterministic
    machine(Hardware(device="cpu"))
    assert not torch.are_deterministic_algorithms_enabled()
    assert not torch.backends.cudnn.deterministic
