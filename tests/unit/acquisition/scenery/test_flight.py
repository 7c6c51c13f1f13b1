"""The fabricated flights: the same bytes everywhere, near-twins within a sequence, and not to be solved by colour."""

from __future__ import annotations

import hashlib
from itertools import pairwise

import numpy as np
import pytest

from segpipe.acquisition.scenery import Scene
from segpipe.acquisition.scenery.flight import THINGS, scenes
from segpipe.confusion import confusion_matrix

SIZE = (128, 224)
SKY = THINGS.index("sky")


def _digest(pixels: np.ndarray) -> str:
    return hashlib.sha256(pixels.tobytes()).hexdigest()[:16]


@pytest.fixture(scope="module")
def filmed() -> list[Scene]:
    return list(scenes(seed=0, count=120, size=SIZE))


def test_a_frame_is_the_same_bytes_on_every_machine() -> None:
    first, *_, later = scenes(seed=7, count=4, size=(96, 128))
    assert (first.sequence, first.frame) == (0, 0)
    assert (_digest(first.image), _digest(first.things)) == ("7b977bbdb3427f20", "c069c6bba0a7e4fb")
    assert (later.sequence, later.frame) == (1, 0)
    assert (_digest(later.image), _digest(later.things)) == ("80abf1c65564c9e4", "12ebfe4ebc0ebff0")


def test_a_frame_depends_on_its_number_and_not_on_how_many_there_are(filmed: list[Scene]) -> None:
    for again, frame in zip(scenes(seed=0, count=10, size=SIZE), filmed, strict=False):
        assert np.array_equal(again.image, frame.image)
        assert np.array_equal(again.things, frame.things)
        assert (again.sequence, again.frame) == (frame.sequence, frame.frame)


def test_another_seed_gives_other_flights(filmed: list[Scene]) -> None:
    (other,) = scenes(seed=1, count=1, size=SIZE)
    assert not np.array_equal(other.things, filmed[0].things)


@pytest.mark.parametrize("size", [(32, 48), (17, 400), (200, 120), (8, 8)])
def test_any_size_can_be_filmed(size: tuple[int, int]) -> None:
    (frame,) = scenes(seed=3, count=1, size=size)
    assert (frame.image.shape, frame.things.shape) == ((*size, 3), size)
    assert frame.image.dtype == frame.things.dtype == np.uint8


def test_frames_are_numbered_within_sequences_of_two_or_three(filmed: list[Scene]) -> None:
    sequences = [[scene.frame for scene in filmed if scene.sequence == k] for k in range(filmed[-1].sequence + 1)]
    assert [scene.sequence for scene in filmed] == sorted(scene.sequence for scene in filmed)
    assert all(frames == list(range(len(frames))) for frames in sequences)
    assert {len(frames) for frames in sequences[:-1]} == {2, 3}


def test_frames_of_a_sequence_are_near_twins_and_never_the_same(filmed: list[Scene]) -> None:
    small = [scene.image.reshape(16, 8, 28, 8, 3).mean((1, 3)) for scene in filmed]
    step: dict[bool, list[float]] = {True: [], False: []}
    for k, (one, other) in enumerate(pairwise(filmed)):
        assert not np.array_equal(one.things, other.things)
        step[one.sequence == other.sequence].append(float(np.abs(small[k] - small[k + 1]).mean()))
    assert max(step[True]) < min(step[False])


def test_all_twelve_classes_are_there_and_three_of_them_fill_the_picture(filmed: list[Scene]) -> None:
    counts = np.bincount(np.stack([scene.things for scene in filmed]).ravel(), minlength=12)
    share = dict(zip(THINGS, 100 * counts / counts.sum(), strict=True))
    assert counts.size == 12
    assert all(share[name] > 0.005 for name in THINGS)
    assert all(15 < share[name] < 50 for name in ("vegetation", "road", "background"))
    assert all(share[name] < 1 for name in ("person", "bike", "drone", "boat", "animal", "obstacle"))


def test_some_sequences_show_the_horizon_and_others_do_not(filmed: list[Scene]) -> None:
    with_sky = {scene.sequence: bool((scene.things == SKY).any()) for scene in filmed}
    assert 2 <= sum(with_sky.values()) <= len(with_sky) - 2
    for scene in filmed:
        assert not (scene.things[-1] == SKY).any()
        assert (scene.things[0] == SKY).any() == (scene.things == SKY).any()


def test_colour_alone_does_not_solve_the_flights(filmed: list[Scene]) -> None:
    learnt = [scene for scene in filmed if scene.sequence < filmed[80].sequence]
    votes, confusion = np.zeros((4096, 12), np.int64), np.zeros((12, 12), np.int64)
    for scene in learnt:
        np.add.at(votes, (_bins(scene), scene.things.ravel()), 1)
    rule = votes.argmax(1).astype(np.uint8)
    for scene in filmed[len(learnt) :]:
        confusion += confusion_matrix(scene.things.ravel(), rule[_bins(scene)], 12)
    right = np.diag(confusion)
    iou = right / np.maximum(1, confusion.sum(0) + confusion.sum(1) - right)
    assert iou[THINGS.index("vegetation")] > 0.3, "colour should say something"
    assert iou.mean() < 0.25


def _bins(scene: Scene) -> np.ndarray:
    """Each pixel's colour in 16 levels a channel."""
    bins: np.ndarray = (scene.image.astype(np.int64) >> 4) @ np.array([256, 16, 1])
    return bins.ravel()
