"""What people see on MLflow's pages: sections, a panel in the note, and whether the data was made up."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segpipe import artifacts, tracking
from segpipe.tracking import pages
from tests.unit.tracking.examples import PARAMS, RECORD, history, timing

COLORS = {"input": (200, 0, 0), "truth": (0, 200, 0), "prediction": (0, 0, 200)}


def picture(folder: Path, name: str, part: str, size: tuple[int, int] = (8, 4)) -> Path:
    """One colour all over; masks are palette files of the class 1."""
    path = folder / f"{name}-{part}.png"
    if part == "input":
        Image.new("RGB", size, COLORS[part]).save(path)
    else:
        mask = Image.new("P", size, 1)
        mask.putpalette([0, 0, 0, *COLORS[part]])
        mask.save(path)
    return path


def prepared(is_fabricated: bool) -> None:
    split = {"images": 3, "shards": []}
    labels = {"classes": [{"name": "tree"}, {"name": "car"}]}
    facts = {"dataset": "towns", "size": [96, 128], "splits": {"train": split, "val": split}, "labels": labels}
    artifacts.write_json(artifacts.prepared("tiles") / "manifest.json", {**facts, "fabricated": is_fabricated})


@pytest.mark.parametrize(
    ("ours", "shown"),
    [
        ("val_miou", "val/miou"),
        ("train_pixel_accuracy", "train/pixel_accuracy"),
        ("test_iou.landing-zones", "test/iou/landing-zones"),
        ("test_miou_small", "test/miou_small"),
        ("test_iou.low/high (both)", "test/iou/low/high _both_"),
        ("lr", "lr"),
        ("validity", "validity"),
    ],
)
def test_a_metric_stands_in_the_section_of_its_split(ours: str, shown: str) -> None:
    assert pages.named({ours: 0.5}) == {shown: 0.5}


def test_an_epoch_opens_with_what_runs_are_compared_by() -> None:
    shown = pages.of_epoch({"epoch": 2, "lr": 0.1, "val_miou": 0.5}, {"epoch": 2, "seconds": 3.0})
    assert list(shown.items()) == [("val/miou", 0.5), ("lr", 0.1), ("timing/seconds", 3.0)]


def test_the_panel_is_a_row_for_each_complete_triple_from_best_to_worst(tmp_path: Path) -> None:
    names = ("worst-1", "best-1", "best-3")  # the third best is not shown
    files = [picture(tmp_path, name, part) for name in names for part in COLORS]
    files.append(picture(tmp_path, "best-2", "input"))  # its masks are missing
    panel = pages.panel(files)
    assert panel is not None
    assert panel.size == (3 * 220 + 2 * 6, 2 * 110 + 6)  # 8x4 pixels become 220x110; gaps of 6
    centers = [panel.getpixel((110 + 226 * column, 55)) for column in range(3)]
    assert centers == list(COLORS.values())
    assert panel.getpixel((223, 55)) == (255, 255, 255)


def test_without_pictures_there_is_no_panel(tmp_path: Path) -> None:
    assert pages.panel([]) is None
    assert pages.panel([picture(tmp_path, "best-1", "input")]) is None


def test_the_note_asks_the_server_for_the_panel_that_is_there(store: Path) -> None:
    run = tracking.begin(RECORD, None)
    for size in ((16, 8), (8, 4)):  # scored twice, with other pictures
        run.log_evaluation({}, [picture(store, "best-1", part, size) for part in COLORS])
    client = tracking._client()
    note = client.get_run(run.id).data.tags["mlflow.note.content"]
    assert note.count(f"(get-artifact?path=panel.jpg&run_uuid={run.id})") == 1
    assert note.startswith("a try\n\n![")
    assert note.endswith("dvc repro evaluate@try_1\n```\n")
    kept = client.download_artifacts(run.id, "panel.jpg")
    seen = np.asarray(Image.open(kept))[55, [110, 336, 562]].astype(int)
    assert np.abs(seen - list(COLORS.values())).max() < 8  # JPEG


def test_a_note_that_somebody_wrote_is_kept_around_the_panel(store: Path) -> None:
    run = tracking.begin(RECORD, None)
    tracking._client().set_tag(run.id, pages.NOTE, "Mine.")
    run.log_evaluation({}, [picture(store, "best-1", part) for part in COLORS])
    assert tracking._client().get_run(run.id).data.tags[pages.NOTE].startswith("Mine.\n\n![")


@pytest.mark.parametrize("is_fabricated", [True, False])
def test_fabricated_data_is_called_so_by_the_run_and_by_its_experiment(store: Path, is_fabricated: bool) -> None:
    prepared(is_fabricated)
    run = tracking.begin(RECORD, None)
    tags = tracking._client().get_run(run.id).data.tags
    assert tags["fabricated_data"] == str(is_fabricated)
    assert ("**fabricated**" in tags[pages.NOTE]) is is_fabricated
    said = tracking._client().get_experiment(run.experiment_id).tags[pages.NOTE]
    facts = "`towns`: 2 classes, 96x128, 3 train, 3 val images"
    assert said == ("**Fabricated data.** " if is_fabricated else "") + facts


def test_a_setting_without_a_value_is_no_parameter(store: Path) -> None:
    run = tracking.begin({**RECORD, "params": {**PARAMS, "description": ""}}, None)
    assert "description" not in tracking._client().get_run(run.id).data.params


def test_a_comparison_opens_with_the_miou_on_val(store: Path) -> None:
    """MLflow takes the metric that its store lists first."""
    run = tracking.begin(RECORD, None)
    run.log_history(history(1), timing(1))
    assert next(iter(tracking._client().get_run(run.id).data.metrics)) == "val/miou"
