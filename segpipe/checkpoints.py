"""Models on disk: built from params and weights, saved without frozen parts, kept between epochs for a resume."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from torch import Tensor

from segpipe import artifacts, components
from segpipe.layers import tensor_files
from segpipe.layers.encoders import EncoderWeights, encoder_module
from segpipe.layers.segmentation_model import SegmentationModel
from segpipe.params import Combined, Experiment
from segpipe.params.schema import Component, Members

MODEL_FILE = "model.safetensors"
MEMBERS_FILE = "members.safetensors"


def read_encoder(path: Path) -> EncoderWeights:
    """What `fetch` wrote."""
    facts = encoder_facts(path)
    mean, std = tuple(facts["mean"]), tuple(facts["std"])
    return EncoderWeights(facts["library"], facts["encoder"], tensor_files.read(path), mean, std)


def encoder_facts(path: Path) -> dict[str, Any]:
    """Where an encoder's weights come from, and what they are worth."""
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not there. Make it with `dvc repro fetch@{path.stem}`")
    return tensor_files.read_facts(path)


def build_model(settings: Component, num_classes: int, origin: Path, seed: int) -> SegmentationModel:
    """The model as training begins it: from the encoder's weights, or its members, in a file; the rest from `seed`."""
    options = components.options("models", settings.name, settings.options)
    module = components.find("models", settings.name)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        if module.LIBRARY == "members":
            model: SegmentationModel = module.build(options, read_members(origin, num_classes))
        else:
            model = module.build(options, num_classes, read_encoder(origin))
    return model


def origin_of(name: str, settings: Experiment | Combined) -> Path:
    """The file that an experiment's model is built from: its encoder's weights, or what its members had learnt."""
    if isinstance(settings, Experiment):
        return artifacts.weights(settings.weights)
    return artifacts.checkpoint(name) / MEMBERS_FILE


def write_members(path: Path, members: Members, num_classes: int) -> None:
    """Two trained experiments, whole, in one file: what is built on them needs nothing else."""
    tensors: dict[str, Tensor] = {}
    facts: dict[str, Any] = {}
    for place, name in members.model_dump().items():
        settings = Experiment.model_validate(artifacts.read_json(artifacts.checkpoint(name) / "run.json")["params"])
        encoder = artifacts.weights(settings.weights)
        model = build_model(settings.model, num_classes, encoder, settings.seed)
        load_model(model, artifacts.checkpoint(name) / MODEL_FILE)
        tensors |= with_prefix(place, model.state_dict())
        facts[place] = {"experiment": name, "model": settings.model.model_dump(), "encoder": encoder_facts(encoder)}
    with artifacts.replacing_file(path) as partial:
        tensor_files.write(partial, tensors, facts)


def read_members(path: Path, num_classes: int) -> tuple[SegmentationModel, SegmentationModel]:
    """The members that `write_members` wrote."""
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not there. Make it with `dvc repro combine@{path.parent.name}`")
    tensors, facts = tensor_files.read(path), tensor_files.read_facts(path)
    first, second = (_member(facts[place], under_prefix(place, tensors), num_classes) for place in ("first", "second"))
    return first, second


def _member(facts: dict[str, Any], state: dict[str, Tensor], num_classes: int) -> SegmentationModel:
    of_encoder = facts["encoder"]
    library, name = of_encoder["library"], of_encoder["encoder"]
    untrained = encoder_module(library, name, pretrained=False).state_dict()
    encoder = EncoderWeights(library, name, untrained, tuple(of_encoder["mean"]), tuple(of_encoder["std"]))
    settings = Component.model_validate(facts["model"])
    options = components.options("models", settings.name, settings.options)
    model: SegmentationModel = components.find("models", settings.name).build(options, num_classes, encoder)
    model.load_state_dict(state)
    return model


def save_model(state: dict[str, Tensor], path: Path, experiment: str) -> None:
    """What of a model training may change."""
    tensor_files.write(path, state, {"experiment": experiment})


def load_model(model: SegmentationModel, path: Path) -> SegmentationModel:
    """The model with its trained weights, in evaluation mode; frozen parts keep what they were built with."""
    state = tensor_files.read(path)
    found, expected = _shapes(state), _shapes(model.trained_state())
    if found != expected:
        differing = sorted(key for key, _ in found ^ expected)
        raise ValueError(
            f"{path} does not fit the model of today's params: {len(differing)} entries differ, "
            f"the first is {differing[0]}. Train it again: `dvc repro train@{path.parent.name}`"
        )
    model.load_state_dict(state, strict=False)
    return model.eval()


def _shapes(state: dict[str, Tensor]) -> set[tuple[str, torch.Size]]:
    return {(key, value.shape) for key, value in state.items()}


@dataclass(frozen=True)
class Progress:
    """What a resume needs: tensors by name, and plain values."""

    tensors: dict[str, Tensor]
    values: dict[str, Any]


class ResumeFile:
    """One training's state between epochs, in one file that is replaced whole, at a place that its inputs name."""

    def __init__(self, experiment: str, fingerprint: str, file: str = "state") -> None:
        self.folder = artifacts.working("resume") / f"{experiment}-{fingerprint[:16]}"
        self._path = self.folder / f"{file}.safetensors"

    def of_repeat(self, seed: int) -> ResumeFile:
        """The state of the same training from another seed: under the same lock, and dropped with it."""
        experiment, _, fingerprint = self.folder.name.rpartition("-")
        return ResumeFile(experiment, fingerprint, f"seed-{seed}")

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Keep every other trainer of this experiment out, and drop what earlier params left.

        With SEGPIPE_FRESH=1, drop what the same params left too.
        """
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        experiment = self.folder.name.rpartition("-")[0]
        lock = FileLock(self.folder.parent / f"{experiment}.lock", timeout=0)
        try:
            lock.acquire()
        except Timeout:
            raise ValueError(
                f"another process trains '{experiment}' already (perhaps one that a killed dvc left behind).\n"
                "Wait for it to end, or end it, then run this again: it goes on where that one stops"
            ) from None
        try:
            for other in self.folder.parent.glob(f"{experiment}-*"):
                is_ours = other.name.rpartition("-")[0] == experiment
                if is_ours and (other != self.folder or os.environ.get("SEGPIPE_FRESH") == "1"):
                    shutil.rmtree(other)
            self.folder.mkdir(exist_ok=True)
            yield
        finally:
            lock.release()

    def read(self) -> Progress | None:
        if not self._path.is_file():
            return None
        return Progress(tensor_files.read(self._path), tensor_files.read_facts(self._path))

    def write(self, progress: Progress) -> None:
        with artifacts.replacing_file(self._path) as partial:
            tensor_files.write(partial, progress.tensors, progress.values)

    def forget(self) -> None:
        self._path.unlink(missing_ok=True)


def with_prefix(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}.{key}": value for key, value in tensors.items()}


def under_prefix(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {key.removeprefix(f"{prefix}."): value for key, value in tensors.items() if key.startswith(f"{prefix}.")}
