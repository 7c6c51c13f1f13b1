"""How charts look and how they are kept: each as PNG and as SVG, the same bytes every time."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from segpipe.reporting.evidence import NONE

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, RULE = "#26282b", "#c9ccd1"
"""Text and lines: the page replaces these two by its own, so that a chart follows light and dark."""

# Okabe and Ito's palette without black and yellow, which vanish on dark and on light paper.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
DASHES = ("solid", (0, (5, 2)), (0, (1, 1.5)), (0, (7, 2, 1, 2)), (0, (3, 1, 1, 1, 1, 1)))
MARKERS = ("o", "s", "^", "D", "v")
ANNOTATED_CLASSES = 8

POINTS = 72
CHART = (5.6, 3.6)
"""Inches of a chart without its legend, which hangs below it."""
PIXELS_PER_INCH = 150
SERIES, LEGEND = "series-", "legend"
"""What the page finds a chart's parts by: their ids in the SVG."""

STYLE: dict[Any, Any] = {
    "font.size": 9.5,
    "font.sans-serif": ["DejaVu Sans"],
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": RULE,
    "axes.titlesize": 10.5,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": RULE,
    "grid.linewidth": 0.4,
    "xtick.color": RULE,
    "ytick.color": RULE,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "svg.fonttype": "none",
}


def style(index: int) -> dict[str, Any]:
    """The look of a set's n-th experiment, in all of its charts."""
    turn = index // len(COLOURS) % len(DASHES)
    return {"color": COLOURS[index % len(COLOURS)], "linestyle": DASHES[turn], "marker": MARKERS[turn]}


def chart(title: str, xlabel: str, ylabel: str, whole_steps: bool = False) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=CHART)
    axes = figure.add_axes((0.12, 0.15, 0.85, 0.74))
    axes.set(title=title, xlabel=xlabel, ylabel=ylabel)
    axes.xaxis.set_major_locator(MaxNLocator(integer=whole_steps, nbins=8, steps=[1, 2, 5, 10]))
    return figure, axes


def named(experiment: str, *artists: Artist) -> None:
    """Make these parts of a chart an experiment's, so that a reader of the page can choose it."""
    for number, artist in enumerate(artists):
        artist.set_gid(f"{SERIES}{number}-{experiment}")


def grid(columns: list[str], rows: list[str], title: str) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    cell = 0.75 if len(columns) <= ANNOTATED_CLASSES else 0.36
    figure = Figure(figsize=(cell * len(columns) + 2, max(0.36, cell if rows == columns else 0) * len(rows) + 1.6))
    axes = figure.add_subplot()
    axes.grid(False)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    axes.set_title(title)
    axes.set_xticks(range(len(columns)), columns, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(rows)), rows)
    return figure, axes


def heat(axes: Axes, shares: list[list[float | None]]) -> None:
    import numpy as np

    values = np.array(shares, dtype=float)  # None becomes nan, which is drawn as nothing
    edges = (np.arange(values.shape[1] + 1) - 0.5, np.arange(values.shape[0] + 1) - 0.5)
    mesh = axes.pcolormesh(*edges, values, cmap="Blues", vmin=0, vmax=1, edgecolors="white", linewidth=0.6)
    mesh.set_rasterized(len(shares) > ANNOTATED_CLASSES)
    axes.invert_yaxis()


def write_in_cells(axes: Axes, shares: list[list[float | None]], texts: list[list[str]]) -> None:
    for i, row in enumerate(texts):
        for j, text in enumerate(row):
            color = "white" if (shares[i][j] or 0) > 0.55 else INK
            axes.text(j, i, text, ha="center", va="center", fontsize=7.5, color=color)


def shares_and_counts(shares: list[list[float | None]], counts: list[list[int]]) -> list[list[str]]:
    return [
        [NONE if share is None else f"{share:.1%}\n{count:,}" for share, count in zip(*rows, strict=True)]
        for rows in zip(shares, counts, strict=True)
    ]


def save_with_legend(figure: Figure, axes: Axes, path: Path) -> None:
    """The names stand below the chart, in columns, however many there are."""
    from matplotlib.transforms import Bbox

    legend = axes.legend(loc="upper left", bbox_to_anchor=(-0.02, -0.16), ncols=3, fontsize=8.5, handlelength=2.4)
    legend.set_gid(LEGEND)
    # The chart itself stays where it is in the picture, so that the page can cut the legend off.
    names = legend.get_window_extent().transformed(figure.dpi_scale_trans.inverted())
    _save(figure, path, Bbox([[0, min(0, names.y0)], [max(CHART[0], names.x1), CHART[1]]]))


def save(figure: Figure, path: Path) -> None:
    """A picture just as large as what it holds."""
    _save(figure, path, figure.get_tightbbox().padded(0.1))


def _save(figure: Figure, path: Path, box: Any) -> None:
    """In a box that is known: asked for a tight one, matplotlib lays everything out anew for each format."""
    import matplotlib

    # The salt names the file: ids inside one chart repeat from run to run, and those of two charts on a page differ.
    with matplotlib.rc_context({"svg.hashsalt": path.name}):
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(f"{path}.svg", bbox_inches=box, transparent=True, metadata=nothing)
    figure.savefig(
        f"{path}.png",
        bbox_inches=box,
        dpi=PIXELS_PER_INCH,
        metadata={"Software": None},
        pil_kwargs={"compress_level": 4},
    )
