"""The API's description: valid, and true of what the server takes and tells."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import pytest

from tests.serve.serving import Answer, Running, form, png, running, source


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with running(source(), source(name="<b>other</b>")) as started:
        yield started


@pytest.fixture(scope="module")
def document(server: Running) -> Any:
    answer = server.ask("/openapi.json")
    assert answer.status == 200
    return answer.json


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if "$ref" in value:
            yield value["$ref"]
        for each in value.values():
            yield from references(each)
    elif isinstance(value, list):
        for each in value:
            yield from references(each)


def holds(schema: Any, value: Any, document: Any) -> None:
    """A small reader of the parts of JSON Schema that the description uses. Fails on others."""
    if "$ref" in schema:
        holds(document["components"]["schemas"][schema["$ref"].rpartition("/")[2]], value, document)
        return
    known = {"type", "title", "description", "default", "required", "properties", "items", "anyOf", "enum"}
    assert schema.keys() <= known | {"additionalProperties", "format", "minimum", "maximum"}, schema
    kinds = {
        "object": dict,
        "array": list,
        "string": str,
        "integer": int,
        "number": (int, float),
        "boolean": bool,
        "null": type(None),
    }
    if "type" in schema:
        names = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        assert any(isinstance(value, kinds[name]) for name in names), (schema, value)
    if "anyOf" in schema:
        fitting = []
        for each in schema["anyOf"]:
            try:
                holds(each, value, document)
                fitting.append(each)
            except AssertionError:
                continue
        assert fitting, (schema, value)
    if isinstance(value, dict):
        assert set(schema.get("required", [])) <= value.keys()
        for name, each in schema.get("properties", {}).items():
            if name in value:
                holds(each, value[name], document)
    if isinstance(value, list) and "items" in schema:
        for each in value:
            holds(schema["items"], each, document)


def check(document: Any, path: str, method: str, answer: Answer) -> None:
    """The answer is one of those that the description has, in type and shape."""
    told = document["paths"][path][method]["responses"][str(answer.status)]["content"]
    kind = answer.headers["content-type"].partition(";")[0]
    holds(told[kind]["schema"], answer.json if "json" in kind else answer.body.decode(), document)


def test_it_has_the_form_of_openapi_3_1(document: Any) -> None:
    assert re.fullmatch(r"3\.1\.\d", document["openapi"])
    assert document["info"].keys() >= {"title", "version"}
    identifiers = []
    for path, operations in document["paths"].items():
        assert path.startswith("/")
        for method, operation in operations.items():
            assert method in ("get", "post")
            assert operation["responses"]
            identifiers.append(operation["operationId"])
            for response in operation["responses"].values():
                assert response["description"]
            names = [parameter["name"] for parameter in operation.get("parameters", [])]
            assert len(set(names)) == len(names)
            for parameter in operation.get("parameters", []):
                assert parameter["in"] == "query"
                assert parameter["schema"]
    assert len(set(identifiers)) == len(identifiers)
    for reference in references(document):
        _, part, section, key = reference.split("/")
        assert key in document[part][section]


def test_it_names_every_address_that_is_meant_for_programs(document: Any) -> None:
    assert set(document["paths"]) == {"/v1/predict", "/v1/models", "/healthz", "/readyz", "/metrics"}


def test_its_options_are_those_of_the_nets(document: Any) -> None:
    told = {p["name"]: p for p in document["paths"]["/v1/predict"]["post"]["parameters"]}
    assert told.keys() == {"model", "show", "plus", "double"}
    assert told["model"]["schema"]["enum"] == ["net", "<b>other</b>"]
    assert told["model"]["required"] is True
    plus = told["plus"]["schema"]["anyOf"][0]
    assert (plus["type"], plus["minimum"], plus["maximum"], plus["default"]) == ("integer", 0, 1000, 0)


def test_answers_are_as_it_tells(server: Running, document: Any) -> None:
    query = "/v1/predict?model=net"
    body, headers = form(("a.png", png(1)), ("b.png", png(2)))
    answers = [
        server.ask(query, png(1)),
        server.ask(query, body, headers),
        server.ask(f"{query}&show=true", png(1)),
        server.ask("/v1/predict", png(1)),
        server.ask("/v1/predict?model=none", png(1)),
        server.ask(query, b"none"),
        server.ask(query, b"{}", {"Content-Type": "application/json"}),
        server.ask(query, png(1), {"Sec-Fetch-Site": "cross-site"}),
    ]
    assert [answer.status for answer in answers] == [200, 200, 200, 400, 404, 422, 415, 403]
    for answer in answers:
        check(document, "/v1/predict", "post", answer)
    for path in ("/v1/models", "/healthz", "/readyz", "/metrics"):
        check(document, path, "get", server.ask(path))


class Links(HTMLParser):
    """What a page would ask for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.asked += [str(v) for k, v in attributes if k in ("src", "href", "action", "data") and v]


def test_the_page_of_it_asks_nobody_for_anything(server: Running) -> None:
    answer = server.ask("/docs")
    page = answer.body.decode()
    links = Links()
    links.feed(page)
    assert links.asked == ["openapi.json"]
    assert not links.tags & {"script", "link", "img", "iframe", "b"}
    assert "url(" not in page
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "unsafe" not in answer.headers["content-security-policy"]
    for told in ("POST /v1/predict", "GET /v1/models", "plus", "double", "Retry-After"):
        assert told in page
