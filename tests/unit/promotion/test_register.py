"""What is registered is what was trained; only an open gate makes a champion, and one checkpoint is one version."""

from __future__ import annotations

import base64
import io
import json
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segpipe import artifacts, params, tracking
from segpipe.checkpoints import build_model, load_model, origin_of
from segpipe.evaluation.scoring import evaluate
from segpipe.inference.predict import predict
from segpipe.tracking import registry
from tests.unit.promotion.promoting import (
    MODEL,
    aliases,
    champion,
    pixels_by_image,
    register,
    report,
    spoil_checkpoint,
    versions,
)
from tests.unit.training import tiny_project
from tests.unit.training.tiny_project import NAME

pytestmark = pytest.mark.slow


def test_the_first_model_past_its_gate_is_champion_with_its_counts_and_lineage(evaluated: Path) -> None:
    report()
    assert register() == 0
    metrics = artifacts.read_json(artifacts.report(NAME) / "metrics.json")
    assert aliases() == {"champion": "1", "challenger": "1"}
    kept = {
        "experiment": NAME,
        "version": "1",
        **{key: metrics[key] for key in ("miou", "split", "data", "checkpoint")},
    }
    assert kept.items() <= champion().items()
    assert champion()["counts"] == pixels_by_image()
    tags = tracking._client().get_model_version(MODEL, "1").tags
    lineage = {"experiment": NAME, "checkpoint": metrics["checkpoint"], "data": metrics["data"], "dirty": "True"}
    assert lineage.items() <= tags.items(), "params.yaml was changed after the commit"
    assert float(tags["miou"]) == metrics["miou"]


def test_a_checkpoint_that_dvc_only_links_to_is_registered_whole(evaluated: Path) -> None:
    report()
    checkpoint = artifacts.checkpoint(NAME) / "model.safetensors"
    cached = evaluated / "in-the-cache"
    checkpoint.rename(cached)
    checkpoint.symlink_to(cached)
    assert register() == 0
    (packed,) = registry.find(MODEL, "1").files().glob("**/model.safetensors")
    assert not packed.is_symlink()
    assert packed.read_bytes() == cached.read_bytes()


def test_one_checkpoint_is_one_version_and_a_worse_one_is_no_champion(
    evaluated: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report()
    assert [register(), register()] == [0, 0]
    assert champion()["miou"] > 0.6, "a model that learnt nothing proves nothing below"
    assert versions() == ["1"]
    before = artifacts.CHAMPIONS.read_bytes()

    spoil_checkpoint()
    evaluate(NAME)
    report()
    assert register() == 1
    assert "the champion stays" in capsys.readouterr().err
    assert versions() == ["1", "2"]
    assert aliases() == {"champion": "1", "challenger": "2"}
    assert artifacts.CHAMPIONS.read_bytes() == before

    spoil_checkpoint()  # swapped twice: the first one again
    evaluate(NAME)
    report()
    assert register() == 0
    assert versions() == ["1", "2"]
    assert aliases() == {"champion": "1", "challenger": "1"}


SERVE = """
import json, os, sys
import mlflow, pandas
mlflow.set_tracking_uri(sys.argv[1])
model = mlflow.pyfunc.load_model("models:/tiny@champion")
masks = model.predict(pandas.DataFrame({"image": json.loads(sys.stdin.read())}))
import segpipe
json.dump([masks["mask"].tolist(), os.path.realpath(segpipe.__file__)], sys.stdout)
"""


def encoded(pixels: np.ndarray) -> str:
    png = io.BytesIO()
    Image.fromarray(pixels).save(png, format="PNG")
    return base64.b64encode(png.getvalue()).decode()


def test_the_champion_served_elsewhere_gives_the_masks_of_predict(evaluated: Path, tmp_path: Path) -> None:
    report()
    assert register() == 0
    images = [tiny_project.scene(50)[0], np.kron(tiny_project.scene(51)[0], np.ones((2, 3, 1), np.uint8))]
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", SERVE, tracking.uri()],
        cwd=elsewhere,
        env={"OMP_NUM_THREADS": "1", "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
        input=json.dumps([encoded(image) for image in images]),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    masks, code = json.loads(done.stdout)
    assert not Path(code).is_relative_to(tiny_project.ROOT), "the model must bring its own code"

    settings = params.experiment(NAME)
    model = build_model(settings.model, 2, origin_of(NAME, settings), settings.seed)
    load_model(model, artifacts.checkpoint(NAME) / "model.safetensors")
    for image, mask in zip(images, masks, strict=True):
        found = np.asarray(Image.open(io.BytesIO(base64.b64decode(mask))))
        assert np.array_equal(found, predict(model, image, (32, 32), "area"))
        assert set(np.unique(found)) <= {0, 1}
    assert list(elsewhere.iterdir()) == []


def test_a_checkpoint_that_was_not_the_one_measured_is_refused(evaluated: Path) -> None:
    report()
    spoil_checkpoint()
    with pytest.raises(ValueError, match="another checkpoint") as refusal:
        register()
    assert "dvc repro report" in str(refusal.value)
    assert not artifacts.CHAMPIONS.exists()


def test_a_registry_that_is_away_is_said_in_a_sentence(evaluated: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{probe.getsockname()[1]}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    tracking._client.cache_clear()
    with pytest.raises(ValueError, match=address) as refusal:
        register()
    assert "Start it" in str(refusal.value)
    assert not artifacts.CHAMPIONS.exists()
