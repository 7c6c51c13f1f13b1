"""The confusion matrix against two other ways of counting, and against ids that it must not swallow."""

from __future__ import annotations

import re

import numpy as np
import pytest

from segpipe.confusion import confusion_matrix
from segpipe.labels import IGNORE


def masks(classes: int, shape: tuple[int, ...], seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Truth with some ignored pixels, and a prediction, of random class ids."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes, shape, np.uint8)
    truth[rng.random(shape) < 0.2] = IGNORE
    return truth, rng.integers(0, classes, shape, np.uint8)


@pytest.mark.parametrize("classes", [2, 5, 20, 253])
def test_it_equals_a_plain_double_loop(classes: int) -> None:
    truth, prediction = masks(classes, (3, 17, 13), classes)
    expected = [[0] * classes for _ in range(classes)]
    for true, predicted in zip(truth.ravel().tolist(), prediction.ravel().tolist(), strict=True):
        if true != IGNORE:
            expected[true][predicted] += 1
    assert confusion_matrix(truth, prediction, classes).tolist() == expected


@pytest.mark.parametrize("classes", [2, 12, 40])
def test_it_equals_scikit_learn(classes: int) -> None:
    from sklearn import metrics

    truth, prediction = masks(classes, (2, 64, 48), classes)
    counted = truth != IGNORE
    expected = metrics.confusion_matrix(truth[counted], prediction[counted], labels=range(classes))
    assert np.array_equal(confusion_matrix(truth, prediction, classes), expected)


def test_a_small_one_by_hand() -> None:
    truth = np.array([[0, 0, 1], [1, 2, IGNORE]], np.uint8)
    prediction = np.array([[0, 1, 1], [1, 0, 2]], np.uint8)
    assert confusion_matrix(truth, prediction, 3).tolist() == [[1, 1, 0], [0, 2, 0], [1, 0, 0]]


def test_an_ignored_mask_counts_nothing_whatever_is_predicted() -> None:
    prediction = np.array([[0, 1], [200, IGNORE]], np.uint8)
    matrix = confusion_matrix(np.full((2, 2), IGNORE, np.uint8), prediction, 2)
    assert matrix.tolist() == [[0, 0], [0, 0]]


def test_no_pixels_count_nothing() -> None:
    nothing = np.empty((0, 4, 4), np.uint8)
    assert confusion_matrix(nothing, nothing, 2).tolist() == [[0, 0], [0, 0]]


def test_counts_stay_exact_beyond_what_32_bits_and_doubles_hold() -> None:
    truth = np.zeros((64, 64), np.uint8)
    truth[0, 0] = 1
    total = np.zeros_like(confusion_matrix(truth, truth, 2))
    assert total.dtype == np.int64
    for doubling in range(45):  # 2^45 images of 4095 and 1 pixels, added in pairs
        total = confusion_matrix(truth, truth, 2) if doubling == 0 else total + total
    assert total.tolist() == [[4095 * 2**44, 0], [0, 2**44]]
    assert (total + confusion_matrix(truth, truth, 2)).tolist() == [[4095 * (2**44 + 1), 0], [0, 2**44 + 1]]


def test_one_mask_of_more_pixels_than_a_float_counts_is_counted_exactly() -> None:
    """2^24 + 4096 pixels of one class: a float32 sum of ones stands still at 2^24."""
    truth = np.zeros((4097, 4096), np.uint8)
    truth[-1, -3:] = 1, 1, IGNORE
    prediction = np.zeros((4097, 4096), np.uint8)
    assert confusion_matrix(truth, prediction, 2).tolist() == [[4097 * 4096 - 3, 0], [2, 0]]


def test_neither_mask_is_changed() -> None:
    truth, prediction = masks(5, (8, 8), 0)
    copies = truth.copy(), prediction.copy()
    confusion_matrix(truth, prediction, 5)
    assert np.array_equal(truth, copies[0])
    assert np.array_equal(prediction, copies[1])


def test_wide_types_and_views_are_counted_like_bytes() -> None:
    truth, prediction = masks(5, (9, 8), 1)
    expected = confusion_matrix(truth, prediction, 5)
    assert np.array_equal(confusion_matrix(truth.astype(np.int64), prediction.astype(np.int32), 5), expected)
    assert np.array_equal(confusion_matrix(truth[::-1, ::-1], prediction[::-1, ::-1], 5), expected)


@pytest.mark.parametrize("wrong", [3, 254])
def test_a_true_id_outside_the_label_table_is_refused_with_its_source(wrong: int) -> None:
    truth = np.array([[0, wrong, wrong, IGNORE]], np.uint8)
    message = f"the truth 000123 holds class ids [{wrong}], outside the label table of 3 classes. Prepare"
    with pytest.raises(ValueError, match=re.escape(message)):
        confusion_matrix(truth, np.zeros_like(truth), 3, "000123")


@pytest.mark.parametrize("wrong", [3, IGNORE])
def test_a_predicted_id_outside_the_label_table_is_refused_with_its_source(wrong: int) -> None:
    prediction = np.array([[0, wrong]], np.uint8)
    with pytest.raises(ValueError, match="the prediction for 000123 holds class ids beyond the 3 of its label table"):
        confusion_matrix(np.zeros_like(prediction), prediction, 3, "000123")


@pytest.mark.parametrize("wrong", [-1, 256, 257, 65536])
@pytest.mark.parametrize("in_truth", [True, False])
def test_an_id_that_no_byte_holds_is_not_counted_as_another(wrong: int, in_truth: bool) -> None:
    """Wrapped into a byte, each of these would be a class id or `ignore`."""
    odd, fine = np.array([[0, wrong]], np.int64), np.zeros((1, 2), np.int64)
    with pytest.raises(ValueError, match="000123"):
        confusion_matrix(odd if in_truth else fine, fine if in_truth else odd, 3, "000123")


def test_masks_of_two_shapes_are_refused_even_where_they_would_broadcast() -> None:
    with pytest.raises(ValueError, match=r"000123 is \(4, 4\) and its prediction \(1, 4\): expected equal"):
        confusion_matrix(np.zeros((4, 4), np.uint8), np.zeros((1, 4), np.uint8), 2, "000123")
