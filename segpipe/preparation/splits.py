"""Decides which pairs train, which validate and which test: the same on every machine, and never through a group."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from typing import Protocol, cast

from segpipe.datasets import Pair

SPLITS = ("train", "val", "test")


class Split(Protocol):
    """The `split:` of a dataset in params.yaml; `kind` is `official` or `shares`."""

    @property
    def kind(self) -> str: ...


class Shares(Split, Protocol):
    """A whole number counts images, a fraction is a share; val is taken of what test leaves."""

    @property
    def test(self) -> int | float: ...

    @property
    def val(self) -> int | float: ...


def assign(pairs: list[Pair], split: Split, seed: int) -> dict[str, str]:
    """The split of each pair, by name.

    Groups stand in an order drawn from the seed; test takes whole groups from its head until it has its number of
    images, then val does. The last group taken may exceed the number: a split overshoots by less than one group.
    """
    if split.kind == "official":
        return {pair.name: _official(pair) for pair in pairs}
    by_group = _by_shares(pairs, cast(Shares, split), seed)
    return {pair.name: by_group[pair.group] for pair in pairs}


def draw_order(seed: int, word: str) -> str:
    """A sort key that shuffles words: every word has its own place, whichever others there are."""
    return hashlib.sha256(f"{seed}:{word}".encode()).hexdigest()


def _official(pair: Pair) -> str:
    if pair.official_split not in SPLITS:
        raise ValueError(
            f"{pair.image.name} has the official split {pair.official_split!r}, expected one of {', '.join(SPLITS)}. "
            "Give the dataset `split: {kind: shares, …}` in params.yaml, or complete its lists"
        )
    return pair.official_split


def _by_shares(pairs: Sequence[Pair], split: Shares, seed: int) -> dict[str, str]:
    sizes = Counter(pair.group for pair in pairs)
    waiting = sorted(sizes, key=lambda group: draw_order(seed, group), reverse=True)
    by_group: dict[str, str] = {}
    for name, wanted in (("test", split.test), ("val", split.val)):
        left = sum(sizes[group] for group in waiting)
        number = _number(name, wanted, left)
        taken = 0
        while taken < number:
            group = waiting.pop()
            by_group[group] = name
            taken += sizes[group]
        if not waiting:
            raise ValueError(
                f"{name}: {wanted} takes the last of {len(pairs)} images in {len(sizes)} groups; train needs some. "
                "Ask for fewer in `split:` in params.yaml, or add data"
            )
    return by_group | dict.fromkeys(waiting, "train")


def _number(name: str, wanted: int | float, left: int) -> int:
    """How many of the images that are left a split asks for."""
    number = wanted if isinstance(wanted, int) else round(wanted * left)
    if not 1 <= number <= left:
        raise ValueError(
            f"{name}: {wanted} asks for {number} of {left} images, expected at least 1 and at most what there is. "
            "Change `split:` in params.yaml, or add data"
        )
    return number
