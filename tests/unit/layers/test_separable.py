"""Separable convolutions: the same geometry as what they replace, and nothing replaced that should stay whole."""

from __future__ import annotations

from typing import Literal

import pytest
import torch
from torch import nn

from segpipe.layers.separable import make_separable, separable


@pytest.mark.parametrize(("stride", "dilation", "mode"), [(1, 1, "zeros"), (2, 1, "zeros"), (1, 4, "reflect")])
def test_a_kernel_that_is_a_product_is_split_without_a_difference(
    stride: int, dilation: int, mode: Literal["zeros", "reflect"]
) -> None:
    torch.manual_seed(0)
    whole = nn.Conv2d(5, 7, 3, stride, padding=dilation, dilation=dilation, bias=False, padding_mode=mode)
    across, over = torch.randn(7, 5, 1, 1), torch.randn(5, 1, 3, 3)
    split = separable(whole)
    split.load_state_dict({"0.weight": over, "1.weight": across})
    whole.load_state_dict({"weight": across * over.movedim(1, 0)})
    images = torch.randn(2, 5, 12, 14)
    torch.testing.assert_close(split(images), whole(images))


@pytest.mark.parametrize("bias", [True, False])
def test_the_parameters_are_nine_a_channel_and_one_a_pair_of_channels(bias: bool) -> None:
    split = separable(nn.Conv2d(64, 32, 3, bias=bias))
    assert sum(parameter.numel() for parameter in split.parameters()) == 9 * 64 + 64 * 32 + 32 * bias


class PaddedInItsOwnWay(nn.Conv2d):
    pass


def test_only_whole_3x3_convolutions_behind_the_first_are_replaced() -> None:
    kept = [
        nn.Conv2d(3, 8, 3),
        nn.Conv2d(8, 8, 1),
        nn.Conv2d(8, 8, 5),
        nn.Conv2d(8, 8, 3, groups=2),
        nn.Conv2d(8, 8, (3, 1)),
        nn.ConvTranspose2d(8, 8, 3),
        PaddedInItsOwnWay(8, 8, 3),
    ]
    network = nn.Sequential(*kept, nn.Sequential(nn.Conv2d(8, 16, 3), nn.ReLU()), nn.Conv2d(16, 4, 3))
    assert make_separable(network) == 2
    assert all(network[i] is layer for i, layer in enumerate(kept))
    assert [layer.groups for layer in network.modules() if isinstance(layer, nn.Conv2d)][-4:] == [8, 1, 16, 1]


def test_what_is_separable_already_stays_as_it_is() -> None:
    network = nn.Sequential(nn.Conv2d(8, 16, 3))
    assert make_separable(network) == 1
    assert make_separable(network) == 0
