"""Batch norms folded into convolutions."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torchvision
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from simplecell import nets
from simplecell.nets.folding import fold
from simplecell.nets.normalising import Normalised
from tests.nets.reference import random_state


def norms(net: nn.Module) -> int:
    return sum(isinstance(module, nn.BatchNorm2d) for module in net.modules())


def randomised(net: nn.Module) -> nn.Module:
    """With statistics and scales of norms that are not 0 and 1, some scales negative."""
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, -0.5, 1)
            nn.init.uniform_(module.bias, -0.3, 0.3)
            assert module.running_mean is not None and module.running_var is not None
            module.running_mean.uniform_(-0.3, 0.3)
            module.running_var.uniform_(0.5, 1.5)
    return net


def assert_equal_answers(net: nn.Module, folded: nn.Module, pictures: Tensor) -> None:
    with torch.inference_mode():
        expected, found = net.eval()(pictures), folded(pictures)
    assert (found - expected).abs().max() <= 1e-5 * expected.std()


#: How many norms stay: of "small" those after a pooling, of GoogLeNet those of heads that do not answer, of
#: "second-cnn" all, as an activation stands before each.
LEFT = {"small": 3, "googlenet": 2, "second-cnn": 2}


OURS = ["small", "first-cnn", "second-cnn", "lenet5", "vgg11-bn", "googlenet"]
OURS += ["resnet20", "resnet56", "resnet18", "resnet50", "resnet152"]


@pytest.mark.parametrize("name", OURS)
def test_our_nets_answer_as_before_behind_their_normalisation(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("simplecell.nets.vgg._UNITS", 64)
    torch.manual_seed(0)
    options: dict[str, Any] = {"batch_norm": True} if name == "first-cnn" else {}
    body = nets.build(name, channels=3, classes=10, height=40, width=40, **options)
    net = randomised(Normalised(body, [0.5] * 3, [0.2] * 3, views=2))
    net = net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    folded = fold(net)
    assert norms(folded) == LEFT.get(name, 0)
    for module in folded.modules():
        if isinstance(module, nn.Conv2d):
            assert module.weight.is_contiguous(memory_format=torch.channels_last)
    assert_equal_answers(net, folded, torch.randint(0, 256, (2, 3, 40, 40), dtype=torch.uint8))


@pytest.mark.parametrize(
    "name",
    ["resnet18", "mobilenet_v2", "efficientnet_b0", "densenet121", "shufflenet_v2_x0_5", "regnet_y_400mf"],
)
def test_torchvisions_nets_answer_as_before(name: str) -> None:
    net = getattr(torchvision.models, name)(num_classes=10)
    net.load_state_dict(random_state(net), assign=True)
    folded = fold(net)
    assert norms(folded) <= (0.6 * norms(net) if name == "densenet121" else 0)
    assert_equal_answers(net, folded, torch.randn(2, 3, 64, 64))


def test_the_net_itself_stays_as_it_was() -> None:
    net = randomised(nets.build("resnet20", channels=3, classes=10, height=32, width=32)).train()
    before = {key: value.clone() for key, value in net.state_dict().items()}
    assert not fold(net).training
    assert net.training
    assert all(torch.equal(before[key], value) for key, value in net.state_dict().items())


class OneUse(nn.Module):
    """A convolution, a norm, and a way through them that a test replaces."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 4, 3, padding=1)
        self.norm: nn.Module = nn.BatchNorm2d(4)
        self.other: nn.Module = nn.BatchNorm2d(4)
        self.last = nn.Conv2d(4, 4, 1)

    def forward(self, x: Tensor) -> Any:
        return self.norm(self.convolution(x)).mean((2, 3))


class BothUsedTwice(OneUse):
    def forward(self, x: Tensor) -> Any:
        return (self.norm(self.convolution(x)) + self.norm(self.convolution(x + 1)).relu()).mean((2, 3))


class OutputUsedTwice(OneUse):
    def forward(self, x: Tensor) -> Any:
        maps = self.convolution(x)
        return (self.norm(maps) + maps).mean((2, 3))


class ConvolutionUsedTwice(OneUse):
    def forward(self, x: Tensor) -> Any:
        return (self.norm(self.convolution(x)) * self.other(self.convolution(x + 1))).mean((2, 3))


class ConvolutionUsedWithoutTheNorm(OneUse):
    def forward(self, x: Tensor) -> Any:
        return (self.norm(self.convolution(x)) * self.convolution(x + 1)).mean((2, 3))


