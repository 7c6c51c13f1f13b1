"""What evaluate counts beside the confusion, recounted from the model's own predictions, and how it is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from segpipe import artifacts, params
from segpipe.checkpoints import build_model, load_model, origin_of, save_model
from segpipe.confusion import confusion_matrix
from segpipe.devices import machine
from segpipe.evaluation.scoring import evaluate, image_confusions
from segpipe.features import Feed
from segpipe.inference.predict import predict
from segpipe.layers.segmentation_model import SegmentationModel
from segpipe.loading import Samples
from segpipe.metrics import overlap
from segpipe.metrics.bootstrap import miou
from segpipe.metrics.boundary import boundary_counts
from segpipe.metrics.sizes import iou_by_size, size_counts
from segpipe.params.schema import Evaluation
from tests.unit.training import tiny_project
from tests.unit.training.tiny_project import NAME

CLASSES = ["obstacles", "landing-zones"]
FILES = ["metrics.json", "confusion.csv", "image_counts.csv", "images.csv", "calibration.csv", "calibration_scaled.csv"]
FILES += ["parity.json", "panels.json"]


def written(name: str) -> Path:
    return artifacts.evaluation(NAME) / name


def metrics() -> dict[str, Any]:
    content: dict[str, Any] = artifacts.read_json(written("metrics.json"))
    return content


def model() -> SegmentationModel:
    settings = params.experiment(NAME)
    built = build_model(settings.model, len(CLASSES), origin_of(NAME, settings), settings.seed)
    return load_model(built, artifacts.checkpoint(NAME) / "model.safetensors").on(torch.device("cpu"))


def samples(split: str = "test") -> Samples:
    return Samples([artifacts.prepared(params.experiment(NAME).prepared)], split)


@torch.inference_mode()
def logits_of_all(split: str = "test") -> list[tuple[np.ndarray, np.ndarray]]:
    """Truth [H, W] and logits [C, H, W] of each image, all in one batch."""
    of_split = samples(split)
    images, masks = (np.stack(parts) for parts in zip(*(of_split[i] for i in range(len(of_split))), strict=True))
    logits = model()(torch.from_numpy(images).permute(0, 3, 1, 2)).numpy()
    return list(zip(masks, logits, strict=True))


def test_boundary_and_size_scores_are_those_of_the_models_own_predictions(evaluated: Path) -> None:
    pairs = [(truth, logits.argmax(0).astype(np.uint8)) for truth, logits in logits_of_all()]
    boundary = sum(boundary_counts(*pair, 2, 0.02) for pair in pairs)
    sizes, confusion = (sum(f(*pair, 2) for pair in pairs) for f in (size_counts, confusion_matrix))
    found, by_size = metrics(), iou_by_size(np.asarray(sizes), np.asarray(confusion))
    assert found["boundary_iou"] == pytest.approx(float(miou(*np.asarray(boundary))))
    for place, size in enumerate(("small", "medium", "large")):
        known = by_size[place][~np.isnan(by_size[place])]
        assert found[f"miou_{size}"] == (pytest.approx(known.mean()) if len(known) else None)
        for class_id, name in enumerate(CLASSES):
            value = found["per_class"][name][f"iou_{size}"]
            assert value == (None if np.isnan(by_size[place, class_id]) else pytest.approx(by_size[place, class_id]))
    assert found["miou_large"] is not None


def plain_error(temperature: float) -> float:
    """ECE in float64, over all pixels at once."""
    confident, right = [], []
    for truth, logits in logits_of_all():
        scaled = np.exp((logits - logits.max(0)).astype(float) / temperature)
        likely = scaled / scaled.sum(0)
        confident.append(likely.max(0)[truth != 255])
        right.append((logits.argmax(0) == truth)[truth != 255])
    confidence, is_right = np.concatenate(confident), np.concatenate(right)
    bins = np.minimum((confidence * 15).astype(int), 14)
    apart = (abs((confidence[bins == b] - is_right[bins == b]).sum()) for b in range(15))
    return float(sum(apart)) / len(confidence)


def test_the_calibration_errors_are_those_of_a_plain_recount_before_and_after_the_temperature(evaluated: Path) -> None:
    found = metrics()
    # A pixel whose confidence lies on the border of two bins to the last digit may be counted in either.
    assert found["ece"] == pytest.approx(plain_error(1.0), abs=1e-4)
    assert found["ece_calibrated"] == pytest.approx(plain_error(found["temperature"]), abs=1e-4)
    for file, error in (("calibration.csv", found["ece"]), ("calibration_scaled.csv", found["ece_calibrated"])):
        rows = [row for row in artifacts.read_rows(written(file)) if int(row["pixels"])]
        pixels = [int(row["pixels"]) for row in rows]
        assert sum(pixels) == 4 * 30 * 32  # two of 32 rows are ignored
        apart = [
            n * abs(float(row["confidence"]) - float(row["accuracy"])) for n, row in zip(pixels, rows, strict=True)
        ]
        assert sum(apart) / sum(pixels) == pytest.approx(error)


def test_the_temperature_makes_the_validation_images_likelier(evaluated: Path) -> None:

    def cost(temperature: float) -> float:
        total, pixels = 0.0, 0
        for truth, logits in logits_of_all("val"):
            scaled = logits.astype(float) / temperature
            log_likely = scaled - np.log(np.exp(scaled).sum(0))
            for class_id in (0, 1):
                total -= log_likely[class_id][truth == class_id].sum()
                pixels += (truth == class_id).sum()
        return total / pixels

    found = metrics()["temperature"]
    assert found != 1.0
    assert cost(found) < min(cost(1.0), cost(found * 1.2), cost(found / 1.2))


def test_the_intervals_hold_the_scores(evaluated: Path) -> None:
    found = metrics()
    for metric in ("miou", "pixel_accuracy"):
        low, high = found["intervals"][metric]
        assert low < found[metric] < high


def test_the_parity_table_begins_with_our_own_number_and_says_why_others_differ(evaluated: Path) -> None:
    rows = artifacts.read_json(written("parity.json"))
    assert rows[0]["library"] == "segpipe"
    assert rows[0]["value"] == metrics()["miou"]
    assert {"torchmetrics", "smp", "torchvision", "Hugging Face"} < {row["library"] for row in rows}


def test_what_was_not_asked_for_is_null(evaluated: Path) -> None:
    found = metrics()
    assert [found[f"native_{m}"] for m in ("miou", "pixel_accuracy", "boundary_iou")] == [None] * 3
    assert found["repeats"] is None
    assert found["evaluation"] == Evaluation().model_dump(mode="json")
    assert {row["native_miou"] for row in artifacts.read_rows(written("images.csv"))} == {""}


def doubled(of_split: Samples, index: int) -> tuple[np.ndarray, np.ndarray]:
    """Image and mask at twice their size; raw masks of this dataset have nothing to ignore: it is class 0 there."""
    image, mask = (np.asarray(each).repeat(2, 0).repeat(2, 1) for each in of_split[index])
    return image, np.where(mask == 255, 0, mask)


def raw_pairs(size: tuple[int, int]) -> None:
    """The test images, twice as large, as the raw files that an audit has proven."""
    prepared = params.prepared(params.experiment(NAME).prepared)
    raw, of_split, rows = artifacts.raw(prepared.dataset), samples(), []
    raw.mkdir(parents=True)
    for index, name in enumerate(of_split.names):
        image, mask = doubled(of_split, index)
        raw_ids = np.array([label["raw_ids"][0] for label in prepared.labels["classes"]], np.uint8)
        for part, pixels in (("image", image), ("mask", raw_ids[mask])):
            Image.fromarray(pixels).save(raw / f"{name}-{part}.png")
        where = {"view": prepared.view, "split": "test", "group": "0", "name": name}
        files = {part: f"{name}-{part}.png" for part in ("image", "mask")}
        rows.append({**where, **files, "height": size[0], "width": size[1]})
    artifacts.audit(prepared.dataset).mkdir(parents=True)
    artifacts.write_rows(artifacts.audit(prepared.dataset) / "pairs.csv", rows, rows[0])


@pytest.mark.slow
@pytest.mark.parametrize("window", [None, [32, 32]])
def test_native_scores_are_those_of_predictions_at_the_images_own_size(trained: Path, window: list[int] | None) -> None:
    raw_pairs((64, 64))
    tiny_project.write_params(evaluation={"native": True, "window": window})
    evaluate(NAME)
    total, of_split, how = np.zeros((2, 2), np.int64), samples(), params.evaluation(NAME)
    mious = []
    for index in range(4):
        image, truth = doubled(of_split, index)
        # Without a window the image comes down to its training size, exactly, and its logits go up again.
        predicted = predict(model(), image, (32, 32), "area", how)
        confusion = confusion_matrix(truth, predicted, 2)
        mious.append(overlap.overall(confusion)["miou"])
        total += confusion
    found = metrics()
    assert found["native_miou"] == pytest.approx(overlap.overall(total)["miou"], abs=1e-3)
    assert found["native_pixel_accuracy"] == pytest.approx(overlap.overall(total)["pixel_accuracy"], abs=1e-3)
    assert 0 < found["native_boundary_iou"] < 1
    rows = artifacts.read_rows(written("images.csv"))
    assert [float(row["native_miou"]) for row in rows] == pytest.approx(mious, abs=2e-3)


@pytest.mark.slow
def test_flips_and_scales_change_the_score_and_stand_in_the_metrics(evaluated: Path) -> None:
    plain = metrics()
    tiny_project.write_params(evaluation={"flips": True, "scales": [1.0, 2.0]})
    evaluate(NAME)
    assert metrics()["evaluation"]["scales"] == [1.0, 2.0]
    assert metrics()["miou"] != plain["miou"]


@pytest.mark.slow
def test_repeats_are_scored_each_and_reported_as_mean_and_spread(trained: Path) -> None:
    first = artifacts.checkpoint(NAME)
    seed = params.experiment(NAME).seed
    for number in (1, 2):
        folder = first / "repeats" / str(seed + number)
        folder.mkdir(parents=True)
        state = {
            key: value + number * 0.01 for key, value in model().trained_state().items() if value.is_floating_point()
        }
        rest = {key: value for key, value in model().trained_state().items() if not value.is_floating_point()}
        save_model({**state, **rest}, folder / "model.safetensors", NAME)
    evaluate(NAME)
    found = metrics()["repeats"]
    assert found["seeds"] == [seed, seed + 1, seed + 2]
    assert found["miou"][0] == metrics()["miou"]
    assert len(set(found["miou"])) > 1
    assert found["mean"] == pytest.approx(np.mean(found["miou"]))
    assert found["spread"] == pytest.approx(np.std(found["miou"], ddof=1))


def test_confusions_come_image_by_image_and_add_up_to_the_split(evaluated: Path) -> None:
    here = machine(params.hardware())
    found = list(image_confusions(model(), Feed(model(), samples()), 4, here, 2, Evaluation()))
    assert [name for name, _ in found] == samples().names
    total = sum(confusion for _, confusion in found)
    assert overlap.overall(np.asarray(total))["miou"] == metrics()["miou"]


@pytest.mark.slow
def test_two_processes_write_what_one_writes(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny_project.write_params(batch=2)
    evaluate(NAME)
    alone = {name: written(name).read_bytes() for name in FILES}
    tiny_project.write_params(batch=4)  # of which each of two processes has two
    monkeypatch.setenv("SEGPIPE_DEVICES", "2")
    monkeypatch.setenv("PYTHONPATH", str(tiny_project.ROOT))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    evaluate(NAME)
    assert {name: written(name).read_bytes() for name in FILES} == alone
