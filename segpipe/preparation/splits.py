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
    An official split with `held_out` draws val in this way from the official train.
    """
    if split.kind == "official":
        official = {pair.name: _official(pair) for pair in pairs}
        held_out = getattr(split, "held_out", None)
        return official if held_out is None else official | _held_out(pairs, held_out, seed)
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


def _held_out(pairs: Sequence[Pair], share: float, seed: int) -> dict[str, str]:
    """Where the pairs go that do not stay: some of the official train to val, all of the official val to test.

    Of a group on both official sides only the train part can be drawn.
    """
    found = Counter(pair.official_split for pair in pairs)
    if found["test"] or not (found["train"] and found["val"]):
        counted = ", ".join(f"{found[name]} {name}" for name in SPLITS)
        raise ValueError(
            f"held_out: {share} for an official split of {counted} images. It expects images to train and to validate, "
            "and none to test: val is drawn from train, and the official val becomes test. "
            "Take `held_out` away in params.yaml, or ask for `split: {kind: shares, …}`"
        )
    train = [pair for pair in pairs if pair.official_split == "train"]
    sizes, waiting = _order(train, seed)
    drawn = _draw("held_out", share, sizes, waiting)
    val = {pair.name: "val" for pair in train if pair.group in drawn}
    return val | {pair.name: "test" for pair in pairs if pair.official_split == "val"}


def _by_shares(pairs: Sequence[Pair], split: Shares, seed: int) -> dict[str, str]:
    sizes, waiting = _order(pairs, seed)
    by_group: dict[str, str] = {}
    for name, wanted in (("test", split.test), ("val", split.val)):
        by_group |= dict.fromkeys(_draw(name, wanted, sizes, waiting), name)
    return by_group | dict.fromkeys(waiting, "train")


def _order(pairs: Sequence[Pair], seed: int) -> tuple[Counter[str], list[str]]:
    """The images of each group, and the groups, the first to be drawn last."""
    sizes = Counter(pair.group for pair in pairs)
    return sizes, sorted(sizes, key=lambda group: draw_order(seed, group), reverse=True)


def _draw(name: str, wanted: int | float, sizes: Counter[str], waiting: list[str]) -> set[str]:
    """Take whole groups from those that wait, until they hold what is wanted of them; one must be left."""
    number = _number(name, wanted, sum(sizes[group] for group in waiting))
    drawn: set[str] = set()
    taken = 0
    while taken < number:
        group = waiting.pop()
        drawn.add(group)
        taken += sizes[group]
    if not waiting:
        raise ValueError(
            f"{name}: {wanted} takes the last of {sizes.total()} images in {len(sizes)} groups; train needs some. "
            "Ask for fewer in `split:` in params.yaml, or add data"
        )
    return drawn


def _number(name: str, wanted: int | float, left: int) -> int:
    """How many of the images that are left a split asks for."""
    number = wanted if isinstance(wanted, int) else round(wanted * left)
    if not 1 <= number <= left:
        raise ValueError(
            f"{name}: {wanted} asks for {number} of {left} images, expected at least 1 and at most what there is. "
            "Change `split:` in params.yaml, or add data"
        )
    return number
