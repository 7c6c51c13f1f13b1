"""The repository's own params.yaml, in a folder of the test's own, with a few values changed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from segpipe import params

ROOT = Path(__file__).parents[3]
BINARY = "experiments/unet_drone_binary"
GONE = object()

KEPT = {
    "datasets": ["drone"],
    "prepared": ["drone_binary", "drone_5"],
    "augmented": ["drone_binary_0", "drone_binary_500", "drone_5_500"],
    "weights": ["resnet34_imagenet"],
    "experiments": ["unet_drone_binary", "unet_drone_5"],
    "combined": [],
    "gates": ["drone_binary"],
}
"""The blocks that the tests name; others come and go in params.yaml."""

PINNED: dict[str, Any] = {
    "profile": "demo",
    "seed": 7,
    "datasets/drone/demo": {
        "source": {"kind": "fabricated", "images": 120, "size": [192, 256]},
        "split": {"test": 30},
    },
    "augmented/drone_5_500/demo": {"copies": 60},
    "combined/pair": {
        "prepared": "drone_binary",
        "augmented": "drone_binary_500",
        "members": {"first": "unet_drone_binary", "second": "unet_drone_binary"},
        "model": {"name": "uformer"},
        "loss": {"name": "tversky"},
        "batch": 8,
    },
    "gates/drone_binary": {"experiment": "unet_drone_binary", "floors": {"miou": 0.7, "per_class.*.iou": 0.5}},
}
"""Values that the tests count on and that somebody may tune."""

DEMO = {"model": {"frozen": False}, "schedule": {"kind": "cosine"}, "epochs": 10, "batch": 8}

Edit = Callable[..., Path]


def edited(content: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """The content with values set by `a/b/c`; GONE takes a key away."""
    whole: dict[str, Any] = json.loads(json.dumps(content))
    for place, value in changes.items():
        *outer, last = place.split("/")
        block = whole
        for key in outer:
            block = block[key]
        if value is GONE:
            del block[last]
        else:
            block[last] = value
    return whole


@pytest.fixture(scope="session")
def published() -> dict[str, Any]:
    content: dict[str, Any] = YAML(typ="safe", pure=True).load(ROOT / "params.yaml")
    kept = {kind: {name: content[kind][name] for name in names} for kind, names in KEPT.items()}
    demos = {f"experiments/{name}/demo": DEMO for name in KEPT["experiments"]}
    return edited({**content, **kept}, PINNED | demos)


@pytest.fixture
def edit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, published: dict[str, Any]) -> Edit:
    """Write params.yaml with changes into the folder that the test runs in; JSON is YAML."""
    monkeypatch.chdir(tmp_path)
    for variable in ("DVC_STAGE", "SEGPIPE_DEVICE", "SEGPIPE_PRECISION", "SEGPIPE_WORKERS"):
        monkeypatch.delenv(variable, raising=False)

    def write(changes: dict[str, Any] | None = None) -> Path:
        path = tmp_path / "params.yaml"
        path.write_text(json.dumps(edited(published, changes or {})), encoding="utf-8")
        return path

    return write


def complaint(edit: Edit, changes: dict[str, Any]) -> str:
    """What loading the changed params says, without the words that every line begins with."""
    edit(changes)
    with pytest.raises(ValueError) as refused:
        params.load()
    lines = str(refused.value).splitlines()
    assert 1 <= len(lines) <= 3
    assert all(line.startswith(("params.yaml: ", "… and ")) for line in lines)
    return "\n".join(line.removeprefix("params.yaml: ") for line in lines)
