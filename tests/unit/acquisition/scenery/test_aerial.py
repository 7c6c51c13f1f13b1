"""The aerial scenes: the same bytes everywhere, and not to be solved by colour."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from segpipe.acquisition.scenery import Scene
from segpipe.acquisition.scenery.aerial import THINGS, scenes
from segpipe.confusion import confusion_matrix
from segpipe.datasets.drone import FORGOTTEN, GROUPS_5, GROUPS_BINARY

SIZE = (192, 256)


def _digest(pixels: np.ndarray) -> str:
    return hashlib.sha256(pixels.tobytes()).hexdigest()[:16]


@pytest.fixture(scope="module")
def drawn() -> list[Scene]:
    return list(scenes(seed=0, count=36, size=SIZE))


def test_a_scene_is_the_same_bytes_on_every_machine() -> None:
    (scene,) = scenes(seed=7, count=1, size=(96, 128))
    assert (_digest(scene.image), _digest(scene.things)) == ("b8142b60b64f5c49", "ee63c2244a1d24e0")


def test_a_scene_depends_on_its_number_and_not_on_how_many_there_are(drawn: list[Scene]) -> None:
    again = list(scenes(seed=0, count=3, size=SIZE))
    assert all(np.array_equal(a.image, b.image) for a, b in zip(again, drawn[:3], strict=True))
    assert all(np.array_equal(a.things, b.things) for a, b in zip(again, drawn[:3], strict=True))


def test_another_seed_gives_other_scenes(drawn: list[Scene]) -> None:
    (other,) = scenes(seed=1, count=1, size=SIZE)
    assert not np.array_equal(other.things, drawn[0].things)


@pytest.mark.parametrize("size", [(32, 48), (17, 400), (200, 120)])
def test_any_size_can_be_drawn(size: tuple[int, int]) -> None:
    (scene,) = scenes(seed=3, count=1, size=size)
    assert (scene.image.shape, scene.things.shape) == ((*size, 3), size)
    assert scene.image.dtype == scene.things.dtype == np.uint8


def test_things_are_named_and_the_forgotten_ones_are_never_drawn(drawn: list[Scene]) -> None:
    present = set(np.unique(np.stack([scene.things for scene in drawn])).tolist())
    assert present == set(range(len(THINGS))) - set(FORGOTTEN)


def test_each_of_the_five_groups_is_in_most_scenes(drawn: list[Scene]) -> None:
    for group in GROUPS_5:
        assert np.mean([np.isin(scene.things, group).any() for scene in drawn]) > 0.8


@pytest.mark.parametrize(("groups", "most"), [(GROUPS_5, 0.5), (GROUPS_BINARY, 0.7)])
def test_colour_alone_does_not_solve_the_scenes(
    drawn: list[Scene], groups: tuple[tuple[int, ...], ...], most: float
) -> None:
    class_of = np.zeros(256, np.uint8)
    for class_id, members in enumerate(groups):
        class_of[list(members)] = class_id
    truths = [class_of[scene.things] for scene in drawn]
    bins = [(scene.image.astype(np.int64) >> 4) @ np.array([256, 16, 1]) for scene in drawn]
    votes = np.zeros((4096, len(groups)), np.int64)
    for truth, colors in zip(truths[:24], bins[:24], strict=True):
        np.add.at(votes, (colors.ravel(), truth.ravel()), 1)
    rule = votes.argmax(1).astype(np.uint8)
    confusion = np.zeros((len(groups), len(groups)), np.int64)
    for truth, colors in zip(truths[24:], bins[24:], strict=True):
        confusion += confusion_matrix(truth, rule[colors], len(groups))
    right = np.diag(confusion)
    miou = np.mean(right / (confusion.sum(0) + confusion.sum(1) - right))
    assert 0.2 < miou < most
