"""Every net of the package, and ten of timm's, beside what is exported of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from simplecell import nets
from simplecell.commands.opening import answering
from simplecell.data.geometry import Geometry
from simplecell.errors import UserError
from simplecell.export import comparing, writing
from simplecell.export.described import Description
from simplecell.export.exportable import Exportable
from simplecell.nets.normalising import Normalised
from simplecell.tasks.classify import Classify

for library in ("onnx", "onnxruntime", "onnxscript"):
    pytest.importorskip(library)

SIDE = {"lenet5": 32, "first-cnn": 32, "second-cnn": 32, "dense": 28, "small": 32, "airbench": 32}
SIDE |= dict.fromkeys(("resnet20", "resnet32", "resnet44", "resnet56"), 32)
QUICK = ("dense", "lenet5", "first-cnn", "second-cnn", "small", "airbench", "resnet20")
TIMM = [
    "resnet18",
    "mobilenetv3_small_100",
    "efficientnet_b0",
    "tf_efficientnet_lite0",
    "convnext_atto",
    "vit_tiny_patch16_224",
    "regnety_002",
    "densenet121",
    "mixer_s32_224",
    "repvgg_a0",
    "swin_tiny_patch4_window7_224",
]


def compared(name: str, folder: Path, channels: int, side: int, views: int = 1) -> comparing.Comparison:
    """The net with random weights and statistics, beside the file that is written of it."""
    torch.manual_seed(0)
    body = nets.build(name, channels=channels, classes=10, height=side, width=side)
    net = Normalised(body, [0.4] * channels, [0.25] * channels, views)
    random = np.random.default_rng(0)
    pictures = [
        random.integers(0, 256, (*size, channels), np.uint8) for size in ((side, side), (60, 81), (300, 240))
    ]
    geometry = Geometry(side, side, "crop", channels)
    _settle(net, geometry, pictures)
    meaning = {"classes": [str(k) for k in range(10)], "geometry": geometry.to_json()}
    exportable = Classify().export(answering(net), meaning)
    said = Description("classify", "0" * 64, geometry.to_json(), exportable.answer, exportable.about)
    file = folder / "net.onnx"
    file.write_bytes(writing.whole(writing.core(exportable), exportable, said).SerializeToString())
    return comparing.compare(file, exportable, pictures, Classify().exported)


def _settle(net: nn.Module, geometry: Geometry, pictures: list[np.ndarray]) -> None:
    """Norms as after training: with statistics, and scales that let a residual branch add a part alone.

    With scales of 1 and random weights, 152 layers amplify rounding so far that torch's own answers in
    float32 differ from those in float64 by 2.5e-4 of their largest; no export can be nearer than that.
    """
    fitted = np.stack([geometry.fit(picture) for picture in pictures])
    for module in net.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.momentum = None  # the mean of all batches
            if module.affine:
                nn.init.constant_(module.weight, 0.5)
    with torch.no_grad():
        net.train()(torch.from_numpy(fitted).permute(0, 3, 1, 2))
    net.eval()


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=() if n in QUICK else pytest.mark.slow) for n in nets.NAMES]
)
def test_every_net_of_the_package_is_exported_within_tolerance(name: str, tmp_path: Path) -> None:
    found = compared(name, tmp_path, 1 if name == "lenet5" else 3, SIDE.get(name, 224))
    comparing.check(found, name)
    assert found.difference < comparing.MOST_DIFFERENCE


def test_the_mean_over_views_is_exported(tmp_path: Path) -> None:
    comparing.check(compared("airbench", tmp_path, 3, 32, views=6), "airbench")


@pytest.mark.slow
@pytest.mark.parametrize("name", TIMM)
def test_nets_of_timm_are_exported_within_tolerance(name: str, tmp_path: Path) -> None:
    pytest.importorskip("timm")
    comparing.check(compared(f"timm:{name}", tmp_path, 3, 224), name)


def test_a_net_that_onnx_cannot_express_is_told() -> None:
    class Undecided(nn.Module):
        def forward(self, picture: torch.Tensor) -> torch.Tensor:
            if picture.float().mean() > 3:  # its way depends on what it sees
                return picture.float().mean((2, 3))
            return picture.float().amax((2, 3))

    exportable = Exportable(Undecided(), Geometry(8, 8), ("scores",), "classes", {"classes": ["a", "b", "c"]})
    with pytest.raises(UserError, match=r"torch\.onnx cannot express this net"):
        writing.core(exportable)
