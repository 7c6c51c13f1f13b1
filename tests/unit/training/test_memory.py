"""Where memory ends, a person reads what to lower."""

from __future__ import annotations

import pytest
import torch

from segpipe.params.schema import Trained
from segpipe.training.memory import enough_memory
from tests.unit.training.test_step import CPU, PLAIN


def test_an_allocation_that_fails_says_batch_size_and_precision_and_what_to_lower() -> None:
    settings = Trained.model_validate({**PLAIN, "batch": 12, "accumulate": 3})
    with pytest.raises(ValueError) as refusal, enough_memory("trial", settings, (512, 1024), CPU):
        torch.empty(1 << 55)
    message = str(refusal.value)
    for said in ("trial: cpu", "a batch of 12, in 3 parts, at 512x1024, in fp32", "experiments.trial.accumulate"):
        assert said in message
    for lowered in ("hardware.precision", "the batch", "prepared.p.size", "Nothing is half-written"):
        assert lowered in message
    assert len(message.splitlines()) <= 3


def test_the_error_of_an_accelerator_is_taken_too() -> None:
    with pytest.raises(ValueError, match="too little memory"), enough_memory("t", Trained(**PLAIN), (8, 8), CPU):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")


@pytest.mark.parametrize("error", [RuntimeError("shapes differ"), ValueError("no number")])
def test_every_other_error_passes_as_it_is(error: Exception) -> None:
    with pytest.raises(type(error), match=str(error)), enough_memory("t", Trained(**PLAIN), (8, 8), CPU):
        raise error
