"""What the tests of promotion do and look at: report, register, spoil a checkpoint, read the registry."""

from __future__ import annotations

import shutil
from typing import Any

from safetensors.torch import load_file

from segpipe import artifacts, params, tracking
from segpipe.checkpoints import save_model
from segpipe.evaluation.scoring import evaluate
from segpipe.preparation import manifest
from segpipe.promotion.register import register_all
from tests.unit.training.tiny_project import NAME, scene

MODEL, PREPARED = "tiny", "drone_binary"


def report() -> None:
    """What the report stage keeps of the evaluation."""
    artifacts.report(NAME).mkdir(parents=True, exist_ok=True)
    for name in ("metrics.json", "image_counts.csv"):
        shutil.copyfile(artifacts.evaluation(NAME) / name, artifacts.report(NAME) / name)


def register() -> int:
    return register_all(params.gates())


def aliases() -> dict[str, str]:
    found = tracking._client().get_registered_model(MODEL).aliases
    return {alias: str(version) for alias, version in found.items()}


def versions() -> list[str]:
    return sorted(str(found.version) for found in tracking._client().search_model_versions(f"name = '{MODEL}'"))


def champion() -> dict[str, Any]:
    entry: dict[str, Any] = artifacts.read_json(artifacts.CHAMPIONS)[MODEL]
    return entry


def train_another() -> None:
    """Other weights that are as good: every output of the last layer is larger by a tenth."""
    path = artifacts.checkpoint(NAME) / "model.safetensors"
    tensors = load_file(path)
    for key in [key for key in tensors if key.startswith("classifier")]:
        tensors[key] = tensors[key] * 1.1
    save_model(tensors, path, NAME)
    evaluate(NAME)
    report()


def spoil_checkpoint() -> None:
    """Swap the two classes in the last layer: every prediction is turned into its opposite."""
    path = artifacts.checkpoint(NAME) / "model.safetensors"
    tensors = load_file(path)
    for key in [key for key in tensors if key.startswith("classifier")]:
        tensors[key] = tensors[key].flip(0).contiguous()
    save_model(tensors, path, NAME)


def change_test_images() -> None:
    """Other scenes in the test split: data with another hash."""
    folder = artifacts.prepared(PREPARED)
    content = artifacts.read_json(folder / "manifest.json")
    shards = {split: described["shards"] for split, described in content["splits"].items()}
    files = [manifest.Shard(split, **shard) for split, described in shards.items() for shard in described]
    for shard in files:
        if shard.split == "test":
            images, masks = shard.open(folder, "r+")
            for row in range(shard.count):
                images[row], masks[row] = scene(1000 + row)
    artifacts.write_json(folder / "manifest.json", {**content, "content": manifest.content_hash(folder, files)})


def pixels_by_image() -> dict[str, dict[str, list[int]]]:
    """What image_counts.csv says, as champion.json holds it."""
    by_image: dict[str, dict[str, list[int]]] = {}
    for row in artifacts.read_rows(artifacts.report(NAME) / "image_counts.csv"):
        for key in ("intersection", "union"):
            by_image.setdefault(row["image"], {}).setdefault(key, []).append(int(row[key]))
    return by_image
