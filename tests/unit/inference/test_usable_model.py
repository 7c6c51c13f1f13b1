"""One model under each of its names: the masks are those that evaluate drew, whatever params.yaml says by now."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segpipe import artifacts
from segpipe.commands import predict as command
from segpipe.inference.usable_model import UsableModel, chosen_machine, usable
from segpipe.params import Evaluation
from tests.unit.promotion.conftest import (
    evaluated_template,
    registered,
    registered_template,
    undisturbed_imports,
)
from tests.unit.promotion.promoting import MODEL
from tests.unit.training import tiny_project
from tests.unit.training.conftest import template
from tests.unit.training.tiny_project import NAME

__all__ = ["evaluated_template", "registered", "registered_template", "template", "undisturbed_imports"]

pytestmark = pytest.mark.slow


def draws_what_evaluate_drew(ready: UsableModel) -> bool:
    folder = artifacts.evaluation(NAME)
    panels = artifacts.read_json(folder / "panels.json")
    pairs = [
        (np.asarray(Image.open(folder / p["input"])), np.asarray(Image.open(folder / p["prediction"]))) for p in panels
    ]
    return bool(pairs) and all(np.array_equal(ready.mask(image), drawn) for image, drawn in pairs)


def test_every_name_of_a_model_means_the_same_weights(registered: Path) -> None:
    here = chosen_machine("cpu")
    folder = str(artifacts.checkpoint(NAME))
    for reference in (NAME, folder, MODEL, f"{MODEL}@champion", f"{MODEL}@1", f"models:/{MODEL}/1"):
        ready = usable(reference, here)
        assert draws_what_evaluate_drew(ready), reference
        assert (ready.size, ready.interpolation, ready.how) == ((32, 32), "area", Evaluation())
        assert ready.labels.class_names == ["obstacles", "landing-zones"]


def test_a_trained_model_is_built_as_it_was_trained(registered: Path) -> None:
    tiny_project.write_params(model={"name": "unet", "frozen": True, "decoder_channels": [32, 16, 8, 8, 8]})
    assert draws_what_evaluate_drew(usable(NAME, chosen_machine("cpu")))


def test_a_registered_model_needs_no_checkpoint_and_no_weights_of_the_project(registered: Path) -> None:
    artifacts.checkpoint(NAME).rename("elsewhere")
    artifacts.weights("resnet34_imagenet").unlink()
    assert draws_what_evaluate_drew(usable(MODEL, chosen_machine("cpu")))


def test_predicting_a_folder_ends_with_the_code_that_its_help_promises(
    registered: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("in").mkdir()
    Image.fromarray(tiny_project.scene(50)[0]).save("in/a.png")
    assert command.run(NAME, ["in"], "out", "cpu", flips=False, window=None) == 0
    assert "1 of 1 images predicted" in capsys.readouterr().err
    expected = usable(NAME, chosen_machine("cpu")).mask(tiny_project.scene(50)[0])
    assert np.array_equal(np.asarray(Image.open("out/masks/a.png")), expected)

    Path("in/b.png").write_bytes(b"")
    assert command.run(NAME, ["in"], "out", "cpu", flips=True, window=[32, 32]) == command.SOME_UNREAD == 3
    assert "not predicted: in/b.png: empty file" in capsys.readouterr().err
    with Path("out/images.csv").open(newline="") as file:
        assert [row["status"][:5] for row in csv.DictReader(file)] == ["ok", "empty"]
    with pytest.raises(ValueError, match="none of 1 images"):
        command.run(NAME, ["in/b.png"], "out", "cpu", flips=False, window=None)
