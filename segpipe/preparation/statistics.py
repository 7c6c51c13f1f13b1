"""How often each class occurs in a packed set, and what follows: class weights, and how often to show an image."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from segpipe import artifacts
from segpipe.terminal import say

CLASS_PIXELS, STATISTICS = "class_pixels.npy", "statistics.json"

RARE = 0.1
"""Classes in fewer than this share of the images are shown more often. A class in a tenth of the images is in most
batches of 8 (1 − 0.9⁸ = 0.57) and needs no help; LVIS, with 1,200 classes in 100,000 images, takes 0.001."""


def class_pixels(mask: np.ndarray, num_classes: int) -> np.ndarray:
    """How many pixels of the mask have each class id: [C] int64."""
    return np.bincount(mask.ravel(), minlength=num_classes)[:num_classes].astype(np.int64)


def write_class_pixels(folder: Path, counted: Sequence[np.ndarray], num_classes: int) -> np.ndarray:
    """class_pixels.npy, [N, C] int64: a row a sample, in the order of samples.csv."""
    table = np.array(counted, np.int64).reshape(len(counted), num_classes)
    np.save(folder / CLASS_PIXELS, table)
    return table


def write_statistics(folder: Path, names: Sequence[str], counted: np.ndarray) -> None:
    """statistics.json, from the class pixels [N, C] of the training images alone."""
    pixels, images = counted.sum(0), (counted > 0).sum(0)
    frequencies = pixels / max(1, pixels.sum()), images / max(1, len(counted))
    keys = ("pixels", "images", "pixel_frequency", "image_frequency")
    values = zip(pixels.tolist(), images.tolist(), *(each.tolist() for each in frequencies), strict=True)
    classes = {name: dict(zip(keys, row, strict=True)) for name, row in zip(names, values, strict=True)}
    weights = {rule: dict(zip(names, _weights(rule, counted), strict=True)) for rule in RULES}
    content: dict[str, Any] = {"split": "train", "images": len(counted), "pixels": int(pixels.sum())}
    artifacts.write_json(folder / STATISTICS, {**content, "classes": classes, "class_weights": weights})


def class_weights(setting: str | dict[str, float], prepared: Path) -> list[float]:
    """The weight of each class, in the order of class ids: by a rule, or by name."""
    names = [label["name"] for label in artifacts.read_json(prepared / "manifest.json")["labels"]["classes"]]
    if isinstance(setting, dict):
        return [setting.get(name, 1.0) for name in names]
    if setting == "none":
        return [1.0] * len(names)
    statistics = artifacts.read_json(prepared / STATISTICS)
    if absent := [name for name in names if not statistics["classes"][name]["pixels"]]:
        say(
            f"{prepared}: no training pixel is of class {', '.join(absent)}, so that class_weights: {setting} "
            "has nothing to go by; the weight is 1. Split the dataset otherwise, or give the weights by name"
        )
    return [statistics["class_weights"][setting][name] for name in names]


def repeat_factors(counted: np.ndarray) -> np.ndarray:
    """How often each image should come, for once of an image without rare classes: [N, C] class pixels -> [N].

    LVIS's: for an image the largest, over its classes, of max(1, sqrt(RARE / share of the images that hold the class)).
    """
    held = counted > 0
    share = held.mean(0)
    of_class = np.sqrt(np.maximum(1.0, RARE / np.where(share, share, 1.0)))
    factors: np.ndarray = np.where(held, of_class, 1.0).max(1)
    return factors


def _weights(rule: str, counted: np.ndarray) -> list[float]:
    """[N, C] class pixels -> a weight for each class; 1 for one that is absent."""
    present = counted.sum(0) > 0
    weights = np.ones(counted.shape[1])
    if present.any():
        weights[present] = RULES[rule](counted[:, present])
    rounded: list[float] = weights.tolist()
    return rounded


def _inverse(counted: np.ndarray) -> np.ndarray:
    """1 / pixel frequency, the mean brought to 1."""
    weights = 1 / counted.sum(0)
    scaled: np.ndarray = weights / weights.mean()
    return scaled


def _median_frequency(counted: np.ndarray) -> np.ndarray:
    """Eigen & Fergus: a class's frequency is its share of the pixels of those images that hold it."""
    around = ((counted > 0) * counted.sum(1, keepdims=True)).sum(0)
    frequency = counted.sum(0) / around
    weights: np.ndarray = np.median(frequency) / frequency
    return weights


def _effective_number(counted: np.ndarray) -> np.ndarray:
    """Cui et al.: (1 − β) / (1 − βⁿ) with β = (N − 1)/N, the mean brought to 1.

    n and N count images: the pixels of one object are near copies of each other, which is what the rule is about; and
    with pixels βⁿ is exp(−frequency), so that the rule would be `inverse` again.
    """
    beta = (len(counted) - 1) / len(counted)
    weights = (1 - beta) / (1 - beta ** (counted > 0).sum(0))
    scaled: np.ndarray = weights / weights.mean()
    return scaled


RULES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "inverse": _inverse,
    "median_frequency": _median_frequency,
    "effective_number": _effective_number,
}
