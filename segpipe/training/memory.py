"""What to do when a device has too little memory, instead of an allocator's own words."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

from segpipe.devices import Machine
from segpipe.params.schema import Trained

WORDS = ("out of memory", "can't allocate memory", "not enough memory")
"""What torch says on a processor, where the error has no type of its own."""


@contextlib.contextmanager
def enough_memory(name: str, settings: Trained, size: tuple[int, int], here: Machine) -> Iterator[None]:
    """An error that says what was asked for, and what can be lowered, where memory ends in this block."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not (
            isinstance(error, (torch.OutOfMemoryError, MemoryError)) or any(words in str(error) for words in WORDS)
        ):
            raise
        parts = f", in {settings.accumulate} parts" if settings.accumulate > 1 else ""
        raise ValueError(
            f"{name}: {here.described()['device']} has too little memory for a batch of {settings.batch}{parts}, "
            f"at {size[0]}x{size[1]}, in {here.precision}. Nothing is half-written.\n"
            f"Raise experiments.{name}.accumulate (the same result in smaller parts), take hardware.precision: bf16 "
            f"or fp16,\nor lower the batch, or prepared.{settings.prepared}.size; then run the same command again"
        ) from error
