"""What an epoch of one model takes, found in a process of its own: `bench.training` asks, JSON is the answer.

Everything lies in an empty folder: files as large as real ones, what `preprocess` makes of them, and random weights,
which take as long as trained ones.
"""

from __future__ import annotations

import itertools
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader
from torch.utils.flop_counter import FlopCounterMode

from bench import fabricated_pairs as pairs
from bench.loading import WORKERS, Set, UsualDataset
from segpipe import artifacts, components
from segpipe.checkpoints import build_model
from segpipe.labels import IGNORE
from segpipe.loading import Batch
from segpipe.params import Augmented, Experiment, ResolvedPrepared, Weights
from segpipe.preparation.expansion import expand
from segpipe.preparation.packing import pack
from segpipe.preparation.weights import fetch
from segpipe.training.loop import Training
from segpipe.training.tally import Tally

NAME = "bench"
NUM_CLASSES = len(pairs.TABLE.classes)
PAIRS = 15
VALIDATED = 4
"""One image in so many is validated on."""


@dataclass(frozen=True)
class Case:
    """A model with its encoder, and how much of what it is given."""

    model: dict[str, Any]
    encoder: str
    size: tuple[int, int]
    batch: int
    images: int
    recipe: str = "s1"


def experiment(case: Case) -> Experiment:
    """The files of a project in the working directory, and what is to be trained on them."""
    pairs.fabricate(NAME, pairs.AEROSCAPES, case.images)
    pairs.list_pairs(NAME, 1)
    listed = artifacts.audit(NAME) / "pairs.csv"
    rows = [
        {**row, "split": "train" if number % VALIDATED else "val"}
        for number, row in enumerate(artifacts.read_rows(listed))
    ]
    artifacts.write_rows(listed, rows, rows[0])
    wanted = {"dataset": NAME, "view": pairs.TABLE.name, "size": case.size, "labels": pairs.TABLE.as_dict()}
    pack(NAME, ResolvedPrepared.model_validate(wanted))
    expand(NAME, Augmented(prepared=NAME, copies=0))
    library = components.find("models", case.model["name"]).LIBRARY
    fetch(NAME, Weights.model_validate({"library": library, "encoder": case.encoder, "source": {"kind": "random"}}))
    artifacts.write_json(artifacts.resolved("descriptions", "experiments"), {})
    for command in ("init -q", "-c user.name=bench -c user.email=bench@localhost commit -q --allow-empty -m Start"):
        subprocess.run(["git", *command.split()], check=True)
    return Experiment.model_validate(
        dict.fromkeys(("prepared", "augmented", "weights"), NAME)
        | {"model": case.model, "loss": {"name": "cross_entropy"}, "optimizer": {"lr": 1e-4}}
        | {"recipe": case.recipe, "epochs": 1_000, "batch": case.batch}
    )


# The plain loop: everything float32 and channels first, the usual loader, a metric for each batch


class Decoded(UsualDataset):
    """The files of one split, decoded whenever they are asked for; validation does not change them."""

    def __init__(self, size: tuple[int, int], split: str) -> None:
        import albumentations

        super().__init__(Set(pairs.Format(NAME, pairs.AEROSCAPES.size, "jpg"), size, ""))
        self._pairs = [row for row in self._pairs if row["split"] == split]
        if split == "val":
            resize, *_, normalise, to_tensor = self._compose.transforms
            self._compose = albumentations.Compose([resize, normalise, to_tensor])
        self._class_ids = torch.from_numpy(pairs.TABLE.lookup()).long()

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        image, mask = super().__getitem__(index)
        return image, self._class_ids[mask]


