"""What an epoch's row is made of: means over images, one confusion over all of them."""

from __future__ import annotations

import torch

from segpipe.training.tally import Stopwatch, Tally


def truth(masks: list[list[list[int]]]) -> torch.Tensor:
    return torch.tensor(masks, dtype=torch.uint8)


def logits(masks: list[list[list[int]]]) -> torch.Tensor:
    return torch.nn.functional.one_hot(torch.tensor(masks), 2).permute(0, 3, 1, 2).float()


def test_losses_are_weighted_by_images_and_scores_come_from_one_confusion() -> None:
    tally = Tally("val", ["ground", "thing"])
    # Three images of loss 1, one of loss 5: (3 * 1 + 5) / 4 = 2, where a mean over batches would say 3.
    three, one = {"dice": torch.tensor(1.0)}, {"dice": torch.tensor(5.0)}
    tally.add(three, logits([[[0, 0]], [[0, 1]], [[1, 1]]]), truth([[[0, 0]], [[0, 1]], [[0, 255]]]), ["a", "b", "c"])
    tally.add(one, logits([[[1, 0]]]), truth([[[1, 1]]]), ["d"])
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
