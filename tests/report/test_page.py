"""The page: valid, escaped, offline, and locked against what was not put into it."""

from __future__ import annotations

import base64
import hashlib
import re
import sys
from pathlib import Path

import pytest
from markupsafe import Markup

from simplecell.report.evidence import Record
from simplecell.report.general import live_page, report_page
from simplecell.report.page import render
from simplecell.report.section import Section

sys.path.insert(0, str(Path(__file__).parent))

from pages import Page, record, requests

EVIL = "<script>alert(1)</script>"


def page_of(*sections: Section) -> str:
    return render(title="t", kind="k", heading="h", about="a", hero=Markup(""), sections=sections)


def policy(text: str) -> dict[str, str]:
    (content,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', text)
    rules = [rule.strip().partition(" ") for rule in content.replace("&#39;", "'").split(";")]
    return {name: allowed for name, _, allowed in rules}


EMPTY = {"data": {}, "meaning": {}, "environment": {}, "journal": [], "figures": {}, "cost": {}}


@pytest.mark.parametrize(
    "made",
    [record(), record(**EMPTY), record(headline=("", "max")), record(fields={}, asked={})],
    ids=["whole", "nothing known", "no headline", "no task"],
)
def test_a_report_has_no_fault(made: Record) -> None:
    assert Page(report_page(made)).faults == []
    assert Page(live_page(made, "Waiting.")).faults == []


def test_the_reader_of_these_tests_finds_faults() -> None:
    bad = "<h1>a</h1><h3 id=x onclick=y>b</h3><p id=x><img><table><th></table><a href='#z'></a></div>"
    faults = " ".join(Page(bad).faults)
    for fault in (
        "h3 follows h1",
        "id x",
        "onclick",
        "no alt",
        "no scope",
        "#z",
        "stay open",
        "</table> ends",
    ):
        assert fault in faults


def test_a_report_fetches_nothing() -> None:
    assert requests(report_page(record())) == []
    assert requests('<img src="https://a/b.png"><link href="c.css"><style>a { b: url("d") }</style>') == [
        "https://a/b.png",
        "c.css",
        "d",
    ]


def test_the_policy_allows_no_request_at_all() -> None:
    rules = policy(report_page(record()))
    assert rules["default-src"] == "'none'"
    assert rules["img-src"] == "data:"
    assert "connect-src" not in rules
    assert policy(live_page(record(), ""))["connect-src"] == "'self'"


def test_the_policy_allows_the_scripts_of_the_page_and_no_other() -> None:
    text = page_of(Section("a", "A", Markup("<script>evil()</script>"), script="let a = 1;"))
    allowed = policy(text)["script-src"].split()
    digests = [
        "'sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() + "'"
        for script in Page(text).scripts
    ]
    assert set(allowed) < set(digests)
    assert len(digests) == len(allowed) + 1  # the one that a section should not have had


def test_names_from_outside_are_escaped() -> None:
    made = record(
        path=Path("/runs") / EVIL.replace("/", "-"),
        settings={"data": EVIL, "net": EVIL, EVIL: EVIL},
        meaning={"classes": [EVIL, "b"]},
        environment={EVIL: EVIL, "versions": {EVIL: EVIL}},
        figures={"accuracy": {"value": 0.5, "low": 0.4, "high": 0.6}, EVIL: {"value": 1.0}},
        journal=[
            {"stage": EVIL, "epoch": 1.0, "train": {EVIL: 1.0}, "validation": {EVIL: 1.0}},
            {"stage": "b", "epoch": 1.0, "fitted": EVIL},
        ],
        data={
            "counts": {EVIL: 3},
            "notes": [EVIL],
            "format": EVIL,
            "digest": EVIL,
            "augmentation_reason": EVIL,
            "broken": {EVIL: {"count": 1, "first": [[EVIL, EVIL, EVIL]]}},
        },
    )
    for text in (report_page(made), live_page(made, EVIL)):
        page = Page(text)
        assert page.faults == []
        assert not any("alert" in script for script in page.scripts)
        assert EVIL in page.text  # it is told, as it is
        assert "<script>alert" not in text


def test_two_sections_cannot_have_one_anchor() -> None:
    section = Section("a", "A", Markup(""))
    with pytest.raises(ValueError, match="anchor"):
        page_of(section, section)


def test_style_and_script_of_a_kind_of_section_stand_on_the_page_once() -> None:
    parts = {"style": ".mine { color: red }", "script": "mine();"}
    text = page_of(Section("a", "A", Markup(""), **parts), Section("b", "B", Markup(""), **parts))
    assert text.count(".mine {") == 1
    assert text.count("mine();") == 1


def test_contents_lead_to_every_section_and_landmarks_are_there() -> None:
    page = Page(report_page(record(), [Section("mine", "My own", Markup("<p>words</p>"), lead="A lead.")]))
    links = [value for tag, name, value in page.attributes if (tag, name) == ("a", "href")]
    assert links[0] == "#content"
    assert links[1:] == ["#figures", "#data", "#training", "#mine", "#cost", "#settings", "#environment"]
    assert {"header", "nav", "main", "footer"} <= {tag for tag, *_ in page.attributes} | {"footer", "main"}
    assert "A lead." in page.text


def test_equal_records_make_equal_pages() -> None:
    assert report_page(record()) == report_page(record())
