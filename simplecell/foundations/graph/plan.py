"""What a session does for one set of fetches and fed tensors, worked out once.

A plan has the steps that the fetches need and no others, in an order in which each comes after what it waits
for. What follows from constants alone is computed while planning. For each step it is known which arrays are
no longer needed after it, and which it may write its result into.

Variables live in arrays that assignments write into. So that every reader sees what it should, an assignment
waits for all steps that read the variable (or a view of its array) and do not themselves wait for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

from simplecell.foundations.graph.errors import UnfedError
from simplecell.foundations.graph.state import State
from simplecell.foundations.graph.tensor import KINDS, Operation, Tensor, define, like_first

#: A copy of an array that somebody else may write to: the caller gets that.
define("Snapshot", like_first, np.array)


@dataclass(eq=False)
class Step:
    """One operation of a plan. Arrays are known by their slot, a position in the list of a run's values.

    reusable: positions among the inputs whose arrays nobody needs any more when this step runs.
    frees: slots to be emptied after it, when steps run in their order. holds: slots it counts as a user of.
    state: where variables lie. refreshes: slots of the variables it writes, to be read from there after it.
    after: steps that wait for it, by position.
    """

    op: Operation
    state: State
    call: Callable[..., Any]
    inputs: tuple[int, ...]
    output: int
    reusable: tuple[int, ...] = ()
    frees: tuple[int, ...] = ()
    holds: tuple[int, ...] = ()
    refreshes: tuple[tuple[int, Operation], ...] = ()
    after: tuple[int, ...] = ()
    waits: int = 0
    seconds: float = 0.0


@dataclass
class Plan:
    """Steps, and the slots they work on.

    template: the values before a run, constants in their place. variables: slots that are filled from the
    session's state, and whether the variable must have a value by then. uses: users of each slot.
    """

    steps: list[Step]
    template: list[Any]
    fed: dict[Operation, int]
    variables: list[tuple[int, Operation, bool]]
    fetched: list[int]
    uses: list[int] = field(default_factory=list)


def make_plan(fetches: Sequence[Operation], fed: Iterable[Operation], state: State) -> Plan:
    """The plan for these fetches when these operations are fed. Raises UnfedError."""
    return _Planner(fetches, frozenset(fed), state).plan()


class _Planner:
    """The work of ``make_plan``; what each attribute is stands where it is filled."""

    def __init__(self, fetches: Sequence[Operation], fed: frozenset[Operation], state: State) -> None:
        self.fed, self.state = fed, state
        needed = self._needed(fetches)
        self.constants = self._folded(needed)
        self.results = [self._safe(each) for each in fetches]
        snapshots = [each for each in dict.fromkeys(self.results) if each.type == "Snapshot"]
        #: all operations that are computed, each after what it takes
        self.ops = [op for op in needed if self._is_computed(op)] + snapshots
        self.users: dict[Operation, list[Operation]] = {}
        for op in self.ops:
            for each in dict.fromkeys(each.op for each in op.inputs):
                self.users.setdefault(each, []).append(op)
        #: what each operation waits for, and all that it waits for in turn, as bits
        self.waits = {op: self._direct_waits(op) for op in self.ops}
        self.bits = {op: 1 << index for index, op in enumerate(self.ops)}
        self.before: dict[Operation, int] = {}
        for op in self.ops:
            self.before[op] = self._all_before(op)
        self._order_assignments()

    # -- which operations ----------------------------------------------------------------------------------

    def _needed(self, fetches: Sequence[Operation]) -> list[Operation]:
        """What the fetches need, in the order of making; nothing behind what is fed."""
        found: set[Operation] = set()
        waiting = list(fetches)
        while waiting:
            op = waiting.pop()
            if op in found:
                continue
            found.add(op)
            if op in self.fed:
                continue
            if op.type == "Placeholder":
                raise UnfedError(
                    f"placeholder {op.name} ({op.attributes['dtype'].name}, shape {op.attributes['shape']}) "
                    "is needed and not fed",
                    remedy=f"run with feed_dict={{{op.name}: …}}",
                )
            waiting += [each.op for each in op.inputs]
            waiting += op.control_inputs
        return sorted(found, key=lambda op: op.number)

    def _folded(self, needed: list[Operation]) -> dict[Operation, Any]:
        """Values that are the same in each run."""
        found: dict[Operation, Any] = {}
        for op in needed:
            if op in self.fed:
                continue
            if op.type == "Const":
                found[op] = op.attributes["value"]
            elif (
                op.inputs
                and op.kind.compute
                and not (op.kind.stateful or op.control_inputs)
                and all(each.op in found for each in op.inputs)
            ):
                with np.errstate(all="ignore"):
                    found[op] = op.kind.compute(*(found[each.op] for each in op.inputs), **op.attributes)
        return found

    def _is_computed(self, op: Operation) -> bool:
        return op not in self.fed and op not in self.constants and op.type != "Variable"

    def _safe(self, op: Operation) -> Operation:
        """The operation whose result may be given away: a copy, where the array is somebody else's too."""
        own = self._is_computed(op) and not (op.kind.view or op.writes)
        if own or op.output is None:
            return op
        if not hasattr(self, "_copies"):
            self._copies: dict[Operation, Operation] = {}
        if op not in self._copies:
            self._copies[op] = Operation(
                op.graph, KINDS["Snapshot"], f"{op.name}/snapshot", [op.output], {}, ()
            )
        return self._copies[op]

    # -- in which order ------------------------------------------------------------------------------------

    def _direct_waits(self, op: Operation) -> list[Operation]:
        several = [*(each.op for each in op.inputs), *op.control_inputs]
        return [each for each in dict.fromkeys(several) if self._is_computed(each)]

    def _all_before(self, op: Operation) -> int:
        bits = 0
        for each in self.waits[op]:
            bits |= self.before[each] | self.bits[each]
        return bits

    def _wait(self, later: Operation, earlier: Operation) -> None:
        """Let one wait for the other, unless the other waits for it already."""
        if later is earlier or self.before[earlier] & self.bits[later]:
            return
        if self.before[later] & self.bits[earlier]:
            return
        self.waits[later].append(earlier)
        news = self.before[earlier] | self.bits[earlier]
        for op in self.ops:
            if op is later or self.before[op] & self.bits[later]:
                self.before[op] |= news

    def _order_assignments(self) -> None:
        """Assignments to one variable in the order of making; each after the readers that do not need it."""
        writers: dict[Operation, list[Operation]] = {}
        for op in self.ops:
            for variable in op.writes:
                writers.setdefault(variable, []).append(op)
        for several in writers.values():
            for earlier, later in pairwise(several):
                self._wait(later, earlier)
        readers = {variable: self._readers(variable, several) for variable, several in writers.items()}
        for writer in sorted((op for op in self.ops if op.writes), key=lambda op: -op.number):
            for variable in writer.writes:
                for reader in readers[variable]:
                    self._wait(writer, reader)

    def _readers(self, variable: Operation, writers: Sequence[Operation]) -> list[Operation]:
        """Who takes the variable's array, or a view of it, or what an assignment gave."""
        found: dict[Operation, None] = {}
        aliases = [variable, *writers]
        while aliases:
            for user in self.users.get(aliases.pop(), []):
                if user not in found:
                    found[user] = None
                    if user.kind.view:
                        aliases.append(user)
        return list(found)

    def _sorted(self) -> list[Operation]:
        """Depth first from the fetches: what is used up soon is made late."""
        order: dict[Operation, None] = {}
        waiting: list[tuple[Operation, bool]] = [(op, False) for op in reversed(self.results)]
        while waiting:
            op, ready = waiting.pop()
            if op in order or not self._is_computed(op):
                continue
            if ready:
                order[op] = None
            else:
                waiting.append((op, True))
                waiting += [(each, False) for each in reversed(self.waits[op])]
        return list(order)

    # -- what each step needs to know ----------------------------------------------------------------------

    def plan(self) -> Plan:
        order = self._sorted()
        others = list(dict.fromkeys([*self.constants, *self.fed, *self._variables(order)]))
        slots = {op: slot for slot, op in enumerate([*others, *order])}
        fetched = [slots[op] for op in self.results]
        kept = {slots[op] for op in others} | set(fetched)
        steps = [self._step(op, slots, kept) for op in order]
        places = {op: place for place, op in enumerate(order)}
        waiting: dict[Operation, list[Operation]] = {}
        for op in order:
            for each in self.waits[op]:
                waiting.setdefault(each, []).append(op)
        last: dict[int, Step] = {}
        uses = [0] * len(slots)
        for op, step in zip(order, steps, strict=True):
            step.after = tuple(places[each] for each in waiting.get(op, ()))
            step.waits = len(self.waits[op])
            for slot in step.holds:
                uses[slot] += 1
                last[slot] = step
            if step.output not in kept and not self.users.get(op):
                step.frees = (step.output,)
        for slot, step in last.items():
            step.frees += (slot,)
        template: list[Any] = [self.constants.get(op) for op in slots]
        variables = [(slots[op], op, self._must_have_value(op)) for op in self._variables(order)]
        return Plan(steps, template, {op: slots[op] for op in self.fed}, variables, fetched, uses)

    def _variables(self, order: Sequence[Operation]) -> list[Operation]:
        used = [each.op for op in order for each in op.inputs] + [each for op in order for each in op.writes]
        return [op for op in dict.fromkeys(used) if op.type == "Variable" and op not in self.fed]

    def _must_have_value(self, variable: Operation) -> bool:
        """Whether anything needs the value from before the run: all but what waits for an assignment does."""
        assigning = 0
        for op in self.ops:
            if op.kind.assigns and variable in op.writes:
                assigning |= self.bits[op]
        using = [*self.users.get(variable, []), *(op for op in self.ops if variable in op.writes)]
        return any(not (self.before[op] | self.bits[op]) & assigning for op in using)

    def _step(self, op: Operation, slots: dict[Operation, int], kept: set[int]) -> Step:
        compute = op.kind.compute
        assert compute is not None
        before = (self.state, op) if op.kind.stateful else ()
        call = partial(compute, *before, **op.attributes) if before or op.attributes else compute
        inputs = tuple(slots[each.op] for each in op.inputs)
        reusable = tuple(
            position
            for position, each in enumerate(op.inputs)
            if op.kind.reuses and self._is_free(each, op) and slots[each.op] not in kept
        )
        holds = tuple(slot for slot in dict.fromkeys(inputs) if slot not in kept)
        refreshes = tuple((slots[each], each) for each in op.writes if each in slots)
        return Step(op, self.state, call, inputs, slots[op], reusable, (), holds, refreshes)

    def _is_free(self, tensor: Tensor, user: Operation) -> bool:
        """Whether nobody needs the tensor's array when its user runs, in whatever order the rest runs."""
        op = tensor.op
        if not self._is_computed(op) or op.kind.view or op.writes:
            return False
        if user.output is not None and user.output.dtype != tensor.dtype:
            return False
        users = self.users[op]
        return not any(each.kind.view for each in users) and all(
            each is user or self.before[user] & self.bits[each] for each in users
        )
