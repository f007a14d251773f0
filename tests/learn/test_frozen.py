"""Features of a frozen body: what is remembered is what the net would compute, and nothing else learns."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from simplecell import nets
from simplecell.data.addressed import Address
from simplecell.data.augment import Augmentation
from simplecell.data.batches import Splits
from simplecell.data.geometry import Geometry
from simplecell.data.loading import ArrayRows, PictureExamples
from simplecell.learn.frozen import FrozenFeatures, freeze, layer_on_features, on_features
from simplecell.learn.journal import Journal
from simplecell.learn.loop import Surroundings, run_stages
from simplecell.learn.losses import cross_entropy
from simplecell.learn.settings import Training
from simplecell.learn.stages import Terms
from simplecell.learn.usual import one_update
from simplecell.nets.heads import head_of
from simplecell.nets.normalising import Normalised
from simplecell.run import Run

SHAPE: dict[str, int] = {"channels": 3, "classes": 4, "height": 64, "width": 64}
COUNT = 24


def examples(count: int = COUNT, augmentation: Augmentation | None = None) -> PictureExamples:
    pictures = np.random.default_rng(0).integers(0, 256, (count, 64, 64, 3), np.uint8)
    held = ArrayRows(pictures)
    return PictureExamples(
        ids=[f"{k}.png" for k in range(count)],
        labels=np.arange(count) % 4,
        geometry=Geometry(64, 64),
        rows=np.arange(count),
        fitted=held,
        full=held,
        sizes=np.full((count, 2), 64),
        augmentation=augmentation,
    )


def whole(name: str) -> tuple[Normalised, tuple[str, ...]]:
    torch.manual_seed(0)
    body = nets.build(name, **SHAPE)
    net = Normalised(body, [0.4] * 3, [0.2] * 3).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return net.eval(), head_of(body, name, **SHAPE)


def splits(side: PictureExamples, augmentation: Augmentation) -> Splits:
    return Splits(side, side, side, {}, {"augmentation": asdict(augmentation)})


@pytest.mark.parametrize("name", ["second-cnn", "alexnet", "resnet20", "torchvision:shufflenet_v2_x0_5"])
def test_features_and_layer_give_what_the_net_gives(name: str) -> None:
    net, head = whole(name)
    side = examples()
    layer = layer_on_features(net, head, splits(side, Augmentation()))
    assert layer is not None
    net.train()  # as the loop may have it while features are computed: dropout must not reach them
    cached = FrozenFeatures(side, net, layer, mirrored=False)
    rows = np.arange(COUNT)
    batch = cached.batch(rows)
    net.eval()
    with torch.no_grad():
        answers = net.body.get_submodule(layer)(batch["features"])
        expected = net(side.batch(rows)["picture"])
    torch.testing.assert_close(answers, expected, rtol=1e-5, atol=1e-5)
    assert batch["id"] == side.ids
    assert batch["label"].tolist() == (rows % 4).tolist()


def address(rows: NDArray[np.int64]) -> Address:
    return Address(1, 2, rows, rows)


def test_with_an_address_those_pictures_are_mirrored_that_augmentation_mirrors() -> None:
    net, head = whole("second-cnn")
    side = examples(64)
    layer = layer_on_features(net, head, splits(side, Augmentation(flip=True)))
    assert layer is not None
    rows = np.arange(64)
    plain = FrozenFeatures(side, net, layer, mirrored=False).batch(rows, address(rows))["features"]
    both = FrozenFeatures(side, net, layer, mirrored=True).batch(rows, address(rows))["features"]
    assert 16 < int((plain != both).any(dim=1).sum()) < 48
    augmented = examples(64, Augmentation(flip=True)).batch(rows, address(rows))["picture"]
    with torch.no_grad():
        answers, expected = net.body.get_submodule(layer)(both), net(augmented)
    torch.testing.assert_close(answers, expected, rtol=1e-5, atol=1e-5)


def test_features_are_the_same_bits_in_whatever_order_and_batch_they_are_asked_for() -> None:
    net, head = whole("torchvision:shufflenet_v2_x0_5")
    side = examples()
    layer = layer_on_features(net, head, splits(side, Augmentation(flip=True)))
    assert layer is not None
    rows = np.arange(COUNT)
    at_once = FrozenFeatures(side, net, layer, mirrored=True).batch(rows, address(rows))["features"]
    again = FrozenFeatures(side, net, layer, mirrored=True)
    for row in np.random.default_rng(1).permutation(COUNT):
        one = again.batch(rows[row : row + 1], address(rows).take(slice(row, row + 1)))["features"]
        assert torch.equal(one[0], at_once[row])


def test_a_picture_goes_through_the_body_once(monkeypatch: pytest.MonkeyPatch) -> None:
    net, head = whole("second-cnn")
    side = examples()
    layer = layer_on_features(net, head, splits(side, Augmentation()))
    assert layer is not None
    cached = FrozenFeatures(side, net, layer, mirrored=False)
    asked: list[int] = []
    read = side.batch

    def counted(rows: NDArray[np.int64], at: Any = None) -> Any:
        asked.extend(rows.tolist())
        return read(rows, at)

    monkeypatch.setattr(side, "batch", counted)
    for rows in ([0, 1, 2], [2, 3, 2], [0, 1, 2, 3]):
        cached.batch(np.array(rows))
    assert sorted(asked) == [0, 1, 2, 3]


@pytest.mark.parametrize("augmentation", [Augmentation(crop=0.5), Augmentation(flip=True, erase=0.1)])
def test_pictures_that_change_from_epoch_to_epoch_go_through_the_net_each_time(
    augmentation: Augmentation,
) -> None:
    net, head = whole("second-cnn")
    assert layer_on_features(net, head, splits(examples(), augmentation)) is None


def trained(name: str, folder: Path, **changes: Any) -> tuple[Normalised, dict[str, Any], list[Any]]:
    """A net after a training of its head, its state before, and the journal's lines."""
    net, head = whole(name)
    before = {key: tensor.clone() for key, tensor in net.state_dict().items()}
    side = examples()
    freeze(net, head)
    data = splits(side, Augmentation())
    layer = layer_on_features(net, head, data)

    def loss(net: Any, batch: Any, at: Any) -> Terms:
        given = net.body.get_submodule(layer)(batch["features"]) if layer else net(batch["picture"])
        return Terms({"loss": cross_entropy(given, batch)}, count=len(given))

    training = Training(epochs=6.0, batch_size=8, optimiser="adamw", learning_rate=0.05, weight_decay=0.01)
    stage = one_update("head", net, lambda: side, loss, replace(training, **changes))
    if layer:
        stage = on_features(stage, net, layer, mirrored=False)
    with Journal(folder / "metrics.jsonl", quiet=True) as journal:
        world = Surroundings(
            seed=0,
            device=torch.device("cpu"),
            splits=data,
            checkpoint=folder / "checkpoints" / "last.safetensors",
            journal=journal,
            evaluate=lambda net: {"accuracy": 0.5},
            headline=("accuracy", "max"),
        )
        assert run_stages(net, [stage], world)
    return net, before, Run(folder).metrics()


@pytest.mark.parametrize(
    "name", ["second-cnn", "torchvision:shufflenet_v2_x0_5", "torchvision:squeezenet1_1"]
)
def test_nothing_but_the_head_changes_by_a_bit(name: str, tmp_path: Path) -> None:
    """Parameters, and batch normalisation's running mean and variance; squeezenet's head has no layer to
    learn on features."""
    net, before, _ = trained(name, tmp_path)
    head = head_of(net.body, name, **SHAPE)
    changed = {key for key, tensor in net.state_dict().items() if not torch.equal(tensor, before[key])}
    assert changed == {f"body.{key}" for key in head}


@pytest.mark.parametrize(("patience", "evaluations"), [(0, 3), (6, 6)])
def test_it_is_evaluated_seldom_unless_patience_counts_the_epochs(
    patience: int, evaluations: int, tmp_path: Path
) -> None:
    _, _, lines = trained("second-cnn", tmp_path, patience=patience)
    epochs = [line["epoch"] for line in lines if "validation" in line]
    assert len(epochs) == evaluations
    assert epochs[-1] == 6.0
