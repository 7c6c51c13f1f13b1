"""Your own images and masks, wherever they lie: `layout:` in params.yaml describes them (docs/your-own-data.md).

Facts
    Source      a folder or an archive of yours, or any Kaggle dataset (`source: {kind: kaggle, dataset: owner/name}`)
    Images      8 bits a channel. Transparency is put aside: what counts is the colour beneath
    Masks       raw ids in one channel, in one of several, or as colours; or two classes, parted by a threshold
    Layout      two patterns, `images` and `masks`; what their stars match is the name, by which they belong together
    Views       `binary` where there is a threshold, else `classes`
    Fabricated  aerial scenes, named by number, in the layout that is described: their buildings are the class named so,
                else the second one; everything else is dealt out to the other classes
"""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from segpipe import artifacts
from segpipe.datasets import Pair, Scene, write_picture
from segpipe.datasets._layout import Layout, TableGroup, TilesGroup
from segpipe.labels import Encoding, LabelTable

__all__ = ["Layout", "configured"]

ENDINGS = ("png", "jpg", "jpeg", "tif", "tiff", "bmp", "webp")
"""What `.*` at the end of a pattern stands for, in small letters or capitals."""

WILDCARDS = re.compile(r"(\*\*/|\.\*$|\*|\{split\})")
SOURCE = "the dataset's `layout:` in params.yaml"

AERIAL_BUILDINGS = (9, 10, 11, 12)
"""Roof, wall, window and door in the aerial scenery."""

FABRICATED_SPLITS = ("train", "train", "val", "test", "train", "train", "train")


class File(NamedTuple):
    """An image or a mask: what the stars of its pattern match, and the split that its path tells."""

    path: Path
    name: str
    split: str | None


Files = dict[tuple[str | None, str], File]
"""By what image and mask have in common: the name, and the split where both paths tell it."""


class Folder:
    """A dataset in the layout that its user describes."""

    __name__ = __name__
    SCENERY = "aerial"
    SOURCE = SOURCE

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.LICENCE = layout.licence
        self.table = layout.table
        self.VIEWS = {self.table.name: self.table}
        patterns = {"images": layout.images, "masks": layout.masks}
        # A file that both match belongs to the pattern that says more of it: `*_mask.*` before `*.png`.
        in_order = sorted(patterns, key=lambda kind: _said_by(patterns[kind]), reverse=True)
        self._patterns = {kind: _compiled(patterns[kind], layout.splits.values()) for kind in in_order}

    def find_root(self, folder: Path) -> Path:
        """The outermost folder from which both patterns match something."""
        roots: dict[str, set[tuple[str, ...]]] = {"images": set(), "masks": set()}
        for place in _walk(folder):
            parts = tuple(place.split("/"))
            for depth in range(len(parts)):
                if matched := self._matched("/".join(parts[depth:])):
                    roots[matched[0]].add(parts[:depth])
        found = sorted(roots["images"] & roots["masks"], key=lambda root: (len(root), root))
        outermost = ["/".join(root) for root in found if len(root) == len(found[0])]
        if not found:
            absent = [f"{kind} '{getattr(self.layout, kind)}'" for kind in ("images", "masks") if not roots[kind]]
            said = f"holds no {' and no '.join(absent)}" if absent else "holds images and masks, but not in one folder"
            raise FileNotFoundError(
                f"{folder} {said}, where both were expected. Correct the patterns in {SOURCE}, or the path to it"
            )
        if len(outermost) > 1:
            raise ValueError(
                f"{folder} holds images and masks in each of {_few(outermost)}, where one such folder was expected. "
                f"Begin both patterns in {SOURCE} with `*/`; with `{{split}}/`, if these are the splits"
            )
        return folder.joinpath(*found[0])

    def pairs(self, root: Path, view: str) -> list[Pair]:
        """Each image that has a mask, by name."""
        images, masks = self._files(root)
        groups = _groups(self.layout, list(images.values()), root)
        listed = _listed_splits(self.layout, list(images.values()), root)
        pairs = []
        for key in images.keys() & masks.keys():
            image, mask, name = images[key], masks[key], "/".join(filter(None, key))
            split = listed.get(image.name) or image.split or mask.split
            pairs.append(Pair(name, groups.get(image.name, name), image.path, mask.path, split))
        return sorted(pairs, key=lambda pair: pair.name)

    def unpaired(self, root: Path, view: str) -> list[Path]:
        """The images without a mask, and the masks without an image."""
        images, masks = self._files(root)
        return sorted((images | masks)[key].path for key in images.keys() ^ masks.keys())

    def fabricate(self, root: Path, scenes: Iterable[Scene]) -> None:
        """Write scenes, whose things are those of the aerial scenery, as the layout describes them."""
        layout, raw_ids = self.layout, _raw_ids_by_thing(self.table)
        words = {str(split): word for split, word in layout.splits.items()}
        splits = [split for split in FABRICATED_SPLITS if split in words] or [""]
        rows = []
        for number, scene in enumerate(scenes):
            split, name = splits[number % len(splits)], _fabricated_name(layout, number)
            mask = _encoded(raw_ids[scene.things], self.table.encoding)
            places = [_filled(one, name, words.get(split, "")) for one in (layout.images, layout.masks)]
            for place, pixels in zip(places, (scene.image, mask), strict=True):
                (root / place).parent.mkdir(parents=True, exist_ok=True)
                write_picture(root / place, pixels)
            read_back = self._matched(places[0])
            assert read_back, places[0]
            rows.append({"split": split, "name": _name(read_back[1]), "group": scene.sequence})
        _write_tables(layout, root, rows)

    def _matched(self, place: str) -> tuple[str, re.Match[str]] | None:
        """Which pattern takes a path, and how; none does most of what lies about."""
        return next(((kind, match) for kind, one in self._patterns.items() if (match := one.fullmatch(place))), None)

    def _files(self, root: Path) -> tuple[Files, Files]:
        """All images and all masks."""
        splits = {word: split for split, word in self.layout.splits.items()}
        do_both_tell = "{split}" in self.layout.images and "{split}" in self.layout.masks
        found: dict[str, Files] = {"images": {}, "masks": {}}
        for place in _walk(root):
            if matched := self._matched(place):
                kind, match = matched
                file = File(root / place, _name(match), splits.get(match.groupdict().get("split", "")))
                key = (file.split if do_both_tell else None, file.name)
                if twin := found[kind].get(key):
                    raise ValueError(
                        f"{place} and {twin.path.relative_to(root).as_posix()} are both '{file.name}' among the "
                        f"{kind}, where one was expected. Take one away, or make the pattern narrower in {SOURCE}"
                    )
                found[kind][key] = file
        _refuse_empty_splits(self.layout, [file for files in found.values() for file in files.values()], root)
        return found["images"], found["masks"]


