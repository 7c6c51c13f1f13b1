"""Predicts image files: a mask, an overlay and a row of a table for each, under the names that they came with."""

from __future__ import annotations

import time
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from segpipe import artifacts
from segpipe.inference.usable_model import UsableModel
from segpipe.labels import LabelTable, hexadecimal
from segpipe.params import Evaluation
from segpipe.preparation.reading import Refusal, read_image
from segpipe.terminal import progress

SUFFIXES = {".bmp", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"}
"""Of the files that are looked for in a folder; a file that is named is tried whatever its suffix."""

MASKS, OVERLAYS, TABLE, CLASSES = "masks", "overlays", "images.csv", "classes.csv"
OPACITY = 0.5
"""How much of an overlay's colour is the class's."""

PREDICTED = "ok"


@dataclass(frozen=True)
class Source:
    """An image file, and what its results are called below their folders, without their own suffix."""

    path: Path
    name: Path


def sources(inputs: list[str], outside: Path) -> list[Source]:
    """The images that files, folders and patterns mean, each once, without what lies in `outside`."""
    found: dict[Path, Source] = {}
    for given in inputs:
        for path, name in _meant(given):
            if not path.resolve().is_relative_to(outside.resolve()):
                found.setdefault(path.resolve(), Source(path, name))
    # Of two files that differ in their suffix alone, each keeps it in its name.
    stems = Counter(source.name.with_suffix("") for source in found.values())
    named = [
        source if stems[source.name.with_suffix("")] > 1 else Source(source.path, source.name.with_suffix(""))
        for source in found.values()
    ]
    _refuse_equal_names(named)
    return sorted(named, key=lambda source: source.name)


def _meant(given: str) -> Iterator[tuple[Path, Path]]:
    """Each file, with its path below what was given."""
    path = Path(given)
    if path.is_dir():
        files = [file for file in sorted(path.rglob("*")) if file.suffix.lower() in SUFFIXES and file.is_file()]
        visible = [file for file in files if not any(p.startswith(".") for p in file.relative_to(path).parts)]
        if not visible:
            raise FileNotFoundError(f"{given} holds no image: expected files that end in {', '.join(sorted(SUFFIXES))}")
        yield from ((file, file.relative_to(path)) for file in visible)
    elif path.is_file():
        yield path, Path(path.name)
    else:
        yield from _matching(path, given)


def _matching(pattern: Path, given: str) -> Iterator[tuple[Path, Path]]:
    """The files of a pattern, named from its first part that is one."""
    parts = pattern.parts
    fixed = next((i for i, part in enumerate(parts) if any(sign in part for sign in "*?[")), None)
    root = Path(*parts[:fixed])
    files = sorted(root.glob(str(Path(*parts[fixed:])))) if fixed is not None and root.is_dir() else []
    if not any(file.is_file() for file in files):
        raise FileNotFoundError(f"{given} is not there: expected an image, a folder of images, or a pattern of names")
    yield from ((file, file.relative_to(root)) for file in files if file.is_file())


def _refuse_equal_names(named: list[Source]) -> None:
    by_name: dict[Path, Path] = {}
    for source in named:
        other = by_name.setdefault(source.name, source.path)
        if other != source.path:
            raise ValueError(
                f"{other} and {source.path} would both be predicted into {MASKS}/{source.name}.png. "
                "Give the folder that holds both, or predict them into two folders"
            )


def predict_files(usable: UsableModel, images: list[Source], folder: Path, how: Evaluation | None) -> dict[Path, str]:
    """masks/, overlays/, images.csv and classes.csv; what could not be read, and why."""
    labels = usable.labels
    unread: dict[Path, str] = {}

    def rows() -> Iterator[dict[str, Any]]:
        for source in progress(images, "predict"):
            row = _predicted(usable, source, folder, how)
            if row["status"] != PREDICTED:
                unread[source.path] = row["status"]
            yield row

    classes = [
        {"id": i, "name": label.name, "color": hexadecimal(label.color)} for i, label in enumerate(labels.classes)
    ]
    artifacts.write_rows(folder / CLASSES, classes, ["id", "name", "color"])
    columns = ["image", "height", "width", *_shares(np.zeros((0, 0), np.uint8), labels), "seconds", "status"]
    artifacts.write_rows(folder / TABLE, rows(), columns)
    return unread


def _predicted(usable: UsableModel, source: Source, folder: Path, how: Evaluation | None) -> dict[str, Any]:
    """One row of the table, whose files are written."""
    began = time.perf_counter()
    try:
        image = _read(source.path)
    except (Refusal, OSError) as error:
        return {"image": source.path, "status": str(error).replace(f"{source.path}: ", "")}
    mask = usable.mask(image, how)
    _write(folder / MASKS / f"{source.name}.png", _palette_image(mask, usable.labels))
    _write(folder / OVERLAYS / f"{source.name}.jpg", Image.fromarray(overlay(image, mask, usable.labels)))
    return {
        "image": source.path,
        "height": mask.shape[0],
        "width": mask.shape[1],
        **_shares(mask, usable.labels),
        "seconds": round(time.perf_counter() - began, 4),
        "status": PREDICTED,
    }


def _read(path: Path) -> np.ndarray:
    """As training reads images, but of any size: whoever named the file meant it."""
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of metadata that is odd: the pixels are what counts
            return read_image(path)
    finally:
        Image.MAX_IMAGE_PIXELS = limit


def _shares(mask: np.ndarray, labels: LabelTable) -> dict[str, float]:
    """Of the image's pixels, by class."""
    counts = np.bincount(mask.ravel(), minlength=len(labels.classes))
    shares = (round(int(count) / max(1, mask.size), 6) for count in counts)
    return {f"share_{name}": share for name, share in zip(labels.class_names, shares, strict=True)}


def overlay(image: np.ndarray, mask: np.ndarray, labels: LabelTable) -> np.ndarray:
    """The image under the colours of its classes: [H, W, 3] uint8."""
    import cv2

    blended: np.ndarray = cv2.addWeighted(image, 1 - OPACITY, labels.colors[mask], OPACITY, 0)
    return blended


def _palette_image(mask: np.ndarray, labels: LabelTable) -> Image.Image:
    """Class ids, which a viewer shows in the classes' colours."""
    picture = Image.fromarray(mask)
    picture.putpalette(labels.colors.tobytes())
    return picture


def _write(path: Path, picture: Image.Image) -> None:
    with artifacts.replacing_file(path) as partial:
        picture.save(partial, format="JPEG" if path.suffix == ".jpg" else "PNG", quality=90)
