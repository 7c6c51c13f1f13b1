"""Encoders of smp and timm, and what a weights file says of one."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from torch import Tensor, nn

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

TIMM_IN_SMP = "tu-"
"""How smp's names of timm's encoders begin."""


@dataclass(frozen=True)
class EncoderWeights:
    """An encoder by name, with its weights and the normalisation that they were trained under."""

    library: str
    encoder: str
    state: dict[str, Tensor]
    mean: tuple[float, ...]
    std: tuple[float, ...]


def encoder_module(library: str, encoder: str, pretrained: bool) -> nn.Module:
    """The encoder itself, without a classifier; `pretrained` downloads its published weights."""
    if library == "timm":
        import timm

        if not timm.is_model(encoder):
            raise ValueError(f"timm has no model '{encoder}'{_nearest(encoder, timm.list_models())}")
        module: nn.Module = timm.create_model(encoder, pretrained=pretrained, num_classes=0)
        return module
    from segmentation_models_pytorch import encoders

    published = True if encoder.startswith(TIMM_IN_SMP) else "imagenet"
    try:
        module = encoders.get_encoder(encoder, weights=published if pretrained else None)
    except (KeyError, RuntimeError):
        hint = _nearest(encoder, _names_in_smp(encoder))
        raise ValueError(f"segmentation_models_pytorch has no encoder '{encoder}'{hint}") from None
    return module


def _names_in_smp(encoder: str) -> list[str]:
    """smp's own encoders, or, where the name asks for one of timm's, all of those."""
    if encoder.startswith(TIMM_IN_SMP):
        import timm

        return [TIMM_IN_SMP + name for name in timm.list_models()]
    from segmentation_models_pytorch import encoders

    return list(encoders.get_encoder_names())


def _nearest(encoder: str, known: list[str]) -> str:
    """The nearest name; there are too many to list them all."""
    near = difflib.get_close_matches(encoder, known, n=1)
    return f" (did you mean '{near[0]}'?)" if near else ". Its documentation names them all"


def classifier_of(library: str, encoder: str) -> tuple[str, ...]:
    """Where the library's classifier of that name has what its encoder lacks: the layers that name its own classes."""
    if library == "timm":
        import timm

        config = timm.get_pretrained_cfg(encoder)
        layers = config.classifier if config and config.classifier else ()
        return (layers,) if isinstance(layers, str) else tuple(layers)
    return ("fc", "classifier", "last_linear", "head")


def published_normalisation(library: str, encoder: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation that go with the encoder's published weights (smp asks its hub for them)."""
    if library == "timm":
        import timm

        config = timm.get_pretrained_cfg(encoder)
        return (config.mean, config.std) if config else (IMAGENET_MEAN, IMAGENET_STD)
    from segmentation_models_pytorch import encoders

    settings = encoders.get_preprocessing_params(encoder, "imagenet")
    return tuple(settings["mean"]), tuple(settings["std"])
