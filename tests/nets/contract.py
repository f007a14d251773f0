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


class NetContract:
    """Listing a net's name here, in a class of its own, is enough to test it."""

    name: ClassVar[str]
    sizes: ClassVar[list[tuple[int, int]]] = SIZES

    def net(self, height: int = 28, width: int = 28, channels: int = 1, classes: int = 10) -> nn.Module:
        torch.manual_seed(5)
        return nets.build(self.name, channels=channels, classes=classes, height=height, width=width)

    def pictures(self, count: int = 4, height: int = 28, width: int = 28, channels: int = 1) -> Tensor:
        return torch.randn(count, channels, height, width, generator=torch.Generator().manual_seed(7))

    @pytest.mark.parametrize("channels", [1, 3])
    def test_logits_come_out_at_every_size(self, channels: int) -> None:
        for height, width in self.sizes:
            logits = self.net(height, width, channels, classes=7)(self.pictures(3, height, width, channels))
            assert logits.shape == (3, 7), (height, width)
            assert logits.dtype == torch.float32
            assert torch.isfinite(logits).all()

    def test_gradients_reach_every_parameter(self) -> None:
        net = self.net(channels=3).eval()  # without dropout, which may silence a unit by chance
        loss = nn.functional.cross_entropy(net(self.pictures(16, channels=3)), torch.arange(16) % 10)
        names, parameters = zip(*net.named_parameters(), strict=True)
        gradients = torch.autograd.grad(loss, parameters)
        assert [n for n, g in zip(names, gradients, strict=True) if not g.any()] == []
        assert all(torch.isfinite(g).all() for g in gradients)

    def test_it_learns_a_handful_of_pictures_by_heart(self) -> None:
        net, pictures, labels = self.net(), self.pictures(20), torch.arange(20) % 10
        optimiser = torch.optim.Adam(net.parameters(), lr=0.003, fused=True)
        for _ in range(30):
            optimiser.zero_grad()
            nn.functional.cross_entropy(net(pictures), labels).backward()
            optimiser.step()
        with torch.no_grad():
            assert (net.eval()(pictures).argmax(1) == labels).float().mean() >= 0.9

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
        torch.testing.assert_close(alone, together, rtol=1e-5, atol=1e-5)

    def test_channels_last_gives_the_same_logits(self) -> None:
        net, pictures = self.net(channels=3).eval(), self.pictures(channels=3)
        with torch.inference_mode():
            contiguous = net(pictures)
            net = net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            channels_last = net(pictures.contiguous(memory_format=torch.channels_last))
        torch.testing.assert_close(channels_last, contiguous, rtol=1e-5, atol=1e-5)

    def test_the_state_survives_safetensors(self, tmp_path: Path) -> None:
        net, pictures = self.net(), self.pictures()
        net(pictures)  # moves the statistics of batch norms away from where they start
        save_file(net.state_dict(), tmp_path / "net.safetensors")
        torch.manual_seed(6)
        other = nets.build(self.name, channels=1, classes=10, height=28, width=28)
        other.load_state_dict(load_file(tmp_path / "net.safetensors"))
        with torch.inference_mode():
            assert torch.equal(net.eval()(pictures), other.eval()(pictures))

    def test_the_docstring_has_a_drawing_and_a_citation(self) -> None:
        text = type(self.net()).__doc__ or ""
        assert "::\n" in text
        assert "│" in text
        assert re.search(r"\b(19|20)\d\d\b", text), "no year of a paper"
