"""Packs the audited pairs: decoded once, resized, remapped to class ids, and laid into shards for training to map."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from segpipe import artifacts
from segpipe.labels import LabelTable
from segpipe.parallel import in_processes
from segpipe.params import ResolvedPrepared
from segpipe.preparation.manifest import Shard, places, shards, write_manifest
from segpipe.preparation.reading import read_image, read_raw_mask
from segpipe.preparation.resizing import resized_image, resized_mask
from segpipe.preparation.splits import SPLITS
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
        tasks = [
            Task(pair, raw, partial, shard, row, settings)
            for pair, (shard, row) in zip(pairs, places(files), strict=True)
        ]
        for _ in progress(in_processes(_pack_one, tasks), f"preprocess {name}", len(tasks)):
            pass
        _write_samples(partial / "samples.csv", by_split)
        facts = {
            "name": name,
            "dataset": settings.dataset,
            "view": settings.view,
            "fabricated": artifacts.read_json(raw / "source.json")["fabricated"],
            "size": list(settings.size),
            "labels": settings.labels,
        }
        write_manifest(partial, facts, files)


def _pack_one(task: Task) -> None:
    images, masks = task.shard.open(task.folder, "r+")
    image = read_image(task.raw / task.pair["image"])
    raw_mask = read_raw_mask(task.raw / task.pair["mask"])
    labels = LabelTable.from_dict(task.settings.labels)
    images[task.row] = resized_image(image, task.settings.size, task.settings.interpolation)
    masks[task.row] = labels.remap(resized_mask(raw_mask, task.settings.size), task.pair["mask"])


def _write_samples(path: Path, by_split: dict[str, list[dict[str, str]]]) -> None:
    rows = (
        {"split": split, "index": index} | {column: pair[column] for column in COLUMNS[2:]}
        for split, pairs in by_split.items()
        for index, pair in enumerate(pairs)
    )
    artifacts.write_rows(path, rows, COLUMNS)
