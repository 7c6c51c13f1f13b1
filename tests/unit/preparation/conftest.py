"""A small dataset of its own shape, into which a test plants what the audit must find."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from segpipe.datasets import Pair
from segpipe.labels import Label, LabelTable
from segpipe.preparation.audit import audit

OFFICIAL = SimpleNamespace(kind="official")
LABELS = (Label("field", (90, 160, 70), (1, 2)), Label("house", (200, 70, 60), (7,)))


class Ledger:
    """images/<split>_<group>_<name>.* beside masks/ of equal stems: split and group are read from the name."""

    def __init__(self, folder: Path) -> None:
        self.raw, self.destination = folder / "raw", folder / "audits" / "ledger"
        for name in ("images", "masks"):
            (self.raw / "files" / name).mkdir(parents=True)
        (self.raw / "source.json").write_text(json.dumps({"dataset": "ledger", "kind": "folder"}))
        self.module = ModuleType("segpipe.datasets.ledger")
        self.module.__dict__.update(find_root=lambda folder: folder, pairs=_pairs, unpaired=_unpaired)
        self.module.__dict__["VIEWS"] = {
            "all": LabelTable("all", (*LABELS, Label("void", (0, 0, 0), (9,)))),
            "named": LabelTable("named", LABELS, ignored=(9,)),
        }

    @staticmethod
    def picture(seed: int, size: tuple[int, int] = (60, 80)) -> np.ndarray:
        """A scene of its own: smooth random colours with a little grain."""
        random = np.random.default_rng(seed)
        coarse = random.integers(0, 240, (5, 6, 3), np.uint8)
        picture: np.ndarray = cv2.resize(coarse, size[::-1]) + random.integers(0, 12, (*size, 3), np.uint8)
        return picture

    @staticmethod
    def raw_mask(seed: int, size: tuple[int, int] = (60, 80)) -> np.ndarray:
        """Every known raw id of the table: 1, 2, 7 and the ignored 9."""
        return np.random.default_rng(seed).choice(np.array([1, 2, 7, 9], np.uint8), size)

    def image(self, name: str) -> Path:
        return self.raw / "files" / "images" / f"{name}.png"

    def mask(self, name: str) -> Path:
        return self.raw / "files" / "masks" / f"{name}.png"

    def plant(self, name: str, image: Any, mask: Any) -> None:
        """Write a pair; each of the two an array, or a picture of any mode."""
        for path, content in ((self.image(name), image), (self.mask(name), mask)):
            (content if isinstance(content, Image.Image) else Image.fromarray(content)).save(path)

    def fill(self, *names: str) -> None:
        for name in names:
            seed = sum(name.encode())
            self.plant(name, self.picture(seed), self.raw_mask(seed))

    def audit(self, split: Any = OFFICIAL, views: tuple[str, ...] = ("named",)) -> dict[str, Any]:
        audit("ledger", self.module, views, split, 0, self.raw, self.destination)
        return self.report()

    def report(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads((self.destination / "audit.json").read_text("utf-8"))
        return content

    def faults(self, split: Any = OFFICIAL, views: tuple[str, ...] = ("named",)) -> list[dict[str, Any]]:
        """What a failing audit wrote before it failed."""
        with pytest.raises(ValueError):
            self.audit(split, views)
        found: list[dict[str, Any]] = self.report()["faults"]
        return found


def _files(root: Path, folder: str) -> dict[str, Path]:
    return {path.stem: path for path in sorted((root / folder).iterdir())}


def _pairs(root: Path, view: str) -> list[Pair]:
    images, masks = _files(root, "images"), _files(root, "masks")
    return [
        Pair(name, name.split("_")[1], images[name], masks[name], name.split("_")[0])
        for name in sorted(images.keys() & masks.keys())
    ]


def _unpaired(root: Path, view: str) -> list[Path]:
    images, masks = _files(root, "images"), _files(root, "masks")
    return [(images | masks)[name] for name in sorted(images.keys() ^ masks.keys())]


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ledger:
    """Sound as it stands: two pairs to train on, one to validate, one to test."""
    monkeypatch.setenv("SEGPIPE_WORKERS", "1")
    dataset = Ledger(tmp_path)
    dataset.fill("train_a_1", "train_b_1", "val_c_1", "test_d_1")
    return dataset