def configured(layout: Layout) -> Folder:
    """The dataset that a layout describes."""
    return Folder(layout)


# What paths mean


def _walk(folder: Path) -> Iterator[str]:
    """Every file under a folder, by its path from there; what is hidden is none."""
    for where, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(where, name).relative_to(folder).as_posix() for name in files if not name.startswith("."))


def _compiled(pattern: str, words: Iterable[str]) -> re.Pattern[str]:
    meanings = {
        "**/": "((?:[^/]+/)*)",
        "*": "([^/]+)",
        ".*": rf"\.(?i:{'|'.join(ENDINGS)})",
        "{split}": f"(?P<split>{'|'.join(map(re.escape, words))})",
    }
    return re.compile("".join(meanings.get(part) or re.escape(part) for part in WILDCARDS.split(pattern)))


def _said_by(pattern: str) -> tuple[int, int]:
    """How many letters of a path it spells out: without the ending, and with it."""
    return len(WILDCARDS.sub("", pattern.rpartition(".")[0])), len(WILDCARDS.sub("", pattern))


def _name(match: re.Match[str]) -> str:
    """What the stars match, one behind the other."""
    starred = [text for place, text in enumerate(match.groups(), 1) if place != match.re.groupindex.get("split")]
    return "/".join(text.strip("/") for text in starred if text)


def _without_ending(name: str) -> str:
    stem, _, ending = name.strip().rpartition(".")
    return stem if ending.lower() in ENDINGS else name.strip()


def _refuse_empty_splits(layout: Layout, files: list[File], root: Path) -> None:
    told = {file.split for file in files}
    for split, word in layout.splits.items():
        if layout.has_split_in_paths and split not in told:
            raise ValueError(
                f"{root} holds no file of the split {split}, where '{word}' was expected for `{{split}}` in a path. "
                f"Say under `splits` in {SOURCE} what it is called, or leave it out there"
            )


def _listed_splits(layout: Layout, images: list[File], root: Path) -> dict[str, str]:
    """The split of each image by name, from the lists, where there are any."""
    names = {image.name for image in images}
    listed: dict[str, str] = {}
    for split, path in layout.splits.items() if not layout.has_split_in_paths else ():
        for number, name in enumerate(map(_without_ending, _lines(root, path)), 1):
            if name and name not in names:
                raise ValueError(
                    f"{path}, line {number}, names '{name}', where an image's name was expected, such as "
                    f"'{images[0].name}'. Correct the list, or add the image"
                )
            if name and listed.setdefault(name, split) != split:
                raise ValueError(
                    f"'{name}' stands in the lists of {listed[name]} and of {split}, where one was expected: a model "
                    "must not be tested on what it has learnt. Take it out of one of them"
                )
    return listed


