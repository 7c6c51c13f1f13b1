"""Scores a trained experiment over its split, as a stream, and writes every number that a figure needs."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from segpipe import artifacts, features, lineage, losses, params, tracking
from segpipe.checkpoints import MODEL_FILE, build_model, load_model, origin_of
from segpipe.confusion import confusion_matrix
from segpipe.devices import Machine, machine
from segpipe.evaluation.colour import colour_alone
from segpipe.evaluation.confidence import Fit, fitted
from segpipe.evaluation.cost import measured_cost
from segpipe.evaluation.counting import Scored, Scorer, in_order_of, scored_logits
from segpipe.evaluation.native import NativePairs
from segpipe.evaluation.panels import Candidate, Extremes, write_panels
from segpipe.evaluation.results import Totals, numbers, or_none, write_tables, written_rows
from segpipe.features import Feed
from segpipe.labels import LabelTable
from segpipe.layers.segmentation_model import SegmentationModel
from segpipe.loading import Samples
from segpipe.metrics import overlap
from segpipe.params.schema import Evaluation
from segpipe.preparation.statistics import class_weights
from segpipe.processes import gathered, launch, place, summed
from segpipe.terminal import say


def evaluate(name: str) -> None:
    """data/evaluations/<name>, in as many processes as the hardware block asks for."""
    launch(partial(_evaluate, name), params.hardware())


def _evaluate(name: str) -> None:
    work = Scoring(name)
    scored = in_order_of(work.samples.names, work.stream(), work.settings.batch)
    if place().is_first:
        _write(work, scored)
    else:  # the others only help it
        deque(scored, 0)
        gathered(work.extremes)
        work.repeats()


def _write(work: Scoring, scored: Iterator[Scored]) -> None:
    with artifacts.replacing_folder(artifacts.evaluation(work.name)) as folder, ThreadPoolExecutor(1) as aside:
        colour = aside.submit(work.colour_alone)
        aside.submit(tracking.wake)  # where it fails, `_track` will see
        totals = written_rows(folder, scored, work.labels.class_names)
        work.extremes.join(gathered(work.extremes))
        metrics = work.metrics(totals, colour.result(), work.repeats())
        artifacts.write_json(folder / "metrics.json", metrics)
        write_tables(folder, totals, work.labels.name, work.labels.class_names)
        cost = measured_cost(work.model, work.samples, work.how, work.here, work.checkpoint, work.fit.of_eight)
        artifacts.write_json(folder / "cost.json", cost)
        write_panels(folder, work.model, work.samples, work.extremes, work.labels)
    _track(work.name, metrics)
    miou, ceiling = (format(metrics[key] or float("nan"), ".4f") for key in ("miou", "resolution_ceiling"))
    say(f"{work.name}: mIoU {miou} on {metrics['images']} images of {metrics['split']} (its ceiling: {ceiling})")


class Scoring:
    """One experiment's evaluation: what it is scored with, and what becomes of it."""

    def __init__(self, name: str) -> None:
        self.name, self.settings, self.how = name, params.experiment(name), params.evaluation(name)
        self.here = machine(params.hardware())
        self.prepared = artifacts.prepared(self.settings.prepared)
        self.manifest = artifacts.read_json(self.prepared / "manifest.json")
        self.labels = LabelTable.from_dict(self.manifest["labels"])
        self.samples = Samples([self.prepared], self.how.split)
        self.origin = origin_of(name, self.settings)
        self.checkpoint = artifacts.checkpoint(name) / MODEL_FILE
        self.model = self._model(self.checkpoint, self.settings.seed)
        self.extremes = Extremes()

    def _model(self, checkpoint: Path, seed: int) -> SegmentationModel:
        model = build_model(self.settings.model, len(self.labels.classes), self.origin, seed)
        return load_model(model, checkpoint).on(self.here.device)

    def stream(self) -> Iterator[Scored]:
        """This process's images."""
        loss = losses.built(self.settings.loss, class_weights(self.settings.class_weights, self.prepared))
        scorer = Scorer(
            model=self.model,
            num_classes=len(self.labels.classes),
            how=self.how,
            here=self.here,
            loss=loss.to(self.here.device),
            temperature=self.fit.temperature,
            native=self._native(),
        )
        for scored, prediction in scorer.stream(self.feed(self.model), self.settings.batch, self.samples.threads):
            miou = overlap.overall(scored.confusion)["miou"]
            self.extremes.add([Candidate(scored.name, miou, prediction)])
            yield scored

    @cached_property
    def fit(self) -> Fit:
        """Its temperature is fitted on validation images, whatever is scored."""
        return fitted(self.model, Samples([self.prepared], "val"), self.how, self.here, len(self.samples))

    def feed(self, model: SegmentationModel) -> Feed:
        """Of the images, unless told otherwise: kept features are rounded, and what is served elsewhere has none."""
        if self.how.kept_features:
            return features.feed(model, self.samples, self.origin, self.here)
        return Feed(model, self.samples)

    def _native(self) -> NativePairs | None:
        if not self.how.native:
            return None
        prepared = params.prepared(self.settings.prepared)
        return NativePairs(prepared, self.how.split, with_images=self.how.window is not None)

    def colour_alone(self) -> float:
        return colour_alone(Samples([self.prepared], "train"), self.samples, len(self.labels.classes))

    def repeats(self) -> dict[str, Any] | None:
        """The mIoU of every seed that was trained, and how far they lie apart: the standard deviation."""
        others = sorted((artifacts.checkpoint(self.name) / "repeats").glob(f"*/{MODEL_FILE}"), key=_seed)
        if not others:
            return None
        found = [(self.settings.seed, self.checkpoint), *((_seed(path), path) for path in others)]
        mious = [self._miou(path, seed) for seed, path in found]
        spread = float(np.std(mious, ddof=1))
        return {"seeds": [seed for seed, _ in found], "miou": mious, "mean": float(np.mean(mious)), "spread": spread}

    def _miou(self, checkpoint: Path, seed: int) -> float:
        model, num_classes = self._model(checkpoint, seed), len(self.labels.classes)
        confusions = image_confusions(model, self.feed(model), self.settings.batch, self.here, num_classes, self.how)
        total = sum((counts for _, counts in confusions), np.zeros((num_classes, num_classes), np.int64))
        return overlap.overall(summed(total))["miou"]

    def metrics(self, totals: Totals, colour: float, repeats: dict[str, Any] | None) -> dict[str, Any]:
        """The content of metrics.json."""
        run = artifacts.read_json(artifacts.checkpoint(self.name) / "run.json")
        return {
            "experiment": self.name,
            "prepared": self.settings.prepared,
            "fabricated": self.manifest["fabricated"],
            "weights_label": run["lineage"]["weights"]["label"],
            "split": self.how.split,
            "evaluation": self.how.model_dump(mode="json"),
            "selected_on": {**run["selected_on"], "temperature": "val"},
            **numbers(totals, self.labels.class_names),
            "temperature": self.fit.temperature,
            "repeats": repeats,
            "data": self.manifest["content"],
            "checkpoint": lineage.file_hash(self.checkpoint),
            "colour_alone": or_none(colour),
        }


