"""The street scenes: the same bytes everywhere, in perspective, and not to be solved by colour."""

from __future__ import annotations

import hashlib
from functools import partial

import numpy as np
import pytest

from segpipe.acquisition.scenery import Scene
from segpipe.acquisition.scenery import street_things as things
from segpipe.acquisition.scenery.canvas import Canvas
from segpipe.acquisition.scenery.street import draw_all, scenes
from segpipe.acquisition.scenery.street_lots import fence
from segpipe.acquisition.scenery.street_things import THINGS
from segpipe.acquisition.scenery.street_vehicles import COACH, SALOON, Stand, vehicle
from segpipe.acquisition.scenery.street_view import View
from segpipe.confusion import confusion_matrix

SIZE = (128, 256)

TRAINED = (
    "road", "sidewalk", "building", "wall", "fence", "pole", "traffic light", "traffic sign", "vegetation", "terrain",
    "sky", "person", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle",
)  # fmt: skip


def _digest(pixels: np.ndarray) -> str:
    return hashlib.sha256(pixels.tobytes()).hexdigest()[:16]


def _view(size: tuple[int, int] = SIZE) -> View:
    """A camera before an empty, straight and level street without mist."""
    view = View(Canvas(size, np.random.Generator(np.random.PCG64(3))), (200, 200, 200))
    view.bend = view.climb = view.thickness = 0
    view.vanishing, view.eye = (size[1] // 2, size[0] // 2), 130
    return view


@pytest.fixture(scope="module")
def drawn() -> list[Scene]:
    return list(scenes(seed=0, count=60, size=SIZE))


def test_a_scene_is_the_same_bytes_on_every_machine() -> None:
    first, second = scenes(seed=7, count=2, size=(96, 192))
    assert (_digest(first.image), _digest(first.things)) == ("68f8774278b7af04", "080235d73264d4e7")
    assert (_digest(second.image), _digest(second.things)) == ("59d60a9405ea7384", "9443337650c8bcdb")


def test_a_scene_depends_on_its_number_and_not_on_how_many_there_are(drawn: list[Scene]) -> None:
    again = list(scenes(seed=0, count=3, size=SIZE))
    assert all(np.array_equal(a.image, b.image) for a, b in zip(again, drawn[:3], strict=True))
    assert all(np.array_equal(a.things, b.things) for a, b in zip(again, drawn[:3], strict=True))


def test_another_seed_gives_other_scenes(drawn: list[Scene]) -> None:
    (other,) = scenes(seed=1, count=1, size=SIZE)
    assert not np.array_equal(other.things, drawn[0].things)


def test_each_scene_is_a_place_of_its_own(drawn: list[Scene]) -> None:
    assert [(scene.sequence, scene.frame) for scene in drawn] == [(number, 0) for number in range(60)]


@pytest.mark.parametrize("size", [(32, 48), (17, 400), (200, 120)])
def test_any_size_can_be_drawn(size: tuple[int, int]) -> None:
    for scene in scenes(seed=3, count=3, size=size):
        assert (scene.image.shape, scene.things.shape) == ((*size, 3), size)
        assert scene.image.dtype == scene.things.dtype == np.uint8


def test_there_are_34_things_and_no_scene_shows_another(drawn: list[Scene]) -> None:
    assert len(set(THINGS)) == 34
    assert max(int(scene.things.max()) for scene in drawn) < 34


def test_each_of_the_19_classes_occurs_in_60_scenes(drawn: list[Scene]) -> None:
    present = {THINGS[i] for scene in drawn for i in np.unique(scene.things)}
    assert set(TRAINED) <= present


def test_streets_are_everywhere_and_trains_are_rare(drawn: list[Scene]) -> None:
    pixels = np.array([np.bincount(scene.things.ravel(), minlength=34) for scene in drawn])
    share, frequency = pixels.sum(0) / pixels.sum(), (pixels > 0).mean(0)
    for name in ("road", "building", "car", "sky", "vegetation"):
        assert frequency[THINGS.index(name)] > 0.9
        assert share[THINGS.index(name)] > 0.04
    for name in ("train", "bus", "truck"):
        assert 0 < frequency[THINGS.index(name)] < 0.5
        assert share[THINGS.index(name)] < 0.03


def test_a_car_twice_as_far_away_covers_a_quarter() -> None:
    covered = []
    for ahead in (1200, 2400):
        view = _view((384, 768))
        vehicle(view, SALOON, Stand(0, ahead))
        covered.append(int((view.canvas.things == things.CAR).sum()))
    assert covered[0] / covered[1] == pytest.approx(4, rel=0.1)


def test_a_person_stands_below_the_horizon_by_the_height_of_the_eye() -> None:
    view = _view()
    things.person(view, (0, 0, 1000))
    rows = np.flatnonzero((view.canvas.things == things.PERSON).any(1))
    # The focal length is 256 pixels: feet 130 cm below the eye and 10 m away are 33 pixels below the horizon at 64.
    assert rows.max() == pytest.approx(64 + 33, abs=1)
    assert rows.min() < 64


def test_what_is_nearer_hides_what_is_farther() -> None:
    cars = [
        (ahead, partial(vehicle, make=make, stand=Stand(0, ahead))) for ahead, make in ((900, SALOON), (3000, COACH))
    ]
    for standing in (cars, cars[::-1]):
        view = _view()
        draw_all(view, standing)
        # Two pixels below the horizon both would be seen; the coach, 305 cm high, also shows above the car of 146 cm:
        # the car ends 16 * 256 / 900 = 4.6 pixels above the horizon, the coach 175 * 256 / 3000 = 14.9.
        assert view.canvas.things[66, 128] == things.CAR
        assert view.canvas.things[64 - 10, 128] == things.BUS


def test_what_is_seen_through_a_fence_keeps_its_colours_and_counts_as_fence() -> None:
    view = _view((384, 768))
    view.canvas.layers[:] = (10, 200, 30, things.TERRAIN)
    fence(view, 200, (800, 1060), tall=150, color=(250, 0, 0), gap=60)
    colors = view.canvas.layers[view.canvas.things == things.FENCE][:, :3]
    seen_through = (colors == (10, 200, 30)).all(1).mean()
    assert 0.3 < seen_through < 0.95
    assert not np.isin(view.canvas.layers[view.canvas.things == things.TERRAIN][:, 0], (250,)).any()


def test_the_road_narrows_towards_the_horizon(drawn: list[Scene]) -> None:
    for scene in drawn:
        widths = (scene.things == THINGS.index("road")).sum(1)
        assert widths[100:124].sum() > widths[56:80].sum()


def test_colour_alone_does_not_solve_the_scenes(drawn: list[Scene]) -> None:
    class_of = np.full(34, 19, np.uint8)
    class_of[[THINGS.index(name) for name in TRAINED]] = range(19)
    truths = [class_of[scene.things] for scene in drawn]
    bins = [(scene.image.astype(np.int64) >> 4) @ np.array([256, 16, 1]) for scene in drawn]
    votes = np.zeros(4096 * 20, np.int64)
    for truth, colors in zip(truths[:40], bins[:40], strict=True):
        votes += np.bincount((colors * 20 + truth).ravel(), minlength=votes.size)
    rule = votes.reshape(4096, 20)[:, :19].argmax(1).astype(np.uint8)
    confusion = np.zeros((19, 19), np.int64)
    for truth, colors in zip(truths[40:], bins[40:], strict=True):
        counted = truth < 19
        confusion += confusion_matrix(truth[counted], rule[colors[counted]], 19)
    right = np.diag(confusion)
    miou = np.mean(right / np.maximum(confusion.sum(0) + confusion.sum(1) - right, 1))
    assert 0.03 < miou < 0.2
