"""What stays of a file, and which pictures are decoded a second time."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from segpipe.datasets import Pair
from segpipe.labels import PLAIN
from segpipe.preparation import twins
from segpipe.preparation.evidence import Evidence, ImageEvidence, compare, examine_image, examine_mask, look_closely

LARGE = (768, 1000)
"""Averaged six by six before anything is made of it: 768 // (4 · 32) = 6."""


@pytest.fixture(autouse=True)
def _one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEGPIPE_WORKERS", "1")


def _scene(seed: int, size: tuple[int, int] = LARGE) -> np.ndarray:
    random = np.random.default_rng(seed)
    scene: np.ndarray = cv2.resize(random.integers(0, 240, (5, 6, 3), np.uint8), size[::-1])
    pixels: np.ndarray = scene + random.integers(0, 12, (*size, 3), np.uint8)
    return pixels


def _saved(path: Path, pixels: np.ndarray) -> Path:
    Image.fromarray(pixels).save(path)
    return path


def _glances(paths: list[Path]) -> dict[Path, Evidence]:
    return {path: examine_image(path) for path in paths}


def _compared(paths: list[Path], splits: list[str]) -> dict[Path, Evidence]:
    """As the audit does, for pictures whose masks do not matter here."""
    pairs = [Pair(path.name, path.name, path, path) for path in paths]
    return compare(
        pairs, {pair.name: split for pair, split in zip(pairs, splits, strict=True)}, _glances(paths), "test"
    )


def test_the_few_raw_ids_of_a_mask_are_kept_with_their_pixels(tmp_path: Path) -> None:
    mask = np.zeros((4, 5), np.uint8)
    mask[1:3, 1:4] = 7
    mask[3, 4] = 255
    found = examine_mask(_saved(tmp_path / "mask.png", mask), PLAIN)
    assert (found.size, list(found.raw_ids), found.pixels.tolist()) == ((4, 5), [0, 7, 255], [13, 6, 1])


def test_copies_of_a_large_picture_stay_alike(tmp_path: Path) -> None:
    scene = _scene(0)
    paths = [_saved(tmp_path / "0.bmp", scene), tmp_path / "1.jpg", tmp_path / "2.bmp"]
    Image.fromarray(scene).save(paths[1], quality=40)
    _saved(paths[2], cv2.resize(scene, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA))
    first, *copies = (look_closely(path) for path in paths)
    for copy in copies:
        assert (first.difference_hash ^ copy.difference_hash).bit_count() <= twins.MAX_DISTANCE
        difference = first.thumbnail.astype(float) - copy.thumbnail
        assert np.abs(difference).mean() < 2


def test_the_thumbnail_of_a_large_picture_holds_the_means_of_its_cells(tmp_path: Path) -> None:
    cells = np.random.default_rng(0).integers(0, 256, (32, 32), np.uint8)
    large = np.kron(cells, np.ones((24, 30), np.uint8))  # 768 by 960: cells of 24 by 30, which six divides
    found = look_closely(_saved(tmp_path / "large.bmp", np.stack([large] * 3, 2)))
    assert found.thumbnail.tolist() == cells.ravel().tolist()


def test_pictures_unlike_all_others_are_not_decoded_again(tmp_path: Path) -> None:
    paths = [_saved(tmp_path / f"{seed}.bmp", _scene(seed)) for seed in range(6)]
    assert _compared(paths, ["train", "val"] * 3) == {}


def test_equal_pictures_are_decoded_again_on_whatever_side_and_share_their_digest(tmp_path: Path) -> None:
    paths = [_saved(tmp_path / name, _scene(0)) for name in ("0.png", "1.bmp")]
    paths += [_saved(tmp_path / "2.bmp", _scene(2))]
    found = _compared(paths, ["train"] * 3)
    assert list(found) == paths[:2]
    one, other = found.values()
    assert isinstance(one, ImageEvidence)
    assert isinstance(other, ImageEvidence)
    assert one.digest == other.digest


def test_a_picture_of_the_same_hash_and_other_pixels_has_another_digest(tmp_path: Path) -> None:
    scene = _scene(0)
    changed = scene.copy()
    changed[0, 0] ^= 1
    paths = [_saved(tmp_path / "0.bmp", scene), _saved(tmp_path / "1.bmp", changed)]
    one, other = _compared(paths, ["train", "train"]).values()
    assert isinstance(one, ImageEvidence)
    assert isinstance(other, ImageEvidence)
    assert one.difference_hash == other.difference_hash
    assert one.digest != other.digest


def test_nearly_the_same_hash_matters_only_across_sides(tmp_path: Path) -> None:
    scene = _scene(0)
    paths = [_saved(tmp_path / "0.bmp", scene), _saved(tmp_path / "1.bmp", np.roll(scene, 12, 1))]
    hashes = [found.difference_hash for found in (examine_image(path) for path in paths)]
    assert 0 < (hashes[0] ^ hashes[1]).bit_count() <= twins.MAX_DISTANCE
    assert _compared(paths, ["train", "train"]) == {}
    assert list(_compared(paths, ["train", "val"])) == paths


def test_pictures_that_are_not_compared_are_taken_for_different(tmp_path: Path) -> None:
    found = [examine_image(_saved(tmp_path / f"{seed}.bmp", _scene(seed))) for seed in range(2)]
    assert found[0].digest != found[1].digest
    assert found[0].thumbnail.shape == (1024,)
