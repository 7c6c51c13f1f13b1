"""What the stages are told: complete with defaults, written only when changed, from params.yaml or `resolve`."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import segpipe
from segpipe import artifacts, params
from segpipe.datasets.drone import VIEWS
from segpipe.parallel import in_processes
from tests.unit.params.conftest import BINARY, ROOT, Edit


def resolved() -> dict[str, dict[str, dict[str, Any]]]:
    return params.resolve(params.load())


def test_an_experiment_resolves_with_every_default_filled_in(edit: Edit) -> None:
    edit({"profile": "full"})
    block = resolved()["experiments"]["unet_drone_binary"]
    assert block.keys() == params.Experiment.model_fields.keys() - {"description", "evaluation"}
    expected = {
        "prepared": "drone_binary",
        "augmented": "drone_binary_500",
        "weights": "resnet34_imagenet",
        "model": {"name": "unet", "frozen": True, "decoder_channels": [256, 128, 64, 32, 16], "separable": "none"},
        "loss": {"name": "tversky", "alpha": 0.5, "beta": 0.5},
        "class_weights": "none",
        "recipe": "none",
        "sampler": "every_image",
        "optimizer": {"name": "adam", "lr": 0.001, "weight_decay": 0.0, "momentum": 0.9},
        "schedule": {"kind": "plateau", "factor": 0.1, "patience": 3},
        "epochs": 30,
        "batch": 16,
        "checkpoint": "best",
        "seed": 7,
    }
    assert {key: block[key] for key in expected} == expected


def test_how_an_experiment_is_scored_lies_apart_so_that_a_change_trains_nothing(edit: Edit) -> None:
    edit({f"{BINARY}/evaluation": {"split": "val", "scales": [1.0, 2.0]}})
    blocks = resolved()
    scored = blocks["evaluations"][BINARY.rpartition("/")[2]]
    assert (scored["split"], scored["scales"], scored["flips"]) == ("val", [1.0, 2.0], False)
    edit({f"{BINARY}/evaluation": None})
    assert resolved()["experiments"] == blocks["experiments"]
    assert resolved()["evaluations"][BINARY.rpartition("/")[2]]["split"] == "test"


def test_a_dataset_and_its_copies_resolve_to_the_demo_in_the_demo(edit: Edit) -> None:
    edit()
    blocks = resolved()
    assert blocks["datasets"]["drone"] == {
        "name": "drone",
        "source": {"kind": "fabricated", "images": 120, "size": [192, 256]},
        "views": ["drone_binary", "drone_5"],
        "layout": {},
        "split": {"kind": "shares", "test": 30, "val": 0.2},
        "seed": 7,
        "parts": blocks["datasets"]["drone"]["parts"],
    }
    assert blocks["augmented"]["drone_5_500"] == {"prepared": "drone_5", "copies": 60, "seed": 7}


def test_a_prepared_set_carries_the_label_table_of_its_view(edit: Edit) -> None:
    edit()
    block = json.loads(json.dumps(resolved()["prepared"]["drone_5"]))
    assert {key: block[key] for key in ("dataset", "view", "size", "interpolation")} == {
        "dataset": "drone",
        "view": "drone_5",
        "size": [96, 128],
        "interpolation": "area",
    }
    assert block["labels"] == {
        "name": "drone_5",
        "ignored": [],
        "classes": [
            {"name": label.name, "color": list(label.color), "raw_ids": list(label.raw_ids)}
            for label in VIEWS["drone_5"].classes
        ],
        "encoding": {"channel": None, "colors": []},
    }


def test_a_seed_of_its_own_wins_over_the_common_one(edit: Edit) -> None:
    edit({"seed": 11, f"{BINARY}/seed": 0})
    experiments = resolved()["experiments"]
    assert (experiments["unet_drone_binary"]["seed"], experiments["unet_drone_5"]["seed"]) == (0, 11)


def test_what_stands_behind_an_experiment_is_all_of_it_and_nothing_else(edit: Edit) -> None:
    edit()
    behind = params.everything_behind("unet_drone_5", resolved())
    assert {kind: list(blocks) for kind, blocks in behind.items()} == {
        "experiments": ["unet_drone_5"],
        "evaluations": ["unet_drone_5"],
        "prepared": ["drone_5"],
        "augmented": ["drone_5_500"],
        "weights": ["resnet34_imagenet"],
        "datasets": ["drone"],
    }
    with pytest.raises(ValueError, match=r"no 'unet_drone_6' \(did you mean 'unet_drone_5'\?\)"):
        params.everything_behind("unet_drone_6", resolved())


def files_with_times() -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in sorted(artifacts.RESOLVED.rglob("*.json"))}


def test_every_block_becomes_one_file_and_nothing_else_lies_there(edit: Edit) -> None:
    edit()
    blocks = resolved()
    params.write_resolved(blocks)
    expected = {artifacts.resolved(kind, name) for kind, named in blocks.items() for name in named}
    assert {path for path in artifacts.RESOLVED.rglob("*") if path.is_file()} == expected
    written = artifacts.read_json(artifacts.resolved("experiments", "unet_drone_5"))
    assert written == blocks["experiments"]["unet_drone_5"]


def test_files_are_left_untouched_when_nothing_changed(edit: Edit) -> None:
    edit()
    params.write_resolved(resolved())
    before = files_with_times()
    params.write_resolved(resolved())
    assert files_with_times() == before


def write_many(first: int) -> None:
    for number in range(first, first + 150):
        params.write_resolved({"weights": {name: {"number": number} for name in "abcd"}})


def test_processes_that_resolve_at_once_do_not_meet_in_the_middle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of one training, after params.yaml was edited: each finds the files old, and replaces them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SEGPIPE_WORKERS", "2")
    assert list(in_processes(write_many, [0, 100])) == [None, None]
    written = {path.name: artifacts.read_json(path)["number"] for path in artifacts.RESOLVED.glob("weights/*")}
    assert written in [dict.fromkeys(("a.json", "b.json", "c.json", "d.json"), number) for number in (149, 249)]


def test_a_changed_value_is_written_and_a_block_that_is_gone_takes_its_file_along(edit: Edit) -> None:
    edit()
    params.write_resolved(resolved())
    artifacts.write_json(artifacts.resolved("experiments", "long_gone"), {})
    edit({f"{BINARY}/demo/epochs": 11, "gates": {}})
    params.write_resolved(resolved())
    assert artifacts.read_json(artifacts.resolved("experiments", "unet_drone_binary"))["epochs"] == 11
    assert not artifacts.resolved("experiments", "long_gone").exists()
    assert not artifacts.resolved("gates", "drone_binary").exists()


def test_a_demo_value_changes_no_file_of_the_full_profile(edit: Edit) -> None:
    edit({"profile": "full"})
    before = json.dumps(resolved())
    edit({"profile": "full", f"{BINARY}/demo/epochs": 11, "datasets/drone/demo/source/images": 30})
    assert json.dumps(resolved()) == before


def test_by_hand_a_stage_follows_params_yaml_as_it_stands(edit: Edit) -> None:
    edit()
    assert params.experiment("unet_drone_binary").epochs == 10
    edit({f"{BINARY}/demo/epochs": 12})
    assert params.experiment("unet_drone_binary").epochs == 12


def test_under_dvc_a_stage_follows_what_resolve_wrote(edit: Edit, monkeypatch: pytest.MonkeyPatch) -> None:
    edit()
    params.write_resolved(resolved())
    monkeypatch.setenv("DVC_STAGE", "train@unet_drone_binary")
    edit({f"{BINARY}/demo/epochs": 12})
    assert params.experiment("unet_drone_binary").epochs == 10
    Path("params.yaml").write_text("not: even: yaml")
    assert params.experiment("unet_drone_binary").epochs == 10


@pytest.mark.parametrize("by_dvc", [True, False])
def test_every_block_reads_back_as_it_was_resolved(edit: Edit, monkeypatch: pytest.MonkeyPatch, by_dvc: bool) -> None:
    edit()
    params.write_resolved(resolved())
    if by_dvc:
        monkeypatch.setenv("DVC_STAGE", "any")
    assert params.dataset("drone").views == ("drone_binary", "drone_5")
    assert params.prepared("drone_5").size == (96, 128)
    assert params.prepared("drone_5").labels["name"] == "drone_5"
    assert params.augmented("drone_binary_0").copies == 0
    assert params.weights("resnet34_imagenet").source.kind == "random"
    assert params.experiment("unet_drone_5").model.options["decoder_channels"] == [256, 128, 64, 32, 16]
    assert params.gates()["drone_binary"].floors == {"miou": 0.70, "per_class.*.iou": 0.50}


@pytest.mark.parametrize("by_dvc", [True, False])
def test_a_name_that_params_yaml_does_not_have_gets_the_nearest(
    edit: Edit, monkeypatch: pytest.MonkeyPatch, by_dvc: bool
) -> None:
    edit()
    params.write_resolved(resolved())
    if by_dvc:
        monkeypatch.setenv("DVC_STAGE", "any")
    with pytest.raises(ValueError) as refused:
        params.experiment("unet_drone_binay")
    message = "params.yaml: experiments: there is no 'unet_drone_binay' (did you mean 'unet_drone_binary'?)"
    assert str(refused.value) == message


def test_the_environment_describes_the_machine_before_the_file_does(
    edit: Edit, monkeypatch: pytest.MonkeyPatch
) -> None:
    edit({"hardware": {"device": "cuda", "precision": "bf16", "workers": 3}})
    assert params.hardware() == params.Hardware(device="cuda", precision="bf16", workers=3)
    for name, value in (("DEVICE", "cpu"), ("PRECISION", "fp32"), ("WORKERS", "5")):
        monkeypatch.setenv(f"SEGPIPE_{name}", value)
    assert params.hardware() == params.Hardware(device="cpu", precision="fp32", workers=5)


def test_a_machine_without_a_block_gets_what_fits_any(edit: Edit, tmp_path: Path) -> None:
    blocks: tuple[Any, ...] = ({}, None)
    for block in blocks:
        (tmp_path / "params.yaml").write_text(json.dumps({"hardware": block}))
        assert params.hardware() == params.Hardware(device="auto", precision="auto", workers=0)


@pytest.mark.parametrize(
    ("variable", "value"), [("SEGPIPE_WORKERS", "many"), ("SEGPIPE_WORKERS", "-2"), ("SEGPIPE_PRECISION", "fp31")]
)
def test_a_variable_that_does_not_fit_is_named_as_what_it_is(
    edit: Edit, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    edit()
    monkeypatch.setenv(variable, value)
    with pytest.raises(ValueError) as refused:
        params.hardware()
    assert variable in str(refused.value)
    assert f"found '{value}'" in str(refused.value)


def test_the_machine_is_part_of_no_block(edit: Edit) -> None:
    edit({"hardware": {"workers": 1}})
    before = json.dumps(resolved())
    edit({"hardware": {"workers": 2, "device": "cpu"}})
    assert json.dumps(resolved()) == before


def test_the_command_line_shows_what_an_experiment_resolves_to(edit: Edit) -> None:
    edit()
    done = subprocess.run(
        [sys.executable, "-m", "segpipe", "params", "unet_drone_5", "--profile", "full"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    from ruamel.yaml import YAML

    shown = YAML(typ="safe", pure=True).load(done.stdout)
    expected = params.everything_behind("unet_drone_5", params.resolve(params.load(profile="full")))
    assert shown == json.loads(json.dumps(expected))


def test_a_sum_of_losses_resolves_to_the_hashes_of_the_files_that_it_is_made_of(edit: Edit) -> None:
    terms = [{"name": "dice"}, {"name": "focal", "weight": 0.5}]
    edit({f"{BINARY}/loss": {"name": "weighted_sum", "terms": terms}})
    folder = Path(segpipe.__file__).parent / "losses"
    parts = resolved()["experiments"]["unet_drone_binary"]["parts"]
    for name in ("dice", "focal"):
        assert parts[f"losses/{name}.py"] == hashlib.sha256((folder / f"{name}.py").read_bytes()).hexdigest()


def test_a_dataset_resolves_to_the_hashes_of_the_files_that_its_own_imports(edit: Edit) -> None:
    layout = {"images": "images/*.png", "masks": "masks/*.png", "threshold": 127}
    mine = {"name": "folder", "source": {"kind": "folder", "path": "x"}, "views": ["binary"], "layout": layout}
    edit({"datasets/mine": {**mine, "split": {"kind": "shares", "test": 0.2, "val": 0.2}}})
    assert resolved()["datasets"]["mine"]["parts"].keys() == {"datasets/_layout.py"}
