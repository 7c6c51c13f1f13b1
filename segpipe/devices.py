"""The device that computes, the precision it computes in, and what it is called."""

from __future__ import annotations

import platform
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from segpipe.params import Hardware


@dataclass(frozen=True)
class Machine:
    device: torch.device
    precision: str

    def autocast(self) -> AbstractContextManager[Any]:
        """Matrix work in bf16 where that is the precision, everything as it is otherwise."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16")

    def described(self) -> dict[str, Any]:
        return {
            "device": torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else self.device.type,
            "precision": self.precision,
            "processor": _processor(),
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
        }


def machine(hardware: Hardware) -> Machine:
    """What the hardware block asks for; `auto` takes the fastest that is there."""
    device = _device(hardware.device)
    precision = hardware.precision
    if precision == "auto":
        precision = "bf16" if _has_bf16_units(device) else "fp32"
    return Machine(device, precision)


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


def _has_bf16_units(device: torch.device) -> bool:
    if device.type == "cpu":
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return device.type != "cuda" or torch.cuda.is_bf16_supported(including_emulation=False)


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
