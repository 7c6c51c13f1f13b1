"""Our counts and other libraries' of the same tensors, in turn: bench/metrics.py runs it where they are installed.

Prints JSON: the seconds of each in each round, and by how much each differs from ours (pixels, then scores).
"""

from __future__ import annotations

import importlib
import json
import logging
import sys
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from segpipe.confusion import confusion_matrix
from segpipe.metrics import overlap
from segpipe.metrics.conventions import Counts, parity
from segpipe.metrics.overlap import class_counts

CLASSES, IGNORE, BATCHES, ROUNDS = 20, 255, 4, 5
SHAPE = (4, 512, 1024)
Batches = list[tuple[Tensor, Tensor]]


def split() -> Batches:
    """Truth and prediction uint8 [B, H, W]: regions as streets have, some ignored, and errors along their borders."""
    rng, batches = np.random.default_rng(0), []
    y, x = np.mgrid[: SHAPE[1], : SHAPE[2]]
    for number in range(BATCHES):
        truth = np.stack([(x // (37 + k) + y // 53 * 3 + k + number) % CLASSES for k in range(SHAPE[0])])
        predicted = np.where(rng.random(SHAPE) < 0.9, np.roll(truth, 3, 2), rng.integers(0, CLASSES, SHAPE))
        truth[rng.random(SHAPE) < 0.05] = IGNORE
        batches.append((torch.from_numpy(truth.astype(np.uint8)), torch.from_numpy(predicted.astype(np.uint8))))
    return batches


def theirs(module: str) -> Any:
    """A module that only that environment has."""
    return importlib.import_module(module)


# Each of these gives its counts and its mIoU.


def ours(batches: Batches) -> tuple[np.ndarray, float]:
    confusion = np.zeros((CLASSES, CLASSES), np.int64)
    for truth, predicted in batches:
        confusion += confusion_matrix(truth.numpy(), predicted.numpy(), CLASSES)
    overlap.per_class(confusion)
    return class_counts(confusion)[:2], overlap.overall(confusion)["miou"]


def of_torchmetrics(batches: Batches) -> tuple[np.ndarray, float]:
    metric = theirs("torchmetrics.classification").MulticlassJaccardIndex(
        CLASSES, ignore_index=IGNORE, validate_args=False
    )
    for truth, predicted in batches:
        metric.update(predicted, truth)
    return class_counts(metric.confmat.numpy())[:2], float(metric.compute())


def of_smp(batches: Batches) -> tuple[np.ndarray, float]:
    from segmentation_models_pytorch import metrics

    stats = [
        metrics.get_stats(predicted, truth, "multiclass", num_classes=CLASSES, ignore_index=IGNORE)
        for truth, predicted in batches
    ]
    tp, fp, fn, tn = (torch.cat(parts).sum(0, keepdim=True) for parts in zip(*stats, strict=True))
    score = metrics.iou_score(tp, fp, fn, tn, reduction="macro", zero_division=1.0)
    return torch.stack([tp[0], tp[0] + fp[0] + fn[0]]).numpy(), float(score)


def of_mmseg(batches: Batches) -> tuple[np.ndarray, float]:
    metric = mmseg_metric()
    for truth, predicted in batches:
        metric.process(
            {},
            [{"pred_sem_seg": {"data": p}, "gt_sem_seg": {"data": t}} for t, p in zip(truth, predicted, strict=True)],
        )
    intersection, union, _, _ = (torch.stack(parts).sum(0) for parts in zip(*metric.results, strict=True))
    return torch.stack([intersection, union]).numpy(), metric.compute_metrics(metric.results)["mIoU"] / 100


def mmseg_metric() -> Any:
    logging.disable(logging.CRITICAL)
    metric = theirs("mmseg.evaluation.metrics").IoUMetric(ignore_index=IGNORE, iou_metrics=["mIoU"])
    metric.dataset_meta = {"classes": [str(i) for i in range(CLASSES)]}
    return metric


def without_compiled_mmcv() -> None:
    """mmseg 1.2 wants mmcv's compiled operators, which today's torch has no build of; its metric needs none of them."""

    class Operators(ModuleType):
        def __getattr__(self, name: str) -> Any:
            if name.startswith("__"):
                raise AttributeError(name)
            return type(name, (torch.nn.Module,), {})

    sys.modules["mmcv.ops"] = Operators("mmcv.ops")


LIBRARIES: dict[str, Callable[[Batches], tuple[np.ndarray, float]]] = {
    "segpipe": ours,
    "mmseg's IoUMetric": of_mmseg,
    "torchmetrics, validation off": of_torchmetrics,
    "smp's get_stats": of_smp,
}


# The conventions that need no timing


def conventions() -> dict[str, float]:
    """How far the parity table lies from what torchmetrics, smp and the official Cityscapes script return."""
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 17, (6, 64, 64)).astype(np.uint8)  # three classes are nowhere
    truth[0, truth[0] > 5] = 0
    predicted = np.where(rng.random(truth.shape) < 0.7, truth, rng.permutation(truth)).astype(np.uint8)
    confusions = [confusion_matrix(t, p, CLASSES) for t, p in zip(truth, predicted, strict=True)]
    counts = Counts(np.sum(confusions, axis=0), *np.stack([class_counts(each) for each in confusions], 1))
    names = [*[str(i) for i in range(CLASSES - 1)], "void"]
    found = {f"{row['library']}: {row['metric']}": row["value"] for row in parity(counts, "cityscapes_20", names)}
    others = {**_torchmetrics(truth, predicted), **_smp(truth, predicted), **_cityscapes(counts.confusion)}
    return {name: abs(found[name] - value) for name, value in others.items()}


def _torchmetrics(truth: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    jaccard = theirs("torchmetrics.classification").MulticlassJaccardIndex(CLASSES)
    mean_iou = theirs("torchmetrics.segmentation").MeanIoU(CLASSES, input_format="index")
    pair = torch.from_numpy(predicted).long(), torch.from_numpy(truth).long()
    return {
        "torchmetrics: MulticlassJaccardIndex(average='macro')": float(jaccard(*pair)),
        "torchmetrics: segmentation.MeanIoU": float(mean_iou(*pair)),
    }


def _smp(truth: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    from segmentation_models_pytorch import metrics

    pair = torch.from_numpy(predicted).long(), torch.from_numpy(truth).long()
    stats = metrics.get_stats(*pair, "multiclass", num_classes=CLASSES)
    found = {"macro": tuple(each.sum(0, keepdim=True) for each in stats)}
    found |= dict.fromkeys(("macro-imagewise", "micro-imagewise"), stats)
    return {
        f"smp: iou_score(reduction='{reduction}')": float(
            metrics.iou_score(*of, reduction=reduction, zero_division=1.0)
        )
        for reduction, of in found.items()
    }


def _cityscapes(confusion: np.ndarray) -> dict[str, float]:
    """The script's own functions, on a confusion by its label ids: ours are its 19 classes in order, then void."""
    official = theirs("cityscapesscripts.evaluation.evalPixelLevelSemanticLabeling")

    scored = sorted((label for label in official.labels if 0 <= label.trainId < 19), key=lambda label: label.trainId)
    ids = [*(label.id for label in scored), 0]
    by_id = np.zeros((34, 34), np.int64)
    by_id[np.ix_(ids, ids)] = confusion
    official.args.evalLabels = list(range(34))
    scores = {label.name: official.getIouScoreForLabel(label.id, by_id, official.args) for label in scored}
    mean = official.getScoreAverage(scores, official.args)
    return {"cityscapesscripts: evalPixelLevelSemanticLabeling, classes": float(mean)}


def main() -> None:
    without_compiled_mmcv()
    batches = split()
    found = {name: count(batches) for name, count in LIBRARIES.items()}
    counts, miou = found["segpipe"]
    differing = {name: int((other[0] != counts).sum()) for name, other in found.items()}
    apart = {name: abs(float(other[1]) - miou) for name, other in found.items()}
    rounds = []
    for _ in range(ROUNDS):
        seconds = {}
        for name, count in LIBRARIES.items():
            began = time.perf_counter()
            count(batches)
            seconds[name] = time.perf_counter() - began
        rounds.append(seconds)
    print(json.dumps({"rounds": rounds, "differing": differing, "apart": apart, "conventions": conventions()}))


if __name__ == "__main__":
    main()
