"""Watching a net answer: which operations its modules consist of, and what each does to what it is given."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.weak import WeakIdKeyDictionary

from simplecell.nets import sight
from simplecell.nets.sight import Sight


@dataclass(frozen=True)
class Layer:
    """A call of a module that calls no other, or what a module does beside calling others.

    name: "features.3"; of a second call "features.3 (2)". An activation that is called as a function has
    the name of its module with its own. kind: the class, or the function. op: the last operation, in aten.
    shape: of what comes out, N first; None where the layer was not called, as heads that only training
    has. parameters: that it learns; those of a second call count with the first. macs: multiply-adds.
    memory: bytes of what it makes anew; 0 where it works in place. seen: what its values see; None
    where that cannot be told.
    """

    name: str
    kind: str
    op: str
    shape: tuple[int, ...] | None
    parameters: int
    macs: int
    memory: int
    seen: Sight | None


@dataclass(frozen=True)
class Weighted:
    """A convolution, or a product with a matrix of weights ("dense"), as it met the picture.

    width_in, width_out: channels, or values. kernel, side: rows and columns of kernel and of the map that
    it reads; (1, 1) for a dense layer. live: share of the kernel's weights that meet more than padding.
    places: of the picture, that each output of a dense layer sums over. weights, bias: how many.
    seen: what its input sees. depth: such layers before it. source: the one before it, where nothing but
    linear operations is done with what that gives.
    """

    layer: str
    kind: str
    width_in: int
    width_out: int
    kernel: tuple[int, int]
    groups: int
    side: tuple[int, int]
    live: float
    places: int
    weights: int
    bias: int
    seen: Sight
    depth: int
    source: Weighted | None


@dataclass(frozen=True)
class Norm:
    """A batch normalisation: the layer whose bias it undoes, if there is one, and the dropout before it."""

    layer: str
    undone: Weighted | None
    dropped: str


@dataclass(frozen=True)
class Past:
    """What a tensor went through.

    op, layer: the last operation and where it was. depth: layers with weights on the longest path. source:
    the last of them, if all since was linear. shifted: the last, if its bias still stands in each channel.
    dropped: the last dropout, "" for none since. squashed: sigmoids on the shortest path since a norm.
    """

    op: str = ""
    layer: str = ""
    depth: int = 0
    source: Weighted | None = None
    shifted: Weighted | None = None
    dropped: str = ""
    squashed: int = 0


#: Is told of each layer as it answers, and of its output, which later layers may change in place.
Hear = Callable[[Layer, Tensor], None]


@dataclass
class _Frame:
    """A module that is being called. holder: it has modules of its own."""

    name: str
    holder: bool
    products: int  # counted when it began
    inner: int = 0  # products of the modules that it called
    called: bool = False  # whether it called any
    made: int = 0  # bytes of its own operations


class Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Follows every operation, and which module it belongs to."""

    def __init__(self, products: Callable[[], int], hear: Hear) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._products = products
        self._hear = hear
        self._frames = [_Frame("", True, 0)]
        self._names: Counter[str] = Counter()
        self._counted: set[int] = set()
        self._called: set[nn.Module] = set()
        # By identity: a tensor that one cannot hash by value stays alive no longer for being here.
        self.sights: Any = WeakIdKeyDictionary()
        self.past: Any = WeakIdKeyDictionary()
        self.layers: list[Layer] = []
        self.weighted: list[Weighted] = []
        self.norms: list[Norm] = []
        self.squashed = ("", 0)
        self._bent: set[str] = set()  # layers whose output goes through something that is not linear

    def begin(self, example: Tensor) -> None:
        self.sights[example] = sight.picture(example.shape)
        self.past[example] = Past()

    # ---- modules

    @property
    def current(self) -> str:
        """The name of the module that is being called."""
        return self._frames[-1].name

    def enter(self, name: str, holder: bool) -> None:
        self._frames[-1].called = True
        self._frames.append(_Frame(name, holder, self._products()))

    def leave(self, module: nn.Module, inputs: Any, output: Any) -> None:
        frame = self._frames.pop()
        products = self._products() - frame.products
        self._frames[-1].inner += products
        self._called.add(module)
        made = next((leaf for leaf in tree_leaves(output) if isinstance(leaf, Tensor)), None)
        if made is None:
            return
        if frame.called:
            own, parameters, memory = products - frame.inner, self._count(module, deep=False), frame.made
            if not (own or parameters or memory):
                return
        else:
            own, parameters = products, self._count(module, deep=True)
            memory = 0 if _shares(made, inputs) else made.numel() * made.element_size()
            self._called.update(module.modules())
        kind = type(module).__name__ + (", itself" if frame.called else "")
        self._met(frame.name, kind, made, parameters, own, memory)

    def _met(self, name: str, kind: str, made: Tensor, parameters: int, macs: int, memory: int) -> None:
        self._names[name] += 1
        told = name if self._names[name] == 1 else f"{name} ({self._names[name]})"
        op, seen = self.past.get(made, Past()).op, self.sights.get(made)
        self.layers.append(Layer(told, kind, op, tuple(made.shape), parameters, macs, memory, seen))
        self._hear(self.layers[-1], made)

    def uncalled(self, net: nn.Module) -> Iterator[Layer]:
        """Modules with parameters that no call was of: used by others, or in training alone."""
        for name, module in net.named_modules():
            if module not in self._called and (parameters := self._count(module, deep=False)):
                yield Layer(name, type(module).__name__, "", None, parameters, 0, 0, None)

    def lasting(self) -> tuple[Weighted, ...]:
        """The layers with weights; each with its source only where that led nowhere else but on linearly."""
        return tuple(
            replace(w, source=None) if w.source is not None and w.source.layer in self._bent else w
            for w in self.weighted
        )

    def _count(self, module: nn.Module, deep: bool) -> int:
        new = [p for p in module.parameters(recurse=deep) if id(p) not in self._counted]
        self._counted.update(map(id, new))
        return sum(p.numel() for p in {id(p): p for p in new}.values())

    # ---- operations

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        pasts = [self.past[a] for a in tree_leaves(args) if isinstance(a, Tensor) and a in self.past]
        seen = tree_map(lambda a: self.sights.get(a, a) if isinstance(a, Tensor) else a, list(args))
        result = function(*args, **(kwargs or {}))
        if pasts:
            name = function.name().partition("::")[2].partition(".")[0]
            self._follow(name.rstrip("_") if name[-1] == "_" else name, args, seen, pasts, result)
        return result

    def _follow(self, name: str, args: Any, seen: Any, pasts: list[Past], result: Any) -> None:
        frame = self._frames[-1]
        past = self._joined(name, pasts, frame.name)
        if (weighted := self._weights(name, args, seen, past, result)) is not None:
            self.weighted.append(weighted)
            past = replace(past, depth=past.depth + 1, source=weighted, shifted=weighted)
        elif past.source is None:
            self._bent.update(each.source.layer for each in pasts if each.source is not None)
        for made in (leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor)):
            self.past[made] = past
            if (found := _seen(name, seen, tuple(made.shape))) is not None:
                self.sights[made] = found
            else:
                self.sights.pop(made, None)
            kept = made.is_floating_point() and not _shares(made, args)  # and not where a maximum was
            memory = made.numel() * made.element_size() if kept else 0
            if name in ACTIVATIONS and frame.holder:  # called as a function
                self._met(".".join(filter(None, (frame.name, name))), name, made, 0, 0, memory)
            else:
                frame.made += memory

    def _joined(self, name: str, pasts: list[Past], layer: str) -> Past:
        """What comes of what the arguments went through, and this operation."""
        alone = len(pasts) == 1
        squashed = min(past.squashed for past in pasts)
        if name == "sigmoid":
            squashed += 1
            if squashed > self.squashed[1]:
                self.squashed = (layer, squashed)
        first, dropped = pasts[0], next((past.dropped for past in pasts if past.dropped), "")
        if name in _BATCH_NORMS:
            self.norms.append(
                Norm(layer, first.shifted if first.shifted and first.shifted.bias else None, dropped)
            )
            dropped = ""
        return Past(
            name if name not in _SILENT else first.op,
            layer if name not in _SILENT else first.layer,
            max(past.depth for past in pasts),
            first.source if alone and name in _LINEAR else None,
            first.shifted if alone and name in _SHIFTING else None,
            dropped,
            0 if name in _NORMS else squashed,
        )

    def _weights(self, name: str, args: Any, seen: Any, past: Past, result: Any) -> Weighted | None:
        """The convolution or product with weights that an operation is, if it is one."""
        layer = self._frames[-1].name
        if name == "convolution" and isinstance(seen[0], Sight) and not isinstance(seen[1], Sight):
            pictures, weight, bias, stride, padding, dilation, transposed, _, groups = args
            if weight.dim() != 4:
                return None
            side, kernel = tuple(pictures.shape[2:]), tuple(weight.shape[2:])
            live = 1.0
            # A kernel as large as its map is a dense layer by another name.
            whole = groups == 1 and side == kernel and result.shape[2:].numel() == 1
            if not transposed:
                for axis in (0, 1):
                    out = result.shape[2 + axis]
                    numbers = [sight.cycled(n, axis) for n in (stride, padding, dilation)]
                    live *= _live_taps(kernel[axis], side[axis], out, *numbers) / kernel[axis]
            return Weighted(
                layer, "convolution", pictures.shape[1], result.shape[1], kernel, groups, side, live,
                math.prod(side) if whole else 1,
                weight.numel(), 0 if bias is None else bias.numel(), seen[0], past.depth, self._source(args),
            )  # fmt: skip
        if name in ("mm", "addmm"):
            bias, (left, weight), tracked = (
                args[0] if name == "addmm" else None,
                args[-2:],
                seen[-2],
            )
            if isinstance(tracked, Sight) and not isinstance(seen[-1], Sight):
                return Weighted(
                    layer, "dense", weight.shape[0], weight.shape[1], (1, 1), 1, (1, 1), 1.0,
                    sight.places(tracked.dims[-1]), weight.numel(), 0 if bias is None else bias.numel(),
                    tracked, past.depth, self._source([left]),
                )  # fmt: skip
        return None

    def _source(self, args: Any) -> Weighted | None:
        past = self.past.get(args[0])
        return None if past is None else past.source


