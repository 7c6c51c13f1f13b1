"""What a model costs: parameters, operations, bytes on disk and in memory, and time for one image and for eight."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.flop_counter import FlopCounterMode

from segpipe.devices import Machine
from segpipe.inference.test_time import logits_of
from segpipe.layers.segmentation_model import SegmentationModel
from segpipe.loading import Samples
from segpipe.params.schema import Evaluation

SECONDS, LEAST, MOST = 0.3, 2, 50
"""How long a latency is measured, how often at least, and how often at most."""

EIGHT = 8


@torch.inference_mode()
def measured_cost(
    model: SegmentationModel,
    samples: Samples,
    how: Evaluation,
    here: Machine,
    checkpoint: Path,
    known: Sequence[float] = (),
) -> dict[str, Any]:
    """The content of cost.json. A latency is `timed_pass`'s, as images are scored: flips and scales included.

    `known` are latencies of eight images that somebody measured in passing: where a pass is slow, no more are made.
    """
    image = torch.from_numpy(np.array(samples[0][0])).permute(2, 0, 1).unsqueeze(0).to(here.device)
    _forget_peak_memory(here)
    single = _latencies(model, image, how, here)
    peak = _peak_memory(here)
    eight = _latencies(model, image.expand(EIGHT, -1, -1, -1), how, here, known)
    return {
        "parameters": sum(p.numel() for p in model.parameters()),
        "trainable_parameters": sum(p.numel() for p in model.parameters() if p.requires_grad),
        "checkpoint_bytes": checkpoint.stat().st_size,
        "flops": flops(model, (image.shape[2], image.shape[3])),
        "latency_ms": float(np.median(single)),
        "latency_p95_ms": float(np.percentile(single, 95)),
        "latency_batch_8_ms": float(np.median(eight)),
        "latency_batch_8_p95_ms": float(np.percentile(eight, 95)),
        "peak_memory_bytes": peak,
        **{key: here.described()[key] for key in ("device", "precision")},
    }


def timed_pass(model: SegmentationModel, images: Tensor, how: Evaluation, here: Machine) -> tuple[Tensor, float]:
    """Logits of uint8 images on the device, and how many milliseconds later their class ids were back in memory."""
    began = time.perf_counter()
    with here.autocast():
        logits = logits_of(model, images, how)
    logits.argmax(1).cpu()  # the copy waits for the device
    return logits, (time.perf_counter() - began) * 1000


def flops(model: SegmentationModel, size: tuple[int, int]) -> int:
    """Floating point operations for one image, a multiplication and its addition being two; nothing is computed."""
    with FakeTensorMode(allow_non_fake_inputs=True), FlopCounterMode(display=False) as counter:
        model(torch.empty((1, 3, *size), dtype=torch.uint8, device=model.scale.device))
    return int(counter.get_total_flops())


def _latencies(
    model: SegmentationModel, images: Tensor, how: Evaluation, here: Machine, known: Sequence[float] = ()
) -> list[float]:
    images = images.contiguous(memory_format=torch.channels_last)
    latencies = list(known)
    if here.device.type != "cpu":  # which needs time to choose its kernels for a new size of batch
        timed_pass(model, images, how, here)
        latencies.clear()
    while len(latencies) < LEAST or (len(latencies) < MOST and sum(latencies) < SECONDS * 1000):
        latencies.append(timed_pass(model, images, how, here)[1])
    return latencies


HIGH_WATER = Path("/proc/self/clear_refs")


def _forget_peak_memory(here: Machine) -> None:
    if here.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(here.device)
    elif HIGH_WATER.exists():
        HIGH_WATER.write_text("5")  # sets the process's peak back to what it holds now


def _peak_memory(here: Machine) -> int:
    """Since it was forgotten: what torch held on a GPU; elsewhere what the whole process did."""
    if here.device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(here.device))
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.is_file() else []
    peaks = [int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")]
    return peaks[0] if peaks else int(psutil.Process().memory_info().rss)
