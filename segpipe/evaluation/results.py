"""What is added up over a split, and the files that it becomes: rows of images as they come, then the numbers."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from segpipe import artifacts
from segpipe.evaluation.counting import Scored
from segpipe.metrics import calibration, overlap
from segpipe.metrics.bootstrap import intervals, miou
from segpipe.metrics.calibration import BINS
from segpipe.metrics.conventions import Counts, parity
from segpipe.metrics.overlap import class_counts
from segpipe.metrics.sizes import SIZES, iou_by_size

COUNTED = ("intersection", "union", "truth")
IMAGE_COLUMNS = ("image", "miou", "pixel_accuracy", "native_miou")


class Totals:
    """The counts of all images together; of each alone only its pixels by class are kept, for the bootstrap."""

    def __init__(self, num_classes: int) -> None:
        square = (num_classes, num_classes)
        self.images, self.loss = 0, 0.0
        self.confusion, self.ceiling = np.zeros(square, np.int64), np.zeros(square, np.int64)
        self.boundary = np.zeros((2, num_classes), np.int64)
        self.sizes = np.zeros((2, len(SIZES), num_classes), np.int64)
        self.reliability = np.zeros((2, 3, BINS), np.int64)
        self.native_confusion, self.native_boundary = np.zeros(square, np.int64), np.zeros((2, num_classes), np.int64)
        self._by_image: list[np.ndarray] = []

    def add(self, scored: Scored) -> None:
        self.images += 1
        self.loss += scored.loss
        for name in ("confusion", "ceiling", "boundary", "sizes", "reliability"):
            setattr(self, name, getattr(self, name) + getattr(scored, name))
        if scored.native:
            self.native_confusion += scored.native[0]
            self.native_boundary += scored.native[1]
        self._by_image.append(class_counts(scored.confusion))

    @property
    def counts(self) -> Counts:
        return Counts(self.confusion, *np.stack(self._by_image, 1))


def written_rows(folder: Path, scored: Iterable[Scored], class_names: list[str]) -> Totals:
    """image_counts.csv and images.csv, a row as soon as it is known; and all of it added up."""
    totals = Totals(len(class_names))
    with ExitStack() as files:
        counts, images = (
            csv.DictWriter(
                files.enter_context((folder / file).open("w", newline="", encoding="utf-8")),
                columns,
                lineterminator="\n",
            )
            for file, columns in (("image_counts.csv", ("image", "class", *COUNTED)), ("images.csv", IMAGE_COLUMNS))
        )
        counts.writeheader()
        images.writeheader()
        for one in scored:
            totals.add(one)
            counts.writerows(_count_rows(one, class_names))
            images.writerow(_image_row(one))
    return totals


def _count_rows(scored: Scored, class_names: list[str]) -> Iterator[dict[str, Any]]:
    for name, counted in zip(class_names, class_counts(scored.confusion).T.tolist(), strict=True):
        yield {"image": scored.name, "class": name, **dict(zip(COUNTED, counted, strict=True))}


def _image_row(scored: Scored) -> dict[str, Any]:
    here = overlap.overall(scored.confusion)
    native = overlap.overall(scored.native[0])["miou"] if scored.native else ""
    return {"image": scored.name, "miou": here["miou"], "pixel_accuracy": here["pixel_accuracy"], "native_miou": native}


def numbers(totals: Totals, class_names: list[str]) -> dict[str, Any]:
    """Of metrics.json, what follows from the counts; what does not exist is None."""
    counts = totals.counts
    by_size = iou_by_size(totals.sizes, totals.confusion)
    boundary = _ratio(totals.boundary)
    per_class = overlap.table(totals.confusion, class_names)
    for i, row in enumerate(per_class.values()):
        row["boundary_iou"] = or_none(boundary[i])
        row |= {f"iou_{size}": or_none(by_size[place, i]) for place, size in enumerate(SIZES)}
    before, after = (calibration.expected_calibration_error(each) for each in totals.reliability)
    return {
        "images": totals.images,
        "loss": totals.loss / totals.images,
        "resolution_ceiling": or_none(overlap.overall(totals.ceiling)["miou"]),
        **{metric: or_none(value) for metric, value in overlap.overall(totals.confusion).items()},
        "intervals": intervals(counts.intersection, counts.union, counts.truth),
        "boundary_iou": or_none(float(miou(*totals.boundary))),
        **{f"miou_{size}": or_none(mean_of_known(by_size[place])) for place, size in enumerate(SIZES)},
        "ece": or_none(before),
        "ece_calibrated": or_none(after),
        **_native(totals),
        "per_class": per_class,
    }


def _native(totals: Totals) -> dict[str, float | None]:
    """None where nobody asked for it."""
    scores = overlap.overall(totals.native_confusion)
    return {
        "native_miou": or_none(scores["miou"]),
        "native_pixel_accuracy": or_none(scores["pixel_accuracy"]),
        "native_boundary_iou": or_none(float(miou(*totals.native_boundary))),
    }


def write_tables(folder: Path, totals: Totals, view: str, class_names: list[str]) -> None:
    """confusion.csv, calibration.csv, calibration_scaled.csv and parity.json."""
    rows = [
        {"truth": name, **dict(zip(class_names, totals.confusion[i].tolist(), strict=True))}
        for i, name in enumerate(class_names)
    ]
    artifacts.write_rows(folder / "confusion.csv", rows, ["truth", *class_names])
    columns = ["lower", "upper", "pixels", "confidence", "accuracy"]
    for file, counts in zip(("calibration.csv", "calibration_scaled.csv"), totals.reliability, strict=True):
        artifacts.write_rows(folder / file, calibration.rows(counts), columns)
    artifacts.write_json(folder / "parity.json", parity(totals.counts, view, class_names))


def _ratio(counts: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio: np.ndarray = counts[0] / counts[1]
    return ratio


def mean_of_known(values: np.ndarray) -> float:
    """NaN where none is known."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")


def or_none(score: float) -> float | None:
    """JSON has no NaN."""
    return None if np.isnan(score) else float(score)
