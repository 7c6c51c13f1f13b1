"""What a training step of one model takes, found in a process of its own: `bench.models` asks, JSON is the answer."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from segpipe import components, losses
from segpipe.devices import Machine, machine
from segpipe.layers.encoders import IMAGENET_MEAN, IMAGENET_STD, EncoderWeights, encoder_module
from segpipe.layers.segmentation_model import SegmentationModel
from segpipe.params import Hardware
from segpipe.params.schema import Component

LEAST_REPEATS, LEAST_SECONDS = 3, 2.0


@dataclass(frozen=True)
class Case:
    """A model with the encoder and options that it is measured with; random weights take as long as trained ones."""

    model: str
    encoder: str
    options: dict[str, Any]
    size: tuple[int, int]
    classes: int
    has_cached_features: bool
    """Whether a step begins with features, as training does where a frozen backbone's are kept."""
    batch: int = 2

    def built(self) -> SegmentationModel:
        torch.manual_seed(0)
        module = components.find("models", self.model)
        state = encoder_module(module.LIBRARY, self.encoder, pretrained=False).state_dict()
        weights = EncoderWeights(module.LIBRARY, self.encoder, state, IMAGENET_MEAN, IMAGENET_STD)
        options = components.options("models", self.model, self.options)
        model: SegmentationModel = module.build(options, self.classes, weights)
        return model


class Step:
    """Forward and backward of one batch: as training runs it, or plain (everything float32, channels first)."""

    def __init__(self, case: Case, here: Machine, layout: Literal["plain", "channels_last"]) -> None:
        self.case, self.here = case, here
        generator = torch.Generator().manual_seed(1)
        images = torch.randint(0, 256, (case.batch, 3, *case.size), generator=generator, dtype=torch.uint8)
        masks = torch.randint(0, case.classes, (case.batch, *case.size), generator=generator, dtype=torch.uint8)
        self.model = case.built().train()
        if layout == "plain":
            self.model.to(here.device)
        else:
            self.model.on(here.device)
            images = images.to(memory_format=torch.channels_last)
        self.images, self.masks = images.to(here.device), masks.to(here.device)
        self.loss = losses.built(Component(name="cross_entropy"), [1.0] * case.classes).to(here.device)
        self.forward: Callable[[], Tensor] = self._from_features if case.has_cached_features else self.from_images

    def __call__(self) -> None:
        self.model.zero_grad(set_to_none=True)
        torch.autograd.backward(self.loss_of(self.logits()))

    def logits(self) -> Tensor:
        with self.here.autocast():
            return self.forward()

    @torch.no_grad()
    def evaluated(self) -> tuple[Tensor, float]:
        """Logits and loss of the model in evaluation."""
        self.model.eval()
        with self.here.autocast():
            logits = self.from_images()
        self.model.train()
        return logits.float(), float(self.loss_of(logits))

    def loss_of(self, logits: Tensor) -> Tensor:
        return torch.stack(list(self.loss(logits, self.model.truth(self.masks)).values())).sum()

    def from_images(self) -> Tensor:
        logits: Tensor = self.model(self.images)
        return logits

    def _from_features(self) -> Tensor:
        return self.model.readout(self.model.head(self._features), self.case.size)

    @cached_property
    def _features(self) -> tuple[Tensor, ...]:
        with torch.no_grad(), self.here.autocast():
            return self.model.features(self.images * self.model.scale + self.model.shift)

    def wait(self) -> None:
        if self.here.device.type != "cpu":
            torch.accelerator.synchronize(self.here.device)

    def seconds(self) -> float:
        """The fastest of a few, after one that warms up."""
        self()
        times: list[float] = []
        while len(times) < LEAST_REPEATS or sum(times) < LEAST_SECONDS:
            self.wait()
            began = time.perf_counter()
            self()
            self.wait()
            times.append(time.perf_counter() - began)
        return min(times)


def compared(case: Case, plain: Machine, trained: Machine) -> dict[str, Any]:
    """Seconds of a step, plain and as training runs it, how well both agree, and what the second one keeps."""
    expected, step = Step(case, plain, "plain"), Step(case, trained, "channels_last")
    differences = disagreement(expected, step)  # first: steps move the norms' statistics
    seconds = {"plain": expected.seconds(), "trained": step.seconds()}
    return {"precision": trained.precision, "seconds": seconds, "differences": differences, "kept": kept(step)}


def compiled(case: Case, _plain: Machine, trained: Machine) -> dict[str, Any]:
    """Seconds of a step as training runs it, before and after it is compiled, and what compiling took."""
    step = Step(case, trained, "channels_last")
    eager = step.seconds()
    step.forward = torch.compile(step.forward)
    began = time.perf_counter()
    step()
    first = time.perf_counter() - began
    return {"trained": eager, "first": first, "compiled": step.seconds()}


def kept(step: Step) -> dict[str, float]:
    """MiB that wait for the backward pass, by the part of the model that made them; its weights are there anyway."""
    seen = {parameter.untyped_storage().data_ptr() for parameter in step.model.parameters()}
    sizes = {"backbone": 0.0, "head": 0.0}
    part = "head"

    def count(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in seen:
            seen.add(storage.data_ptr())
            sizes[part] += storage.nbytes() / 2**20
        return tensor

    def features(images: Tensor) -> tuple[Tensor, ...]:
        nonlocal part
        part = "backbone"
        made = type(step.model).features(step.model, images)
        part = "head"
        return made

    step.model.features, step.forward = features, step.from_images  # type: ignore[method-assign]
    with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
        step.logits()
    return sizes


def disagreement(plain: Step, trained: Step) -> dict[str, float]:
    """How far the logits that training sees are from the plain ones, as shares of these logits' own spread."""
    (expected, expected_loss), (found, found_loss) = plain.evaluated(), trained.evaluated()
    difference = (found - expected).abs() / expected.std()
    loss = abs(found_loss - expected_loss) / expected_loss
    return {"largest": float(difference.max()), "mean": float(difference.mean()), "loss": loss}


def memory(case: Case, _plain: Machine, trained: Machine) -> dict[str, Any]:
    """The most GiB that a step took: of the device, or of the whole process."""
    Step(case, trained, "channels_last")()
    if trained.device.type == "cuda":
        return {"peak": torch.cuda.max_memory_allocated(trained.device) / 2**30}
    # Of this program alone; what getrusage says begins with the size of the process that started it.
    status = Path("/proc/self/status").read_text().splitlines()
    peak = next(line.split()[1] for line in status if line.startswith("VmHWM"))
    return {"peak": int(peak) / 2**20}


FINDINGS = {"compared": compared, "compiled": compiled, "memory": memory}


def answer() -> None:
    finding, device, case = json.loads(sys.argv[1])
    size = tuple(case.pop("size"))
    trained = machine(Hardware(device=device))
    found = FINDINGS[finding](Case(**case, size=size), Machine(trained.device, "fp32"), trained)
    print(json.dumps(found))


if __name__ == "__main__":
    answer()
