"""DINOv2's transformers as backbones: tokens as maps, after any of the blocks, the last blocks to be trained or not."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from segpipe.layers.encoders import EncoderWeights

PATCH = 14
"""A token's side in pixels; images of any whole number of tokens are taken."""

Maps = tuple[Tensor, ...]


def vision_transformer(encoder: EncoderWeights, depth: int | None) -> Any:
    """timm's network with these weights; `depth` keeps only the first of its blocks."""
    import timm

    patches = encoder.state.get("patch_embed.proj.weight", torch.empty(0))
    if patches.shape[2:] != (PATCH, PATCH) or "blocks.0.attn.qkv.weight" not in encoder.state:
        raise ValueError(
            f"weights of timm's '{encoder.encoder}' were given, where a plain vision transformer with patches of "
            f"{PATCH} pixels was expected. Name weights of one, such as vit_small_patch14_dinov2"
        )
    with torch.device("meta"):  # nothing is drawn at random, to be thrown away
        network = timm.create_model(encoder.encoder, num_classes=0, dynamic_img_size=True)
    network.load_state_dict(encoder.state, assign=True)
    if depth is not None and depth > len(network.blocks):
        raise ValueError(
            f"{depth} blocks of timm's '{encoder.encoder}' are wanted, and it has {len(network.blocks)}. "
            "Lower the model's `depth`, or leave it away"
        )
    network.blocks = network.blocks[:depth]
    return network


class Trunk(nn.Module):
    """The frozen part: normalised maps after the blocks of these numbers (the first is 1).

    With `hands_on`, also what the next block needs: the last block's tokens as they are, as a map, and the class token.
    """

    def __init__(self, network: Any, after: Sequence[int], hands_on: bool = False) -> None:
        super().__init__()
        self.network, self.after, self.hands_on = network, tuple(after), hands_on

    def forward(self, images: Tensor) -> Maps:
        """[B, 3, H, W] -> [B, D, H / 14, W / 14] each."""
        grid = (images.shape[2] // PATCH, images.shape[3] // PATCH)
        last = len(self.network.blocks)
        numbers = sorted({*self.after, last} if self.hands_on else self.after)
        found = self.network.forward_intermediates(
            images,
            indices=[number - 1 for number in numbers],
            return_prefix_tokens=True,
            output_fmt="NLC",
            intermediates_only=True,
            output_dict=True,
        )
        tokens = dict(zip(numbers, found["image_intermediates"], strict=True))
        maps = [_as_map(self.network.norm(tokens[number]), grid) for number in self.after]
        if self.hands_on:
            maps += [_as_map(tokens[last], grid), found["image_intermediates_prefix"][-1]]
        return tuple(maps)


class Tail(nn.Module):
    """The trained part: the last blocks and the closing norm, which go on where the trunk stopped."""

    def __init__(self, blocks: nn.Sequential, norm: nn.Module, after: Sequence[int]) -> None:
        super().__init__()
        self.blocks, self.norm, self.after = blocks, norm, tuple(after)

    def forward(self, features: Maps) -> Maps:
        """What the trunk hands on -> its maps and, after these of our own blocks, ours."""
        *maps, last, prefix = features
        grid = (last.shape[2], last.shape[3])
        tokens = torch.cat([prefix, last.flatten(2).transpose(1, 2)], 1)  # [B, 1 + h·w, D]
        for number, block in enumerate(self.blocks, 1):
            tokens = block(tokens)
            if number in self.after:
                maps.append(_as_map(self.norm(tokens)[:, prefix.shape[1] :], grid))
        return tuple(maps)


def trunk_and_tail(network: Any, after: Sequence[int], trained: int) -> tuple[Trunk, nn.Module]:
    """The network cut before its last `trained` blocks; together they give the maps after these blocks, in order."""
    depth = len(network.blocks)
    if beyond := [number for number in after if not 1 <= number <= depth]:
        raise ValueError(
            f"maps are wanted after blocks {beyond}, and those of this transformer are 1 to {depth}. "
            "Change the model's `skips`, `layers` or `depth`"
        )
    if not trained:
        return Trunk(network, after), nn.Identity()
    if trained >= depth:
        raise ValueError(
            f"{trained} blocks are to be trained, and there are {depth}, the first of which stays as it is. "
            f"Set `trainable_blocks` to {depth - 1} at most"
        )
    cut = depth - trained
    ours = [number - cut for number in after if number > cut]
    tail = Tail(copy.deepcopy(network.blocks[cut:]), copy.deepcopy(network.norm), ours)
    network.blocks = network.blocks[:cut]
    return Trunk(network, [number for number in after if number <= cut], hands_on=True), tail


def _as_map(tokens: Tensor, grid: tuple[int, int]) -> Tensor:
    """[B, h·w, D] -> [B, D, h, w], channels last as the tokens lie."""
    return tokens.transpose(1, 2).view(tokens.shape[0], tokens.shape[2], *grid)
