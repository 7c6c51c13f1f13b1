"""Class statistics by hand: weights by each rule, how often an image comes, and whose pixels count."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from segpipe.labels import IGNORE
from segpipe.losses import built
from segpipe.params.schema import Component
from segpipe.preparation import statistics
from segpipe.preparation.statistics import class_pixels, class_weights, repeat_factors

NAMES = ["road", "car", "sky", "boat"]

COUNTED = np.array([[60, 20, 20, 0], [80, 0, 20, 0], [90, 10, 0, 0], [70, 0, 0, 0]])
"""Four training images of 100 pixels, the last with 30 ignored; road 300, car 30, sky 40, and no boat: 370 in all."""


def prepared(folder: Path, counted: np.ndarray = COUNTED) -> Path:
    """What class_weights reads of a prepared set."""
    folder.mkdir(parents=True, exist_ok=True)
    labels = {"classes": [{"name": name} for name in NAMES]}
    (folder / "manifest.json").write_text(json.dumps({"labels": labels}))
    statistics.write_statistics(folder, NAMES, counted)
    return folder


def written(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "statistics.json").read_text())
    return content


def test_the_pixels_of_a_mask_are_counted_by_class_and_ignored_ones_not_at_all() -> None:
    mask = np.array([[0, 2, 2, IGNORE], [2, IGNORE, IGNORE, 0]], np.uint8)
    counted = class_pixels(mask, 4)
    assert counted.tolist() == [2, 0, 3, 0]
    assert counted.dtype == np.int64


def test_the_statistics_are_those_of_the_training_images(tmp_path: Path) -> None:
    content = written(prepared(tmp_path))
    assert (content["split"], content["images"], content["pixels"]) == ("train", 4, 370)
    assert content["classes"] == {
        "road": {"pixels": 300, "images": 4, "pixel_frequency": 300 / 370, "image_frequency": 1.0},
        "car": {"pixels": 30, "images": 2, "pixel_frequency": 30 / 370, "image_frequency": 0.5},
        "sky": {"pixels": 40, "images": 2, "pixel_frequency": 40 / 370, "image_frequency": 0.5},
        "boat": {"pixels": 0, "images": 0, "pixel_frequency": 0.0, "image_frequency": 0.0},
    }


def test_inverse_weights_go_by_pixels_and_have_the_mean_one(tmp_path: Path) -> None:
    """370/300, 370/30 and 370/40 are 1.2333, 12.3333 and 9.25, whose mean is 7.6056."""
    weights = class_weights("inverse", prepared(tmp_path))
    assert weights == pytest.approx([0.162162, 1.621622, 1.216216, 1.0], abs=1e-6)


def test_median_frequency_weights_look_only_at_images_that_hold_the_class(tmp_path: Path) -> None:
    """road 300 of 370, car 30 of 200, sky 40 of 200: 0.8108, 0.15 and 0.2, and 0.2 is the median."""
    weights = class_weights("median_frequency", prepared(tmp_path))
    assert weights == pytest.approx([0.2 * 370 / 300, 0.2 / 0.15, 1.0, 1.0])


def test_effective_number_weights_count_images(tmp_path: Path) -> None:
    """β = 3/4: road in 4 images (1 − β⁴ = 175/256), car and sky in 2 (1 − β² = 7/16); weights 0.25 / those, mean 1."""
    raw = [0.25 * 256 / 175, 0.25 * 16 / 7, 0.25 * 16 / 7]
    mean = sum(raw) / 3
    weights = class_weights("effective_number", prepared(tmp_path))
    assert weights == pytest.approx([raw[0] / mean, raw[1] / mean, raw[2] / mean, 1.0])


@pytest.mark.parametrize("rule", ["inverse", "median_frequency", "effective_number"])
def test_classes_that_occur_alike_weigh_alike(tmp_path: Path, rule: str) -> None:
    even = prepared(tmp_path, np.array([[10, 10, 10, 10], [10, 10, 10, 10], [10, 10, 10, 10]]))
    assert class_weights(rule, even) == pytest.approx([1.0] * 4)


@pytest.mark.parametrize("rule", ["inverse", "median_frequency", "effective_number"])
def test_one_image_is_enough_for_weights(tmp_path: Path, rule: str) -> None:
    weights = class_weights(rule, prepared(tmp_path, np.array([[30, 10, 0, 0]])))
    assert all(math.isfinite(weight) and weight > 0 for weight in weights)
    assert weights[2:] == [1.0, 1.0]
    assert (weights[1] > weights[0]) == (rule != "effective_number")


@pytest.mark.parametrize("rule", ["inverse", "median_frequency", "effective_number"])
def test_a_class_without_pixels_weighs_one_and_is_named(
    tmp_path: Path, rule: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert class_weights(rule, prepared(tmp_path))[3] == 1.0
    warning = capsys.readouterr().err
    assert "no training pixel is of class boat" in warning
    assert f"class_weights: {rule}" in warning
    assert "by name" in warning


def test_where_every_class_occurs_nothing_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    class_weights("inverse", prepared(tmp_path, COUNTED + 1))
    class_weights("none", prepared(tmp_path))
    assert capsys.readouterr().err == ""


def test_a_set_of_ignored_pixels_alone_has_weights_of_one(tmp_path: Path) -> None:
    for counted in (np.zeros((3, 4), np.int64), np.zeros((0, 4), np.int64)):
        folder = prepared(tmp_path, counted)
        assert [class_weights(rule, folder) for rule in statistics.RULES] == [[1.0] * 4] * 3
        assert written(folder)["classes"]["road"]["pixel_frequency"] == 0.0


def test_weights_may_be_given_by_name_or_not_at_all(tmp_path: Path) -> None:
    folder = prepared(tmp_path)
    assert class_weights({"sky": 2.5, "road": 0.5}, folder) == [0.5, 1.0, 2.5, 1.0]
    assert class_weights("none", folder) == [1.0] * 4


def test_weights_are_what_a_loss_takes(tmp_path: Path) -> None:
    import torch

    loss = built(Component(name="cross_entropy"), class_weights("inverse", prepared(tmp_path)))
    terms = loss(torch.zeros(1, 4, 2, 2), torch.tensor([[[0, 1], [2, 255]]]))
    assert sum(terms.values()).item() == pytest.approx(math.log(4))


def test_the_table_of_class_pixels_has_a_row_a_sample(tmp_path: Path) -> None:
    table = statistics.write_class_pixels(tmp_path, list(COUNTED), 4)
    assert np.array_equal(table, COUNTED)
    kept = np.load(tmp_path / "class_pixels.npy")
    assert np.array_equal(kept, COUNTED)
    assert kept.dtype == np.int64
    assert statistics.write_class_pixels(tmp_path, [], 4).shape == (0, 4)


def test_an_images_factor_is_that_of_its_rarest_class() -> None:
    """Shares of 40 images: road 1, car 4/40 = 0.1, sky 1/40 (sqrt 4 = 2), boat 2/40 (sqrt 2)."""
    counted = np.zeros((41, 4), np.int64)[:40]
    counted[:, 0] = 100
    counted[:4, 1], counted[3, 2], counted[3:5, 3] = 1, 7, 9
    expected = np.ones(40)
    expected[3], expected[4] = 2.0, math.sqrt(2)
    assert repeat_factors(counted) == pytest.approx(expected)


def test_an_image_of_ignored_pixels_alone_comes_like_any_other() -> None:
    counted = np.array([[9, 0, 0]] * 19 + [[0, 0, 0]])
    assert repeat_factors(counted).tolist() == [1.0] * 20
