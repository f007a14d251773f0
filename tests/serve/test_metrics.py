"""What is counted reads back as it was meant, by a strict reader of the text format 0.0.4."""

from __future__ import annotations

import math
import re
from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simplecell.serve.metrics import Counter, Histogram, gauge
from tests.serve.serving import form, png, running

Sample = tuple[str, tuple[tuple[str, str], ...]]
_SAMPLE = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)")
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)')


def parse(text: str) -> tuple[dict[str, str], dict[Sample, float]]:
    """Types by metric and values by sample. Fails on anything that the format does not have."""
    assert text.endswith("\n")
    types: dict[str, str] = {}
    helps: set[str] = set()
    values: dict[Sample, float] = {}
    for line in text[:-1].split("\n"):
        if line.startswith("# HELP "):
            _, _, name, _ = line.split(" ", 3)
            assert name not in helps
            helps.add(name)
        elif line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert kind in ("counter", "gauge", "histogram")
            assert name not in types
            assert name in helps
            types[name] = kind
        else:
            sample = _SAMPLE.fullmatch(line)
            assert sample, line
            name, labels, value = sample.groups()
            pairs, at = [], 0
            while labels and at < len(labels):
                found = _LABEL.match(labels, at)
                assert found, line
                plain = re.sub(r"\\(.)", lambda m: {"n": "\n"}.get(m[1], m[1]), found[2])
                pairs.append((found[1], plain))
                at = found.end()
            family = re.sub(r"_(bucket|sum|count)$", "", name)
            assert name in types or types[family] == "histogram", line
            key = (name, tuple(pairs))
            assert key not in values, line
            values[key] = float(value)
    return types, values


texts = st.text(st.characters(exclude_categories=["Cs"]))


@given(st.dictionaries(st.tuples(texts, texts), st.integers(1, 10**15), max_size=5))
def test_counts_of_any_labels_read_back(counts: dict[tuple[str, str], int]) -> None:
    counter = Counter("c_total", "Some \\ help\nof two lines.", ("one", "two"))
    for labels, count in counts.items():
        counter.add(*labels, by=count)
    _, values = parse("\n".join(counter.lines()) + "\n")
    assert values == {("c_total", (("one", a), ("two", b))): n for (a, b), n in counts.items()}


@given(st.lists(st.floats(0, 100), min_size=1))
def test_a_histogram_counts_what_is_at_most_each_bound(given_values: list[float]) -> None:
    bounds = (0.5, 1.0, 50.0)
    histogram = Histogram("h", "help", bounds, ("route",))
    for value in given_values:
        histogram.add(value, "/")
    _, values = parse("\n".join(histogram.lines()) + "\n")
    for bound in (*bounds, math.inf):
        shown = "+Inf" if bound == math.inf else f"{bound:g}"
        at_most = values["h_bucket", (("route", "/"), ("le", shown))]
        assert at_most == sum(value <= bound for value in given_values)
    assert values["h_count", (("route", "/"),)] == len(given_values)
    assert values["h_sum", (("route", "/"),)] == pytest.approx(math.fsum(given_values))


def test_a_gauge_is_what_it_was_given() -> None:
    assert gauge("g", "help", ("m",), {("x",): 3})[2:] == ['g{m="x"} 3']


def test_the_servers_metrics_agree_with_what_was_asked() -> None:
    with running() as server:
        body, headers = form(("a", png(1)), ("b", png(2)), ("c", png(3)))
        for _ in range(3):
            server.ask(body=body, headers=headers)
        server.ask(body=b"nothing")
        server.ask("/v1/models")
        server.ask("/somewhere/else")
        answer = server.ask("/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    types, values = parse(answer.body.decode())
    requests = {
        tuple(value for _, value in labels): count
        for (name, labels), count in values.items()
        if name == "simplecell_requests_total"
    }
    assert requests == {
        ("POST", "/v1/predict", "200"): 3,
        ("POST", "/v1/predict", "422"): 1,
        ("GET", "/v1/models", "200"): 1,
        ("GET", "other", "404"): 1,
    }
    assert types["simplecell_request_seconds"] == "histogram"
    by_route: dict[str, float] = defaultdict(float)
    for (_, route, _), count in requests.items():
        by_route[route] += count
    for route, count in by_route.items():
        assert values["simplecell_request_seconds_count", (("route", route),)] == count
    assert values["simplecell_pictures_total", (("model", "net"),)] == 9
    assert values["simplecell_batch_pictures_sum", (("model", "net"),)] == 10  # with the one that was none
    assert values["simplecell_queue_pictures", (("model", "net"),)] == 0
    info = (("model", "net"), ("task", "measure"), ("fingerprint", "ab" * 32))
    assert values["simplecell_model_info", info] == 1
