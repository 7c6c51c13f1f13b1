"""The bench of the models: nothing is left out, and what it counts is what it says."""

from __future__ import annotations

import pytest
import torch

from bench.model_step import Case, Step, kept
from bench.models import CASES, has_bf16_units, selected
from segpipe import components
from segpipe.devices import Machine

CPU = Machine(torch.device("cpu"), "fp32")


def case(is_frozen: bool) -> Case:
    return Case("unet", "resnet18", {"frozen": is_frozen}, (64, 64), classes=2, has_cached_features=False)


def test_every_model_of_the_folder_is_measured() -> None:
    alone = {name for name in components.names("models") if components.find("models", name).LIBRARY != "members"}
    assert {published.model for published in selected([]).values()} == alone


def test_a_model_that_is_not_there_cannot_be_measured() -> None:
    with pytest.raises(ValueError) as refusal:
        selected(["unet", "unnet"])
    assert str(refusal.value).startswith("no model unnet to measure. There is: atrous_unet, dense_aspp,")


def test_sizes_are_multiples_of_a_transformers_patch() -> None:
    """256 = 18.3 patches of 14, 512 = 36.6, 1024 = 73.1."""
    assert CASES["dino_unet's decoder"].case(256, 256)["size"] == [18 * 14, 18 * 14]
    assert CASES["dino_unet's decoder"].case(512, 1024)["size"] == [37 * 14, 73 * 14]


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("fpu avx2 avx512f avx512bw avx512_vnni", False),
        ("fpu avx2 avx512f avx512_bf16", True),
        ("fpu avx2 amx_bf16 amx_tile", True),
        ("fp asimd sve i8mm bf16", True),
    ],
)
def test_bf16_units_are_read_off_the_flags_of_the_processor(flags: str, expected: bool) -> None:
    assert has_bf16_units(f"processor\t: 0\nmodel name\t: Some CPU\nflags\t\t: {flags}\nbogomips\t: 1\n") is expected


def test_what_is_kept_of_a_backbone_is_nothing_where_it_is_frozen() -> None:
    frozen, trained = (kept(Step(case(is_frozen), CPU, "channels_last")) for is_frozen in (True, False))
    assert frozen["backbone"] == 0
    # Of 2 images of 64x64 the first convolution alone makes 2 · 64 · 32 · 32 floats of 4 bytes: half a MiB.
    assert trained["backbone"] > 0.5
    assert 0 < frozen["head"] == pytest.approx(trained["head"], rel=0.2)


def test_channels_last_moves_no_number_further_than_rounding() -> None:
    plain, last = (Step(case(True), CPU, layout) for layout in ("plain", "channels_last"))
    assert plain.images.is_contiguous()
    assert last.images.is_contiguous(memory_format=torch.channels_last)
    (expected, expected_loss), (found, found_loss) = plain.evaluated(), last.evaluated()
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    assert found_loss == pytest.approx(expected_loss, rel=1e-4)
