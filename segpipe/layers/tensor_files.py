"""Safetensors files with facts in their header: the same bytes for the same content, and errors that name the file."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor


def write(path: Path, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
    """One header entry holds all facts: safetensors writes several in an order that changes from run to run."""
    on_cpu = {key: value.detach().cpu().contiguous() for key, value in tensors.items()}
    try:
        save_file(on_cpu, path, metadata={"facts": json.dumps(facts)})
    except SafetensorError as error:
        if number := re.search(r"os error (\d+)", str(error)):
            raise OSError(int(number[1]), os.strerror(int(number[1])), str(path)) from None
        raise


def read(path: Path) -> dict[str, Tensor]:
    try:
        return dict(load_file(path))
    except SafetensorError as error:
        raise _damaged(path, error) from None


def read_facts(path: Path) -> dict[str, Any]:
    """What `write` put beside the tensors; nothing, for a file of another origin."""
    try:
        with safe_open(path, framework="pt") as file:
            facts: dict[str, Any] = json.loads((file.metadata() or {}).get("facts", "{}"))
    except SafetensorError as error:
        raise _damaged(path, error) from None
    return facts


def _damaged(path: Path, error: Exception) -> ValueError:
    return ValueError(f"{path} is cut off, damaged or no safetensors file ({error}). Make or fetch it again")
