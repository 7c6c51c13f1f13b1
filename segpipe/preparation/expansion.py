"""Offline augmentation: extra training images made from training images, each with its parent (S3)."""

from __future__ import annotations

from typing import Any

import numpy as np

from segpipe import artifacts
from segpipe.augmentations import OFFLINE_STEPS, offline_step
from segpipe.params import Augmented
from segpipe.preparation.manifest import PackedSplit, places, shards, write_manifest
from segpipe.preparation.statistics import class_pixels, write_class_pixels
from segpipe.terminal import progress

COLUMNS = ("split", "index", "name", "group", "parent", "step")


def expand(name: str, settings: Augmented) -> None:
    """data/augmented/<name>: copies of the parent set's training images, and of no others."""
    parents = PackedSplit(artifacts.prepared(settings.prepared), "train")
    size = (parents.manifest["size"][0], parents.manifest["size"][1])
    if not len(parents):
        raise ValueError(
            f"prepared set '{settings.prepared}' has no training images, and copies are made of them. "
            "Change its dataset's `split:`"
        )
    children = _plan(settings, parents.samples)
    with artifacts.replacing_folder(artifacts.augmented(name)) as partial:
        files = shards("train", settings.copies, size)
        opened = {shard: shard.create(partial, size) for shard in files}
        numbers = {parent: number for number, parent in enumerate(parents.names)}
        num_classes, counted = len(parents.manifest["labels"]["classes"]), []
        for child, (shard, row) in zip(progress(children, f"augment {name}"), places(files), strict=True):
            images, masks = opened[shard]
            rng = np.random.default_rng([settings.seed, child["index"]])
            images[row], masks[row] = offline_step(child["step"], *parents[numbers[child["parent"]]], rng)
            counted.append(class_pixels(masks[row], num_classes))
        write_class_pixels(partial, counted, num_classes)
        artifacts.write_rows(partial / "samples.csv", children, COLUMNS)
        facts = {key: parents.manifest[key] for key in ("dataset", "view", "fabricated", "size", "labels")}
        origin = {"name": settings.prepared, "content": parents.manifest["content"]}
        write_manifest(partial, {"name": name, **facts, "parent": origin}, files)


def _plan(settings: Augmented, parents: list[dict[str, str]]) -> list[dict[str, Any]]:
    """Who comes from whom: every parent once before any twice, and by another step each time."""
    order = np.random.default_rng([settings.seed]).permutation(len(parents))
    children = []
    for index in range(settings.copies):
        turn, place = divmod(index, len(parents))
        parent = parents[order[place]]
        children.append(
            {
                "split": "train",
                "index": index,
                "name": f"{parent['name']}~{turn}",
                "group": parent["group"],
                "parent": parent["name"],
                "step": OFFLINE_STEPS[(place + turn) % len(OFFLINE_STEPS)],
            }
        )
    return children
