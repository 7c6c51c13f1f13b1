"""Masks read as their encoding says: one value, one channel, or colours."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segpipe.labels import UNMAPPED, Encoding
from segpipe.preparation.reading import Refusal, read_raw_mask, unlisted_colors

RED, GREEN, BLACK = (255, 0, 0), (0, 255, 0), (0, 0, 0)
COLORS = Encoding(colors=(RED, BLACK, GREEN))
PICTURE = np.array([[RED, GREEN, BLACK], [RED, (255, 0, 1), (1, 255, 0)], [(255, 0, 1), BLACK, GREEN]], np.uint8)


def saved(path: Path, picture: Image.Image) -> Path:
    picture.save(path)
    return path


def test_a_colour_is_read_as_its_place_in_the_list(tmp_path: Path) -> None:
    ids = read_raw_mask(saved(tmp_path / "m.png", Image.fromarray(PICTURE)), COLORS)
    assert ids.tolist() == [[0, 2, 1], [0, UNMAPPED, UNMAPPED], [UNMAPPED, 1, 2]]
    assert ids.dtype == np.uint8


def test_colours_that_nothing_stands_for_are_counted_by_name(tmp_path: Path) -> None:
    path = saved(tmp_path / "m.png", Image.fromarray(PICTURE))
    assert list(unlisted_colors(path, COLORS).items()) == [("#ff0001", 2), ("#01ff00", 1)]


def test_colours_are_found_in_palettes_and_beside_a_full_alpha(tmp_path: Path) -> None:
    paletted = Image.fromarray(np.array([[2, 0, 1]], np.uint8), "P")
    paletted.putpalette([*BLACK, 9, 9, 9, *GREEN])
    assert read_raw_mask(saved(tmp_path / "p.png", paletted), COLORS).tolist() == [[2, 1, UNMAPPED]]
    opaque = Image.fromarray(PICTURE).convert("RGBA")
    assert read_raw_mask(saved(tmp_path / "a.png", opaque), COLORS).tolist()[0] == [0, 2, 1]


def test_grey_masks_have_grey_colours(tmp_path: Path) -> None:
    path = saved(tmp_path / "m.png", Image.fromarray(np.array([[0, 255]], np.uint8)))
    assert read_raw_mask(path, Encoding(colors=((255, 255, 255), BLACK))).tolist() == [[1, 0]]


@pytest.mark.parametrize(("channel", "expected"), [(0, [255, 0, 0]), (1, [0, 255, 0]), (2, [0, 0, 0])])
def test_one_channel_of_three_holds_the_raw_ids(tmp_path: Path, channel: int, expected: list[int]) -> None:
    path = saved(tmp_path / "m.png", Image.fromarray(PICTURE))
    assert read_raw_mask(path, Encoding(channel)).tolist()[0] == expected


def test_without_an_encoding_channels_that_differ_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="mask whose channels differ"):
        read_raw_mask(saved(tmp_path / "m.png", Image.fromarray(PICTURE)))


@pytest.mark.parametrize("encoding", [COLORS, Encoding(channel=0)])
def test_a_transparent_mask_is_refused_in_every_encoding(tmp_path: Path, encoding: Encoding) -> None:
    mask = np.dstack([PICTURE, np.full((3, 3), 254, np.uint8)])
    with pytest.raises(Refusal, match="mask with transparent pixels"):
        read_raw_mask(saved(tmp_path / "m.png", Image.fromarray(mask)), encoding)


@pytest.mark.parametrize("encoding", [COLORS, Encoding(channel=0)])
def test_deep_masks_are_refused_in_every_encoding(tmp_path: Path, encoding: Encoding) -> None:
    path = saved(tmp_path / "m.png", Image.fromarray(np.ones((3, 3), np.uint16)))
    with pytest.raises(Refusal, match="16 bits a channel"):
        read_raw_mask(path, encoding)
    with pytest.raises(Refusal, match="mask of mode CMYK"):
        read_raw_mask(saved(tmp_path / "m.tif", Image.new("CMYK", (3, 3))), encoding)
