"""How things look on MLflow's own pages: names that fall into sections, a picture in the note, what a set holds."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segpipe import artifacts

if TYPE_CHECKING:
    from PIL.Image import Image

NOTE = "mlflow.note.content"
"""The tag that MLflow shows as the description, of a run or of an experiment."""

PICTURE = "panel.jpg"
SHOWN = ("best-1", "best-2", "worst-2", "worst-1")
PARTS = ("input", "truth", "prediction")
TILE_WIDTH, GAP = 220, 6

OPENS_WITH = "val/miou"
"""The metric that a comparison opens with: MLflow takes the one that came first."""


def named(values: dict[str, Any]) -> dict[str, Any]:
    """`val_miou` as `val/miou`, `test_iou.tree` as `test/iou/tree`: what stands before the slash is a section."""
    return {_in_its_section(key): value for key, value in values.items()}


def of_epoch(scores: dict[str, Any], speeds: dict[str, Any]) -> dict[str, Any]:
    """A row of history.csv and its row of timing.csv, in the order in which the pages list them."""
    shown = named(scores) | {f"timing/{key}": value for key, value in speeds.items()}
    ordered = sorted(shown.items(), key=lambda entry: entry[0] != OPENS_WITH)
    return {key: value for key, value in ordered if key not in ("epoch", "timing/epoch")}


def _in_its_section(key: str) -> str:
    sorted_in = re.sub(r"^(train|val|test)_(iou\.)?", lambda found: f"{found[1]}/{'iou/' if found[2] else ''}", key)
    return re.sub(r"[^\w .:/-]", "_", sorted_in)  # what MLflow takes for a name


def panel(pictures: list[Path]) -> Image | None:
    """Two of the best and two of the worst, a row each: image, truth, prediction; None where there are none."""
    from PIL import Image

    by_name = {picture.stem: picture for picture in pictures}
    rows = [[by_name.get(f"{which}-{part}") for part in PARTS] for which in SHOWN]
    tiles = [[_tile(path) for path in row if path] for row in rows if all(row)]
    if not tiles:
        return None
    height = max(tile.height for row in tiles for tile in row)
    step_x, step_y = TILE_WIDTH + GAP, height + GAP
    whole = Image.new("RGB", (step_x * len(PARTS) - GAP, step_y * len(tiles) - GAP), "white")
    for top, row in enumerate(tiles):
        for left, tile in enumerate(row):
            whole.paste(tile, (left * step_x, top * step_y))
    return whole


def _tile(path: Path) -> Image:
    from PIL import Image

    with Image.open(path) as picture:
        size = (TILE_WIDTH, round(picture.height * TILE_WIDTH / picture.width))
        is_mask = picture.mode == "P"
        return picture.convert("RGB").resize(size, Image.Resampling.NEAREST if is_mask else Image.Resampling.BICUBIC)


def with_picture(note: str, run_id: str) -> str:
    """The note with the panel under its first paragraph, asked of whatever server shows the page."""
    if PICTURE in note:
        return note
    head, _, rest = note.partition("\n\n")
    shown = f"![The best and the worst: image, truth, prediction](get-artifact?path={PICTURE}&run_uuid={run_id})"
    return f"{head}\n\n{shown}\n\nTwo of the best, two of the worst: image, truth, prediction.\n\n{rest}"


def about(prepared: str) -> str:
    """A prepared set in a sentence, as far as it is at hand."""
    path = artifacts.prepared(prepared) / "manifest.json"
    if not path.is_file():
        return ""
    facts = artifacts.read_json(path)
    height, width = facts["size"]
    images = ", ".join(f"{split['images']} {name}" for name, split in facts["splits"].items())
    warning = "**Fabricated data.** " if facts["fabricated"] else ""
    return (
        f"{warning}`{facts['dataset']}`: {len(facts['labels']['classes'])} classes, {height}x{width}, {images} images"
    )


def is_fabricated(prepared: str) -> bool:
    """Whether a program drew the images; False also where the set is not at hand to say so."""
    path = artifacts.prepared(prepared) / "manifest.json"
    return path.is_file() and bool(artifacts.read_json(path)["fabricated"])
