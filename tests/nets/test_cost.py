"""The cost of nets against the numbers that torchvision publishes beside its weights, and by hand."""

from __future__ import annotations

import pytest
import torch
import torchvision
from torch import nn

from simplecell.nets.cost import macs, parameters

PICTURE = torch.zeros(1, 3, 224, 224)


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "alexnet", "vgg11", "mobilenet_v2", "vit_b_16"])
def test_parameters_and_macs_are_the_published_ones(name: str) -> None:
    net = torchvision.models.get_model(name, weights=None).eval()
    published = torchvision.models.get_model_weights(name).DEFAULT.meta
    assert parameters(net) == published["num_params"]
    assert macs(net, PICTURE) / 1e9 == pytest.approx(published["_ops"], abs=6e-4)  # three places are given


def test_the_macs_of_a_small_net_are_what_counting_gives() -> None:
    net = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1, groups=1), nn.ReLU(), nn.Flatten())
    net.append(nn.Linear(8 * 5 * 4, 7))
    # Each of 8 × 5 × 4 outputs takes 3 × 3 × 3 products, each of 7 takes 160.
    assert macs(net.eval(), torch.zeros(1, 3, 9, 8)) == 8 * 5 * 4 * 27 + 160 * 7
    assert parameters(net) == 8 * 27 + 8 + 160 * 7 + 7


def test_attention_counts_whichever_kernel_computes_it() -> None:
    """A stack of PyTorch's own has fused kernels of two kinds, which hide their products."""
    layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True).eval()
    tokens, width, hidden = 10, 16, 32
    projections = 4 * tokens * width * width
    products = 2 * tokens * tokens * width
    dense = 2 * tokens * width * hidden
    assert macs(layer, torch.zeros(1, tokens, width)) == projections + products + dense
    assert torch.backends.mha.get_fastpath_enabled()


def test_the_cost_is_of_one_example_whatever_the_batch_and_the_mode_of_gradients() -> None:
    net = nn.Conv2d(1, 4, 3).eval()
    one = macs(net, torch.zeros(1, 1, 8, 8))
    assert macs(net, torch.zeros(5, 1, 8, 8)) == one
    with torch.inference_mode():
        assert macs(net, torch.zeros(5, 1, 8, 8)) == one


def test_a_shared_parameter_counts_once() -> None:
    layer = nn.Linear(4, 4)
    assert parameters(nn.Sequential(layer, nn.ReLU(), layer)) == 20
