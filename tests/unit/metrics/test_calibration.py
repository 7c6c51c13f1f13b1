"""Calibration against plain loops and scipy's optimiser, and against models whose temperature is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize_scalar  # type: ignore[import-untyped,unused-ignore] # scipy ships no types
from scipy.special import log_softmax  # type: ignore[import-untyped,unused-ignore]

from segpipe.metrics.calibration import BINS, UNIT, expected_calibration_error, reliability, rows, temperature


def said(pixels: int = 5000) -> tuple[np.ndarray, np.ndarray]:
    """Confidences, and whether what was said is right: less often than was claimed."""
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0.2, 1, pixels).astype(np.float32)
    return confidence, rng.random(pixels) < confidence**2


def test_the_bins_are_those_of_a_plain_loop() -> None:
    confidence, is_right = said()
    counts = reliability(confidence, is_right)
    for number in range(BINS):
        inside = [i for i, each in enumerate(confidence) if number / BINS <= each < (number + 1) / BINS]
        assert counts[0, number] == len(inside)
        assert counts[1, number] == sum(is_right[i] for i in inside)
        assert counts[2, number] / UNIT == pytest.approx(sum(map(float, confidence[inside])), abs=len(inside) / UNIT)


def test_the_error_is_that_of_a_plain_loop() -> None:
    confidence, is_right = said()
    error = 0.0
    for number in range(BINS):
        inside = (confidence >= number / BINS) & (confidence < (number + 1) / BINS)
        if inside.any():
            apart = abs(confidence[inside].astype(float).mean() - is_right[inside].mean())
            error += apart * inside.sum() / len(confidence)
    assert error > 0.1
    assert expected_calibration_error(reliability(confidence, is_right)) == pytest.approx(error, abs=1 / UNIT)


def test_the_error_by_hand() -> None:
    # Two pixels of 0.5, one right: nothing apart. Two of 1.0, both wrong: 1 apart. 0.5 on the whole.
    counts = reliability(np.array([0.5, 0.5, 1, 1], np.float32), np.array([True, False, False, False]))
    assert expected_calibration_error(counts) == pytest.approx(0.5)
    assert counts[0].tolist() == [0] * 7 + [2] + [0] * 6 + [2]


def test_images_add_up_to_the_same_counts_in_any_order() -> None:
    confidence, is_right = said()
    cut = [(confidence[i : i + 700], is_right[i : i + 700]) for i in range(0, 5000, 700)]
    forth, back = (sum(reliability(*each) for each in order) for order in (cut, cut[::-1]))
    assert np.array_equal(forth, back)
    assert np.array_equal(forth, reliability(confidence, is_right))


def test_no_pixels_have_no_error_and_empty_bins_no_means() -> None:
    counts = reliability(np.empty(0, np.float32), np.empty(0, bool))
    assert np.isnan(expected_calibration_error(counts))
    assert [row.keys() for row in rows(counts)] == [{"lower", "upper", "pixels"}] * BINS


def test_the_rows_are_the_reliability_diagram() -> None:
    counts = reliability(np.array([0.5, 0.5, 1], np.float32), np.array([True, False, True]))
    found = list(rows(counts))
    assert found[7] == {"lower": 7 / 15, "upper": 8 / 15, "pixels": 2, "confidence": 0.5, "accuracy": 0.5}
    assert found[14] == {"lower": 14 / 15, "upper": 1.0, "pixels": 1, "confidence": 1.0, "accuracy": 1.0}


def sampled(num_classes: int, factor: float) -> tuple[np.ndarray, np.ndarray]:
    """Classes drawn from the probabilities of some logits, and these logits times a factor."""
    rng = np.random.default_rng(num_classes)
    logits = rng.normal(0, 2, (4000, num_classes))
    truth = (logits + rng.gumbel(size=logits.shape)).argmax(1)
    return (logits * factor).astype(np.float32), truth


@pytest.mark.parametrize("factor", [0.3, 1.0, 4.0])
@pytest.mark.parametrize("num_classes", [2, 20])
def test_the_temperature_is_what_the_logits_were_multiplied_by(num_classes: int, factor: float) -> None:
    assert temperature(*sampled(num_classes, factor)) == pytest.approx(factor, rel=0.1)


@pytest.mark.parametrize("factor", [0.3, 4.0])
@pytest.mark.parametrize("num_classes", [2, 20])
def test_scipy_finds_the_same_temperature(num_classes: int, factor: float) -> None:
    logits, truth = sampled(num_classes, factor)

    def cost(log_temperature: float) -> float:
        scaled = log_softmax(logits / np.exp(log_temperature), 1)
        return -float(scaled[np.arange(len(truth)), truth].mean())

    found = minimize_scalar(cost, bounds=(-4, 4), method="bounded", options={"xatol": 1e-9})
    assert temperature(logits, truth) == pytest.approx(np.exp(found.x), rel=1e-5)


def test_a_model_that_is_always_right_is_made_as_sure_as_can_be_and_no_pixels_change_nothing() -> None:
    assert temperature(np.array([[3.0, 0.0], [0.0, 2.0]]), np.array([0, 1])) == pytest.approx(1 / 64)
    assert temperature(np.array([[3.0, 0.0], [0.0, 2.0]]), np.array([1, 0])) == pytest.approx(64)
    assert temperature(np.empty((0, 2)), np.empty(0, np.int64)) == 1.0
