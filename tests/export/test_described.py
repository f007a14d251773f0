"""What an exported file says of itself."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simplecell.errors import UserError
from simplecell.export.described import Description, read_description

onnx = pytest.importorskip("onnx")

SAID = Description(
    "classify",
    "ab" * 32,
    {"height": 28, "width": 28, "how": "crop", "channels": 1, "margin": 1.0, "filter": "bilinear"},
    "classes",
    {"classes": ["nought", "a ß \x00 <script>", "2"]},
)


def model_of(metadata: dict[str, str]) -> bytes:
    """A small model with weights, and these words about it."""
    model = onnx.parser.parse_model(
        '<ir_version: 10, opset_import: ["": 20]> f (float[N,8] x) => (float[N,8] y) { y = Relu(x) }'
    )
    model.graph.initializer.append(onnx.numpy_helper.from_array(__import__("numpy").ones(5000), "w"))
    onnx.helper.set_model_props(model, metadata)
    return model.SerializeToString()  # type: ignore[no-any-return]


def test_it_reads_what_onnx_wrote(tmp_path: Path) -> None:
    file = tmp_path / "net.onnx"
    file.write_bytes(model_of(SAID.to_metadata()))
    assert read_description(file) == SAID


def test_the_metadata_are_what_other_programs_expect() -> None:
    import json

    written = SAID.to_metadata()
    assert written["task"] == "classify"
    assert json.loads(written["classes"]) == SAID.about["classes"]
    assert json.loads(written["input"])["name"] == "picture"
    assert written["fingerprint"] == SAID.fingerprint


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "did not export|not a net that simplecell exported"),
        (b"\x89PNG\r\n", "not a whole ONNX file"),
        (b"\xff" * 50, "not a whole ONNX file"),
        (b"\x3a\xff\xff\xff\xff\x7f", "not a whole ONNX file"),  # a graph of 34 GB, says its length
    ],
)
def test_a_foreign_file_is_told(tmp_path: Path, content: bytes, fault: str) -> None:
    file = tmp_path / "net.onnx"
    file.write_bytes(content)
    with pytest.raises(UserError, match=fault):
        read_description(file)


@pytest.mark.parametrize(
    "change",
    [
        {"input": "[]"},
        {"input": "{"},
        {"input": "[" * 100_000},
        {"format": "2"},
        {"answer": ""},
    ],
)
def test_metadata_of_another_kind_are_told(tmp_path: Path, change: dict[str, str]) -> None:
    file = tmp_path / "net.onnx"
    file.write_bytes(model_of({**SAID.to_metadata(), **change}))
    with pytest.raises(UserError):
        read_description(file)


def test_an_absent_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        read_description(tmp_path / "net.onnx")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_damage_is_told_or_harmless(tmp_path: Path, data: st.DataObject) -> None:
    content = bytearray(model_of(SAID.to_metadata()))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    file = tmp_path / "net.onnx"
    file.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    with contextlib.suppress(UserError):
        read_description(file)
