"""Writes reports/index.html: one page that holds everything it shows, for a person to read."""

from __future__ import annotations

import os
from collections import defaultdict
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from segpipe import artifacts
from segpipe.reporting import figures, leaderboard, pictures, published, wording
from segpipe.reporting.evidence import Audit, Evidence, Experiment, PreparedSet
from segpipe.reporting.inline import SHOWN, inline, swatch

TEMPLATES = Path(__file__).parent / "templates"
CHARTS = {
    "miou": "mIoU by epoch",
    "loss": "loss by epoch",
    "latency": "mIoU against latency",
    "parameters": "mIoU against parameters",
    "calibration": "accuracy against confidence",
}
LOCAL_MLFLOW = "http://127.0.0.1:5000"
"""Where `make ui` shows it."""

PRIVATE_PAGE = "report.html"
"""In .segpipe/, which neither git nor DVC takes anywhere: the page with the pictures that may not be passed on."""

Panels = dict[str, dict[str, list[pictures.Panel]]]


def write(evidence: Evidence) -> None:
    """The page, from the evidence and the figures that are drawn from it."""
    panels = _panels_by_experiment(evidence)
    artifacts.write_text(artifacts.PAGE, rendered(evidence, panels))
    private = artifacts.working(PRIVATE_PAGE)
    if evidence.withholds_pictures:
        artifacts.write_text(private, rendered(evidence, panels, is_private=True))
    else:
        private.unlink(missing_ok=True)


def rendered(evidence: Evidence, panels: Panels | None = None, is_private: bool = False) -> str:
    """The page's HTML; text from files is escaped, and nothing is fetched from anywhere."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        score=wording.score,
        count=wording.count,
        percent=wording.percent,
        interval=wording.interval,
        flattened=wording.flattened,
        selected=wording.sentence,
    )
    return environment.get_template("page.html").render(
        evidence=evidence,
        caveat=caveat(evidence),
        panels=_panels_by_experiment(evidence) if panels is None else panels,
        is_private=is_private,
        private_page=f".segpipe/{PRIVATE_PAGE}",
        shown=SHOWN,
        leaderboard=leaderboard,
        wording=wording,
        published=published.published,
        charts=_charts,
        shares=_shares,
        swatch=swatch,
        mlflow_run=mlflow_run,
        row_shares=figures.row_shares,
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


def mlflow_run(experiment: Experiment) -> str:
    """Where its run is shown: on the server that tracking goes to, or on the one that `make ui` starts."""
    tracking = (experiment.training.run["tracking"] or {}) if experiment.training else {}
    if not tracking.get("run_id"):
        return ""
    server = urlsplit(os.environ.get("MLFLOW_TRACKING_URI", ""))
    # A password may stand before the host: the page is for others to read.
    address = f"{server.scheme}://{server.netloc.rpartition('@')[2]}{server.path.rstrip('/')}"
    base = address if server.scheme in ("http", "https") else LOCAL_MLFLOW
    return f"{base}/#/experiments/{tracking['experiment_id']}/runs/{tracking['run_id']}"


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


def _charts(a_set: PreparedSet) -> list[str]:
    """The set's charts as inline SVG, in the colours of the page."""
    hidden = frozenset(one.name for one in a_set.experiments[SHOWN:])
    paths = {artifacts.FIGURES / f"{chart}-{a_set.name}.svg": label for chart, label in CHARTS.items()}
    return [inline(path, f"{label}, {a_set.name}", hidden) for path, label in paths.items() if path.exists()]


def _shares(experiment: Experiment) -> str:
    """How a combined experiment's weighted average was fitted; empty for all others."""
    path = artifacts.FIGURES / f"shares-{experiment.name}.svg"
    return inline(path, f"mIoU against the share of the first member, {experiment.name}") if path.exists() else ""


def _panels_by_experiment(evidence: Evidence) -> Panels:
    """The best and the worst images of each experiment whose label colours are known."""
    sources = [
        (experiment.name, pictures.PanelSource(row, artifacts.evaluation(experiment.name), a_set.colors))
        for a_set in evidence.sets
        if a_set.manifest
        for experiment, evaluation in a_set.evaluated
        for row in sorted(evaluation.panels, key=lambda row: (row["kind"], row["rank"]))
    ]
    found: Panels = defaultdict(lambda: defaultdict(list))
    drawn = pictures.panels([source for _, source in sources])
    for (name, _), panel in zip(sources, drawn, strict=True):
        found[name][panel.kind].append(panel)
    return found


def _contact_sheet(audit: Audit) -> str:
    return pictures.photograph(audit.contact_sheet, 1400) if audit.contact_sheet.exists() else ""
