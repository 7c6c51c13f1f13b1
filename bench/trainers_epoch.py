"""An epoch of another library's trainer, in turn with ours, in that library's environment: `bench.trainers` asks.

Theirs gets our model, loss, optimizer and batches, and counts the same confusion matrices; nothing is saved or shown.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from bench.training_epoch import NAME, Case, experiment
from segpipe.loading import Batch
from segpipe.training.loop import Training
from segpipe.training.tally import Tally


class Batches(IterableDataset[Batch]):
    """An epoch of one split, as our own loop is fed."""

    def __init__(self, training: Training, split: str) -> None:
        self._settings, self._feed, self._is_train = training.settings, training.feeds[split], split == "train"

    def __len__(self) -> int:
        return self._feed.num_batches(self._settings.batch)

    def __iter__(self) -> Iterator[Batch]:
        settings = self._settings
        if self._is_train:
            return self._feed.shuffled(settings.batch, settings.recipe, settings.sampler, settings.seed, 1)
        return self._feed.in_order(settings.batch)


class Work:
    """What both trainers are told to do with a batch."""

    def __init__(self, training: Training) -> None:
        self.training = training
        self._tally = Tally("bench", training.classes, lambda *_: None)

    def loss(self, batch: Batch) -> Tensor:
        training = self.training
        logits = training.logits_of["train"](batch)
        truth = training.model.truth(batch.masks)
        terms = training.step.loss(logits, truth)
        self._tally.count(logits, truth, batch.names)
        return torch.stack([*terms.values()]).sum()


def with_lightning(training: Training) -> Callable[[], float]:
    import lightning  # type: ignore[import-not-found] # lives in the bench's own environment, and its classes are untyped here

    here = training.machine
    quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)

    def epoch() -> float:
        module = lightning_module(training)
        training.model.train()  # it takes the mode as it finds it, and our validation left the other one
        lightning.Trainer(
            max_epochs=1,
            accelerator="gpu" if here.device.type == "cuda" else "cpu",
            devices=1,
            precision="bf16-mixed" if here.precision == "bf16" else "32-true",
            num_sanity_val_steps=0,
            **quiet,
        ).fit(module, Batches(training, "train"), Batches(training, "val"))
        return float(module.seconds)

    return epoch


def lightning_module(training: Training) -> Any:
    import lightning

    work = Work(training)

    class Module(lightning.LightningModule):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.model, self.seconds = training.model, 0.0

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return training.step.optimizer

        def transfer_batch_to_device(self, batch: Batch, device: torch.device, _index: int) -> Batch:
            return batch.to(device)

        def training_step(self, batch: Batch, _index: int) -> Tensor:
            loss = work.loss(batch)
            self.log("loss", loss, on_step=False, on_epoch=True, batch_size=len(batch.names))
            return loss

        def validation_step(self, batch: Batch, _index: int) -> None:
            self.log("val_loss", work.loss(batch), batch_size=len(batch.names))

        def on_train_epoch_start(self) -> None:
            self.seconds = -time.perf_counter()

        def on_train_epoch_end(self) -> None:  # comes after validation
            training.machine.wait()
            self.seconds += time.perf_counter()

    return Module()


def with_transformers(training: Training) -> Callable[[], float]:
    import transformers  # type: ignore[import-not-found] # the same

    here, optimizer = training.machine, training.step.optimizer
    constant = torch.optim.lr_scheduler.ConstantLR(optimizer, factor=1.0)
    trainer, clock = transformers_classes(training)

    def epoch() -> float:
        arguments = transformers.TrainingArguments(
            output_dir="theirs",
            num_train_epochs=1,
            per_device_train_batch_size=training.settings.batch,
            max_grad_norm=0,
            bf16=here.precision == "bf16",
            use_cpu=here.device.type == "cpu",
            eval_strategy="epoch",
            save_strategy="no",
            logging_strategy="no",
            report_to=[],
            disable_tqdm=True,
            remove_unused_columns=False,
        )
        sets = {"train_dataset": Batches(training, "train"), "eval_dataset": Batches(training, "val")}
        watch = clock()
        trainer(training.model, arguments, optimizers=(optimizer, constant), callbacks=[watch], **sets).train()
        return float(watch.seconds)

    return epoch


def transformers_classes(training: Training) -> tuple[Any, Any]:
    """Its trainer, fed and told as ours is, and a clock for the epoch."""
    import transformers

    work, here = Work(training), training.machine

    class Trainer(transformers.Trainer):  # type: ignore[misc]
        def get_train_dataloader(self) -> Any:
            return DataLoader(Batches(training, "train"), batch_size=None, collate_fn=_as_mapping)

        def get_eval_dataloader(self, _dataset: Any = None) -> Any:
            return DataLoader(Batches(training, "val"), batch_size=None, collate_fn=_as_mapping)

        def compute_loss(self, _model: Any, inputs: dict[str, Any], *_: Any, **__: Any) -> Tensor:
            with here.autocast():
                return work.loss(inputs["batch"].to(here.device))

        def prediction_step(self, model: Any, inputs: dict[str, Any], *_: Any, **__: Any) -> tuple[Tensor, None, None]:
            with torch.no_grad():
                return self.compute_loss(model, inputs), None, None

    class Clock(transformers.TrainerCallback):  # type: ignore[misc]
        seconds = 0.0

        def on_epoch_begin(self, *_: Any, **__: Any) -> None:
            self.seconds = -time.perf_counter()

        def on_evaluate(self, *_: Any, **__: Any) -> None:
            here.wait()
            self.seconds += time.perf_counter()

    return Trainer, Clock


def _as_mapping(batch: Any) -> dict[str, Any]:
    """What that trainer looks into; a batch itself passes through it untouched."""
    return {"batch": batch, "labels": batch.masks}


LIBRARIES = {"lightning": with_lightning, "transformers": with_transformers}


def answer() -> None:
    library, rounds, case = json.loads(sys.argv[1])
    case["size"] = tuple(case["size"])
    os.environ |= {"DVC_STAGE": "bench", "NO_ALBUMENTATIONS_UPDATE": "1"}  # what is resolved is written here already
    with tempfile.TemporaryDirectory() as scratch:
        os.chdir(scratch)
        training = Training(NAME, experiment(Case(**case)))
        theirs = LIBRARIES[library](training)
        found = []
        for number in range(rounds + 1):
            took = {"theirs": theirs()}
            training._epoch(number + 1)
            found.append({**took, "ours": training.timing[-1]["seconds"]})
        print(json.dumps({"version": version(library), "rounds": found[1:]}))  # the first one warms up
        os.chdir("/")


if __name__ == "__main__":
    answer()
