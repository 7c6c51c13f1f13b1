"""What a model predicts today on a prepared set, counted in pixels by image and class."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from segpipe import artifacts
from segpipe.confusion import confusion_matrix
from segpipe.evaluation.scoring import image_confusions
from segpipe.features import Feed
from segpipe.inference.usable_model import UsableModel
from segpipe.labels import LabelTable
from segpipe.loading import Samples
from segpipe.metrics import overlap
from segpipe.params import Evaluation
from segpipe.promotion.evidence import Counts, ImageCounts

Confusions = dict[str, np.ndarray]


def recounted(usable: UsableModel, prepared: Path, how: Evaluation) -> Confusions:
    """The confusion of every image of the split that `how` names, by the image's name: [C, C] each."""
    classes = LabelTable.from_dict(artifacts.read_json(prepared / "manifest.json")["labels"]).class_names
    if classes != usable.labels.class_names:
        raise ValueError(
            f"{usable.name} knows the classes {usable.labels.class_names}, and {prepared} has {classes}: "
            "no score of one says anything of the other. Give the new classes a registered model of their own"
        )
    samples = Samples([prepared], how.split)
    if samples.size != usable.size:
        return dict(_through_its_own_size(usable, samples, how))
    batch, feed = usable.config["experiment"]["batch"], Feed(usable.model, samples)
    with torch.inference_mode():
        return dict(image_confusions(usable.model, feed, batch, usable.here, len(classes), how))


def _through_its_own_size(usable: UsableModel, samples: Samples, how: Evaluation) -> Iterator[tuple[str, np.ndarray]]:
    """Images are resized for the model as when it is served, and its masks back, to be compared with the truth."""
    for index, name in enumerate(samples.names):
        image, truth = samples[index]
        yield name, confusion_matrix(truth, usable.mask(image, how), len(usable.labels.classes), name)


def miou(confusions: Confusions) -> float:
    """As `evaluate` computes it, to the last digit."""
    return overlap.overall(sum(confusions.values(), start=np.zeros((), np.int64)))["miou"]


def counts(confusions: Confusions) -> Counts:
    """What image_counts.csv holds of them."""
    return {
        name: ImageCounts(
            intersection=np.diag(confusion).tolist(),
            union=(confusion.sum(0) + confusion.sum(1) - np.diag(confusion)).tolist(),
        )
        for name, confusion in confusions.items()
    }


def num_differing_pixels(before: Counts, after: Counts) -> int:
    """At least so many pixels are predicted otherwise: more cannot be known without the masks themselves.

    A pixel that changes takes one from what one class is predicted in and adds it to another's, and turns right or
    wrong at most once. Of the same truth, what is predicted as a class changes as union + intersection does.
    """
    total = 0
    for image in before.keys() | after.keys():
        if image not in before or image not in after:
            raise ValueError(f"image {image} was counted only once: the splits differ, so that nothing can be compared")
        hits, unions = (
            np.array(getattr(after[image], kind)) - np.array(getattr(before[image], kind))
            for kind in ("intersection", "union")
        )
        total += max(int(np.abs(hits).sum()), int(np.abs(hits + unions).sum()) // 2)
    return total