#: Operations that bend: by aten's names, in which ReLU6 is a hard tanh.
ACTIVATIONS = (
    *("relu", "leaky_relu", "prelu", "elu", "celu", "gelu", "silu", "mish", "softplus", "hardtanh"),
    *("hardswish", "hardsigmoid", "sigmoid", "tanh"),
)  # fmt: skip
#: Operations after which a layer with weights is still all that was done: they neither bend nor mix channels.
_VIEWS = (
    "view",
    "_unsafe_view",
    "permute",
    "transpose",
    "t",
    "clone",
    "alias",
    "unsqueeze",
    "squeeze",
    "as_strided",
)
_BATCH_NORMS = ("native_batch_norm", "cudnn_batch_norm", "miopen_batch_norm", "_batch_norm_with_update",
                "_native_batch_norm_legit_no_training", "batch_norm")  # fmt: skip
_NORMS = (*_BATCH_NORMS, "native_layer_norm", "native_group_norm")
_LINEAR = (*_VIEWS, *_BATCH_NORMS, "avg_pool2d", "_adaptive_avg_pool2d", "mean", "constant_pad_nd", "dropout")
#: Through these a number that was added to a channel stays added to it.
_SHIFTING = ("max_pool2d_with_indices", "clone", "alias")
#: Operations that change no value.
_SILENT = _VIEWS


