"""Turns pictures into data URIs for the page, small enough that thirty experiments fit into one file."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

WIDTHS = (480, 320, 240, 160)
BUDGET = 9_000_000
"""Bytes for the panels of a page, which may hold 15 MB with everything else."""
PROBE = 20
"""Panels after which the size of all may be foretold."""
WRONG = (255, 0, 144)
"""The colour of what was taken for something else: no photograph has it, and no kind of colour blindness hides it."""


@dataclass(frozen=True)
class Panel:
    """One image with its truth, its prediction and where they differ, all embedded."""

    kind: str
    rank: int
    image: str
    miou: float | None
    size: tuple[int, int]
    input: str
    truth: str
    prediction: str
    errors: str

    @property
    def bytes(self) -> int:
        return sum(map(len, (self.input, self.truth, self.prediction, self.errors)))


@dataclass(frozen=True)
class PanelSource:
    """A row of panels.json, the folder that its paths start from, and the label colours."""

    row: dict[str, Any]
    folder: Path
    colors: list[list[int]]

    def drawn(self, width: int) -> Panel:
        row = self.row
        image = _at_most(_opened(self.folder / row["input"]).convert("RGB"), width)
        truth, prediction = (_ids(self.folder / row[which]) for which in ("truth", "prediction"))
        facts = (row["kind"], row["rank"], row["image"], row["miou"], image.size[::-1])
        overlays = (
            _as_overlay(truth, self.colors, width),
            _as_overlay(prediction, self.colors, width),
            _as_overlay(_errors(truth, prediction), [list(WRONG)], width),
        )
        return Panel(*facts, _as_jpeg(image), *overlays)


def panels(sources: Sequence[PanelSource]) -> list[Panel]:
    """All panels in one width: the largest at which they fit into the budget together."""
    for width in WIDTHS:
        drawn, used = [], 0
        for source in sources:
            drawn.append(source.drawn(width))
            used += drawn[-1].bytes
            if width > WIDTHS[-1] and _is_too_much(used, len(drawn), len(sources)):
                break
        else:
            break
    return drawn


def _is_too_much(used: int, drawn: int, total: int) -> bool:
    """Whether all panels together will not fit, as far as the first ones tell."""
    return drawn >= PROBE and used * total > BUDGET * drawn


def photograph(path: Path, width: int) -> str:
    """A picture at most this wide, as a JPEG data URI."""
    return _as_jpeg(_at_most(_opened(path).convert("RGB"), width))


def _opened(path: Path) -> Image:
    from PIL import Image

    if not path.exists():
        raise FileNotFoundError(
            f"{path} is missing; the evaluation's panels.json names it. Run `dvc repro -f evaluate@{path.parts[2]}`"
        )
    return Image.open(path)


def _at_most(image: Image, width: int) -> Image:
    """Shrunk by area, never grown."""
    from PIL.Image import Resampling

    if image.width <= width:
        return image
    return image.resize((width, round(image.height * width / image.width)), Resampling.BOX)


def _as_jpeg(image: Image) -> str:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=80, optimize=True)
    return _data_uri("image/jpeg", file)


def _ids(path: Path) -> np.ndarray:
    import numpy as np

    return np.asarray(_opened(path))


def _errors(truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """0 where they differ, ignored elsewhere."""
    import numpy as np

    from segpipe.labels import IGNORE

    return np.where((truth != prediction) & (truth != IGNORE), 0, IGNORE).astype(np.uint8)


def _as_overlay(ids: np.ndarray, colors: list[list[int]], width: int) -> str:
    """Class ids in the label colours; ignored pixels let the image through."""
    import numpy as np
    from PIL.Image import Resampling, frombytes

    from segpipe.labels import IGNORE

    see_through = len(colors)
    visible = np.where(ids == IGNORE, see_through, ids).astype(np.uint8)
    overlay = frombytes("P", visible.shape[::-1], visible.tobytes())
    if overlay.width > width:
        overlay = overlay.resize((width, round(overlay.height * width / overlay.width)), Resampling.NEAREST)
    overlay.putpalette([value for color in [*colors, [0, 0, 0]] for value in color])
    file = io.BytesIO()
    overlay.save(file, "PNG", transparency=see_through)
    return _data_uri("image/png", file)


def _data_uri(kind: str, file: io.BytesIO) -> str:
    return f"data:{kind};base64,{base64.b64encode(file.getvalue()).decode('ascii')}"
