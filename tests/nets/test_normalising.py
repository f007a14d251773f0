"""What stands around a body: normalisation, views, temperature."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from simplecell.nets.normalising import Normalised

MEAN, DEVIATION = [0.2, 0.5, 0.7], [0.1, 0.2, 0.3]


def pictures(count: int = 5, side: int = 8) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (count, 3, side, side), dtype=torch.uint8, generator=generator)


def body(classes: int = 4, side: int = 8) -> nn.Module:
    torch.manual_seed(2)
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * side * side, classes))


def test_pictures_are_normalised_by_channel() -> None:
    net = Normalised(nn.Identity(), MEAN, DEVIATION).eval()
    mean, deviation = (torch.tensor(v).view(1, 3, 1, 1) for v in (MEAN, DEVIATION))
    expected = (pictures().float() / 255 - mean) / deviation
    torch.testing.assert_close(net(pictures()), expected, rtol=1e-5, atol=1e-5)


def test_a_channel_that_never_changes_stays_finite() -> None:
    net = Normalised(nn.Identity(), MEAN, [0.0, 0.2, 0.3]).eval()
    assert torch.isfinite(net(pictures())).all()


def test_temperature_divides_the_answers_and_not_what_training_sees() -> None:
    net = Normalised(body(), MEAN, DEVIATION)
    plain = net.eval()(pictures())
    net.temperature.fill_(4.0)
    torch.testing.assert_close(net(pictures()) * 4, plain)
    torch.testing.assert_close(net.train()(pictures()), plain)


@pytest.mark.parametrize("views", [2, 6])
def test_views_are_the_mean_over_mirrored_and_moved_pictures(views: int) -> None:
    net = Normalised(body(), MEAN, DEVIATION, views).eval()
    one = Normalised(net.body, MEAN, DEVIATION).eval()
    shown = pictures()
    expected = (one(shown) + one(shown.flip(3))) / 2
    if views == 6:
        rim = [1, 0, 1, 2, 3, 4, 5, 6, 7, 6]  # the picture's lines with one reflected at each end
        wide = shown[:, :, rim][:, :, :, rim]
        moved = [wide[:, :, :-2, :-2], wide[:, :, 2:, 2:]]
        others = [one(view) for each in moved for view in (each, each.flip(3))]
        expected = expected / 2 + sum(others, start=torch.zeros(())) / 4 / 2
    torch.testing.assert_close(net(shown), expected, rtol=1e-4, atol=1e-5)


def test_training_sees_one_view_and_auxiliary_logits_pass_through() -> None:
    class Two(nn.Module):
        def forward(self, maps: Tensor) -> tuple[Tensor, Tensor]:
            return maps.mean((2, 3)), maps.amax((2, 3))

    first, second = Normalised(Two(), MEAN, DEVIATION, 6).train()(pictures())
    assert first.shape == second.shape == (5, 3)
