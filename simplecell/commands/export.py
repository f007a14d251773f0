"""export: a trained net as a file that answers without simplecell, checked against the net first."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simplecell.commands import eyes
from simplecell.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from simplecell.commands.opening import Opened
    from simplecell.data.batches import Examples
    from simplecell.export.exportable import Exportable

#: Real pictures that the file is compared on, and training pictures that it is calibrated on.
_COMPARED, _CALIBRATING = 64, 256
_FORMATS = ("onnx", "safetensors")


@dataclass(frozen=True)
class _Sides:
    """Examples to calibrate on and to measure on, and where they are from, in words."""

    calibration: Examples
    measured: Examples
    told: str


def export(
    named: str, to: str, out: Path, *, data: str, int8: bool, max_loss: float, weights: str, json: bool
) -> int:
    """Write the file, or refuse to and leave nothing."""
    from simplecell.commands.opening import is_exported, open_net

    if to not in _FORMATS:
        raise UserError(f"there is no format {to}", where="--to", remedy=f"give {' or '.join(_FORMATS)}")
    if int8 and to != "onnx":
        raise UserError("only ONNX files are quantised", where="--int8", remedy="give --to onnx")
    if is_exported(named):
        raise UserError("it is exported already", where=named, remedy="name the run that it came from")
    if out.is_dir():
        raise UserError("this is a folder", where=out, remedy="name a file, such as net.onnx")
    opened = open_net(named, weights=weights, device="cpu")
    with _unfinished(out) as unfinished:
        if to == "onnx":
            told = _onnx(opened, named, data, unfinished, out, int8, max_loss)
        else:
            told = _safetensors(opened, unfinished)
        unfinished.replace(out)
    told = {"file": str(out), "bytes": out.stat().st_size, **told}
    if json:
        eyes.answer(told)
    else:
        eyes.say("\n".join(_words(told)))
    return 0


@contextmanager
def _unfinished(out: Path) -> Iterator[Path]:
    """Where a file is written and looked at before it takes its place; in the end nothing is left there."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"the folder cannot be made ({error.strerror})", where=out.parent, remedy="name another"
        ) from None
    path = out.with_name(f".{out.name}.{os.getpid()}.part")
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def _onnx(
    opened: Opened, named: str, data: str, path: Path, out: Path, int8: bool, max_loss: float
) -> dict[str, Any]:
    from simplecell.export import comparing, writing
    from simplecell.export.described import Description

    exportable = _exportable(opened)
    description = Description(
        opened.task_name,
        opened.fingerprint,
        exportable.geometry.to_json(),
        exportable.answer,
        exportable.about,
    )
    place = data or opened.task.data
    if not place:
        raise UserError(
            "a net is exported only where it answers real pictures as it did before, and this one has none",
            where=named,
            remedy="name some by --data",
        )
    pictures = _whole_pictures(opened, place)
    net = writing.core(exportable)
    _save(writing.whole(net, exportable, description), path)
    found = comparing.compare(path, exportable, pictures, opened.task.exported)
    comparing.check(found, str(out))
    told: dict[str, Any] = {"task": description.task, "fingerprint": description.fingerprint}
    told["comparison"] = found.to_json()
    if int8:
        told["int8"] = _int8(opened, exportable, description, net, path, out, data, max_loss)
    return told


def _exportable(opened: Opened) -> Exportable:
    make = getattr(opened.task, "export", None)
    found = None if make is None else make(opened.answering, opened.meaning)
    if found is None:
        raise UserError(
            f"a net of the task {opened.task_name} cannot be exported to ONNX",
            where="--to onnx",
            remedy="give --to safetensors",
        )
    return found  # type: ignore[no-any-return]


def _save(model: Any, path: Path) -> None:
    with path.open("wb") as file:
        file.write(model.SerializeToString())
        file.flush()
        os.fsync(file.fileno())


def _int8(
    opened: Opened,
    exportable: Exportable,
    description: Any,
    net: Any,
    path: Path,
    out: Path,
    data: str,
    max_loss: float,
) -> dict[str, Any]:
    """Write the file anew in whole numbers; refused where the headline figure falls too far."""
    from dataclasses import replace

    from simplecell.export import writing
    from simplecell.export.quantising import quantise

    sides = _sides(opened, data)
    fitted = fitted_pictures(sides.calibration, _CALIBRATING)
    before = _headline(opened, path, sides.measured)
    _save(writing.whole(quantise(net, fitted), exportable, replace(description, int8=True)), path)
    after = _headline(opened, path, sides.measured)
    name, direction = opened.task.headline
    lost = 100 * (before - after if direction == "max" else after - before)
    if not lost <= max_loss:
        raise UserError(
            f"in 8-bit numbers its {name} falls from {before:.4f} to {after:.4f} on {sides.told}, by "
            f"{lost:.2f} points where {max_loss:g} are allowed; nothing was written",
            where=out,
            remedy="leave --int8 out, or allow more by --max-loss",
        )
    on = {"on": sides.told, "pictures": len(sides.measured), "calibrated_on": len(fitted)}
    return {"figure": name, "before": before, "after": after, "points_lost": lost, **on}


