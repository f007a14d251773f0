"""The classes of ImageNet: their names, and what else a label may call them.

Russakovsky et al.: ImageNet Large Scale Visual Recognition Challenge, IJCV 115, 2015. The names are those
that torchvision has with its weights; WordNet's ids and synonyms are timm's.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

_WORDNET = re.compile(r"n\d{8}(?!\d)")


@cache
def names() -> tuple[str, ...]:
    """The 1,000 classes of the challenge in the order of their WordNet ids; no name stands twice."""
    from torchvision.models import ResNet18_Weights

    return tuple(ResNet18_Weights.DEFAULT.meta["categories"])


def class_names(configuration: Any) -> tuple[str, ...] | None:
    """The classes of a net of timm by its ``PretrainedCfg``; None where they are not ImageNet's."""
    from timm.data import ImageNetInfo, infer_imagenet_subset

    if configuration.num_classes == len(names()):
        return names()
    subset = infer_imagenet_subset(configuration.to_dict())
    if subset is None:
        return None
    info = ImageNetInfo(subset)
    ids = [info.index_to_label_name(k) for k in range(info.num_classes())]
    first = [_synonyms(info.label_name_to_description(each))[0] for each in ids]
    counts = Counter(first)
    return tuple(
        f"{name} ({wordnet})" if counts[name] > 1 else name for name, wordnet in zip(first, ids, strict=True)
    )


def places(labels: Sequence[str]) -> list[int | None]:
    """Which of ``names`` each label means; None where none, or more than one, is meant.

    A label may be the name, one of its synonyms in WordNet, or begin with the WordNet id
    ("n01440764_tench"); small and capital letters, spaces, hyphens and underscores are alike where no name is
    just so (a Cardigan is a dog, a cardigan is worn). Where all labels are numbers they are the places
    themselves. Ids and synonyms are known where timm is installed.
    """
    if all(label.isascii() and label.isdecimal() for label in labels):
        numbers = [int(label) for label in labels]
        return [number if number < len(names()) else None for number in numbers]
    by_id, by_name = _wordnet()
    found: list[int | None] = []
    for label in labels:
        wordnet = _WORDNET.match(label)
        found.append(by_id.get(wordnet[0]) if wordnet else by_name.get(label, by_name.get(_plain(label))))
    return found


@cache
def _wordnet() -> tuple[dict[str, int], dict[str, int]]:
    """The place of each WordNet id, and of each name and unambiguous synonym."""
    by_name = {name: place for place, name in enumerate(names())}
    by_name |= _clear([(_plain(name), place) for name, place in by_name.items()], by_name)
    try:
        from timm.data import ImageNetInfo
    except ImportError:
        return {}, by_name
    info = ImageNetInfo()
    synonyms = [
        (_plain(synonym), place)
        for place in range(len(names()))
        for synonym in _synonyms(info.index_to_description(place))
    ]
    by_id = {info.index_to_label_name(place): place for place in range(len(names()))}
    return by_id, by_name | _clear(synonyms, by_name)


def _clear(words: Sequence[tuple[str, int]], taken: Mapping[str, int]) -> dict[str, int]:
    """Those of the words that mean one place, and are not taken."""
    meant: dict[str, set[int]] = {}
    for word, place in words:
        meant.setdefault(word, set()).add(place)
    return {word: min(which) for word, which in meant.items() if len(which) == 1 and word not in taken}


def _synonyms(description: str) -> list[str]:
    return description.split(", ")


def _plain(label: str) -> str:
    return " ".join(label.casefold().replace("_", " ").replace("-", " ").split())
