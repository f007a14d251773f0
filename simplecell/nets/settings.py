"""The settings of nets: what chapter 3 varies, the same for every net that has them."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal

from simplecell.settings import Auto, setting

Activation = Literal["sigmoid", "tanh", "relu", "leaky", "elu", "gelu", "silu"]
Order = Literal["conv-bn-act", "conv-act-bn", "bn-act-conv"]
Init = Literal["xavier", "he", "truncated-normal", "lsuv"]


@dataclass(frozen=True)
class NetSettings:
    """How a net is built. "auto" is the net's own choice; a net refuses what it does not have."""

    depth: int | Auto = setting("auto", "convolutions of the book's nets, hidden layers of dense", at_least=1)
    width: int | Auto = setting("auto", "maps of the first convolution, units of dense", at_least=1)
    activation: Activation | Auto = setting("auto", "what follows each hidden layer")
    batch_norm: bool | Auto = setting("auto", "batch normalisation of each hidden layer")
    dropout: float | Auto = setting(
        "auto", "share of units that a step leaves out before the last layer", at_least=0, at_most=0.95
    )
    order: Order | Auto = setting("auto", "of a convolution, its norm and its activation")
    init: Init | Auto = setting("auto", "first weights, of any net; lsuv looks at a batch of pictures")


@dataclass(frozen=True)
class WeightSettings:
    """What the weights of a net are to begin with, and which of them learn."""

    weights: str = setting(
        "auto",
        "none, imagenet, another name that torchvision or timm has for them, a file, or a run; auto is "
        "imagenet for nets of timm and torchvision, none for others",
        place=True,
    )
    weights_sha256: str = setting("", "refuse weights whose file has another sha256")
    freeze: bool = setting(False, "only the last layer learns; the rest keeps the weights that were given")


#: What a net's class calls the setting, where that is another name: "width" is the picture's there.
KEYWORDS = {"width": "base"}


def chosen(settings: NetSettings) -> dict[str, Any]:
    """What is not "auto", as keywords of ``simplecell.nets.build``."""
    return {
        KEYWORDS.get(name, name): value
        for name, value in dataclasses.asdict(settings).items()
        if value != "auto"
    }
