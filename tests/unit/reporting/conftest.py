"""Fabricates the files that a report reads: small scenes, noisy predictions, and numbers that are counted from them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from PIL import Image

from segpipe import artifacts


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def scene(classes: int, size: tuple[int, int], seed: int) -> np.ndarray:
    """Class ids: a ground, discs of the other classes on it, and a strip that counts nowhere."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: size[0], : size[1]]
    mask = np.full(size, classes - 1, np.uint8)
    for _ in range(3 * classes):
        center, radius = rng.uniform(0, 1, 2) * size, rng.uniform(0.06, 0.2) * size[1]
        mask[(y - center[0]) ** 2 + (x - center[1]) ** 2 < radius**2] = rng.integers(classes)
    mask[:2] = 255
    return mask


def predicted(truth: np.ndarray, classes: int, shift: int, seed: int) -> np.ndarray:
    """The truth, moved by some pixels, with blotches of wrong classes."""
    rng = np.random.default_rng(seed)
    prediction = np.roll(np.where(truth == 255, classes - 1, truth), (shift, -shift), (0, 1))
    for _ in range(shift):
        top, left = rng.integers(0, truth.shape[0] - 8), rng.integers(0, truth.shape[1] - 16)
        prediction[top : top + 8, left : left + 16] = rng.integers(classes)
    return prediction.astype(np.uint8)


def counted(truth: np.ndarray, prediction: np.ndarray, classes: int) -> np.ndarray:
    """The confusion by the slow way: one comparison for each pair of classes."""
    return np.array([[((truth == i) & (prediction == j)).sum() for j in range(classes)] for i in range(classes)])


def scores(confusion: np.ndarray, names: list[str]) -> dict[str, Any]:
    hits, truth, claimed = np.diag(confusion).astype(float), confusion.sum(1), confusion.sum(0)
    present = (truth + claimed) > 0
    iou = np.divide(hits, truth + claimed - hits, out=np.zeros_like(hits), where=present)
    dice = 2 * iou / (1 + iou)
    precision, recall = hits / np.maximum(claimed, 1), hits / np.maximum(truth, 1)
    columns = zip(names, iou, dice, precision, recall, truth, present, strict=True)
    return {
        "miou": iou[present].mean(),
        "miou_absent_as_zero": iou.mean(),
        "pixel_accuracy": hits.sum() / confusion.sum(),
        "mpa": recall[truth > 0].mean(),
        "mean_dice": dice[present].mean(),
        "fwiou": (truth * iou).sum() / truth.sum(),
        "per_class": {
            name: {"iou": i if there else None, "dice": d, "precision": p, "recall": r, "support": int(s)}
            for name, i, d, p, r, s, there in columns
        },
    }


