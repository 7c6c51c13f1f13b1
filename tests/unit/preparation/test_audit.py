from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

INTERRUPTED = """
import signal
from pathlib import Path
from segpipe.preparation.evidence import gather
from segpipe.datasets import Pair

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for i in range(3000):
        Path(f"{i}.png").symlink_to("image.png")
    print("ready", flush=True)
    gather([Pair(str(i), str(i), Path(f"{i}.png"), Path("mask.png")) for i in range(3000)], "audit")
"""


def counted(files: list[Path]) -> tuple[Counter[int], Counter[int]]:
    """Pixels and files by raw id, counted file by file."""
    pixels: Counter[int] = Counter()
    holding: Counter[int] = Counter()
    for file in files:
        ids, counts = np.unique(np.asarray(Image.open(file)), return_counts=True)
        pixels.update(dict(zip(ids.tolist(), counts.tolist(), strict=True)))
        holding.update(ids.tolist())
    return pixels, holding


def test_the_counts_equal_an_independent_count(ledger: Any) -> None:
    found = ledger.audit(views=("all", "named"))["views"]
    pixels, files = counted(sorted((ledger.raw / "files" / "masks").iterdir()))
    means = {1: "field", 2: "field", 7: "house"}
    for view, ninth in (("all", "void"), ("named", "ignored")):
        expected = {
            str(i): {"pixels": pixels[i], "files": files[i], "means": means.get(i, ninth)} for i in (1, 2, 7, 9)
        }
        assert found[view]["raw_ids"] == expected


def test_each_split_has_its_own_counts(ledger: Any) -> None:
    train = ledger.audit()["views"]["named"]["splits"]["train"]
    pixels, _ = counted([ledger.mask("train_a_1"), ledger.mask("train_b_1")])
    assert train == {
        "images": 2,
        "groups": 2,
        "classes": {
            "field": {"pixels": pixels[1] + pixels[2], "images": 2},
            "house": {"pixels": pixels[7], "images": 2},
        },
        "ignored": pixels[9],
    }


def test_classes_sizes_and_source_are_told(ledger: Any) -> None:
    ledger.plant("val_e_1", ledger.picture(5, (30, 40)), ledger.raw_mask(5, (30, 40)))
    report = ledger.audit()
    assert report["dataset"] == "ledger"
    assert report["source"] == {"dataset": "ledger", "kind": "folder"}
    assert report["views"]["named"]["sizes"] == {"60x80": 4, "30x40": 1}
    assert report["views"]["named"]["classes"][1] == {"name": "house", "color": [200, 70, 60]}


def test_a_sound_dataset_has_neither_faults_nor_notes(ledger: Any) -> None:
    report = ledger.audit()
    assert report["faults"] == report["notes"] == []


def test_what_is_known_to_be_wrong_is_noted(ledger: Any) -> None:
    ledger.module.NOTES = ("the map forgets id 21",)
    assert ledger.audit()["notes"] == [{"check": "known", "message": "the map forgets id 21", "files": []}]


def test_the_proven_pairs_are_listed_with_paths_from_the_raw_folder(ledger: Any) -> None:
    ledger.plant("val_e_1", ledger.picture(5), ledger.raw_mask(5, (30, 40)))
    ledger.faults()
    with (ledger.destination / "pairs.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == ["test_d_1", "train_a_1", "train_b_1", "val_c_1"]
    assert rows[1] == {
        "view": "named",
        "split": "train",
        "group": "a",
        "name": "train_a_1",
        "image": "files/images/train_a_1.png",
        "mask": "files/masks/train_a_1.png",
        "height": "60",
        "width": "80",
    }


def test_the_contact_sheet_shows_the_labels_in_their_colours(ledger: Any) -> None:
    ledger.audit()
    sheet = np.asarray(Image.open(ledger.destination / "contact_sheet.png"))
    for color in ((90, 160, 70), (200, 70, 60)):
        assert (sheet == color).all(2).sum() > 1000


def test_names_with_spaces_and_letters_of_all_alphabets_work(ledger: Any) -> None:
    ledger.fill("val_Åse Straße 7_é", "val_дом_日")
    report = ledger.audit()
    assert report["views"]["named"]["splits"]["val"]["images"] == 3
    assert "val_Åse Straße 7_é" in (ledger.destination / "pairs.csv").read_text("utf-8")


def test_drawn_again_every_file_is_the_same(ledger: Any) -> None:
    ledger.audit()
    first = {path.name: path.read_bytes() for path in ledger.destination.iterdir()}
    ledger.audit()
    assert {path.name: path.read_bytes() for path in ledger.destination.iterdir()} == first
    assert sorted(first) == ["audit.json", "contact_sheet.png", "pairs.csv"]


def test_several_processes_find_the_same(ledger: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = ledger.audit()
    monkeypatch.setenv("SEGPIPE_WORKERS", "2")
    assert ledger.audit() == alone


def test_an_unknown_view_is_refused_with_the_nearest_name(ledger: Any) -> None:
    with pytest.raises(ValueError, match=r"no view 'name' in segpipe/datasets/ledger.py \(did you mean 'named'\?\)"):
        ledger.audit(views=("name",))


def test_a_view_without_a_pair_is_refused(ledger: Any) -> None:
    for mask in (ledger.raw / "files" / "masks").iterdir():
        mask.unlink()
    with pytest.raises(ValueError, match="no pair for view 'named'"):
        ledger.audit()


def test_an_interrupt_ends_it_within_a_second(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((800, 800, 3), np.uint8)).save(tmp_path / "image.png")
    Image.fromarray(np.zeros((800, 800), np.uint8)).save(tmp_path / "mask.png")
    (tmp_path / "run.py").write_text(INTERRUPTED)
    project = str(Path(__file__).parents[3])
    environment = os.environ | {"PYTHONPATH": project, "SEGPIPE_WORKERS": "2"}
    command = [sys.executable, "run.py"]
    process = subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    )
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(1)
    began = time.monotonic()
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert time.monotonic() - began < 2
    assert process.returncode == -signal.SIGINT
    assert errors.decode().count("Traceback") == 1


def test_the_report_is_json_that_anything_reads(ledger: Any) -> None:
    ledger.audit()
    content = json.loads((ledger.destination / "audit.json").read_text("utf-8"), parse_constant=pytest.fail)
    assert list(content) == ["dataset", "source", "faults", "notes", "views"]
