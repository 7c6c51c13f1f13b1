"""What a person reads whose `layout:` describes no dataset: where it stands, what was found, what was expected."""

from __future__ import annotations

import re
import textwrap
from typing import Any

import pytest
from ruamel.yaml import YAML

from segpipe import params
from tests.unit.params.conftest import GONE, ROOT, Edit, complaint

LAYOUT = "datasets/own/layout"
PATH = "datasets.own.layout"
BINARY: dict[str, Any] = {"images": "images/*.png", "masks": "masks/*.png", "threshold": 127}
LABELS: dict[str, Any] = {
    "images": "images/*.png",
    "masks": "masks/*.png",
    "labels": {"ground": [0, 1], "house": [255]},
}
COLORS: dict[str, Any] = {**LABELS, "labels": {"ground": "#00ff00", "house": ["#ff0000", "#7f0000"]}}
TILES: dict[str, Any] = {"kind": "tiles", "pattern": r"(?P<x>\d+)-(?P<y>\d+)-(?P<zoom>\d+)$", "zoom": 19}

A_COLOUR = 'a colour in quotes, such as "#d64541"'
A_PATTERN = 'a pattern from the dataset\'s root, with one `*` for the name, such as "{split}/**/*_rgb.png"'

REFUSED: dict[str, tuple[dict[str, Any], str, Any, str]] = {
    "a misspelt setting": (BINARY, "treshold", 3, "treshold: no such setting (did you mean 'threshold'?)"),
    "no images": (BINARY, "images", GONE, "images: is missing, and has no default: add it"),
    "a threshold above all": (BINARY, "threshold", 255, "threshold: found 255, expected less than or equal to 254"),
    "text for a threshold": (BINARY, "threshold", "127", "threshold: found '127', expected a whole number"),
    "a threshold beside labels": (
        LABELS,
        "threshold",
        127,
        "threshold: found 127, expected nothing beside `labels`: take one of the two away",
    ),
    "a name above no threshold": (
        LABELS,
        "positive",
        "house",
        "positive: found 'house', expected nothing without a `threshold`: `labels` names all classes",
    ),
    "two classes of one name": (
        BINARY,
        "positive",
        "background",
        "positive: found 'background', expected another name, since that is what lies below the threshold",
    ),
    "a raw id that no byte holds": (
        LABELS,
        "labels",
        {"ground": [0], "house": [256]},
        f"labels.house.0: found 256, expected less than or equal to 255 or {A_COLOUR}",
    ),
    "a colour that YAML took for a comment": (
        LABELS,
        "labels",
        {"ground": None, "house": 1},
        f"labels.ground: found None, expected a whole number or {A_COLOUR}",
    ),
    "a class of nothing": (LABELS, "labels", {"ground": [], "house": 1}, "labels.ground: found [], expected at least"),
    "raw ids among colours": (
        LABELS,
        "labels",
        {"ground": "#00ff00", "house": 1},
        "labels: found {'ground': '#00ff00', 'house': 1}, expected raw ids for every class, or colours for every class",
    ),
    "a raw id ignored among colours": (
        COLORS,
        "ignored",
        [0],
        "ignored: found [0], expected colours, as in `labels`",
    ),
    "a channel of colours": (
        COLORS,
        "channel",
        0,
        "channel: found 0, expected nothing beside colours, which are made of all channels",
    ),
    "a channel that is none": (BINARY, "channel", 3, "channel: found 3, expected less than or equal to 2"),
    "a colour by name": (
        BINARY,
        "colors",
        {"background": "red"},
        f"colors.background: found 'red', expected {A_COLOUR}",
    ),
    "the colour of no class": (
        {**BINARY, "positive": "building"},
        "colors",
        {"bilding": "#d64541"},
        "colors.bilding: no such class (did you mean 'building'?)",
    ),
    "the same pattern twice": (
        BINARY,
        "masks",
        "images/*.png",
        "masks: found 'images/*.png', expected another pattern than that of the images",
    ),
    "a word for splits without a place": (
        BINARY,
        "splits",
        "lists.txt",
        "splits: found 'lists.txt', expected a list for each split, or `{split}` in it",
    ),
    "one word for all splits": (
        {**BINARY, "images": "{split}/*.png"},
        "splits",
        "lists/{split}.txt",
        "splits: found 'lists/{split}.txt', expected the word for each split",
    ),
    "a split that is none of ours": (
        BINARY,
        "splits",
        {"train": "a.txt", "valid": "b.txt"},
        "splits.valid: found 'valid', expected one of train, val, test",
    ),
    "two splits in one": (
        BINARY,
        "splits",
        {"train": "a.txt", "val": "a.txt"},
        "splits: found {'train': 'a.txt', 'val': 'a.txt'}, expected something else for each split",
    ),
    "a group of no kind": (
        BINARY,
        "group",
        {"pattern": "x"},
        "group: found {'pattern': 'x'}, expected a mapping with a",
    ),
    "a group of another kind": (
        BINARY,
        "group",
        {"kind": "tile"},
        "group: found 'tile', expected one of pattern, tiles, table (did you mean 'tiles'?)",
    ),
    "a broken expression": (
        BINARY,
        "group",
        {"kind": "pattern", "pattern": "(x"},
        "group.pattern: found '(x', expected a regular expression: missing ), unterminated subpattern at position 0",
    ),
    "tiles without coordinates": (
        BINARY,
        "group",
        {**TILES, "pattern": r"(?P<x>\d+)-(?P<y>\d+)$"},
        r"group.pattern: found '(?P<x>\\d+)-(?P<y>\\d+)$', expected x, y and zoom in it, as in '(?P<x>\d+)-",
    ),
}


