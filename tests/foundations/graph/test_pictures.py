"""Pictures of a graph: SVG, TensorBoard's events, and the page that goes through it step by step."""

from __future__ import annotations

import itertools
import json
import re
import shutil
import stat
import struct
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import simplecell.graph as tf
from simplecell.foundations.graph import layout
from simplecell.foundations.graph.summary import crc32c, graph_def, masked

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(autouse=True)
def graph() -> Iterator[tf.Graph]:
    with tf.Graph().as_default() as made:
        yield made


def figure_1_2() -> tf.Tensor:
    a, b = tf.placeholder("float", name="a"), tf.placeholder("float", name="b")
    return tf.multiply(tf.add(a, b, name="c"), tf.add(b, 5.0, name="d"), name="e")


def convolutional_net() -> tf.Tensor:
    """The net of figure 1-1: pictures, convolutions and pooling, a dense layer, classes."""
    value: tf.Tensor = tf.placeholder("float", [None, 28, 28, 1], name="pictures")
    for name, ins, outs in (("first", 1, 8), ("second", 8, 16)):
        with tf.name_scope(name):
            filters = tf.Variable(tf.truncated_normal([5, 5, ins, outs], stddev=0.1), name="filters")
            value = tf.nn.relu(tf.nn.conv2d(value, filters, [1, 1, 1, 1], "SAME"))
            value = tf.nn.max_pool(value, [1, 2, 2, 1], [1, 2, 2, 1], "SAME")
    weights = tf.Variable(tf.zeros([784, 10]), name="weights")
    return tf.nn.softmax(tf.reshape(value, [-1, 784]) @ weights, name="classes")


def shown(svg: str) -> dict[str, str]:
    """What stands in each box, by the name in its first line."""
    boxes = [each for each in ET.fromstring(svg).iter(f"{SVG}g") if "node" in each.get("class", "")]
    lines = [[text.text or "" for text in box.iter(f"{SVG}text")] for box in boxes]
    return {first: second for first, second, *_ in lines}


# SVG


def test_figure_1_2_is_drawn_with_all_its_operations(graph: tf.Graph) -> None:
    figure_1_2()
    svg = tf.graph_svg(graph, "c = a + b, d = b + 5, e = c · d")
    assert shown(svg) == {
        "a": "Placeholder",
        "b": "Placeholder",
        "c": "Add",
        "d/y": "Const",
        "d": "Add",
        "e": "Mul",
    }
    assert svg.count('<path class="line"') == 6


def test_figure_1_1_is_drawn_with_the_shapes_of_its_layers() -> None:
    svg = tf.graph_svg(convolutional_net())
    assert {"Conv2D ?×28×28×8", "MaxPool ?×14×14×8", "MaxPool ?×7×7×16", "Softmax ?×10"} <= set(
        shown(svg).values()
    )
    assert "Assign" not in svg  # only what goes into the classes


def test_a_picture_says_in_words_what_it_shows(graph: tf.Graph) -> None:
    figure_1_2()
    with tf.control_dependencies(["e"]):
        tf.no_op(name="<after>")
    root = ET.fromstring(tf.graph_svg(graph, "A & B"))
    title, description = root.find(f"{SVG}title"), root.find(f"{SVG}desc")
    assert root.get("role") == "img"
    assert title is not None
    assert description is not None
    assert root.get("aria-labelledby") == f"{title.get('id')} {description.get('id')}"
    assert title.text == "A & B"
    assert "c is Add of a, b." in (description.text or "")
    assert "<after> is NoOp, after e." in (description.text or "")
    assert sum("after" in each.get("class", "") for each in root.iter(f"{SVG}path")) == 1


def test_the_same_graph_gives_the_same_picture() -> None:
    def drawn() -> str:
        with tf.Graph().as_default():
            return tf.graph_svg(convolutional_net())

    assert drawn() == drawn()


def test_an_empty_graph_has_a_picture(graph: tf.Graph) -> None:
    assert shown(tf.graph_svg(graph)) == {}


@st.composite
def drawings(draw: Any) -> tuple[dict[int, float], list[tuple[int, int]]]:
    """Boxes of some widths, and lines from earlier to later ones."""
    count = draw(st.integers(1, 15))
    pairs = list(itertools.combinations(range(count), 2))
    edges = draw(st.lists(st.sampled_from(pairs), unique=True, max_size=25)) if pairs else []
    return {node: draw(st.floats(20, 200)) for node in range(count)}, edges


@settings(max_examples=50)
@given(drawings())
def test_boxes_do_not_overlap_and_lines_lead_downwards(
    drawing: tuple[dict[int, float], list[tuple[int, int]]],
) -> None:
    widths, edges = drawing
    placed = layout.by_layers(widths, edges, 40)
    for one, other in itertools.combinations(widths, 2):
        (x, y), (to_x, to_y) = placed.centres[one], placed.centres[other]
        assert abs(y - to_y) >= 40 or abs(x - to_x) >= (widths[one] + widths[other]) / 2
    for node, (x, y) in placed.centres.items():
        assert 0 <= x - widths[node] / 2 <= x + widths[node] / 2 <= placed.width
        assert 0 <= y - 20 <= y + 20 <= placed.height
    assert set(placed.lines) == set(edges)
    for (tail, head), points in placed.lines.items():
        assert points[0] == (placed.centres[tail][0], placed.centres[tail][1] + 20)
        assert points[-1] == (placed.centres[head][0], placed.centres[head][1] - 20)
        assert [y for _, y in points] == sorted(y for _, y in points)
        assert all(0 <= x <= placed.width for x, _ in points)
        assert len(points) % 3 == 1


