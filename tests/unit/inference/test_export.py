"""An exported file says what the model says of real images, or it is not kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from segpipe.devices import Machine
from segpipe.inference.export import compare, export, real_images
from segpipe.inference.usable_model import UsableModel
from segpipe.labels import Label, LabelTable
from segpipe.layers.segmentation_model import SegmentationModel
from segpipe.params import Evaluation

LABELS = LabelTable("three", tuple(Label(str(i), (10 * i, 0, 0), (i,)) for i in range(3)))
SIZE = (16, 24)


class Small(SegmentationModel):
    """Two convolutions between normalisation and logits."""

    def __init__(self) -> None:
        super().__init__((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 3, 3, padding=1))

    def cell_logits(self, images: Tensor) -> Tensor:
        logits: Tensor = self.layers(images)
        return logits


class Unsteady(Small):
    """Says something else as soon as it is told to: an export is of what it said before."""

    bias = 0.0

    def cell_logits(self, images: Tensor) -> Tensor:
        return super().cell_logits(images) + self.bias


def usable(model: SegmentationModel) -> UsableModel:
    here = Machine(torch.device("cpu"), "fp32")
    return UsableModel("small", model.eval(), LABELS, SIZE, "area", Evaluation(), here, {})


@pytest.fixture
def images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three pictures, of other sizes than the model's too."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    for i, size in enumerate([SIZE, SIZE, (40, 30)]):
        pixels = np.random.default_rng(i).integers(0, 256, (*size, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / "in" / f"{i}.png")
    return tmp_path / "in"


def description(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "model.json").read_text())
    return content


def test_images_are_compared_as_the_model_takes_them(images: Path) -> None:
    found = real_images(usable(Small()), [str(images)], Path("out"))
    assert [tuple(image.shape) for image in found] == [(1, 3, *SIZE)] * 3
    assert torch.equal(found[1][0].permute(1, 2, 0), torch.from_numpy(np.array(Image.open(images / "1.png"))))


def test_without_images_those_of_the_evaluation_are_taken(images: Path) -> None:
    with pytest.raises(FileNotFoundError, match="--images"):
        real_images(usable(Small()), [], Path("out"))
    panels = Path("data/evaluations/small/panels")
    panels.mkdir(parents=True)
    for part in ("input", "truth"):
        (panels / f"best-1-{part}.png").write_bytes((images / "0.png").read_bytes())
    assert len(real_images(usable(Small()), [], Path("out"))) == 1


def test_the_largest_difference_of_any_logit_and_the_pixels_that_change_are_found(images: Path) -> None:
    """One logit of each image is raised by 9: of one pixel, which then has another class."""
    ready = usable(Small())
    batch = real_images(ready, [str(images)], Path("out"))

    def other(given: Tensor) -> Tensor:
        logits: Tensor = ready.model(given)
        logits[:, (int(logits[0, :, 2, 3].argmax()) + 1) % 3, 2, 3] += 9.0
        return logits

    found = compare(ready, other, batch)
    assert found.images == 3
    assert found.largest_difference == pytest.approx(9.0, abs=1e-5)
    assert found.differing_pixels >= 3
    same = compare(ready, ready.model, batch)
    assert (same.largest_difference, same.differing_pixels, same.takes_other_sizes) == (0.0, 0, True)


def test_a_runner_that_fails_at_other_sizes_is_said_to_take_one_only(images: Path) -> None:
    ready = usable(Small())

    def only_here(given: Tensor) -> Tensor:
        if tuple(given.shape[2:]) != SIZE:
            raise RuntimeError("another size")
        logits: Tensor = ready.model(given)
        return logits

    assert not compare(ready, only_here, real_images(ready, [str(images)], Path("out"))).takes_other_sizes


@pytest.mark.slow
def test_both_files_are_written_with_what_explains_them(images: Path) -> None:
    import onnxruntime

    model = Small()
    export(usable(model), Path("out"), ("pt2", "onnx"), [str(images)], 1e-3)
    assert sorted(path.name for path in Path("out").iterdir()) == ["model.json", "model.onnx", "model.pt2"]
    told = description(Path("out"))
    assert (told["size"], told["interpolation"]) == ([16, 24], "area")
    assert [entry["name"] for entry in told["classes"]] == ["0", "1", "2"]
    assert told["files"]["model.pt2"] == {
        "images": 3,
        "largest_difference": 0.0,
        "differing_pixels": 0,
        "takes_other_sizes": True,
    }
    assert 0 <= told["files"]["model.onnx"]["largest_difference"] < 1e-4

    # Read as somebody would who has only the files, at another batch and size.
    given = torch.randint(0, 256, (3, 3, 32, 40), dtype=torch.uint8)
    expected = model(given).detach()
    assert torch.equal(torch.export.load("out/model.pt2").module()(given), expected)
    (logits,) = onnxruntime.InferenceSession("out/model.onnx").run(None, {"images": given.numpy()})
    assert np.abs(logits - expected.numpy()).max() < 1e-4


@pytest.mark.slow
def test_what_differs_by_more_than_the_bound_is_not_kept(images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ready = usable(Unsteady())
    batch = real_images(ready, [str(images)], Path("out"))
    assert batch
    # Traced with one bias, compared with another: what a wrong translation by an exporter would look like.
    seen: list[int] = []

    def biased(module: nn.Module, given: Any) -> None:
        if not torch.compiler.is_compiling():
            seen.append(1)
            Unsteady.bias = 0.5

    monkeypatch.setattr(Unsteady, "bias", 0.0)
    ready.model.register_forward_pre_hook(biased)
    with pytest.raises(ValueError, match=r"by up to 0\.5 .* expected at most 0\.001") as refusal:
        export(ready, Path("out"), ("pt2",), [str(images)], 1e-3)
    assert "it is not kept" in str(refusal.value)
    assert not list(Path("out").glob("*"))
