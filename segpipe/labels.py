"""Label tables: the classes of a view of a dataset, and the total map from raw ids to class ids."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

IGNORE = 255
"""The class id of pixels that count nowhere: not in a loss, not in a metric."""

UNMAPPED = 254
"""What the lookup holds for raw ids that the table does not know; no class may have this id."""


Color = tuple[int, int, int]

PALETTE: tuple[Color, ...] = (
    (165, 165, 165), (225, 75, 30), (90, 0, 105), (225, 0, 255), (105, 0, 0), (105, 255, 150), (255, 195, 0),
    (60, 90, 90), (135, 180, 240), (255, 225, 255), (75, 0, 165), (210, 105, 90), (150, 75, 180), (0, 15, 255),
    (195, 225, 195), (105, 135, 165), (165, 15, 0), (105, 30, 45), (90, 210, 90), (60, 45, 75), (165, 255, 105),
    (210, 30, 135), (225, 150, 15), (135, 75, 60),
)  # fmt: skip
"""Display colours for classes that have none: each as far from those before it as the colour-blind can tell them."""


@dataclass(frozen=True)
class Encoding:
    """How the pixels of a mask say their raw ids: by their one value, by one of their channels, or by their colour."""

    channel: int | None = None
    colors: tuple[Color, ...] = ()
    """Raw id i is the i-th of these; a pixel of any other colour reads as UNMAPPED."""

    def __post_init__(self) -> None:
        if len(self.colors) > UNMAPPED:
            raise ValueError(f"{len(self.colors)} mask colours, expected at most {UNMAPPED}: merge classes")

    def shown(self, raw_id: int) -> str:
        """What a person finds in the mask: the number, or the colour."""
        return hexadecimal(self.colors[raw_id]) if self.colors else str(raw_id)

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Encoding:
        return cls(content.get("channel"), tuple(tuple(color) for color in content.get("colors", ())))


PLAIN = Encoding()


def hexadecimal(color: Iterable[int]) -> str:
    """As people write it: #d64541."""
    return "#" + bytes(color).hex()


@dataclass(frozen=True)
class Label:
    """One class: its name, its display colour (RGB), and the raw ids that mean it."""

    name: str
    color: Color
    raw_ids: tuple[int, ...]


@dataclass(frozen=True)
class LabelTable:
    """The classes of one view of a dataset, in the order of their class ids."""

    name: str
    classes: tuple[Label, ...]
    ignored: tuple[int, ...] = ()
    encoding: Encoding = PLAIN

    def __post_init__(self) -> None:
        if not 2 <= len(self.classes) < UNMAPPED:
            raise ValueError(f"label table '{self.name}' has {len(self.classes)} classes, expected 2 to {UNMAPPED - 1}")
        claimed = [raw_id for label in self.classes for raw_id in label.raw_ids] + list(self.ignored)
        if strange := [raw_id for raw_id in claimed if not 0 <= raw_id <= 255]:
            raise ValueError(f"label table '{self.name}' holds raw ids {strange}: a mask's bytes hold 0 to 255")
        twice = sorted({raw_id for raw_id in claimed if claimed.count(raw_id) > 1})
        if twice:
            raise ValueError(f"label table '{self.name}' maps raw ids {twice} twice: give each to one class")
        if repeated := {n for n in self.class_names if self.class_names.count(n) > 1}:
            raise ValueError(f"label table '{self.name}' has two classes named {sorted(repeated)}: rename one")

    @property
    def class_names(self) -> list[str]:
        return [label.name for label in self.classes]

    @property
    def colors(self) -> np.ndarray:
        """The display colours, one row a class id: [C, 3] uint8."""
        return np.array([label.color for label in self.classes], np.uint8)

    @property
    def known_raw_ids(self) -> set[int]:
        return {raw_id for label in self.classes for raw_id in label.raw_ids} | set(self.ignored)

    def lookup(self) -> np.ndarray:
        """Class id by raw id: [256] uint8, UNMAPPED where the table says nothing."""
        table = np.full(256, UNMAPPED, np.uint8)
        for class_id, label in enumerate(self.classes):
            table[list(label.raw_ids)] = class_id
        table[list(self.ignored)] = IGNORE
        return table

    def remap(self, raw_mask: np.ndarray, source: str) -> np.ndarray:
        """The mask's class ids; a raw id that the table does not know stops the run, by name."""
        mask: np.ndarray = self.lookup()[raw_mask]
        if (mask == UNMAPPED).any():
            unknown = sorted(int(i) for i in np.unique(raw_mask[mask == UNMAPPED]))
            raise ValueError(
                f"mask {source} has raw ids {unknown}, which label table '{self.name}' neither maps nor ignores. "
                "Add them to its file in segpipe/datasets/"
            )
        return mask

    def total_over(self, raw_ids: Mapping[int, str]) -> LabelTable:
        """This table, if it says of every raw id of its dataset what becomes of it, and of no other."""
        forgotten = {i: name for i, name in raw_ids.items() if i not in self.known_raw_ids}
        invented = sorted(self.known_raw_ids - raw_ids.keys())
        if forgotten or invented:
            raise ValueError(
                f"label table '{self.name}' forgets raw ids {forgotten} and invents {invented}: "
                "give each raw id of the dataset to one class, or to `ignored`"
            )
        return self

    def as_dict(self) -> dict[str, Any]:
        """The table as JSON has it, with lists for tuples."""
        content: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return content

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> LabelTable:
        labels = tuple(
            Label(entry["name"], tuple(entry["color"]), tuple(entry["raw_ids"])) for entry in content["classes"]
        )
        return cls(content["name"], labels, tuple(content["ignored"]), Encoding.from_dict(content.get("encoding", {})))
