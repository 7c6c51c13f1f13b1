"""Encoders by their libraries' names: without a classifier, refused by name, loaded strictly."""

from __future__ import annotations

import pytest
import torch

from segpipe.layers.encoders import classifier_of, encoder_module, published_normalisation

DINO = ["vit_small_patch14_dinov2", "vit_base_patch14_dinov2"]


@pytest.mark.parametrize("name", ["test_resnet", "test_vit", "test_convnext", "test_efficientnet"])
def test_an_encoder_of_timm_is_its_classifier_less_network(name: str) -> None:
    import timm

    whole = timm.create_model(name).state_dict()
    encoder = encoder_module("timm", name, pretrained=False).state_dict()
    lost = whole.keys() - encoder.keys()
    assert encoder.keys() < whole.keys()
    assert lost == {key for key in whole if key.startswith(classifier_of("timm", name))}


@pytest.mark.parametrize(("name", "parameters"), [(DINO[0], 22_056_192), (DINO[1], 86_579_712)])
def test_the_transformers_of_dinov2_are_there_under_their_names(name: str, parameters: int) -> None:
    """For width d: 12 blocks of 12d² + 15d, patches of 589d, a class token, 1370 places, a norm."""
    width = {DINO[0]: 384, DINO[1]: 768}[name]
    assert 12 * (12 * width**2 + 15 * width) + (3 * 14 * 14 + 1) * width + (1 + 1370 + 2) * width == parameters
    with torch.device("meta"):
        state = encoder_module("timm", name, pretrained=False).state_dict()
    assert sum(value.numel() for value in state.values()) == parameters
    assert tuple(state["pos_embed"].shape) == (1, 1 + 37 * 37, width)
    assert published_normalisation("timm", name) == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def test_the_normalisation_is_that_of_the_encoders_publisher() -> None:
    assert published_normalisation("timm", "test_resnet") == ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


@pytest.mark.parametrize(
    ("library", "misspelt", "meant"),
    [
        ("timm", "vit_smal_patch14_dinov2", DINO[0]),
        ("smp", "resnet43", "resnet34"),
        ("smp", "tu-resnet1", "tu-resnet18"),
    ],
)
def test_a_misspelt_encoder_is_answered_with_the_nearest(library: str, misspelt: str, meant: str) -> None:
    with pytest.raises(ValueError, match=f"has no (model|encoder) '{misspelt}' .did you mean '{meant}'"):
        encoder_module(library, misspelt, pretrained=False)