PLAIN = """graph 1 1 2
node n0 0.5 1.75 1 0.5 x solid box black lightgrey
node n1 0.5 0.25 1 0.5 x solid box black lightgrey
edge n0 n1 4 0.5 1.5 0.5 1.25 0.5 0.75 0.5 0.5 solid black
stop
"""


def pretend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str, status: int = 0) -> None:
    """A program called dot that answers this, whatever it is asked."""
    program = tmp_path / "dot"
    program.write_text(
        f"#!{sys.executable}\nimport sys\nsys.stdin.read()\nprint({answer!r}, end='')\nsys.exit({status})\n"
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(tmp_path))


def test_graphviz_places_the_boxes_where_it_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(tmp_path, monkeypatch, PLAIN)
    placed = layout.layout({"a": 72, "b": 72}, [("a", "b")], 36)
    assert placed.centres == {"a": (52, 34), "b": (52, 142)}  # inches from below, to pixels from above
    assert placed.lines == {("a", "b"): [(52, 52), (52, 70), (52, 106), (52, 124)]}
    assert (placed.width, placed.height) == (104, 176)


@pytest.mark.skipif(shutil.which("dot") is None, reason="needs Graphviz")
def test_graphviz_itself_is_understood() -> None:
    widths, edges = {"a": 72.0, "b": 100.0, "c": 50.0}, [("a", "b"), ("a", "c"), ("b", "c")]
    placed = layout.layout(widths, edges, 36)
    assert placed != layout.by_layers(widths, edges, 36)
    for (tail, head), points in placed.lines.items():
        assert placed.centres[tail][1] < placed.centres[head][1]
        assert points[0][1] == pytest.approx(placed.centres[tail][1] + 18, abs=2)


@pytest.mark.parametrize("answer", [None, ("", 1), (PLAIN[:70], 0), ("", 0)])
def test_without_graphviz_there_is_a_picture_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: tuple[str, int] | None
) -> None:
    """It is not there, fails, breaks off, says nothing."""
    if answer:
        pretend(tmp_path, monkeypatch, *answer)
    else:
        monkeypatch.setenv("PATH", str(tmp_path))
    widths, edges = {"a": 72.0, "b": 72.0}, [("a", "b")]
    assert layout.layout(widths, edges, 36) == layout.by_layers(widths, edges, 36)


# TensorBoard


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        # RFC 3720, B.4: 32 bytes of zeros, of ones, rising.
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (b"123456789", 0xE3069283),
    ],
)
def test_the_checksum_is_castagnolis(data: bytes, expected: int) -> None:
    assert crc32c(data) == expected


def test_records_are_whole_and_have_their_checksums(tmp_path: Path, graph: tf.Graph) -> None:
    figure_1_2()
    tf.summary.FileWriter(tmp_path / "logs", graph).close()
    (file,) = (tmp_path / "logs").iterdir()
    data, records = file.read_bytes(), []
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        body = data[12 : 12 + length]
        assert struct.unpack("<I", data[8:12])[0] == masked(data[:8])
        assert struct.unpack("<I", data[12 + length : 16 + length])[0] == masked(body)
        records.append(body)
        data = data[16 + length :]
    assert len(records) == 2
    assert records[0].endswith(b"brain.Event:2")
    assert graph_def(graph) in records[1]


def test_tensorboard_reads_the_graph(tmp_path: Path, graph: tf.Graph) -> None:
    loader = pytest.importorskip("tensorboard.backend.event_processing.event_file_loader")
    graph_pb2 = pytest.importorskip("tensorboard.compat.proto.graph_pb2")
    classes = convolutional_net()
    train = tf.train.GradientDescentOptimizer(0.1).minimize(tf.reduce_sum(classes))
    with tf.summary.FileWriter(tmp_path) as writer:
        writer.add_graph(graph, global_step=3)
    (file,) = tmp_path.iterdir()
    first, event = loader.LegacyEventFileLoader(str(file)).Load()
    assert first.file_version == "brain.Event:2"
    assert event.step == 3
    read = graph_pb2.GraphDef.FromString(event.graph_def)
    ops = graph.get_operations()
    assert [node.name for node in read.node] == [op.name for op in ops]
    assert [node.op for node in read.node] == [op.type for op in ops]
    by_name = {node.name: node for node in read.node}
    assert set(by_name[train.name].input) == {f"^{each.name}" for each in train.control_inputs}
    assert list(by_name["first/Conv2D"].input) == ["pictures", "first/filters"]
    pool = by_name["second/MaxPool"].attr
    assert pool["dtype"].type == 1
    assert [each.size for each in pool["_output_shapes"].list.shape[0].dim] == [-1, 7, 7, 16]
    assert {each for node in read.node for each in node.input if each.strip("^") not in by_name} == set()


