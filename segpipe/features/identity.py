"""What features are made of: two backbones, sets or machines that could make others have another identity."""

from __future__ import annotations

import hashlib
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

from torch import nn

from segpipe.devices import Machine
from segpipe.layers.segmentation_model import SegmentationModel

LIBRARIES = ("torch", "timm", "segmentation-models-pytorch")


def made_by(model: SegmentationModel, here: Machine) -> dict[str, Any]:
    """Everything but the images that decides what features `model` has on this machine."""
    machine = here.described()
    return {
        "backbone": _backbone(model),
        "scale": model.scale.flatten().tolist(),
        "shift": model.shift.flatten().tolist(),
        "device": machine["device"],
        "precision": machine["precision"],
        "libraries": {name: version(name) for name in LIBRARIES},
    }


def _backbone(model: SegmentationModel) -> str:
    """The hash of its weights, its structure with all plain settings, and the files of ours that it is written in.

    What lies behind it counts for nothing, so that models with other heads share features.
    """
    digest = hashlib.sha256()
    written_in = {type(model).features.__module__, type(model).normalised.__module__}
    for name, module in model.backbone.named_modules():
        kind = type(module)
        written_in.add(kind.__module__)
        digest.update(
            f"{name} {kind.__module__}.{kind.__qualname__} {module.extra_repr()} {_settings(module)}\n".encode()
        )
    for key, tensor in model.backbone.state_dict().items():
        plain = tensor.detach().cpu().contiguous()
        digest.update(f"{key} {plain.dtype} {list(plain.shape)}\n".encode())
        digest.update(plain.numpy().data)
    for name in sorted(name for name in written_in if name.startswith("segpipe.")):
        digest.update(Path(str(sys.modules[name].__file__)).read_bytes())
    return digest.hexdigest()


def _settings(module: nn.Module) -> dict[str, Any]:
    """What a module was told and keeps: numbers, words, and tuples of them."""
    own = sorted((key, value) for key, value in vars(module).items() if key != "training" and not key.startswith("_"))
    return {key: value for key, value in own if _is_plain(value)}


def _is_plain(value: Any) -> bool:
    if isinstance(value, (tuple, list)):
        return all(_is_plain(each) for each in value)
    return value is None or isinstance(value, (bool, int, float, str))
