"""Image files in, masks and a table out: names and sub-folders are kept, and what cannot be read is listed."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from segpipe.devices import Machine
from segpipe.inference.files import overlay, predict_files, sources
from segpipe.inference.usable_model import UsableModel
from segpipe.labels import Label, LabelTable
from segpipe.layers.segmentation_model import SegmentationModel
from segpipe.params import Evaluation

LABELS = LabelTable("colours", tuple(Label(name, color, (i,)) for i, (name, color) in enumerate(
    [("red", (200, 0, 0)), ("green", (0, 100, 0)), ("blue", (0, 0, 50))]
)))  # fmt: skip
RED, GREEN, BLUE = (250, 0, 0), (0, 250, 0), (0, 0, 250)


class ByColour(SegmentationModel):
    """Says of each pixel which channel is the strongest."""

    def __init__(self) -> None:
        super().__init__((0.0,) * 3, (1.0,) * 3)

    def cell_logits(self, images: Tensor) -> Tensor:
        return images


@pytest.fixture
def usable() -> UsableModel:
    here = Machine(torch.device("cpu"), "fp32")
    return UsableModel("colours", ByColour().eval(), LABELS, (8, 8), "area", Evaluation(), here, {})


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def picture(path: str, left: tuple[int, int, int], right: tuple[int, int, int], size: tuple[int, int] = (8, 8)) -> None:
    """Two halves of one colour each."""
    pixels = np.zeros((*size, 3), np.uint8)
    pixels[:, : size[1] // 2], pixels[:, size[1] // 2 :] = left, right
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def names(*inputs: str, outside: str = "out") -> list[str]:
    return [source.name.as_posix() for source in sources(list(inputs), Path(outside))]


def predict(usable: UsableModel, *inputs: str) -> tuple[dict[Path, str], list[dict[str, str]]]:
    unread = predict_files(usable, sources(list(inputs), Path("out")), Path("out"), None)
    with Path("out/images.csv").open(newline="") as file:
        return unread, list(csv.DictReader(file))


def test_a_mask_holds_class_ids_at_the_size_of_its_image_and_shows_their_colours(usable: UsableModel) -> None:
    picture("in/a.png", RED, BLUE, (20, 30))
    unread, rows = predict(usable, "in")
    mask = Image.open("out/masks/a.png")
    assert (np.asarray(mask)[:, :15] == 0).all()
    assert (np.asarray(mask)[:, 15:] == 2).all()
    assert np.asarray(mask.convert("RGB"))[0, [0, -1]].tolist() == [[200, 0, 0], [0, 0, 50]]
    assert unread == {}
    assert {key: rows[0][key] for key in ("image", "height", "width", "status")} == {
        "image": "in/a.png",
        "height": "20",
        "width": "30",
        "status": "ok",
    }
    assert [float(rows[0][f"share_{name}"]) for name in ("red", "green", "blue")] == [0.5, 0.0, 0.5]
    assert float(rows[0]["seconds"]) > 0


def test_an_overlay_lies_half_way_between_the_image_and_the_colours(usable: UsableModel) -> None:
    image = np.full((1, 2, 3), 100, np.uint8)
    assert overlay(image, np.array([[0, 1]], np.uint8), LABELS).tolist() == [[[150, 50, 50], [50, 100, 50]]]
    picture("in/a.jpg", RED, GREEN)
    predict(usable, "in")
    assert Image.open("out/overlays/a.jpg").size == (8, 8)


def test_sub_folders_and_names_are_kept_and_other_files_left_alone(usable: UsableModel) -> None:
    for name in ("in/one/a.png", "in/two/deep/a.PNG", "in/b.name.jpg", "in/.hidden/c.png"):
        picture(name, RED, GREEN)
    Path("in/notes.txt").write_text("no image")
    unread, rows = predict(usable, "in")
    assert unread == {}
    found = sorted(path.relative_to("out/masks").as_posix() for path in Path("out/masks").rglob("*.png"))
    assert found == ["b.name.png", "one/a.png", "two/deep/a.png"]
    assert [row["image"] for row in rows] == ["in/b.name.jpg", "in/one/a.png", "in/two/deep/a.PNG"]


def test_a_pattern_keeps_what_lies_below_its_fixed_part() -> None:
    for name in ("in/one/a.png", "in/two/a.png", "in/two/b.jpg"):
        picture(name, RED, GREEN)
    assert names("in/*/a.png") == ["one/a", "two/a"]
    assert names("in/**/*.jpg", "in/one/a.png") == ["a", "two/b"]
    assert names(str(Path("in/tw?/*").absolute())) == ["two/a", "two/b"]


def test_images_that_differ_in_their_suffix_alone_keep_it() -> None:
    for name in ("in/a.png", "in/a.jpg", "in/b.png"):
        picture(name, RED, GREEN)
    assert names("in") == ["a.jpg", "a.png", "b"]


def test_an_image_that_is_meant_twice_is_predicted_once() -> None:
    picture("in/a.png", RED, GREEN)
    assert names("in", "in/a.png", "in/*.png") == ["a"]


def test_two_images_that_would_have_one_mask_are_refused_by_name() -> None:
    picture("in/one/a.png", RED, GREEN)
    picture("in/two/a.png", RED, GREEN)
    with pytest.raises(ValueError, match="masks/a") as refusal:
        names("in/one", "in/two")
    assert "in/one/a.png and in/two/a.png" in str(refusal.value)


def test_earlier_results_are_no_images(usable: UsableModel) -> None:
    picture("a.png", RED, GREEN)
    predict(usable, ".")
    assert names(".") == ["a"]


@pytest.mark.parametrize("given", ["nowhere", "in/*.png", "no/*/where.png", "in"])
def test_what_means_no_image_at_all_is_refused(given: str) -> None:
    Path("in").mkdir()
    with pytest.raises(FileNotFoundError, match=given.replace("*", r"\*")):
        names(given)


def test_what_cannot_be_read_is_listed_and_the_rest_is_predicted(usable: UsableModel) -> None:
    picture("in/a.png", RED, GREEN)
    Path("in/b.png").write_bytes(b"no image")
    whole = Path("in/a.png").read_bytes()
    Path("in/c.png").write_bytes(whole[: len(whole) // 2])
    turned = Image.new("RGB", (8, 8)).getexif()
    turned[0x0112] = 6
    Image.new("RGB", (8, 8)).save("in/d.jpg", exif=turned)
    picture("in/e.png", RED, GREEN)
    unread, rows = predict(usable, "in")
    assert {path.name for path in unread} == {"b.png", "c.png", "d.jpg"}
    assert unread[Path("in/b.png")].startswith("not an image.")
    assert "EXIF orientation 6" in unread[Path("in/d.jpg")]
    status = {row["image"]: row["status"] for row in rows}
    assert [name for name, said in status.items() if said == "ok"] == ["in/a.png", "in/e.png"]
    assert "EXIF orientation 6" in status["in/d.jpg"]
    assert sorted(path.name for path in Path("out/masks").iterdir()) == ["a.png", "e.png"]


def test_an_image_larger_than_pillow_would_take_is_read(usable: UsableModel, monkeypatch: pytest.MonkeyPatch) -> None:
    picture("in/a.png", RED, GREEN, (30, 40))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    unread, _ = predict(usable, "in")
    assert unread == {}
    assert Image.MAX_IMAGE_PIXELS == 100


def test_the_classes_are_written_beside_the_masks(usable: UsableModel) -> None:
    picture("in/a.png", RED, GREEN)
    predict(usable, "in")
    assert Path("out/classes.csv").read_text().splitlines() == [
        "id,name,color",
        "0,red,#c80000",
        "1,green,#006400",
        "2,blue,#000032",
    ]


def test_how_to_predict_may_be_asked_for(usable: UsableModel) -> None:
    """At its own size the left column is one pixel wide; resized to 8x8 it would be lost in its neighbours."""
    pixels = np.zeros((8, 64, 3), np.uint8)
    pixels[...], pixels[:, 0] = GREEN, RED
    Image.fromarray(pixels).save("thin.png")
    for how, expected in ((None, 0), (Evaluation(window=(8, 8)), 8)):
        predict_files(usable, sources(["thin.png"], Path("out")), Path("out"), how)
        assert int((np.asarray(Image.open("out/masks/thin.png")) == 0).sum()) == expected