def _seen(name: str, arguments: Any, shape: tuple[int, ...]) -> Sight | None:
    try:
        return sight.after(name, arguments, shape)
    except (IndexError, TypeError, ValueError, AttributeError):
        return None  # an operation that takes other arguments than was thought: nothing is said of it


def _shares(made: Tensor, others: Any) -> bool:
    """Whether a tensor lies in the memory of one of the others."""
    place = made.untyped_storage().data_ptr()
    return any(t.untyped_storage().data_ptr() == place for t in tree_leaves(others) if isinstance(t, Tensor))


def _live_taps(kernel: int, side: int, out: int, stride: int, padding: int, dilation: int) -> int:
    """How many of a kernel's rows (or columns) meet the map at some place, and not padding alone."""
    return sum(
        any(0 <= place * stride - padding + tap * dilation < side for place in range(out))
        for tap in range(kernel)
    )


class Dropouts(TorchFunctionMode):
    """Marks what a dropout passed, which in eval mode leaves no other trace."""

    def __init__(self, watch: Watch) -> None:
        super().__init__()
        self._watch = watch

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = kwargs or {}
        result = function(*args, **given)
        if function in _DROPOUTS and (args[1] if len(args) > 1 else given.get("p", 0.5)) > 0:
            result = result.view_as(result)  # not the very tensor that may have passed by
            if (past := self._watch.past.get(result)) is not None:
                layer = self._watch.current
                self._watch.past[result] = replace(past, op="dropout", layer=layer, dropped=layer)
        return result


_DROPOUTS = (
    functional.dropout,
    functional.dropout1d,
    functional.dropout2d,
    functional.dropout3d,
    functional.alpha_dropout,
)


@contextmanager
def hooked(net: nn.Module, watch: Watch) -> Iterator[None]:
    """Within, the watch hears of every module's calls."""
    handles = []
    for name, module in net.named_modules():
        handles.append(
            module.register_forward_pre_hook(
                lambda module, _, name=name: watch.enter(name, any(True for _ in module.children()))
            )
        )
        handles.append(module.register_forward_hook(watch.leave))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
