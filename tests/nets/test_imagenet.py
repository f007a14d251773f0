"""ImageNet's classes, against timm's list and the shared sample's."""

from __future__ import annotations

import csv
import io
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from simplecell.nets import imagenet


def test_there_are_a_thousand_names_and_none_stands_twice() -> None:
    assert len(imagenet.names()) == len(set(imagenet.names())) == 1000
    assert imagenet.names()[0] == "tench"
    assert imagenet.names()[999] == "toilet tissue"


def test_a_label_may_be_a_name_a_synonym_or_an_id() -> None:
    pytest.importorskip("timm")
    labels = ["n01440764", "n01440764_tench", "Great_White-Shark", "white shark", "crane", "crane bird", "x"]
    assert imagenet.places(labels) == [0, 0, 2, 2, 517, 134, None]


def test_an_id_of_another_class_is_none_and_no_prefix_of_one() -> None:
    pytest.importorskip("timm")
    assert imagenet.places(["n99999999", "n014407641"]) == [None, None]


def test_names_that_differ_in_a_capital_letter_are_told_apart() -> None:
    assert imagenet.places(["Cardigan", "cardigan"]) == [264, 474]
    assert imagenet.places(list(imagenet.names())) == list(range(1000))


def test_numbers_are_places_only_where_all_are() -> None:
    assert imagenet.places(["0", "999", "1000"]) == [0, 999, None]
    assert imagenet.places(["0", "tench"]) == [None, 0]


def test_names_are_known_without_timm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    monkeypatch.setitem(sys.modules, "timm.data", None)
    imagenet._wordnet.cache_clear()
    try:
        assert imagenet.places(["tench", "white shark", "n01440764"]) == [0, None, None]
    finally:
        imagenet._wordnet.cache_clear()


def test_each_class_of_the_sample_is_found_at_its_place(shared: Callable[[str], Path]) -> None:
    pytest.importorskip("timm")
    with tarfile.open(shared("imagenet-sample-1000") / "imagenet-sample-1000.tar") as archive:
        member = archive.extractfile("classes.csv")
        assert member is not None
        rows = list(csv.DictReader(io.TextIOWrapper(member)))
    labels = [f"{row['wnid']}_{row['name']}" for row in rows]
    assert imagenet.places(labels) == [int(row["index"]) for row in rows] == list(range(1000))


def test_classes_of_larger_sets_have_names_of_their_own() -> None:
    models = pytest.importorskip("timm.models")
    names = imagenet.class_names(models.get_pretrained_cfg("resnetv2_50x1_bit.goog_in21k"))
    assert names is not None
    assert len(names) == len(set(names)) == 21843
    assert imagenet.class_names(models.get_pretrained_cfg("vit_small_patch14_dinov2")) is None
