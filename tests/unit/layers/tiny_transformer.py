"""A DINOv2 transformer with random weights, and a second forward pass to compare with, written out."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from segpipe.layers.encoders import IMAGENET_MEAN, IMAGENET_STD, EncoderWeights, encoder_module

NAME = "vit_small_patch14_dinov2"
WIDTH, HEADS = 384, 6


@cache
def encoder(name: str = NAME) -> EncoderWeights:
    """Its blocks do something: DINOv2's own start scales what they add by 0.00001."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        state = encoder_module("timm", name, pretrained=False).state_dict()
    for key, value in state.items():
        if key.endswith("gamma"):
            value.fill_(0.5)
    return EncoderWeights("timm", name, state, IMAGENET_MEAN, IMAGENET_STD)


def tokens_after(state: dict[str, Tensor], tokens: Tensor, blocks: range) -> Tensor:
    """[B, N, 384] through these blocks, by the formulas of the paper."""
    for number in blocks:
        block = {
            key.removeprefix(f"blocks.{number}."): value for key, value in state.items() if f"blocks.{number}." in key
        }
        tokens = tokens + block["ls1.gamma"] * attention(block, normed(block, "norm1", tokens))
        hidden = torch.nn.functional.gelu(linear(block, "mlp.fc1", normed(block, "norm2", tokens)))
        tokens = tokens + block["ls2.gamma"] * linear(block, "mlp.fc2", hidden)
    return tokens


def attention(block: dict[str, Tensor], tokens: Tensor) -> Tensor:
    heads = linear(block, "attn.qkv", tokens).view(*tokens.shape[:2], 3, HEADS, -1).permute(2, 0, 3, 1, 4)
    query, key, value = heads  # [B, heads, N, 64]
    weights = (query @ key.mT / key.shape[-1] ** 0.5).softmax(-1)
    return linear(block, "attn.proj", (weights @ value).transpose(1, 2).flatten(2))


def linear(block: dict[str, Tensor], layer: str, tokens: Tensor) -> Tensor:
    return tokens @ block[f"{layer}.weight"].T + block[f"{layer}.bias"]


def normed(block: dict[str, Tensor], layer: str, tokens: Tensor) -> Tensor:
    centred = tokens - tokens.mean(-1, keepdim=True)
    scale = (centred.square().mean(-1, keepdim=True) + 1e-6).rsqrt()
    return centred * scale * block[f"{layer}.weight"] + block[f"{layer}.bias"]


def embedded(state: dict[str, Tensor], images: Tensor) -> Tensor:
    """Images of the transformer's own size, [B, 3, 518, 518] -> tokens [B, 1 + 1369, 384], the class token first."""
    patches = images.unfold(2, 14, 14).unfold(3, 14, 14).permute(0, 2, 3, 1, 4, 5).flatten(3).flatten(1, 2)
    tokens = patches @ state["patch_embed.proj.weight"].flatten(1).T + state["patch_embed.proj.bias"]
    first = state["cls_token"].expand(len(images), -1, -1)
    return torch.cat([first, tokens], 1) + state["pos_embed"]
