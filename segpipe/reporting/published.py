"""What the documents of the five systems report, to stand beside what was measured here on the same data."""

from __future__ import annotations

from typing import NamedTuple

from segpipe.reporting.evidence import Experiment


class Published(NamedTuple):
    """A number from a document, and what its reader must know of how it was taken."""

    miou: float
    remark: str


PUBLISHED = {
    ("dino_unet", "aeroscapes_12"): Published(0.3823, "validation, epoch 11; scored through a shifted crop"),
    ("dense_aspp", "cityscapes_20"): Published(0.540, "validation, 60 epochs, model 4"),
    ("dense_aspp", "cityscapes_19"): Published(0.395, "validation, 60 epochs, model 5"),
    ("segformer", "drone_binary"): Published(0.826, "test, 500 copies"),
    ("unet", "drone_binary"): Published(0.783, "test, 500 copies"),
    ("uformer", "drone_binary"): Published(0.853, "test, 500 copies; its settings are not stated"),
}
"""mIoU by model and view of the data."""


def published(experiment: Experiment, view: str) -> Published | None:
    """None where nothing was published, or where ours was not measured on real data with real weights."""
    evaluation = experiment.evaluation
    if evaluation is None or evaluation.metrics["fabricated"] or experiment.weights_label:
        return None
    return PUBLISHED.get((experiment.params["model"]["name"], view))
