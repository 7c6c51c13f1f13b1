"""Draws what can be drawn of the results: curves, cost, classes, confusions, calibration and shares."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segpipe import artifacts
from segpipe.reporting.drawing import (
    ANNOTATED_CLASSES,
    INK,
    STYLE,
    chart,
    grid,
    heat,
    named,
    save,
    save_with_legend,
    shares_and_counts,
    style,
    write_in_cells,
)
from segpipe.reporting.evidence import NONE, Evaluation, Experiment, Numbers, PreparedSet

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WORTH_PROCESSES = 30
"""Fewer figures than this are drawn before another process has started."""


@dataclass(frozen=True)
class Task:
    """A figure to be drawn into a file, in whichever process."""

    draw: Callable[..., None]
    of: tuple[Any, ...]
    path: Path


def draw(sets: Iterable[PreparedSet]) -> None:
    """reports/figures/, whole: what an earlier set of experiments drew is gone."""
    with artifacts.replacing_folder(artifacts.FIGURES) as folder:
        tasks = [task for a_set in sets for task in (*_of_set(a_set, folder), *_of_experiments(a_set, folder))]
        if len(tasks) < WORTH_PROCESSES:
            for task in tasks:
                drawn(task)
        else:
            from segpipe.parallel import in_processes

            for _ in in_processes(drawn, tasks):
                pass


def drawn(task: Task) -> None:
    import matplotlib

    with matplotlib.rc_context(STYLE):
        task.draw(*task.of, task.path)


def _of_set(a_set: PreparedSet, folder: Path) -> Iterator[Task]:
    """What compares the experiments of a set."""
    if any(one.training for one in a_set.experiments):
        for quantity in ("loss", "miou"):
            yield Task(_draw_curves, (a_set, quantity), folder / f"{quantity}-{a_set.name}")
    if any(one.calibration for _, one in a_set.evaluated):
        yield Task(_draw_calibration, (a_set,), folder / f"calibration-{a_set.name}")
    if len(a_set.evaluated) > 1:  # one point compares nothing
        for cost in ("latency_ms", "parameters"):
            yield Task(_draw_cost, (a_set, cost), folder / f"{cost.partition('_')[0]}-{a_set.name}")
    if a_set.evaluated:
        yield Task(_draw_classes, (a_set.evaluated,), folder / f"classes-{a_set.name}")


def _of_experiments(a_set: PreparedSet, folder: Path) -> Iterator[Task]:
    """What is one experiment's alone."""
    for one in a_set.experiments:
        if one.training and one.training.shares:
            yield Task(_draw_shares, (one.name, one.training.shares), folder / f"shares-{one.name}")
        if one.evaluation:
            yield Task(_draw_confusion, (one.name, one.evaluation), folder / f"confusion-{one.name}")


def _draw_curves(a_set: PreparedSet, quantity: str, path: Path) -> None:
    label = {"miou": "mIoU"}.get(quantity, quantity)
    figure, axes = chart(f"{label} by epoch, training in pale", "epoch", label, whole_steps=True)
    for index, experiment in enumerate(a_set.experiments):
        if experiment.training:
            _draw_history(axes, experiment, quantity, style(index))
    save_with_legend(figure, axes, path)


def _draw_history(axes: Axes, experiment: Experiment, quantity: str, look: dict[str, Any]) -> None:
    assert experiment.training
    history, lines = experiment.training.history, []
    look = {**look, "marker": look["marker"] if len(history) == 1 else ""}
    for split, alpha, label in (("train", 0.3, ""), ("val", 1.0, experiment.name)):
        points = _known(history, "epoch", f"{split}_{quantity}")
        if points:
            lines += axes.plot(*zip(*points, strict=True), **look, alpha=alpha, label=label, linewidth=1.6)
    named(experiment.name, *lines)


def _known(rows: list[Numbers], across: str, up: str) -> list[tuple[float, float]]:
    """The points of a log that exist."""
    points = [(row[across], row.get(up)) for row in rows]
    return [(x, y) for x, y in points if x is not None and y is not None]


