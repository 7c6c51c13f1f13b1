"""A training writes what docs/files.md promises, twice the same, and stops at the first bad number."""

from __future__ import annotations

import csv
import hashlib
import math
import re
import subprocess
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from segpipe import artifacts, params, tracking
from segpipe.checkpoints import Progress, encoder_facts, origin_of
from segpipe.layers import tensor_files
from segpipe.training.loop import Training, train
from tests.unit.training import tiny_project
from tests.unit.training.tiny_project import NAME

HISTORY = (
    "epoch,lr,train_loss,train_tversky,train_miou,train_pixel_accuracy,train_mpa,"
    "val_loss,val_miou,val_pixel_accuracy,val_mpa"
)
ADAM_ALMOST_INFINITE = {"name": "adam", "lr": 1e38}


def rows(name: str) -> list[dict[str, str]]:
    return artifacts.read_rows(artifacts.checkpoint(NAME) / name)


def state() -> Progress:
    training = Training(NAME, params.experiment(NAME))
    progress = training.resume.read()
    assert progress is not None
    return progress


def test_a_training_writes_the_four_files_with_their_columns(project: Path) -> None:
    train(NAME)
    folder = artifacts.checkpoint(NAME)
    assert sorted(path.name for path in folder.iterdir()) == [
        "history.csv",
        "model.safetensors",
        "run.json",
        "timing.csv",
    ]
    assert (folder / "history.csv").read_text().splitlines()[0] == HISTORY
    assert (folder / "timing.csv").read_text().splitlines()[0] == "epoch,seconds,images_per_second,waiting_share"
    assert (
        [row["epoch"] for row in rows("history.csv")] == [row["epoch"] for row in rows("timing.csv")] == ["1", "2", "3"]
    )
    assert all(
        math.isfinite(float(value)) for row in [*rows("history.csv"), *rows("timing.csv")] for value in row.values()
    )
    assert all(0 <= float(row["waiting_share"]) <= 1 for row in rows("timing.csv"))


def test_the_record_names_commit_data_weights_and_run(project: Path) -> None:
    train(NAME)
    run = artifacts.read_json(artifacts.checkpoint(NAME) / "run.json")
    settings = params.experiment(NAME)
    head = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
    encoder = origin_of(NAME, settings)
    manifests = {
        "prepared": artifacts.prepared(settings.prepared) / "manifest.json",
        "augmented": artifacts.augmented(settings.augmented) / "manifest.json",
    }
    assert run["experiment"] == NAME
    assert run["params"] == settings.model_dump(mode="json")
    assert run["classes"] == ["obstacles", "landing-zones"]
    assert run["selected_on"] == {"checkpoint": "val"}
    assert run["lineage"]["commit"] == head
    assert run["lineage"]["dirty"] is False
    assert run["lineage"]["data"] == {key: artifacts.read_json(path)["content"] for key, path in manifests.items()}
    assert run["lineage"]["weights"]["sha256"] == hashlib.sha256(encoder.read_bytes()).hexdigest()
    assert run["lineage"]["weights"]["label"] == encoder_facts(encoder)["label"] == "random: mechanics only"
    assert run["machine"]["device"] == "cpu"
    assert run["machine"]["precision"] == "fp32"
    assert tracking._client().get_run(run["tracking"]["run_id"]).info.experiment_id == run["tracking"]["experiment_id"]


def test_the_frozen_encoder_is_not_in_the_checkpoint(project: Path) -> None:
    train(NAME)
    saved = load_file(artifacts.checkpoint(NAME) / "model.safetensors")
    assert saved
    assert not any(".encoder." in key for key in saved)


