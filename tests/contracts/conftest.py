"""Small random encoders for whatever model is there, and one thread."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache

import pytest
import torch

from segpipe.layers.encoders import IMAGENET_MEAN, IMAGENET_STD, EncoderWeights, encoder_module
from tests.contracts.variants import ENCODERS


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@cache
def _random_encoder(library: str, encoder: str) -> EncoderWeights:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        state = encoder_module(library, encoder, pretrained=False).state_dict()
    return EncoderWeights(library, encoder, state, IMAGENET_MEAN, IMAGENET_STD)


@pytest.fixture
def encoder_of() -> Callable[[str], EncoderWeights]:
    """The encoder that a model is tested with."""
    return lambda model: _random_encoder(*ENCODERS[model])
