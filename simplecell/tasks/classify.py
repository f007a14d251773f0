"""Which class is in the picture: settings, data, net, loss, stage, figures, predictions."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar, Literal, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from simplecell import nets
from simplecell.data.augment import Augmentation
from simplecell.data.batches import Batch, Examples, Splits, spread
from simplecell.data.choosing import choose_augmentation, choose_geometry
from simplecell.data.geometry import Geometry
from simplecell.data.ink import ink
from simplecell.data.loading import PictureExamples
from simplecell.data.prepare import prepare_one, prepare_splits
from simplecell.data.settings import AugmentSettings, PictureSettings
from simplecell.data.sources import Source, Table, check_trainable, read_source
from simplecell.data.splits import divide
from simplecell.errors import UserError
from simplecell.export.exportable import Exportable
from simplecell.learn import pretrained
from simplecell.learn.frozen import freeze, layer_on_features, on_features
from simplecell.learn.losses import balancing_weights, cross_entropy
from simplecell.learn.settings import Machine, Training
from simplecell.learn.stages import At, Fit, Stage, Terms
from simplecell.learn.temperature import temperature
from simplecell.learn.usual import one_update, settled
from simplecell.metrics import classification
from simplecell.metrics.intervals import Figure
from simplecell.nets import imagenet
from simplecell.nets.heads import head_of
from simplecell.nets.init import lsuv
from simplecell.nets.normalising import Normalised
from simplecell.nets.pretrained import Pretrained, choose
from simplecell.nets.settings import NetSettings, WeightSettings, chosen
from simplecell.predictions import ClassAsk, ClassPrediction, class_predictions
from simplecell.report import classified
from simplecell.report.evidence import Evidence
from simplecell.report.saliency import grad_cam
from simplecell.report.section import Section
from simplecell.report.thumbnails import blend
from simplecell.settings import setting
from simplecell.telling import tell

_PREDICT_BATCH = 64
#: Pictures that a net is initialised with.
_SAMPLE = 5000
#: What the losses of auxiliary heads count for (Szegedy et al. 2015).
_AUXILIARY = 0.3


@dataclass(frozen=True)
class Classify:
    """Train a net to tell which class is in a picture."""

    data: str = setting("", "folder, table, archive or MNIST's files", place=True)
    net: str = setting(
        "auto", "small, first-cnn, resnet50 and others, timm:NAME, torchvision:NAME, or my.py:build"
    )
    smoothing: float = setting(0.1, "label smoothing", at_least=0, at_most=0.9)
    views: Literal[1, 2, 6] = setting(
        1, "answers are the mean over the picture, its mirror (2), and both moved by a pixel (6)"
    )
    shape: NetSettings = NetSettings()
    start: WeightSettings = WeightSettings()
    pictures: PictureSettings = PictureSettings()
    augmentation: AugmentSettings = AugmentSettings()
    training: Training = Training()
    machine: Machine = Machine()

    Ask: ClassVar[type] = ClassAsk
    headline: ClassVar[tuple[str, str]] = ("accuracy", "max")

    # ---- data

    def load(self) -> Splits:
        """Read, divide and prepare the pictures; choose size and augmentation where they are "auto"."""
        found = self._weights()
        wanted = None if found is None else found.preprocessing
        asked = self.pictures if wanted is None else pretrained.as_trained(self.pictures, wanted)
        source = read_source(Path(self.data), asked.format)
        check_trainable(source)
        tables, facts = divide(
            source, validation=asked.validation, test=asked.test, group=asked.group, test_last=asked.test_last
        )
        geometry = choose_geometry(asked, tables["train"], self.data)
        if wanted is not None:
            geometry = dataclasses.replace(geometry, margin=wanted.margin, filter=wanted.filter)
        augmentation, why = choose_augmentation(
            self.augmentation, geometry, source.classes, len(tables["train"])
        )
        if self.start.freeze and self.augmentation == AugmentSettings():
            augmentation = Augmentation(flip=augmentation.flip)
            why = f"{'mirrored' if augmentation.flip else 'none'}, so that the frozen body runs but once"
        examples, prepared = prepare_splits(
            tables,
            set(facts["made"]),
            geometry,
            augmentation,
            skip_broken=asked.skip_broken,
            drop_leaks=asked.drop_leaks,
            tell=partial(tell, "pictures"),
        )
        meaning = {
            "classes": list(source.classes),
            "geometry": geometry.to_json(),
            "mean": prepared["mean"] if wanted is None else list(wanted.mean),
            "deviation": prepared["deviation"] if wanted is None else list(wanted.deviation),
        }
        notes = [*source.notes, *pretrained.told(found, source.classes)]
        told = {"augmentation": dataclasses.asdict(augmentation), "augmentation_reason": why}
        others = {name: e for name, e in examples.items() if name not in ("train", "validation", "test")}
        return Splits(
            examples["train"],
            examples["validation"],
            examples["test"],
            meaning,
            {"format": source.format, "notes": notes, **facts, **prepared, **told},
            others,
        )

    def open(self, data: str, meaning: Mapping[str, Any]) -> Examples:
        """The test side of other data, or all of them, labelled with the net's classes."""
        source = read_source(Path(data), self.pictures.format)
        name = next(side for side in ("test", "all", "validation", "train") if side in source.tables)
        table = _relabelled(source, source.tables[name], meaning["classes"])
        geometry = Geometry.from_json(meaning["geometry"])
        skip = self.pictures.skip_broken
        return prepare_one(table, geometry, skip_broken=skip, tell=partial(tell, "pictures"))

    # ---- settings that depend on the data

    def settle(self, splits: Splits) -> Classify:
        """Choose net, batch size, epochs, optimiser, rate and decay where they are "auto"."""
        chosen = splits.facts["augmentation"]
        augmentation = dataclasses.replace(
            self.augmentation,
            **{key: value for key, value in chosen.items() if hasattr(self.augmentation, key)},
        )
        geometry = Geometry.from_json(splits.meaning["geometry"])
        net = nets.default(geometry.height, geometry.width) if self.net == "auto" else self.net
        found: dict[str, Any] = {"size": geometry.height, "fit": geometry.how, "channels": geometry.channels}
        pictures = dataclasses.replace(self.pictures, **found)
        start, normalised = self.start, nets.normalised(net, self.shape)
        if (weights := self._weights()) is not None:
            _, digits = pretrained.identify(weights, start.weights_sha256)
            start = dataclasses.replace(start, weights=weights.name, weights_sha256=digits)
            normalised = start.freeze  # a new head bears the whole rate; what was learnt keeps a tenth better
        training = settled(self.training, len(splits.train), normalised=normalised)
        return dataclasses.replace(
            self, net=net, start=start, pictures=pictures, augmentation=augmentation, training=training
        )

    def _weights(self) -> Pretrained | None:
        """The weights that the net begins with, if they are not random."""
        found = choose(self.net, self.start.weights)
        if found is None and self.start.freeze:
            raise UserError(
                "it would keep a body that has learnt nothing",
                where="--freeze",
                remedy="name its weights by --weights, or leave --freeze out",
            )
        return found

    # ---- net, loss, stage

    def build(self, meaning: Mapping[str, Any]) -> nn.Module:
        """The named net behind its normalisation."""
        body = nets.build(self.net, **_logits(meaning), **chosen(self.shape))
        return Normalised(body, meaning["mean"], meaning["deviation"], self.views)

    def stages(self, net: nn.Module, splits: Splits) -> list[Stage]:
        """What the net fits to pictures before it learns, one update: cross-entropy; then its temperature."""
        labels = _labels(splits.train)
        counts = torch.bincount(torch.from_numpy(labels), minlength=len(splits.meaning["classes"]))
        by_class = balancing_weights(counts)
        class_weights = by_class if self.pictures.balance == "weights" else None

        def loss(net: nn.Module, batch: Batch, at: At) -> Terms:
            if layer is None:
                given = net(batch["picture"])
            else:  # the body has run already
                given = net.get_submodule(f"body.{layer}")(batch["features"])
            logits, *auxiliary = given if isinstance(given, tuple) else (given,)
            weights = None if class_weights is None else class_weights.to(logits.device)
            terms = {"cross_entropy": cross_entropy(logits, batch, self.smoothing, weights)}
            if auxiliary:  # Szegedy et al. 2015, section 5
                others = [cross_entropy(each, batch, self.smoothing, weights) for each in auxiliary]
                terms["auxiliary"] = _AUXILIARY * torch.stack(others).sum()
            return Terms(terms, count=len(logits))

        order: Any = (
            by_class.numpy()[labels].astype(np.float64) if self.pictures.balance == "order" else "shuffled"
        )
        whole = cast(Normalised, net)
        before: list[Stage] = []
        layer = None
        if (found := self._weights()) is not None:
            head = head_of(whole.body, self.net, **_logits(splits.meaning), **chosen(self.shape))
            same = pretrained.same_classes(found, splits.meaning["classes"])
            before = [pretrained.weights_stage(found, self.start.weights_sha256, head, same)]
            if self.start.freeze:
                freeze(net, head)
                layer = layer_on_features(whole, head, splits)
        elif self.shape.init == "lsuv" or hasattr(whole.body, "initialise"):
            before = [Fit("initialise", partial(_initialise, self.shape.init == "lsuv"))]
        learn = one_update("classifier", net, lambda: splits.train, loss, self.training, order)
        if layer is not None:
            learn = on_features(learn, whole, layer, mirrored=splits.facts["augmentation"]["flip"])
        return [*before, learn, temperature()]

    # ---- figures and answers

    def measure(self, net: nn.Module, batch: Batch, at: At | None = None) -> dict[str, Any]:
        """The label and the probabilities of each picture."""
        probabilities = net(batch["picture"]).float().softmax(1).cpu().numpy()
        return {
            "id": list(batch["id"]),
            "label": batch["label"].cpu().numpy(),
            "probabilities": probabilities,
        }

    def figures(self, rows: Mapping[str, Any], meaning: Mapping[str, Any]) -> dict[str, Figure]:
        """accuracy, top-5 accuracy of six classes and more, balanced accuracy, nll (nats) and ECE."""
        labels, chances = rows["label"], rows["probabilities"]
        found = {"accuracy": classification.accuracy(labels, chances)}
        if len(meaning["classes"]) > 5:
            found["top-5 accuracy"] = classification.top_k(labels, chances, 5)
        found["balanced accuracy"] = classification.balanced_accuracy(
            classification.confusion(labels, chances)
        )
        found["nll"] = classification.negative_log_likelihood(labels, chances)
        found["ECE"] = classification.calibration_error(labels, chances)
        return found

    def sections(self, evidence: Evidence) -> list[Section]:
        """Confusions, figures by class, reliability, mistakes, doubted labels, equal pictures, filters."""
        return classified.sections(evidence)

    def predict(
        self,
        net: nn.Module,
        meaning: Mapping[str, Any],
        inputs: Iterable[tuple[str, NDArray[np.uint8]]],
        ask: Any,
    ) -> Iterator[ClassPrediction]:
        """The best classes of each picture."""
        geometry = Geometry.from_json(meaning["geometry"])
        device = next(net.buffers()).device
        waiting = iter(inputs)
        while chunk := list(islice(waiting, _PREDICT_BATCH)):
            pictures = [ink(picture) if ask.ink else picture for _, picture in chunk]
            fitted = np.stack([geometry.fit(picture) for picture in pictures])
            chances = net(torch.from_numpy(fitted).permute(0, 3, 1, 2).to(device)).float().softmax(1).cpu()
            yield from class_predictions([path for path, _ in chunk], {"scores": chances}, meaning, ask)

    def explain(
        self,
        net: nn.Module,
        meaning: Mapping[str, Any],
        picture: NDArray[np.uint8],
        prediction: ClassPrediction,
        ask: ClassAsk,
    ) -> list[tuple[str, NDArray[np.uint8]]]:
        """Where in the picture, as it is fitted, the best class was seen (Grad-CAM)."""
        fitted = Geometry.from_json(meaning["geometry"]).fit(ink(picture) if ask.ink else picture)
        best, _ = prediction.top[0]
        shown = torch.from_numpy(fitted[None]).permute(0, 3, 1, 2).to(next(net.buffers()).device)
        heat = grad_cam(net, shown, [meaning["classes"].index(best)])
        return [] if heat is None else [(f"where {best} was seen", blend(fitted, heat[0]))]

    def export(self, net: nn.Module, meaning: Mapping[str, Any]) -> Exportable:
        """Pictures to the probabilities of the classes, "scores": N, classes."""
        scores = nn.Sequential(net, nn.Softmax(1))
        geometry, about = Geometry.from_json(meaning["geometry"]), {"classes": list(meaning["classes"])}
        return Exportable(scores, geometry, ("scores",), "classes", about)

    def exported(self, outputs: Mapping[str, Tensor]) -> Tensor:
        """Logits N, classes that have these probabilities, down to what the softmax of float32 tells."""
        return outputs["scores"].clamp_min(torch.finfo(torch.float32).tiny).log()

    # ---- for the tests of the contract

    @classmethod
    def tiny(cls) -> Classify:
        """Two seconds on pictures of bars that the task paints itself."""
        from simplecell.data.painted import bars

        training = Training(epochs=6.0, batch_size=16, optimiser="adamw", learning_rate=0.01)
        machine = Machine(threads=1, device="cpu", precision="float32")
        return cls(data=bars(), training=training, machine=machine)


