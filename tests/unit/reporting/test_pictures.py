"""The embedded pictures: colours, holes, sizes, and the budget that all share."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segpipe.reporting import pictures

RED, BLUE = [200, 0, 0], [0, 0, 200]


def decoded(uri: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))


def panel_source(folder: Path, ids: np.ndarray, image: np.ndarray | None = None) -> pictures.PanelSource:
    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((*ids.shape, 3), np.uint8) if image is None else image).save(folder / "input.png")
    Image.fromarray(ids).save(folder / "truth.png")
    Image.fromarray(ids).save(folder / "prediction.png")
    files = {what: f"{what}.png" for what in ("input", "truth", "prediction")}
    return pictures.PanelSource({"kind": "best", "rank": 1, "image": "a", "miou": 0.5, **files}, folder, [RED, BLUE])


def test_classes_have_their_label_colours_and_ignored_pixels_are_see_through(tmp_path: Path) -> None:
    panel = panel_source(tmp_path, np.array([[0, 1, 255]], np.uint8)).drawn(480)
    colors = np.asarray(decoded(panel.truth).convert("RGBA"))[0]
    assert colors[0].tolist() == [*RED, 255]
    assert colors[1].tolist() == [*BLUE, 255]
    assert colors[2][3] == 0


def test_errors_are_marked_where_the_truth_counts_and_the_prediction_differs(tmp_path: Path) -> None:
    source = panel_source(tmp_path, np.array([[0, 1, 255]], np.uint8))
    Image.fromarray(np.array([[0, 0, 1]], np.uint8)).save(tmp_path / "prediction.png")
    colors = np.asarray(decoded(source.drawn(480).errors).convert("RGBA"))[0]
    assert colors[:, 3].tolist() == [0, 255, 0]  # right, wrong, ignored
    assert tuple(colors[1, :3]) == pictures.WRONG


def test_wide_pictures_are_shrunk_and_masks_keep_pure_classes(tmp_path: Path) -> None:
    ids = np.tile(np.array([0, 1], np.uint8), (600, 500))
    panel = panel_source(tmp_path, ids).drawn(480)
    assert panel.size == (288, 480)
    assert decoded(panel.input).size == decoded(panel.truth).size == (480, 288)
    assert {tuple(color) for color in np.asarray(decoded(panel.truth).convert("RGB")).reshape(-1, 3)} <= {
        tuple(RED),
        tuple(BLUE),
    }


def test_small_pictures_are_not_grown(tmp_path: Path) -> None:
    assert panel_source(tmp_path, np.zeros((30, 40), np.uint8)).drawn(480).size == (30, 40)


@pytest.mark.slow
def test_many_noisy_panels_are_made_smaller_until_they_fit_together(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    ids, noise = rng.integers(0, 2, (480, 480), np.uint8), rng.integers(0, 256, (480, 480, 3), np.uint8)
    source = panel_source(tmp_path, ids, noise)
    panels = pictures.panels([source] * 60)
    assert len(panels) == 60
    assert sum(panel.bytes for panel in panels) <= pictures.BUDGET
    assert panels[0].size[1] < 480


def test_a_missing_picture_is_named_with_the_stage_that_makes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    source = panel_source(Path("data/evaluations/unet"), np.zeros((4, 4), np.uint8))
    Path("data/evaluations/unet/truth.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"unet/truth.png is missing.*dvc repro -f evaluate@unet"):
        source.drawn(480)
