"""Label tables: every raw id has one meaning, and an unknown one is never passed over."""

from __future__ import annotations

import json

import numpy as np
import pytest

from segpipe.labels import IGNORE, PALETTE, UNMAPPED, Color, Encoding, Label, LabelTable, hexadecimal

ROOFS = Label("roofs", (200, 0, 0), (1, 34))
ROADS = Label("roads", (0, 0, 200), (0,))
TABLE = LabelTable("aerial", (ROOFS, ROADS), ignored=(7, 255))


def test_the_lookup_says_something_of_every_byte() -> None:
    expected = [UNMAPPED] * 256
    expected[1] = expected[34] = 0
    expected[0] = 1
    expected[7] = expected[255] = IGNORE
    assert TABLE.lookup().tolist() == expected
    assert TABLE.lookup().dtype == np.uint8
    assert TABLE.known_raw_ids == {0, 1, 7, 34, 255}


def test_a_mask_is_remapped_pixel_by_pixel() -> None:
    raw = np.array([[0, 1, 34], [7, 255, 0]], np.uint8)
    assert TABLE.remap(raw, "a.png").tolist() == [[1, 0, 0], [IGNORE, IGNORE, 1]]
    assert raw.tolist() == [[0, 1, 34], [7, 255, 0]]


def test_ids_that_the_table_does_not_know_stop_the_run_by_name() -> None:
    with pytest.raises(ValueError) as refused:
        TABLE.remap(np.array([[0, 9, 2], [9, 254, 1]], np.uint8), "masks/000123.png")
    assert str(refused.value) == (
        "mask masks/000123.png has raw ids [2, 9, 254], which label table 'aerial' neither maps nor ignores. "
        "Add them to its file in segpipe/datasets/"
    )


def test_a_table_survives_json() -> None:
    assert LabelTable.from_dict(json.loads(json.dumps(TABLE.as_dict()))) == TABLE


def test_a_table_of_coloured_masks_survives_json() -> None:
    coloured = LabelTable("aerial", (ROOFS, ROADS), (7,), Encoding(colors=tuple((i, i, 0) for i in range(35))))
    assert LabelTable.from_dict(json.loads(json.dumps(coloured.as_dict()))) == coloured
    one_channel = LabelTable("aerial", (ROOFS, ROADS), (7,), Encoding(channel=2))
    assert LabelTable.from_dict(json.loads(json.dumps(one_channel.as_dict()))) == one_channel


def test_a_table_that_says_nothing_of_an_encoding_is_plain() -> None:
    content = TABLE.as_dict()
    del content["encoding"]
    assert LabelTable.from_dict(content) == TABLE


def test_a_raw_id_is_shown_as_it_stands_in_the_mask() -> None:
    assert Encoding().shown(34) == Encoding(channel=1).shown(34) == "34"
    assert Encoding(colors=((0, 0, 0), (214, 69, 65))).shown(1) == "#d64541"


def test_more_colours_than_raw_ids_are_refused() -> None:
    assert Encoding(colors=((0, 0, 0),) * 254).shown(253) == "#000000"
    with pytest.raises(ValueError, match="255 mask colours, expected at most 254"):
        Encoding(colors=((0, 0, 0),) * 255)


SEEN_BY = {
    "everyone": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protanopes": (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "deuteranopes": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
    "tritanopes": (
        (1.255528, -0.076749, -0.178779),
        (-0.078411, 0.930809, 0.147602),
        (0.004733, 0.691367, 0.303900),
    ),
}
"""What becomes of linear RGB in eyes without one of the three cones: Machado, Oliveira and Fernandes, 2009."""


def lab(colors: tuple[Color, ...], seen: tuple[tuple[float, ...], ...]) -> np.ndarray:
    """CIE L*a*b* (D65) of sRGB colours, as somebody sees them."""
    encoded = np.array(colors) / 255
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4) @ np.array(seen).T
    to_xyz = np.array(
        [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.072175], [0.0193339, 0.119192, 0.9503041]]
    )
    x, y, z = np.moveaxis(linear.clip(0, 1) @ to_xyz.T / to_xyz.sum(1), -1, 0)
    x, y, z = (np.where(v > 216 / 24389, np.cbrt(v), (24389 / 27 * v + 16) / 116) for v in (x, y, z))
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -1)


@pytest.mark.parametrize("seen", SEEN_BY.values(), ids=SEEN_BY)
def test_the_display_colours_are_told_apart_by_all_eyes(seen: tuple[tuple[float, ...], ...]) -> None:
    """2.3 is what an eye just notices between swatches that touch."""
    assert len(PALETTE) >= 24
    for count, least in ((8, 30), (12, 25), (24, 16)):
        places = lab(PALETTE[:count], seen)
        distances = np.sqrt(((places[:, None] - places) ** 2).sum(-1))
        assert distances[~np.eye(count, dtype=bool)].min() > least


def test_a_colour_is_written_as_people_write_it() -> None:
    assert hexadecimal((214, 69, 5)) == "#d64505"


def test_names_and_colours_come_in_the_order_of_class_ids() -> None:
    assert TABLE.class_names == ["roofs", "roads"]
    assert TABLE.colors.tolist() == [[200, 0, 0], [0, 0, 200]]
    assert TABLE.colors.dtype == np.uint8


@pytest.mark.parametrize("ignored", [(34,), (7, 7), (0, 1)])
def test_a_raw_id_with_two_meanings_is_refused(ignored: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"label table 'aerial' maps raw ids \[.*\] twice: give each to one class"):
        LabelTable("aerial", (ROOFS, ROADS), ignored)


def test_two_classes_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match=r"label table 'aerial' has two classes named \['roofs'\]: rename one"):
        LabelTable("aerial", (ROOFS, ROADS, Label("roofs", (0, 0, 0), (5,))))


def many(count: int) -> tuple[Label, ...]:
    return tuple(Label(f"class {i}", (i, i, i), (i,)) for i in range(count))


@pytest.mark.parametrize("count", [0, 1, 254])
def test_a_table_of_too_few_or_too_many_classes_is_refused(count: int) -> None:
    with pytest.raises(ValueError, match=f"has {count} classes, expected 2 to 253"):
        LabelTable("aerial", many(count))


def test_the_largest_table_still_keeps_unknown_and_ignored_apart() -> None:
    table = LabelTable("aerial", many(253), ignored=(255,))
    assert table.lookup().tolist() == [*range(253), UNMAPPED, UNMAPPED, IGNORE]


@pytest.mark.parametrize("raw_id", [-1, 256])
@pytest.mark.parametrize("is_ignored", [True, False])
def test_a_raw_id_that_no_mask_can_hold_is_refused_where_the_table_is_written(raw_id: int, is_ignored: bool) -> None:
    classes = (ROOFS, Label("roads", (0, 0, 200), (0,) if is_ignored else (0, raw_id)))
    with pytest.raises(ValueError, match=f"label table 'aerial'.*{raw_id}"):
        LabelTable("aerial", classes, (raw_id,) if is_ignored else ())
