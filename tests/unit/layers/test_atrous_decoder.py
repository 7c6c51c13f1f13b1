"""The atrous decoder: what a block sees, what a gate lets through, and how stages fit encoders."""

from __future__ import annotations

import torch

from segpipe.layers.atrous_decoder import AtrousBlock, AtrousDecoder, AttentionGate, DecoderStage


def test_a_block_sees_its_centre_and_eight_places_at_each_rate() -> None:
    """Kernel 1 sees the centre only; 3x3 at rate r sees the rows and columns −r, 0 and r."""
    torch.manual_seed(0)
    block = AtrousBlock(1, 4, rates=(1, 2, 5), kernels=(1, 3, 3)).eval()
    for parameter in block.parameters():
        parameter.data.abs_()  # so that no ReLU hides a branch
    features = torch.ones(1, 1, 15, 15, requires_grad=True)
    block(features)[0, 0, 7, 7].backward()
    assert features.grad is not None
    seen = {(int(row) - 7, int(column) - 7) for row, column in features.grad[0, 0].nonzero()}
    assert seen == {(y, x) for r in (2, 5) for y in (-r, 0, r) for x in (-r, 0, r)}


def test_the_branches_of_a_block_share_its_channels() -> None:
    block = AtrousBlock(6, 16, rates=(1, 6, 12, 18), kernels=(1, 3, 3, 3))
    weights = [parameter.shape for parameter in block.branches.parameters() if parameter.ndim == 4]
    assert weights == [(4, 6, 1, 1)] + 3 * [(4, 6, 3, 3)]
    assert block(torch.zeros(2, 6, 4, 5)).shape == (2, 16, 4, 5)


def test_a_gate_weighs_all_channels_of_a_place_alike_between_0_and_1() -> None:
    torch.manual_seed(0)
    below, skip = torch.randn(2, 6, 4, 5), torch.randn(2, 8, 4, 5)
    share = AttentionGate(6, 8)(below, skip) / skip
    assert 0 < share.min() < share.max() < 1
    torch.testing.assert_close(share, share[:, :1].expand_as(share))


def test_a_closed_gate_hides_the_skip_and_an_open_one_lets_it_pass() -> None:
    gate, below, skip = AttentionGate(6, 8), torch.randn(1, 6, 4, 5), torch.randn(1, 8, 4, 5)
    torch.nn.init.zeros_(gate.weight.weight)
    assert gate.weight.bias is not None
    for bias, expected in ((-200.0, torch.zeros_like(skip)), (200.0, skip), (0.0, skip / 2)):
        torch.nn.init.constant_(gate.weight.bias, bias)
        torch.testing.assert_close(gate(below, skip), expected)


def test_a_stage_joins_what_comes_from_below_with_its_skip() -> None:
    stage = DecoderStage(4, 6, 8, rates=(1, 2), kernels=(1, 3), has_gate=True)
    below, skip = torch.randn(2, 4, 3, 5, requires_grad=True), torch.randn(2, 6, 6, 10, requires_grad=True)
    fused = stage(below, skip)
    assert fused.shape == (2, 8, 6, 10)
    gradients = torch.autograd.grad(fused.square().sum(), (below, skip))
    assert all(gradient.any() for gradient in gradients)


def test_a_skip_without_channels_has_no_gate() -> None:
    """As smp's MiT encoders give it at stride 2."""
    decoder = AtrousDecoder((0, 6, 8), channels=(8, 4), rates=(1, 2), kernels=(1, 3), has_gates=True)
    features = [torch.randn(2, 0, 16, 24), torch.randn(2, 6, 8, 12), torch.randn(2, 8, 4, 6)]
    assert [stage.gate is None for stage in decoder.stages] == [False, True]
    assert decoder(features).shape == (2, 4, 16, 24)