def _sides(opened: Opened, data: str) -> _Sides:
    """Of the run's own data training calibrates and validation measures; of others every other picture."""
    if data:
        examples = opened.task.open(str(Path(data).absolute()), opened.meaning)
        if len(examples) < 2:
            raise UserError("two pictures at least are needed", where=data, remedy="name more by --data")
        return _Sides(_Some(examples, 0), _Some(examples, 1), f"every other picture of {data}")
    if not opened.task.data:
        raise UserError("it does not know its data", where="--int8", remedy="name some by --data")
    splits = opened.task.load()
    if len(splits.validation):
        return _Sides(splits.train, splits.validation, "the validation side")
    return _Sides(splits.train, splits.test, "the test side, since the run has no validation side")


class _Some:
    """Every other of some examples."""

    def __init__(self, examples: Examples, first: int) -> None:
        import numpy as np

        self._examples = examples
        self._rows = np.arange(first, len(examples), 2)
        self.ids: Sequence[str] = [examples.ids[row] for row in self._rows.tolist()]

    def __len__(self) -> int:
        return len(self._rows)

    def batch(self, indices: Any, address: Any = None) -> Any:
        return self._examples.batch(self._rows[indices], address)


def _headline(opened: Opened, path: Path, examples: Examples) -> float:
    from simplecell.commands.exported import StandIn
    from simplecell.commands.opening import figures_of

    net = StandIn(path, opened.task.exported).eval()
    found = figures_of(opened.task, net, opened.meaning, examples, net.device.device)
    return float(found[opened.task.headline[0]].value)


def fitted_pictures(examples: Examples, count: int) -> NDArray[np.uint8]:
    """Fitted pictures from all over the examples, uint8 N, C, h, w."""
    from simplecell.data.batches import spread

    fitted: NDArray[np.uint8] = examples.batch(spread(len(examples), count))["picture"].numpy()
    return fitted


def _whole_pictures(opened: Opened, place: str) -> list[NDArray[np.uint8]]:
    """Real pictures as they lie in their files, from all over the data; the broken are left out."""
    from simplecell.data.batches import spread
    from simplecell.data.sources import read_source

    source = read_source(Path(place), getattr(getattr(opened.task, "pictures", None), "format", "auto"))
    table = next(
        source.tables[side] for side in ("test", "all", "validation", "train") if side in source.tables
    )
    found = []
    for row in spread(len(table), _COMPARED).tolist():
        try:
            found.append(table.pictures.read(row))
        except UserError:
            continue
    if not found:
        raise UserError("none of its pictures can be read", where=place, remedy="name others by --data")
    return found


def _safetensors(opened: Opened, path: Path) -> dict[str, Any]:
    """The weights of the net alone, by the names that its paper's library has for them."""
    import torch

    from simplecell import artefact

    net = opened.net.get_submodule("body") if hasattr(opened.net, "body") else opened.net
    header = artefact.Header(opened.task_name, {}, dict(opened.meaning))
    artefact.write(path, net, header, artefact.WEIGHTS)
    state = artefact.state_of(net)
    again = artefact.read_tensors(path)
    if again.keys() != state.keys() or any(not torch.equal(again[key], state[key]) for key in state):
        raise UserError("what was written reads otherwise", where=path, remedy="try another disk")
    return {"task": opened.task_name, "fingerprint": opened.fingerprint, "tensors": len(state)}


def _words(told: dict[str, Any]) -> Iterator[str]:
    yield f"{told['file']}: {told['bytes'] / 1e6:.1f} MB"
    if "tensors" in told:
        yield f"{told['tensors']} tensors, read back bitwise equal"
    if found := told.get("comparison"):
        yield (
            f"beside the net, on {found['pictures']} pictures: outputs differ by {found['difference']:.1e} "
            f"of their largest, fitted pixels by {found['levels']} of 255; "
            f"{100 * found['agreement']:.1f} % of the answers from whole pictures are the same"
        )
    if quantised := told.get("int8"):
        yield (
            f"in 8-bit numbers: {quantised['figure']} {quantised['before']:.4f} → {quantised['after']:.4f} "
            f"on {quantised['on']} ({quantised['pictures']:,} pictures)"
        )
