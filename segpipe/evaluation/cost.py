"""What a model costs: parameters, operations, bytes on disk and in memory, and time for one image and for eight."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.flop_counter import FlopCounterMode

from segpipe.devices import Machine
from segpipe.layers.segmentation_model import SegmentationModel
from segpipe.loading import Samples

SECONDS, MOST = 0.3, 50
LEAST = {1: 3, 8: 1}
"""How long the latency of so many images is measured, how often at most, and at least: it is no part of the scoring."""


@torch.inference_mode()
def measured_cost(model: SegmentationModel, samples: Samples, here: Machine, checkpoint: Path) -> dict[str, Any]:
    """The content of cost.json. Each latency is from uint8 images on the device to class ids back in memory."""
    image = torch.from_numpy(np.array(samples[0][0])).permute(2, 0, 1).unsqueeze(0).to(here.device)
    single, eight = (_milliseconds(model, image.expand(count, -1, -1, -1), here) for count in (1, 8))
    return {
        "parameters": sum(p.numel() for p in model.parameters()),
        "trainable_parameters": sum(p.numel() for p in model.parameters() if p.requires_grad),
        "checkpoint_bytes": checkpoint.stat().st_size,
        "flops": flops(model, (image.shape[2], image.shape[3])),
        "latency_ms": float(np.median(single)),
        "latency_p95_ms": float(np.percentile(single, 95)),
        "latency_batch_8_ms": float(np.median(eight)),
        "latency_batch_8_p95_ms": float(np.percentile(eight, 95)),
        "peak_memory_bytes": _peak_memory(model, image, here),
        **{key: here.described()[key] for key in ("device", "precision")},
    }


def flops(model: SegmentationModel, size: tuple[int, int]) -> int:
    """Floating point operations for one image, a multiplication and its addition being two; nothing is computed."""
    with FakeTensorMode(allow_non_fake_inputs=True), FlopCounterMode(display=False) as counter:
        model(torch.empty((1, 3, *size), dtype=torch.uint8, device=model.scale.device))
    return int(counter.get_total_flops())


def _milliseconds(model: SegmentationModel, images: Tensor, here: Machine) -> list[float]:
    images = images.contiguous(memory_format=torch.channels_last)
    if here.device.type != "cpu":  # which needs time to choose its kernels for a new size of batch
        _pass(model, images, here)
    milliseconds: list[float] = []
    while len(milliseconds) < LEAST[len(images)] or (len(milliseconds) < MOST and sum(milliseconds) < SECONDS * 1000):
        began = time.perf_counter()
        _pass(model, images, here)
        milliseconds.append((time.perf_counter() - began) * 1000)
    return milliseconds


def _pass(model: SegmentationModel, images: Tensor, here: Machine) -> None:
    with here.autocast():
        model(images).argmax(1).cpu()  # the copy waits for the device


def _peak_memory(model: SegmentationModel, image: Tensor, here: Machine) -> int:
    """While one image passes: what torch holds on a GPU; elsewhere what the whole process holds."""
    if here.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(here.device)
        _pass(model, image, here)
        return int(torch.cuda.max_memory_allocated(here.device))
    high_water = Path("/proc/self/clear_refs")
    if high_water.exists():
        high_water.write_text("5")  # sets the process's peak back to what it holds now
    _pass(model, image, here)
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.is_file() else []
    peaks = [int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")]
    return peaks[0] if peaks else int(psutil.Process().memory_info().rss)
