"""The gate opens only for what it could check: everything missing, broken or worse keeps it closed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from segpipe import artifacts
from segpipe.params import Gate
from segpipe.promotion.gate import Check, markdown, run_gate, verdict

ROOT = Path(__file__).parents[3]
CLASSES = ("ground", "house")
IMAGES = 20
FLOORS = {"miou": 0.5, "per_class.*.iou": 0.4}


@pytest.fixture(autouse=True)
def reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An evaluated experiment, as `report` leaves it."""
    monkeypatch.chdir(tmp_path)
    write_report(0.8)
    return tmp_path / "reports"


def intersections(quality: float) -> np.ndarray:
    noise = np.random.default_rng(0).integers(-5, 6, (IMAGES, len(CLASSES)))
    return np.asarray(100 * quality + noise, int)


def write_report(quality: float, images: int = IMAGES) -> None:
    """metrics.json and image_counts.csv in which every union is 100 pixels."""
    hits = intersections(quality)[:images]
    iou = (hits.sum(0) / (100 * images)).tolist()
    per_class = {
        name: {"iou": value, "recall": value, "support": 100} for name, value in zip(CLASSES, iou, strict=True)
    }
    content = {
        "experiment": "ours",
        "miou": sum(iou) / 2,
        "boundary_iou": 0.6,
        "images": images,
        "fabricated": True,
        "data": "d1",
        "per_class": per_class,
    }
    artifacts.write_json(artifacts.report("ours") / "metrics.json", content)
    rows = [
        {"image": f"{i:03d}", "class": name, "intersection": hits[i, c], "union": 100, "truth": 90}
        for i in range(images)
        for c, name in enumerate(CLASSES)
    ]
    artifacts.write_rows(artifacts.report("ours") / "image_counts.csv", rows, rows[0])


def change_metrics(**changes: Any) -> None:
    path = artifacts.report("ours") / "metrics.json"
    path.write_text(json.dumps(artifacts.read_json(path) | changes))


def write_champion(quality: float, **changes: Any) -> None:
    hits = intersections(quality)
    counts = {f"{i:03d}": {"intersection": hits[i].tolist(), "union": [100, 100]} for i in range(IMAGES)}
    entry = {"experiment": "theirs", "version": "1", "data": "d1", "counts": counts, **changes}
    artifacts.write_json(artifacts.CHAMPIONS, {"houses": entry})


def gate(**changes: Any) -> Gate:
    return Gate.model_validate({"experiment": "ours", "floors": FLOORS, **changes})


def run(**changes: Any) -> int:
    return run_gate({"houses": gate(**changes)})


def failures(**changes: Any) -> list[Check]:
    return [check for check in verdict("houses", gate(**changes)) if not check.passed]


def table() -> str:
    return artifacts.GATE_TABLE.read_text(encoding="utf-8")


def test_a_good_model_passes_and_the_missing_champion_is_said_aloud() -> None:
    assert run() == 0
    assert "**The gate is open**: all 4 checks passed." in table()
    assert "no champion yet: floors only" in table()
    assert "per_class.ground.iou" in table()
    assert "per_class.house.iou" in table()


def test_a_score_below_its_floor_closes_the_gate() -> None:
    assert run(floors={"miou": 0.95}) == 1
    assert [check.subject for check in failures(floors={"miou": 0.95})] == ["miou"]
    assert "**The gate is closed**: 1 of 2 checks failed." in table()


def test_a_score_on_its_floor_passes() -> None:
    change_metrics(boundary_iou=0.75)
    assert run(floors={"boundary_iou": 0.75}) == 0


def test_one_bad_class_closes_the_gate_for_all() -> None:
    content = artifacts.read_json(artifacts.report("ours") / "metrics.json")
    content["per_class"]["house"]["iou"] = 0.1
    change_metrics(per_class=content["per_class"])
    (failed,) = failures()
    assert (failed.subject, failed.found) == ("per_class.house.iou", "0.1000")


@pytest.mark.parametrize("name", ["metrics.json", "image_counts.csv"])
def test_a_missing_file_closes_the_gate_and_is_named(name: str, reports: Path) -> None:
    (reports / "ours" / name).unlink()
    assert run() == 1
    assert name in table()


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '"text"', "17", '{"miou": 0.9}', '{"miou": 0.9, "per_class": []}']
)
def test_metrics_that_are_something_else_close_the_gate(text: str, reports: Path) -> None:
    (reports / "ours" / "metrics.json").write_text(text)
    write_champion(0.8)
    assert run() == 1
    assert "**FAIL**" in table()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "image,class,intersection,union,truth\n",
        "something,else\n1,2\n",
        "image,class,intersection,union,truth\n000,ground,80,many,90\n",
        "image,class,intersection,union,truth\n000,ground,80,100,90\n000,hou",
        "image,class,intersection,union,truth\n000,ground,80,100,90\n",
    ],
    ids=["empty", "no rows", "other columns", "no number", "cut off in a row", "cut off after a row"],
)
def test_counts_that_are_damaged_close_the_gate(text: str, reports: Path) -> None:
    (reports / "ours" / "image_counts.csv").write_text(text)
    assert run() == 1
    assert "**FAIL**" in table()


def test_bytes_that_are_no_text_close_the_gate(reports: Path) -> None:
    (reports / "ours" / "metrics.json").write_bytes(b"\xff\xfe\x00")
    assert run() == 1


@pytest.mark.parametrize("metric", ["mdice", "per_class.road.iou", "per_class.*.accuracy", "fabricated", "experiment"])
def test_a_floor_for_something_that_is_not_there_closes_the_gate(metric: str) -> None:
    (failed,) = failures(floors={metric: 0.0})
    assert (failed.subject, failed.found) == (metric, "no such metric")


