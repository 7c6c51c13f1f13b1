"""Image classifiers of timm as extractors of output stride 8 (system S2), which dilate where they would stride on."""

from __future__ import annotations

from typing import Any

from torch import nn

from segpipe.layers.encoders import EncoderWeights

FAMILIES = ("densenet", "mobilenetv3", "convnext")


def stride8_extractor(encoder: EncoderWeights, last_block: int | None = None) -> tuple[nn.Sequential, int]:
    """What of `encoder` makes a feature map, and its channels; a DenseNet may end behind dense block `last_block`.

    normalised [B, 3, H, W] -> [B, channels, H / 8, W / 8]
    """
    name = encoder.encoder
    if last_block is not None and not name.startswith("densenet"):
        raise ValueError(
            f"features are wanted from dense block {last_block}, and timm's '{name}' has no dense blocks. "
            "Take another layout, or the weights of a densenet"
        )
    if name.startswith("densenet"):
        return _densenet(encoder, last_block)
    if name.startswith("mobilenetv3"):
        return _mobilenet(encoder)
    if name.startswith("convnext"):
        return _convnext(encoder)
    raise ValueError(
        f"weights of timm's '{name}' were given, and no way is known to give that the output stride 8. "
        f"Take a {', '.join(FAMILIES)}, or add its family to segpipe/layers/stride8_extractors.py"
    )


def _densenet(encoder: EncoderWeights, last_block: int | None) -> tuple[nn.Sequential, int]:
    """timm has no option for it: transitions 2 and 3 lose their pooling, and the blocks behind them dilate."""
    network = _network(encoder)
    network.load_state_dict(encoder.state)
    features = network.features
    for number, dilation in ((2, 2), (3, 4)):
        features.get_submodule(f"transition{number}").pool = nn.Identity()
        for layer in features.get_submodule(f"denseblock{number + 1}").children():
            layer.conv2.dilation = layer.conv2.padding = (dilation, dilation)
    if last_block is None:
        return features, network.num_features
    names = [name for name, _ in features.named_children()]
    end = names.index(f"denseblock{last_block}") + 1
    return features[:end], network.feature_info[last_block]["num_chs"]


def _mobilenet(encoder: EncoderWeights) -> tuple[nn.Sequential, int]:
    """Its `conv_head` works on the pooled features of a whole image: of no use here, it is left in the file."""
    network = _network(encoder, features_only=True, output_stride=8)
    network.load_state_dict({key: value for key, value in encoder.state.items() if not key.startswith("conv_head.")})
    return nn.Sequential(network.conv_stem, network.bn1, network.blocks), network.feature_info.channels()[-1]


def _convnext(encoder: EncoderWeights) -> tuple[nn.Sequential, int]:
    """The norm in its `head` is of the pooled features of a whole image: of no use here, it is not taken over."""
    network = _network(encoder, output_stride=8)
    network.load_state_dict(encoder.state)
    return nn.Sequential(network.stem, network.stages), network.num_features


def _network(encoder: EncoderWeights, **settings: Any) -> Any:
    import timm

    return timm.create_model(encoder.encoder, pretrained=False, num_classes=0, **settings)
