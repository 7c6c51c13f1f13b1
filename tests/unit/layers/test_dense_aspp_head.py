"""The DenseASPP cascade: who reads what, how far it sees, and what is left when its top is removed."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from segpipe.layers.dense_aspp_head import DenseASPPHead

FEATURES = torch.randn(2, 6, 5, 7, generator=torch.Generator().manual_seed(0))


def head(*dilations: int, bottleneck: int | None = None, has_last_norm: bool = False) -> DenseASPPHead:
    torch.manual_seed(1)
    made = DenseASPPHead(6, 3, dilations=dilations, growth=4, bottleneck=bottleneck, has_last_norm=has_last_norm)
    return made.eval()


def test_each_block_reads_the_features_and_all_blocks_before_it() -> None:
    made = head(1, 2, 3)
    first = made.blocks[0](FEATURES)
    second = made.blocks[1](torch.cat([FEATURES, first], 1))
    third = made.blocks[2](torch.cat([FEATURES, first, second], 1))
    assert first.shape == second.shape == third.shape == (2, 4, 5, 7)
    torch.testing.assert_close(made(FEATURES), made.classifier(torch.cat([FEATURES, first, second, third], 1)))


@pytest.mark.parametrize(
    ("bottleneck", "has_last_norm", "layers"),
    [
        (None, False, ["BatchNorm2d", "ReLU", "Conv2d"]),
        (8, False, ["BatchNorm2d", "ReLU", "Conv2d", "BatchNorm2d", "ReLU", "Conv2d"]),
        (8, True, ["BatchNorm2d", "ReLU", "Conv2d", "BatchNorm2d", "ReLU", "Conv2d", "BatchNorm2d"]),
    ],
)
def test_a_block_has_the_layers_of_its_layout(bottleneck: int | None, has_last_norm: bool, layers: list[str]) -> None:
    (block,) = head(2, bottleneck=bottleneck, has_last_norm=has_last_norm).blocks
    assert [type(layer).__name__ for layer in block.children()] == layers


def test_the_cascade_sees_as_far_as_the_published_formula_says() -> None:
    """R = (d−1)(3−1)+3 of one block and K1+K2−1 of two: 7, 13, 25, 37 and 49 make 131 − 4 = 127."""
    torch.manual_seed(0)
    cascade = DenseASPPHead(1, 2, dilations=(3, 6, 12, 18, 24), growth=1, bottleneck=None, has_last_norm=False).eval()
    for parameter in cascade.parameters():
        parameter.data.abs_()  # so that no ReLU hides what a block sees
    features = torch.ones(1, 1, 141, 141, requires_grad=True)
    cascade(features)[0, 0, 70, 70].backward()
    assert features.grad is not None
    rows, columns = features.grad[0, 0].nonzero(as_tuple=True)
    assert [int(rows.min()), int(rows.max())] == [int(columns.min()), int(columns.max())] == [70 - 63, 70 + 63]


@pytest.mark.parametrize("removed", [0, 1, 2, 3])
def test_removing_the_top_blocks_is_hearing_nothing_from_them(removed: int) -> None:
    silenced, shortened = head(1, 2, 3), head(1, 2, 3)

    def silence(block: torch.nn.Module, inputs: tuple[Tensor], output: Tensor) -> Tensor:
        return torch.zeros_like(output)

    for block in list(silenced.blocks)[3 - removed :]:
        block.register_forward_hook(silence)
    shortened.remove_top_blocks(removed)
    torch.testing.assert_close(shortened(FEATURES), silenced(FEATURES))
    assert torch.equal(shortened(FEATURES), head(1, 2, 3)(FEATURES)) == (removed == 0)


def test_removed_blocks_come_back_with_all_their_weights() -> None:
    made = head(1, 2)
    before = made(FEATURES)
    made.remove_top_blocks(2)
    assert made.state_dict().keys() == head(1, 2).state_dict().keys()
    made.remove_top_blocks(0)
    assert torch.equal(made(FEATURES), before)


@pytest.mark.parametrize("count", [-1, 3])
def test_no_more_blocks_can_be_removed_than_there_are(count: int) -> None:
    with pytest.raises(ValueError) as refusal:
        head(1, 2).remove_top_blocks(count)
    assert str(refusal.value) == f"there are 2 blocks: {count} cannot be removed. Name 0 to all of them"
