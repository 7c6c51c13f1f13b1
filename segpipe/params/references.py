"""Checks what one block says of another: names that exist, sizes that fit, metrics and classes that are there."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

from pydantic import ValidationError

from segpipe import components
from segpipe.components import did_you_mean
from segpipe.labels import LabelTable
from segpipe.params.explaining import explanation
from segpipe.params.schema import Combined, Component, Evaluation, Experiment, Gate, Params, Trained

OVERALL = (
    *("miou", "miou_absent_as_zero", "pixel_accuracy", "mpa", "mean_dice", "fwiou"),
    *("boundary_iou", "miou_small", "miou_medium", "miou_large"),
    *("native_miou", "native_pixel_accuracy", "native_boundary_iou"),
)
PER_CLASS = ("iou", "dice", "precision", "recall", "boundary_iou", "iou_small", "iou_medium", "iou_large")
"""What a floor may be put under: of these, more is better."""


def broken_references(params: Params) -> list[str]:
    """A line for each reference that leads nowhere; the first kind of fault that there is, not what follows from it."""
    checks: tuple[Callable[[Params], Iterator[str]], ...] = (
        _names,
        _layouts,
        _views,
        _options,
        _members,
        _fits,
        _scored,
        _floors,
    )
    for check in checks:
        if lines := [f"params.yaml: {line}" for line in check(params)]:
            return lines
    return []


def label_table(params: Params, prepared: str) -> LabelTable:
    block = params.prepared[prepared]
    dataset = params.datasets[block.dataset]
    table: LabelTable = components.dataset(dataset.name, dataset.layout).VIEWS[block.view]
    return table


def _names(params: Params) -> Iterator[str]:
    for name in params.experiments.keys() & params.combined.keys():
        yield f"combined.{name}: experiments has this name too, and both write data/checkpoints/{name}: rename one"
    if "figures" in params.trained:
        yield "experiments.figures: reports/figures holds the report's figures: give the experiment another name"
    for path, name, known in _pointers(params):
        if name not in known:
            yield f"{path}: there is no '{name}'{did_you_mean(name, known)}"


def _pointers(params: Params) -> Iterator[tuple[str, str, Any]]:
    for name, dataset in params.datasets.items():
        yield f"datasets.{name}.name", dataset.name, components.names("datasets")
    for name, prepared in params.prepared.items():
        yield f"prepared.{name}.dataset", prepared.dataset, params.datasets
    for name, augmented in params.augmented.items():
        yield f"augmented.{name}.prepared", augmented.prepared, params.prepared
    for place, trained in _trained(params):
        yield f"{place}.prepared", trained.prepared, params.prepared
        yield f"{place}.augmented", trained.augmented, params.augmented
        yield f"{place}.model.name", trained.model.name, components.names("models")
        yield f"{place}.loss.name", trained.loss.name, components.names("losses")
    for name, experiment in params.experiments.items():
        yield f"experiments.{name}.weights", experiment.weights, params.weights
    for name, combined in params.combined.items():
        for member in ("first", "second"):
            yield f"combined.{name}.members.{member}", getattr(combined.members, member), params.experiments
    for name, gate in params.gates.items():
        yield f"gates.{name}.experiment", gate.experiment, params.trained


def _trained(params: Params) -> Iterator[tuple[str, Trained]]:
    """Everything that is trained, with its place in the file."""
    for name, block in params.trained.items():
        yield f"{'combined' if name in params.combined else 'experiments'}.{name}", block


def _views(params: Params) -> Iterator[str]:
    for name, dataset in params.datasets.items():
        offered = components.dataset(dataset.name, dataset.layout).VIEWS
        for view in dataset.views:
            if view not in offered:
                hint = did_you_mean(view, offered)
                yield f"datasets.{name}.views: dataset '{dataset.name}' has no view '{view}'{hint}"
    for name, prepared in params.prepared.items():
        audited = params.datasets[prepared.dataset].views
        if prepared.view not in audited:
            yield (
                f"prepared.{name}.view: '{prepared.view}' is not among the views of dataset '{prepared.dataset}', "
                f"which are audited{did_you_mean(prepared.view, audited)}"
            )
    for place, trained in _trained(params):
        parent = params.augmented[trained.augmented].prepared
        if parent != trained.prepared:
            yield (
                f"{place}.augmented: '{trained.augmented}' is made from prepared set '{parent}', "
                f"but the experiment trains on '{trained.prepared}': name an augmented set of that one"
            )
    for name, combined in params.combined.items():
        for member, of in combined.members.model_dump().items():
            parent = params.experiments[of].prepared
            if parent != combined.prepared:
                yield (
                    f"combined.{name}.members.{member}: '{of}' is trained on prepared set '{parent}', "
                    f"but its companion is on '{combined.prepared}': both must see the same pixels"
                )


def _layouts(params: Params) -> Iterator[str]:
    for name, dataset in params.datasets.items():
        try:
            components.dataset(dataset.name, dataset.layout)
        except ValidationError as error:
            yield _unfit(error, dataset.layout, ["datasets", name, "layout"])
        except ValueError as error:
            yield f"datasets.{name}.layout: {error}"


def _options(params: Params) -> Iterator[str]:
    for place, trained in _trained(params):
        yield from _unfit_options("models", trained.model, [*place.split("."), "model"])
        yield from _unfit_options("losses", trained.loss, [*place.split("."), "loss"])


def _unfit_options(kind: str, component: Component, place: list[str]) -> Iterator[str]:
    try:
        components.options(kind, component.name, component.options)
    except ValidationError as error:
        yield _unfit(error, component.options, place)


def _unfit(error: ValidationError, content: dict[str, Any], place: list[str]) -> str:
    return explanation(error, content, lambda path: place + path).removeprefix("params.yaml: ")


def _fits(params: Params) -> Iterator[str]:
    for name, experiment in params.experiments.items():
        multiple = components.options("models", experiment.model.name, experiment.model.options).size_multiple
        size = params.prepared[experiment.prepared].size
        if any(side % multiple for side in size):
            near = [max(multiple, round(side / multiple) * multiple) for side in size]
            yield (
                f"experiments.{name}.prepared: size {list(size)} of '{experiment.prepared}' does not fit model "
                f"'{experiment.model.name}', which takes multiples of {multiple} (nearest: {near})"
            )
        yield from _encoder(params, name, experiment)
    for place, trained in _trained(params):
        yield from _class_weights(place, trained, label_table(params, trained.prepared))


def _scored(params: Params) -> Iterator[str]:
    """Whatever of an image the model is to see at once must be of a size that it takes."""
    for place, trained in _trained(params):
        how = trained.evaluation or Evaluation()
        if how.kept_features and (how.window or how.flips or how.scales != (1.0,)):
            yield (
                f"{place}.evaluation.kept_features: kept features are of whole images as they are: "
                "leave it out, or window, flips and scales"
            )
        multiple = _size_multiple(params, trained)
        seen = how.window or params.prepared[trained.prepared].size
        if how.window and any(side % multiple for side in seen):
            near = [max(multiple, round(side / multiple) * multiple) for side in seen]
            yield (
                f"{place}.evaluation.window: {list(seen)} does not fit model '{trained.model.name}', "
                f"which takes multiples of {multiple} (nearest: {near})"
            )
            continue
        for scale in how.scales:
            scaled = [round(scale * side) for side in seen]
            if any(side % multiple for side in scaled):
                yield (
                    f"{place}.evaluation.scales: {scale} makes {scaled} of {list(seen)}, and model "
                    f"'{trained.model.name}' takes multiples of {multiple}: take another scale, or a window that fits"
                )


def _size_multiple(params: Params, trained: Trained) -> int:
    """Of a combined model, what fits its members too."""
    own: int = components.options("models", trained.model.name, trained.model.options).size_multiple
    members = trained.members.model_dump().values() if isinstance(trained, Combined) else ()
    return math.lcm(own, *(_size_multiple(params, params.experiments[name]) for name in members))


def _members(params: Params) -> Iterator[str]:
    for name, combined in params.combined.items():
        if components.find("models", combined.model.name).LIBRARY != "members":
            yield f"combined.{name}.model.name: '{combined.model.name}' takes no members: move it to `experiments:`"
        elif (combined.model.options.get("mode", "average") == "average") != (combined.epochs == 0):
            expected = "expected 0 for mode average, which trains nothing, and more for mode joint"
            yield f"combined.{name}.epochs: found {combined.epochs}, {expected}"


def _encoder(params: Params, name: str, experiment: Experiment) -> Iterator[str]:
    library = components.find("models", experiment.model.name).LIBRARY
    weights = params.weights[experiment.weights]
    if weights.library != library:
        yield (
            f"experiments.{name}.weights: '{experiment.weights}' is an encoder of {weights.library}, "
            f"but model '{experiment.model.name}' takes one of {library}: name other weights"
        )


def _class_weights(place: str, trained: Trained, table: LabelTable) -> Iterator[str]:
    by_name = trained.class_weights if isinstance(trained.class_weights, dict) else {}
    for class_name in by_name:
        if class_name not in table.class_names:
            yield (
                f"{place}.class_weights: label table '{table.name}' has no class "
                f"'{class_name}'{did_you_mean(class_name, table.class_names)}"
            )


def _floors(params: Params) -> Iterator[str]:
    for name, gate in params.gates.items():
        if (params.trained[gate.experiment].evaluation or Evaluation()).kept_features:
            yield (
                f"gates.{name}.experiment: '{gate.experiment}' is scored by kept features, which are rounded, "
                f"and what is promoted by its images: take evaluation.kept_features out of it"
            )
        table = label_table(params, params.trained[gate.experiment].prepared)
        for metric in gate.floors:
            if problem := _unknown_metric(metric, table, gate):
                yield f"gates.{name}.floors.{metric}: {problem}"


def _unknown_metric(metric: str, table: LabelTable, gate: Gate) -> str:
    if not metric.startswith("per_class."):
        return "" if metric in OVERALL else f"no such metric{did_you_mean(metric, OVERALL)}"
    _, _, rest = metric.partition(".")
    class_name, _, measure = rest.rpartition(".")
    if measure not in PER_CLASS:
        return f"no such per-class metric '{measure}'{did_you_mean(measure, PER_CLASS)}"
    if class_name != "*" and class_name not in table.class_names:
        return (
            f"experiment '{gate.experiment}' has no class '{class_name}'{did_you_mean(class_name, table.class_names)}"
        )
    return ""