@dataclass(frozen=True)
class Project:
    """A project's folder, filled with what the stages before `report` would have left."""

    TWO: ClassVar = {"obstacles": [200, 70, 50], "landing zones": [70, 150, 90]}
    FIVE: ClassVar = {
        "obstacles": [200, 70, 50],
        "water": [50, 110, 190],
        "soft surfaces": [70, 150, 90],
        "moving objects": [230, 190, 60],
        "landing zones": [150, 140, 130],
    }
    root: Path

    def add_set(self, name: str, labels: dict[str, list[int]], size: tuple[int, int] = (72, 108)) -> None:
        table = [{"name": label, "color": color, "raw_ids": [i]} for i, (label, color) in enumerate(labels.items())]
        manifest = {
            "name": name,
            "dataset": f"{name}_source",
            "view": "all",
            "fabricated": True,
            "size": list(size),
            "labels": {"name": name, "classes": table, "ignored": []},
            "splits": {split: {"images": n, "shards": []} for split, n in (("train", 28), ("val", 7), ("test", 12))},
            "content": sha256(name),
        }
        artifacts.write_json(artifacts.prepared(name) / "manifest.json", manifest)

    def add_audit(self, dataset: str, labels: dict[str, list[int]]) -> None:
        folder = artifacts.audit(dataset)
        splits = {
            split: {
                "images": images,
                "groups": images // 2,
                "ignored": 216 * images,
                "classes": {
                    name: {"pixels": 900 * images * (i + 1), "images": images} for i, name in enumerate(labels)
                },
            }
            for split, images in (("train", 28), ("val", 6), ("test", 12))
        }
        view = {
            "classes": [{"name": name, "color": color} for name, color in labels.items()],
            "raw_ids": {str(i): {"pixels": 900, "files": 4, "means": name} for i, name in enumerate(labels)},
            "splits": splits,
            "sizes": {"72x108": 46},
        }
        source = {
            "dataset": dataset,
            "kind": "fabricated",
            "origin": "Drawn by segpipe in the layout of the real set.",
            "fabricated": True,
            "licence": "none needed",
            "archives": [],
        }
        notes = [
            {"check": "twins", "message": "Two frames of the official split look alike.", "files": ["a.png", "b.png"]}
        ]
        content = {"dataset": dataset, "source": source, "faults": [], "notes": notes, "views": {"all": view}}
        artifacts.write_json(folder / "audit.json", content)
        sheet = [np.hstack([self._photo(scene(len(labels), (72, 108), k), labels, k)] * 6) for k in range(3)]
        Image.fromarray(np.vstack(sheet)).save(folder / "contact_sheet.png")

    def add_experiment(
        self, name: str, prepared: str, model: str = "unet", epochs: int = 12, description: str = "", **more: Any
    ) -> None:
        self._describe(name, description)
        params = {
            "prepared": prepared,
            "augmented": f"{prepared}_500",
            "weights": "resnet50",
            "model": {"name": model, "decoder": [256, 128]},
            "loss": {"name": "tversky", "alpha": 0.5},
            "epochs": epochs,
            "batch": 8,
        }
        artifacts.write_json(artifacts.resolved("experiments", name), {**params, **more})

    @staticmethod
    def _describe(name: str, description: str) -> None:
        path = artifacts.resolved("descriptions", "experiments")
        known = artifacts.read_json(path) if path.exists() else {}
        artifacts.write_json(path, {**known, name: description})

    def train(self, name: str, shift: int = 2) -> None:
        params = artifacts.read_json(artifacts.resolved("experiments", name))
        folder, epochs = artifacts.checkpoint(name), range(1, params["epochs"] + 1)
        random = {"name": "resnet50", "sha256": sha256("w"), "origin": "seed 0", "label": "random: mechanics only"}
        run = {
            "experiment": name,
            "params": params,
            "classes": [],
            "best_epoch": params["epochs"] - 1,
            "selected_on": {"checkpoint": "val"},
            "lineage": {
                "commit": sha256("commit")[:40],
                "dirty": shift > 3,
                "data": {"prepared": sha256(params["prepared"]), "augmented": sha256(params["augmented"])},
                "weights": random,
                "environment": sha256("lock"),
            },
            "machine": {"device": "cpu", "precision": "bf16", "processor": "x86_64", "threads": 2, "torch": "2.15.0"},
            "tracking": {"experiment_id": "1", "run_id": sha256(name)[:32]},
        }
        artifacts.write_json(folder / "run.json", run)
        decay = {e: np.exp(-e / 4) + 0.04 * shift + 0.03 * np.sin(e * shift) / e for e in epochs}
        history = [
            {
                "epoch": e,
                "lr": 1e-3,
                "train_loss": d,
                "train_miou": 0.95 - 0.6 * d,
                "val_loss": 1.2 * d,
                "val_miou": 0.9 - 0.6 * d,
            }
            for e, d in decay.items()
        ]
        artifacts.write_rows(folder / "history.csv", history, history[0])
        timing = [
            {"epoch": e, "seconds": 3.5, "images_per_second": 40.0 - shift, "waiting_share": 0.0625} for e in epochs
        ]
        artifacts.write_rows(folder / "timing.csv", timing, timing[0])

    def evaluate(self, name: str, shift: int = 2, images: int = 12) -> None:
        """Score the scenes of a test split, predicted with errors that grow with `shift`."""
        params = artifacts.read_json(artifacts.resolved("experiments", name))
        manifest = artifacts.read_json(artifacts.prepared(params["prepared"]) / "manifest.json")
        labels = {label["name"]: label["color"] for label in manifest["labels"]["classes"]}
        folder, names = artifacts.evaluation(name), list(labels)
        truths = [scene(len(names), tuple(manifest["size"]), k) for k in range(images)]
        predictions = [predicted(truth, len(names), shift + k % 3, k) for k, truth in enumerate(truths)]
        counts = [counted(*pair, len(names)) for pair in zip(truths, predictions, strict=True)]
        total = np.sum(counts, axis=0)
        self._write_metrics(name, params["prepared"], scores(total, names), images)
        rows = [{"truth": true, **dict(zip(names, row, strict=True))} for true, row in zip(names, total, strict=True)]
        artifacts.write_rows(folder / "confusion.csv", rows, ["truth", *names])
        self._write_images(folder, names, counts)
        self._write_panels(folder, labels, truths, predictions, [scores(one, names)["miou"] for one in counts])
        cost: dict[str, Any] = {"parameters": 24_000_000 + shift * 3_000_000, "trainable_parameters": 9_000_000}
        cost |= {"checkpoint_bytes": 36_000_000, "latency_ms": 20.5 + 6 * shift, "device": "cpu", "precision": "bf16"}
        artifacts.write_json(folder / "cost.json", cost)

    def add_what_newer_evaluations_hold(self, name: str, shift: int = 2) -> None:
        """Intervals, calibration before and after scaling, boundary scores, and the same in another library."""
        folder = artifacts.evaluation(name)
        metrics = artifacts.read_json(folder / "metrics.json")
        metrics["intervals"] = {"miou": [metrics["miou"] - 0.04, metrics["miou"] + 0.03]}
        metrics |= {"boundary_iou": 0.5, "ece": 0.12, "ece_calibrated": 0.03, "temperature": 1.5, "native_miou": None}
        metrics["repeats"] = {"seeds": [1, 2, 3], "miou": [0.6, 0.7, 0.8], "mean": 0.7, "spread": 0.1}
        for found in metrics["per_class"].values():
            found["boundary_iou"] = 0.5
        artifacts.write_json(folder / "metrics.json", metrics)
        for file, gap in (("calibration", 0.05 * shift), ("calibration_scaled", 0.01)):
            bins = [
                {
                    "lower": k / 10,
                    "upper": (k + 1) / 10,
                    "pixels": 10,
                    "confidence": k / 10 + 0.05,
                    "accuracy": k / 10 + 0.05 - gap,
                }
                for k in range(2, 10)
            ]
            artifacts.write_rows(folder / f"{file}.csv", bins, bins[0])
        other = {"library": "torchmetrics", "metric": "mIoU", "value": 0.5, "why": "absent classes count as 0"}
        artifacts.write_json(folder / "parity.json", [other])

    @staticmethod
    def add_shares(name: str) -> None:
        """What a combined experiment keeps of the weighted average that it fitted."""
        rows = [{"share_of_first": k / 10, "val_miou": 0.6 - (k / 10 - 0.7) ** 2} for k in range(11)]
        artifacts.write_rows(artifacts.checkpoint(name) / "shares.csv", rows, rows[0])

    def _write_metrics(self, name: str, prepared: str, found: dict[str, Any], images: int) -> None:
        facts = {
            "experiment": name,
            "prepared": prepared,
            "fabricated": True,
            "weights_label": "random: mechanics only",
            "split": "test",
            "selected_on": {"checkpoint": "val"},
            "images": images,
            "loss": 0.25,
            "resolution_ceiling": 0.975,
            "colour_alone": 0.31,
            "data": sha256(prepared),
            "checkpoint": sha256(name),
        }
        artifacts.write_json(artifacts.evaluation(name) / "metrics.json", {**facts, **found})

    def _write_images(self, folder: Path, names: list[str], counts: list[np.ndarray]) -> None:
        images = [
            {"image": f"{k:03}", "miou": scores(one, names)["miou"], "pixel_accuracy": np.trace(one) / one.sum()}
            for k, one in enumerate(counts)
        ]
        artifacts.write_rows(folder / "images.csv", images, images[0])
        rows = [
            {
                "image": f"{k:03}",
                "class": name,
                "intersection": one[i, i],
                "union": one[i].sum() + one[:, i].sum() - one[i, i],
                "truth": one[i].sum(),
            }
            for k, one in enumerate(counts)
            for i, name in enumerate(names)
        ]
        artifacts.write_rows(folder / "image_counts.csv", rows, rows[0])

    def _write_panels(
        self,
        folder: Path,
        labels: dict[str, list[int]],
        truths: list[np.ndarray],
        predictions: list[np.ndarray],
        mious: list[float],
    ) -> None:
        (folder / "panels").mkdir()
        order = [int(k) for k in np.argsort(mious)]
        rows = []
        for kind, chosen in (("best", order[::-1][:5]), ("worst", order[:5])):
            for rank, k in enumerate(chosen, 1):
                pictures = {
                    "input": Image.fromarray(self._photo(truths[k], labels, k)),
                    "truth": _palette(truths[k], labels),
                    "prediction": _palette(predictions[k], labels),
                }
                files = {what: f"panels/{kind}-{rank}-{what}.png" for what in pictures}
                for what, picture in pictures.items():
                    picture.save(folder / files[what])
                rows.append({"kind": kind, "rank": rank, "image": f"{k:03}", "miou": mious[k], **files})
        (folder / "panels.json").write_text(json.dumps(rows))

    @staticmethod
    def _photo(mask: np.ndarray, labels: dict[str, list[int]], seed: int) -> np.ndarray:
        """A picture that looks a little like its mask: other colours, light from one side, grain."""
        rng = np.random.default_rng(seed)
        colors = 0.45 * np.array([*labels.values(), [90, 90, 90]]) + 70
        light = np.linspace(0.75, 1.15, mask.shape[1])[None, :, None]
        image = colors[np.minimum(mask, len(labels))] * light + rng.normal(0, 9, (*mask.shape, 1))
        return np.asarray(image.clip(0, 255), np.uint8)


