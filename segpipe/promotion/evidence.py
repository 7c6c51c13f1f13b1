"""What the gate reads, checked to the last row: a file that is cut off or edited is no evidence."""

from __future__ import annotations

import csv
import io
import json
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from segpipe import artifacts
from segpipe.metrics.bootstrap import miou
from segpipe.params import Evaluation

Pixels = Annotated[int, Field(ge=0)]
Counts = dict[str, "ImageCounts"]

MOVES_COUNTS = {"window", "overlap", "flips", "scales"}
"""What of an `evaluation` block changes a prediction at training size; the split shows in the images' names."""


class ImageCounts(BaseModel):
    """One image's pixels by class, in the order of the label table."""

    model_config = ConfigDict(extra="forbid")
    intersection: list[Pixels]
    union: list[Pixels]


class Measured(BaseModel):
    """On which data something was scored, and how: what two results must share to be compared."""

    model_config = ConfigDict(extra="allow")
    data: str
    evaluation: Evaluation = Evaluation()

    @property
    def conditions(self) -> tuple[str, dict[str, Any]]:
        return self.data, self.evaluation.model_dump(include=MOVES_COUNTS)


class Champion(Measured):
    """What a candidate is measured against, image by image."""

    experiment: str
    version: str
    counts: Counts


class Metrics(Measured):
    """Of metrics.json what the gate stands on; the rest is carried along."""

    experiment: str
    images: Annotated[int, Field(gt=0)]
    per_class: dict[str, dict[str, float | None]]

    @property
    def scores(self) -> dict[str, Any]:
        """Every number by its full name: `miou`, `per_class.car.iou`, `intervals.miou.0`; None where there is none."""
        return dict(_numbers({**(self.model_extra or {}), "per_class": self.per_class}))


@dataclass(frozen=True)
class Evidence:
    """The numbers of one evaluation, and the pixels behind them."""

    metrics: Metrics
    counts: Counts


def read(experiment: str) -> Evidence:
    """What reports/<experiment> holds."""
    folder = artifacts.report(experiment)
    metrics, counts = ((folder / name).read_text("utf-8") for name in ("metrics.json", "image_counts.csv"))
    return _checked(experiment, metrics, counts, str(folder))


def read_at(revision: str, experiment: str) -> Evidence:
    """The same as it was committed at a git revision."""
    folder = artifacts.report(experiment).as_posix()
    metrics, counts = (_committed(revision, f"{folder}/{name}") for name in ("metrics.json", "image_counts.csv"))
    return _checked(experiment, metrics, counts, f"{revision}: {folder}")


def _committed(revision: str, path: str) -> str:
    command = ["git", "show", "--end-of-options", f"{revision}:./{path}"]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8")
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["git says nothing"])[0].removeprefix("fatal: ")
        raise ValueError(f"{path} cannot be read at '{revision}' ({reason})")
    return done.stdout


def _checked(experiment: str, metrics_text: str, counts_text: str, where: str) -> Evidence:
    try:
        metrics = Metrics.model_validate(json.loads(metrics_text))
    except json.JSONDecodeError as error:
        raise ValueError(f"{where}/metrics.json is no JSON ({error})") from None
    if metrics.experiment != experiment:
        raise ValueError(f"{where}/metrics.json is of experiment '{metrics.experiment}', expected '{experiment}'")
    counts = _counts(csv.DictReader(io.StringIO(counts_text)), metrics, f"{where}/image_counts.csv")
    counted, written = counted_miou(counts), metrics.scores.get("miou")
    if not isinstance(written, (int, float)) or not np.isclose(counted, written, rtol=0, atol=1e-9):
        raise ValueError(f"{where}/image_counts.csv gives mIoU {counted}, metrics.json says {written}")
    return Evidence(metrics, counts)


def read_counts(path: Path, metrics: dict[str, Any]) -> Counts:
    """An image_counts.csv that belongs to the metrics of the same evaluation."""
    return _counts(artifacts.read_rows(path), Metrics.model_validate(metrics), str(path))


def _counts(rows: Iterable[dict[str, str]], metrics: Metrics, where: str) -> Counts:
    """Every image must have a row for every class."""
    of_images: dict[str, list[dict[str, str]]] = {}
    for row in rows:
        of_images.setdefault(row["image"], []).append(row)
    if len(of_images) != metrics.images:
        raise ValueError(f"{where} holds {len(of_images)} images, and metrics.json {metrics.images}: expected the same")
    for image, of_image in of_images.items():
        if [row["class"] for row in of_image] != list(metrics.per_class):
            raise ValueError(f"{where}: image {image} has not one row for each class of metrics.json")
    kinds = ("intersection", "union")
    return {
        image: ImageCounts.model_validate({kind: [row[kind] for row in of_image] for kind in kinds})
        for image, of_image in of_images.items()
    }


def _numbers(content: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(content, (dict, list)):
        for key, value in content.items() if isinstance(content, dict) else enumerate(content):
            yield from _numbers(value, f"{name}.{key}" if name else str(key))
    elif content is None or (isinstance(content, (int, float)) and not isinstance(content, bool)):
        yield name, content


def read_champions() -> dict[str, Champion]:
    """reports/champion.json; none where there is no such file yet."""
    if not artifacts.CHAMPIONS.is_file():
        return {}
    return TypeAdapter(dict[str, Champion]).validate_python(artifacts.read_json(artifacts.CHAMPIONS))


def write_champion(name: str, champion: Champion) -> None:
    """reports/champion.json with this champion in its place."""
    champions = read_champions() | {name: champion}
    artifacts.write_json(
        artifacts.CHAMPIONS, {key: champions[key].model_dump(mode="json") for key in sorted(champions)}
    )


def arrays(counts: Counts, order: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Intersection and union, [N, C] each, with the images in this order."""
    intersection = np.array([counts[image].intersection for image in order], float)
    union = np.array([counts[image].union for image in order], float)
    return intersection, union


def counted_miou(counts: Counts) -> float:
    intersection, union = arrays(counts, list(counts))
    return float(miou(intersection.sum(0), union.sum(0)))


def in_a_line(error: BaseException) -> str:
    """What is wrong with a file, for a cell of a table."""
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc'])) or error.title}: {first['msg']}"
    said = str(error) if type(error) is ValueError else f"{type(error).__name__}: {error}"
    return said.splitlines()[0]
