"""A trained model with all that it takes to use it: its label table, the preprocessing, and how it was scored."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from segpipe import artifacts, params, tracking
from segpipe.checkpoints import MEMBERS_FILE, MODEL_FILE, build_model, load_model, origin_of
from segpipe.components import did_you_mean
from segpipe.devices import Machine, machine
from segpipe.inference.predict import predict
from segpipe.labels import LabelTable
from segpipe.layers.segmentation_model import SegmentationModel
from segpipe.params import Evaluation
from segpipe.params.schema import Component
from segpipe.tracking import registry

CONFIG_FILE = "config.json"


@dataclass(frozen=True)
class UsableModel:
    """On its device, in evaluation mode."""

    name: str
    model: SegmentationModel
    labels: LabelTable
    size: tuple[int, int]
    """What it was trained at."""
    interpolation: str
    how: Evaluation
    here: Machine
    config: dict[str, Any]

    def mask(self, image: np.ndarray, how: Evaluation | None = None) -> np.ndarray:
        """RGB uint8 [H, W, 3] -> class ids uint8 [H, W], predicted as it was scored, or as `how` says."""
        with self.here.autocast():
            return predict(self.model, image, self.size, self.interpolation, how or self.how)


def described(experiment: str) -> dict[str, Any]:
    """All but the weights: what config.json of a registered model holds."""
    settings = params.experiment(experiment)
    prepared = params.prepared(settings.prepared)
    return {
        "experiment": settings.model_dump(mode="json"),
        "evaluation": params.evaluation(experiment).model_dump(mode="json"),
        "labels": prepared.labels,
        "size": list(prepared.size),
        "interpolation": prepared.interpolation,
        "origin": origin_of(experiment, settings).name,
    }


def assembled(name: str, config: dict[str, Any], checkpoint: Path, origin: Path, here: Machine) -> UsableModel:
    """The model of `described`, from the file of its trained weights and the one that it was built from."""
    experiment, labels = config["experiment"], LabelTable.from_dict(config["labels"])
    settings = Component.model_validate(experiment["model"])
    model = load_model(build_model(settings, len(labels.classes), origin, experiment["seed"]), checkpoint)
    height, width = config["size"]
    how = Evaluation.model_validate(config["evaluation"])
    return UsableModel(name, model.on(here.device), labels, (height, width), config["interpolation"], how, here, config)


def chosen_machine(device: str | None = None) -> Machine:
    """What params.yaml and the environment say, but for the device, where one is chosen."""
    hardware = params.hardware()
    return machine(hardware if device is None else hardware.model_copy(update={"device": device}))


def usable(reference: str, here: Machine) -> UsableModel:
    """A registered model by its URI or `name@alias`; a trained experiment by its name or its checkpoint's folder."""
    path = Path(reference)
    if (path / "run.json").is_file():
        return trained(path, here)
    if artifacts.checkpoint(reference).is_dir():
        return trained(artifacts.checkpoint(reference), here)
    if "@" not in reference and not reference.startswith("models:/"):
        _refuse_unknown(reference)
    return registered(registry.find(*registry.parsed(reference)), here)


def registered(version: registry.Version, here: Machine) -> UsableModel:
    """A version of the registry, from the files that were packed into it."""
    files = version.files()
    config = artifacts.read_json(files / CONFIG_FILE)
    return assembled(f"{version.model}@{version.number}", config, files / MODEL_FILE, files / config["origin"], here)


def trained(folder: Path, here: Machine) -> UsableModel:
    """What `train` left in a checkpoint's folder, with the settings that it was trained with."""
    run = artifacts.read_json(folder / "run.json")
    name, settings = run["experiment"], run["params"]
    # As it was written, not validated: settings that have come or gone since say nothing of the weights.
    origin = folder / MEMBERS_FILE if "members" in settings else artifacts.weights(settings["weights"])
    config = {**described(name), "experiment": settings}
    return assembled(name, config, folder / MODEL_FILE, origin, here)


def _refuse_unknown(reference: str) -> None:
    """A bare word that is no experiment may be a registered model; else it is a slip."""
    if registry.lookup(reference, tracking.CHAMPION) is None:
        known = [path.name for path in artifacts.checkpoint("*").parent.glob("*") if path.is_dir()]
        raise ValueError(
            f"'{reference}' is neither a trained experiment{did_you_mean(reference, known)} nor a registered model "
            "with a champion. Give an experiment of data/checkpoints, its folder, or name@champion"
        )