def _logits(meaning: Mapping[str, Any]) -> dict[str, Any]:
    """What ``nets.build`` is told of pictures and classes."""
    geometry = Geometry.from_json(meaning["geometry"])
    return {
        "channels": geometry.channels,
        "classes": len(meaning["classes"]),
        "height": geometry.height,
        "width": geometry.width,
    }


def _initialise(unit_variance: bool, net: nn.Module, examples: Examples) -> None:
    """Show the body normalised pictures, for what it fits to them before it learns."""
    whole = cast(Normalised, net)
    body: Any = whole.body
    if hasattr(body, "initialise"):
        body.initialise(_sample(whole, examples, _SAMPLE))
    if unit_variance:
        lsuv(body, _sample(whole, examples, _PREDICT_BATCH))


def _sample(net: Normalised, examples: Examples, count: int) -> Tensor:
    """So many normalised pictures from all over the examples, N, C, H, W."""
    rows = spread(len(examples), count)
    return net.normalise(examples.batch(rows)["picture"].to(net.scale.device))


def _labels(examples: Examples) -> NDArray[np.int64]:
    return cast(PictureExamples, examples).labels


def _relabelled(source: Source, table: Table, classes: list[str]) -> Table:
    """The table with its labels counted as the net counts its classes."""
    known: Mapping[str, int | None] = {name: place for place, name in enumerate(classes)}
    if tuple(classes) == imagenet.names() and not known.keys() >= set(source.classes):
        known = dict(zip(source.classes, imagenet.places(source.classes), strict=True))
    places = [known.get(name) for name in source.classes]
    odd = sorted({source.classes[k] for k in np.unique(table.labels) if places[k] is None})
    if odd:
        raise UserError(
            f"the net does not know the class {odd[0]}"
            + (f" and {len(odd) - 1} more" if len(odd) > 1 else ""),
            where=source.path,
            remedy="evaluate on pictures of the classes it was trained on",
        )
    labels = np.array([-1 if place is None else place for place in places], np.int64)
    return dataclasses.replace(table, labels=labels[table.labels])
