"""What the page of a classifier shows beside the general sections."""

from __future__ import annotations

import copy

import numpy as np
from torch import nn

from simplecell.report import classes, confusion, equals, filters, mistakes, reliability, suspects
from simplecell.report.answers import Answers, answers_of, pictures_of
from simplecell.report.evidence import Evidence
from simplecell.report.section import Section

#: Labels of so many training pictures are looked at too; answering more takes too long for a page.
_TRAINING = 5000


def sections(evidence: Evidence) -> list[Section]:
    """The sections of a task whose rows have "label" and "probabilities": of the test side, or of the
    validation side where there is no other."""
    names, splits = evidence.meaning["classes"], evidence.splits
    judged = next((side for side in ("test", "validation") if len(splits[side])), None)
    made = []
    if judged is not None:
        answers = _answers(evidence, judged)
        temperature = float(evidence.net.get_buffer("temperature"))
        made += [
            confusion.section(answers, names),
            classes.section(answers, names),
            reliability.section(answers, temperature, fitted=len(splits.validation) > 0),
            mistakes.section(answers, names, one_view(evidence.net), evidence.device),
        ]
        apart = {side: _answers(evidence, side) for side in ("test", "validation") if len(splits[side])}
        learnt = _answers(evidence, "train") if len(splits.train) <= _TRAINING else None
        made.append(suspects.section(apart, names, learnt))
    if leaks := evidence.data.get("leaks", {}):
        sides = {side: equals.Side(splits[side].ids, pictures_of(splits[side])) for side in ("train", *leaks)}
        made.append(equals.section(leaks, sides))
    example = splits.train.batch(np.arange(1))["picture"].to(evidence.device)
    return [*made, filters.section(one_view(evidence.net), example)]


def _answers(evidence: Evidence, side: str) -> Answers:
    return answers_of(evidence.splits[side], evidence.rows(side))


def one_view(net: nn.Module) -> nn.Module:
    """The net as it answers to the picture alone, where it otherwise answers to several views of it.

    Heat maps are of what a net saw last, and that would be a view that was mirrored or moved. Modules,
    parameters and buffers are shared.
    """
    if getattr(net, "views", 1) == 1:
        return net
    single = copy.copy(net)
    single.views = 1  # type: ignore[assignment]
    return single
