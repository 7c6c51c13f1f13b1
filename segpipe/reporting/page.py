"""Writes reports/index.html: one page that holds everything it shows, for a person to read."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median, quantiles
from typing import Any

from segpipe import artifacts
from segpipe.reporting import figures, pictures
from segpipe.reporting.comparison import sentence
from segpipe.reporting.evidence import NONE, Audit, Evaluation, Evidence, Experiment, PreparedSet

TEMPLATES = Path(__file__).parent / "templates"
CHARTS = {
    "miou": "mIoU by epoch",
    "loss": "loss by epoch",
    "latency": "mIoU against latency",
    "parameters": "mIoU against parameters",
}


def write(evidence: Evidence) -> None:
    """The page, from the evidence and the figures that are drawn from it."""
    artifacts.write_text(artifacts.PAGE, rendered(evidence))


def rendered(evidence: Evidence) -> str:
    """The page's HTML; text from files is escaped, and nothing is fetched from anywhere."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(score=score, count=count, percent=percent, flattened=flattened, selected=sentence)
    return environment.get_template("page.html").render(
        evidence=evidence,
        caveat=caveat(evidence),
        panels=_panels_by_experiment(evidence),
        charts=_charts,
        standing=standing,
        chosen_where_scored=chosen_where_scored,
        row_shares=figures.row_shares,
        spread=spread,
        effort=effort,
        balance=balance,
        contact_sheet=_contact_sheet,
    )


def caveat(evidence: Evidence) -> str:
    """What a reader must know before the first number; empty when all data and weights are real."""
    with_numbers = [
        (one, a_set) for a_set in evidence.sets for one in a_set.experiments if one.evaluation or one.training
    ]
    fabricated = sum(a_set.is_fabricated for _, a_set in with_numbers)
    random = sum(bool(one.weights_label) for one, _ in with_numbers)
    claims = [
        claim if number == len(with_numbers) else f"{claim} in {number} of {len(with_numbers)} experiments"
        for claim, number in (("fabricated data", fabricated), ("weights random", random))
        if number
    ]
    if not claims:
        return ""
    text = ", ".join(claims)
    return f"{text[0].upper()}{text[1:]}: these numbers show that the mechanics work, nothing else."


@dataclass(frozen=True)
class Column:
    """A sortable number of the leaderboard."""

    title: str
    value: float | None
    text: str


def standing(experiment: Experiment) -> list[Column]:
    """An evaluated experiment's numbers in the leaderboard, after mIoU."""
    assert experiment.evaluation
    metrics, cost = experiment.evaluation.metrics, experiment.evaluation.cost
    rates = [row["images_per_second"] for row in experiment.training.timing] if experiment.training else []
    known = [rate for rate in rates if rate is not None]
    rate = mean(known) if known else None
    return [
        Column("ceiling", metrics["resolution_ceiling"], score(metrics["resolution_ceiling"])),
        Column("colour alone", metrics["colour_alone"], score(metrics["colour_alone"])),
        Column("pixel accuracy", metrics["pixel_accuracy"], score(metrics["pixel_accuracy"])),
        Column("mPA", metrics["mpa"], score(metrics["mpa"])),
        Column("Dice", metrics["mean_dice"], score(metrics["mean_dice"])),
        Column("fwIoU", metrics["fwiou"], score(metrics["fwiou"])),
        Column("loss", metrics["loss"], score(metrics["loss"])),
        Column("parameters", cost["parameters"], _short(cost["parameters"])),
        Column("latency, ms", cost["latency_ms"], _plain(cost["latency_ms"])),
        Column("trained, images/s", rate, _plain(rate)),
    ]


def chosen_where_scored(evaluation: Evaluation) -> bool:
    """Whether something was selected on the very split that the score is taken on, which flatters it."""
    return evaluation.metrics["split"] in evaluation.metrics["selected_on"].values()


def spread(mious: list[float]) -> str:
    """How the images differ, in a sentence: a mean hides the images that fail."""
    if len(mious) < 2:
        return ""
    half, tenth = median(mious), quantiles(mious, n=10, method="inclusive")[0]
    return f"Of {len(mious)} images, half score above {score(half)} mIoU, and a tenth below {score(tenth)}."


