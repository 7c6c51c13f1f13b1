"""The folder dataset: how files become pairs, splits and groups, in layouts of all kinds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from segpipe.datasets import Dataset, opened

BINARY: dict[str, Any] = {"images": "images/*.png", "masks": "masks/*.png", "threshold": 127, "positive": "building"}
TILES = {"kind": "tiles", "pattern": r"(?P<x>\d+)-(?P<y>\d+)-(?P<zoom>\d+)$", "zoom": 19}


def folder(**layout: Any) -> Dataset:
    return opened("folder", BINARY | layout)


def put(root: Path, *places: str) -> Path:
    """Empty files: which pairs there are is known without opening any."""
    for place in places:
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        (root / place).touch()
    return root


def listed(dataset: Dataset, root: Path) -> list[tuple[str, str, str]]:
    """The pairs: name, image and mask."""
    view = next(iter(dataset.VIEWS))
    pairs = dataset.pairs(root, view)
    return [(p.name, p.image.relative_to(root).as_posix(), p.mask.relative_to(root).as_posix()) for p in pairs]


def splits(dataset: Dataset, root: Path) -> dict[str, str | None]:
    return {pair.name: pair.official_split for pair in dataset.pairs(root, "binary")}


def groups(dataset: Dataset, root: Path) -> dict[str, str]:
    return {pair.name: pair.group for pair in dataset.pairs(root, "binary")}


# Pairs


def test_images_and_masks_belong_together_by_what_the_star_matches(tmp_path: Path) -> None:
    put(tmp_path, "images/b.png", "masks/b.png", "images/a.b.png", "masks/a.b.png", "images/notes.txt", "labels.json")
    assert listed(folder(), tmp_path) == [
        ("a.b", "images/a.b.png", "masks/a.b.png"),
        ("b", "images/b.png", "masks/b.png"),
    ]


def test_what_has_no_partner_is_left_over(tmp_path: Path) -> None:
    put(tmp_path, "images/a.png", "images/b.png", "masks/b.png", "masks/c.png")
    assert listed(folder(), tmp_path) == [("b", "images/b.png", "masks/b.png")]
    assert folder().unpaired(tmp_path, "binary") == [tmp_path / "images/a.png", tmp_path / "masks/c.png"]


@pytest.mark.parametrize(
    ("images", "masks"),
    [
        ("*.png", "*_mask.png"),
        ("*_rgb.png", "*.png"),
        ("*_rgb.png", "*_mask.png"),
        ("*.png", "*_m.*"),
        ("*.*", "*.png"),
    ],
)
def test_a_suffix_is_no_part_of_the_name_even_in_one_folder(tmp_path: Path, images: str, masks: str) -> None:
    image, mask = (pattern.replace(".*", ".jpg").replace("*", "7") for pattern in (images, masks))
    put(tmp_path, image, mask)
    dataset = folder(images=images, masks=masks)
    assert listed(dataset, tmp_path) == [("7", image, mask)]
    assert dataset.unpaired(tmp_path, "binary") == []


def test_sub_folders_are_part_of_the_name(tmp_path: Path) -> None:
    put(tmp_path, "rgb/1.png", "rgb/a/1.png", "rgb/a/b/1.png", "gt/1_m.png", "gt/a/1_m.png", "gt/a/b/1_m.png")
    dataset = folder(images="rgb/**/*.png", masks="gt/**/*_m.png")
    assert [name for name, _, _ in listed(dataset, tmp_path)] == ["1", "a/1", "a/b/1"]
    assert listed(dataset, tmp_path)[1] == ("a/1", "rgb/a/1.png", "gt/a/1_m.png")


def test_a_star_for_a_folder_is_part_of_the_name(tmp_path: Path) -> None:
    put(tmp_path, "Berlin/rgb/1.png", "Berlin/gt/1.png", "Bonn/rgb/1.png", "Bonn/gt/1.png", "x/Bonn/rgb/2.png")
    dataset = folder(images="*/rgb/*.png", masks="*/gt/*.png")
    assert [name for name, _, _ in listed(dataset, tmp_path)] == ["Berlin/1", "Bonn/1"]


def test_any_ending_of_an_image_is_taken_in_any_case(tmp_path: Path) -> None:
    endings = ["png", "JPG", "jpeg", "tif", "TIFF", "bmp", "webp"]
    put(tmp_path, *(f"images/{e}.{e}" for e in endings), "images/x.gif", "images/x.txt")
    put(tmp_path, *(f"masks/{e}.png" for e in endings), "masks/x.png")
    assert {name for name, _, _ in listed(folder(images="images/*.*"), tmp_path)} == set(endings)


def test_an_image_that_is_there_twice_is_named(tmp_path: Path) -> None:
    put(tmp_path, "images/1.jpg", "images/1.png", "masks/1.png")
    with pytest.raises(
        ValueError, match=r"are both '1' among the images, where one was expected\. Take one away"
    ) as twice:
        folder(images="images/*.*").pairs(tmp_path, "binary")
    assert {"images/1.jpg", "images/1.png"} <= set(str(twice.value).split())


def test_what_is_hidden_is_no_image(tmp_path: Path) -> None:
    put(tmp_path, "images/1.png", "masks/1.png", "images/._1.png", ".cache/images/2.png", "images/.ipynb/3.png")
    dataset = folder(images="images/**/*.png")
    assert dataset.find_root(tmp_path) == tmp_path
    assert listed(dataset, tmp_path) == [("1", "images/1.png", "masks/1.png")]
    assert dataset.unpaired(tmp_path, "binary") == []


# The root


def test_the_root_is_the_outermost_folder_with_both(tmp_path: Path) -> None:
    put(
        tmp_path,
        "images/readme.png",
        "a/b/images/1.png",
        "a/b/masks/1.png",
        "a/b/old/images/1.png",
        "a/b/old/masks/1.png",
    )
    assert folder().find_root(tmp_path) == tmp_path / "a/b"


def test_several_roots_side_by_side_are_refused_by_name(tmp_path: Path) -> None:
    put(tmp_path, *(f"x/{split}/{kind}/1.png" for split in ("val", "train") for kind in ("images", "masks")))
    with pytest.raises(ValueError, match="holds images and masks in each of x/train, x/val, where one such folder was"):
        folder().find_root(tmp_path)


@pytest.mark.parametrize(
    ("places", "said"),
    [
        (["masks/1.png"], r"holds no images 'images/\*\.png', where both were expected\. Correct the patterns in the"),
        (["images/1.png"], r"holds no masks 'masks/\*\.png', where both"),
        ([], r"holds no images 'images/\*\.png' and no masks 'masks/\*\.png', where both"),
        (["a/images/1.png", "b/masks/1.png"], "holds images and masks, but not in one folder, where both"),
    ],
)
def test_a_folder_that_does_not_fit_is_told_what_it_lacks(tmp_path: Path, places: list[str], said: str) -> None:
    with pytest.raises(FileNotFoundError, match=said):
        folder().find_root(put(tmp_path, *places))


# Splits


SPLIT_FOLDERS = {"images": "{split}/x/*.png", "masks": "{split}/y/*.png"}


def test_a_folder_tells_the_split(tmp_path: Path) -> None:
    put(tmp_path, *(f"{s}/{kind}/1.png" for s in ("train", "val", "test", "extra") for kind in "xy"))
    dataset = folder(**SPLIT_FOLDERS)
    assert splits(dataset, tmp_path) == {"test/1": "test", "train/1": "train", "val/1": "val"}
    assert groups(dataset, tmp_path) == {name: name for name in ("test/1", "train/1", "val/1")}
    assert dataset.unpaired(tmp_path, "binary") == []


def test_a_split_may_have_another_word(tmp_path: Path) -> None:
    put(tmp_path, *(f"{s}/{kind}/1.png" for s in ("Training", "valid") for kind in "xy"))
    dataset = folder(**SPLIT_FOLDERS, splits={"train": "Training", "val": "valid"})
    assert splits(dataset, tmp_path) == {"train/1": "train", "val/1": "val"}


def test_a_split_that_only_the_masks_tell_is_known(tmp_path: Path) -> None:
    put(tmp_path, "images/1.png", "images/2.png", "masks/train/1.png", "masks/test/2.png")
    dataset = folder(masks="masks/{split}/*.png", splits={"train": "train", "test": "test"})
    assert splits(dataset, tmp_path) == {"1": "train", "2": "test"}


def test_a_split_without_a_file_is_refused_with_its_word(tmp_path: Path) -> None:
    put(tmp_path, *(f"{s}/{kind}/1.png" for s in ("train", "valid", "test") for kind in "xy"))
    with pytest.raises(ValueError, match=r"no file of the split val, where 'val' was expected for `\{split\}` in a"):
        folder(**SPLIT_FOLDERS).pairs(tmp_path, "binary")


@pytest.fixture
def four(tmp_path: Path) -> Path:
    return put(tmp_path, *(f"{kind}/{name}.png" for kind in ("images", "masks") for name in "abcd"))


def write(root: Path, **texts: str) -> None:
    for name, text in texts.items():
        (root / f"{name}.txt").write_text(text, encoding="utf-8")


def test_lists_tell_the_split_with_endings_or_without(four: Path) -> None:
    write(four, train="a\r\nb.png\r\n\r\n", val="\ufeffc.JPG\n", test=" d ")
    assert splits(folder(splits="{split}.txt"), four) == {"a": "train", "b": "train", "c": "val", "d": "test"}


def test_lists_may_be_named_one_by_one(four: Path) -> None:
    write(four, seen="a\nb\nc", unseen="d")
    dataset = folder(splits={"train": "seen.txt", "test": "unseen.txt"})
    assert splits(dataset, four) == {"a": "train", "b": "train", "c": "train", "d": "test"}


def test_a_listed_name_without_an_image_is_given_with_its_line(four: Path) -> None:
    write(four, train="a\n\nb\ne\n", val="c", test="d")
    with pytest.raises(
        ValueError, match=r"train\.txt, line 4, names 'e', where an image's name was expected, such as '"
    ):
        folder(splits="{split}.txt").pairs(four, "binary")


def test_a_name_in_two_lists_is_refused(four: Path) -> None:
    write(four, train="a\nb", val="c", test="d\nb")
    with pytest.raises(ValueError, match=r"'b' stands in the lists of train and of test, where one was expected"):
        folder(splits="{split}.txt").pairs(four, "binary")


def test_a_list_that_is_missing_is_named(four: Path) -> None:
    write(four, train="a", test="d")
    with pytest.raises(FileNotFoundError, match=r"val\.txt is not in .*, where it was expected\. Add it, or correct"):
        folder(splits="{split}.txt").pairs(four, "binary")


# Groups


def test_without_groups_every_image_stands_for_itself(four: Path) -> None:
    assert groups(folder(), four) == {"a": "a", "b": "b", "c": "c", "d": "d"}


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        (r"^(\d{3})", ["001", "001", "002"]),
        (r"^\d+_[ab]", ["001_a", "001_b", "002_a"]),
        (r"(\d+)_(\w)", ["001-a", "001-b", "002-a"]),
    ],
)
def test_a_pattern_finds_the_group_in_the_name(tmp_path: Path, pattern: str, expected: list[str]) -> None:
    names = ["001_a_7", "001_b_8", "002_a_9"]
    put(tmp_path, *(f"{kind}/{name}.png" for kind in ("images", "masks") for name in names))
    dataset = folder(group={"kind": "pattern", "pattern": pattern})
    assert groups(dataset, tmp_path) == dict(zip(names, expected, strict=True))


def test_a_group_is_found_in_the_name_without_its_split(tmp_path: Path) -> None:
    put(tmp_path, *(f"{s}/{kind}/0{i}_x.png" for s, i in (("train", 1), ("val", 2), ("test", 1)) for kind in "xy"))
    dataset = folder(**SPLIT_FOLDERS, group={"kind": "pattern", "pattern": r"^(\d+)_"})
    assert groups(dataset, tmp_path) == {"train/01_x": "01", "val/02_x": "02", "test/01_x": "01"}


def test_a_name_without_a_group_is_refused_with_its_file(four: Path) -> None:
    put(four, "images/007.png", "masks/007.png")
    with pytest.raises(
        ValueError, match=r"^[abcd]\.png: its name '[abcd]' does not match '\^\(\\d\)', where every name"
    ):
        folder(group={"kind": "pattern", "pattern": r"^(\d)"}).pairs(four, "binary")


def test_map_tiles_are_grouped_by_the_tile_that_they_lie_in(tmp_path: Path) -> None:
    """1238427 = 4 * 309606 + 3 and 1046544 = 4 * 261636; 619213 = 2 * 309606 + 1 and 523272 = 2 * 261636."""
    names = ["OAM-1238427-1046544-21", "OAM-619213-523272-20", "OAM-309606-261636-19", "OAM-1238428-1046544-21"]
    put(tmp_path, *(f"{kind}/{name}.png" for kind in ("images", "masks") for name in names))
    found = groups(folder(group=TILES), tmp_path)
    assert [found[name] for name in names] == ["19-309606-261636"] * 3 + ["19-309607-261636"]


def test_a_tile_that_spans_several_groups_is_refused(tmp_path: Path) -> None:
    put(tmp_path, "images/5-6-18.png", "masks/5-6-18.png")
    with pytest.raises(ValueError, match=r"5-6-18\.png is a tile of zoom 18, where 19 or more was expected"):
        folder(group=TILES).pairs(tmp_path, "binary")


def test_a_table_names_the_group_of_each_image(four: Path) -> None:
    (four / "groups.csv").write_text("group,name,by\nnorth,a,me\nnorth,b.png,me\nsouth,c,me\nsouth,d,me\neast,x,me\n")
    dataset = folder(group={"kind": "table", "path": "groups.csv"})
    assert groups(dataset, four) == {"a": "north", "b": "north", "c": "south", "d": "south"}


@pytest.mark.parametrize("text", ["name,group\na,north\nb,\n", "image;place\na;north\n", "name,group\na,north\n"])
def test_an_incomplete_table_of_groups_is_refused(four: Path, text: str) -> None:
    (four / "groups.csv").write_text(text)
    with pytest.raises(
        ValueError, match=r"groups\.csv gives no group to (a, )?b, c.*, where columns name and group were"
    ):
        folder(group={"kind": "table", "path": "groups.csv"}).pairs(four, "binary")
