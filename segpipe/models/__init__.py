"""The published systems, one file each.

A model file offers

    LIBRARY    whose encoders it takes: `smp` or `timm`; `members`, where it stands on two trained experiments
    Options    its settings: a frozen pydantic model, with `size_multiple`, the step of the image sizes that it takes
    build(options, num_classes, encoder)    the SegmentationModel; heavy imports happen here
    build(options, members)                 the same for LIBRARY = `members`, which come built and trained
"""
