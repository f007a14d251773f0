"""Exported files, spoilt: one sentence, or an answer as good as any."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given

from simplecell import nets
from simplecell.commands.opening import answering
from simplecell.data.geometry import Geometry
from simplecell.errors import UserError
from simplecell.export.described import Description, read_description
from simplecell.export.session import Exported, Halves
from simplecell.nets.normalising import Normalised
from simplecell.predictions import ClassAsk
from simplecell.tasks.classify import Classify
from tests.fuzz.judging import judged
from tests.fuzz.mutation import mutated

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")


@pytest.fixture(scope="module")
def exported() -> bytes:
    """A net of 20 kB that answers pictures of 16 px."""
    from simplecell.export import writing

    torch.manual_seed(0)
    geometry = Geometry(16, 16)
    body = nets.build("small", channels=3, classes=3, height=16, width=16, base=4)
    meaning = {"classes": ["a", "b", "c"], "geometry": geometry.to_json()}
    exportable = Classify().export(answering(Normalised(body, [0.5] * 3, [0.2] * 3)), meaning)
    said = Description("classify", "0" * 64, geometry.to_json(), "classes", exportable.about)
    content: bytes = writing.whole(writing.core(exportable), exportable, said).SerializeToString()
    return content


PICTURE = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
#: The metadata lie at the end: what stands there now is what answers are read by.
WORDS = [b"classes", b'["a"]', b'{"fit": {}}', b"classify", b"picture", b"fitted", b"scores", b"\x72"]


def answered(path: Path) -> object:
    """Everything that is done with such a file."""
    read_description(path)
    list(Exported(path, 1).predict([("picture", PICTURE)], ClassAsk()))
    halves = Halves(path, 1)
    return halves.answer(halves.fit([PICTURE]))


def test_a_spoilt_file_is_told_or_answers(exported: bytes, tmp_path: Path) -> None:
    file = tmp_path / "net.onnx"

    @given(mutated([exported], WORDS, least=1))
    def spoilt(content: bytes) -> None:
        file.write_bytes(content)
        judged(lambda: answered(file), str(file))

    spoilt()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("classes", "[]"),
        ("classes", '["a", "b"]'),
        ("classes", "[1, 2, 3]"),
        ("classes", '"abc"'),
        ("answer", '"boxes"'),
        ("input", '{"fit": 3}'),
    ],
)
def test_metadata_that_do_not_suit_the_net_are_told(
    exported: bytes, tmp_path: Path, key: str, value: str
) -> None:
    model = onnx.load_from_string(exported)
    for entry in model.metadata_props:
        if entry.key == key:
            entry.value = value
    file = tmp_path / "net.onnx"
    file.write_bytes(model.SerializeToString())
    assert isinstance(judged(lambda: answered(file), str(file), "scores"), UserError)


def test_weights_outside_the_file_are_not_followed(exported: bytes, tmp_path: Path) -> None:
    model = onnx.load_from_string(exported)
    secret = tmp_path / "secret"
    secret.write_bytes(bytes(100_000))
    weights = max(model.graph.initializer, key=lambda each: len(each.raw_data))
    size = len(weights.raw_data)
    weights.ClearField("raw_data")
    weights.data_location = onnx.TensorProto.EXTERNAL
    for key, value in (("location", str(secret)), ("offset", "0"), ("length", str(size))):
        weights.external_data.add(key=key, value=value)
    file = tmp_path / "net.onnx"
    file.write_bytes(model.SerializeToString())
    assert isinstance(judged(lambda: answered(file), str(file)), UserError)
