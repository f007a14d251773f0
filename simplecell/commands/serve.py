"""serve: trained nets behind HTTP, and the page on which a person asks them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simplecell.commands.opening import is_exported, is_published, open_net
from simplecell.errors import UserError
from simplecell.run import Run
from simplecell.serve.limits import Limits

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from simplecell.commands.opening import Opened
    from simplecell.predictions import Prediction
    from simplecell.serve.model import Model, Source

#: Where a token is looked for that no list of processes shows.
TOKEN = "SIMPLECELL_TOKEN"


def serve(
    named: Sequence[str],
    limits: Limits,
    *,
    host: str,
    port: int,
    token: str,
    cors: Sequence[str],
    device: str,
    threads: int,
) -> int:
    """Serve until told to stop. named: nets, or NAME=net."""
    from simplecell.serve.server import serve as run

    sources: dict[str, Source] = {}
    for word in named:
        source = source_of(word, device, threads)
        if source.name in sources:
            raise UserError(
                f"two nets are named {source.name}", where=word, remedy="name one of them, as in other=RUN"
            )
        sources[source.name] = source
    bearer = token or os.environ.get(TOKEN)
    return run(list(sources.values()), limits, host=host, port=port, token=bearer, cors=cors)


def source_of(word: str, device: str = "cpu", threads: int = 0) -> Source:
    """What a word of the command line stands for: a net, or NAME=net."""
    from simplecell.serve.model import Source

    name, sign, rest = word.partition("=")
    named = rest if sign and not Path(word).exists() else word
    if is_published(named):
        return Source(
            name if sign else named.partition(":")[2], None, partial(_named, named, device, threads)
        )
    path = Path(named)
    known = name if named is rest else path.resolve().stem
    if is_exported(named):
        return Source(known, path, partial(_exported, path, threads))
    file = Run.open(path).artefact if path.is_dir() else path
    if path.name == "model.safetensors" and known == path.stem:  # as all are called
        known = path.resolve().parent.name
    return Source(known, file, partial(_named, named, device, threads))


def _named(named: str, device: str, threads: int) -> Model:
    """A net that torch runs."""
    import torch

    from simplecell.serve.model import Model

    opened = open_net(named, device=device, threads=threads)
    net = opened.answering
    explain = getattr(opened.task, "explain", None)

    def answer(pairs: Sequence[tuple[str, NDArray[np.uint8]]], ask: Any) -> list[Prediction]:
        with torch.inference_mode():
            return list(opened.task.predict(net, opened.meaning, pairs, ask))

    return Model(
        task=opened.task_name,
        fingerprint=opened.fingerprint,
        about=_about(opened),
        ask=opened.task.Ask,
        answer=answer,
        show=partial(explain, net, opened.meaning) if explain else None,
    )


def _about(opened: Opened) -> dict[str, Any]:
    told: dict[str, Any] = {}
    if "classes" in opened.meaning:
        told["classes"] = list(opened.meaning["classes"])
    if "geometry" in opened.meaning:
        told["input"] = {"fit": dict(opened.meaning["geometry"])}
    return told


def _exported(path: Path, threads: int) -> Model:
    """A net that ONNX Runtime runs; torch is not loaded."""
    from simplecell.export.described import read_description
    from simplecell.export.session import Halves, answers, as_asked
    from simplecell.predictions import ANSWERS
    from simplecell.serve.model import Model

    said = read_description(path)
    halves = Halves(path, threads)

    def answer(pairs: Sequence[tuple[str, NDArray[np.uint8]]], ask: Any) -> Sequence[Prediction]:
        fitted = halves.fitted([as_asked(picture, ask) for _, picture in pairs])
        return answers(said, [name for name, _ in pairs], halves.answer(fitted), ask)

    return Model(
        task=said.task,
        fingerprint=said.fingerprint,
        about={**said.about, "input": said.input},
        ask=ANSWERS[said.answer].ask,
        answer=answer,
    )
