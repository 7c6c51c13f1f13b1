"""Pairs for bench/preparation.py: fabricated scenes with noise of their own, as large in files as the real ones."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from segpipe import artifacts
from segpipe.acquisition.scenery import aerial
from segpipe.datasets import Pair, Scene
from segpipe.datasets.drone import GROUPS_5, VIEWS
from segpipe.labels import Label, LabelTable

TABLE = LabelTable(
    "drone_5",
    tuple(Label(label.name, label.color, ids) for label, ids in zip(VIEWS["drone_5"].classes, GROUPS_5, strict=True)),
)
"""Masks hold the 24 things of the aerial scenery."""

COPIES = 16
"""Of each scene: moved aside, mirrored in three ways or not, and with noise of its own."""


@dataclass(frozen=True)
class Format:
    """The files of a dataset. `blur` (in pixels, odd) brings fabricated PNG files to the size of photographs."""

    name: str
    size: tuple[int, int]
    ending: str
    blur: int = 0


CITYSCAPES = Format("cityscapes", (1024, 2048), "png", blur=9)  # the real ones: 11 GB for 5,000 images
AEROSCAPES = Format("aeroscapes", (720, 1280), "jpg")
SMALL = Format("small", (96, 128), "jpg")


class Bench:
    """These pairs as a dataset: images/<scene>_<copy>.* beside masks/ of equal stems."""

    __name__ = "bench.fabricated_pairs"
    LICENCE = "fabricated by segpipe: no terms"
    SCENERY = "aerial"
    VIEWS: Mapping[str, LabelTable] = MappingProxyType({TABLE.name: TABLE})

    def find_root(self, folder: Path) -> Path:
        return folder

    def pairs(self, root: Path, _view: str) -> list[Pair]:
        images = sorted((root / "images").iterdir())
        return [Pair(i.stem, i.stem.split("_")[0], i, root / "masks" / f"{i.stem}.png") for i in images]

    def unpaired(self, _root: Path, _view: str) -> list[Path]:
        return []

    def fabricate(self, root: Path, scenes: Iterable[Scene]) -> None:
        raise NotImplementedError


def fabricate(name: str, files: Format, count: int) -> None:
    """data/raw/<name>, as `download` leaves it."""
    raw = artifacts.raw(name)
    for folder in ("images", "masks"):
        (raw / "files" / folder).mkdir(parents=True)
    artifacts.write_json(raw / "source.json", {"dataset": name, "kind": "fabricated", "fabricated": True})
    jobs = [(raw / "files", files, index, min(COPIES, count - COPIES * index)) for index in range(-(-count // COPIES))]
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        list(pool.map(_write_copies, jobs))


def list_pairs(name: str, turns: int) -> None:
    """data/audits/<name>/pairs.csv, without an audit: all there is, so many times over, to train on."""
    raw = artifacts.raw(name)
    rows: list[dict[str, Any]] = [
        {"view": TABLE.name, "split": "train", "group": pair.group, "name": pair.name, "height": 0, "width": 0}
        | {"image": pair.image.relative_to(raw), "mask": pair.mask.relative_to(raw)}
        for pair in Bench().pairs(raw / "files", TABLE.name) * turns
    ]
    artifacts.write_rows(artifacts.audit(name) / "pairs.csv", rows, list(rows[0]))


def megabytes(name: str, folder: str) -> float:
    """The mean size of a file."""
    files = list((artifacts.raw(name) / "files" / folder).iterdir())
    return statistics.mean(file.stat().st_size for file in files) / 1e6


def _write_copies(job: tuple[Path, Format, int, int]) -> None:
    import cv2

    cv2.setNumThreads(1)
    folder, files, index, copies = job
    scene = next(iter(aerial.scenes(1_000 + index, 1, files.size)))
    rng = np.random.default_rng(index)
    for copy in range(copies):
        aside = int(rng.integers(files.size[1]))
        image, things = (_seen_otherwise(pixels, copy, aside) for pixels in (scene.image, scene.things))
        image = np.clip(image + rng.integers(-6, 7, image.shape, np.int16), 0, 255).astype(np.uint8)
        if files.blur:
            image = cv2.GaussianBlur(image, (files.blur, files.blur), 0)
        stem, settings = f"{index:04d}_{copy}", [cv2.IMWRITE_JPEG_QUALITY, 90] if files.ending == "jpg" else []
        cv2.imwrite(str(folder / "images" / f"{stem}.{files.ending}"), image[:, :, ::-1], settings)
        cv2.imwrite(str(folder / "masks" / f"{stem}.png"), things)


def _seen_otherwise(pixels: np.ndarray, copy: int, aside: int) -> np.ndarray:
    """Moved aside, round the edge, and mirrored as the lowest bits of the copy's number say."""
    mirrored = pixels[:: -1 if copy & 1 else 1, :: -1 if copy & 2 else 1]
    return np.roll(mirrored, aside, axis=1)
