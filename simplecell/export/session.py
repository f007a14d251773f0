"""An exported net, opened by ONNX Runtime: it answers without torch and without its task."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simplecell.data.geometry import Geometry
from simplecell.errors import UserError, unreadable
from simplecell.export.described import FITTED, PICTURE, Description, read_description
from simplecell.own_code import one_line
from simplecell.predictions import ANSWERS, Prediction

_CHUNK = 16
#: Bytes of a file below which a second thread costs more than it does: MNIST's net of 0.4 MB takes 0.9 ms for
#: 64 digits in whole numbers on one thread, 1.1 to 1.5 on two.
_SMALL = 1_000_000
Picture = NDArray[np.uint8]
Outputs = dict[str, NDArray[Any]]


class Session:
    """A model that ONNX Runtime runs on the processor, without a word of its own.

    content: the file's. where: how a sentence names it. threads: 0 is one a physical core, and one alone for
    a small net.
    inputs, outputs: names.
    Raises UserError where ONNX Runtime is not installed, or cannot open the model.
    """

    def __init__(self, content: bytes, where: str, threads: int = 0) -> None:
        runtime = import_runtime()
        options = runtime.SessionOptions()
        options.log_severity_level = 4
        small = not threads and len(content) < _SMALL
        options.intra_op_num_threads = 1 if small else threads
        # Threads that wait by spinning are in the way of a server's others, and alone gain nothing.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._where = where
        try:
            self._opened = runtime.InferenceSession(
                content, options, providers=["CPUExecutionProvider"], enable_fallback=0
            )
        except Exception as error:  # its errors have no common class
            raise self._told("open", error) from None
        self.inputs = [each.name for each in self._opened.get_inputs()]
        self.outputs = [each.name for each in self._opened.get_outputs()]

    def run(self, given: Mapping[str, NDArray[Any]]) -> Outputs:
        """All outputs by name. Raises UserError where the model cannot take what is given."""
        try:
            values = self._opened.run(self.outputs, dict(given))
        except Exception as error:
            raise self._told("run", error) from None
        return dict(zip(self.outputs, values, strict=True))

    def _told(self, verb: str, error: Exception) -> UserError:
        what = f"ONNX Runtime cannot {verb} it ({one_line(error)[:200]})"
        return UserError(what, where=self._where, remedy="export it again")


class Exported:
    """A file of ``simplecell export --to onnx``.

    Raises UserError where ONNX Runtime is not installed or the file is not such a net.
    """

    def __init__(self, path: Path, threads: int = 0) -> None:
        self.description = read_description(path)
        self._whole = Session(_content(path), str(path), threads)
        if self._whole.inputs != [PICTURE]:
            raise UserError("it takes no picture", where=path, remedy="export it again")

    def predict(self, inputs: Iterable[tuple[str, Picture]], ask: Any) -> Iterator[Prediction]:
        """Answers for (path, picture: uint8 H, W, 1 or 3), in order."""
        waiting = iter(inputs)
        while chunk := list(islice(waiting, _CHUNK)):
            outputs = self.outputs([as_asked(picture, ask) for _, picture in chunk])
            yield from answers(self.description, [path for path, _ in chunk], outputs, ask)

    def outputs(self, pictures: Sequence[Picture]) -> Outputs:
        """What the net gives for pictures of any sizes, by name, N first; neighbours of one size together."""
        parts = [self._whole.run({PICTURE: batch}) for batch in _of_one_size(pictures)]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


class Halves:
    """An exported net in two: what fits whole pictures, and what answers fitted ones.

    So pictures of all sizes run through the net in one batch. The cut needs the library onnx.
    """

    def __init__(self, path: Path, threads: int = 0) -> None:
        self._geometry = Geometry.from_json(read_description(path).geometry)
        fit, net = _cut(_content(path), str(path))
        self._fit, self._net = Session(fit, str(path), threads), Session(net, str(path), threads)

    def fit(self, pictures: Sequence[Picture]) -> Picture:
        """Whole pictures, each uint8 H, W, 1 or 3, as fitted ones: uint8 N, C, h, w."""
        parts = [self._fit.run({PICTURE: batch})[FITTED] for batch in _of_one_size(pictures)]
        return np.concatenate(parts)

    def fitted(self, pictures: Sequence[Picture]) -> Picture:
        """As ``fit``; where all fit already, sooner."""
        if all(self._geometry.keeps(*picture.shape) for picture in pictures):
            return np.stack(pictures).transpose(0, 3, 1, 2)
        return self.fit(pictures)

    def answer(self, fitted: Picture) -> Outputs:
        """What the net gives for fitted pictures, uint8 N, C, h, w, by name."""
        return self._net.run({FITTED: fitted})


def library(name: str, title: str = "") -> Any:
    """A library of the extra [export]; a UserError says how to install it."""
    try:
        return importlib.import_module(name)
    except ImportError:
        what = f"{title or f'the library {name}'} is not installed"
        raise UserError(what, remedy="install it with `pip install simplecell[export]`") from None


def import_runtime() -> Any:
    """The library onnxruntime."""
    return library("onnxruntime", "ONNX Runtime")


def _cut(content: bytes, where: str) -> tuple[bytes, bytes]:
    """A model as two: from whole pictures to fitted ones, and from there to its outputs."""
    onnx, utils = library("onnx"), library("onnx.utils")
    try:
        model = onnx.load_from_string(content)
        cutter = utils.Extractor(model)
        outputs = [each.name for each in model.graph.output]
        halves = [cutter.extract_model(*ends) for ends in (([PICTURE], [FITTED]), ([FITTED], outputs))]
    except Exception as error:  # whatever onnx finds wrong with a foreign file
        what = f"it has no two halves ({one_line(error)[:200]})"
        raise UserError(what, where=where, remedy="export it again") from None
    fit, net = (bytes(half.SerializeToString()) for half in halves)
    return fit, net


def _of_one_size(pictures: Sequence[Picture]) -> Iterator[Picture]:
    """Neighbours of one size together, in colour: uint8 N, H, W, 3."""
    start = 0
    for end in range(1, len(pictures) + 1):
        if end == len(pictures) or pictures[end].shape != pictures[start].shape:
            batch = np.stack(pictures[start:end])
            yield batch if batch.shape[3] == 3 else np.repeat(batch, 3, axis=3)
            start = end


def answers(said: Description, paths: Sequence[str], outputs: Outputs, ask: Any) -> Sequence[Prediction]:
    """The predictions that outputs (N first) of a file mean."""
    return ANSWERS[said.answer].make(paths, outputs, said.about, ask)


def as_asked(picture: Picture, ask: Any) -> Picture:
    """The picture as the net is to see it: where ``ask`` says so, ink as light on black."""
    if getattr(ask, "ink", False):
        from simplecell.data.ink import ink

        return ink(picture)
    return picture


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise unreadable(path, error) from None
