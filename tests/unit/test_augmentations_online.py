"""Online recipes: image and mask move together, borders are ignored, and a number decides everything."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import get_args

import cv2
import numpy as np
import pytest

from segpipe.augmentations import BORDER, RECIPES, recipe
from segpipe.labels import IGNORE
from segpipe.params import Experiment
from tests.unit.test_augmentations import SIZES, centre, scene

ROOT = Path(__file__).parents[2]


def changed(name: str, image: np.ndarray, mask: np.ndarray, number: int) -> tuple[np.ndarray, np.ndarray]:
    """What the recipe writes over a batch's rows; image and mask are lent as the loader lends them: read-only."""
    into = np.full_like(image, 77), np.full_like(mask, 77)
    image, mask = image.view(), mask.view()
    image.flags.writeable = mask.flags.writeable = False
    recipe(name, (mask.shape[0], mask.shape[1]))(image, mask, number, into)
    return into


def test_every_recipe_that_params_may_name_is_there() -> None:
    assert get_args(Experiment.model_fields["recipe"].annotation) == RECIPES


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_keeps_size_and_type_and_invents_no_id_but_ignore(name: str, size: tuple[int, int]) -> None:
    """A batch's row has one size and type for good: what does not fit could not be written there."""
    rng = np.random.default_rng(1)
    image, mask = rng.integers(0, 256, (*size, 3), np.uint8), rng.choice(np.array([0, 3, 200], np.uint8), size)
    for number in range(8):
        assert set(np.unique(changed(name, image, mask, number)[1])) <= {0, 3, 200, IGNORE}


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_follows_from_its_number_alone(name: str) -> None:
    image, mask = scene((48, 64))
    one = recipe(name, (48, 64))
    into = np.empty_like(image), np.empty_like(mask)
    for number in (5, 9, 2**32 - 1, 5):  # whatever came before
        one(image, mask, number, into)
        expected = changed(name, image, mask, number)
        assert np.array_equal(into[0], expected[0])
        assert np.array_equal(into[1], expected[1])


@pytest.mark.parametrize(("name", "ways"), [("none", 1), ("flips", 4), ("s1", 20), ("street", 40), ("heavy", 30)])
def test_other_numbers_give_other_changes(name: str, ways: int) -> None:
    """S1 leaves a quarter of the samples as they are and only turns another round; a tenth of heavy is flips alone."""
    image, mask = np.random.default_rng(0).integers(40, 200, (24, 32, 3), np.uint8), np.zeros((24, 32), np.uint8)
    found = {changed(name, image, mask, number)[0].tobytes() for number in range(40)}
    assert len(found) >= ways
    assert name not in ("none", "flips") or len(found) == ways


@pytest.mark.parametrize("size", SIZES[:3])
@pytest.mark.parametrize("name", RECIPES)
def test_an_online_mask_goes_wherever_its_image_goes(name: str, size: tuple[int, int]) -> None:
    """A bright square stays brighter than its ground under any light; nothing is said of its rim, or of borders."""
    seen = 0
    for number in range(40):
        image, mask = changed(name, *scene(size, number), number)
        inside = cv2.erode((mask == 1).astype(np.uint8), np.ones((3, 3))) == 1
        outside = cv2.dilate((mask != 0).astype(np.uint8), np.ones((3, 3))) == 0
        if inside.any() and outside.any():
            light = image.mean(-1)
            middle = (np.median(light[inside]) + np.median(light[outside])) / 2
            assert (light[inside] > middle).all()
            assert (light[outside] < middle).all()
            seen += 1
    assert seen >= 25


