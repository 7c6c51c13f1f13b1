from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from PIL import Image

from segpipe.acquisition.scenery.aerial import scenes
from segpipe.datasets import Dataset, drone
from segpipe.preparation.audit import audit
from segpipe.preparation.splits import draw_order

OURS = SimpleNamespace(kind="shares", test=1, val=1)
HELD_OUT = SimpleNamespace(kind="official", held_out=0.5)


def only(findings: list[dict[str, Any]]) -> dict[str, Any]:
    assert [finding["check"] for finding in findings] == [findings[0]["check"]]
    return findings[0]


def grained(picture: np.ndarray, strength: int) -> np.ndarray:
    """The picture with other noise, the stronger the farther from it."""
    noise = np.random.default_rng(strength).integers(0, strength, picture.shape, np.uint8)
    noisy: np.ndarray = np.minimum(picture, 255 - strength) + noise
    return noisy


def test_an_unknown_raw_id_is_named_with_its_pixels_and_files(ledger: Any) -> None:
    mask = ledger.raw_mask(0)
    mask[:3, :4] = 34
    ledger.plant("train_e_1", ledger.picture(50), mask)
    fault = only(ledger.faults())
    assert fault["files"] == ["files/masks/train_e_1.png"]
    assert (
        "34 (12 pixels in 1 file, first masks/train_e_1.png). Add them to segpipe/datasets/ledger.py"
        in fault["message"]
    )
    assert ledger.report()["views"]["named"]["raw_ids"]["34"] == {"pixels": 12, "files": 1, "means": "unknown"}


def test_an_unknown_raw_id_in_several_masks_is_counted_over_all_of_them(ledger: Any) -> None:
    for name, pixels in (("train_a_1", 5), ("val_c_1", 7)):
        mask = np.array(Image.open(ledger.mask(name)))
        mask[0, :pixels] = 34
        Image.fromarray(mask).save(ledger.mask(name))
    fault = only(ledger.faults())
    assert fault["files"] == ["files/masks/train_a_1.png", "files/masks/val_c_1.png"]
    assert "34 (12 pixels in 2 files, first masks/train_a_1.png)" in fault["message"]


def test_an_id_that_the_published_drone_map_forgets_is_reported_with_count_and_files(tmp_path: Path) -> None:
    raw, destination = tmp_path / "raw", tmp_path / "audit"
    drone.fabricate(raw / "files", scenes(seed=2, count=6, size=(48, 64)))
    (raw / "source.json").write_text('{"dataset": "drone"}')
    first, second, *_ = drone.pairs(raw / "files", "drone_binary")
    for pair, forgotten, pixels in ((first, 21, 10), (second, 21, 4), (second, 23, 1)):
        mask = np.array(Image.open(pair.mask))
        mask[-forgotten, :pixels] = forgotten
        Image.fromarray(mask).save(pair.mask)
    with pytest.raises(
        ValueError, match=r"label table 'drone_binary' neither maps nor ignores: 21 \(14 pixels in 2 files"
    ):
        audit("drone", cast(Dataset, drone), ("drone_binary", "drone_5"), OURS, 0, raw, destination)
    report = json.loads((destination / "audit.json").read_text("utf-8"))
    fault = only(report["faults"])
    assert "23 (1 pixels in 1 file, first images_semantic/001.png)" in fault["message"]
    folder = "files/binary_dataset/binary_dataset/images_semantic"
    assert fault["files"] == [f"{folder}/000.png", f"{folder}/001.png"]
    assert report["views"]["drone_binary"]["raw_ids"]["21"] == {"pixels": 14, "files": 2, "means": "unknown"}
    assert "forgets the original ids 21, 22 and 23" in report["notes"][-1]["message"]


def test_an_image_without_a_mask_is_named(ledger: Any) -> None:
    ledger.mask("val_c_1").unlink()
    fault = only(ledger.faults())
    assert (fault["check"], fault["files"]) == ("partner", ["files/images/val_c_1.png"])


def test_a_mask_without_an_image_is_named(ledger: Any) -> None:
    ledger.image("val_c_1").unlink()
    fault = only(ledger.faults())
    assert (fault["check"], fault["files"]) == ("partner", ["files/masks/val_c_1.png"])