def effort(experiment: Experiment) -> dict[str, str]:
    """What the training took."""
    if not experiment.training:
        return {}
    timing = experiment.training.timing
    seconds = [row["seconds"] or 0 for row in timing]
    waiting = [row["waiting_share"] for row in timing if row["waiting_share"] is not None]
    return {
        "epochs": str(len(timing)),
        "best epoch": str(experiment.training.run["best_epoch"]),
        "training": _duration(sum(seconds)),
        "one epoch": _duration(mean(seconds)) if seconds else NONE,
        "waiting for data": percent(mean(waiting)) if waiting else NONE,
    }


def balance(view: dict[str, Any]) -> list[dict[str, Any]]:
    """Each class of a view, with its share of the counted pixels of every split and its number of images there."""
    splits = view["splits"]
    totals = {split: sum(one["pixels"] for one in found["classes"].values()) for split, found in splits.items()}
    return [
        {
            **label,
            "splits": [
                {"share": one["pixels"] / (totals[split] or 1), "images": one["images"]}
                for split, one in ((split, found["classes"][label["name"]]) for split, found in splits.items())
            ],
        }
        for label in view["classes"]
    ]


def flattened(content: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """A nested block as rows of `outer inner`, value."""
    for key, value in content.items():
        if isinstance(value, Mapping):
            yield from flattened(value, f"{prefix}{key} ")
        else:
            yield f"{prefix}{key}", NONE if value in (None, "") else str(value)


def _charts(a_set: PreparedSet) -> list[str]:
    """The set's charts as inline SVG, in the colours of the page."""
    paths = {artifacts.FIGURES / f"{chart}-{a_set.name}.svg": shown for chart, shown in CHARTS.items()}
    return [_inline(path, f"{shown}, {a_set.name}") for path, shown in paths.items() if path.exists()]


def _inline(path: Path, label: str) -> str:
    """What HTML needs of an SVG file; its own style sheet would apply to the whole page."""
    svg = path.read_text(encoding="utf-8")
    body = re.sub(r"<style.*?</style>|<!--.*?-->|\sxmlns(:\w+)?=\"[^\"]*\"", "", svg[svg.index("<svg") :], flags=re.S)
    # Matplotlib names its groups alike in every file, and an id must be the only one on a page.
    body = re.sub(r'<g id="[^"]*"', "<g", body)
    body = body.replace(figures.INK, "currentColor").replace(figures.RULE, "var(--rule)")
    return body.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1)


def _panels_by_experiment(evidence: Evidence) -> dict[str, dict[str, list[pictures.Panel]]]:
    """The best and the worst images of each experiment whose label colours are known."""
    sources = [
        (experiment.name, pictures.PanelSource(row, artifacts.evaluation(experiment.name), a_set.colors))
        for a_set in evidence.sets
        if a_set.manifest
        for experiment, evaluation in a_set.evaluated
        for row in sorted(evaluation.panels, key=lambda row: (row["kind"], row["rank"]))
    ]
    found: dict[str, dict[str, list[pictures.Panel]]] = defaultdict(lambda: defaultdict(list))
    drawn = pictures.panels([source for _, source in sources])
    for (name, _), panel in zip(sources, drawn, strict=True):
        found[name][panel.kind].append(panel)
    return found


def _contact_sheet(audit: Audit) -> str:
    return pictures.photograph(audit.contact_sheet, 1400) if audit.contact_sheet.exists() else ""


def score(value: float | None) -> str:
    return NONE if value is None else f"{value:.3f}"


def percent(share: float) -> str:
    """A share for reading: a rare class is not shown as none."""
    return f"{share:.1%}" if share == 0 or share >= 0.001 else "< 0.1%"


def count(number: int) -> str:
    return f"{number:,}"


def _short(number: float | None) -> str:
    if number is None:
        return NONE
    return f"{number / 1e6:.1f} M" if number >= 1e5 else f"{number / 1e3:.1f} k"


def _plain(number: float | None) -> str:
    return NONE if number is None else f"{number:,.1f}"


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"