@pytest.mark.parametrize("name", ["s1", "street", "heavy"])
def test_over_many_scenes_no_recipe_leaves_the_mask_behind(name: str) -> None:
    """Half a pixel would show: in the mean the rounding cancels out. cv2's plain nearest resize fails here."""
    apart = []
    for number in range(250):
        image, mask = changed(name, *scene((60, 80), number), number)
        light = np.where(mask == IGNORE, 0.0, image.mean(-1))
        square, ground = mask == 1, mask == 0
        is_cut = square[0].any() or square[-1].any() or square[:, 0].any() or square[:, -1].any()
        if square.any() and ground.any() and not is_cut and not _touches(square, mask == IGNORE):
            dark, bright = np.median(light[ground]), np.median(light[square])
            shown = np.where(mask == IGNORE, 0, np.clip((light - dark) / (bright - dark), 0, 1))
            shown[shown < 0.2] = 0  # grain
            apart.append(centre(shown) - centre(square.astype(float)))
    assert len(apart) > 90
    assert np.abs(np.mean(apart, axis=0)).max() < 0.1


def _touches(one: np.ndarray, other: np.ndarray) -> bool:
    return bool((cv2.dilate(one.astype(np.uint8), np.ones((7, 7))) & other.astype(np.uint8)).any())


@pytest.mark.parametrize("name", ["street", "heavy"])
def test_what_a_border_fills_is_ignored_and_nothing_else_is(name: str) -> None:
    image, mask = np.full((60, 80, 3), (10, 200, 60), np.uint8), np.full((60, 80), 4, np.uint8)
    with_border = 0
    for number in range(40):
        shown, relabelled = changed(name, image, mask, number)
        is_border, is_ignored = (shown == BORDER).all(-1), relabelled == IGNORE
        assert is_ignored[is_border].all()
        # Where a border was turned, its rim is mixed with the image.
        assert is_border[cv2.erode(is_ignored.astype(np.uint8), np.ones((3, 3)), borderValue=1) == 1].all()
        assert name != "street" or np.array_equal(is_border, is_ignored)
        with_border += bool(is_border.any())
    assert 10 < with_border < 40


@pytest.mark.parametrize("name", ["none", "flips", "s1"])
def test_a_recipe_without_borders_ignores_nothing(name: str) -> None:
    image, mask = scene((40, 56))
    assert not any((changed(name, image, mask, number)[1] == IGNORE).any() for number in range(20))


def test_what_was_ignored_stays_ignored_and_moves_with_the_image() -> None:
    image = np.full((60, 80, 3), 20, np.uint8)
    mask = np.zeros((60, 80), np.uint8)
    image[20:40, 30:60], mask[20:40, 30:60] = 240, IGNORE
    shown, relabelled = changed("heavy", image, mask, 1)
    assert (relabelled[shown.mean(-1) > 180] == IGNORE).all()
    assert (shown.mean(-1) > 180).sum() > 200


