"""Models and half-done trainings come back from disk as they were, and nothing else is taken for them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from segpipe.checkpoints import (
    Progress,
    ResumeFile,
    build_model,
    encoder_facts,
    load_model,
    read_encoder,
    save_model,
    under_prefix,
    with_prefix,
)
from segpipe.layers import tensor_files
from segpipe.layers.segmentation_model import SegmentationModel
from segpipe.params.schema import Component, Weights
from segpipe.preparation import weights

ROOT = Path(__file__).parents[2]
UNET = {"name": "unet", "decoder_channels": [8, 8, 8, 8, 8]}


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def encoder() -> Path:
    weights.fetch(
        "small", Weights.model_validate({"library": "smp", "encoder": "mobilenet_v2", "source": {"kind": "random"}})
    )
    return Path("data/weights/small.safetensors")


class Two(SegmentationModel):
    """A part that may be frozen, and one that is trained."""

    def __init__(self, num_classes: int = 2) -> None:
        super().__init__((0.5,) * 3, (0.25,) * 3)
        self.encoder = nn.BatchNorm2d(3)
        self.encoder_head = nn.Conv2d(3, num_classes, 1)


def test_the_encoder_is_read_as_fetch_wrote_it(encoder: Path) -> None:
    read = read_encoder(encoder)
    assert (read.library, read.encoder) == ("smp", "mobilenet_v2")
    assert read.mean == (0.485, 0.456, 0.406)
    assert read.std == (0.229, 0.224, 0.225)
    assert read.state.keys() == load_file(encoder).keys()


def test_weights_that_are_not_there_are_named_with_the_stage_that_makes_them() -> None:
    with pytest.raises(FileNotFoundError, match="dvc repro fetch@resnet"):
        encoder_facts(Path("data/weights/resnet.safetensors"))


@pytest.mark.parametrize("is_frozen", [True, False])
def test_a_model_follows_from_its_seed_and_leaves_the_random_state_alone(encoder: Path, is_frozen: bool) -> None:
    settings = Component.model_validate({**UNET, "frozen": is_frozen})
    torch.manual_seed(99)
    before = torch.get_rng_state()
    first, same, other = (build_model(settings, 2, encoder, seed).state_dict() for seed in (5, 5, 6))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(first[key], same[key]) for key in first)
    differing = {key for key in first if not torch.equal(first[key], other[key])}
    assert differing
    assert not any(".encoder." in key for key in differing)


def test_the_encoder_of_the_model_holds_the_weights_of_the_file(encoder: Path) -> None:
    model = build_model(Component.model_validate(UNET), 2, encoder, 0).state_dict()
    given = load_file(encoder)
    assert given
    assert all(torch.equal(model[f"backbone.{key}"], value) for key, value in given.items())


def test_only_what_training_changes_is_saved() -> None:
    model = Two()
    model.freeze("encoder")
    save_model(model.trained_state(), Path("model.safetensors"), "trial")
    # `encoder_head` only begins like the frozen part, and `scale` and `shift` follow from the settings.
    assert sorted(load_file("model.safetensors")) == ["encoder_head.bias", "encoder_head.weight"]
    assert tensor_files.read_facts(Path("model.safetensors")) == {"experiment": "trial"}


def test_a_loaded_model_is_in_evaluation_mode_and_keeps_its_frozen_parts() -> None:
    saved, model = Two(), Two()
    saved.freeze("encoder")
    model.freeze("encoder")
    with torch.no_grad():
        model.get_parameter("encoder.weight").fill_(3)
        saved.get_parameter("encoder_head.bias").fill_(7)
    save_model(saved.trained_state(), Path("model.safetensors"), "trial")
    load_model(model.train(), Path("model.safetensors"))
    assert not any(module.training for module in model.modules())
    assert model.get_parameter("encoder_head.bias").tolist() == [7, 7]
    assert model.get_parameter("encoder.weight").tolist() == [3, 3, 3]


def test_a_checkpoint_of_another_freezing_is_refused_with_the_cure() -> None:
    frozen = Two()
    frozen.freeze("encoder")
    path = Path("data/checkpoints/trial/model.safetensors")
    path.parent.mkdir(parents=True)
    save_model(frozen.trained_state(), path, "trial")
    with pytest.raises(ValueError, match=r"5 entries differ, the first is encoder\.bias") as refusal:
        load_model(Two(), path)
    assert "dvc repro train@trial" in str(refusal.value)


def test_a_checkpoint_of_another_number_of_classes_is_refused_with_the_cure() -> None:
    path = Path("data/checkpoints/trial/model.safetensors")
    path.parent.mkdir(parents=True)
    save_model(Two(num_classes=2).trained_state(), path, "trial")
    with pytest.raises(ValueError, match="dvc repro train@trial"):
        load_model(Two(num_classes=5), path)


def progress(value: float = 1.0) -> Progress:
    turned = torch.arange(48.0).view(2, 3, 2, 4).to(memory_format=torch.channels_last)
    tensors = {"weight": value * turned, "steps": torch.tensor(3), "half": torch.tensor([0.1], dtype=torch.bfloat16)}
    return Progress(tensors, {"history": [{"epoch": 1, "val_loss": 0.1 + 0.2}], "run_id": None})


def test_progress_is_read_back_to_the_last_bit() -> None:
    file = ResumeFile("trial", "a" * 64)
    with file.held():
        assert file.read() is None
        file.write(progress())
    read = file.read()
    assert read is not None
    assert read.values == progress().values
    assert read.tensors.keys() == progress().tensors.keys()
    assert all(torch.equal(value, progress().tensors[key]) for key, value in read.tensors.items())
    assert all(value.dtype == progress().tensors[key].dtype for key, value in read.tensors.items())


def test_a_later_state_takes_the_place_of_the_earlier_one_whole() -> None:
    file = ResumeFile("trial", "a" * 64)
    with file.held():
        for value in (1.0, 2.0):
            file.write(progress(value))
        read = file.read()
        assert read is not None
        assert torch.equal(read.tensors["weight"], progress(2.0).tensors["weight"])
        assert [path.name for path in file.folder.iterdir()] == ["state.safetensors"]
        file.forget()
        assert file.read() is None


def test_what_other_params_left_is_dropped_and_other_experiments_are_spared() -> None:
    files = {
        name: ResumeFile(experiment, fingerprint * 64)
        for name, experiment, fingerprint in [("old", "trial", "a"), ("new", "trial", "b"), ("other", "trial_2", "a")]
    }
    for name in ("old", "other", "new"):
        with files[name].held():
            files[name].write(progress())
    assert files["old"].read() is None
    assert files["new"].read() is not None
    assert files["other"].read() is not None


def test_a_repeat_has_a_state_of_its_own_that_is_dropped_with_the_others() -> None:
    file = ResumeFile("trial", "a" * 64)
    repeat = file.of_repeat(8)
    with file.held():
        file.write(progress(1.0))
        repeat.write(progress(2.0))
        for each, value in ((file, 1.0), (repeat, 2.0), (file.of_repeat(8), 2.0)):
            read = each.read()
            assert read is not None
            assert torch.equal(read.tensors["weight"], progress(value).tensors["weight"])
        assert file.of_repeat(9).read() is None
    with ResumeFile("trial", "b" * 64).held():
        assert file.read() is repeat.read() is None


def test_a_fresh_start_drops_what_the_same_params_left(monkeypatch: pytest.MonkeyPatch) -> None:
    file = ResumeFile("trial", "a" * 64)
    with file.held():
        file.write(progress())
        file.of_repeat(8).write(progress())
    with file.held():
        assert file.read() is not None
    monkeypatch.setenv("SEGPIPE_FRESH", "1")
    with file.held():
        assert file.read() is file.of_repeat(8).read() is None
        file.write(progress())


def test_the_state_lies_in_the_repository_also_when_dvc_works_in_a_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "repository"))
    with ResumeFile("trial", "a" * 64).held():
        assert (tmp_path / "repository" / ".segpipe" / "resume").is_dir()


def test_a_second_trainer_is_refused_even_with_other_params() -> None:
    program = "from segpipe.checkpoints import ResumeFile\nwith ResumeFile('trial', 'b' * 64).held(): pass"
    command = [sys.executable, "-c", program]
    with ResumeFile("trial", "a" * 64).held():
        refused = subprocess.run(command, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    assert "another process trains 'trial' already" in refused.stderr
    assert ResumeFile("trial", "a" * 64).folder.is_dir()


def test_the_lock_is_given_back_when_a_training_fails() -> None:
    with pytest.raises(KeyboardInterrupt), ResumeFile("trial", "a" * 64).held():
        raise KeyboardInterrupt
    with ResumeFile("trial", "a" * 64).held():
        pass


def test_prefixes_are_put_on_and_taken_off() -> None:
    tensors = {"model.weight": torch.ones(1), "bias": torch.zeros(1)}
    together = with_prefix("model", tensors) | with_prefix("models", {"weight": torch.ones(2)})
    assert under_prefix("model", together) == tensors
