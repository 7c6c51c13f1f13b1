"""A model as one file that runs without segpipe, kept only if it says what the model itself says of real images."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.export import Dim, ExportedProgram

from segpipe import artifacts
from segpipe.inference import files
from segpipe.inference.usable_model import UsableModel
from segpipe.preparation.reading import read_image
from segpipe.preparation.resizing import resized_image
from segpipe.terminal import say

Runner = Callable[[Tensor], Tensor]
"""uint8 [B, 3, H, W] -> logits [B, C, H, W]."""

DESCRIPTION = "model.json"


@dataclass(frozen=True)
class Compared:
    """An exported file beside the model itself, over real images."""

    images: int
    largest_difference: float
    """Of any logit."""
    differing_pixels: int
    takes_other_sizes: bool


def export(usable: UsableModel, folder: Path, formats: tuple[str, ...], given: list[str], bound: float) -> None:
    """model.pt2, model.onnx and model.json; a file that differs by more than `bound` is not kept."""
    images = real_images(usable, given, folder)
    with _quiet():
        program = _traced(usable)
    compared = {}
    for kind in formats:
        path = folder / f"model.{kind}"
        with artifacts.replacing_file(path) as partial:
            with _quiet():
                runner = FORMATS[kind](program, partial)
            found = compare(usable, runner, images)
            if not found.largest_difference <= bound:
                raise ValueError(
                    f"{path.name} gives logits that differ from the model's by up to {found.largest_difference:.2g} "
                    f"({found.differing_pixels} pixels of {found.images} images change), expected at most {bound:g}: "
                    "it is not kept. Choose another --format, or a larger --bound if that is good enough for you"
                )
        compared[path.name] = found
        trained = f"images of {usable.size[0]}x{usable.size[1]}"
        sizes = f"{trained} and larger ones" if found.takes_other_sizes else f"{trained} only"
        say(
            f"{path}: {path.stat().st_size / 1e6:.1f} MB, takes {sizes}; on {found.images} images its logits differ by "
            f"at most {found.largest_difference:.2g}, and {found.differing_pixels} pixels"
        )
    artifacts.write_json(folder / DESCRIPTION, _description(usable, compared))


def real_images(usable: UsableModel, given: list[str], outside: Path) -> list[Tensor]:
    """What is given, else the images of the panels that evaluate drew, as the model takes them: [1, 3, H, W] each."""
    if not given:
        experiment = usable.config.get("metrics", {}).get("experiment", usable.name)
        panels = artifacts.evaluation(experiment) / "panels"
        if not panels.is_dir():
            raise FileNotFoundError(
                f"{panels} is not there, and the exported model must be compared on real images. "
                "Give some: --images FOLDER"
            )
        given = [str(panels / "*-input.png")]
    paths = [source.path for source in files.sources(given, outside)]
    resized = (resized_image(read_image(path), usable.size, usable.interpolation) for path in paths)
    return [torch.from_numpy(np.array(image)).permute(2, 0, 1).unsqueeze(0) for image in resized]


@torch.inference_mode()
def compare(usable: UsableModel, runner: Runner, images: list[Tensor]) -> Compared:
    """Each image alone, two at once, and one at twice the size, which not every export takes."""
    largest, differing = 0.0, 0
    for batch in [*images, torch.cat([images[0], images[-1]])]:
        expected, found = usable.model(batch), runner(batch)
        largest = max(largest, float((expected - found).abs().max()))
        differing += int((expected.argmax(1) != found.argmax(1)).sum())
    larger = images[0].repeat(1, 1, 2, 2)
    try:
        gap = float((usable.model(larger) - runner(larger)).abs().max())
    except Exception:  # each runtime has its own way of saying that a size is not the traced one
        gap = float("inf")
    return Compared(len(images), largest, differing, takes_other_sizes=gap <= max(10 * largest, 1e-4))


@torch.no_grad()
def _traced(usable: UsableModel) -> ExportedProgram:
    """At the size that the model was trained at, with every side free that the model's own code leaves free."""
    example = torch.zeros((2, 3, *usable.size), dtype=torch.uint8)
    return torch.export.export(usable.model, (example,), dynamic_shapes=({0: Dim.AUTO, 2: Dim.AUTO, 3: Dim.AUTO},))


def _pt2(program: ExportedProgram, path: Path) -> Runner:
    archive = io.BytesIO()
    torch.export.save(program, archive)
    path.write_bytes(archive.getvalue())
    module: Runner = torch.export.load(io.BytesIO(path.read_bytes())).module()
    return module


def _onnx(program: ExportedProgram, path: Path) -> Runner:
    import onnxruntime

    exported = torch.onnx.export(program, dynamo=True, verbose=False)
    assert exported is not None
    exported.save(path)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (taken,) = session.get_inputs()
    return lambda images: torch.from_numpy(session.run(None, {taken.name: images.numpy()})[0])


FORMATS = {"pt2": _pt2, "onnx": _onnx}


def _description(usable: UsableModel, compared: dict[str, Compared]) -> dict[str, Any]:
    """What somebody needs who has nothing but the folder."""
    return {
        "model": usable.name,
        "input": "uint8 RGB [batch, 3, height, width]; the model normalises it itself",
        "output": "logits [batch, classes, height, width]; the class of a pixel is the place of the largest",
        "size": list(usable.size),
        "interpolation": usable.interpolation,
        "classes": [{"name": label.name, "color": list(label.color)} for label in usable.labels.classes],
        "files": {name: asdict(found) for name, found in compared.items()},
    }


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without torch's remarks on its own workings."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir", "torch.export")]
        before = [logger.level for logger in loggers]
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, before, strict=True):
                logger.setLevel(level)
