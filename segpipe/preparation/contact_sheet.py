"""Draws a few pairs of each split, each mask in its label colours beside its image, for a person's eye."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps

from segpipe.datasets import Pair
from segpipe.labels import LabelTable
from segpipe.preparation.evidence import View
from segpipe.preparation.reading import read_image, read_raw_mask
from segpipe.preparation.splits import SPLITS, draw_order

COLUMNS = 4
TILE = (176, 132)
"""The width and height into which an image, or its mask, is fitted."""

CELL_WIDTH = 2 * TILE[0] + 18
WIDTH = COLUMNS * CELL_WIDTH + 18
LINE = 26
HEADING = 48
MARGIN = 18
INK, PAPER, HATCH = (32, 32, 32), (255, 255, 255), (200, 200, 200)


def draw(views: Sequence[View], seed: int) -> Image.Image:
    """For each view its legend, then a row of pairs for each split."""
    strips = [strip for view in views for strip in _strips(view, seed)]
    sheet = Image.new("RGB", (WIDTH, sum(strip.height for strip in strips) + 2 * MARGIN), PAPER)
    top = MARGIN
    for strip in strips:
        sheet.paste(strip, (MARGIN, top))
        top += strip.height
    return sheet


def _strips(view: View, seed: int) -> list[Image.Image]:
    strips = [_legend(view)]
    for split in SPLITS:
        pairs = [pair for pair in view.pairs if view.split_of(pair) == split]
        if pairs:
            chosen = sorted(pairs, key=lambda pair: draw_order(seed, pair.name))[:COLUMNS]
            strips += [_text(f"{split} ({len(pairs)})", 15), _row(chosen, view.table)]
    return strips


def _legend(view: View) -> Image.Image:
    """The view's name, then a swatch and a name for each class, in as many lines as they need."""
    font = ImageFont.load_default(13)
    entries = [(label.name, label.color) for label in view.table.classes]
    widths = [int(font.getlength(name)) + 40 for name, _ in entries]
    places, left, line = [], 0, 0
    for width in widths:
        if left + width > WIDTH - 2 * MARGIN:
            left, line = 0, line + 1
        places.append((left, HEADING + line * LINE))
        left += width
    legend = Image.new("RGB", (WIDTH - 2 * MARGIN, HEADING + (line + 1) * LINE), PAPER)
    pen = ImageDraw.Draw(legend)
    title = f"{view.name}  (hatched: ignored)" if view.table.ignored else view.name
    pen.text((0, HEADING - 32), title, INK, ImageFont.load_default(20))
    for (name, color), (x, y) in zip(entries, places, strict=True):
        pen.rectangle((x, y + 3, x + 14, y + 17), fill=color, outline=INK)
        pen.text((x + 20, y + 2), name, INK, font)
    return legend


def _row(pairs: list[Pair], table: LabelTable) -> Image.Image:
    row = Image.new("RGB", (WIDTH - 2 * MARGIN, TILE[1] + LINE), PAPER)
    for column, pair in enumerate(pairs):
        left = column * CELL_WIDTH
        image = ImageOps.contain(Image.fromarray(read_image(pair.image)), TILE, Image.Resampling.BOX)
        row.paste(image, (left, 0))
        row.paste(_colored(read_raw_mask(pair.mask, table.encoding), table), (left + image.width + 2, 0))
        row.paste(_text(pair.name, 12).crop((0, 0, 2 * TILE[0], LINE)), (left, TILE[1]))
    return row


def _colored(raw_mask: np.ndarray, table: LabelTable) -> Image.Image:
    """The mask in its label colours; what is ignored, or unknown, is hatched, so that no colour is taken for it."""
    small = np.asarray(ImageOps.contain(Image.fromarray(raw_mask), TILE, Image.Resampling.NEAREST))
    class_ids = table.lookup()[small]
    colors = np.full((256, 3), PAPER, np.uint8)
    colors[: len(table.classes)] = table.colors
    picture = colors[class_ids]
    rows, columns = np.indices(small.shape)
    picture[(class_ids >= len(table.classes)) & ((rows + columns) // 4 % 2 == 0)] = HATCH
    return Image.fromarray(picture)


def _text(words: str, size: int) -> Image.Image:
    strip = Image.new("RGB", (WIDTH - 2 * MARGIN, LINE), PAPER)
    ImageDraw.Draw(strip).text((0, 4), words, INK, ImageFont.load_default(size))
    return strip
