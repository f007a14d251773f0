"""What every net must do. A net's test class inherits ``NetContract`` and names the net."""

from __future__ import annotations

import re
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from simplecell import nets

SIZES = [(24, 24), (28, 28), (32, 32), (33, 47), (64, 48)]


def assert_equal_logits(found: Tensor, expected: Tensor) -> None:
    """To 1e-5 of their size: those of a deep residual net that has not learnt yet run into millions."""
    tolerance = 1e-5 * max(1.0, expected.abs().max().item())
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=tolerance)


class NetContract:
    """Listing a net's name here, in a class of its own, is enough to test it."""

    name: ClassVar[str]
    sizes: ClassVar[list[tuple[int, int]]] = SIZES
    side: ClassVar[int] = 28  # of the pictures where the size does not matter
    rate: ClassVar[float] = 0.003  # at which it learns by heart

    def net(self, height: int = 0, width: int = 0, channels: int = 1, classes: int = 10) -> nn.Module:
        torch.manual_seed(5)
        height, width = height or self.side, width or self.side
        return nets.build(self.name, channels=channels, classes=classes, height=height, width=width)

    def pictures(self, count: int = 4, height: int = 0, width: int = 0, channels: int = 1) -> Tensor:
        height, width = height or self.side, width or self.side
        return torch.randn(count, channels, height, width, generator=torch.Generator().manual_seed(7))

    def with_every_head(self, net: nn.Module) -> nn.Module:
        """The net in eval mode, but giving the logits of every head that it has."""
        return net.eval()

    @pytest.mark.parametrize("channels", [1, 3])
    def test_logits_come_out_at_every_size(self, channels: int) -> None:
        for height, width in self.sizes:
            net = self.net(height, width, channels, classes=7)
            given = net(self.pictures(3, height, width, channels))
            for logits in given if isinstance(given, tuple) else (given,):
                assert logits.shape == (3, 7), (height, width)
                assert logits.dtype == torch.float32
                assert torch.isfinite(logits).all()

    def test_gradients_reach_every_parameter(self) -> None:
        # In eval mode there is no dropout, which may silence a unit by chance.
        net = self.with_every_head(self.net(channels=3))
        given = net(self.pictures(16, channels=3))
        heads = given if isinstance(given, tuple) else (given,)
        loss = sum(nn.functional.cross_entropy(logits, torch.arange(16) % 10) for logits in heads)
        names, parameters = zip(*net.named_parameters(), strict=True)
        gradients = torch.autograd.grad(loss, parameters)
        assert [n for n, g in zip(names, gradients, strict=True) if not g.any()] == []
        assert all(torch.isfinite(g).all() for g in gradients)

    def test_it_learns_a_handful_of_pictures_by_heart(self) -> None:
        net, pictures, labels = self.net(), self.pictures(20), torch.arange(20) % 10
        for module in net.modules():
            if isinstance(module, nn.Dropout):
                module.p = 0.0
        optimiser = torch.optim.Adam(net.parameters(), lr=self.rate, fused=True)
        for _ in range(60):
            given = net(pictures)
            logits = given[0] if isinstance(given, tuple) else given
            if (logits.argmax(1) == labels).float().mean() >= 0.9:
                return
            optimiser.zero_grad()
            nn.functional.cross_entropy(logits, labels).backward()
            optimiser.step()
        pytest.fail("it did not learn 20 pictures in 60 steps")

    def test_the_same_seed_builds_the_same_net(self) -> None:
        for one, other in zip(self.net().parameters(), self.net().parameters(), strict=True):
            assert torch.equal(one, other)

    def test_eval_mode_is_deterministic_and_leaves_no_trace(self) -> None:
        net, pictures = self.net().eval(), self.pictures()
        before = {key: value.clone() for key, value in net.state_dict().items()}
        with torch.inference_mode():
            assert torch.equal(net(pictures), net(pictures))
        assert all(torch.equal(before[key], value) for key, value in net.state_dict().items())

    def test_a_picture_does_not_depend_on_its_neighbours_in_eval_mode(self) -> None:
        net, pictures = self.net().eval(), self.pictures()
        with torch.inference_mode():
            together = net(pictures)
            alone = torch.cat([net(picture[None]) for picture in pictures])
        assert_equal_logits(alone, together)

    def test_channels_last_gives_the_same_logits(self) -> None:
        net, pictures = self.net(channels=3).eval(), self.pictures(channels=3)
        with torch.inference_mode():
            contiguous = net(pictures)
            net = net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            channels_last = net(pictures.contiguous(memory_format=torch.channels_last))
        assert_equal_logits(channels_last, contiguous)

    def test_the_state_survives_safetensors(self, tmp_path: Path) -> None:
        net, pictures = self.net(), self.pictures()
        net(pictures)  # moves the statistics of batch norms away from where they start
        save_file(net.state_dict(), tmp_path / "net.safetensors")
        torch.manual_seed(6)
        other = nets.build(self.name, channels=1, classes=10, height=self.side, width=self.side)
        other.load_state_dict(load_file(tmp_path / "net.safetensors"))
        with torch.inference_mode():
            assert torch.equal(net.eval()(pictures), other.eval()(pictures))

    def test_the_docstring_has_a_drawing_and_a_citation(self) -> None:
        text = type(self.net()).__doc__ or ""
        assert "::\n" in text
        assert "│" in text
        assert re.search(r"\b(19|20)\d\d\b", text), "no year of a paper"
