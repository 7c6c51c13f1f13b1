"""A table of colours solves what colour tells, and nothing else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from segpipe import artifacts
from segpipe.evaluation.colour import colour_alone
from segpipe.loading import Samples
from segpipe.preparation import manifest
from segpipe.preparation.statistics import class_pixels, write_class_pixels

RED, GREEN = (200, 10, 10), (10, 200, 10)


def packed(
    folder: Path, images: list[np.ndarray], masks: list[np.ndarray], num_classes: int
) -> tuple[Samples, Samples]:
    """The same pictures to learn from and to be scored on."""
    folder.mkdir()
    size = (images[0].shape[0], images[0].shape[1])
    rows, files = [], []
    for split in ("train", "test"):
        (shard,) = manifest.shards(split, len(images), size)
        for into, pixels in zip(shard.create(folder, size), (images, masks), strict=True):
            into[:] = np.stack(pixels)
        rows += [{"split": split, "index": i, "name": f"{split}{i}", "group": i} for i in range(len(images))]
        files.append(shard)
    artifacts.write_rows(folder / "samples.csv", rows, ["split", "index", "name", "group"])
    write_class_pixels(folder, [class_pixels(mask, num_classes) for mask in masks * 2], num_classes)
    manifest.write_manifest(folder, {"size": list(size)}, files)
    return Samples([folder], "train"), Samples([folder], "test")


def painted(mask: np.ndarray, colors: list[tuple[int, int, int]]) -> np.ndarray:
    image: np.ndarray = np.array(colors, np.uint8)[mask]
    return image


def test_classes_of_different_colours_are_told_apart(tmp_path: Path) -> None:
    mask = np.array([[0, 0, 1], [1, 0, 1]], np.uint8)
    assert colour_alone(*packed(tmp_path / "set", [painted(mask, [RED, GREEN])], [mask], 2), num_classes=2) == 1.0


def test_classes_of_one_colour_are_not(tmp_path: Path) -> None:
    # All pixels are of one colour: the likelier class 0 takes all six, 4 of them rightly: IoU 4/6 and 0, mean 1/3.
    mask = np.array([[0, 0, 1], [1, 0, 0]], np.uint8)
    found = colour_alone(*packed(tmp_path / "set", [painted(mask, [RED, RED])], [mask], 2), num_classes=2)
    assert found == pytest.approx(1 / 3)


def test_the_table_that_is_kinder_to_rare_classes_counts_where_it_is_better(tmp_path: Path) -> None:
    # Nine pixels of class 0, one red and eight green; one of class 1, red. Red is as likely 0 as 1, so that the first
    # table says 0 (IoU 9/10 and 0); but all of class 1 is red, and so the second says 1: IoU 8/9 and 1/2.
    mask = np.array([[0] * 9 + [1]], np.uint8)
    image = np.array([[RED] + [GREEN] * 8 + [RED]], np.uint8)
    found = colour_alone(*packed(tmp_path / "set", [image], [mask], 2), num_classes=2)
    assert found == pytest.approx((8 / 9 + 1 / 2) / 2)


def test_ignored_pixels_neither_teach_nor_count(tmp_path: Path) -> None:
    mask = np.array([[0, 1, 255, 255, 255]], np.uint8)
    image = np.array([[RED, GREEN, GREEN, RED, RED]], np.uint8)
    assert colour_alone(*packed(tmp_path / "set", [image], [mask], 2), num_classes=2) == 1.0
