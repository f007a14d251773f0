"""Batch norms folded into the convolutions before them: the same answers with fewer passes over the maps.

In eval mode a batch norm multiplies each map by a constant and adds another, which the convolution before
it can do with its own weights and bias. Where maps are pooled by their maximum between the two, it still can
if it multiplies by nothing negative: the maximum of larger numbers is the larger maximum.
"""

from __future__ import annotations

import copy
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from torch import fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


def fold(net: nn.Module) -> nn.Module:
    """A copy of the net in eval mode, for answering only, with its batch norms folded where that is safe.

    A ``BatchNorm2d`` is folded into a ``Conv2d`` where a trace of the net (torch.fx) shows that whatever the
    norm is given comes from this convolution, straight or through a ``MaxPool2d``, and that nothing else
    reads the convolution's output or its weights; and where none has hooks, which would see other maps. Every
    other norm stays as it is. So do norms of dense layers: they take no time, and on inputs of three
    dimensions they normalise over another dimension than the layer's. Answers agree to rounding.
    """
    folded = copy.deepcopy(net).eval()
    owners = Counter(id(p) for m in folded.modules() for p in m.parameters(recurse=False))
    names = Counter(id(m) for _, m in folded.named_modules(remove_duplicate=False))
    for convolution_name, *pool_names, norm_name in _chains(_outline(folded)):
        convolution, norm = folded.get_submodule(convolution_name), folded.get_submodule(norm_name)
        assert isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d)
        chain = [convolution, *map(folded.get_submodule, pool_names), norm]
        parameters = [*convolution.parameters(), *norm.parameters()]
        alone = all(owners[id(p)] == 1 for p in parameters) and names[id(convolution)] == names[id(norm)] == 1
        falls = pool_names and norm.weight is not None and bool((norm.weight < 0).any())
        if alone and norm.running_mean is not None and not falls and not any(map(_has_hooks, chain)):
            folded.set_submodule(convolution_name, fuse_conv_bn_eval(convolution, norm))
            folded.set_submodule(norm_name, nn.Identity())
    return folded


def _outline(net: nn.Module) -> nn.Module:
    """A copy of the net without the numbers: a trace may leave its marks in what it runs through."""
    memo: dict[int, Any] = {
        id(p): nn.Parameter(p.detach().to("meta"), p.requires_grad) for p in net.parameters()
    }
    memo |= {id(b): b.to("meta") for b in net.buffers()}
    return copy.deepcopy(net, memo)


def _chains(net: nn.Module) -> Iterator[tuple[str, ...]]:
    """Names of convolutions and of the batch norms that always and alone follow them, a maximum's between.

    None of a net that cannot be traced, because its way depends on what it is given.
    """
    try:
        graph = fx.Tracer().trace(net)
    except Exception:  # a foreign net's code meets stand-ins for tensors: anything may be raised
        return
    calls: dict[str, list[fx.Node]] = defaultdict(list)
    read: set[str] = set()
    for node in graph.nodes:
        if node.op == "call_module":
            calls[str(node.target)].append(node)
        elif node.op == "get_attr":
            read.add(str(node.target).rpartition(".")[0])
    kinds = {name: type(net.get_submodule(name)) for name in calls}
    for norm in [name for name, kind in kinds.items() if kind == nn.BatchNorm2d]:
        chain = [norm]
        before = _before(chain[0], calls)
        if kinds.get(before) == nn.MaxPool2d:
            chain.insert(0, before)
            before = _before(before, calls)
        if kinds.get(before) == nn.Conv2d and not read & {before, *chain}:
            yield before, *chain


def _before(name: str, calls: Mapping[str, list[fx.Node]]) -> str:
    """The module that gives a module all that it is given, and no other; empty if there is none."""
    sources = [node.args[0] if len(node.args) == 1 and not node.kwargs else None for node in calls[name]]
    found = str(sources[0].target) if isinstance(sources[0], fx.Node) else ""
    # In the order of the calls, all of them and no other.
    alone = sources == calls.get(found) and all(len(source.users) == 1 for source in calls[found])
    return found if alone else ""


def _has_hooks(module: nn.Module) -> bool:
    return bool(module._forward_hooks or module._forward_pre_hooks)
