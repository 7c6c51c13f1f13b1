"""What a user may write under `layout:` for the dataset `folder`, and what is refused before anything runs."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from itertools import product
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from segpipe.components import did_you_mean
from segpipe.labels import PALETTE, Color, Encoding, Label, LabelTable, hexadecimal
from segpipe.params.schema import Settings

SplitName = Literal["train", "val", "test"]


def _refused(expected: str) -> PydanticCustomError:
    """Becomes `found …, expected …`."""
    return PydanticCustomError("layout", "{expected}", {"expected": expected})


def _pattern_of_files(written: str) -> str:
    has_name = re.fullmatch(r"[^*]*\*[^*]*\.(\*|[^*.]+)", written.rpartition("/")[2])
    has_oddities = re.search(r"[?\[\]{}\\]|//|^/|(^|/)\.\.?/|[^/]\*\*|\*\*[^/]", written.replace("{split}", "split", 1))
    if not has_name or has_oddities:
        raise _refused('a pattern from the dataset\'s root, with one `*` for the name, such as "{split}/**/*_rgb.png"')
    return written


def _regular_expression(written: str) -> str:
    try:
        re.compile(written)
    except re.error as error:
        raise _refused(f"a regular expression: {error}") from None
    return written


def _color(written: Any) -> Color:
    if not isinstance(written, str) or not re.fullmatch("#[0-9a-fA-F]{6}", written):
        raise _refused('a colour in quotes, such as "#d64541"')
    red, green, blue = bytes.fromhex(written[1:])
    return red, green, blue


def _as_list(written: Any) -> Any:
    return written if isinstance(written, list) else [written]


FilePattern = Annotated[str, AfterValidator(_pattern_of_files)]
Regex = Annotated[str, AfterValidator(_regular_expression)]
HexColor = Annotated[Color, PlainValidator(_color)]
Value = Annotated[int, Field(ge=0, le=255)] | HexColor
Values = Annotated[list[Value], Field(min_length=1), BeforeValidator(_as_list)]


class PatternGroup(Settings):
    """The group is what the brackets of a regular expression find in the name; without brackets, all that it finds."""

    kind: Literal["pattern"]
    pattern: Regex


class TilesGroup(Settings):
    """Map tiles that lie in one tile of `zoom` belong together."""

    kind: Literal["tiles"]
    pattern: Regex
    zoom: Annotated[int, Field(ge=0, le=30)]

    @field_validator("pattern")
    @classmethod
    def _finds_coordinates(cls, pattern: str) -> str:
        if any(rf"(?P<{part}>\d+)" not in pattern for part in ("x", "y", "zoom")):
            raise _refused(r"x, y and zoom in it, as in '(?P<x>\d+)-(?P<y>\d+)-(?P<zoom>\d+)$'")
        return pattern


class TableGroup(Settings):
    """A CSV among the dataset's files, with the columns name and group."""

    kind: Literal["table"]
    path: str


