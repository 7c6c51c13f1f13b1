"""Cells made into pixels, and the truth that belongs to them: against plain numpy, and numbers counted by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from segpipe.layers.readouts import Readout, enlarged, read_out, truth_of


def blend(cells: int, pixels: int) -> np.ndarray:
    """The weight of each cell for each pixel: bilinear between the centres of cells, flat beyond the outer ones."""
    weights = np.zeros((pixels, cells))
    for pixel in range(pixels):
        place = min(max((pixel + 0.5) * cells / pixels - 0.5, 0), cells - 1)
        low = min(int(place), max(cells - 2, 0))
        weights[pixel, low] += low + 1 - place
        weights[pixel, min(low + 1, cells - 1)] += place - low
    return weights


@pytest.mark.parametrize(
    ("grid", "size"),
    [((3, 5), (42, 70)), ((37, 37), (518, 518)), ((2, 3), (9, 7)), ((1, 4), (14, 56)), ((5, 5), (5, 5))],
)
def test_cells_are_enlarged_as_numpy_does_it_in_double_precision(grid: tuple[int, int], size: tuple[int, int]) -> None:
    cells = np.random.default_rng(0).normal(size=(2, 3, *grid))
    expected = blend(grid[0], size[0]) @ cells @ blend(grid[1], size[1]).T
    found = enlarged(torch.from_numpy(cells), size)
    assert found.shape == (2, 3, *size)
    np.testing.assert_allclose(found.numpy(), expected, atol=2e-6)


def test_a_row_of_two_cells_becomes_four_pixels_by_hand() -> None:
    # Centres of pixels lie at 1/4, 3/4, 5/4, 7/4 of a cell, those of cells at 1/2 and 3/2: shares 0, 1/4, 3/4, 1.
    found = enlarged(torch.tensor([[[[0.0, 8.0]]]]), (1, 4))
    assert found.flatten().tolist() == [0.0, 2.0, 6.0, 8.0]


def test_the_gradient_of_the_enlarged_is_that_of_interpolation() -> None:
    cells = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(0)).requires_grad_()
    weights = torch.randn(2, 3, 56, 70, generator=torch.Generator().manual_seed(1))
    gradients = [
        torch.autograd.grad((way * weights).sum(), cells)[0]
        for way in (enlarged(cells, (56, 70)), functional.interpolate(cells, (56, 70), mode="bilinear"))
    ]
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-4)


def test_the_enlarged_are_exact_under_mixed_precision_too() -> None:
    """In bf16, weights of 1/28 steps would be off by a 256th: borders would wander."""
    cells = torch.tensor([[[[0.0, 1.0, 0.0]]]])
    with torch.autocast("cpu", torch.bfloat16):
        mixed = enlarged(cells.bfloat16(), (14, 42))
    assert mixed.dtype == torch.float32
    assert torch.equal(mixed, enlarged(cells, (14, 42)))


def test_the_enlarged_lie_in_memory_as_the_losses_read_them() -> None:
    assert enlarged(torch.zeros(2, 3, 4, 5), (56, 70)).is_contiguous(memory_format=torch.channels_last)


# Windows, at the published size: 592 cells for 518 pixels


def ramp(length: int, axis: int) -> Tensor:
    """What says of each row, or column, which it is: [1, length, length]."""
    line = torch.arange(length)
    return (line.unsqueeze(1) if axis == 1 else line).expand(1, length, length)


@pytest.mark.parametrize("axis", [1, 2])
def test_the_published_crop_of_592_cells_shows_the_centre_448_of_518_pixels(axis: int) -> None:
    cells = read_out(ramp(592, axis).unsqueeze(1), (518, 518), "crop")[:, 0]
    pixels = truth_of(ramp(518, axis), (592, 592), "crop")
    assert cells.shape == pixels.shape == (1, 512, 512)
    cells, pixels = cells.movedim(axis, 0)[:, 0, 0], pixels.movedim(axis, 0)[:, 0, 0]
    assert cells.tolist() == list(range(40, 552))
    # Eight cells for seven pixels, from pixel 35 on: the centre of cell i lies at 35 + (i + 1/2) * 7/8.
    assert pixels.tolist() == [35 + int((i + 0.5) * 7 / 8) for i in range(512)]
    assert pixels[[0, -1]].tolist() == [35, 482]


def test_the_unaligned_crop_compares_with_the_centre_512_of_518_pixels() -> None:
    masks = ramp(518, 1)
    assert truth_of(masks, (592, 592), "crop_unaligned")[0, :, 0].tolist() == list(range(3, 515))
    cells = ramp(592, 1).unsqueeze(1)
    assert torch.equal(read_out(cells, (518, 518), "crop_unaligned"), read_out(cells, (518, 518), "crop"))


def test_the_unaligned_crop_is_off_by_up_to_34_pixels() -> None:
    """The first cell of the window shows pixel 35 and is compared with pixel 3; the last, 482 with 514."""
    shown, compared = (truth_of(ramp(518, 1), (592, 592), how)[0, :, 0] for how in WINDOWS)
    assert (shown - compared)[[0, 255, -1]].tolist() == [32, 0, -32]


WINDOWS: tuple[Readout, Readout] = ("crop", "crop_unaligned")


@pytest.mark.parametrize("how", WINDOWS)
@pytest.mark.parametrize("tokens", [1, 2, 5, 8, 9, 37, 74, 101])
def test_windows_keep_their_proportions_and_their_middle_at_any_size(tokens: int, how: Readout) -> None:
    size, grid = (14 * tokens, 28), (16 * tokens, 32)
    cells = torch.arange(grid[0]).view(1, 1, -1, 1).expand(1, 1, *grid)
    masks = torch.arange(size[0]).view(1, -1, 1).expand(1, *size)
    shown, truth = read_out(cells, size, how)[0, 0, :, 0], truth_of(masks, grid, how)[0, :, 0]
    assert len(shown) == len(truth)
    assert len(truth) == pytest.approx(size[0] * 512 / 518, abs=1.01)
    assert shown[0] == grid[0] - 1 - shown[-1]
    assert truth[0] == size[0] - 1 - truth[-1]


def test_a_window_of_flipped_images_is_the_window_flipped() -> None:
    masks = torch.randint(0, 5, (2, 518, 126), generator=torch.Generator().manual_seed(0)).byte()
    for how in WINDOWS:
        window = truth_of(masks, (592, 144), how)
        assert torch.equal(truth_of(masks.flip(1, 2), (592, 144), how), window.flip(1, 2))
        assert window.dtype == torch.uint8


def test_resized_cells_are_compared_with_the_whole_mask() -> None:
    masks = ramp(28, 1)
    assert truth_of(masks, (32, 32), "resize") is masks
    cells = torch.arange(32.0).view(1, 1, -1, 1).expand(1, 1, 32, 32)
    rows = read_out(cells, (28, 28), "resize")[0, 0, :, 0]
    np.testing.assert_allclose(rows.numpy(), [(i + 0.5) * 8 / 7 - 0.5 for i in range(28)], atol=1e-5)