def _palette(mask: np.ndarray, labels: dict[str, list[int]]) -> Image.Image:
    image = Image.frombytes("P", mask.shape[::-1], mask.tobytes())
    image.putpalette([value for color in labels.values() for value in color])
    return image


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """An empty project, in which the test then stands."""
    monkeypatch.chdir(tmp_path)
    return Project(tmp_path)


def fill(project: Project) -> None:
    """Two sets of data; of four experiments three are scored, one of them newly, and one is trained only."""
    project.add_set("drone_two", project.TWO)
    project.add_set("drone_five", project.FIVE)
    project.add_audit("drone_five_source", project.FIVE)
    plan = {"unet_two": ("drone_two", 1), "unet_five": ("drone_five", 2), "segformer_five": ("drone_five", 4)}
    for name, (prepared, shift) in plan.items():
        project.add_experiment(name, prepared, model=name.partition("_")[0])
        project.train(name, shift)
        project.evaluate(name, shift)
    project.add_what_newer_evaluations_hold("unet_five")
    project.add_experiment("uformer_five", "drone_five", model="uformer")
    project.train("uformer_five")
    project.add_shares("uformer_five")


@pytest.fixture
def small_project(project: Project) -> Project:
    """Filled as `fill` says."""
    fill(project)
    return project
