"""Charts inside the page: its colours, its legend, and the experiments that can be chosen."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import pytest

from segpipe.reporting import drawing, evidence, figures
from segpipe.reporting.inline import inline, swatch

if TYPE_CHECKING:
    from tests.unit.reporting.conftest import Project


@pytest.fixture
def curves(small_project: Project, tmp_path: Path) -> Path:
    a_set = next(one for one in evidence.gather().sets if one.name == "drone_five")
    figures.drawn(figures.Task(figures._draw_curves, (a_set, "miou"), tmp_path / "miou"))
    return tmp_path / "miou.svg"


def test_the_legend_of_the_file_is_cut_off_in_the_page(curves: Path) -> None:
    assert "unet_five</text>" in curves.read_text()
    root = ElementTree.fromstring(inline(curves, "mIoU"))
    assert root.get("viewBox") == "0 0 403.2 259.2"  # 5.6 by 3.6 inches of 72 points
    assert "unet_five" not in [text.text for text in root.iter("text")]


def test_each_experiment_s_lines_are_marked_and_some_hidden_at_first(curves: Path) -> None:
    root = ElementTree.fromstring(inline(curves, "mIoU", frozenset({"uformer_five"})))
    marked = [(one.get("data-series"), one.get("class")) for one in root.iter("g") if one.get("data-series")]
    shown = [(name, None) for name in ("unet_five", "segformer_five") for _ in ("train", "val")]
    assert sorted(marked, key=str) == sorted([*shown, ("uformer_five", "off"), ("uformer_five", "off")], key=str)


def test_a_chart_has_the_colours_of_the_page_and_no_style_for_all_of_it(curves: Path) -> None:
    svg = inline(curves, "mIoU")
    assert not any(color in svg for color in (drawing.INK, drawing.RULE, *drawing.COLOURS))
    assert "var(--series-0)" in svg
    assert "<style" not in svg


def test_every_reference_inside_a_chart_still_has_its_target(curves: Path) -> None:
    root = ElementTree.fromstring(inline(curves, "mIoU"))
    ids = {one.get("id") for one in root.iter() if one.get("id")}
    links = {one.get("href", "")[1:] for one in root.iter("use")}
    clips = {one.get("clip-path", "")[5:-1] for one in root.iter() if one.get("clip-path")}
    assert links
    assert clips
    assert links | clips <= ids


def test_swatches_of_one_colour_differ_in_their_dashes() -> None:
    solid, dashed = swatch(0), swatch(len(drawing.COLOURS))
    assert "var(--series-0)" in solid
    assert "var(--series-0)" in dashed
    assert solid != dashed
