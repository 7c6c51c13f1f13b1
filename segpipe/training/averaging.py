"""A combined model that trains nothing: only its first member's share is fitted, on the validation images (S3)."""

from __future__ import annotations

import shutil
import time

import numpy as np
import torch

from segpipe import artifacts, tracking
from segpipe.checkpoints import MEMBERS_FILE
from segpipe.confusion import confusion_matrix
from segpipe.layers.weighted_average import WeightedAverage
from segpipe.loading import Samples, in_order
from segpipe.metrics import overlap
from segpipe.params import Combined, Experiment
from segpipe.training.loop import Training

SHARES = tuple(step / 20 for step in range(21))
SHARES_FILE = "shares.csv"


def fit(name: str, settings: Experiment | Combined) -> None:
    """data/checkpoints/<name>; one process is enough."""
    averaging = Averaging(name, settings)
    with averaging.resume.held():
        averaging.fit_and_write()


class Averaging(Training):
    """Stands in the history as epoch 0: scores, and no step."""

    def fit_and_write(self) -> None:
        run = tracking.begin(self.record, None)
        began = time.perf_counter()
        curve = self._share_curve()
        self.average.give_first(max(curve, key=lambda row: row["val_miou"])["share_of_first"])
        rows = [self._pass_without_steps(split, feed, 0) for split, feed in self.feeds.items()]
        seconds = time.perf_counter() - began
        self.history = [{"epoch": 0, "lr": 0.0, **rows[0], **rows[1]}]
        speed = len(self.feeds["train"]) / seconds
        self.timing = [{"epoch": 0, "seconds": seconds, "images_per_second": speed, "waiting_share": 0.0}]
        self.best = self.model.trained_state()
        run.log_history(self.history, self.timing)
        with artifacts.replacing_folder(artifacts.checkpoint(self.name)) as partial:
            self._result(run).write(partial)
            shutil.copyfile(self.origin, partial / MEMBERS_FILE)
            artifacts.write_rows(partial / SHARES_FILE, curve, curve[0])
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
        samples = Samples([artifacts.prepared(self.settings.prepared)], "val")
        for batch in in_order(samples, self.settings.batch):
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
