"""The drone's camera: pixels and places agree, and what is behind it or turned away is not drawn."""

from __future__ import annotations

import numpy as np
import pytest

from segpipe.acquisition.scenery.canvas import Canvas
from segpipe.acquisition.scenery.flight_camera import Air, Camera, Model

SIZE = (120, 160)
CLEAR = Air((255, 255, 255), 10**9)
UP_HIGH = 10_000


def _camera(pitch: int, heading: int = 0) -> Camera:
    return Camera(SIZE, 120, (80, 60), (500, -300, UP_HIGH), heading, pitch)


def _canvas() -> Canvas:
    return Canvas(SIZE, np.random.Generator(np.random.PCG64(0)))


def _block(turn: int = 0) -> Model:
    model = Model(turn, sun=0, light=(64, 0))
    foot = [(-1000, -1000), (1000, -1000), (1000, 1000), (-1000, 1000)]
    model.prism(foot, 0, foot, 2000, 7, (100, 100, 100))
    return model


@pytest.mark.parametrize("pitch", [1, 3, 6, 9, 12])
@pytest.mark.parametrize("heading", [0, 7, 12, 33])
def test_the_place_that_a_pixel_shows_is_seen_at_that_pixel(pitch: int, heading: int) -> None:
    camera = _camera(pitch, heading)
    ground = camera.ground()
    for row in range(max(ground.horizon + 10, 0), SIZE[0], 13):
        for column in (0, 41, 80, 159):
            place = np.array([[ground.x[row, column], ground.y[row, column], 0]])
            ((x, y),) = camera.pixels(camera.sighted(place)).tolist()
            assert abs(x - column) <= 1
            assert abs(y - row) <= 1


def test_straight_down_a_pixel_spans_height_over_focal_length() -> None:
    # From 10 m with 120 pixels of focal length: 10000 / 120 = 83.3 mm; the middle shows what lies below the camera.
    ground = _camera(pitch=12).ground()
    assert set(ground.span.tolist()) == {83}
    assert (ground.x[60, 80], ground.y[60, 80]) == (500, -300)
    assert np.abs(np.diff(ground.y[60].astype(int)) - 83).max() <= 1


def test_the_horizon_is_where_the_pitch_says() -> None:
    # 15 degrees above the axis: 120 tan 15 = 32.2 pixels over row 60.
    assert _camera(pitch=2).ground().horizon in (28, 29)
    assert _camera(pitch=6).ground().horizon == 0


def test_ground_that_reaches_behind_the_camera_is_cut_and_not_mirrored() -> None:
    camera, canvas = _camera(pitch=3), _canvas()
    road = np.array([(-900_000, -3300, 0), (900_000, -3300, 0), (900_000, 2700, 0), (-900_000, 2700, 0)])
    outline = camera.outline(road)
    assert outline is not None
    canvas.fill(outline, 5, (9, 9, 9))
    ground = camera.ground()
    is_road = (ground.y > -3300) & (ground.y < 2700) & (np.arange(SIZE[0]) > ground.horizon)[:, None]
    # fillPoly draws the outline itself too: two edges, each up to two pixels wide in a row.
    assert (is_road != (canvas.things == 5)).sum(1).max() <= 4
    assert is_road[-1].any()


def test_ground_that_lies_behind_the_camera_is_not_seen() -> None:
    assert _camera(pitch=3).outline(np.array([(-9000, 0, 0), (-8000, 500, 0), (-9000, 900, 0)])) is None


def test_a_solid_shows_its_top_and_the_sides_that_face_the_camera() -> None:
    camera, canvas, model = _camera(pitch=6), _canvas(), _block()
    model.show(canvas, camera, (10_500, -300, 0), CLEAR)
    shown = {tuple(color) for color in canvas.layers[canvas.things == 7][:, :3].tolist()}
    # The sun is in the west (shadows fall to the east): the near, western side is bright, and the top a little.
    assert shown == {(134, 134, 134), (110, 110, 110)}


def test_a_thing_before_which_the_camera_stands_too_close_is_left_out() -> None:
    canvas = _canvas()
    _block().show(canvas, _camera(pitch=6), (500, -300, UP_HIGH - 1000), CLEAR)
    assert not canvas.things.any()


def test_a_shadow_falls_away_from_the_sun_as_far_as_the_light_says() -> None:
    model = Model(turn=12, sun=0, light=(64, 0))
    model.cast([(0, 0, 0), (0, 0, 1600)])
    (shadow,) = model.shadows
    assert (shadow[:, 0].min(), shadow[:, 0].max()) == (0, 1600)
    assert (shadow[:, 1].min(), shadow[:, 1].max()) == (0, 0)


def test_air_takes_half_of_a_colour_at_its_depth() -> None:
    air = Air((200, 0, 100), 50_000)
    assert air.between((100, 100, 100), 50_000) == (150, 50, 100)
    assert air.between((100, 100, 100), 0) == (100, 100, 100)
