"""The training of one experiment, epoch by epoch, from whatever a killed run left to the finished checkpoint."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from segpipe import artifacts, losses, params, tracking
from segpipe.checkpoints import (
    MEMBERS_FILE,
    MODEL_FILE,
    Progress,
    ResumeFile,
    build_model,
    save_model,
    under_prefix,
    with_prefix,
    write_members,
)
from segpipe.devices import machine
from segpipe.loading import Batch, Samples, in_order, num_batches, shuffled, training_samples
from segpipe.params import Combined, Experiment
from segpipe.preparation.statistics import class_weights
from segpipe.terminal import duration, progress, say
from segpipe.training import optimizers
from segpipe.training.record import fingerprint, record
from segpipe.training.schedules import learning_rate
from segpipe.training.tally import Stopwatch, Tally


def train(name: str) -> None:
    """data/checkpoints/<name>, whatever it takes: anew, or on from where a killed run stopped."""
    from segpipe.training.averaging import Averaging

    settings = params.experiment(name)
    training = (Training if settings.epochs else Averaging)(name, settings)
    with training.resume.held():
        training.run()


class Training:
    """Everything that one experiment's training holds in memory."""

    def __init__(self, name: str, settings: Experiment | Combined) -> None:
        self.name, self.settings = name, settings
        self.machine = machine(params.hardware())
        prepared, augmented = artifacts.prepared(settings.prepared), artifacts.augmented(settings.augmented)
        self.train_samples, self.val_samples = training_samples(prepared, augmented), Samples([prepared], "val")
        self.classes = [label["name"] for label in artifacts.read_json(prepared / "manifest.json")["labels"]["classes"]]
        self.record = record(name, settings, self.classes, self.machine)
        self.resume = ResumeFile(name, fingerprint(self.record))

        device = self.machine.device
        self.origin = self._origin()
        self.model = build_model(settings.model, len(self.classes), self.origin, settings.seed).on(device)
        self.loss = losses.built(settings.loss, class_weights(settings.class_weights, prepared)).to(device)
        self.optimizer = optimizers.build(settings.optimizer, self.model.parameter_groups())
        self.history: list[dict[str, Any]] = []
        self.timing: list[dict[str, Any]] = []
        self.best: dict[str, torch.Tensor] = {}

    def _origin(self) -> Path:
        """The file that the model is built from; that of a combined model is made first."""
        if isinstance(self.settings, Experiment):
            return artifacts.weights(self.settings.weights)
        path = artifacts.working("members") / f"{self.name}.safetensors"
        write_members(path, self.settings.members, len(self.classes))
        return path

    def run(self) -> None:
        run_id = self._restore()
        run = tracking.begin(self.record, run_id)
        if not self.history:
            self.resume.write(self._progress(run.id))
        for epoch in range(len(self.history) + 1, self.settings.epochs + 1):
            self._epoch(epoch)
            self.resume.write(self._progress(run.id))
            run.log_history(self.history, self.timing)
        self._export(run)
        run.end()

    # An epoch

    def _epoch(self, epoch: int) -> None:
        began = time.perf_counter()
        losses = [row["val_loss"] for row in self.history]
        lr = learning_rate(self.settings.schedule, self.settings.optimizer.lr, epoch, self.settings.epochs, losses)
        optimizers.set_learning_rate(self.optimizer, lr)
        # All randomness inside an epoch follows from its number: a resume needs no generator's state.
        torch.manual_seed(self.settings.seed * 1_000_003 + epoch)
        trained, waiting = self._pass_over_training(epoch)
        trained_seconds = time.perf_counter() - began
        validated = self._pass_without_steps("val", self.val_samples, epoch)
        self.history.append({"epoch": epoch, "lr": lr, **trained, **validated})
        speed = len(self.train_samples) / trained_seconds
        seconds, share = time.perf_counter() - began, waiting / trained_seconds
        self.timing.append({"epoch": epoch, "seconds": seconds, "images_per_second": speed, "waiting_share": share})
        if self.settings.checkpoint == "last" or self.best_epoch == epoch:
            self.best = {key: value.detach().clone() for key, value in self.model.trained_state().items()}
        self._say(epoch)

    def _pass_over_training(self, epoch: int) -> tuple[dict[str, float], float]:
        self.model.train()
        settings = self.settings
        batches = shuffled(self.train_samples, settings.batch, settings.recipe, settings.sampler, settings.seed, epoch)
        tally = Tally("train", self.classes)
        label = f"{self.name} {epoch}/{settings.epochs}"
        steps = progress(batches, label, num_batches(self.train_samples, settings.batch))
        waiting = Stopwatch()
        for number, batch in enumerate(waiting.around(steps), 1):
            on_device = batch.to(self.machine.device)
            with self.machine.autocast():
                logits = self.model(on_device.images)
            terms = self.loss(logits, self.model.truth(on_device.masks))
            total = sum(terms.values())
            self._refuse_bad_number(terms, epoch, number, batch)
            self.optimizer.zero_grad(set_to_none=True)
            total.backward()
            self.optimizer.step()
            tally.add(terms, logits, self.model.truth(batch.masks), batch.names)
        return tally.row(with_terms=True), waiting.seconds

    @torch.inference_mode()
    def _pass_without_steps(self, split: str, samples: Samples, epoch: int) -> dict[str, float]:
        self.model.eval()
        tally = Tally(split, self.classes)
        for number, batch in enumerate(in_order(samples, self.settings.batch), 1):
            on_device = batch.to(self.machine.device)
            with self.machine.autocast():
                logits = self.model(on_device.images)
            terms = self.loss(logits, self.model.truth(on_device.masks))
            self._refuse_bad_number(terms, epoch, number, batch)
            tally.add(terms, logits, self.model.truth(batch.masks), batch.names)
        return tally.row(with_terms=split == "train")

    def _refuse_bad_number(self, terms: dict[str, torch.Tensor], epoch: int, number: int, batch: Batch) -> None:
        if all(torch.isfinite(value) for value in terms.values()):
            return
        values = ", ".join(f"{term} {value.item()}" for term, value in terms.items())
        raise ValueError(
            f"{self.name}: the loss is no number in epoch {epoch}, batch {number} ({values}), "
            f"images {', '.join(batch.names)}.\n"
            f"The state before this epoch is kept. Lower experiments.{self.name}.optimizer.lr, or look at these images"
        )

    # What is kept

    @property
    def best_epoch(self) -> int:
        """The first epoch with the highest validation mIoU, or the last one, as the experiment's `checkpoint` asks."""
        if self.settings.checkpoint == "last":
            return len(self.history)
        best: int = max(self.history, key=lambda row: row["val_miou"])["epoch"]
        return best

    def _progress(self, run_id: str | None) -> Progress:
        tensors = {
            **with_prefix("model", self.model.trained_state()),
            **with_prefix("best", self.best),
            **with_prefix("optimizer", optimizers.state_tensors(self.optimizer)),
        }
        return Progress(tensors, {"history": self.history, "timing": self.timing, "run_id": run_id})

    def _restore(self) -> str | None:
        """Take up what an earlier run of the same inputs left; its tracking run goes on too."""
        left = self.resume.read()
        if left is None:
            return None
        self.history, self.timing = left.values["history"], left.values["timing"]
        self.best = under_prefix("best", left.tensors)
        self.model.load_state_dict(under_prefix("model", left.tensors), strict=False)
        optimizers.restore(self.optimizer, under_prefix("optimizer", left.tensors))
        if self.history:
            say(f"{self.name}: going on after epoch {len(self.history)} of {self.settings.epochs}")
        run_id: str | None = left.values["run_id"]
        return run_id

    def _export(self, run: tracking.Run) -> None:
        with artifacts.replacing_folder(artifacts.checkpoint(self.name)) as partial:
            save_model(self.best, partial / MODEL_FILE, self.name)
            artifacts.write_rows(partial / "history.csv", self.history, self.history[0])
            artifacts.write_rows(partial / "timing.csv", self.timing, self.timing[0])
            self._export_more(partial)
            where = {"run_id": run.id, "experiment_id": run.experiment_id}
            facts = {"best_epoch": self.best_epoch, "selected_on": self.selected_on, "tracking": where}
            artifacts.write_json(partial / "run.json", {**self.record, **facts})

    @property
    def selected_on(self) -> dict[str, str]:
        """What was chosen by looking at scores, and on which split."""
        return {"checkpoint": "val"} if self.settings.checkpoint == "best" else {}

    def _export_more(self, folder: Path) -> None:
        """A combined model keeps its members: whoever evaluates or serves it needs nothing else."""
        if isinstance(self.settings, Combined):
            shutil.copyfile(self.origin, folder / MEMBERS_FILE)

    def _say(self, epoch: int) -> None:
        row, timing = self.history[-1], self.timing[-1]
        left = np.mean([entry["seconds"] for entry in self.timing]) * (self.settings.epochs - epoch)
        say(
            f"{self.name} {epoch}/{self.settings.epochs}: loss {row['train_loss']:.3f}, "
            f"val loss {row['val_loss']:.3f}, val mIoU {row['val_miou']:.3f}, "
            f"{timing['images_per_second']:.0f} images/s, {duration(float(left))} left"
        )