def _draw_cost(a_set: PreparedSet, cost: str, path: Path) -> None:
    label = {"latency_ms": "latency of one image, ms", "parameters": "parameters, millions"}[cost]
    figure, axes = chart(f"mIoU against {cost.partition('_')[0]}", label, "mIoU")
    for index, experiment in enumerate(a_set.experiments):
        evaluation, miou = experiment.evaluation, experiment.miou
        spent = evaluation.cost[cost] if evaluation else None
        if evaluation and spent is not None and miou is not None:
            at = (spent / 1e6 if cost == "parameters" else spent, miou)
            _draw_point(axes, experiment.name, at, evaluation.interval, style(index))
    axes.margins(0.1)
    axes.set_xlim(0, axes.get_xlim()[1])
    save_with_legend(figure, axes, path)


def _draw_point(
    axes: Axes, name: str, at: tuple[float, float], interval: tuple[float, float] | None, look: dict[str, Any]
) -> None:
    """Where an experiment stands, with its interval where there is one."""
    point = axes.plot([at[0]], [at[1]], **{**look, "linestyle": ""}, label=name, clip_on=False)
    bar = axes.plot([at[0]] * 2, interval, color=look["color"], linewidth=1, alpha=0.5) if interval else []
    named(name, *point, *bar)


def _draw_calibration(a_set: PreparedSet, path: Path) -> None:
    figure, axes = chart("how often a confidence is right, before scaling in pale", "confidence", "accuracy")
    axes.plot([0, 1], [0, 1], color=INK, linewidth=0.7)
    for index, experiment in enumerate(a_set.experiments):
        if experiment.evaluation:
            _draw_reliability(axes, experiment.name, experiment.evaluation, {**style(index), "marker": ""})
    save_with_legend(figure, axes, path)


def _draw_reliability(axes: Axes, name: str, evaluation: Evaluation, look: dict[str, Any]) -> None:
    before, after = (
        _known(rows, "confidence", "accuracy") for rows in (evaluation.calibration, evaluation.calibration_scaled)
    )
    lines = []
    for points, alpha in ((before, 0.35 if after else 1.0), (after, 1.0)):
        if points:
            label = name if alpha == 1 else ""
            lines += axes.plot(*zip(*points, strict=True), **look, alpha=alpha, label=label, linewidth=1.6)
    named(name, *lines)


def _draw_shares(name: str, shares: list[Numbers], path: Path) -> None:
    figure, axes = chart(f"{name}: how much of its first member", "share of the first member", "val mIoU")
    points = _known(shares, "share_of_first", "val_miou")
    axes.plot(*zip(*points, strict=True), color=style(0)["color"], linewidth=1.6)
    best = max(points, key=lambda point: point[1])
    axes.plot(*best, "o", color=style(1)["color"])
    axes.annotate(f"{best[0]:.2f}", best, xytext=(0, -14), textcoords="offset points", ha="center", fontsize=8.5)
    save(figure, path)


def _draw_classes(evaluated: Sequence[tuple[Experiment, Evaluation]], path: Path) -> None:
    classes = evaluated[0][1].classes
    ious = [[evaluation.metrics["per_class"][name]["iou"] for name in classes] for _, evaluation in evaluated]
    figure, axes = grid(classes, [experiment.name for experiment, _ in evaluated], "IoU of each class")
    heat(axes, ious)
    if len(classes) <= 2 * ANNOTATED_CLASSES:
        write_in_cells(axes, ious, [[NONE if iou is None else f"{iou:.2f}" for iou in row] for row in ious])
    save(figure, path)


def _draw_confusion(name: str, evaluation: Evaluation, path: Path) -> None:
    shares = row_shares(evaluation.confusion)
    figure, axes = grid(evaluation.classes, evaluation.classes, f"{name}: share of each true class")
    axes.set(xlabel="prediction", ylabel="truth")
    heat(axes, shares)
    if len(shares) <= ANNOTATED_CLASSES:
        write_in_cells(axes, shares, shares_and_counts(shares, evaluation.confusion))
    save(figure, path)


def row_shares(confusion: list[list[int]]) -> list[list[float | None]]:
    """Of each true class's pixels, the share that was given to each class; none for a class that has no pixels."""
    return [[count / sum(row) if sum(row) else None for count in row] for row in confusion]
