"""Scores a trained experiment over its split, as a stream, and writes every number that a figure needs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from segpipe import artifacts, lineage, losses, params, tracking
from segpipe.checkpoints import MODEL_FILE, build_model, load_model, origin_of
from segpipe.confusion import confusion_matrix
from segpipe.devices import Machine, machine
from segpipe.evaluation.ceiling import perfect_prediction
from segpipe.evaluation.colour import colour_alone
from segpipe.evaluation.cost import measured_cost
from segpipe.evaluation.panels import write_panels
from segpipe.labels import LabelTable
from segpipe.layers.segmentation_model import SegmentationModel
from segpipe.loading import Samples, in_order, num_batches
from segpipe.metrics import overlap
from segpipe.params import Combined, Experiment, Trained
from segpipe.preparation.statistics import class_weights
from segpipe.terminal import progress, say


@dataclass(frozen=True)
class Scored:
    """One image: its confusion, and that of a perfect predictor behind the model's own readout."""

    name: str
    confusion: np.ndarray
    ceiling: np.ndarray
    loss: float


def evaluate(name: str) -> None:
    """data/evaluations/<name>."""
    settings = params.experiment(name)
    here = machine(params.hardware())
    manifest = artifacts.read_json(artifacts.prepared(settings.prepared) / "manifest.json")
    labels = LabelTable.from_dict(manifest["labels"])
    model = _trained(name, settings, len(labels.classes)).on(here.device)
    samples = Samples([artifacts.prepared(settings.prepared)], params.evaluation(name).split)
    weights = class_weights(settings.class_weights, artifacts.prepared(settings.prepared))
    loss = losses.built(settings.loss, weights)
    scored = list(_stream(model, loss.to(here.device), samples, settings, here, len(labels.classes)))
    with artifacts.replacing_folder(artifacts.evaluation(name)) as partial:
        metrics = _metrics(name, settings, manifest, scored, labels)
        metrics["colour_alone"] = _or_none(_colour_alone(settings, samples, len(labels.classes)))
        artifacts.write_json(partial / "metrics.json", metrics)
        _write_counts(partial, scored, labels)
        cost = measured_cost(model, samples, here, artifacts.checkpoint(name) / MODEL_FILE)
        artifacts.write_json(partial / "cost.json", cost)
        mious = {one.name: overlap.overall(one.confusion)["miou"] for one in scored}
        write_panels(partial, model, samples, mious, labels, here)
    _track(name, metrics)
    miou, ceiling = (format(metrics[key] or float("nan"), ".4f") for key in ("miou", "resolution_ceiling"))
    say(f"{name}: mIoU {miou} on {metrics['images']} images of {metrics['split']} (its ceiling: {ceiling})")


def _colour_alone(settings: Trained, samples: Samples, num_classes: int) -> float:
    return colour_alone(Samples([artifacts.prepared(settings.prepared)], "train"), samples, num_classes)


def _trained(name: str, settings: Experiment | Combined, num_classes: int) -> SegmentationModel:
    model = build_model(settings.model, num_classes, origin_of(name, settings), settings.seed)
    return load_model(model, artifacts.checkpoint(name) / MODEL_FILE)


@torch.inference_mode()
def _stream(
    model: SegmentationModel, loss: nn.Module, samples: Samples, settings: Trained, here: Machine, num_classes: int
) -> Iterator[Scored]:
    batches = progress(in_order(samples, settings.batch), "evaluate", num_batches(samples, settings.batch))
    for batch in batches:
        on_device = batch.to(here.device)
        with here.autocast():
            logits = model(on_device.images)
        predicted = logits.argmax(1).to(torch.uint8).cpu().numpy()
        perfect = perfect_prediction(model, on_device.masks, num_classes).cpu().numpy()
        masks, truths = model.truth(on_device.masks), model.truth(batch.masks).numpy()
        for i, name in enumerate(batch.names):
            truth = truths[i]
            yield Scored(
                name,
                confusion_matrix(truth, predicted[i], num_classes, name),
                confusion_matrix(truth, perfect[i], num_classes, name),
                sum(term.item() for term in loss(logits[i : i + 1], masks[i : i + 1]).values()),
            )


def _metrics(
    name: str, settings: Experiment | Combined, manifest: dict[str, Any], scored: list[Scored], labels: LabelTable
) -> dict[str, Any]:
    confusion = _sum(s.confusion for s in scored)
    run = artifacts.read_json(artifacts.checkpoint(name) / "run.json")
    return {
        "experiment": name,
        "prepared": settings.prepared,
        "fabricated": manifest["fabricated"],
        "weights_label": run["lineage"]["weights"]["label"],
        "split": params.evaluation(name).split,
        "selected_on": run["selected_on"],
        "images": len(scored),
        "loss": float(np.mean([s.loss for s in scored])),
        "resolution_ceiling": _or_none(overlap.overall(_sum(s.ceiling for s in scored))["miou"]),
        **{metric: _or_none(value) for metric, value in overlap.overall(confusion).items()},
        "per_class": overlap.table(confusion, labels.class_names),
        "data": manifest["content"],
        "checkpoint": lineage.file_hash(artifacts.checkpoint(name) / MODEL_FILE),
    }


def _or_none(score: float) -> float | None:
    """JSON has no NaN."""
    return None if np.isnan(score) else score


def _sum(matrices: Iterator[np.ndarray]) -> np.ndarray:
    total: np.ndarray = sum(matrices, start=np.zeros((), np.int64))
    return total


def _write_counts(folder: Path, scored: list[Scored], labels: LabelTable) -> None:
    names = labels.class_names
    total = _sum(s.confusion for s in scored)
    rows = [{"truth": name, **dict(zip(names, total[i].tolist(), strict=True))} for i, name in enumerate(names)]
    artifacts.write_rows(folder / "confusion.csv", rows, ["truth", *names])
    counts = (
        {
            "image": s.name,
            "class": name,
            "intersection": int(s.confusion[i, i]),
            "union": int(s.confusion[i].sum() + s.confusion[:, i].sum() - s.confusion[i, i]),
            "truth": int(s.confusion[i].sum()),
        }
        for s in scored
        for i, name in enumerate(names)
    )
    artifacts.write_rows(folder / "image_counts.csv", counts, ["image", "class", "intersection", "union", "truth"])
    images = ({"image": s.name, **overlap.overall(s.confusion)} for s in scored)
    columns = ["image", "miou", "pixel_accuracy"]
    artifacts.write_rows(folder / "images.csv", ({c: row[c] for c in columns} for row in images), columns)


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