def test_two_trainings_end_byte_for_byte_alike(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ends = []
    for run in ("first", "second"):
        tiny_project.copy(template, tmp_path / run, monkeypatch)
        train(NAME)
        ends.append(tiny_project.outputs())
    assert ends[0] == ends[1]


@pytest.mark.slow
def test_another_seed_ends_elsewhere(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ends = []
    for seed in (1, 2):
        tiny_project.copy(template, tmp_path / str(seed), monkeypatch)
        tiny_project.write_params(seed=seed, epochs=1)
        train(NAME)
        ends.append(tiny_project.outputs()["model.safetensors"])
    assert ends[0] != ends[1]


def test_the_best_epoch_is_the_first_with_the_highest_validation_miou(project: Path) -> None:
    training = Training(NAME, params.experiment(NAME))
    training.history = [{"epoch": e, "val_miou": m} for e, m in enumerate((0.2, 0.7, 0.7, 0.6), 1)]
    assert training.best_epoch == 2


def test_the_last_checkpoint_is_selected_on_nothing(project: Path) -> None:
    tiny_project.write_params(checkpoint="last", epochs=2)
    train(NAME)
    run = artifacts.read_json(artifacts.checkpoint(NAME) / "run.json")
    assert run["best_epoch"] == 2
    assert run["selected_on"] == {}
    trained = {key.removeprefix("model."): value for key, value in state().tensors.items() if key.startswith("model.")}
    saved = load_file(artifacts.checkpoint(NAME) / "model.safetensors")
    assert saved.keys() == trained.keys()
    assert all(torch.equal(saved[key], trained[key]) for key in saved)


@pytest.mark.slow
def test_other_params_start_anew_and_drop_the_old_state(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train(NAME)
    first = state().values["history"]
    (kept,) = (project / ".segpipe" / "resume").glob(f"{NAME}-*")
    tiny_project.write_params(optimizer={"name": "adam", "lr": 0.01})
    capsys.readouterr()
    train(NAME)
    assert "going on" not in capsys.readouterr().err
    assert not kept.exists()
    assert float(rows("history.csv")[0]["train_loss"]) != first[0]["train_loss"]


@pytest.mark.slow
def test_a_finished_training_is_exported_again_without_training(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train(NAME)
    before = tiny_project.outputs()
    for path in artifacts.checkpoint(NAME).iterdir():
        path.unlink()
    capsys.readouterr()
    train(NAME)
    assert "going on after epoch 3 of 3" in capsys.readouterr().err
    assert tiny_project.outputs() == before


@pytest.mark.slow
def test_a_bad_number_stops_with_its_batch_and_keeps_the_state(project: Path) -> None:
    settings = params.experiment(NAME)
    train(NAME)
    tiny_project.write_params(epochs=4)
    train_on = Training(NAME, params.experiment(NAME))
    training = Training(NAME, settings)
    done = training.resume.read()
    assert done is not None
    poisoned = {**done.tensors, "model.classifier.0.bias": torch.tensor([float("nan"), 0.0])}
    with train_on.resume.held():
        train_on.resume.write(Progress(poisoned, done.values))
    (file,) = (project / ".segpipe" / "resume").glob("*/state.safetensors")
    before = file.read_bytes()
    with pytest.raises(
        ValueError, match=r"no number in epoch 4, batch 1 \(tversky nan, gradient norm nan\)"
    ) as refusal:
        train(NAME)
    message = str(refusal.value)
    assert message.count("tiny-train-") + message.count("copies-train-") == 4
    assert "optimizer.lr" in message
    assert file.read_bytes() == before


def test_a_step_too_far_stops_within_the_epoch(project: Path) -> None:
    tiny_project.write_params(optimizer=ADAM_ALMOST_INFINITE)
    with pytest.raises(ValueError, match=r"no number in epoch 1, batch 2 "):
        train(NAME)
    left = state().values
    assert left["history"] == []
    assert tracking._client().get_run(left["run_id"]).info.status == "FAILED"


def test_a_last_batch_that_breaks_the_weights_stops_too(project: Path) -> None:
    """One batch an epoch: its loss is sound, and what its step leaves is first seen in validation."""
    tiny_project.write_params(optimizer=ADAM_ALMOST_INFINITE, batch=12)
    with pytest.raises(ValueError, match="no number in epoch 1"):
        train(NAME)
    assert state().values["history"] == []


def test_an_infinite_encoder_weight_stops_the_first_batch(project: Path) -> None:
    path = origin_of(NAME, params.experiment(NAME))
    tensors = {key: value.clone() for key, value in load_file(path).items()}
    facts = encoder_facts(path)
    tensors["conv1.weight"][0, 0, 0, 0] = float("inf")
    tensor_files.write(path, tensors, facts)
    with pytest.raises(ValueError, match="no number in epoch 1, batch 1 "):
        train(NAME)


@pytest.mark.parametrize("split", ["train", "val"])
def test_a_split_without_images_is_refused(split: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny_project.enter(tmp_path, monkeypatch)
    tiny_project.build(splits={name: count for name, count in tiny_project.SPLITS.items() if name != split})
    settings = params.experiment(NAME)
    if split == "train":
        artifacts.write_json(
            artifacts.augmented(settings.augmented) / "manifest.json",
            artifacts.read_json(artifacts.augmented(settings.augmented) / "manifest.json") | {"splits": {}},
        )
    with pytest.raises(ValueError, match=split):
        train(NAME)


def test_a_folder_without_a_commit_is_refused_with_the_cure(project: Path) -> None:
    (project / ".git").rename(project / "no.git")
    with pytest.raises(ValueError, match="git init"):
        train(NAME)


def test_history_reads_back_to_the_last_digit(project: Path) -> None:
    train(NAME)
    with (artifacts.checkpoint(NAME) / "history.csv").open() as file:
        read = [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]
    assert read == state().values["history"]


def test_an_average_is_validated_and_exported_instead_of_the_weights(project: Path) -> None:
    tiny_project.write_params(ema=0.5, checkpoint="last", epochs=2)
    train(NAME)
    tensors, saved = state().tensors, load_file(artifacts.checkpoint(NAME) / "model.safetensors")
    averages = {key.removeprefix("average."): value for key, value in tensors.items() if key.startswith("average.")}
    assert averages
    for key, value in saved.items():
        assert torch.equal(value, averages.get(key, tensors[f"model.{key}"])), key
    assert any(not torch.equal(value, tensors[f"model.{key}"]) for key, value in averages.items())


def test_training_ends_so_many_epochs_after_the_best_one(project: Path) -> None:
    """Nothing is learnt at this rate; only batch norm's statistics still move for some epochs."""
    tiny_project.write_params(optimizer={"name": "sgd", "lr": 1e-30}, epochs=30, stop_after=2, best_by="mpa")
    train(NAME)
    scores = [float(row["val_mpa"]) for row in rows("history.csv")]
    best = scores.index(max(scores)) + 1
    assert len(scores) == best + 2 < 30
    assert all(max(scores[:end]) > max(scores[: end - 2]) for end in range(3, len(scores)))  # not a moment too late
    assert artifacts.read_json(artifacts.checkpoint(NAME) / "run.json")["best_epoch"] == best
    train(NAME)
    assert len(rows("history.csv")) == len(scores)


def test_the_rate_rises_step_by_step_to_what_the_schedule_says(project: Path) -> None:
    tiny_project.write_params(
        optimizer={"name": "sgd", "lr": 0.1}, schedule={"kind": "poly", "power": 1.0}, warmup=1.5, epochs=3
    )
    train(NAME)
    # 12 images in batches of 4: 3 steps an epoch, 4 of warm-up (1.5 * 3 = 4.5); the rate is that of the last step.
    found = [float(row["lr"]) for row in rows("history.csv")]
    assert found == pytest.approx([0.1 * 3 / 4, 0.1 * 2 / 3, 0.1 * 1 / 3])


@pytest.mark.slow
def test_repeats_are_other_seeds_beside_the_training_itself(project: Path) -> None:
    settings = params.experiment(NAME)
    tiny_project.write_params(epochs=1)
    train(NAME)
    once = tiny_project.outputs()
    tiny_project.write_params(epochs=1, repeats=3)
    train(NAME)
    assert tiny_project.outputs() == once
    folder = artifacts.checkpoint(NAME) / "repeats"
    seeds = [str(settings.seed + 1), str(settings.seed + 2)]
    assert sorted(path.name for path in folder.iterdir()) == sorted(seeds)
    ends = {(folder / seed / "model.safetensors").read_bytes() for seed in seeds} | {once["model.safetensors"]}
    assert len(ends) == 3
    for seed in seeds:
        run = artifacts.read_json(folder / seed / "run.json")
        assert run["params"]["seed"] == int(seed)
        assert run["tracking"] is None
        assert sorted(path.name for path in (folder / seed).iterdir()) == [
            "history.csv",
            "model.safetensors",
            "run.json",
            "timing.csv",
        ]
    tiny_project.write_params(epochs=1, seed=settings.seed + 1)
    train(NAME)
    assert tiny_project.outputs()["model.safetensors"] in ends - {once["model.safetensors"]}


@pytest.mark.slow
def test_a_fresh_start_is_forced_by_the_environment(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    train(NAME)
    before = tiny_project.outputs()
    monkeypatch.setenv("SEGPIPE_FRESH", "1")
    capsys.readouterr()
    train(NAME)
    said = capsys.readouterr().err
    assert "going on" not in said
    assert f"{NAME} 1/3: loss" in said
    assert tiny_project.outputs() == before


def test_the_last_line_sums_the_training_up(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train(NAME)
    assert re.search(
        rf"{NAME}: 3 epochs in \d+ s, the best one \d \(val miou 0\.\d{{3}}\), \d+ images/s\n$", capsys.readouterr().err
    )


@pytest.mark.slow
def test_a_compiled_training_learns_the_same_and_its_weights_keep_their_names(
    template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends, scores = [], []
    for compiled in ("false", "true"):
        tiny_project.copy(template, tmp_path / compiled, monkeypatch)
        tiny_project.write_params(epochs=2, optimizer={"name": "sgd", "lr": 0.01})
        monkeypatch.setenv("SEGPIPE_COMPILE", compiled)
        train(NAME)
        ends.append(load_file(artifacts.checkpoint(NAME) / "model.safetensors"))
        scores.append([float(row["val_loss"]) for row in rows("history.csv")])
        run = artifacts.read_json(artifacts.checkpoint(NAME) / "run.json")
        assert run["machine"]["compiled"] is (compiled == "true")
    assert ends[0].keys() == ends[1].keys()
    assert scores[1] == pytest.approx(scores[0], rel=1e-3)
