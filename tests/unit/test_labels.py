"""Label tables: every raw id has one meaning, and an unknown one is never passed over."""

from __future__ import annotations

import json

import numpy as np
import pytest

from segpipe.labels import IGNORE, UNMAPPED, Label, LabelTable

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
