"""What a model costs: parameters, bytes on disk, and time for one image."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from segpipe.devices import Machine
from segpipe.layers.segmentation_model import SegmentationModel
from segpipe.loading import Samples

REPEATS = 12


@torch.inference_mode()
def measured_cost(model: SegmentationModel, samples: Samples, here: Machine, checkpoint: Path) -> dict[str, Any]:
    """The content of cost.json; the latency is the median of repeated single images, after a warm-up."""
    image = torch.from_numpy(np.array(samples[0][0])).permute(2, 0, 1).unsqueeze(0).to(here.device)
    seconds = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        with here.autocast():
            model(image).argmax(1).cpu()  # the copy waits for the device
        seconds.append(time.perf_counter() - began)
    return {
        "parameters": sum(p.numel() for p in model.parameters()),
        "trainable_parameters": sum(p.numel() for p in model.parameters() if p.requires_grad),
        "checkpoint_bytes": checkpoint.stat().st_size,
        "latency_ms": float(np.median(seconds[2:]) * 1000),
        **{key: here.described()[key] for key in ("device", "precision")},
    }
