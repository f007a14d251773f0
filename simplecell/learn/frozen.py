"""A frozen body runs once for each picture; what it makes of it is kept, and the head learns on that."""

from __future__ import annotations

import copy
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from simplecell.data.addressed import Address
from simplecell.data.augment import Augmentation
from simplecell.data.batches import Batch, Examples, Splits
from simplecell.data.loading import in_order
from simplecell.errors import UserError
from simplecell.learn.evaluate import evaluating
from simplecell.learn.stages import Learn
from simplecell.nets.heads import last_layer
from simplecell.nets.normalising import Normalised

#: Evaluations in a stage that learns on features: each takes the whole body over the validation pictures.
_EVALUATIONS = 4


def freeze(net: nn.Module, head: Collection[str]) -> None:
    """Let only the parameters of these names in ``net.body`` learn in the stages that are made next.

    Raises UserError where there are none.
    """
    if not head:
        raise UserError(
            "no layer of the net depends on the number of classes: which to train is not known",
            where="--freeze",
            remedy="leave it out, or name a net that is built for so many classes",
        )
    for name, parameter in net.named_parameters():
        parameter.requires_grad_(name.removeprefix("body.") in head)


def layer_on_features(net: Normalised, head: Collection[str], splits: Splits) -> str | None:
    """The linear layer in ``net.body`` that can learn on what the rest makes of each picture once.

    head: the names of the parameters that learn.
    None where they are not those of a linear layer at the end, or pictures change from epoch to epoch.
    """
    chosen = Augmentation(**splits.facts["augmentation"])
    if chosen != Augmentation(flip=chosen.flip):
        return None
    picture = splits.train.batch(np.arange(1))["picture"].to(net.scale.device)
    with evaluating(net):
        return last_layer(net.body, head, net.normalise(picture))


def on_features(learn: Learn, net: Normalised, layer: str, *, mirrored: bool) -> Learn:
    """The stage on features of its stream's pictures: its loss finds "features" in a batch, and no "picture".

    layer: of ``layer_on_features``. mirrored: whether mirror images of the pictures are learnt from, too.
    """
    (stream,) = learn.streams
    source = stream.source
    features = replace(stream, source=lambda: FrozenFeatures(source(), net, layer, mirrored=mirrored))
    seldom = learn.patience is None  # patience counts epochs
    return replace(
        learn,
        streams=[features],
        evaluate_every=max(1, round(learn.epochs / _EVALUATIONS)) if seldom else 1,
    )


class FrozenFeatures:
    """Examples whose "features" are what the last layer of a net is given for the pictures of others.

    ``batch(indices, address)``: "id"; "label", int64, N; "features", float32, N × D. With an address each
    picture is mirrored in every other epoch, as augmentation does, where ``mirrored`` allows it.

    A picture goes through the body when it is first asked for. It goes alone, on one thread: so its features
    are the same to the last bit whatever order and batch it comes in, as exact resume wants it; and for small
    nets pictures side by side are the fastest way (EfficientNet-Lite0 at 224 px on two cores: 14 ms a
    picture, in batches of 64 on two threads 48).
    """

    def __init__(self, examples: Examples, net: Normalised, layer: str, *, mirrored: bool) -> None:
        """layer: the name of the linear layer in ``net.body`` that gives the net's answer."""
        self._examples, self._mirrored = examples, mirrored
        size = cast(nn.Linear, net.body.get_submodule(layer)).in_features
        # The loop changes the modes of the net's modules while this computes ahead of it: hence a copy.
        self._net = copy.deepcopy(net).eval().requires_grad_(False)
        self._net.body.set_submodule(layer, nn.Identity())
        self._features = np.empty((2 * len(examples), size), np.float32)
        self._known = np.zeros(2 * len(examples), bool)
        self._labels = np.empty(len(examples), np.int64)

    @property
    def ids(self) -> Sequence[str]:
        return self._examples.ids

    def __len__(self) -> int:
        return len(self._examples)

    def batch(self, indices: NDArray[np.int64], address: Address | None = None) -> Batch:
        """The examples at ``indices``; see the class."""
        places = 2 * indices
        if address is not None and self._mirrored:
            places = places + address.alternating("flip")
        self._compute(np.unique(places[~self._known[places]]))
        return {
            "id": [self.ids[index] for index in indices.tolist()],
            "label": torch.from_numpy(self._labels[indices]),
            "features": torch.from_numpy(self._features[places]),
        }

    def _compute(self, places: NDArray[np.int64]) -> None:
        """Fill in the features at ``places``: twice an example's index, and one more for its mirror image."""
        if not len(places):
            return
        rows = places // 2
        batch = self._examples.batch(rows)
        self._labels[rows] = batch["label"].numpy()
        pictures: Tensor = batch["picture"]
        device = next(self._net.buffers()).device

        def features(number: int) -> NDArray[np.float32]:
            picture = pictures[number : number + 1]
            with torch.inference_mode():
                turned = picture.flip(3) if places[number] % 2 else picture
                made: Tensor = self._net.body(self._net.normalise(turned.to(device)))
            found: NDArray[np.float32] = made[0].float().cpu().numpy()
            return found

        for place, found in zip(places, in_order(features, range(len(places))), strict=True):
            self._features[place] = found
        self._known[places] = True
