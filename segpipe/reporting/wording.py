"""Numbers as people read them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from statistics import median, quantiles
from typing import Any

from segpipe.reporting.evidence import NONE


def score(value: float | None) -> str:
    return NONE if value is None else f"{value:.3f}"


def interval(bounds: tuple[float, float] | None) -> str:
    """`0.412 to 0.431`; empty where none was taken."""
    return f"{score(bounds[0])} to {score(bounds[1])}" if bounds else ""


def percent(share: float) -> str:
    """A share for reading: a rare class is not shown as none."""
    return f"{share:.1%}" if share == 0 or share >= 0.001 else "< 0.1%"


def count(number: int) -> str:
    return f"{number:,}"


def short(number: float | None) -> str:
    if number is None:
        return NONE
    for size, unit in ((1e9, "G"), (1e6, "M")):
        if number >= size / 10:
            return f"{number / size:.1f} {unit}"
    return f"{number / 1e3:.1f} k"


def plain(number: float | None) -> str:
    return NONE if number is None else f"{number:,.1f}"


def measured(key: str, value: Any) -> str:
    """One entry of cost.json."""
    if value is None or isinstance(value, str):
        return value or NONE
    if "bytes" in key or key == "flops":
        return f"{short(value)}{'B' if 'bytes' in key else ''}"
    return f"{value:,.1f}" if isinstance(value, float) else count(value)


def duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"


def spread(mious: list[float]) -> str:
    """How the images differ, in a sentence: a mean hides the images that fail."""
    if len(mious) < 2:
        return ""
    half, tenth = median(mious), quantiles(mious, n=10, method="inclusive")[0]
    return f"Of {len(mious)} images, half score above {score(half)} mIoU, and a tenth below {score(tenth)}."


def sentence(selected_on: Mapping[str, str]) -> str:
    """What was chosen on which split, in words: `{"checkpoint": "val"}` is `checkpoint on val`."""
    return ", ".join(f"{choice} on {split}" for choice, split in selected_on.items())


def flattened(content: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """A nested block as rows of `outer inner`, value."""
    for key, value in content.items():
        if isinstance(value, Mapping):
            yield from flattened(value, f"{prefix}{key} ")
        else:
            yield f"{prefix}{key}", NONE if value in (None, "") else str(value)
