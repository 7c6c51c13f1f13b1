"""A registered model's card: what it was trained on, under which terms, what it is good at, and how to use it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

WEAK = 0.5
"""A class with less than this share of the mIoU is called weak."""

Facts = Mapping[str, Any]


def card(name: str, config: Facts, run: Facts, source: Facts) -> str:
    """Markdown, from the version's config.json (its metrics in it), the training's run.json and the data's source.json.

    No picture is in it: some data may not be passed on, and a card is published with its model.
    """
    metrics = config["metrics"]
    parts = [
        [f"# {name}", "", _summary(config, run)],
        list(_warnings(metrics)),
        ["## Data and terms", "", *_data(config, run, source)],
        ["## How good it is", "", *_scores(metrics)],
        ["## Classes", "", *_classes(config["labels"], metrics)],
        ["## What it is bad at", "", *_weaknesses(metrics)],
        ["## What goes in and what comes out", "", *_interface(config)],
        ["## How to load it", "", *_loading(name)],
        ["## Where it comes from", "", *_lineage(metrics, run)],
    ]
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n"


def _summary(config: Facts, run: Facts) -> str:
    experiment, metrics = config["experiment"], config["metrics"]
    words = run.get("description") or f"The experiment `{metrics['experiment']}`"
    return (
        f"{words}: a `{experiment['model']['name']}` for semantic segmentation into {len(config['labels']['classes'])} "
        f"classes. mIoU {_score(metrics['miou'])}{_interval(metrics, 'miou')} on {metrics['images']} images of the "
        f"{metrics['split']} split of `{metrics['prepared']}`."
    )


def _warnings(metrics: Facts) -> Iterator[str]:
    """What its numbers are worth, before anybody reads them."""
    labels = [label for label, holds in (("fabricated data", metrics["fabricated"]),) if holds]
    labels += [f"weights {metrics['weights_label']}"] * bool(metrics["weights_label"])
    if labels:
        yield f"> **{', '.join(labels).capitalize()}.** Its numbers show that the mechanics work, nothing else."


def _data(config: Facts, run: Facts, source: Facts) -> Iterator[str]:
    yield f"- Dataset: {source['dataset']}. {source['origin']}"
    terms = source["licence"] or "not stated"
    yield f"- Terms: {terms}"
    if "non-commercial" in terms.lower():
        yield "- **Non-commercial.** Models that were trained on this data may be used and shared in no other way."
    if "redistribut" in terms.lower():
        yield "- Neither its images nor modified versions of them may be passed on: this card shows none."
    weights = run["lineage"]["weights"]
    if weights:
        yield f"- Its encoder began with `{weights['name']}` ({weights['origin']}), whose own terms hold too."
    copies = config["experiment"].get("augmented")
    yield f"- Trained on the train split of `{config['experiment']['prepared']}`, with the copies of `{copies}`."


SCORES = {
    "miou": "mIoU",
    "pixel_accuracy": "pixel accuracy",
    "mpa": "mean pixel accuracy",
    "mean_dice": "mean Dice",
    "boundary_iou": "boundary IoU",
    "native_miou": "mIoU at the images' own size",
    "ece": "calibration error (ECE)",
    "ece_calibrated": "calibration error, temperature fitted",
    "resolution_ceiling": "what a perfect predictor would score through its output",
    "colour_alone": "what a table of colours scores",
}


def _scores(metrics: Facts) -> Iterator[str]:
    yield from ("| metric | value | 95 % interval over images |", "|---|---|---|")
    for key, words in SCORES.items():
        if metrics.get(key) is not None:
            yield f"| {words} | {_score(metrics[key])} | {_interval(metrics, key).strip(' []')} |"
    chosen = [f"{choice} on {split}" for choice, split in metrics["selected_on"].items()]
    yield ""
    yield f"Scored on {metrics['split']}; selected: {', '.join(chosen) or 'nothing'}."
    if metrics["split"] in metrics["selected_on"].values():
        yield "**Something was selected on the very split that it is scored on, which flatters it.**"


def _classes(labels: Facts, metrics: Facts) -> Iterator[str]:
    yield from ("| id | class | IoU | precision | recall | pixels |", "|---|---|---|---|---|---|")
    for number, label in enumerate(labels["classes"]):
        found = metrics["per_class"][label["name"]]
        numbers = " | ".join(_score(found[key]) for key in ("iou", "precision", "recall"))
        yield f"| {number} | {label['name']} | {numbers} | {found['support']:,} |"
    yield ""
    yield "Id 255 is *ignore*: it counts nowhere and is never predicted."


def _weaknesses(metrics: Facts) -> Iterator[str]:
    """The classes that it sees least of, worst first, and those that nothing is known of."""
    scored = {
        name: one["iou"] for name, one in metrics["per_class"].items() if one["support"] and one["iou"] is not None
    }
    weak = sorted(
        (name for name, iou in scored.items() if iou < WEAK * (metrics["miou"] or 0)), key=lambda n: scored[n]
    )
    for name in weak:
        unseen = " It is never found." if metrics["per_class"][name]["recall"] == 0 else ""
        yield f"- **{name}**: IoU {_score(scored[name])}, less than half of the mean.{unseen}"
    if not weak:
        yield "- No class has less than half of the mean IoU."
    unknown = [name for name, one in metrics["per_class"].items() if not one["support"]]
    if unknown:
        yield f"- Nothing is known of {', '.join(unknown)}: the images that it was scored on hold none."


def _interface(config: Facts) -> Iterator[str]:
    height, width = config["size"]
    yield f"- In: an RGB image of any size. It is resized to {height} × {width} ({config['interpolation']})."
    yield "- Normalised inside of the model, with its encoder's own mean and deviation."
    yield "- Out: its mask, class ids (uint8) at the image's own size; from MLflow as base64 of a PNG, as images go in."
    how = {key: value for key, value in (config.get("evaluation") or {}).items() if value not in (None, False, [1.0])}
    yield f"- Scored with {', '.join(f'{key} {value}' for key, value in how.items()) or 'one pass over each image'}."


def _loading(name: str) -> Iterator[str]:
    yield "```python"
    yield "import base64, mlflow, pandas"
    yield f'model = mlflow.pyfunc.load_model("models:/{name}@champion")'
    yield 'image = base64.b64encode(open("image.png", "rb").read()).decode()'
    yield 'mask = model.predict(pandas.DataFrame({"image": [image]}))'
    yield "```"


def _lineage(metrics: Facts, run: Facts) -> Iterator[str]:
    came_from, machine = run["lineage"], run["machine"]
    dirty = ", **with changes that are in no commit**" if came_from["dirty"] else ""
    yield f"- commit `{came_from['commit']}`{dirty}"
    yield f"- data `{metrics['data']}`"
    yield f"- trained weights `{metrics['checkpoint']}`"
    if came_from["weights"]:
        yield f"- encoder weights `{came_from['weights']['sha256']}`"
    yield f"- environment (requirements.lock) `{came_from['environment']}`"
    yield f"- {', '.join(f'{key} {value}' for key, value in machine.items())}"


def _score(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def _interval(metrics: Facts, key: str) -> str:
    """` [0.4123, 0.4310]`, or nothing where none was taken."""
    bounds = (metrics.get("intervals") or {}).get(key)
    return f" [{_score(bounds[0])}, {_score(bounds[1])}]" if bounds else ""
