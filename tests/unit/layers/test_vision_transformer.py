"""DINOv2's transformer against its formulas written out, whole, cut short, and cut in two."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from segpipe.layers.encoders import EncoderWeights, encoder_module
from segpipe.layers.vision_transformer import Trunk, trunk_and_tail, vision_transformer
from tests.unit.layers import tiny_transformer
from tests.unit.layers.tiny_transformer import encoder


@pytest.fixture(autouse=True)
def without_gradients() -> Any:
    with torch.no_grad():
        yield


def images(height: int, width: int, batch: int = 1) -> Tensor:
    return torch.rand(batch, 3, height, width, generator=torch.Generator().manual_seed(height))


def maps_of(after: tuple[int, ...], trained: int, depth: int, of: Tensor) -> tuple[Tensor, ...]:
    trunk, tail = trunk_and_tail(vision_transformer(encoder(), depth), after, trained)
    made: tuple[Tensor, ...] = tail(trunk(of))
    return made


def test_the_maps_are_those_of_the_formulas_row_by_row() -> None:
    state, given = encoder().state, images(518, 518)
    tokens = tiny_transformer.embedded(state, given)
    first, second = maps_of((1, 2), trained=0, depth=2, of=given)
    for number, found in ((1, first), (2, second)):
        expected = tiny_transformer.normed(state, "norm", tiny_transformer.tokens_after(state, tokens, range(number)))
        assert found.shape == (1, 384, 37, 37)
        torch.testing.assert_close(found[0, :, 0, 5], expected[0, 1 + 5], rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(found.flatten(2).mT, expected[:, 1:], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("height", "width"), [(14, 14), (42, 70), (70, 42), (532, 28)])
def test_any_whole_number_of_tokens_is_taken(height: int, width: int) -> None:
    (found,) = maps_of((1,), trained=0, depth=1, of=images(height, width))
    assert found.shape == (1, 384, height // 14, width // 14)
    assert found.isfinite().all()


def test_a_size_that_is_no_whole_number_of_tokens_is_refused() -> None:
    with pytest.raises(AssertionError, match="should be divisible by patch size"):
        maps_of((1,), trained=0, depth=1, of=images(42, 50))


def test_a_map_is_turned_as_its_image_is() -> None:
    """Rows stay rows: a light patch is found where it was put."""
    given = torch.zeros(1, 3, 42, 70)
    given[:, :, 14:28, 42:56] = 5.0
    network = vision_transformer(encoder(), 1)
    network.pos_embed.zero_()
    found = Trunk(network, (1,))(given)[0]
    distances = (found - found[:, :, :1, :1]).norm(dim=1)[0]  # from a dark patch
    assert distances.argmax() == 1 * 5 + 3


@pytest.mark.parametrize("trained", [1, 2, 3])
@pytest.mark.parametrize("after", [(4,), (1, 4), (1, 2, 3, 4), (3, 4)])
def test_a_transformer_cut_in_two_makes_the_same_maps(trained: int, after: tuple[int, ...]) -> None:
    given = images(42, 56, batch=2)
    whole, parts = (maps_of(after, cut, depth=4, of=given) for cut in (0, trained))
    assert len(parts) == len(after)
    for one, other in zip(whole, parts, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_training_the_tail_leaves_the_weights_that_came_from_the_file_alone() -> None:
    before = {key: value.clone() for key, value in encoder().state.items()}
    _, tail = trunk_and_tail(vision_transformer(encoder(), 2), (2,), trained=1)
    for parameter in tail.parameters():
        parameter.add_(1.0)
    assert all(torch.equal(value, before[key]) for key, value in encoder().state.items())


def test_depth_keeps_the_first_blocks() -> None:
    state = encoder().state
    network = vision_transformer(encoder(), 3)
    assert len(network.blocks) == 3
    assert all(torch.equal(value, state[f"blocks.{key}"]) for key, value in network.blocks.state_dict().items())


def test_registers_are_no_part_of_the_map() -> None:
    name = "vit_small_patch14_reg4_dinov2"  # four tokens more beside the class token
    trunk, tail = trunk_and_tail(vision_transformer(encoder(name), 2), (2,), trained=1)
    last, prefix = trunk(images(28, 42))
    assert (last.shape, prefix.shape) == ((1, 384, 2, 3), (1, 5, 384))
    assert tail((last, prefix))[0].shape == (1, 384, 2, 3)


@pytest.mark.parametrize("name", ["test_vit", "test_resnet"])
def test_an_encoder_without_patches_of_14_pixels_is_refused_by_name(name: str) -> None:
    state = encoder_module("timm", name, pretrained=False).state_dict()
    with pytest.raises(ValueError, match=f"'{name}' were given, where .* patches of 14 pixels .* Name weights of one"):
        vision_transformer(EncoderWeights("timm", name, state, (0.5,) * 3, (0.5,) * 3), None)


def test_weights_that_lack_a_block_are_refused_by_their_keys() -> None:
    state = {key: value for key, value in encoder().state.items() if not key.startswith("blocks.7.")}
    with pytest.raises(RuntimeError, match=r"blocks\.7\.norm1\.weight"):
        vision_transformer(EncoderWeights("timm", tiny_transformer.NAME, state, (0.5,) * 3, (0.5,) * 3), 2)


def test_more_blocks_than_there_are_are_refused() -> None:
    with pytest.raises(ValueError, match="13 blocks of timm's 'vit_small_patch14_dinov2' are wanted, and it has 12"):
        vision_transformer(encoder(), 13)


@pytest.mark.parametrize("after", [(0, 2), (2, 3)])
def test_a_map_after_a_block_that_is_not_there_is_refused(after: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"those of this transformer are 1 to 2\. Change"):
        trunk_and_tail(vision_transformer(encoder(), 2), after, trained=0)


def test_at_least_one_block_stays_frozen() -> None:
    with pytest.raises(ValueError, match=r"2 blocks are to be trained, and there are 2.* Set `trainable_blocks` to 1"):
        trunk_and_tail(vision_transformer(encoder(), 2), (2,), trained=2)
