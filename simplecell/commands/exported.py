"""An exported net in the place of the net it came from, so that a task measures it with its own figures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from simplecell.export.session import Halves


class StandIn(nn.Module):
    """Gives for fitted pictures, uint8 N, C, h, w, what the net gave, as far as the file tells it.

    meaning: the task's ``exported``, from outputs by name to what its net gives.
    """

    device: Tensor

    def __init__(self, path: Path, meaning: Callable[[Mapping[str, Tensor]], Any], threads: int = 0) -> None:
        super().__init__()
        self._halves = Halves(path, threads)
        self._meaning = meaning
        self.register_buffer("device", torch.empty(0), persistent=False)  # tasks look for it in a buffer

    def forward(self, picture: Tensor) -> Any:
        fitted = picture.numpy()
        outputs = self._halves.answer(fitted)
        return self._meaning({name: torch.from_numpy(each) for name, each in outputs.items()})
