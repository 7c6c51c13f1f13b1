"""Charts as part of the page: in its colours, each experiment's lines marked, and without their legend."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from segpipe.reporting import drawing

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

SHOWN = 8
"""So many experiments can be told apart in one chart; the reader chooses others."""


def inline(path: Path, label: str, hidden: frozenset[str] = frozenset()) -> str:
    """What HTML needs of an SVG file; the experiments in `hidden` are there, and not shown at first."""
    from xml.etree import ElementTree

    root = ElementTree.fromstring(path.read_text(encoding="utf-8"))
    for parent in list(root.iter()):
        for child in list(parent):
            if child.get("id") == drawing.LEGEND:
                _cut_off_the_legend(root)
            # A style sheet inside of one chart would apply to the whole page.
            if child.get("id") == drawing.LEGEND or _plain(child.tag) in ("style", "metadata"):
                parent.remove(child)
    for element in root.iter():
        _adapt(element, hidden)
    for length in ("width", "height"):  # the page gives it its width
        root.attrib.pop(length, None)
    root.attrib |= {"role": "img", "aria-label": label}
    svg = ElementTree.tostring(root, encoding="unicode")
    return _in_colours_of_the_page(svg)


def swatch(index: int) -> str:
    """The look of a set's n-th experiment, for the page's own legend."""
    look = drawing.style(index)
    dashes = "" if look["linestyle"] == "solid" else " ".join(f"{2 * dash:g}" for dash in look["linestyle"][1])
    return _in_colours_of_the_page(
        f'<svg width="26" height="8" aria-hidden="true"><line x1="0" x2="26" y1="4" y2="4" stroke-width="3" '
        f'style="stroke: {look["color"]}" stroke-dasharray="{dashes}"/></svg>'
    )


def _in_colours_of_the_page(svg: str) -> str:
    """Which follow light and dark."""
    variables = {color: f"var(--series-{index})" for index, color in enumerate(drawing.COLOURS)}
    for color, own in {drawing.INK: "currentColor", drawing.RULE: "var(--rule)", **variables}.items():
        svg = svg.replace(color, own)
    return svg


def _adapt(element: Element, hidden: frozenset[str]) -> None:
    """No name spaces, which HTML does without, and no ids but those in use: matplotlib's repeat in every file."""
    element.tag = _plain(element.tag)
    for name in [name for name in element.attrib if name.startswith("{")]:
        element.set(_plain(name), element.attrib.pop(name))
    if element.tag == "g":
        name = element.attrib.pop("id", "")
        if name.startswith(drawing.SERIES):
            experiment = name.removeprefix(drawing.SERIES).partition("-")[2]
            element.set("data-series", experiment)
            if experiment in hidden:
                element.set("class", "off")


def _cut_off_the_legend(root: Element) -> None:
    """The chart proper has one size, whatever hangs below it or sticks out."""
    width, height = (drawing.POINTS * inches for inches in drawing.CHART)
    root.set("viewBox", f"0 0 {width:g} {height:g}")


def _plain(name: str) -> str:
    return name.rpartition("}")[2]
