"""model.safetensors: a trained net with its task, meaning, settings and figures.

The header has one metadata key, ``simplecell``, with sorted JSON: safetensors writes several keys in
random order, and equal runs must give equal bytes. Nothing in it tells a time, a path or a machine.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simplecell.errors import UserError
from simplecell.run import write_atomically

if TYPE_CHECKING:
    from torch import Tensor, nn

FORMAT = 1
#: The kind of a file that has a net's own weights, for other programs and for ``--weights``.
WEIGHTS = "weights"
_LONGEST_HEADER = 1 << 24  # bytes; a net of a thousand tensors takes a hundredth, JSON in memory twenty-fold


@dataclass(frozen=True)
class Header:
    """What an artefact says of itself; all JSON values.

    figures: by name, each {"value", "low", "high"}, on the test pictures of the run.
    """

    task: str
    settings: dict[str, Any]
    meaning: dict[str, Any]
    figures: dict[str, Any] = field(default_factory=dict)


def state_of(net: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers as safetensors takes them: on the CPU, contiguous, none sharing memory."""
    state: dict[str, Tensor] = {}
    seen: set[int] = set()
    for name, tensor in net.state_dict().items():
        plain = tensor.detach().cpu().contiguous()
        if plain.numel() and plain.data_ptr() in seen:
            plain = plain.clone()
        seen.add(plain.data_ptr())
        state[name] = plain
    return state


def restore(net: nn.Module, state: Mapping[str, Tensor], where: str | Path) -> None:
    """Copy a saved state into a net, keeping the net's own memory layout and device.

    A buffer may have another size than the net's (a bank that a Fit filled); a parameter may not.
    """
    import torch

    own = dict(net.state_dict(keep_vars=True))
    buffers = {
        f"{prefix}.{name}" if prefix else name: (module, name)
        for prefix, module in net.named_modules()
        for name in module._buffers
    }
    missing = sorted(own.keys() - state.keys())
    foreign = sorted(state.keys() - own.keys() - buffers.keys())
    if missing or foreign:
        odd = f"lacks {missing[0]}" if missing else f"has {foreign[0]}, which the net has not"
        raise UserError(
            f"the weights do not fit the net: the file {odd}",
            where=where,
            remedy="name the net they belong to",
        )
    fits = {name for name in own if _kind(own[name]) == _kind(state[name])}
    for name in state:
        if name not in fits and name not in buffers:
            raise UserError(
                f"{name} has the shape {_kind(state[name])}, but the net's has {_kind(own[name])}",
                where=where,
                remedy="name the net it belongs to",
            )
    with torch.no_grad():
        for name, saved in state.items():
            if name in fits:
                own[name].copy_(saved)
            else:
                module, key = buffers[name]
                device = next((t.device for t in own.values()), torch.device("cpu"))
                module._buffers[key] = saved.clone().to(device)


def _kind(tensor: Tensor) -> str:
    return f"{tuple(tensor.shape)} of {str(tensor.dtype).removeprefix('torch.')}"


def serialise(tensors: Mapping[str, Tensor], about: Mapping[str, Any]) -> bytes:
    """The bytes of a safetensors file; equal input gives equal bytes."""
    from safetensors.torch import save

    text = json.dumps(about, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return save(dict(tensors), metadata={"simplecell": text})


def read_about(path: Path) -> dict[str, Any]:
    """The JSON in a file's header, without reading its tensors."""
    try:
        with open(path, "rb") as file:
            start = file.read(8)
            length = struct.unpack("<Q", start)[0] if len(start) == 8 else _LONGEST_HEADER + 1
            if length > _LONGEST_HEADER:
                raise ValueError("no header")
            header = json.loads(file.read(length))
        about = json.loads(header["__metadata__"]["simplecell"])
    except FileNotFoundError:
        raise UserError("there is no such file", where=path, remedy="check the path") from None
    except OSError as error:
        raise _unreadable(path, error) from None
    except (ValueError, KeyError, TypeError, RecursionError):
        raise UserError(
            "this is not a model that simplecell wrote",
            where=path,
            remedy="name a run folder or its model.safetensors",
        ) from None
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        raise UserError(
            f"this is not of format {FORMAT}",
            where=path,
            remedy="use the version of simplecell that wrote it",
        )
    return about


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Every tensor of a safetensors file, on the CPU."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except FileNotFoundError:
        raise UserError("there is no such file", where=path, remedy="check the path") from None
    except OSError as error:
        raise _unreadable(path, error) from None
    except (SafetensorError, ValueError) as error:
        raise UserError(
            f"this is not a whole safetensors file ({error})", where=path, remedy="restore it from a copy"
        ) from None


def _unreadable(path: Path, error: OSError) -> UserError:
    return UserError(
        f"it cannot be read ({error.strerror or error})",
        where=path,
        remedy="check the path and its permissions",
    )


def write(path: Path, net: nn.Module, header: Header, kind: str = "model") -> None:
    """Write the artefact atomically. kind: "model", or WEIGHTS for a net without its task."""
    # As a list: the JSON's keys are sorted, and the headline stands first among the figures.
    figures = [{"name": name, **figure} for name, figure in header.figures.items()]
    about = {"format": FORMAT, "kind": kind, **asdict(header), "figures": figures}
    write_atomically(path, serialise(state_of(net), about))


def read_header(path: Path, kind: str = "model") -> Header:
    """What the artefact at ``path`` says of itself; UserError where it is of another kind."""
    about = read_about(path)
    if about.get("kind") == WEIGHTS != kind:
        remedy = "begin a training with them by --weights, or name the run that they are of"
        raise UserError("these are the weights of a net alone, not a model", where=path, remedy=remedy)
    if about.get("kind") != kind:
        raise UserError("this is a checkpoint, not a model", where=path, remedy="name the run folder")
    parts = {"task": str, "settings": dict, "meaning": dict, "figures": list}
    odd = [name for name, kind in parts.items() if not isinstance(about.get(name), kind)]
    if not odd and not all(map(_is_figure, about["figures"])):
        odd = ["figures"]
    if odd:
        raise UserError(f"its header lacks {odd[0]!r}", where=path, remedy="restore it from a copy")
    figures = {f["name"]: {k: v for k, v in f.items() if k != "name"} for f in about["figures"]}
    return Header(about["task"], about["settings"], about["meaning"], figures)


def _is_figure(figure: Any) -> bool:
    return (
        isinstance(figure, dict)
        and isinstance(figure.get("name"), str)
        and all(isinstance(figure.get(key, ""), int | float | None) for key in ("value", "low", "high"))
    )
