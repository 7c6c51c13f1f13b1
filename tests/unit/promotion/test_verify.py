"""A registered number is recomputed from the registered weights, and every way of its not being so is told apart."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file

from segpipe import artifacts
from segpipe.checkpoints import save_model
from segpipe.promotion.verify import DIFFERENT, verify
from segpipe.tracking import registry
from tests.unit.promotion.promoting import MODEL, PREPARED, champion, change_test_images
from tests.unit.training.tiny_project import NAME

pytestmark = pytest.mark.slow


def test_the_number_is_the_same_to_the_last_digit_under_each_name_of_the_model(
    registered: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for reference in (MODEL, f"{MODEL}@challenger", f"models:/{MODEL}/1"):
        assert verify(reference) == 0
        said = capsys.readouterr().err
        assert "Equal to the last digit." in said
        assert said.count(repr(champion()["miou"])) == 2
    assert "Data, weights, code, environment and processor are those of then." in said


def test_what_differs_is_named_even_where_the_number_does_not(
    registered: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    registry.tag(MODEL, "1", "machine.processor", "Another Processor")
    Path("requirements.lock").write_text("torch==0.1\n")
    assert verify(MODEL) == 0
    said = capsys.readouterr().err
    assert "processor: Another Processor → " in said
    assert "requirements.lock: unlocked → " in said


def test_other_weights_are_found_out_and_the_pixels_counted(
    registered: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Opposite predictions: what of a class was right is wrong, and what was wrong is right."""
    packed = registry.find(MODEL).files() / "model.safetensors"
    before = packed.read_bytes()
    tensors = load_file(packed)
    for key in [key for key in tensors if key.startswith("classifier")]:
        tensors[key] = tensors[key].flip(0).contiguous()
    try:
        save_model(tensors, packed, NAME)
        assert verify(MODEL) == DIFFERENT
    finally:
        packed.write_bytes(before)
    said = capsys.readouterr().err
    rows = artifacts.read_rows(artifacts.report(NAME) / "image_counts.csv")
    turned = sum(abs(int(row["truth"]) - 2 * int(row["intersection"])) for row in rows)
    assert turned > 3000, "of 3840 that are not ignored"
    assert f"NOT equal: at least {turned} of {4 * 32 * 32} pixels differ." in said
    assert "trained weights: " in said


def test_damaged_data_are_not_taken_for_the_registered_ones(registered: Path) -> None:
    (shard,) = artifacts.prepared(PREPARED).glob("val-*-images.npy")
    images = np.load(shard, mmap_mode="r+")
    images[0, 0, 0, 0] ^= 1
    images.flush()
    with pytest.raises(ValueError, match="is damaged") as refusal:
        verify(MODEL)
    assert "dvc checkout" in str(refusal.value)


def test_data_are_found_by_their_content_under_another_name(registered: Path) -> None:
    artifacts.prepared(PREPARED).rename(artifacts.prepared("renamed"))
    assert verify(MODEL) == 0


def test_data_that_are_nowhere_are_said_to_be_nowhere(registered: Path) -> None:
    shutil.rmtree(artifacts.prepared(PREPARED))
    with pytest.raises(FileNotFoundError, match="dvc pull preprocess@drone_binary"):
        verify(MODEL)


def test_data_that_only_a_remote_has_are_fetched(registered: Path, tmp_path: Path) -> None:
    def dvc(*arguments: str) -> None:
        subprocess.run([sys.executable, "-m", "dvc", *arguments], check=True, capture_output=True)

    dvc("init", "-q")
    dvc("config", "core.analytics", "false")
    dvc("remote", "add", "-q", "-d", "shelf", str(tmp_path / "shelf"))
    folder = artifacts.prepared(PREPARED)
    Path(".gitignore").write_text("/mlflow.db\n/mlartifacts/\n")
    dvc("add", "-q", str(folder))
    dvc("push", "-q")
    identity = ["-c", "user.name=segpipe", "-c", "user.email=segpipe@localhost", "-c", "commit.gpgsign=false"]
    for command in (["add", "-A"], ["commit", "-q", "-m", "Data"]):
        subprocess.run(["git", *identity, *command], check=True, capture_output=True)
    # Today's data are others, and nothing of the old ones is left but what the remote has.
    shutil.rmtree(".dvc/cache")
    change_test_images()
    assert verify(MODEL) == 0
    (fetched,) = artifacts.working("verifying").iterdir()
    assert artifacts.read_json(fetched / "manifest.json")["content"] == champion()["data"]