class NormUsedTwice(OneUse):
    def forward(self, x: Tensor) -> Any:
        return self.norm(self.last(self.norm(self.convolution(x)))).mean((2, 3))


class WeightReadElsewhere(OneUse):
    def forward(self, x: Tensor) -> Any:
        return self.norm(self.convolution(x)).mean((2, 3)) + self.convolution.weight.mean()


class Between(OneUse):
    def forward(self, x: Tensor) -> Any:
        return self.norm(self.convolution(x).relu()).mean((2, 3))


class WayThatDependsOnThePicture(OneUse):
    def forward(self, x: Tensor) -> Any:
        maps = self.convolution(x)
        return (self.norm(maps) if maps.mean() > 100 else maps).mean((2, 3))


class RememberingItsInput(OneUse):
    seen: Any = None

    def forward(self, x: Tensor) -> Any:
        self.seen = x
        return self.norm(self.convolution(x)).mean((2, 3))


UNSAFE = [
    OutputUsedTwice,
    ConvolutionUsedTwice,
    ConvolutionUsedWithoutTheNorm,
    NormUsedTwice,
    WeightReadElsewhere,
    Between,
    WayThatDependsOnThePicture,
]


@pytest.mark.parametrize("kind", UNSAFE)
def test_a_norm_stays_where_folding_would_change_another_number(kind: type[OneUse]) -> None:
    net = randomised(kind())
    folded = fold(net)
    assert norms(folded) == norms(net)
    assert_equal_answers(net, folded, torch.randn(2, 3, 8, 8))


def test_a_pair_that_is_used_twice_as_a_pair_is_folded() -> None:
    net = randomised(BothUsedTwice())
    folded = fold(net)
    assert isinstance(folded.get_submodule("norm"), nn.Identity)
    assert_equal_answers(net, folded, torch.randn(2, 3, 8, 8))


def changed(change: Any) -> OneUse:
    net = OneUse()
    change(net)
    return net


@pytest.mark.parametrize(
    "change",
    [
        lambda net: net.convolution.register_forward_hook(lambda *_: None),
        lambda net: net.norm.register_forward_pre_hook(lambda *_: None),
        lambda net: parametrizations.spectral_norm(net.convolution),
        lambda net: setattr(net, "norm", nn.BatchNorm2d(4, track_running_stats=False)),
        lambda net: setattr(net, "other", net.convolution),
        lambda net: setattr(net.last, "bias", net.convolution.bias),
        lambda net: setattr(net, "norm", nn.InstanceNorm2d(4)),
    ],
    ids=[
        "hook",
        "hook of the norm",
        "parametrised",
        "no statistics",
        "two names",
        "shared bias",
        "other norm",
    ],
)
def test_what_is_more_than_a_plain_pair_stays(change: Any) -> None:
    net = changed(change)
    folded = fold(net)
    assert type(folded.get_submodule("norm")) is type(net.norm)
    assert_equal_answers(net, folded, torch.randn(2, 3, 8, 8))


def test_a_plain_pair_does_not_stay_and_tracing_leaves_no_mark() -> None:
    net = randomised(RememberingItsInput())
    folded = fold(net)
    assert isinstance(folded.get_submodule("norm"), nn.Identity)
    assert net.seen is None
    assert folded.seen is None
    assert_equal_answers(net, folded, torch.randn(2, 3, 8, 8))


def test_a_norm_without_scale_and_shift_is_folded_too() -> None:
    net = OneUse()
    net.norm = nn.BatchNorm2d(4, affine=False)
    net(torch.randn(8, 3, 6, 6) * 3 + 1)
    folded = fold(net)
    assert isinstance(folded.get_submodule("norm"), nn.Identity)
    assert_equal_answers(net, folded, torch.randn(2, 3, 8, 8))


def test_a_norm_behind_a_maximum_is_folded_where_it_multiplies_by_nothing_negative() -> None:
    torch.manual_seed(0)
    body = nets.build("small", channels=1, classes=10, height=40, width=40)
    net = randomised(Normalised(body, [0.5], [0.2]))
    pictures = torch.randint(0, 256, (4, 1, 40, 40), dtype=torch.uint8)
    assert norms(fold(net)) == 3
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.weight.abs_()
    folded = fold(net)
    assert norms(folded) == 0
    assert_equal_answers(net, folded, pictures)
