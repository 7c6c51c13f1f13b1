"""What every model costs, and its looking through windows, flips and scales, can be had of any model file."""

from __future__ import annotations

import pytest
import torch

from segpipe.evaluation.cost import flops
from segpipe.inference.test_time import logits_of
from segpipe.params.schema import Evaluation
from tests.contracts.model_variants import EncoderOf, Variant, every_model_on_an_encoder

pytestmark = pytest.mark.slow


@every_model_on_an_encoder
def test_its_operations_are_counted_without_computing_any(variant: Variant, encoder_of: EncoderOf) -> None:
    model = variant.build(encoder_of).eval()
    small, large = (flops(model, variant.size(*steps)) for steps in ((2, 2), (4, 4)))
    assert 0 < 3 * small < large


@every_model_on_an_encoder
def test_a_window_over_an_image_that_fits_it_is_the_image(variant: Variant, encoder_of: EncoderOf) -> None:
    model, size = variant.build(encoder_of).eval(), variant.size(2, 3)
    images = variant.images(1, 2, 3)
    if model.shows_whole_image:
        with torch.inference_mode():
            assert torch.allclose(logits_of(model, images, Evaluation(window=size)), model(images), atol=1e-4)
