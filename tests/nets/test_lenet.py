"""LeNet-5 against the numbers printed in its paper."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np
import torch

from simplecell.nets.lenet import LeNet5, Subsampling, squash
from tests.nets.contract import NetContract


class TestLeNet5(NetContract):
    name: ClassVar[str] = "lenet5"


def test_the_layers_have_the_papers_numbers_of_parameters() -> None:
    net = LeNet5(1, 10, 28, 28)
    counts = {name: sum(p.numel() for p in layer.parameters()) for name, layer in net.named_children()}
    masked = int((net.connections == 0).sum()) * 25
    counts["c3"] -= masked
    assert counts == {"c1": 156, "s2": 12, "c3": 1516, "s4": 32, "c5": 48120, "f6": 10164, "output": 850}
    assert sum(counts.values()) - counts["output"] == 60000


def test_table_i_has_the_pattern_that_the_paper_describes() -> None:
    table = LeNet5(1, 10, 28, 28).connections[:, :, 0, 0]  # 16, 6
    assert table.sum(1).tolist() == [3] * 6 + [4] * 9 + [6]
    assert len({tuple(row) for row in table.tolist()}) == 16
    assert table.sum(0).tolist() == [10] * 6  # each map of S2 is read equally often

    def runs(row: torch.Tensor) -> int:  # of ones, on a ring
        return int(((row == 1) & (row.roll(1) == 0)).sum())

    assert [runs(row) for row in table] == [1] * 12 + [2] * 3 + [0]  # in a row, in pairs, all


def test_a_map_of_c3_ignores_the_maps_that_table_i_leaves_out() -> None:
    net = LeNet5(1, 10, 28, 28)
    captured: list[torch.Tensor] = []
    net.s4.register_forward_pre_hook(lambda _, given: captured.append(given[0]))
    net.s2.register_forward_hook(lambda _, __, maps: maps * torch.eye(6)[0][None, :, None, None])
    with torch.no_grad():
        net.c3.bias.zero_() if net.c3.bias is not None else None
        net(torch.randn(1, 1, 28, 28))
    seen = captured[0].abs().amax(dim=(0, 2, 3)) > 0  # with only map 0 of S2 alight
    assert seen.tolist() == [bool(row[0]) for row in net.connections[:, :, 0, 0]]


def test_without_the_table_every_map_is_connected() -> None:
    assert LeNet5(1, 10, 28, 28, table=False).connections.all()


def test_squash_passes_through_one_and_minus_one() -> None:
    points = squash(torch.tensor([-1.0, 0.0, 1.0, 50.0], dtype=torch.float64))
    np.testing.assert_allclose(points, [-1, 0, 1, 1.7159], atol=1e-5)
    assert math.isclose(float(squash(torch.tensor(0.3))), 1.7159 * math.tanh(0.2), rel_tol=1e-6)


def test_subsampling_sums_squares_then_scales_and_shifts() -> None:
    layer = Subsampling(2)
    with torch.no_grad():
        layer.coefficient.copy_(torch.tensor([2.0, 3.0])[:, None, None])
        layer.bias.copy_(torch.tensor([0.5, -1.0])[:, None, None])
        out = layer(torch.arange(16.0).reshape(1, 1, 4, 4).expand(1, 2, 4, 4))
    sums = torch.tensor([[10.0, 18.0], [42.0, 50.0]])
    torch.testing.assert_close(out[0], torch.stack([2 * sums + 0.5, 3 * sums - 1]))


def test_weights_start_within_the_papers_bound() -> None:
    net = LeNet5(1, 10, 28, 28)
    assert 0.8 * 2.4 / 25 < float(net.c1.weight.detach().abs().max()) <= 2.4 / 25
    three, *_, six = net.c3.weight.detach().abs().amax(dim=(1, 2, 3))
    assert 0.8 * 2.4 / 75 < float(three) <= 2.4 / 75
    assert 0.8 * 2.4 / 150 < float(six) <= 2.4 / 150
