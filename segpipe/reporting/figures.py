"""Draws each chart as PNG and as SVG, the same bytes every time: curves, cost, classes and confusions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segpipe import artifacts
from segpipe.reporting.evidence import NONE, Evaluation, Experiment, PreparedSet

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, RULE = "#26282b", "#c9ccd1"
"""Text and lines: the page replaces these two by its own, so that a chart follows light and dark."""

# Okabe and Ito's palette without black and yellow, which vanish on dark and on light paper.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
DASHES = ("solid", (0, (5, 2)), (0, (1, 1.5)), (0, (7, 2, 1, 2)), (0, (3, 1, 1, 1, 1, 1)))
MARKERS = ("o", "s", "^", "D", "v")
ANNOTATED_CLASSES = 8

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


def draw(sets: Iterable[PreparedSet]) -> None:
    """reports/figures/, whole: what an earlier set of experiments drew is gone."""
    import matplotlib

    with artifacts.replacing_folder(artifacts.FIGURES) as folder, matplotlib.rc_context(STYLE):
        for a_set in sets:
            _draw_curves(a_set, folder)
            if len(a_set.evaluated) > 1:  # one point compares nothing
                _draw_cost(a_set, folder)
            if a_set.evaluated:
                _draw_classes(a_set.evaluated, folder / f"classes-{a_set.name}")
            for experiment, evaluation in a_set.evaluated:
                _draw_confusion(experiment, evaluation, folder / f"confusion-{experiment.name}")


def style(index: int) -> dict[str, Any]:
    """The look of a set's n-th experiment, in all of its charts."""
    turn = index // len(COLOURS) % len(DASHES)
    return {"color": COLOURS[index % len(COLOURS)], "linestyle": DASHES[turn], "marker": MARKERS[turn]}


def _draw_curves(a_set: PreparedSet, folder: Path) -> None:
    for quantity, label in (("loss", "loss"), ("miou", "mIoU")):
        figure, axes = _chart(f"{label} by epoch, training in pale", "epoch", label)
        for index, experiment in enumerate(a_set.experiments):
            if experiment.training:
                _draw_history(axes, experiment, quantity, style(index))
        if axes.lines:
            _save_with_legend(figure, axes, folder / f"{quantity}-{a_set.name}")


def _draw_history(axes: Axes, experiment: Experiment, quantity: str, look: dict[str, Any]) -> None:
    assert experiment.training
    history = experiment.training.history
    marker = look["marker"] if len(history) == 1 else ""
    for split, alpha, label in (("train", 0.3, ""), ("val", 1.0, experiment.name)):
        points = [(row["epoch"], row.get(f"{split}_{quantity}")) for row in history]
        known = [(epoch, value) for epoch, value in points if epoch is not None and value is not None]
        if known:
            axes.plot(*zip(*known, strict=True), **{**look, "marker": marker}, alpha=alpha, label=label, linewidth=1.6)


def _draw_cost(a_set: PreparedSet, folder: Path) -> None:
    ranks = {experiment.name: index for index, experiment in enumerate(a_set.experiments)}
    for cost, label in (("latency_ms", "latency of one image, ms"), ("parameters", "parameters, millions")):
        figure, axes = _chart(f"mIoU against {cost.partition('_')[0]}", label, "mIoU")
        for experiment, evaluation in a_set.evaluated:
            spent, miou = evaluation.cost[cost], experiment.miou
            if spent is not None and miou is not None:
                look = {**style(ranks[experiment.name]), "linestyle": ""}
                axes.plot([spent / 1e6 if cost == "parameters" else spent], [miou], **look, label=experiment.name)
        if axes.lines:
            axes.margins(0.1)
            axes.set_xlim(left=0)
            _save_with_legend(figure, axes, folder / f"{cost.partition('_')[0]}-{a_set.name}")


def _draw_classes(evaluated: Sequence[tuple[Experiment, Evaluation]], path: Path) -> None:
    classes = evaluated[0][1].classes
    ious = [[evaluation.metrics["per_class"][name]["iou"] for name in classes] for _, evaluation in evaluated]
    figure, axes = _grid(classes, [experiment.name for experiment, _ in evaluated], "IoU of each class")
    _draw_heat(axes, ious)
    if len(classes) <= 2 * ANNOTATED_CLASSES:
        _write_in_cells(axes, ious, [[NONE if iou is None else f"{iou:.2f}" for iou in row] for row in ious])
    _save(figure, path)


def _draw_confusion(experiment: Experiment, evaluation: Evaluation, path: Path) -> None:
    shares = row_shares(evaluation.confusion)
    figure, axes = _grid(evaluation.classes, evaluation.classes, f"{experiment.name}: share of each true class")
    axes.set(xlabel="prediction", ylabel="truth")
    _draw_heat(axes, shares)
    if len(shares) <= ANNOTATED_CLASSES:
        _write_in_cells(axes, shares, _shares_and_counts(shares, evaluation.confusion))
    _save(figure, path)


def row_shares(confusion: list[list[int]]) -> list[list[float | None]]:
    """Of each true class's pixels, the share that was given to each class; none for a class that has no pixels."""
    return [[count / sum(row) if sum(row) else None for count in row] for row in confusion]


def _shares_and_counts(shares: list[list[float | None]], counts: list[list[int]]) -> list[list[str]]:
    return [
        [NONE if share is None else f"{share:.1%}\n{count:,}" for share, count in zip(*rows, strict=True)]
        for rows in zip(shares, counts, strict=True)
    ]


def _chart(title: str, xlabel: str, ylabel: str) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(5.6, 3.6))
    axes = figure.add_axes((0.12, 0.15, 0.85, 0.74))
    axes.set(title=title, xlabel=xlabel, ylabel=ylabel)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8, steps=[1, 2, 5, 10]))
    return figure, axes


def _grid(columns: list[str], rows: list[str], title: str) -> tuple[Figure, Axes]:
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


def _draw_heat(axes: Axes, shares: list[list[float | None]]) -> None:
    import numpy as np

    values = np.array(shares, dtype=float)  # None becomes nan, which is drawn as nothing
    edges = (np.arange(values.shape[1] + 1) - 0.5, np.arange(values.shape[0] + 1) - 0.5)
    mesh = axes.pcolormesh(*edges, values, cmap="Blues", vmin=0, vmax=1, edgecolors="white", linewidth=0.6)
    mesh.set_rasterized(len(shares) > ANNOTATED_CLASSES)
    axes.invert_yaxis()


def _write_in_cells(axes: Axes, shares: list[list[float | None]], texts: list[list[str]]) -> None:
    for i, row in enumerate(texts):
        for j, text in enumerate(row):
            color = "white" if (shares[i][j] or 0) > 0.55 else INK
            axes.text(j, i, text, ha="center", va="center", fontsize=7.5, color=color)


def _save_with_legend(figure: Figure, axes: Axes, path: Path) -> None:
    """The names stand below the chart, in columns, however many there are."""
    axes.legend(loc="upper left", bbox_to_anchor=(-0.02, -0.16), ncols=3, fontsize=8.5, handlelength=2.4)
    _save(figure, path)


def _save(figure: Figure, path: Path) -> None:
    import matplotlib

    # The salt names the file: ids inside one chart repeat from run to run, and those of two charts on a page differ.
    with matplotlib.rc_context({"svg.hashsalt": path.name}):
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(f"{path}.svg", bbox_inches="tight", transparent=True, metadata=nothing)
    figure.savefig(f"{path}.png", bbox_inches="tight", dpi=150, metadata={"Software": None})
