"""Images of several processes come in the order of the samples; panels keep the best and the worst of any number."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from segpipe.evaluation.confidence import prediction_and_confidences
from segpipe.evaluation.counting import Scored, in_order_of
from segpipe.evaluation.panels import SHOWN, Candidate, Extremes

NOTHING = np.zeros((2, 2), np.int64)


def scored(name: str) -> Scored:
    return Scored(name, 0.0, NOTHING, NOTHING, NOTHING, NOTHING, NOTHING, None)


@pytest.mark.parametrize("at_once", [1, 3, 100])
def test_images_come_as_the_samples_lie_and_what_began_ends(at_once: int) -> None:
    ended = []

    def own() -> Iterator[Scored]:
        yield from map(scored, "abcdefg")
        ended.append(True)

    assert [one.name for one in in_order_of(list("abcdefg"), own(), at_once)] == list("abcdefg")
    assert ended == [True]


def test_an_image_that_nobody_scored_is_an_error() -> None:
    with pytest.raises(AssertionError, match="c was scored by no process"):
        list(in_order_of(list("abc"), map(scored, "ab"), 1))


def candidate(number: int, miou: float) -> Candidate:
    return Candidate(f"{number:03}", miou, np.full((1, 1), number, np.uint8))


@pytest.mark.parametrize("count", [1, 4, 7, 10, 50])
def test_the_extremes_of_a_stream_are_those_of_the_whole(count: int) -> None:
    mious = np.random.default_rng(count).integers(0, 9, count) / 8  # with ties
    extremes = Extremes()
    for number, miou in enumerate(mious):
        extremes.add([candidate(number, miou)])
    ranked = sorted(range(count), key=lambda number: (-mious[number], number))
    best = ranked[:SHOWN]
    worst = [number for number in reversed(ranked) if number not in best][:SHOWN]
    found = [(kind, rank, int(one.prediction[0, 0])) for kind, rank, one in extremes.shown]
    expected = [("best", rank, number) for rank, number in enumerate(best, 1)]
    assert found == expected + [("worst", rank, number) for rank, number in enumerate(worst, 1)]
    assert len(extremes.best) + len(extremes.worst) <= 2 * SHOWN


def test_the_extremes_of_two_halves_are_those_of_the_whole() -> None:
    mious = np.random.default_rng(0).random(30)
    halves, whole = [Extremes(), Extremes()], Extremes()
    for number, miou in enumerate(mious):
        halves[number % 2].add([candidate(number, miou)])
        whole.add([candidate(number, miou)])
    halves[0].join(halves)
    assert [one.name for _, _, one in halves[0].shown] == [one.name for _, _, one in whole.shown]


def test_an_image_without_a_score_is_not_shown() -> None:
    extremes = Extremes()
    extremes.add([candidate(0, float("nan")), candidate(1, 0.5)])
    assert [one.name for _, _, one in extremes.shown] == ["001"]


@pytest.mark.parametrize("num_classes", [2, 12])
@pytest.mark.parametrize("is_channels_last", [True, False])
def test_confidences_are_the_largest_probabilities(num_classes: int, is_channels_last: bool) -> None:
    logits = torch.randn(2, num_classes, 70, 9, generator=torch.Generator().manual_seed(0))
    laid = logits.contiguous(memory_format=torch.channels_last) if is_channels_last else logits
    predicted, (plain, cooled) = prediction_and_confidences(laid, (1.0, 2.5))
    exact = np.exp(logits.double().numpy())
    assert np.array_equal(predicted, logits.numpy().argmax(1))
    assert np.allclose(plain, (exact / exact.sum(1, keepdims=True)).max(1), atol=1e-6)
    exact = exact ** (1 / 2.5)
    assert np.allclose(cooled, (exact / exact.sum(1, keepdims=True)).max(1), atol=1e-6)