def _seed(checkpoint: Path) -> int:
    return int(checkpoint.parent.name)


@torch.inference_mode()
def image_confusions(
    model: SegmentationModel, feed: Feed, batch: int, here: Machine, num_classes: int, how: Evaluation
) -> Iterator[tuple[str, np.ndarray]]:
    """Name and confusion [C, C] of each of this process's images, at training size."""
    for one in feed.in_order(batch):
        with here.autocast():
            logits = scored_logits(model, one.to(here.device), feed, how)
        predicted = logits.argmax(1).to(torch.uint8).cpu().numpy()
        for truth, prediction, name in zip(model.truth(one.masks).numpy(), predicted, one.names, strict=True):
            yield name, confusion_matrix(truth, prediction, num_classes, name)


def _track(name: str, metrics: dict[str, Any]) -> None:
    """The scores on the run that training began."""
    checkpoint = artifacts.checkpoint(name)
    history = [dict(row) for row in artifacts.read_rows(checkpoint / "history.csv")]
    timing = [dict(row) for row in artifacts.read_rows(checkpoint / "timing.csv")]
    run = tracking.continued(artifacts.read_json(checkpoint / "run.json"), history, timing)
    split = metrics["split"]
    scores = {f"{split}_{key}": value for key, value in metrics.items() if isinstance(value, float)}
    scores |= {
        f"{split}_iou.{class_name}": row["iou"]
        for class_name, row in metrics["per_class"].items()
        if row["iou"] is not None
    }
    run.log_evaluation(scores, sorted(artifacts.evaluation(name).glob("panels/*.png")))
    run.end()
