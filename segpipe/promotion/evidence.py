"""What the gate reads, checked to the last row: a file that is cut off or edited is no evidence."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from segpipe import artifacts

Pixels = Annotated[int, Field(ge=0)]
Counts = dict[str, "ImageCounts"]


class ImageCounts(BaseModel):
    """One image's pixels by class, in the order of the label table."""

    model_config = ConfigDict(extra="forbid")
    intersection: list[Pixels]
    union: list[Pixels]


class Champion(BaseModel):
    """What a candidate is measured against, image by image."""

    model_config = ConfigDict(extra="allow")
    experiment: str
    version: str
    data: str
    counts: Counts


class Metrics(BaseModel):
    """Of metrics.json what the gate stands on; the rest is carried along."""

    model_config = ConfigDict(extra="allow")
    data: str
    images: Annotated[int, Field(gt=0)]
    per_class: dict[str, dict[str, float | None]]

    @property
    def scores(self) -> dict[str, Any]:
        """Every number by its full name: `miou`, `per_class.car.iou`."""
        overall = {key: value for key, value in (self.model_extra or {}).items() if _is_score(value)}
        by_class = {
            f"per_class.{c}.{metric}": value for c, row in self.per_class.items() for metric, value in row.items()
        }
        return overall | by_class


def _is_score(value: Any) -> bool:
    return value is None or (isinstance(value, (int, float)) and not isinstance(value, bool))


def read_metrics(experiment: str) -> Metrics:
    return Metrics.model_validate(artifacts.read_json(artifacts.report(experiment) / "metrics.json"))


def read_counts(experiment: str, metrics: Metrics) -> Counts:
    """reports/<experiment>/image_counts.csv, in which every image must have a row for every class."""
    path = artifacts.report(experiment) / "image_counts.csv"
    rows: dict[str, list[dict[str, str]]] = {}
    for row in artifacts.read_rows(path):
        rows.setdefault(row["image"], []).append(row)
    if len(rows) != metrics.images:
        raise ValueError(f"{path} holds {len(rows)} images, and metrics.json {metrics.images}: expected the same")
    for image, of_image in rows.items():
        if [row["class"] for row in of_image] != list(metrics.per_class):
            raise ValueError(f"{path}: image {image} has not one row for each class of metrics.json")
    return {
        image: ImageCounts.model_validate(
            {kind: [row[kind] for row in of_image] for kind in ("intersection", "union")},
        )
        for image, of_image in rows.items()
    }


def read_champions() -> dict[str, Champion]:
    """reports/champion.json; none where there is no such file yet."""
    if not artifacts.CHAMPIONS.is_file():
        return {}
    return TypeAdapter(dict[str, Champion]).validate_python(artifacts.read_json(artifacts.CHAMPIONS))


def arrays(counts: Counts, order: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Intersection and union, [N, C] each, with the images in this order."""
    intersection = np.array([counts[image].intersection for image in order], float)
    union = np.array([counts[image].union for image in order], float)
    return intersection, union
