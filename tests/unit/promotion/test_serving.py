"""What is registered answers where pickle is forbidden and through MLflow's own server, pixel for pixel."""

from __future__ import annotations

import base64
import io
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segpipe import artifacts, tracking
from tests.unit.promotion.promoting import MODEL
from tests.unit.training.tiny_project import NAME

pytestmark = pytest.mark.slow
WAIT = 120.0


def surroundings(elsewhere: Path) -> dict[str, str]:
    """What a process needs to serve the model: no pickle, nothing of this checkout."""
    elsewhere.mkdir()
    python = Path(sys.executable).parent
    return {
        "PATH": f"{python}:/usr/bin:/bin",
        "HOME": str(elsewhere),
        "OMP_NUM_THREADS": "1",
        "MLFLOW_TRACKING_URI": tracking.uri(),
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
        "SEGPIPE_DEVICE": "cpu",
        "SEGPIPE_PRECISION": "fp32",
    }


@pytest.fixture
def server(registered: Path, tmp_path: Path) -> Iterator[str]:
    """The address of `mlflow models serve`, on this machine only."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "models", "serve", "--env-manager", "local", "--model-uri"]
    command += [f"models:/{MODEL}@champion", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    elsewhere = tmp_path / "elsewhere"
    log = tmp_path / "server.log"
    with log.open("w") as file:
        process = subprocess.Popen(
            command, cwd=tmp_path, env=surroundings(elsewhere), stdout=file, stderr=file, start_new_session=True
        )
    try:
        _wait(f"http://127.0.0.1:{port}/ping", process, log)
        yield f"http://127.0.0.1:{port}/invocations"
    finally:
        os.killpg(process.pid, 15)
        process.wait(30)


def _wait(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    began = time.monotonic()
    while time.monotonic() - began < WAIT and process.poll() is None:
        try:
            urllib.request.urlopen(address, timeout=5).close()
            return
        except OSError:
            time.sleep(0.5)
    pytest.fail(f"no server after {WAIT:.0f} s:\n{log.read_text()[-2000:]}")


def test_the_server_answers_with_the_masks_that_evaluate_drew(server: str) -> None:
    folder = artifacts.evaluation(NAME)
    panels = artifacts.read_json(folder / "panels.json")
    assert panels
    for panel in panels:
        content = {"dataframe_records": [{"image": base64.b64encode((folder / panel["input"]).read_bytes()).decode()}]}
        request = urllib.request.Request(
            server, json.dumps(content).encode(), {"Content-Type": "application/json"}, method="POST"
        )
        with urllib.request.urlopen(request, timeout=60) as response:
            answer = json.load(response)["predictions"][0]["mask"]
        found = np.asarray(Image.open(io.BytesIO(base64.b64decode(answer))))
        drawn = np.asarray(Image.open(folder / panel["prediction"]))
        assert np.array_equal(found, drawn)


def test_loading_its_code_prints_nothing() -> None:
    command = [sys.executable, "-c", "import segpipe.inference.served_model"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")


def test_the_version_has_signature_example_labels_and_nothing_pickled(registered: Path) -> None:
    import yaml

    version = tracking.registry.find(MODEL)
    folder = version.files().parent
    content = yaml.safe_load((folder / "MLmodel").read_text())
    assert '"name": "image"' in content["signature"]["inputs"]
    assert '"name": "mask"' in content["signature"]["outputs"]
    assert content["flavors"]["python_function"]["model_code_path"].endswith("served_model.py")
    example = json.loads((folder / "input_example.json").read_text())
    (encoded,) = example["image"]
    assert Image.open(io.BytesIO(base64.b64decode(encoded))).size == (32, 32)
    config = artifacts.read_json(folder / "artifacts" / "config.json")
    assert [label["name"] for label in config["labels"]["classes"]] == ["obstacles", "landing-zones"]
    assert (config["size"], config["interpolation"]) == ([32, 32], "area")
    kept = {path.name for path in (folder / "artifacts").iterdir()}
    assert kept == {
        "config.json",
        "model.safetensors",
        "resnet34_imagenet.safetensors",
        "image_counts.csv",
        "model_card.md",
    }
    assert not [path for path in folder.rglob("*") if path.suffix in (".pkl", ".pickle", ".pt", ".pth")]
    card = (folder / "artifacts" / "model_card.md").read_text()
    assert tracking._client().get_model_version(MODEL, "1").description == card
    assert f"mIoU {config['metrics']['miou']:.4f}"[:8] in card
