"""What kept features save: an epoch over a frozen transformer, and what it takes to compute its features once.

The plain loop is the documents': each epoch it decodes, resizes, flips and normalises with torch's DataLoader, sends
every image through the backbone in fp32, and enlarges logits with torch's interpolation. Both train the same head with
the same loss on the same images, as large as real ones; each figure is the median of paired rounds.
`python -m bench.features [images batch]`; SEGPIPE_DEVICE picks the device.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from bench.loading import SETS, UsualDataset, prepare
from bench.results import Row, publish
from segpipe import artifacts, components, losses
from segpipe.devices import Machine, machine
from segpipe.features import Feed, entry, feed, room
from segpipe.layers.encoders import IMAGENET_MEAN, IMAGENET_STD, EncoderWeights, encoder_module
from segpipe.layers.segmentation_model import SegmentationModel
from segpipe.loading import Samples
from segpipe.params import Hardware
from segpipe.params.schema import Component

IMAGES, BATCH, CLASSES = 16, 8, 12
ROUNDS = 3
WORKERS = 2
PLAIN_SET = SETS[0]


@dataclass(frozen=True)
class Case:
    model: str
    encoder: str
    bound: str

    def built(self) -> SegmentationModel:
        torch.manual_seed(0)
        state = encoder_module("timm", self.encoder, pretrained=False).state_dict()
        weights = EncoderWeights("timm", self.encoder, state, IMAGENET_MEAN, IMAGENET_STD)
        options = components.options("models", self.model, {})
        model: SegmentationModel = components.find("models", self.model).build(options, CLASSES, weights)
        return model


CASES = (
    Case("dino_linear", "vit_small_patch14_dinov2", ">= 15"),
    Case("dino_unet", "vit_base_patch14_dinov2", ">= 5"),
)


class PlainLoop:
    """As one writes it: fp32, channels first, the backbone at every step."""

    def __init__(self, case: Case, here: Machine, batch: int) -> None:
        self.model, self.device = case.built().to(here.device).train(), here.device
        self.optimizer = torch.optim.Adam([each for each in self.model.parameters() if each.requires_grad], 1e-3)
        self.loader = torch.utils.data.DataLoader(
            UsualDataset(PLAIN_SET), batch, shuffle=True, num_workers=WORKERS, persistent_workers=True
        )

    def epoch(self) -> None:
        for images, masks in self.loader:
            with torch.no_grad():
                features = self.model.features(images.to(self.device))
            logits = functional.interpolate(self.model.head(features), images.shape[2:], mode="bilinear")
            truth = masks.to(self.device) // 2  # files hold 24 things
            loss = functional.cross_entropy(logits, truth, ignore_index=255)
            self.optimizer.zero_grad()
            torch.autograd.backward(loss)
            self.optimizer.step()
        synchronize(self.device)

    @torch.no_grad()
    def backbone(self) -> None:
        """The passes of one epoch, and nothing else."""
        height, width = PLAIN_SET.size
        images = torch.rand(self.loader.batch_size or 1, 3, height, width, device=self.device)
        for _ in range(len(self.loader)):
            self.model.features(images)
        synchronize(self.device)


class KeptLoop:
    """As `train` does it, with features that were kept."""

    def __init__(self, case: Case, here: Machine, batch: int, samples: Samples) -> None:
        self.model, self.here, self.batch, self.samples = case.built().on(here.device).train(), here, batch, samples
        groups = self.model.parameter_groups()
        self.optimizer = torch.optim.Adam(groups[0][1], 1e-3, fused=True)
        self.loss = losses.built(Component(name="cross_entropy"), [1.0] * CLASSES).to(here.device)
        self.feed: Feed = Feed(self.model, samples)

    def build(self) -> None:
        """The features, anew."""
        shutil.rmtree(artifacts.features(), ignore_errors=True)
        room._in_use.clear()
        entry._proven.clear()
        self.feed = feed(self.model, self.samples, Path(self.model.__class__.__name__), self.here)
        assert self.feed.key is not None

    def epoch(self) -> None:
        for batch in self.feed.shuffled(self.batch, "none", "every_image", 0, 1):
            on_device = batch.to(self.here.device)
            with self.here.autocast():
                logits = self.feed.logits(on_device)
            terms = self.loss(logits, self.model.truth(on_device.masks))
            self.optimizer.zero_grad(set_to_none=True)
            torch.autograd.backward(torch.stack(list(terms.values())).sum())
            self.optimizer.step()
        synchronize(self.here.device)


def synchronize(device: torch.device) -> None:
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


def seconds(action: Callable[[], Any]) -> float:
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def measured(case: Case, here: Machine, batch: int) -> list[Row]:
    plain = PlainLoop(case, here, batch)
    ours = KeptLoop(case, here, batch, Samples([artifacts.prepared(PLAIN_SET.files.name)], "train"))
    ours.build()
    for warming in (plain.epoch, ours.epoch):
        warming()
    found = [
        {"plain": seconds(plain.epoch), "kept": seconds(ours.epoch), "passes": seconds(plain.backbone)}
        | {"build": seconds(ours.build)}
        for _ in range(ROUNDS)
    ]

    def median(value: Callable[[dict[str, float]], float]) -> float:
        return float(np.median([value(each) for each in found]))

    title, images = f"{case.model} over {case.encoder}", len(ours.samples)
    return [
        Row(f"{title}: plain epoch", 1000 * median(lambda t: t["plain"]) / images, "ms/image"),
        Row(f"{title}: epoch with kept features", 1000 * median(lambda t: t["kept"]) / images, "ms/image"),
        Row(f"{title}: plain against kept", median(lambda t: t["plain"] / t["kept"]), "×", case.bound),
        Row(f"{title}: features computed and kept", 1000 * median(lambda t: t["build"]) / images, "ms/image"),
        Row(f"{title}: the same against an epoch's passes", -median(lambda t: -t["build"] / t["passes"]), "×", "< 1.2"),
    ]


def main() -> int:
    images, batch = (int(given) for given in [*sys.argv[1:3], str(IMAGES), str(BATCH)][:2])
    os.environ |= {"NO_ALBUMENTATIONS_UPDATE": "1", "SEGPIPE_WORKERS": str(WORKERS), "THP_MEM_ALLOC_ENABLE": "1"}
    here = machine(Hardware(device=os.environ.get("SEGPIPE_DEVICE", "auto")))
    with tempfile.TemporaryDirectory() as scratch:
        os.chdir(scratch)
        prepare(PLAIN_SET, images)
        rows = [row for case in CASES for row in measured(case, here, batch)]
    return publish("features", rows)


if __name__ == "__main__":
    sys.exit(main())
