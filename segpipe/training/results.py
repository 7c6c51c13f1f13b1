"""What a training comes to: its files, and the lines that say so."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

from torch import Tensor

from segpipe import artifacts
from segpipe.checkpoints import MODEL_FILE, save_model
from segpipe.params.schema import Trained
from segpipe.terminal import duration

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Result:
    """The exported weights, a row for each epoch, and where it all came from."""

    experiment: str
    weights: dict[str, Tensor]
    history: Rows
    timing: Rows
    facts: dict[str, Any]

    def write(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        save_model(self.weights, folder / MODEL_FILE, self.experiment)
        artifacts.write_rows(folder / "history.csv", self.history, self.history[0])
        artifacts.write_rows(folder / "timing.csv", self.timing, self.timing[0])
        artifacts.write_json(folder / "run.json", self.facts)


def highest(settings: Trained, history: Rows) -> int:
    """The first epoch that was best by the score that the experiment looks at."""
    sign = -1 if settings.best_by == "loss" else 1
    best: int = max(history, key=lambda row: sign * row[f"val_{settings.best_by}"])["epoch"]
    return best


def epoch_line(name: str, settings: Trained, history: Rows, timing: Rows) -> str:
    row, last = history[-1], timing[-1]
    left = mean(entry["seconds"] for entry in timing) * (settings.epochs - len(history))
    return (
        f"{name} {len(history)}/{settings.epochs}: loss {row['train_loss']:.3f}, "
        f"val loss {row['val_loss']:.3f}, val mIoU {row['val_miou']:.3f}, "
        f"{last['images_per_second']:.0f} images/s, {duration(left)} left"
    )


def summary(name: str, settings: Trained, history: Rows, timing: Rows) -> str:
    best = highest(settings, history)
    score, took = history[best - 1][f"val_{settings.best_by}"], sum(entry["seconds"] for entry in timing)
    ended = f"stopped after {len(history)}" if len(history) < settings.epochs else f"{len(history)}"
    return (
        f"{name}: {ended} epochs in {duration(took)}, the best one {best} (val {settings.best_by} {score:.3f}), "
        f"{mean(entry['images_per_second'] for entry in timing):.0f} images/s"
    )
