"""What TensorBoard's own reader finds in the event file of a training."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from simplecell.commands.train import built
from simplecell.learn.events import Events
from simplecell.learn.journal import Journal
from simplecell.nets.normalising import Normalised
from simplecell.tasks.classify import Classify

reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")


class Painted:
    """Pictures whose only grey level is their place; augmented they are 100 lighter."""

    def __init__(self, channels: int = 1, count: int = 40) -> None:
        self.channels, self.count = channels, count

    @property
    def ids(self) -> list[str]:
        return [str(k) for k in range(self.count)]

    def __len__(self) -> int:
        return self.count

    def batch(self, indices: Any, address: Any = None) -> dict[str, Any]:
        level = torch.as_tensor(indices, dtype=torch.uint8) + (0 if address is None else 100)
        picture = level.view(-1, 1, 1, 1).expand(-1, self.channels, 12, 12)
        return {"id": [str(k) for k in indices], "picture": picture}


def small_net(channels: int = 1) -> nn.Module:
    body = nn.Sequential(nn.Conv2d(channels, 4, 3), nn.Dropout(), nn.Flatten(), nn.Linear(400, 2))
    return Normalised(body, [0.5] * channels, [0.5] * channels)


@pytest.fixture
def record(tmp_path: Path) -> Callable[..., Any]:
    def events(net: nn.Module, examples: Any) -> Any:
        with Journal(tmp_path / "metrics.jsonl", quiet=True) as journal:
            journal.show_beginning(net, examples, 0)
            journal.show_end(net, examples)
        return reader.EventAccumulator(str(tmp_path)).Reload()

    return events


def picture(events: Any, name: str) -> Any:
    return np.asarray(Image.open(io.BytesIO(events.Images(name)[0].encoded_image_string)))


def test_the_pictures_are_those_of_training_as_they_are_augmented(record: Callable[..., Any]) -> None:
    shown = picture(record(small_net(), Painted()), "pictures/augmented")[..., 0]
    assert shown.shape == (4 * 13 - 1, 8 * 13 - 1)  # 32 of 12 pixels, eight in a row, lines between
    assert [int(shown[13 * (k // 8), 13 * (k % 8)]) for k in range(32)] == list(range(100, 132))


@pytest.mark.parametrize("channels", [1, 3])
def test_the_filters_are_those_of_the_first_layer(record: Callable[..., Any], channels: int) -> None:
    net: Any = small_net(channels)
    shown = picture(record(net, Painted(channels)), "filters/first layer")
    weight = net.body[0].weight.detach()
    for k in range(4):
        drawn = shown[::8, k * 25 : k * 25 + 24 : 8].astype(float)[:3]  # H, W, C; 8 pixels a weight
        expected = 128 + 127 * (weight[k] / weight[k].abs().max()).permute(1, 2, 0).numpy()
        np.testing.assert_allclose(drawn, np.broadcast_to(expected, (3, 3, 3)), atol=0.51)


def test_the_graph_has_the_layers_by_their_names(record: Callable[..., Any]) -> None:
    from tensorboard.compat.proto.graph_pb2 import GraphDef

    net = small_net().train()
    before = torch.random.get_rng_state()
    graph = GraphDef.FromString(record(net, Painted())._graph)
    names = [node.name for node in graph.node]
    assert any("Linear[3]" in name for name in names)
    assert any("Conv2d[0]" in name for name in names)
    assert all(module.training for module in net.modules())
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(parameter.grad is None for parameter in net.parameters())


class Untraceable(nn.Module):
    """Raises when it is traced, and only then."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(1, 2, 3)

    def forward(self, pictures: Tensor) -> Tensor:
        if torch.jit.is_tracing():
            raise KeyError("no tracing")
        out: Tensor = self.layer(pictures.float())
        return out


def test_a_net_without_a_graph_spoils_nothing(
    record: Callable[..., Any], capfd: pytest.CaptureFixture[str]
) -> None:
    events = record(Untraceable(), Painted())
    assert set(events.Tags()["images"]) == {"pictures/augmented", "filters/first layer"}
    assert not events.Tags()["graph"]
    assert capfd.readouterr().out == ""


def test_examples_that_are_no_pictures_are_left_alone(record: Callable[..., Any]) -> None:
    class Numbers(Painted):
        def batch(self, indices: Any, address: Any = None) -> dict[str, Any]:
            return {"id": list(map(str, indices)), "x": torch.zeros(len(indices), 3)}

    events = record(nn.Linear(3, 1), Numbers())
    assert events.Tags()["images"] == []


def test_a_real_task_is_shown(record: Callable[..., Any]) -> None:
    task = Classify.tiny()
    splits = task.load()
    net = built(task.settle(splits), splits.meaning, torch.device("cpu"))
    tags = record(net, splits.train).Tags()
    assert set(tags["images"]) == {"pictures/augmented", "filters/first layer"}
    assert tags["graph"]


def test_a_full_disk_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = Events(tmp_path)

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shown._writer, "add_scalar", full)
    with pytest.raises(OSError, match="No space left") as told:
        shown.scalars({"stage": "learn", "step": 1, "train": {"loss": 1.0}})
    assert told.value.filename == str(tmp_path / "events.out.tfevents")
    shown.close()
