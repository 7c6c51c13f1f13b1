"""A combined model that trains nothing: only its first member's share is fitted, on the validation images (S3)."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import torch

from segpipe import artifacts, tracking
from segpipe.confusion import confusion_matrix
from segpipe.layers.weighted_average import WeightedAverage
from segpipe.loading import in_order
from segpipe.metrics import overlap
from segpipe.training.loop import Training

SHARES = tuple(step / 20 for step in range(21))
SHARES_FILE = "shares.csv"


class Averaging(Training):
    """Stands in the history as epoch 0: scores, and no step."""

    curve: list[dict[str, float]]

    def run(self) -> None:
        run = tracking.begin(self.record, None)
        began = time.perf_counter()
        self.curve = self._share_curve()
        self.average.give_first(max(self.curve, key=lambda row: row["val_miou"])["share_of_first"])
        splits = {"train": self.train_samples, "val": self.val_samples}
        rows = [self._pass_without_steps(split, samples, 0) for split, samples in splits.items()]
        seconds = time.perf_counter() - began
        self.history = [{"epoch": 0, "lr": 0.0, **rows[0], **rows[1]}]
        speed = len(self.train_samples) / seconds
        self.timing = [{"epoch": 0, "seconds": seconds, "images_per_second": speed, "waiting_share": 0.0}]
        self.best = self.model.trained_state()
        run.log_history(self.history, self.timing)
        self._export(run)
        run.end()

    @property
    def average(self) -> WeightedAverage:
        assert isinstance(self.model, WeightedAverage)
        return self.model

    @torch.inference_mode()
    def _share_curve(self) -> list[dict[str, float]]:
        """The validation mIoU at each share; both members look at each image once."""
        num_classes = len(self.classes)
        confusions = {share: np.zeros((num_classes, num_classes), np.int64) for share in SHARES}
        model = self.average.eval()
        for batch in in_order(self.val_samples, self.settings.batch):
            images = batch.to(self.machine.device).images
            with self.machine.autocast():
                first, second = (
                    member(images).softmax(1, dtype=torch.float32) for member in (model.first, model.second)
                )
            for share, confusion in confusions.items():
                predicted = torch.lerp(second, first, share).argmax(1).to(torch.uint8).cpu().numpy()
                confusion += confusion_matrix(batch.masks.numpy(), predicted, num_classes, ", ".join(batch.names))
        scores = {share: overlap.overall(confusion)["miou"] for share, confusion in confusions.items()}
        return [{"share_of_first": share, "val_miou": score} for share, score in scores.items()]

    @property
    def selected_on(self) -> dict[str, str]:
        return {"share of the first member": "val"}

    @property
    def best_epoch(self) -> int:
        return 0

    def _export_more(self, folder: Path) -> None:
        super()._export_more(folder)
        artifacts.write_rows(folder / SHARES_FILE, self.curve, self.curve[0])
