"""What an epoch's row is made of: means over images, one confusion over all of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from segpipe.confusion import confusion_matrix
from segpipe.training.tally import Stopwatch, Tally, counts_on_device


def refuse(number: int, names: list[str], values: dict[str, float]) -> None:
    raise ValueError(f"batch {number}: {values} of {names}")


def truth(masks: list[list[list[int]]]) -> torch.Tensor:
    return torch.tensor(masks, dtype=torch.uint8)


def logits(masks: list[list[list[int]]]) -> torch.Tensor:
    return torch.nn.functional.one_hot(torch.tensor(masks), 2).permute(0, 3, 1, 2).float()


def test_losses_are_weighted_by_images_and_scores_come_from_one_confusion() -> None:
    tally = Tally("val", ["ground", "thing"], refuse)
    # Three images of loss 1, one of loss 5: (3 * 1 + 5) / 4 = 2, where a mean over batches would say 3.
    three, one = {"dice": torch.tensor(1.0)}, {"dice": torch.tensor(5.0)}
    tally.add(three, ["a", "b", "c"])
    tally.count(logits([[[0, 0]], [[0, 1]], [[1, 1]]]), truth([[[0, 0]], [[0, 1]], [[0, 255]]]), ["a", "b", "c"])
    tally.add(one, ["d"])
    tally.count(logits([[[1, 0]]]), truth([[[1, 1]]]), ["d"])
    # Truth/prediction pairs: 00 00 00 11 01 | 11 10 -> [[3, 1], [1, 2]]: IoU 3/5 and 2/4, recall 3/4 and 2/3.
    row = tally.row(with_terms=True)
    expected = {
        "val_loss": 2.0,
        "val_dice": 2.0,
        "val_miou": (3 / 5 + 2 / 4) / 2,
        "val_pixel_accuracy": 5 / 7,
        "val_mpa": (3 / 4 + 2 / 3) / 2,
    }
    assert row.keys() == expected.keys()
    assert all(abs(row[key] - value) < 1e-12 for key, value in expected.items())
    assert tally.row(with_terms=False).keys() == expected.keys() - {"val_dice"}


def test_the_stopwatch_passes_everything_on_and_counts_the_waiting() -> None:
    watch = Stopwatch()
    assert list(watch.around(iter([3, 1, 2]))) == [3, 1, 2]
    assert 0 <= watch.seconds < 1


@pytest.mark.parametrize("num_classes", [2, 20])
def test_a_device_counts_what_the_processor_counts(num_classes: int) -> None:
    rng = np.random.default_rng(num_classes)
    masks = rng.integers(0, num_classes, (3, 17, 45)).astype(np.uint8)
    masks[rng.random(masks.shape) < 0.2] = 255
    predicted = rng.integers(0, num_classes, masks.shape).astype(np.uint8)
    counts = counts_on_device(torch.from_numpy(masks), torch.from_numpy(predicted), num_classes)
    assert counts.dtype == torch.int64
    assert counts[:num_classes].tolist() == confusion_matrix(masks, predicted, num_classes).tolist()
    assert counts.sum().item() == masks.size
    assert counts[255].sum().item() == (masks == 255).sum()


def test_what_a_device_counted_is_refused_for_unknown_ids_too() -> None:
    tally = Tally("val", ["ground", "thing"], refuse)
    tally.add({"dice": torch.tensor(1.0)}, ["a"])
    tally._counted = counts_on_device(truth([[[0, 7]]]), truth([[[0, 1]]]), 2)
    with pytest.raises(ValueError, match=r"of val holds class ids \[7\]"):
        tally.row(with_terms=True)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_the_first_bad_number_is_named_with_its_batch_and_terms(bad: float) -> None:
    tally = Tally("train", ["ground", "thing"], refuse)
    tally.add({"dice": torch.tensor(1.0), "focal": torch.tensor(0.5)}, ["a"])
    with pytest.raises(ValueError, match=rf"batch 2: {{'dice': 1.0, 'focal': {bad}}} of \['b', 'c'\]"):
        tally.add({"dice": torch.tensor(1.0), "focal": torch.tensor(bad)}, ["b", "c"])


def test_a_gradient_without_a_number_is_refused_and_a_sound_one_is_no_loss() -> None:
    tally = Tally("train", ["ground", "thing"], refuse)
    tally.count(logits([[[0, 1]]]), truth([[[0, 1]]]), ["a"])
    tally.add({"dice": torch.tensor(0.25)}, ["a"], torch.tensor(7.0))
    assert tally.row(with_terms=True)["train_loss"] == 0.25
    with pytest.raises(ValueError, match="batch 2"):
        tally.add({"dice": torch.tensor(0.25)}, ["a"], torch.tensor(float("inf")))


def test_a_bar_shows_the_mean_loss_and_the_overlap_so_far() -> None:
    tally = Tally("train", ["ground", "thing"], refuse)
    assert tally.so_far() == ""
    tally.add({"dice": torch.tensor(0.5), "focal": torch.tensor(0.25)}, ["a"])
    assert tally.so_far() == "loss 0.750"
    tally.count(logits([[[0, 1]]]), truth([[[0, 0]]]), ["a"])  # IoU 1/2 and 0/1
    assert tally.so_far() == "loss 0.750, mIoU 0.250"