def test_tensorboards_graph_tab_shows_it(tmp_path: Path, graph: tf.Graph) -> None:
    plugin = pytest.importorskip("tensorboard.plugins.graph.graphs_plugin")
    multiplexer = pytest.importorskip("tensorboard.backend.event_processing.plugin_event_multiplexer")
    provider = pytest.importorskip("tensorboard.backend.event_processing.data_provider")
    base = pytest.importorskip("tensorboard.plugins.base_plugin")
    context = pytest.importorskip("tensorboard.context")
    convolutional_net()
    tf.summary.FileWriter(tmp_path / "run", graph).close()
    events = multiplexer.EventMultiplexer()
    events.AddRunsFromDirectory(str(tmp_path))
    events.Reload()
    data = provider.MultiplexerDataProvider(events, str(tmp_path))
    tab = plugin.GraphsPlugin(base.TBContext(logdir=str(tmp_path), data_provider=data))
    text, kind = tab.graph_impl(context.RequestContext(), "run", None, False, "exp")
    assert kind == "text/x-protobuf"
    assert 'name: "second/MaxPool"' in text


# step by step


def steps_of(page: str) -> list[dict[str, Any]]:
    found = re.search(r'<script type="application/json" id="steps">(.*?)</script>', page, re.DOTALL)
    assert found
    return json.loads(found[1])  # type: ignore[no-any-return]


def test_the_page_goes_forwards_and_backwards_through_figure_1_2(tmp_path: Path, graph: tf.Graph) -> None:
    e = figure_1_2()
    with tf.Session():
        tf.write_steps(tmp_path / "steps.html", e, {"a": 2, "b": 3})
    page = (tmp_path / "steps.html").read_text(encoding="utf-8")
    steps = [(each["text"], each["array"]) for each in steps_of(page)]
    assert [array for _, array in steps] == ["2", "3", "5", "5", "8", "40", "1", "5", "5", "8", "13", "8"]
    assert steps[2][0] == "Forwards: c = Add(a, b) = 5."
    assert steps[6][0] == "Backwards: e is the result, which grows with itself at a rate of 1."
    assert steps[10][0] == "Backwards: ∂e/∂b = 13, sent by c and d, whose gradients are added."
    assert re.findall(r"https?://(?!www\.w3\.org/2000/svg)", page) == []
    assert list(tmp_path.iterdir()) == [tmp_path / "steps.html"]


def test_arrays_and_names_are_shown_as_they_are(tmp_path: Path) -> None:
    x = tf.placeholder("float", [None, 4], name="x")
    w = tf.Variable(tf.ones([4, 2]), name="w")
    with tf.name_scope("<b>"):
        loss = tf.reduce_sum(tf.nn.relu(x @ w))
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        page = tf.write_steps(tmp_path / "steps.html", loss, {x: np.ones((2, 4))}, session).read_text("utf-8")
    assert "<b>" not in page
    assert "= 2×4 [1, 1, 1, …]" in unescape(page)
    assert "∂ 4×2 [2, 2, 2, …]" in unescape(page)
    assert any("<b>/Sum" in each["text"] for each in steps_of(page))


def test_what_has_no_gradient_has_no_page(tmp_path: Path) -> None:
    with tf.Session(), pytest.raises(tf.errors.DtypeError, match="int32 has no gradient"):
        tf.write_steps(tmp_path / "steps.html", tf.constant(1))
    assert list(tmp_path.iterdir()) == []


def test_the_page_moves_by_buttons_and_keys_on_a_phone_as_well(browser: Any, tmp_path: Path) -> None:
    from axe_playwright_python.sync_playwright import Axe

    e = figure_1_2()
    with tf.Session():
        path = tf.write_steps(tmp_path / "steps.html", e, {"a": 2, "b": 3})
    page = browser.new_page(viewport={"width": 360, "height": 640}, color_scheme="dark")
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(path.as_uri())

    def told() -> str:
        return str(page.inner_text("#told"))

    def seen() -> int:
        return int(page.locator("[data-step]:visible").count())

    assert (told(), seen()) == ("Forwards: a is fed: 2.", 1)
    assert page.get_attribute("#told", "aria-live") == "polite"
    page.click("#on")
    assert (told(), seen()) == ("Forwards: b is fed: 3.", 2)
    page.keyboard.press("End")
    assert (told(), seen()) == ("Backwards: ∂e/∂a = 8, sent by c.", 12)
    page.click("#on", force=True)  # there is no further
    page.keyboard.press("ArrowLeft")
    assert told().startswith("Backwards: ∂e/∂b = 13")
    page.keyboard.press("Home")
    page.click("#back", force=True)
    assert told() == "Forwards: a is fed: 2."
    assert page.locator(".now").count() == 1
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert said == []
    assert Axe().run(page).response["violations"] == []
    page.close()
