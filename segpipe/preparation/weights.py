"""Every pretrained or random encoder as one safetensors file, so that weights have a hash and a lineage like data."""

from __future__ import annotations

import pickle
from collections import Counter
from collections.abc import Collection, Iterable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segpipe import artifacts
from segpipe.layers import tensor_files
from segpipe.layers.encoders import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    classifier_of,
    encoder_module,
    published_normalisation,
)
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
    label = RANDOM_LABEL if kind == "random" else ""
    if kind == "pretrained":
        module, (mean, std) = _pretrained(settings, name)
        origin = f"{settings.library} {settings.encoder}, as published"
    elif isinstance(settings.source, FileWeights):
        module, origin, label = _from_file(settings, settings.source, name)
    else:
        module, origin = _random(settings), f"random, seed {settings.seed}"
    facts = {
        "library": settings.library,
        "encoder": settings.encoder,
        "origin": origin,
        "label": label,
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


def _from_file(settings: Weights, source: FileWeights, name: str) -> tuple[nn.Module, str, str]:
    """The encoder, where it comes from, and what part of it is random after all."""
    path = Path(source.path)
    if not path.is_file():
        raise FileNotFoundError(f"weights '{name}': no file {path}. Correct weights.{name}.source.path in params.yaml")
    module = _random(settings)
    wanted = module.state_dict()
    content = _content(path)
    entry, prefix = _place(content, wanted.keys(), path)
    state = _tensors(content[entry] if entry else content, prefix)
    if misfits := _misfits(settings, source, wanted, state):
        raise ValueError(
            f"weights '{name}': {path.name} is no state dict of {settings.library} '{settings.encoder}': {misfits}.\n"
            "Name the encoder that the file was saved from, or, if that is how it should be, "
            f"weights.{name}.source.allow: {{missing: […], unexpected: […]}}"
        )
    missing = wanted.keys() - state.keys()
    module.load_state_dict({key: wanted[key] if key in missing else state[key] for key in wanted})
    origin = f"file {path.name}" + (f", under {_spelt(entry, prefix)}" if entry or prefix else "")
    return module, origin, f"{len(missing)} of {len(wanted)} tensors are random" if missing else ""


def _misfits(settings: Weights, source: FileWeights, wanted: dict[str, Tensor], state: dict[str, Tensor]) -> str:
    """By which keys the two differ, though nobody allows it and they are not of the classifier that encoders lack."""
    classifier = [f"{layer}.*" for layer in classifier_of(settings.library, settings.encoder)]
    misfits = {
        "keys missing": _without(wanted.keys() - state.keys(), source.allow.missing),
        "unexpected": _without(state.keys() - wanted.keys(), [*source.allow.unexpected, *classifier]),
        "of another shape": sorted(k for k in wanted.keys() & state.keys() if wanted[k].shape != state[k].shape),
    }
    return ", ".join(f"{len(keys)} {misfit} ({_some(keys)})" for misfit, keys in misfits.items() if keys)


def _without(keys: Iterable[str], patterns: Iterable[str]) -> list[str]:
    return sorted(key for key in keys if not any(fnmatchcase(key, pattern) for pattern in patterns))


def _place(content: dict[Any, Any], wanted: Collection[str], path: Path) -> tuple[Any, str]:
    """Where most of these keys are: in an entry of the file or in none, and behind a prefix, as `module.`, or none."""
    entries = {"": content, **{name: entry for name, entry in content.items() if isinstance(entry, dict)}}
    counts = Counter(
        (name, key.removesuffix(own))
        for name, entry in entries.items()
        for key in map(str, entry)
        for own in wanted
        if key == own or key.endswith(f".{own}")
    )
    most = max(counts.values(), default=0)
    if 2 * most <= len(wanted):
        return "", ""
    best = [place for place, count in counts.items() if count == most]
    if len(best) > 1:
        raise ValueError(
            f"{path} holds {len(best)} state dicts of this encoder, under {_some([_spelt(*place) for place in best])}: "
            "one was expected. Save the one that you mean into a file of its own"
        )
    return best[0]


def _spelt(entry: Any, prefix: str) -> str:
    return ".".join(filter(None, (str(entry), prefix.rstrip("."))))


def _tensors(entry: dict[Any, Any], prefix: str) -> dict[str, Tensor]:
    from torch import Tensor

    return {str(key).removeprefix(prefix): value for key, value in entry.items() if isinstance(value, Tensor)}


def _content(path: Path) -> dict[Any, Any]:
    if path.suffix == ".safetensors":
        return dict(tensor_files.read(path))
    import torch

    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        if isinstance(content, dict):
            return content
        reason = f"it is of type {type(content).__name__}"
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        reason = str(error).split(".")[0]
    raise ValueError(
        f"{path} is cut off, damaged, or holds something else than tensors ({reason}). "
        "Expected a state dict: save one with torch.save(model.state_dict(), …)"
    )


def _some(keys: list[str]) -> str:
    return ", ".join(keys[:3]) + (", …" if len(keys) > 3 else "")
