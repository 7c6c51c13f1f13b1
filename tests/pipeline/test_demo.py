"""The whole pipeline in a temporary clone: from nothing to a champion, and what runs again after a change."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pytest

from tests.pipeline.conftest import Clone

pytestmark = pytest.mark.slow

METRICS = {"split", "selected_on", "loss", "resolution_ceiling", "miou", "miou_absent_as_zero", "pixel_accuracy"}
METRICS |= {"mpa", "mean_dice", "fwiou", "per_class", "boundary_iou", "miou_small", "ece", "intervals", "temperature"}
OF_A_CLASS = {"iou", "dice", "precision", "recall", "support", "boundary_iou", "iou_small", "iou_medium", "iou_large"}


def stages_run(said: str) -> set[str]:
    return set(re.findall(r"Running stage '([^']+)'", said))


def experiments(project: Clone) -> list[str]:
    return sorted(path.stem for path in (project.folder / "data/resolved/experiments").glob("*.json"))


def test_every_experiment_ends_with_its_files_and_metrics(demo: Clone) -> None:
    for name in experiments(demo):
        checkpoint = demo.folder / "data/checkpoints" / name
        assert {path.name for path in checkpoint.iterdir()} == {
            "model.safetensors",
            "history.csv",
            "timing.csv",
            "run.json",
        }
        metrics = json.loads((demo.folder / "reports" / name / "metrics.json").read_text())
        assert metrics.keys() >= METRICS
        for row in metrics["per_class"].values():
            assert row.keys() == OF_A_CLASS


def test_a_number_from_fabricated_data_is_labelled_so(demo: Clone) -> None:
    metrics = json.loads((demo.folder / "reports/unet_drone_binary/metrics.json").read_text())
    assert metrics["fabricated"] is True
    assert metrics["weights_label"] == "random: mechanics only"
    page = (demo.folder / "reports/index.html").read_text()
    assert "abricated data" in page
    assert "mechanics" in page


def test_the_comparison_has_a_row_for_each_experiment(demo: Clone) -> None:
    with (demo.folder / "reports/comparison.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["experiment"] for row in rows] == experiments(demo)
    assert all(row["note"] == "" for row in rows)


def test_the_best_model_sees_more_than_colour(demo: Clone) -> None:
    best: dict[str, float] = {}
    for name in experiments(demo):
        metrics = json.loads((demo.folder / f"reports/{name}/metrics.json").read_text())
        margin = metrics["miou"] - metrics["colour_alone"]
        best[metrics["prepared"]] = max(margin, best.get(metrics["prepared"], -1.0))
    assert best.keys() == {"drone_binary", "drone_5"}
    assert min(best.values()) >= 0.15, best


def test_the_gate_is_open_and_says_that_there_was_no_champion(demo: Clone) -> None:
    table = (demo.folder / "reports/gate.md").read_text()
    assert table.startswith("**The gate is open**")
    assert "no champion yet: floors only" in table


def test_the_champion_is_registered_with_its_lineage(demo: Clone) -> None:
    program = (
        "import mlflow; client = mlflow.MlflowClient('sqlite:///mlflow.db')\n"
        "version = client.get_model_version_by_alias('drone_binary', 'champion')\n"
        "import json; print(json.dumps(version.tags))"
    )
    tags = json.loads(demo.run("python", "-c", program).stdout.splitlines()[-1])
    metrics = json.loads((demo.folder / "reports/unet_drone_binary/metrics.json").read_text())
    assert tags["checkpoint"] == metrics["checkpoint"]
    assert tags["data"] == metrics["data"]
    assert re.fullmatch("[0-9a-f]{40}", tags["commit"])
    assert tags["dirty"] == "False"


def test_the_curves_are_in_mlflow_under_the_prepared_set(demo: Clone) -> None:
    program = (
        "import mlflow; client = mlflow.MlflowClient('sqlite:///mlflow.db')\n"
        "experiment = client.get_experiment_by_name('drone_binary')\n"
        "runs = client.search_runs([experiment.experiment_id])\n"
        "run, = [run for run in runs if run.info.run_name == 'unet_drone_binary']\n"
        "names = 'val/loss val/miou val/pixel_accuracy val/mpa lr timing/images_per_second'.split()\n"
        "print([[p.step for p in client.get_metric_history(run.info.run_id, n)] for n in names])"
    )
    said = demo.run("python", "-c", program)
    with (demo.folder / "data/checkpoints/unet_drone_binary/history.csv").open() as file:
        epochs = [int(row["epoch"]) for row in csv.DictReader(file)]
    assert said.stdout.splitlines()[-1] == str([epochs] * 6), said.stderr


def test_a_second_repro_has_nothing_to_do(demo: Clone) -> None:
    assert "up to date" in demo.repro()


def test_editing_a_figure_trains_nothing(demo: Clone) -> None:
    figures = demo.folder / "segpipe/reporting/figures.py"
    before = figures.read_text()
    figures.write_text(before + "\n# another colour\n")
    said = demo.repro("--dry")
    figures.write_text(before)
    assert stages_run(said) <= {"report", "gate", "register"}
    assert "report" in stages_run(said)


def test_changing_one_learning_rate_runs_its_own_experiment_again_and_what_lies_behind_it(demo: Clone) -> None:
    params = demo.folder / "params.yaml"
    before = params.read_text()
    own = "demo:\n      <<: *demo\n      optimizer:\n        lr: 0.0031\n"
    generous = "experiment: unet_drone_5\n    delta: 0.1\n"  # whether one model is as good as another is not asked here
    assert before.count("experiment: unet_drone_5\n") == 1
    before = before.replace("experiment: unet_drone_5\n", generous)
    head, block = before.split("  unet_drone_5:\n", 1)
    assert block.count("demo: *demo\n") == 1
    params.write_text(f"{head}  unet_drone_5:\n{block.replace(f'demo: *demo{chr(10)}', own)}")
    said = demo.repro()
    assert stages_run(said) == {
        "resolve",
        "train@unet_drone_5",
        "evaluate@unet_drone_5",
        "report",
        "gate",
        "register",
    }
    params.write_text(before)
    # Going back takes the old results from the cache, and moves the champion back by running register.
    assert "register" in stages_run(demo.repro())


def test_the_committed_files_are_enough_for_the_gate(demo: Clone, tmp_path: Path) -> None:
    shell = Clone(tmp_path)
    for folder in ("segpipe", "stages", "reports"):
        demo.run("cp", "-r", folder, str(tmp_path))
    demo.run("cp", "params.yaml", str(tmp_path))
    assert shell.stage("gate").returncode == 0
