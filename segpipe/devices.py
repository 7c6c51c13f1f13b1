"""The device that computes, the precision it computes in, and what it is called."""

from __future__ import annotations

import os
import platform
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from segpipe.params import Hardware

CPUINFO = Path("/proc/cpuinfo")
BF16_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}
"""What /proc/cpuinfo calls the units, on x86 and on ARM."""

HALVES = {"bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Machine:
    device: torch.device
    precision: str
    is_compiled: bool = False
    is_deterministic: bool = False

    def autocast(self) -> AbstractContextManager[Any]:
        """Matrix work in half precision where that is asked for, everything as it is otherwise."""
        return torch.autocast(self.device.type, HALVES.get(self.precision), enabled=self.precision in HALVES)

    def wait(self) -> None:
        """Until the device has done all that it was told."""
        if self.device.type != "cpu":
            torch.accelerator.synchronize(self.device)

    def described(self) -> dict[str, Any]:
        return {
            "device": torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else self.device.type,
            "precision": self.precision,
            "compiled": self.is_compiled,
            "deterministic": self.is_deterministic,
            "processor": _processor(),
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
        }


def machine(hardware: Hardware) -> Machine:
    """What the hardware block asks for; `auto` takes the fastest that is there."""
    device = _device(hardware.device)
    precision = hardware.precision
    if precision == "auto":
        precision = "bf16" if _multiplies_bf16(device) else "fp32"
    if precision == "fp16":
        _refuse_without_fp16(device)
    _make_deterministic(hardware.deterministic)
    return Machine(device, precision, hardware.compile, hardware.deterministic)


def has_bf16_units(cpuinfo: str) -> bool:
    """Whether the processor that /proc/cpuinfo describes multiplies bf16 itself.

    What oneDNN calls supported is emulated too, at a half to a third of the speed of float32.
    """
    return bool(BF16_FLAGS & set(cpuinfo.split()))


def _device(name: str) -> torch.device:
    if name == "auto":
        accelerator = torch.accelerator.current_accelerator(check_available=True)
        return accelerator if accelerator is not None else torch.device("cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"hardware.device: '{name}' cannot be used here ({reason}). "
            "Take 'auto' or 'cpu', in params.yaml or SEGPIPE_DEVICE"
        ) from None
    return device


def _multiplies_bf16(device: torch.device) -> bool:
    if device.type == "cpu":
        return CPUINFO.is_file() and has_bf16_units(CPUINFO.read_text())
    return device.type != "cuda" or torch.cuda.is_bf16_supported(including_emulation=False)


def _refuse_without_fp16(device: torch.device) -> None:
    if device.type == "cpu" and not torch.ops.mkldnn._is_mkldnn_fp16_supported():
        raise ValueError(
            "hardware.precision: 'fp16' is for devices that compute in it, and this processor does not. "
            "Take 'auto' or 'fp32', in params.yaml or SEGPIPE_PRECISION"
        )


def _make_deterministic(asked: bool) -> None:
    """The same bits in every run on an accelerator, or an error that names the operation that cannot give them.

    On a processor the bits are the same anyway. cuBLAS reads its variable when it first wakes.
    """
    if asked:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(asked)
    torch.backends.cudnn.deterministic = asked
    torch.backends.cudnn.benchmark = False


def _processor() -> str:
    if CPUINFO.is_file():
        for line in CPUINFO.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