class Layout(Settings):
    """Where images and masks lie, what the masks mean, and which images belong together."""

    images: FilePattern
    masks: FilePattern
    splits: dict[SplitName, str] = Field(default_factory=dict, validate_default=True)
    """The word that `{split}` takes in the patterns; where it stands in neither, a list of names for each split."""
    labels: dict[str, Values] | None = None
    threshold: Annotated[int, Field(ge=0, le=254)] | None = None
    positive: str | None = None
    """What is above the threshold."""
    ignored: tuple[Value, ...] = ()
    channel: Annotated[int, Field(ge=0, le=2)] | None = None
    colors: dict[str, HexColor] = Field(default_factory=dict)
    group: Annotated[PatternGroup | TilesGroup | TableGroup, Field(discriminator="kind")] | None = None
    licence: str = "your own data, on your own terms"

    @property
    def table(self) -> LabelTable:
        """The label table of the one view that there is."""
        values = self._values()
        claimed = Counter(value for listed in (*values.values(), self.ignored) for value in listed)
        if twice := [value for value, count in claimed.items() if count > 1]:
            shown = hexadecimal(twice[0]) if isinstance(twice[0], tuple) else twice[0]
            raise ValueError(f"{shown} has two meanings: give each value of the masks to one class, or to `ignored`")
        mask_colors = tuple(value for value in claimed if isinstance(value, tuple))
        raw_ids = {value: mask_colors.index(value) if mask_colors else value for value in claimed}
        own: dict[str, Color] = {name: listed[0] for name, listed in values.items() if mask_colors}
        own |= self.colors
        known: Iterable[Any] = dict.fromkeys((*PALETTE, *product(range(0, 256, 36), repeat=3)))
        free = (color for color in known if color not in own.values())
        classes = tuple(
            Label(name, own.get(name) or next(free), tuple(raw_ids[value] for value in listed))
            for name, listed in values.items()
        )
        ignored = tuple(raw_ids[value] for value in self.ignored)
        return LabelTable(
            "classes" if self.threshold is None else "binary", classes, ignored, Encoding(self.channel, mask_colors)
        )

    def _values(self) -> dict[str, list[Any]]:
        """The raw ids, or the colours, of each class."""
        if self.threshold is not None:
            values = [value for value in range(256) if value not in self.ignored]
            low, high = ([v for v in values if (v > self.threshold) == is_high] for is_high in (False, True))
            return {"background": low, self.positive or "positive": high}
        if self.labels is None:
            raise ValueError("neither `labels` nor `threshold` says what the masks mean: add one of them")
        return dict(self.labels)

    @property
    def has_split_in_paths(self) -> bool:
        return "{split}" in self.images + self.masks

    @field_validator("masks")
    @classmethod
    def _differ_from_images(cls, masks: str, info: ValidationInfo) -> str:
        if masks == info.data.get("images"):
            raise _refused("another pattern than that of the images")
        return masks

    @field_validator("splits", mode="before")
    @classmethod
    def _spelt_out(cls, written: Any, info: ValidationInfo) -> Any:
        """A list `lists/{split}.txt` stands for three; `{split}` in a pattern stands for our own words."""
        is_in_paths = any("{split}" in info.data.get(field, "") for field in ("images", "masks"))
        if isinstance(written, str):
            if is_in_paths or "{split}" not in written:
                raise _refused(
                    "the word for each split" if is_in_paths else "a list for each split, or `{split}` in it"
                )
            return {split: written.replace("{split}", split) for split in ("train", "val", "test")}
        if is_in_paths and not written:
            return {split: split for split in ("train", "val", "test")}
        return written

    @field_validator("splits")
    @classmethod
    def _differ_from_each_other(cls, splits: dict[str, str]) -> dict[str, str]:
        if len(set(splits.values())) < len(splits):
            raise _refused("something else for each split")
        return splits

    @field_validator("labels")
    @classmethod
    def _are_of_one_kind(cls, labels: dict[str, list[Any]] | None) -> dict[str, list[Any]] | None:
        if labels and len({type(value) for values in labels.values() for value in values}) > 1:
            raise _refused("raw ids for every class, or colours for every class")
        return labels

    @field_validator("threshold", "positive", "ignored", "channel")
    @classmethod
    def _has_an_effect(cls, value: Any, info: ValidationInfo) -> Any:
        if value in (None, ()):
            return value
        labels = info.data.get("labels")
        are_colors = any(isinstance(one, tuple) for values in (labels or {}).values() for one in values)
        if info.field_name == "threshold" and labels:
            raise _refused("nothing beside `labels`: take one of the two away")
        if info.field_name == "positive" and info.data.get("threshold") is None:
            raise _refused("nothing without a `threshold`: `labels` names all classes")
        if value == "background":
            raise _refused("another name, since that is what lies below the threshold")
        if info.field_name == "ignored" and any(isinstance(one, tuple) != are_colors for one in value):
            raise _refused("colours, as in `labels`" if are_colors else "raw ids")
        if info.field_name == "channel" and are_colors:
            raise _refused("nothing beside colours, which are made of all channels")
        return value

    @field_validator("colors")
    @classmethod
    def _belong_to_classes(cls, colors: dict[str, Color], info: ValidationInfo) -> dict[str, Color]:
        known = info.data.get("labels") or ("background", info.data.get("positive") or "positive")
        for name in colors:
            if name not in known:
                hint = did_you_mean(name, known)
                raise PydanticCustomError("unknown_key", "no such class{hint}", {"key": name, "hint": hint})
        return colors
