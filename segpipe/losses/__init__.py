"""The losses, one file each.

A loss file offers

    Options    its settings: a frozen pydantic model
    build(options, class_names)    a module: logits [B, C, H, W], class ids [B, H, W] -> its terms by name, to be added
"""
