"""What TensorBoard shows of a training: scalars, training pictures as augmented, the net, its filters.

TensorBoard is an extra: where it is absent nothing of this is used.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from simplecell.data.addressed import Address, key
from simplecell.data.batches import Examples
from simplecell.nets.filters import filters, first_layer, sheet
from simplecell.nets.modes import eval_mode

#: Training pictures on the sheet and in its rows; filters on theirs and in its rows, and pixels of a weight.
_PICTURES, _ROW = 32, 8
_FILTERS, _FILTER_ROW, _ENLARGED = 96, 16, 8


def installed() -> bool:
    """Whether TensorBoard is there."""
    return importlib.util.find_spec("tensorboard") is not None


class Events:
    """The event file of one training in a folder."""

    def __init__(self, folder: Path) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer: Any = SummaryWriter(str(folder))
        self._name = str(folder / "events.out.tfevents")

    def close(self) -> None:
        """Write what is left."""
        with self._named():
            self._writer.close()

    @contextmanager
    def _named(self) -> Iterator[None]:
        """Within, a full disk names the file."""
        try:
            yield
        except OSError as error:
            error.filename = error.filename or self._name
            raise

    def scalars(self, line: Mapping[str, Any]) -> None:
        """The numbers of a line of the journal, as ``stage/train|validation|rate/name``."""
        for kind in ("train", "validation", "rate"):
            for name, value in line.get(kind, {}).items():
                with self._named():
                    self._writer.add_scalar(f"{line['stage']}/{kind}/{name}", value, line["step"])

    def beginning(self, net: nn.Module, examples: Examples, seed: int) -> None:
        """Training pictures as they are augmented, and the net as a graph, where the examples are pictures.

        Neither the net nor any random number is changed.
        """
        rows = np.arange(min(_PICTURES, len(examples)))
        address = Address(key(seed, "shown"), 0, rows, rows)
        pictures = _pictures(examples.batch(rows, address))
        if pictures is not None:
            self._show("pictures/augmented", pictures, _ROW, 1)
            self._graph(net, _on_device(net, examples.batch(rows[:1])["picture"]))

    def ending(self, net: nn.Module, examples: Examples) -> None:
        """The filters of the first layer, where it is a convolution on the picture."""
        batch = examples.batch(np.arange(1))
        if _pictures(batch) is None:
            return
        with eval_mode(net):
            found = filters(first_layer(net, _on_device(net, batch["picture"])))
        if found is not None:
            self._show("filters/first layer", found[:_FILTERS], _FILTER_ROW, _ENLARGED)

    def _show(self, name: str, pictures: NDArray[np.uint8], columns: int, scale: int) -> None:
        made = sheet(pictures, min(columns, len(pictures)), scale)
        with self._named():
            self._writer.add_image(name, made, 0, dataformats="HWC")

    def _graph(self, net: nn.Module, picture: Tensor) -> None:
        # Tracing warns of branches that the picture's size decides, prints what it cannot trace, and raises
        # a RuntimeError or whatever the net itself raises. A graph is worth none of it.
        quiet = contextlib.redirect_stdout(io.StringIO())
        with warnings.catch_warnings(), quiet, contextlib.suppress(Exception):
            warnings.simplefilter("ignore")
            with eval_mode(net), torch.no_grad():
                self._writer.add_graph(net, picture)


def _pictures(batch: Mapping[str, Any]) -> NDArray[np.uint8] | None:
    """uint8 N, H, W, C, where the batch has such pictures, grey or in colour."""
    picture = batch.get("picture")
    if not isinstance(picture, Tensor) or picture.dtype != torch.uint8 or picture.dim() != 4:
        return None
    return picture.permute(0, 2, 3, 1).cpu().numpy() if picture.shape[1] in (1, 3) else None


def _on_device(net: nn.Module, picture: Tensor) -> Tensor:
    tensor = next(chain(net.parameters(), net.buffers()), picture)
    return picture.to(tensor.device)
