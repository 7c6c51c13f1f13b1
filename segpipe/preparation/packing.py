"""Packs the audited pairs: decoded once, resized, remapped to class ids, and laid into shards for training to map."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from segpipe import artifacts
from segpipe.labels import LabelTable
from segpipe.parallel import in_processes
from segpipe.params import ResolvedPrepared
from segpipe.preparation.manifest import Shard, places, shards, write_manifest
from segpipe.preparation.reading import read_image, read_raw_mask
from segpipe.preparation.resizing import resized_image, resized_mask
from segpipe.preparation.splits import SPLITS
from segpipe.preparation.statistics import write_class_pixels, write_statistics
from segpipe.terminal import progress

COLUMNS = ("split", "index", "name", "group", "height", "width")


@dataclass(frozen=True)
class Task:
    """One pair, and the row of the shard that it belongs in."""

    pair: dict[str, str]
    raw: Path
    folder: Path
    shard: Shard
    row: int
    settings: ResolvedPrepared


def pack(name: str, settings: ResolvedPrepared) -> None:
    """data/prepared/<name>, from the pairs that the audit of its dataset has proven."""
    raw = artifacts.raw(settings.dataset)
    audited = artifacts.read_rows(artifacts.audit(settings.dataset) / "pairs.csv")
    by_split = {
        split: [pair for pair in audited if (pair["view"], pair["split"]) == (settings.view, split)] for split in SPLITS
    }
    with artifacts.replacing_folder(artifacts.prepared(name)) as partial:
        files = [shard for split in SPLITS for shard in shards(split, len(by_split[split]), settings.size)]
        for shard in files:
            shard.create(partial, settings.size)
        pairs = [pair for split in SPLITS for pair in by_split[split]]
        tasks = (
            Task(pair, raw, partial, shard, row, settings)
            for pair, (shard, row) in zip(pairs, places(files), strict=True)
        )
        counted = list(progress(in_processes(_pack_one, tasks), f"preprocess {name}", len(pairs)))
        _write_samples(partial / "samples.csv", by_split)
        _write_statistics(partial, counted, pairs, LabelTable.from_dict(settings.labels).class_names)
        facts = {
            "name": name,
            "dataset": settings.dataset,
            "view": settings.view,
            "fabricated": artifacts.read_json(raw / "source.json")["fabricated"],
            "size": list(settings.size),
            "labels": settings.labels,
        }
        write_manifest(partial, facts, files)


def _pack_one(task: Task) -> np.ndarray:
    """Puts the pair where it belongs, and counts the pixels of each class: [C] int64."""
    image = read_image(task.raw / task.pair["image"])
    labels = LabelTable.from_dict(task.settings.labels)
    raw_mask = read_raw_mask(task.raw / task.pair["mask"], labels.encoding)
    mask, counted = _remapped(resized_mask(raw_mask, task.settings.size), labels, task.pair["mask"])
    _write_row(task, task.shard.images, resized_image(image, task.settings.size, task.settings.interpolation))
    _write_row(task, task.shard.masks, mask)
    return counted


def _remapped(raw_mask: np.ndarray, labels: LabelTable, source: str) -> tuple[np.ndarray, np.ndarray]:
    """Class ids, and how many pixels each class has [C]: by the few raw ids of the mask, not pixel by pixel."""
    import cv2

    pixels = np.array(Image.fromarray(raw_mask).histogram())
    raw_ids = np.flatnonzero(pixels).astype(np.uint8)
    class_ids = labels.remap(raw_ids, source)
    counted = np.bincount(class_ids, pixels[raw_ids], len(labels.classes))[: len(labels.classes)]
    return cv2.LUT(raw_mask, labels.lookup()), counted.astype(np.int64)


def _write_row(task: Task, file: str, pixels: np.ndarray) -> None:
    """Written, not mapped: the pages of a mapped file cost several times as much to fill."""
    with (task.folder / file).open("r+b") as shard:
        shard.seek((task.row - task.shard.count) * pixels.nbytes, os.SEEK_END)
        shard.write(np.ascontiguousarray(pixels).data)


def _write_samples(path: Path, by_split: dict[str, list[dict[str, str]]]) -> None:
    rows = (
        {"split": split, "index": index} | {column: pair[column] for column in COLUMNS[2:]}
        for split, pairs in by_split.items()
        for index, pair in enumerate(pairs)
    )
    artifacts.write_rows(path, rows, COLUMNS)


def _write_statistics(
    folder: Path, counted: list[np.ndarray], pairs: list[dict[str, str]], class_names: list[str]
) -> None:
    """Of every sample for the sampler, of the training images for weights and people."""
    table = write_class_pixels(folder, counted, len(class_names))
    write_statistics(folder, class_names, table[[pair["split"] == "train" for pair in pairs]])
