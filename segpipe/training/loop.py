"""The training of one experiment, epoch by epoch, from whatever a killed run left to the finished checkpoint."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from segpipe import artifacts, features, losses, params, tracking
from segpipe.checkpoints import (
    MEMBERS_FILE,
    Progress,
    ResumeFile,
    build_model,
    under_prefix,
    with_prefix,
    write_members,
)
from segpipe.devices import machine
from segpipe.loading import Batch, Samples, training_samples
from segpipe.params import Combined, Experiment
from segpipe.preparation.statistics import class_weights
from segpipe.processes import gathered, launch, place
from segpipe.training import display, optimizers
from segpipe.training.memory import enough_memory
from segpipe.training.record import fingerprint, record
from segpipe.training.results import Result, epoch_line, highest, summary
from segpipe.training.schedules import learning_rate, warmed_up
from segpipe.training.step import LEAST_SCALE, Step
from segpipe.training.tally import Stopwatch, Tally


def train(name: str) -> None:
    """data/checkpoints/<name>, whatever it takes: anew, or on from where a killed run stopped."""
    from segpipe.training.averaging import fit

    settings = params.experiment(name)
    if settings.epochs:
        launch(partial(train_all, name, settings), params.hardware())
    else:
        fit(name, settings)


def train_all(name: str, settings: Experiment | Combined) -> None:
    """The training and its repeats, in every process; what they come to is written at once, by the first process."""
    training = Training(name, settings)
    with training.resume.held() if place().is_first else nullcontext():
        result, origin, resume = training.run(), training.origin, training.resume
        del training  # its memory is for the next one
        repeats = {
            seed: Training(name, settings.model_copy(update={"seed": seed}), resume.of_repeat(seed)).run()
            for seed in range(settings.seed + 1, settings.seed + settings.repeats)
        }
        if place().is_first:
            with artifacts.replacing_folder(artifacts.checkpoint(name)) as partly:
                result.write(partly)
                if isinstance(settings, Combined):  # whoever evaluates or serves it needs nothing else
                    shutil.copyfile(origin, partly / MEMBERS_FILE)
                for seed, repeat in repeats.items():
                    repeat.write(partly / "repeats" / str(seed))


class Training:
    """Everything that one training holds in memory."""

    def __init__(self, name: str, settings: Experiment | Combined, resume: ResumeFile | None = None) -> None:
        self.name, self.settings, self.is_repeat = name, settings, resume is not None
        self.title = f"{name}, seed {settings.seed}" if self.is_repeat else name
        self.machine = machine(params.hardware())
        prepared, augmented = artifacts.prepared(settings.prepared), artifacts.augmented(settings.augmented)
        samples = {"train": training_samples(prepared, augmented), "val": Samples([prepared], "val")}
        self._refuse_too_many_processes(len(samples["train"]))
        self.classes = [label["name"] for label in artifacts.read_json(prepared / "manifest.json")["labels"]["classes"]]
        self.origin = self._origin()
        self.size = samples["train"].size
        with self._enough_memory():
            self.model = build_model(settings.model, len(self.classes), self.origin, settings.seed)
            self.model.on(self.machine.device)
            recipes = {"train": settings.recipe, "val": "none"}
            self.feeds = {
                split: features.feed(self.model, samples[split], self.origin, self.machine, recipe)
                for split, recipe in recipes.items()
            }
            weights = class_weights(settings.class_weights, prepared)
            loss = losses.built(settings.loss, weights).to(self.machine.device)
            optimizer = optimizers.build(settings.optimizer, self.model.parameter_groups())
            self.step = Step(self.model, loss, weights, optimizer, settings, self.machine)
        self.logits_of = {split: self._compiled(feed.logits) for split, feed in self.feeds.items()}
        self.record = record(name, settings, self.classes, self.machine)
        keys = [feed.key for feed in self.feeds.values()]
        self.resume = resume or ResumeFile(name, fingerprint(self.record, keys))
        self.history: list[dict[str, Any]] = []
        self.timing: list[dict[str, Any]] = []
        self.best: dict[str, Tensor] = {}

    def _origin(self) -> Path:
        """The file that the model is built from; that of a combined model is made first."""
        if isinstance(self.settings, Experiment):
            return artifacts.weights(self.settings.weights)
        path = artifacts.working("members") / f"{self.name}.safetensors"
        write_members(path, self.settings.members, len(self.classes))
        return path

    def _compiled(self, logits_of: Callable[[Batch], Tensor]) -> Callable[[Batch], Tensor]:
        return torch.compile(logits_of) if self.machine.is_compiled else logits_of

    def run(self) -> Result:
        """From where the last run stopped, or the beginning, to the end."""
        run_id = self._restore()
        # A repeat only tells how far scores lie apart: the tracking store shows the training itself.
        run = tracking.begin(self.record, run_id) if place().is_first and not self.is_repeat else None
        try:
            self._epochs(run)
        except Exception:  # whatever it was, no run may be left RUNNING; the error itself goes on
            if run is not None:
                run.end("FAILED")
            raise
        if run is not None:
            run.end()
        display.line(summary(self.title, self.settings, self.history, self.timing))
        return self._result(run)

    def _epochs(self, run: tracking.Run | None) -> None:
        """All that are left, each kept, and shown, before the next."""
        if not self.history:
            self._keep(run)
        for epoch in display.epochs(range(len(self.history) + 1, self.settings.epochs + 1), self.title):
            if self._has_stalled:
                break
            with self._enough_memory():
                self._epoch(epoch)
            self._keep(run)
            if run is not None:
                known = run.id
                run.log_history(self.history, self.timing)
                if run.id != known:  # the store was away until now: whoever goes on must find this run again
                    self._keep(run)

    # An epoch

    def _epoch(self, epoch: int) -> None:
        began = time.perf_counter()
        # All randomness inside an epoch follows from its number: a resume needs no generator's state.
        torch.manual_seed(self.settings.seed * 1_000_003 + epoch + (place().rank << 40))
        trained, waiting = self._pass_over_training(epoch)
        self.step.agree()
        trained_seconds = time.perf_counter() - began
        with self.step.average.in_place() if self.step.average else nullcontext():
            validated = self._pass_without_steps("val", self.feeds["val"], epoch)
            self.history.append({"epoch": epoch, "lr": self._rate, **trained, **validated})
            if self.best_epoch == epoch:
                self.best = {key: value.detach().clone() for key, value in self.model.trained_state().items()}
        speed = len(self.feeds["train"]) / trained_seconds
        seconds, share = time.perf_counter() - began, waiting / trained_seconds
        self.timing.append({"epoch": epoch, "seconds": seconds, "images_per_second": speed, "waiting_share": share})
        display.line(epoch_line(self.title, self.settings, self.history, self.timing))

    def _pass_over_training(self, epoch: int) -> tuple[dict[str, float], float]:
        settings, feed = self.settings, self.feeds["train"]
        losses = [row["val_loss"] for row in self.history]
        rate = learning_rate(settings.schedule, settings.optimizer.lr, epoch, settings.epochs, losses)
        count = feed.num_batches(settings.batch)
        tally = Tally("train", self.classes, partial(self._refuse_bad_number, epoch))
        batches = feed.shuffled(settings.batch, settings.recipe, settings.sampler, settings.seed, epoch)
        waiting = Stopwatch()
        steps = display.steps(
            waiting.around(batches), f"{self.title} {epoch}/{settings.epochs}", count, len(feed), tally.so_far
        )
        self.model.train()
        for number, batch in enumerate(steps, (epoch - 1) * count + 1):
            self._rate = rate * warmed_up(number, count, settings.warmup)
            optimizers.set_learning_rate(self.step.optimizer, self._rate)
            self.step.take(batch, self.logits_of["train"], tally)
        row = tally.row(with_terms=True)
        self._refuse_vanished_scale(epoch)
        return row, waiting.seconds

    @torch.inference_mode()
    def _pass_without_steps(self, split: str, feed: features.Feed, epoch: int) -> dict[str, float]:
        self.model.eval()
        tally = Tally(split, self.classes, partial(self._refuse_bad_number, epoch))
        for batch in feed.in_order(self.settings.batch):
            on_device = batch.to(self.machine.device)
            with self.machine.autocast():
                logits = self.logits_of[split](on_device)
            truth = self.model.truth(on_device.masks)
            tally.count(logits, truth, batch.names)
            tally.add(self.step.loss(logits, truth), batch.names)
        return tally.row(with_terms=split == "train")

    # What stops it

    def _refuse_bad_number(self, epoch: int, number: int, names: list[str], values: dict[str, float]) -> None:
        said = ", ".join(f"{term} {value:.4g}" for term, value in values.items())
        raise ValueError(
            f"{self.name}: the loss or its gradient is no number in epoch {epoch}, batch {number} ({said}), "
            f"images {', '.join(names)}.\n"
            f"The state before this epoch is kept. Lower experiments.{self.name}.optimizer.lr, or look at these images"
        )

    def _refuse_vanished_scale(self, epoch: int) -> None:
        if self.step.scaler.is_enabled() and self.step.scaler.get_scale() < LEAST_SCALE:
            raise ValueError(
                f"{self.name}: in fp16, the gradient is no number in batch after batch of epoch {epoch}.\n"
                "The state before this epoch is kept. Take hardware.precision: bf16 or fp32, or lower "
                f"experiments.{self.name}.optimizer.lr"
            )

    def _refuse_too_many_processes(self, images: int) -> None:
        least = min(self.settings.batch, images)
        if least < place().count:
            raise ValueError(
                f"{self.name}: a batch of {least} leaves some of {place().count} devices without an image. "
                f"Raise experiments.{self.name}.batch, or lower hardware.devices (SEGPIPE_DEVICES)"
            )

    def _enough_memory(self) -> Any:
        return enough_memory(self.name, self.settings, self.size, self.machine)

    # What is kept

    @property
    def best_epoch(self) -> int:
        """The first epoch with the best validation score, or the last one, as the experiment's `checkpoint` asks."""
        return highest(self.settings, self.history) if self.settings.checkpoint == "best" else len(self.history)

    @property
    def _has_stalled(self) -> bool:
        """Whether as many epochs as `stop_after` says brought no better one."""
        patience = self.settings.stop_after
        return bool(patience and self.history and len(self.history) - highest(self.settings, self.history) >= patience)

    def _keep(self, run: tracking.Run | None) -> None:
        """Everything that the next epoch follows from, in one file."""
        if not place().is_first:
            return
        tensors = {
            **with_prefix("model", self.model.trained_state()),
            **with_prefix("best", self.best),
            **with_prefix("optimizer", optimizers.state_tensors(self.step.optimizer)),
            **with_prefix("average", self.step.average.state() if self.step.average else {}),
        }
        values = {"history": self.history, "timing": self.timing, "scaler": self.step.scaler.state_dict()}
        self.resume.write(Progress(tensors, {**values, "run_id": run.id if run is not None else None}))

    def _restore(self) -> str | None:
        """Take up what an earlier run of the same inputs left; its tracking run goes on too."""
        left: Progress | None = gathered(self.resume.read() if place().is_first else None)[0]
        if left is None:
            return None
        self.history, self.timing = left.values["history"], left.values["timing"]
        self.best = under_prefix("best", left.tensors)
        self.model.load_state_dict(under_prefix("model", left.tensors), strict=False)
        optimizers.restore(self.step.optimizer, under_prefix("optimizer", left.tensors))
        if self.step.average:
            self.step.average.restore(under_prefix("average", left.tensors))
        self.step.scaler.load_state_dict(left.values["scaler"])
        if self.history:
            display.line(f"{self.title}: going on after epoch {len(self.history)} of {self.settings.epochs}")
        run_id: str | None = left.values["run_id"]
        return run_id

    def _result(self, run: tracking.Run | None) -> Result:
        where = {"run_id": run.id, "experiment_id": run.experiment_id} if run is not None else None
        facts = {"best_epoch": self.best_epoch, "selected_on": self.selected_on, "tracking": where}
        best = {key: value.cpu() for key, value in self.best.items()}
        return Result(self.name, best, self.history, self.timing, {**self.record, **facts})

    @property
    def selected_on(self) -> dict[str, str]:
        """What was chosen by looking at scores, and on which split."""
        return {"checkpoint": "val"} if self.settings.checkpoint == "best" else {}
