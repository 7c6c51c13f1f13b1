"""The features of some samples, read instead of their images; what is not on disk yet is computed first, once."""

from __future__ import annotations

import errno
import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import torch
from torch import Tensor

from segpipe import artifacts, params
from segpipe.augmentations import ANY_FLIP, flipped_mask
from segpipe.devices import Machine
from segpipe.features.entry import Entry, Plan, Shapes, alone_with, is_whole
from segpipe.features.identity import made_by
from segpipe.features.room import give_back, take_room
from segpipe.layers.segmentation_model import SegmentationModel
from segpipe.loading import Batch, Fill, Row, Samples, flipped
from segpipe.preparation.manifest import part_and_place
from segpipe.terminal import progress, say

WAYS = {"none": 1, "flips": len(ANY_FLIP)}
"""How many ways each recipe may turn an image: the features of a flipped image are not the flipped features."""

BATCH = 8
"""Images that the backbone is given at once."""

LARGEST_DIFFERENCE = 0.05
"""Between features kept and made anew, as a share of their norm: bf16 and other kernels take a tenth of that."""


class FeatureSamples(Samples):
    """Samples whose features lie on disk: `entries[way][part]`, for each way of turning them and each packed folder."""

    def __init__(self, samples: Samples, entries: list[list[Entry]], ends: list[int], shapes: Shapes) -> None:
        super().__init__(samples.folders, samples.split)
        self.threads = samples.threads
        self._entries, self._part_ends, self._shapes = entries, ends, shapes

    @property
    def key(self) -> str:
        """The hash of all that these features are."""
        contents = [entry.content for way in self._entries for entry in way]
        return hashlib.sha256(" ".join(contents).encode()).hexdigest()

    def rows(self) -> list[Row]:
        return [*((shape, np.uint16) for shape in self._shapes), (self.size, np.uint8)]

    def filler(self, recipe: str) -> Fill:
        num_ways = WAYS[recipe]

        def fill(index: int, number: int, into: Sequence[np.ndarray]) -> None:
            part, place = part_and_place(self._part_ends, index)
            way = number % num_ways
            *targets, mask = into
            for kept_feature, target in zip(self._entries[way][part][place], targets, strict=True):
                np.copyto(target, kept_feature)
            flipped_mask(self[index][1], way, mask)

        return fill

    def batch(self, filled: Sequence[Tensor], names: list[str]) -> Batch:
        *bits, masks = filled
        images = torch.empty((len(names), 3, 0, 0), dtype=torch.uint8)
        return Batch(images, masks, names, tuple(_as_made(each) for each in bits))


def _as_made(bits: Tensor) -> Tensor:
    """As they lie, uint16 -> as the backbone gives them, bf16: maps [B, D, h, w] are channels last in memory."""
    features = bits.view(torch.bfloat16)
    return features.permute(0, 3, 1, 2) if features.dim() == 4 else features


def _to_keep(feature: Tensor) -> np.ndarray:
    """The way back."""
    lying = feature.permute(0, 2, 3, 1) if feature.dim() == 4 else feature
    kept: np.ndarray = lying.to(torch.bfloat16).contiguous().cpu().view(torch.uint16).numpy()
    return kept


@dataclass(frozen=True)
class _Wanted:
    """An entry that is wanted, and what it is made of."""

    plan: Plan
    samples: Samples
    way: int


Make = Callable[[Batch], list[np.ndarray]]
"""A batch of images -> their features, as they lie."""


def kept(model: SegmentationModel, samples: Samples, label: str, here: Machine, recipe: str) -> FeatureSamples | None:
    """These samples with the features that `model` makes of them, or None where there is no room for those."""
    limit = params.hardware().feature_cache_gb * 1e9
    if not limit:
        return None
    make, parts, ways = _maker(model, here), samples.parts(), range(WAYS[recipe])
    first = make(next(flipped(parts[0], 1, 0, range(1))))
    shapes = tuple(array.shape[1:] for array in first)
    identity = made_by(model, here)
    wanted = [_Wanted(_plan(identity, part, way, shapes), part, way) for way in ways for part in parts]
    if not take_room([each.plan for each in wanted], limit, label):
        return None
    try:
        _complete_and_right(wanted, make, first, label)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        give_back([each.plan for each in wanted])
        say(f"{label}: the disk is full of its features: going on without them, slower. Free some space")
        return None
    entries = [[Entry(each.plan) for each in wanted if each.way == way] for way in ways]
    return FeatureSamples(samples, entries, list(accumulate(len(part) for part in parts)), shapes)


def _complete_and_right(wanted: list[_Wanted], make: Make, first: list[np.ndarray], label: str) -> None:
    """Have all of them; whatever their identity has overlooked shows in the first image's features."""
    _complete(wanted, make, label)
    plan = wanted[0].plan
    if not _agree(Entry(plan)[0], first):
        say(f"{label}: the features in {plan.folder} are not this model's; all are computed anew")
        for each in wanted:
            shutil.rmtree(each.plan.folder)
        _complete(wanted, make, label)


def _maker(model: SegmentationModel, here: Machine) -> Make:
    @torch.no_grad()
    def make(batch: Batch) -> list[np.ndarray]:
        with here.autocast():
            features = model.features(model.normalised(batch.to(here.device).images))
        return [_to_keep(feature) for feature in features]

    return make


def _plan(identity: dict[str, object], part: Samples, way: int, shapes: Shapes) -> Plan:
    of_images = {"data": part.content[0], "split": part.split, "size": part.size, "flip": ANY_FLIP[way]}
    whole = {**identity, **of_images}
    key = hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()[:32]
    return Plan(artifacts.features() / key, whole, len(part), shapes)


def _agree(there: list[np.ndarray], now: list[np.ndarray]) -> bool:
    """Whether what is kept of an image is what the model makes of it."""
    for old, new in zip(there, now, strict=True):
        before, after = (torch.from_numpy(bits.copy()).view(torch.bfloat16).float() for bits in (old, new[0]))
        if not (before - after).norm() <= LARGEST_DIFFERENCE * after.norm():
            return False
    return True


# Building


def _complete(wanted: list[_Wanted], make: Make, label: str) -> None:
    """Make what is not there, one entry at a time; who comes second waits, and finds it made."""
    absent = [each for each in wanted if not is_whole(each.plan, each.samples.threads)]
    if not absent:
        return
    images, size = sum(each.plan.count for each in absent), sum(each.plan.bytes for each in absent)
    say(f"{label}: the features of {images} images are computed, once, and kept in {size / 1e9:.2f} GB")
    batches = (None for each in absent for _ in _build(each, make))
    total = sum(-(-len(shard) // BATCH) for each in absent for shard in each.plan.shards())
    for _ in progress(batches, f"{label}: features", total):
        pass


def _build(wanted: _Wanted, make: Make) -> Iterator[None]:
    """Fill the entry, or go on where a killed build stopped; yields after each batch."""
    plan = wanted.plan
    with alone_with(plan.folder):
        if is_whole(plan, wanted.samples.threads):
            return
        plan.begin()
        for number in plan.missing():
            arrays, done = plan.empty_shard(number), 0
            for batch in flipped(wanted.samples, BATCH, wanted.way, plan.shards()[number]):
                until = done + len(batch.names)
                for array, made in zip(arrays, make(batch), strict=True):
                    array[done:until] = made
                done = until
                yield
            plan.write(number, arrays)
        plan.finish()
