"""Under which settings each model keeps its contract: a small encoder for it, and its options that change the most."""

from __future__ import annotations

from typing import Any

from segpipe import components

NARROW = {"channels": [64, 32, 16, 16]}

TOKENS = {"depth": 2}
TOKENS_DECODED = {"depth": 3, "decoder_channels": [32, 16, 16, 8]}

SMALL = {"smp": ("smp", "tu-test_resnet"), "timm": ("timm", "test_resnet"), "members": ("smp", "tu-test_resnet")}

ENCODERS: dict[str, tuple[str, str]] = {
    **{name: SMALL[components.find("models", name).LIBRARY] for name in components.names("models")},
    "dense_aspp": ("timm", "densenet121"),
    "dino_linear": ("timm", "vit_small_patch14_dinov2"),
    "dino_unet": ("timm", "vit_small_patch14_dinov2"),
    "segformer": ("smp", "mit_b0"),
}
"""Library and encoder: a tiny one of the model's library, or the smallest that the model takes."""

SETTINGS: dict[str, list[dict[str, Any]]] = {
    "atrous_unet": [{"frozen": True, **NARROW}, {"frozen": False, "attention": "gate", **NARROW}],
    "dense_aspp": [{"frozen": True, "layout": 5}, {"frozen": False, "layout": 1}],
    "dino_linear": [
        {"head": "linear", **TOKENS},
        {"head": "bn_linear", "layers": 4, "depth": 4},
        {"head": "conv", "conv_channels": 16, **TOKENS},
    ],
    "dino_unet": [
        {"readout": "resize", **TOKENS_DECODED},
        {"readout": "crop", "norm": "batch", "skips": [1, 2], **TOKENS_DECODED},
        {"readout": "crop_unaligned", "kernel": 4, **TOKENS_DECODED},
        {"trainable_blocks": 2, "norm": "group", "skips": [1, 2], **TOKENS_DECODED},
    ],
    "segformer": [
        {"frozen": True, "width": 64},
        {"frozen": False, "last_layer": "convolution", "separable": "decoder"},
    ],
    "unet": [{"frozen": True}, {"frozen": False, "separable": "all"}],
}