def test_a_truncated_png_is_named(ledger: Any) -> None:
    path = ledger.image("val_c_1")
    path.write_bytes(path.read_bytes()[:-2000])
    fault = only(ledger.faults())
    assert (fault["check"], fault["files"]) == ("unreadable", ["files/images/val_c_1.png"])


def test_a_truncated_jpeg_is_named(ledger: Any) -> None:
    path = ledger.image("val_c_1").with_suffix(".jpg")
    ledger.image("val_c_1").unlink()
    Image.fromarray(ledger.picture(4)).save(path)
    path.write_bytes(path.read_bytes()[:-300])
    fault = only(ledger.faults())
    assert (fault["check"], fault["files"]) == ("unreadable", ["files/images/val_c_1.jpg"])


def test_an_empty_file_is_named(ledger: Any) -> None:
    ledger.mask("val_c_1").write_bytes(b"")
    assert "masks/val_c_1.png (empty file)" in only(ledger.faults())["message"]


def test_a_file_that_is_no_image_is_named(ledger: Any) -> None:
    ledger.mask("val_c_1").write_text("<html>Please log in</html>")
    assert "masks/val_c_1.png (not an image)" in only(ledger.faults())["message"]


def test_a_mask_of_another_size_than_its_image_is_named(ledger: Any) -> None:
    ledger.plant("val_c_1", ledger.picture(4, (60, 80)), ledger.raw_mask(4, (80, 60)))
    assert "images/val_c_1.png (60x80, mask 80x60)" in only(ledger.faults())["message"]


def test_a_16_bit_mask_is_refused(ledger: Any) -> None:
    ledger.plant("val_c_1", ledger.picture(4), ledger.raw_mask(4).astype(np.uint16))
    assert "masks/val_c_1.png (16 bits a channel)" in only(ledger.faults())["message"]


def test_a_16_bit_colour_mask_is_refused_though_pillow_reads_it_as_8_bit(ledger: Any) -> None:
    import cv2

    cv2.imwrite(str(ledger.mask("val_c_1")), np.ones((60, 80, 3), np.uint16))
    assert "masks/val_c_1.png (16 bits a channel)" in only(ledger.faults())["message"]


def test_a_colour_mask_is_refused(ledger: Any) -> None:
    ledger.plant("val_c_1", ledger.picture(4), ledger.picture(4))
    assert "masks/val_c_1.png (mask whose channels differ)" in only(ledger.faults())["message"]


def test_a_transparent_mask_is_refused(ledger: Any) -> None:
    mask = np.dstack([ledger.raw_mask(4)] * 3 + [np.full((60, 80), 254, np.uint8)])
    ledger.plant("val_c_1", ledger.picture(4), mask)
    assert "masks/val_c_1.png (mask with transparent pixels)" in only(ledger.faults())["message"]