def test_the_colour_of_a_border_is_nothing_to_an_encoder() -> None:
    normalised = (np.array(BORDER) / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    assert np.abs(normalised).max() < 0.01


def test_street_shows_half_to_double_the_size() -> None:
    """A square of 20 pixels has sides of 10 to 40; all of it is seen where the window is not smaller than the image."""
    image = np.zeros((80, 80, 3), np.uint8)
    mask = np.zeros((80, 80), np.uint8)
    mask[30:50, 30:50] = 1
    sides = [float(np.sqrt((changed("street", image, mask, number)[1] == 1).sum())) for number in range(60)]
    assert 9.5 <= min(sides) < 12
    assert 30 < max(sides) <= 40.5


def test_the_online_flips_take_each_of_four_ways_by_the_number_alone() -> None:
    image = np.repeat(np.array([[0, 1], [2, 3]], np.uint8)[..., None] * 3, 3, axis=2)
    mask = np.array([[0, 1], [2, 3]], np.uint8)
    ways = []
    for number in range(8):
        turned, relabelled = changed("flips", image, mask, number)
        ways.append("".join(map(str, relabelled.ravel())))
        assert np.array_equal(turned[..., 1], relabelled * 3)
    assert ways == ["0123", "1032", "2301", "3210"] * 2


@pytest.mark.parametrize(("name", "corners"), [("s1", {0, 1}), ("street", {0, 1}), ("heavy", {0, 1, 2, 3})])
def test_pictures_with_an_upright_are_only_turned_sideways(name: str, corners: set[int]) -> None:
    """A spot in a corner: top left and top right are 0 and 1, the lower ones 2 and 3."""
    image, mask = np.full((60, 80, 3), 30, np.uint8), np.zeros((60, 80), np.uint8)
    image[:16, :16], mask[:16, :16] = 220, 1
    found = []
    for number in range(60):
        relabelled = changed(name, image, mask, number)[1]
        rest = np.argwhere(relabelled != IGNORE)
        if 20 < (relabelled == 1).sum() < 300:  # not cut, and the image not shifted within a wide border
            y, x = np.argwhere(relabelled == 1).mean(0) > (rest.min(0) + rest.max(0)) / 2
            found.append(2 * int(y) + int(x))
    assert set(found) == corners
    assert all(found.count(corner) > 0.6 * len(found) / len(corners) for corner in corners)


def test_the_light_of_s1_is_albumentations_own() -> None:
    """Contrast and brightness are read off greys that are not clipped; albumentations makes the same of every grey."""
    import albumentations

    image = np.repeat(np.arange(256, dtype=np.uint8).reshape(16, 16, 1), 3, axis=2)
    mask = np.arange(256, dtype=np.uint8).reshape(16, 16)
    found = []
    for number in range(400):
        shown, greys = changed("s1", image, mask, number)
        level = np.zeros(256)
        level[greys.ravel()] = shown[..., 0].ravel()
        contrast = (level[160] - level[90]) / 70
        brightness = (level[125] - 125 * contrast) / 255
        if not np.array_equal(level, np.arange(256)):
            found.append((contrast, brightness))
        limits = {"brightness_limit": (brightness, brightness), "contrast_limit": (contrast - 1, contrast - 1)}
        theirs = albumentations.RandomBrightnessContrast(**limits, p=1)(image=image)["image"]
        assert np.abs(theirs[..., 0].ravel() - level).max() <= 3  # contrast is known to 1/70
    assert 150 < len(found) < 250
    for drawn, middle in zip(np.transpose(found), (1.0, 0.0), strict=True):
        assert drawn.min() == pytest.approx(middle - 0.2, abs=0.02)
        assert drawn.max() == pytest.approx(middle + 0.2, abs=0.02)
        assert drawn.mean() == pytest.approx(middle, abs=0.03)


@pytest.mark.parametrize("size", SIZES)
def test_the_online_flips_are_numpys_at_every_size(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(3)
    image, mask = rng.integers(0, 256, (*size, 3), np.uint8), rng.integers(0, 5, size, np.uint8)
    for number, axes in enumerate([(), (1,), (0,), (0, 1)]):
        turned, relabelled = changed("flips", image, mask, number)
        assert np.array_equal(turned, np.flip(image, axes))
        assert np.array_equal(relabelled, np.flip(mask, axes))


def test_no_recipe_is_no_change() -> None:
    image, mask = scene((8, 8))
    same, relabelled = changed("none", image, mask, 11)
    assert np.array_equal(same, image)
    assert np.array_equal(relabelled, mask)


def libraries_and_connections(names: str) -> str:
    """What a fresh process imports, and whom it calls, for these recipes."""
    program = f"""
import sys
called = []
sys.addaudithook(lambda event, _: called.append(event) if event.startswith("socket.") else None)
import numpy as np
from segpipe.augmentations import recipe
image, mask = np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8), np.uint8)
for name in {names.split()}:
    for number in range(4):
        recipe(name, (8, 8))(image, mask, number, (image.copy(), mask.copy()))
print("albumentations" in sys.modules, [event for event in called if event != "socket.__new__"])
"""
    environment = {key: value for key, value in os.environ.items() if key != "NO_ALBUMENTATIONS_UPDATE"}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, env=environment)
    return done.stdout.strip()


def test_plain_recipes_do_not_import_albumentations() -> None:
    assert libraries_and_connections("none flips s1") == "False []"


@pytest.mark.slow
def test_albumentations_asks_nobody_for_its_latest_version() -> None:
    assert libraries_and_connections("street heavy") == "True []"
