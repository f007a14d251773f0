"""Running a plan: its steps one after the other, or independent ones side by side.

NumPy lets go of Python's lock in products of matrices and long element-wise loops, so that two threads do
compute at once there. Handing a step to another thread costs some 50 µs, and a BLAS that uses all cores
already has no use for it; so whether a plan gains is not guessed but tried.
"""

from __future__ import annotations

import heapq
import threading
import time
from concurrent.futures import Executor
from typing import Any

import numpy as np

from simplecell.foundations.graph.dtypes import Array
from simplecell.foundations.graph.errors import GraphError, ShapeError
from simplecell.foundations.graph.plan import Plan, Step

#: Shorter steps stay with the thread that made them ready.
LIGHT = 100e-6  # seconds
#: Smaller arrays are not worth the look whether they may be overwritten.
_REUSED = 2**16  # bytes
#: A plan is tried anew after so many runs: what is fed may have become larger.
_ANEW = 256
_TRIALS = 3


class Choice:
    """Which way a plan runs: three runs in order, three side by side if that could gain, then the faster."""

    def __init__(self, plan: Plan, threads: int) -> None:
        self.plan, self.threads = plan, threads
        self._runs, self._promising = 0, False
        self._best = {False: np.inf, True: np.inf}

    def run(self, values: list[Any], pool: Executor) -> None:
        """Compute all steps on the values."""
        turn = self._runs % _ANEW
        self._runs += 1
        if turn == 0:
            self._best = {False: np.inf, True: np.inf}
        if turn == _TRIALS:
            self._promising = self._could_gain()
        beside = self._promising and turn >= _TRIALS
        if beside and turn >= 2 * _TRIALS:
            beside = self._best[True] < self._best[False]
        begun = time.perf_counter()
        if beside:
            SideBySide(self.plan, values, pool, self.threads).run()
        else:
            in_order(self.plan, values, anew=turn == 0)
        self._best[beside] = min(self._best[beside], time.perf_counter() - begun)

    def _could_gain(self) -> bool:
        """Whether the time would be at least a tenth shorter with all threads busy as far as steps wait."""
        if self.threads < 2:
            return False
        total = sum(step.seconds for step in self.plan.steps)
        ways = ways_behind(self.plan)
        expected = max(max(ways, default=0.0), total / self.threads)
        return total - expected > max(0.1 * total, 2 * LIGHT)


def ways_behind(plan: Plan) -> list[float]:
    """For each step, the seconds of the longest way from it to the end, over steps that wait for others."""
    ways = [0.0] * len(plan.steps)
    for place in reversed(range(len(plan.steps))):
        step = plan.steps[place]
        ways[place] = step.seconds + max((ways[each] for each in step.after), default=0.0)
    return ways


def in_order(plan: Plan, values: list[Any], *, anew: bool = False) -> None:
    """One step after the other; each is told how long it took at best. anew: forget earlier times."""
    clock = time.perf_counter
    with np.errstate(all="ignore"):
        before = clock()
        for step in plan.steps:
            compute(step, values)
            for slot in step.frees:
                values[slot] = None
            now = clock()
            if anew or now - before < step.seconds:
                step.seconds = now - before
            before = now


def compute(step: Step, values: list[Any]) -> None:
    """Compute one step. What NumPy says against it is told with the operation's name."""
    arrays = [values[slot] for slot in step.inputs]
    out = _overwritable(arrays, step.reusable) if step.reusable else None
    try:
        result = step.call(*arrays) if out is None else step.call(*arrays, out=out)
    except GraphError:
        raise
    except (ValueError, IndexError) as error:
        shapes = ", ".join(str(np.shape(each)) for each in arrays)
        raise ShapeError(
            f"{step.op.type} of shapes {shapes}: {error}", where=step.op.name, remedy="check what is fed"
        ) from error
    values[step.output] = result
    for slot, variable in step.refreshes:
        values[slot] = step.state.variables[variable]


def _overwritable(arrays: list[Any], positions: tuple[int, ...]) -> Array | None:
    """An array that nobody needs any more and that has the result's shape: all others stretch to it."""
    for position in positions:
        found = arrays[position]
        if found.nbytes >= _REUSED and all(
            other is found or _stretches(other.shape, found.shape) for other in arrays
        ):
            array: Array = found
            return array
    return None


def _stretches(shape: tuple[int, ...], to: tuple[int, ...]) -> bool:
    return len(shape) <= len(to) and all(
        dim in (1, other) for dim, other in zip(reversed(shape), reversed(to), strict=False)
    )


class SideBySide:
    """One run of a plan by several threads.

    Steps that are ready wait in a heap, those with the longest way behind them first. A thread takes one, and
    goes on with the light steps that it makes ready.
    """

    def __init__(self, plan: Plan, values: list[Any], pool: Executor, threads: int) -> None:
        self.plan, self.values, self._pool, self._threads = plan, values, pool, threads
        self._ways = ways_behind(plan)
        self._waits = [step.waits for step in plan.steps]
        self._uses = list(plan.uses)
        self._left = len(plan.steps)
        self._ready = [(-self._ways[place], place) for place, count in enumerate(self._waits) if not count]
        heapq.heapify(self._ready)
        self._changed = threading.Condition()
        self._error: BaseException | None = None

    def run(self) -> None:
        """Work until all is done; the first error of any thread is raised."""
        helpers = [self._pool.submit(self._work) for _ in range(self._threads - 1)]
        self._work()
        for each in helpers:
            each.result()
        if self._error is not None:
            raise self._error

    def _work(self) -> None:
        mine: list[int] = []
        with np.errstate(all="ignore"):
            while (place := mine.pop() if mine else self._take()) is not None:
                try:
                    compute(self.plan.steps[place], self.values)
                except BaseException as error:
                    with self._changed:
                        self._error = self._error or error
                        self._changed.notify_all()
                    return
                self._finish(self.plan.steps[place], mine)

    def _take(self) -> int | None:
        """A step that is ready, as soon as there is one; None at the end."""
        with self._changed:
            while not self._ready and self._left and self._error is None:
                self._changed.wait()
            if self._error is not None or not self._ready:
                return None
            return heapq.heappop(self._ready)[1]

    def _finish(self, step: Step, mine: list[int]) -> None:
        """Free what is no longer needed; what becomes ready is light and mine, or anybody's."""
        with self._changed:
            for slot in step.holds:
                self._uses[slot] -= 1
                if not self._uses[slot]:
                    self.values[slot] = None
            offered = 0
            for place in step.after:
                self._waits[place] -= 1
                if not self._waits[place]:
                    if self.plan.steps[place].seconds < LIGHT:
                        mine.append(place)
                    else:
                        heapq.heappush(self._ready, (-self._ways[place], place))
                        offered += 1
            self._left -= 1
            if not self._left:
                self._changed.notify_all()
            elif offered:
                self._changed.notify(offered if mine else offered - 1)
