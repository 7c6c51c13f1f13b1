"""Judges the evidence: faults, which no result would survive, and notes, which a reader of results should know."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from segpipe.datasets import Pair
from segpipe.preparation import twins
from segpipe.preparation.evidence import Refused, View
from segpipe.preparation.reading import CURES
from segpipe.preparation.splits import SPLITS

NAMED = 3
"""Files that a message names; the others stand in audit.json."""


@dataclass(frozen=True)
class Finding:
    """What a check found, in one line, and the files that it is about."""

    check: str
    message: str
    files: tuple[Path, ...] = ()
    is_fault: bool = True


def judge(views: Sequence[View]) -> list[Finding]:
    """Everything that is to be said; what several views share is said once."""
    of_files = (_refused, _partners, _names, _sizes)
    of_masks = (_raw_ids, _empty, _single_class, _presence)
    of_splits = (_groups, _duplicates, _twins)
    checks = of_files + of_masks + of_splits
    return list(dict.fromkeys(finding for check in checks for view in views for finding in check(view)))


def _refused(view: View) -> Iterator[Finding]:
    files = dict.fromkeys(path for pair in view.listed for path in (pair.image, pair.mask))
    for check, cure in CURES.items():
        found = {
            path: file.found
            for path in files
            if isinstance(file := view.evidence[path], Refused) and file.check == check
        }
        if found:
            said = _listed(f"{_short(path)} ({reason})" for path, reason in found.items())
            yield Finding(check, f"{said}. {cure}", tuple(found))


def _partners(view: View) -> Iterator[Finding]:
    if view.unpaired:
        said = f"{_listed(map(_short, view.unpaired))} in view '{view.name}' without a partner"
        cure = "Every image needs its mask and every mask its image: add what is missing, or take the rest away"
        yield Finding("partner", f"{said}. {cure}", tuple(view.unpaired))


def _names(view: View) -> Iterator[Finding]:
    by_name: dict[str, list[Path]] = defaultdict(list)
    for pair in view.listed:
        by_name[pair.name].append(pair.image)
    twice = {name: images for name, images in by_name.items() if len(images) > 1}
    if twice:
        said = _listed(f"{name} ({' = '.join(map(_short, images))})" for name, images in twice.items())
        message = f"one name for several pairs in view '{view.name}': {said}. Names must be unique: mend pairs() in "
        yield Finding("name", message + view.source, tuple(image for images in twice.values() for image in images))


def _sizes(view: View) -> Iterator[Finding]:
    sizes = {pair: view.sizes(pair) for pair in view.listed}
    unequal = [pair for pair, found in sizes.items() if len(set(found)) == 2]
    if unequal:
        said = _listed(f"{_short(p.image)} ({_by(sizes[p][0])}, mask {_by(sizes[p][1])})" for p in unequal)
        cure = "A mask must lie on its image pixel by pixel: replace one of them"
        yield Finding(
            "size",
            f"image and mask differ in size: {said}. {cure}",
            tuple(path for pair in unequal for path in (pair.image, pair.mask)),
        )


def _raw_ids(view: View) -> Iterator[Finding]:
    unknown = [i for i in np.flatnonzero(view.raw_pixels.sum(0)) if i not in view.table.known_raw_ids]
    if unknown:
        found = {str(i): (view.raw_pixels[:, i].sum(), _masks(view, view.raw_pixels[:, i] > 0)) for i in unknown}
        if view.table.encoding.colors:
            found = {color: (sum(masks.values()), tuple(masks)) for color, masks in view.unlisted_colors.items()}
        said = _listed(
            f"{shown} ({pixels} pixels in {_counted(len(masks), 'file')}, first {_short(masks[0])})"
            for shown, (pixels, masks) in found.items()
        )
        what = "colours" if view.table.encoding.colors else "raw ids"
        message = f"{what} that label table '{view.table.name}' neither maps nor ignores: {said}. Add them to "
        yield Finding("raw ids", message + view.source, _masks(view, view.raw_pixels[:, unknown].sum(1)))


def _empty(view: View) -> Iterator[Finding]:
    counted: np.ndarray = view.raw_pixels.sum(1) - view.ignored_pixels
    if files := _masks(view, np.logical_not(counted)):
        said = f"nothing but ignored pixels in view '{view.name}': {_listed(map(_short, files))}"
        yield Finding("empty mask", f"{said}. Every mask must label something: take these pairs away", files)


def _single_class(view: View) -> Iterator[Finding]:
    if files := _masks(view, (view.class_pixels > 0).sum(1) == 1):
        said = f"{_counted(len(files), 'mask')} of a single class in view '{view.name}': {_listed(map(_short, files))}"
        yield Finding("single class", said, files, is_fault=False)


def _presence(view: View) -> Iterator[Finding]:
    for split in SPLITS:
        here = view.is_in(split)
        if not here.any() and split != "train":
            continue
        pixels = view.class_pixels[here].sum(0)
        missing = [name for name, count in zip(view.table.class_names, pixels, strict=True) if count == 0]
        if missing:
            said = f"no pixel of {_listed(missing)} in the {split} split of view '{view.name}'"
            cure = ". A model cannot learn what it never sees: change `split:` or `seed:` in params.yaml, or add data"
            yield Finding("class presence", said + cure * (split == "train"), is_fault=split == "train")


def _groups(view: View) -> Iterator[Finding]:
    """Splits of ours never part a group; an official one may."""
    sides: dict[str, set[str]] = defaultdict(set)
    for pair in view.listed:
        sides[pair.group].add(view.split_of(pair))
    if parted := [group for group, splits in sides.items() if len(splits) > 1]:
        message = f"{_counted(len(parted), 'group')} on several sides of the official split: {_listed(parted)}"
        yield Finding("group", message, is_fault=False)


def _duplicates(view: View) -> Iterator[Finding]:
    same: dict[str, list[Pair]] = defaultdict(list)
    for pair, image in zip(view.pairs, view.images, strict=True):
        same[image.digest].append(pair)
    sets = [pairs for pairs in same.values() if len(pairs) > 1]
    num_sides = [len({view.split_of(pair) for pair in pairs}) for pairs in sets]
    across = [pairs for pairs, sides in zip(sets, num_sides, strict=True) if sides > 1]
    ours = [pairs for pairs in across if _crosses_ours(view, pairs)]
    yield from _alike(view, "duplicate", "the same picture", ours, [pairs for pairs in across if pairs not in ours])
    if within := [pairs for pairs, sides in zip(sets, num_sides, strict=True) if sides == 1]:
        said = _listed(" = ".join(_short(pair.image) for pair in pairs) for pairs in within)
        yield Finding("duplicate", f"the same picture within a split: {said}", _images(within), is_fault=False)


def _twins(view: View) -> Iterator[Finding]:
    # Equal pictures are duplicates, said above: the last of them speaks for all.
    chosen = sorted({image.digest: i for i, image in enumerate(view.images)}.values())
    pairs = [view.pairs[i] for i in chosen]
    hashes = np.array([view.images[i].difference_hash for i in chosen], np.uint64)
    thumbnails = np.array([view.images[i].thumbnail for i in chosen])
    sides = np.array([SPLITS.index(view.split_of(pair)) for pair in pairs], int)
    origins = np.array([_origin(view, pair) for pair in pairs], str)

    def across(here: np.ndarray, of: np.ndarray) -> list[list[Pair]]:
        found = twins.across(hashes[here], thumbnails[here], of[here])
        return [[pairs[here[i]], pairs[here[j]]] for i, j in found]

    # Each boundary is looked at alone: a picture's nearest twin beyond the official one must not hide one beyond ours.
    ours = [twin for origin in np.unique(origins) for twin in across(np.flatnonzero(origins == origin), sides)]
    yield from _alike(view, "twin", "nearly the same picture", ours, across(np.arange(len(pairs)), origins))


def _origin(view: View, pair: Pair) -> str:
    """The side of the official split that a pair comes from; where the split is ours, all come from one."""
    return str(pair.official_split) if view.is_official else ""


def _crosses_ours(view: View, pairs: list[Pair]) -> bool:
    """Whether two of them that come from one side stand on different ones, by a split of ours."""
    return len({(_origin(view, p), view.split_of(p)) for p in pairs}) > len({_origin(view, p) for p in pairs})


def _alike(view: View, check: str, what: str, ours: list[list[Pair]], official: list[list[Pair]]) -> Iterator[Finding]:
    """A fault across a boundary of ours; across the official one, which is not ours to move, a note."""

    def told(sets: list[list[Pair]]) -> str:
        return _listed(" = ".join(f"{_short(pair.image)} ({view.split_of(pair)})" for pair in pairs) for pairs in sets)

    if ours:
        cure = f"A split must be honest: give them one group in {view.source}, or take one away"
        yield Finding(check, f"{what} on both sides of the split: {told(ours)}. {cure}", _images(ours))
    if official:
        message = f"{what} on both sides of the official split: {told(official)}"
        yield Finding(check, message, _images(official), is_fault=False)


def _masks(view: View, chosen: np.ndarray) -> tuple[Path, ...]:
    return tuple(view.pairs[i].mask for i in np.flatnonzero(chosen))


def _images(sets: list[list[Pair]]) -> tuple[Path, ...]:
    return tuple(dict.fromkeys(pair.image for pairs in sets for pair in pairs))


def _short(path: Path) -> str:
    """An image and its mask often share their name: the folder tells them apart."""
    return f"{path.parent.name}/{path.name}"


def _by(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" + "s" * (number != 1)


def _listed(items: Iterable[str]) -> str:
    """The first few, and how many more audit.json names."""
    everything = list(items)
    more = f" and {len(everything) - NAMED} more" if len(everything) > NAMED else ""
    return ", ".join(everything[:NAMED]) + more