@pytest.mark.parametrize("mode", ["P", "RGB", "RGBA", "LA"])
def test_other_modes_are_read_as_the_same_ids(ledger: Any, mode: str) -> None:
    before = ledger.audit()["views"]["named"]["raw_ids"]
    ids = Image.fromarray(np.asarray(Image.open(ledger.mask("val_c_1"))))
    if mode == "P":
        ids.putpalette([255 - i // 3 for i in range(768)])
    else:
        ids = ids.convert(mode)
    ids.save(ledger.mask("val_c_1"))
    assert Image.open(ledger.mask("val_c_1")).mode == mode
    assert ledger.audit()["views"]["named"]["raw_ids"] == before


def test_an_image_that_is_turned_by_its_tag_is_refused(ledger: Any) -> None:
    tags = Image.Exif()
    tags[0x0112] = 6
    ledger.image("val_c_1").unlink()
    Image.fromarray(ledger.picture(4)).save(ledger.image("val_c_1").with_suffix(".jpg"), exif=tags)
    fault = only(ledger.faults())
    assert (fault["check"], fault["files"]) == ("orientation", ["files/images/val_c_1.jpg"])


def test_one_name_for_two_pairs_is_refused(ledger: Any) -> None:
    pairs = ledger.module.pairs
    ledger.module.pairs = lambda root, view: pairs(root, view) + pairs(root, view)[:1]
    assert "name" in {fault["check"] for fault in ledger.faults()}


def test_the_same_picture_on_both_sides_of_our_split_is_a_fault(ledger: Any) -> None:
    for other in ("train_b_1", "val_c_1", "test_d_1"):
        ledger.plant(other, ledger.picture(4), ledger.raw_mask(len(other)))
    fault = only(ledger.faults(OURS))
    assert fault["check"] == "duplicate"
    assert "give them one group in segpipe/datasets/ledger.py" in fault["message"]


def test_the_same_picture_on_both_sides_of_an_official_split_is_a_note(ledger: Any) -> None:
    shutil.copy(ledger.image("train_a_1"), ledger.image("val_c_1"))
    note = only(ledger.audit()["notes"])
    assert "images/train_a_1.png (train) = images/val_c_1.png (val)" in note["message"]


def test_the_same_picture_twice_in_a_split_is_a_note(ledger: Any) -> None:
    shutil.copy(ledger.image("train_a_1"), ledger.image("train_b_1"))
    note = only(ledger.audit()["notes"])
    assert "within a split: images/train_a_1.png = images/train_b_1.png" in note["message"]


def test_a_near_twin_across_our_split_is_a_fault(ledger: Any) -> None:
    for i, other in enumerate(("train_a_1", "train_b_1", "val_c_1", "test_d_1")):
        ledger.plant(other, ledger.picture(4) + np.uint8(2 * i), ledger.raw_mask(i))
    fault = only(ledger.faults(OURS))
    assert (fault["check"], len(fault["files"])) == ("twin", 4)


def held_out_flights(ledger: Any) -> tuple[str, str]:
    """Two images to train on and none to test; of the two, the one that still trains, and the one that is held out."""
    for path in (ledger.image("test_d_1"), ledger.mask("test_d_1")):
        path.unlink()
    held_out = min("ab", key=lambda group: draw_order(0, group))
    return f"train_{'ba'['ab'.index(held_out)]}_1", f"train_{held_out}_1"


def test_a_near_twin_between_train_and_its_held_out_part_is_ours_and_a_fault(ledger: Any) -> None:
    train, val = held_out_flights(ledger)
    ledger.plant(val, np.asarray(Image.open(ledger.image(train))) + np.uint8(3), ledger.raw_mask(4))
    fault = only(ledger.faults(HELD_OUT))
    assert fault["check"] == "twin"
    assert f"images/{train}.png (train)" in fault["message"]
    assert f"images/{val}.png (val)" in fault["message"]


def test_the_same_picture_in_train_and_in_its_held_out_part_is_ours_and_a_fault(ledger: Any) -> None:
    train, val = held_out_flights(ledger)
    shutil.copy(ledger.image(train), ledger.image(val))
    assert only(ledger.faults(HELD_OUT))["check"] == "duplicate"


@pytest.mark.parametrize(("check", "brighter"), [("duplicate", 0), ("twin", 3)])
def test_across_the_official_boundary_it_stays_a_note_when_a_part_is_held_out(
    ledger: Any, check: str, brighter: int
) -> None:
    _, val = held_out_flights(ledger)
    ledger.plant("val_c_1", np.asarray(Image.open(ledger.image(val))) + np.uint8(brighter), ledger.raw_mask(4))
    note = only(ledger.audit(HELD_OUT)["notes"])
    assert note["check"] == check
    assert "of the official split" in note["message"]
    assert "images/val_c_1.png (test)" in note["message"]


def test_a_nearer_twin_beyond_the_official_boundary_does_not_hide_one_beyond_ours(ledger: Any) -> None:
    train, val = held_out_flights(ledger)
    picture = np.asarray(Image.open(ledger.image(train)))
    ledger.plant("val_c_1", grained(picture, 2), ledger.raw_mask(4))
    ledger.plant(val, grained(picture, 9), ledger.raw_mask(5))
    ledger.fill("val_e_1")
    ledger.plant("val_e_1", grained(np.asarray(Image.open(ledger.image(val))), 2), ledger.raw_mask(6))
    (fault,) = ledger.faults(HELD_OUT)
    assert fault["files"] == sorted([f"files/images/{train}.png", f"files/images/{val}.png"])
    (note,) = ledger.report()["notes"]
    assert len(note["files"]) == 4


def test_a_near_twin_across_an_official_split_is_a_note(ledger: Any) -> None:
    ledger.plant("val_c_1", ledger.picture(4) + np.uint8(3), ledger.raw_mask(4))
    ledger.plant("train_a_1", ledger.picture(4), ledger.raw_mask(5))
    note = only(ledger.audit()["notes"])
    assert "nearly the same" in note["message"]
    assert note["files"] == ["files/images/train_a_1.png", "files/images/val_c_1.png"]


def test_a_group_on_both_sides_of_an_official_split_is_a_note(ledger: Any) -> None:
    ledger.fill("val_a_2")
    assert only(ledger.audit()["notes"])["message"] == "1 group on several sides of the official split: a"


def test_a_class_that_is_missing_from_train_is_a_fault(ledger: Any) -> None:
    for name in ("train_a_1", "train_b_1"):
        mask = ledger.raw_mask(0)
        mask[mask == 7] = 1
        ledger.plant(name, ledger.picture(sum(name.encode())), mask)
    assert "no pixel of house in the train split" in only(ledger.faults())["message"]


def test_a_class_that_is_missing_from_val_is_a_note(ledger: Any) -> None:
    ledger.plant("val_c_1", ledger.picture(4), np.where(ledger.raw_mask(4) == 7, np.uint8(9), np.uint8(1)))
    assert [n["check"] for n in ledger.audit()["notes"]] == ["single class", "class presence"]


def test_a_mask_of_nothing_but_ignored_pixels_is_a_fault(ledger: Any) -> None:
    ledger.plant("train_e_1", ledger.picture(50), np.full((60, 80), 9, np.uint8))
    assert only(ledger.faults())["files"] == ["files/masks/train_e_1.png"]
    assert "all" in ledger.audit(views=("all",))["views"]


def test_masks_of_a_single_class_are_counted(ledger: Any) -> None:
    ledger.plant("train_e_1", ledger.picture(50), np.full((60, 80), 7, np.uint8))
    assert only(ledger.audit()["notes"])["message"].startswith("1 mask of a single class in view 'named'")


def test_a_fault_in_a_file_with_spaces_and_letters_of_all_alphabets_names_it_in_full(ledger: Any) -> None:
    ledger.fill("val_Åse Straße_дом 日 é")
    ledger.mask("val_Åse Straße_дом 日 é").write_bytes(b"")
    fault = only(ledger.faults())
    assert fault["message"].startswith("masks/val_Åse Straße_дом 日 é.png (empty file). ")
    assert fault["files"] == ["files/masks/val_Åse Straße_дом 日 é.png"]


def test_the_error_is_three_lines_at_most_and_points_to_the_report(ledger: Any) -> None:
    ledger.mask("val_c_1").write_bytes(b"")
    ledger.image("test_d_1").unlink()
    ledger.plant("train_e_1", ledger.picture(50), ledger.raw_mask(4, (80, 60)))
    ledger.plant("train_f_1", ledger.picture(51), np.full((60, 80), 34, np.uint8))
    with pytest.raises(ValueError) as error:
        ledger.audit()
    lines = str(error.value).split("\n")
    assert lines[0].startswith("masks/val_c_1.png (empty file). ")
    assert lines[1].startswith("masks/test_d_1.png in view 'named' without a partner. ")
    assert lines[2] == f"... and 2 more: see {ledger.destination / 'audit.json'}"
    assert (ledger.destination / "contact_sheet.png").exists()


def test_a_message_names_three_files_and_counts_the_others(ledger: Any) -> None:
    for i in range(5):
        ledger.fill(f"train_g_{i}")
        ledger.mask(f"train_g_{i}").write_bytes(b"")
    fault = only(ledger.faults())
    assert "masks/train_g_2.png (empty file) and 2 more. " in fault["message"]
    assert len(fault["files"]) == 5