class Plain:
    """The loop of the documents."""

    def __init__(self, case: Case, settings: Experiment, device: torch.device) -> None:
        self._device = device
        self._model = build_model(settings.model, NUM_CLASSES, artifacts.weights(NAME), 0).to(device)
        trained = [weight for weight in self._model.parameters() if weight.requires_grad]
        self._optimizer = torch.optim.Adam(trained, lr=settings.optimizer.lr)
        self._loaders = {
            split: DataLoader(
                Decoded(case.size, split),
                case.batch,
                shuffle=split == "train",
                num_workers=WORKERS,
                persistent_workers=True,
            )
            for split in ("train", "val")
        }

    def epoch(self) -> None:
        self._model.train()
        total = 0.0
        for images, masks in self._loaders["train"]:
            loss, _ = self._losses(images, masks)
            self._optimizer.zero_grad()
            torch.autograd.backward(loss)
            self._optimizer.step()
            total += loss.item()
        self._model.eval()
        with torch.no_grad():
            scores = [mean_iou(*self._losses(images, masks)[1]) for images, masks in self._loaders["val"]]
        if not scores or math.isnan(total):
            raise ValueError("the plain loop learns nothing: its times would mean nothing")

    def _losses(self, images: Tensor, masks: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        images, masks = images.to(self._device), masks.to(self._device)
        logits = self._model.readout(self._model.cell_logits(images), (images.shape[-2], images.shape[-1]))
        masks = self._model.truth(masks)
        return functional.cross_entropy(logits, masks, ignore_index=IGNORE), (logits, masks)


def mean_iou(logits: Tensor, masks: Tensor) -> float:
    """Of one batch, as plain loops have it."""
    is_counted = masks != IGNORE
    pair = masks[is_counted] * NUM_CLASSES + logits.argmax(1)[is_counted]
    confusion = torch.bincount(pair, minlength=NUM_CLASSES**2).view(NUM_CLASSES, NUM_CLASSES)
    hits = confusion.diag()
    return float((hits / (confusion.sum(0) + confusion.sum(1) - hits).clamp(min=1)).mean())


# Ours


class Bare:
    """Forward, backward and step of our own model on one batch, and nothing else."""

    def __init__(self, training: Training) -> None:
        self._training = training
        self.batch = next(batches(training)).to(training.machine.device)

    def step(self) -> None:
        training = self._training
        training.model.train()
        with training.machine.autocast():
            logits = training.logits_of["train"](self.batch)
        terms = training.step.loss(logits, training.model.truth(self.batch.masks))
        training.step.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(sum(terms.values()))
        training.step.optimizer.step()


def batches(training: Training) -> Iterator[Batch]:
    """Epoch after epoch."""
    settings, feed = training.settings, training.feeds["train"]
    for epoch in itertools.count(1):
        yield from feed.shuffled(settings.batch, settings.recipe, settings.sampler, settings.seed, epoch)


def seconds(work: Callable[[], Any], training: Training) -> float:
    training.machine.wait()
    began = time.perf_counter()
    work()
    training.machine.wait()
    return time.perf_counter() - began


def compared(case: Case, rounds: int) -> dict[str, Any]:
    """Whole epochs, plain and ours in turn; then the fastest of a few steps, bare and ours in turn."""
    settings = experiment(case)
    training = Training(NAME, settings)
    plain = Plain(case, settings, training.machine.device)
    found = []
    for number in range(1, rounds + 2):
        took = {"plain": seconds(plain.epoch, training), "ours": seconds(partial(training._epoch, number), training)}
        found.append({**took, "waiting_share": training.timing[-1]["waiting_share"]})
    return {"rounds": found[1:], **steps(training)}  # the first one warms up


def steps(training: Training) -> dict[str, float]:
    """Seconds of a step: neighbours on the machine can only make one slower, so the fastest of each kind counts."""
    bare = Bare(training)
    tally = Tally("train", training.classes, partial(training._refuse_bad_number, 0))
    took = [
        (
            seconds(bare.step, training),
            seconds(partial(training.step.take, batch, training.logits_of["train"], tally), training),
        )
        for batch in itertools.islice(batches(training), PAIRS)
    ]
    return {"bare": min(each for each, _ in took), "step": min(each for _, each in took)}


def on_device(case: Case, rounds: int) -> dict[str, float]:
    """Speed, waiting, work done and memory of whole epochs of training."""
    training = Training(NAME, experiment(case))
    bare = Bare(training)
    counter = FlopCounterMode(display=False)
    with counter:
        bare.step()
    torch.accelerator.reset_peak_memory_stats()
    for epoch in range(1, rounds + 2):
        training._epoch(epoch)
    fastest = max(training.timing[1:], key=lambda row: float(row["images_per_second"]))
    per_image = counter.get_total_flops() / case.batch
    return {
        "images_per_second": fastest["images_per_second"],
        "waiting_share": fastest["waiting_share"],
        "teraflops": per_image * fastest["images_per_second"] / 1e12,
        "peak_gib": torch.accelerator.max_memory_allocated() / 2**30,
        "matmul_teraflops": matmul_rate(training),
    }


def matmul_rate(training: Training, side: int = 8192, times: int = 20) -> float:
    """What the device reaches in one large bf16 product, in TFLOP/s."""
    one = torch.randn(side, side, device=training.machine.device, dtype=torch.bfloat16)

    def multiply() -> None:
        for _ in range(times):
            torch.mm(one, one)

    return 2 * side**3 * times / min(seconds(multiply, training) for _ in range(3)) / 1e12


FINDINGS: dict[str, Callable[[Case, int], Any]] = {"compared": compared, "on_device": on_device}


def answer() -> None:
    finding, rounds, case = json.loads(sys.argv[1])
    case["size"] = tuple(case["size"])
    os.environ |= {"DVC_STAGE": "bench", "NO_ALBUMENTATIONS_UPDATE": "1"}  # what is resolved is written here already
    with tempfile.TemporaryDirectory() as scratch:
        os.chdir(scratch)
        print(json.dumps(FINDINGS[finding](Case(**case), rounds)))
        os.chdir("/")


if __name__ == "__main__":
    answer()