def _lines(root: Path, path: str) -> list[str]:
    if not (root / path).is_file():
        raise FileNotFoundError(f"{path} is not in {root}, where it was expected. Add it, or correct {SOURCE}")
    return (root / path).read_text(encoding="utf-8-sig").splitlines()


def _few(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


# What belongs together


def _groups(layout: Layout, images: list[File], root: Path) -> dict[str, str]:
    """The group of each image by name; without any, every image stands for itself."""
    if layout.group is None:
        return {}
    if isinstance(layout.group, TableGroup):
        return _tabled_groups(layout.group.path, images, root)
    if isinstance(layout.group, TilesGroup):
        return {image.name: _parent_tile(layout.group, image) for image in images}
    found = {image.name: _searched(layout.group.pattern, image) for image in images}
    return {name: "-".join(match.groups("") or (match[0],)) for name, match in found.items()}


def _searched(pattern: str, image: File) -> re.Match[str]:
    if match := re.search(pattern, image.name):
        return match
    raise ValueError(
        f"{image.path.name}: its name '{image.name}' does not match '{pattern}', where every name must tell its group. "
        f"Correct `group.pattern` in {SOURCE}, or the name"
    )


def _parent_tile(group: TilesGroup, image: File) -> str:
    x, y, zoom = (int(_searched(group.pattern, image)[part]) for part in ("x", "y", "zoom"))
    if zoom < group.zoom:
        raise ValueError(
            f"{image.path.name} is a tile of zoom {zoom}, where {group.zoom} or more was expected: it spans several "
            f"groups. Lower `group.zoom` in {SOURCE}"
        )
    return f"{group.zoom}-{x >> zoom - group.zoom}-{y >> zoom - group.zoom}"


def _tabled_groups(path: str, images: list[File], root: Path) -> dict[str, str]:
    rows = csv.DictReader(_lines(root, path))
    known = {_without_ending(row.get("name") or ""): row.get("group") or "" for row in rows}
    groups = {image.name: known.get(image.name, "") for image in images}
    if missing := [name for name, group in groups.items() if not group]:
        raise ValueError(
            f"{path} gives no group to {_few(sorted(missing))}, where columns name and group were expected, and a row "
            "for every image. Complete it: what is forgotten may end up on both sides of a split"
        )
    return groups


# What is fabricated


def _raw_ids_by_thing(table: LabelTable) -> np.ndarray:
    """[256] uint8, by what the aerial scenery draws."""
    names = table.class_names
    buildings = next((i for i, name in enumerate(names) if re.search("build|roof|house", name, re.IGNORECASE)), 1)
    others = [i for i in range(len(names)) if i != buildings]
    class_ids = np.resize(others, 256)
    class_ids[list(AERIAL_BUILDINGS)] = buildings
    raw_ids = [label.raw_ids[-1 if class_id else 0] for class_id, label in enumerate(table.classes)]
    by_thing: np.ndarray = np.array(raw_ids, np.uint8)[class_ids]
    return by_thing


def _encoded(raw_mask: np.ndarray, encoding: Encoding) -> np.ndarray:
    """The mask as its pixels are written."""
    if encoding.channel is None:
        return np.take(np.array(encoding.colors, np.uint8), raw_mask, 0) if encoding.colors else raw_mask
    channels = np.zeros((*raw_mask.shape, 3), np.uint8)
    channels[..., encoding.channel] = raw_mask
    return channels


def _fabricated_name(layout: Layout, number: int) -> str:
    group, name = layout.group, f"{number:06d}"
    if isinstance(group, TilesGroup):
        name = f"{number % 8}-{number // 8}-{group.zoom + 1}"
    if group and not isinstance(group, TableGroup) and not re.search(group.pattern, name):
        raise ValueError(
            f"a fabricated image is called '{name}', which `group.pattern` in {SOURCE} does not match. Let the demo do "
            "without it: write `layout: {group: null}` into the dataset's `demo:`"
        )
    return name


def _filled(pattern: str, name: str, word: str) -> str:
    """A path that the pattern matches."""
    folder, slash, file = pattern.rpartition("/")
    folder = (folder + slash).replace("**/", "").replace("*", "part")
    return (folder + re.sub(r"\.\*$", ".png", file).replace("*", name)).replace("{split}", word)


def _write_tables(layout: Layout, root: Path, rows: list[dict[str, Any]]) -> None:
    """The lists of the splits and the table of the groups, where the layout has them."""
    for split, path in layout.splits.items() if not layout.has_split_in_paths else ():
        names = [row["name"] for row in rows if row["split"] == split]
        artifacts.write_text(root / path, "".join(f"{name}\n" for name in names))
    if isinstance(layout.group, TableGroup):
        groups = ({column: row[column] for column in ("name", "group")} for row in rows)
        artifacts.write_rows(root / layout.group.path, groups, ("name", "group"))