@pytest.mark.parametrize("value", [None, float("nan"), float("inf"), True, "0.9", [0.9]])
def test_a_score_that_is_no_number_closes_the_gate(value: Any) -> None:
    change_metrics(boundary_iou=value)
    (failed,) = failures(floors={"boundary_iou": 0.0})
    assert failed.subject == "boundary_iou"


def test_a_class_without_a_score_closes_the_gate() -> None:
    content = artifacts.read_json(artifacts.report("ours") / "metrics.json")
    content["per_class"]["house"]["iou"] = None
    change_metrics(per_class=content["per_class"])
    assert [check.subject for check in failures(floors={"per_class.*.iou": 0.0})] == ["per_class.house.iou"]


def test_as_good_as_the_champion_passes_even_without_tolerance() -> None:
    write_champion(0.8)
    assert failures(delta=0.0) == []
    assert verdict("houses", gate(delta=0.0))[-1].found == "0.0000"


def test_clearly_better_than_the_champion_passes() -> None:
    write_champion(0.6)
    assert run(delta=0.0) == 0


def test_worse_than_the_champion_by_more_than_delta_closes_the_gate() -> None:
    # Every image is worse by five points in a hundred, so that the bound is -0.05 whatever is drawn.
    write_champion(0.85)
    assert failures(delta=0.051) == []
    (failed,) = failures(delta=0.049)
    assert (failed.required, failed.found) == ("≥ −0.049", "−0.0500")
    assert run(delta=0.049) == 1


def test_a_champion_of_another_gate_is_no_champion_of_this_one() -> None:
    write_champion(0.99)
    artifacts.write_json(artifacts.CHAMPIONS, {"roads": artifacts.read_json(artifacts.CHAMPIONS)["houses"]})
    assert run() == 0


@pytest.mark.parametrize("text", ["", "{", "[]", '"text"'])
def test_a_file_that_holds_no_champions_closes_the_gate(text: str) -> None:
    artifacts.write_text(artifacts.CHAMPIONS, text)
    assert run() == 1
    assert "champion" in failures()[0].found


@pytest.mark.parametrize("entry", [None, 3, "x", {}, [], {"data": "d1"}, {"data": "d1", "counts": []}])
def test_a_damaged_champion_closes_the_gate(entry: Any) -> None:
    artifacts.write_json(artifacts.CHAMPIONS, {"houses": entry})
    assert run() == 1
    assert "champion" in failures()[0].found


@pytest.mark.parametrize(
    "damage", [{"intersection": [80, 80]}, {}, {"intersection": ["a", "b"], "union": [100, 100]}, None]
)
def test_a_champion_with_damaged_counts_closes_the_gate(damage: Any) -> None:
    write_champion(0.8)
    champion = artifacts.read_json(artifacts.CHAMPIONS)
    champion["houses"]["counts"]["003"] = damage
    artifacts.write_json(artifacts.CHAMPIONS, champion)
    assert run() == 1


def test_a_champion_with_other_classes_closes_the_gate() -> None:
    counts = {f"{i:03d}": {"intersection": [10, 10, 10], "union": [100, 100, 100]} for i in range(IMAGES)}
    write_champion(0.8, counts=counts)
    assert run() == 1


@pytest.mark.parametrize("changes", [{"data": "d2"}, {"counts": {"other": {"intersection": [1, 1], "union": [2, 2]}}}])
def test_a_champion_scored_on_other_data_closes_the_gate(changes: dict[str, Any]) -> None:
    write_champion(0.1, **changes)
    (failed,) = failures()
    assert "other data" in failed.found


def test_counts_in_another_order_are_matched_by_image() -> None:
    write_champion(0.85)
    champion = artifacts.read_json(artifacts.CHAMPIONS)
    champion["houses"]["counts"] = dict(reversed(champion["houses"]["counts"].items()))
    artifacts.write_json(artifacts.CHAMPIONS, champion)
    assert verdict("houses", gate())[-1].found == "−0.0500"


def test_the_table_lists_failures_first() -> None:
    checks = [
        Check("m", subject, "r", "f", passed)
        for subject, passed in [("a", True), ("b", False), ("c", True), ("d", False)]
    ]
    rows = [line for line in markdown(checks).splitlines() if line.startswith("|")][2:]
    assert [row.split("|")[3].strip() for row in rows] == ["b", "d", "a", "c"]
    assert ["FAIL" in row for row in rows] == [True, True, False, False]


def test_one_closed_gate_closes_all_of_them() -> None:
    assert run_gate({"open": gate(), "closed": gate(floors={"miou": 0.99})}) == 1
    assert "| closed | miou |" in table()
    assert "| open | miou |" in table()


def test_no_gate_at_all_is_not_an_open_one() -> None:
    with pytest.raises(ValueError, match="gates"):
        run_gate({})


@pytest.mark.parametrize(("floor", "code"), [(0.5, 0), (0.99, 1)])
def test_the_exit_code_is_for_ci_and_nothing_heavy_is_loaded(floor: float, code: int) -> None:
    program = (
        "import sys\nfrom segpipe.params import Gate\nfrom segpipe.promotion.gate import run_gate\n"
        f"code = run_gate({{'houses': Gate(experiment='ours', floors={{'miou': {floor}}})}})\n"
        "print(*{'torch', 'mlflow', 'pandas', 'timm'} & set(sys.modules))\nsys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True
    )
    assert done.returncode == code, done.stderr
    assert done.stdout.strip() == ""
