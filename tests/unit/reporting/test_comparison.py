"""The table that git keeps, and the copies beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from segpipe import artifacts
from segpipe.reporting import comparison, evidence, wording

if TYPE_CHECKING:
    from tests.unit.reporting.conftest import Project


def written_rows() -> dict[str, dict[str, str]]:
    comparison.write(evidence.gather().experiments)
    return {row["experiment"]: row for row in artifacts.read_rows(artifacts.COMPARISON)}


def test_a_row_holds_the_scores_to_the_last_digit(small_project: Project) -> None:
    path = artifacts.evaluation("unet_two") / "metrics.json"
    # By hand, from the counts [[50, 10], [5, 35]]: IoU 50/65 and 35/50, recall 50/60 and 35/40, accuracy 85/100.
    by_hand = {"miou": (50 / 65 + 35 / 50) / 2, "mpa": (50 / 60 + 35 / 40) / 2, "pixel_accuracy": 0.85}
    artifacts.write_json(path, {**artifacts.read_json(path), **by_hand, "data": "ab" * 32, "checkpoint": "cd" * 32})
    row = written_rows()["unet_two"]
    assert {score: float(row[score]) for score in by_hand} == by_hand
    assert (row["data"], row["checkpoint"]) == ("abababababab", "cdcdcdcdcdcd")
    assert (row["model"], row["prepared"], row["split"], row["epochs"]) == ("unet", "drone_two", "test", "12")
    assert (row["parameters"], row["trainable_parameters"]) == ("27000000", "9000000")
    assert (row["fabricated"], row["weights"], row["note"]) == ("True", "random: mechanics only", "")


def test_an_experiment_without_scores_keeps_its_row_and_says_why(small_project: Project) -> None:
    small_project.add_experiment("atrous_five", "drone_five", model="atrous_unet")
    artifacts.write_json(artifacts.augmented("drone_five_500") / "manifest.json", {})
    artifacts.write_text(artifacts.weights("resnet50"), "")
    rows = written_rows()
    assert list(rows) == ["atrous_five", "segformer_five", "uformer_five", "unet_five", "unet_two"]
    assert (
        rows["atrous_five"]["note"]
        == "data/checkpoints/atrous_five/run.json is missing: run `dvc repro train@atrous_five`"
    )
    assert rows["uformer_five"]["note"].startswith("data/evaluations/uformer_five/metrics.json is missing")
    assert {rows["uformer_five"][score] for score in comparison.SCORES} == {""}


def test_a_metric_that_does_not_exist_is_an_empty_field(small_project: Project) -> None:
    path = artifacts.evaluation("unet_two") / "metrics.json"
    artifacts.write_json(path, {**artifacts.read_json(path), "resolution_ceiling": None})
    assert written_rows()["unet_two"]["resolution_ceiling"] == ""


def test_slower_hardware_leaves_the_table_as_it_was(small_project: Project) -> None:
    before = written_rows()
    path = artifacts.evaluation("unet_two") / "cost.json"
    artifacts.write_json(path, {**artifacts.read_json(path), "latency_ms": 999.0})
    assert written_rows() == before


def test_what_was_selected_reads_as_words() -> None:
    chosen = {"checkpoint": "val", "temperature": "val"}
    assert wording.sentence(chosen) == "checkpoint on val, temperature on val"
    assert wording.sentence({}) == ""


def test_copies_are_equal_to_the_last_byte(small_project: Project) -> None:
    comparison.copy_evaluations(evidence.gather().experiments)
    for name in ("unet_two", "unet_five", "segformer_five"):
        for file in ("metrics.json", "image_counts.csv"):
            assert (artifacts.report(name) / file).read_bytes() == (artifacts.evaluation(name) / file).read_bytes()
    assert not artifacts.report("uformer_five").exists()


def test_only_folders_of_dropped_experiments_that_hold_nothing_but_copies_are_removed(small_project: Project) -> None:
    dropped, annotated = artifacts.report("dropped"), artifacts.report("annotated")
    for folder, files in {dropped: ["metrics.json"], annotated: ["metrics.json", "notes.md"]}.items():
        folder.mkdir(parents=True)
        for file in files:
            (folder / file).write_text("kept by hand")
    comparison.copy_evaluations(evidence.gather().experiments)
    assert not dropped.exists()
    assert sorted(path.name for path in annotated.iterdir()) == ["metrics.json", "notes.md"]


def test_dvc_metrics_shows_the_scores_of_each_set_side_by_side(small_project: Project) -> None:
    comparison.write(evidence.gather().experiments)
    summary = artifacts.read_json(comparison.SUMMARY)
    assert {name: sorted(scored) for name, scored in summary.items()} == {
        "drone_five": ["segformer_five", "unet_five"],  # the third one is not scored
        "drone_two": ["unet_two"],
    }
    metrics = artifacts.read_json(artifacts.evaluation("unet_two") / "metrics.json")
    assert summary["drone_two"]["unet_two"]["miou"] == metrics["miou"]
