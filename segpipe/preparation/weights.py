"""Every pretrained or random encoder as one safetensors file, so that weights have a hash and a lineage like data."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import TYPE_CHECKING

from segpipe import artifacts
from segpipe.layers import tensor_files
from segpipe.layers.encoders import IMAGENET_MEAN, IMAGENET_STD, encoder_module, published_normalisation
from segpipe.params import Weights
from segpipe.params.schema import FileWeights

if TYPE_CHECKING:
    from torch import Tensor, nn

RANDOM_LABEL = "random: mechanics only"


def fetch(name: str, settings: Weights) -> None:
    """data/weights/<name>.safetensors, with its origin in the header."""
    kind = settings.source.kind
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    if kind == "pretrained":
        module, (mean, std) = _pretrained(settings, name)
        origin = f"{settings.library} {settings.encoder}, as published"
    elif isinstance(settings.source, FileWeights):
        path = Path(settings.source.path)
        module, origin = _from_file(settings, path, name), f"file {path.name}"
    else:
        module, origin = _random(settings), f"random, seed {settings.seed}"
    facts = {
        "library": settings.library,
        "encoder": settings.encoder,
        "origin": origin,
        "label": RANDOM_LABEL if kind == "random" else "",
        "mean": settings.mean or mean,
        "std": settings.std or std,
    }
    with artifacts.replacing_file(artifacts.weights(name)) as partial:
        tensor_files.write(partial, module.state_dict(), facts)


def _pretrained(settings: Weights, name: str) -> tuple[nn.Module, tuple[tuple[float, ...], tuple[float, ...]]]:
    try:
        module = encoder_module(settings.library, settings.encoder, pretrained=True)
        return module, published_normalisation(settings.library, settings.encoder)
    except OSError as error:  # what the hub's client raises when it cannot reach its hub
        reason = str(error).strip().splitlines()[0]
        raise FileNotFoundError(
            f"weights '{name}': the published weights of {settings.library} '{settings.encoder}' could not be fetched "
            f"({reason})\nFetch them where there is a network, save the encoder's state dict, and name that file: "
            f"weights.{name}.source: {{kind: file, path: …}}"
        ) from None


def _random(settings: Weights) -> nn.Module:
    import torch

    with torch.random.fork_rng():
        torch.manual_seed(settings.seed)
        return encoder_module(settings.library, settings.encoder, pretrained=False)


def _from_file(settings: Weights, path: Path, name: str) -> nn.Module:
    if not path.is_file():
        raise FileNotFoundError(f"weights '{name}': no file {path}. Correct weights.{name}.source.path in params.yaml")
    module, state = _random(settings), _read_state(path)
    shapes = {key: value.shape for key, value in module.state_dict().items()}
    faults = {
        "keys missing": sorted(shapes.keys() - state.keys()),
        "unexpected": sorted(state.keys() - shapes.keys()),
        "of another shape": sorted(key for key in shapes.keys() & state.keys() if shapes[key] != state[key].shape),
    }
    if any(faults.values()):
        found = ", ".join(f"{len(keys)} {fault} ({_some(keys)})" for fault, keys in faults.items() if keys)
        raise ValueError(
            f"weights '{name}': {path.name} is no state dict of {settings.library} '{settings.encoder}': {found}.\n"
            "Name the encoder that the file was saved from, or rename its keys"
        )
    module.load_state_dict(state)
    return module


def _read_state(path: Path) -> dict[str, Tensor]:
    if path.suffix == ".safetensors":
        return tensor_files.read(path)
    import torch

    try:
        return dict(torch.load(path, map_location="cpu", weights_only=True))
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        reason = str(error).split(".")[0]
        raise ValueError(
            f"{path} is cut off, damaged, or holds more than tensors ({reason}). "
            "Expected a plain state dict: save one with torch.save(model.state_dict(), …)"
        ) from None


def _some(keys: list[str]) -> str:
    return ", ".join(keys[:3]) + (", …" if len(keys) > 3 else "")