def block(layout: dict[str, Any]) -> dict[str, Any]:
    view = "binary" if "threshold" in layout else "classes"
    source = {"kind": "folder", "path": "pictures"}
    split = {"kind": "shares", "test": 0.1, "val": 0.1}
    return {"name": "folder", "source": source, "views": [view], "layout": layout, "split": split}


def own(layout: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """The dataset beside the repository's own, as changes of params.yaml."""
    return {"datasets/own": block(layout) | changes}


@pytest.mark.parametrize(("layout", "field", "value", "line"), REFUSED.values(), ids=REFUSED)
def test_a_layout_that_does_not_fit_is_named_with_what_was_expected(
    edit: Edit, layout: dict[str, Any], field: str, value: Any, line: str
) -> None:
    changed = {key: one for key, one in {**layout, field: value}.items() if one is not GONE}
    assert complaint(edit, own(changed)).startswith(f"{PATH}.{line}")


@pytest.mark.parametrize(
    "pattern",
    [
        "images",
        "images/*",
        "images/**",
        "images/**.png",
        "images/a**/*.png",
        "images/*_*.png",
        "images/001.png",
        "/home/me/images/*.png",
        "../images/*.png",
        "images/../*.png",
        "images//*.png",
        "images/[ab]*.png",
        "images/?*.png",
        r"images\*.png",
        "{split}/{split}_*.png",
        "{spilt}/*.png",
        "{}/*.png",
    ],
)
def test_a_pattern_that_names_no_images_is_refused(edit: Edit, pattern: str) -> None:
    line = f"{PATH}.images: found {pattern!r}, expected {A_PATTERN}"
    assert complaint(edit, own({**BINARY, "images": pattern})) == line


@pytest.mark.parametrize(
    "pattern",
    ["*.png", "*.*", "**/*.tif", "a/**/b/*_rgb.jpg", "*/images/*.png", "{split}/*.png", "data.v2/{split}_img/x*.webp"],
)
def test_a_pattern_that_names_images_is_taken(edit: Edit, pattern: str) -> None:
    edit(own({**BINARY, "images": pattern}))
    assert params.load().datasets["own"].layout["images"] == pattern


@pytest.mark.parametrize(
    ("layout", "problem"),
    [
        (
            {"images": "images/*.png", "masks": "masks/*.png"},
            "neither `labels` nor `threshold` says what the masks mean: add one of them",
        ),
        (
            {**LABELS, "ignored": [255]},
            "255 has two meanings: give each value of the masks to one class, or to `ignored`",
        ),
        (
            {**COLORS, "ignored": ["#7F0000"]},
            "#7f0000 has two meanings: give each value of the masks to one class, or to `ignored`",
        ),
        ({**LABELS, "labels": {"ground": 0}}, "label table 'classes' has 1 classes, expected 2 to 253"),
    ],
)
def test_masks_without_one_meaning_are_refused(edit: Edit, layout: dict[str, Any], problem: str) -> None:
    assert complaint(edit, own(layout)).startswith(f"{PATH}: {problem}")


def test_a_view_is_called_by_the_kind_of_the_masks(edit: Edit) -> None:
    line = "datasets.own.views: dataset 'folder' has no view 'classes' (there is: binary)"
    assert complaint(edit, own(BINARY, views=["classes"])) == line


def test_a_dataset_that_knows_its_layout_takes_none(edit: Edit) -> None:
    line = (
        "datasets.drone.layout: dataset 'drone' knows its own layout: take `layout:` away, or use the dataset 'folder'"
    )
    assert complaint(edit, {"datasets/drone/layout": BINARY}) == line


def test_the_label_table_is_part_of_the_prepared_block(edit: Edit) -> None:
    """How colours become raw ids stands there too, so that preprocess needs nothing else."""
    prepared = {"dataset": "own", "view": "classes", "size": [96, 128]}
    edit(own({**COLORS, "ignored": ["#000000"]}) | {"prepared/own": prepared})
    labels = params.resolve(params.load())["prepared"]["own"]["labels"]
    assert labels == {
        "name": "classes",
        "classes": [
            {"name": "ground", "color": [0, 255, 0], "raw_ids": [0]},
            {"name": "house", "color": [255, 0, 0], "raw_ids": [1, 2]},
        ],
        "ignored": [3],
        "encoding": {"channel": None, "colors": [[0, 255, 0], [255, 0, 0], [127, 0, 0], [0, 0, 0]]},
    }


def test_a_layout_comes_back_from_its_resolved_file_as_it_was_written(edit: Edit) -> None:
    layout = {**BINARY, "images": "{split}/*.png", "splits": {"train": "a", "test": "b"}, "group": TILES}
    edit(own(layout))
    assert params.dataset("own").layout == layout


def test_a_demo_may_take_the_groups_away(edit: Edit) -> None:
    demo = {"source": {"kind": "fabricated", "images": 4, "size": [96, 128]}, "layout": {"group": None}}
    edit(own({**BINARY, "group": {"kind": "pattern", "pattern": "^tile"}}, demo=demo))
    assert params.load(profile="demo").datasets["own"].layout["group"] is None
    assert params.load(profile="full").datasets["own"].layout["group"] == {"kind": "pattern", "pattern": "^tile"}


def guide() -> list[Any]:
    """The YAML of docs/your-own-data.md: first whole blocks, then what may stand under `layout:`."""
    text = (ROOT / "docs/your-own-data.md").read_text("utf-8")
    written = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    return [YAML(typ="safe", pure=True).load(textwrap.dedent(yaml)) for yaml in written]


def test_the_blocks_of_the_guide_are_valid_beside_the_others(edit: Edit) -> None:
    blocks = guide()[0]
    edit({f"{kind}/{name}": block for kind, named in blocks.items() for name, block in named.items()})
    for profile in ("demo", "full"):
        resolved = params.resolve(params.load(profile=profile))
        names = [label["name"] for label in resolved["prepared"]["buildings"]["labels"]["classes"]]
        assert names == ["background", "building"]
        assert resolved["experiments"]["unet_buildings"]["optimizer"]["lr"] == 0.001


@pytest.mark.parametrize("written", guide()[1:], ids=lambda written: "-".join(written))
def test_every_recipe_of_the_guide_is_a_layout(edit: Edit, written: dict[str, Any]) -> None:
    meaning = {} if "labels" in written else {"threshold": 127}
    layout = {"images": "images/*.png", "masks": "masks/*.png"} | meaning | written
    edit(own(layout))
    assert params.load().datasets["own"].layout == layout
