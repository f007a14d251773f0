"""What is measured before the first step, by the loop on a copy of the net: memory, speed, rate."""

from __future__ import annotations

import copy
import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from simplecell.errors import UserError
from simplecell.learn.loop import StageRun, Surroundings
from simplecell.learn.stages import At, Learn, Stage

Make = Callable[[nn.Module], Sequence[Stage]]

#: Memory that the activations of a batch may take, as a share of what is free.
_MEMORY_SHARE = 0.4
#: bfloat16 must be this much faster before its rounding is worth it.
_WORTH_IT = 1.1
_RAMP_STEPS, _LOWEST_RATE, _HIGHEST_RATE = 100, 1e-6, 10.0
#: The share of itself by which a loss must fall for the finder to believe it.
_LEAST_FALL = 0.01


def trial(net: nn.Module, make: Make, world: Surroundings, at_most: int = 0) -> StageRun | None:
    """The first stage that learns, on a copy of the net; None where no stage does.

    at_most: the largest batch size, where it is not 0.
    """
    twin = copy.deepcopy(net)
    stage = next((s for s in make(twin) if isinstance(s, Learn)), None)
    if stage is None:
        return None
    if at_most:
        stage = replace(
            stage, streams=[replace(s, batch_size=min(s.batch_size, at_most)) for s in stage.streams]
        )
    run = StageRun(twin, replace(stage, ema=None), 0, world)
    run.begin()
    return run


def activation_bytes(run: StageRun) -> float:
    """Bytes an example that a step keeps for its gradients (the net's own parameters aside)."""
    own = {t.untyped_storage().data_ptr() for t in (*run.net.parameters(), *run.net.buffers())}
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    batch = next(run.batches(0, 1))
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        run.step(batch, run.at(0))
    return sum(kept.values()) / run.streams[0].batch_size


def fitting_batch_size(run: StageRun, wanted: int) -> int:
    """``wanted``, halved until the activations of a batch fit into memory."""
    free = _free_memory(run.world.device) * _MEMORY_SHARE
    each = activation_bytes(run)
    while wanted > 1 and wanted * each > free:
        wanted //= 2
    return wanted


def _free_memory(device: torch.device) -> float:
    if device.type == "cuda":
        return float(torch.cuda.mem_get_info(device)[0])
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            lines = dict(line.split(":", 1) for line in file)
        return float(lines["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError):
        return 4e9  # no such file: assume a small laptop


def seconds_a_step(*runs: StageRun, steps: int = 6, at_most: float = 8.0) -> list[float]:
    """The least time of a step of each run, its batches made beforehand and one step to warm up.

    The runs take turns, and the least counts, so that what else the machine does weighs on none of them.
    """
    batches = [list(run.batches(0, 2)) for run in runs]
    times: list[list[float]] = [[] for _ in runs]
    began = time.perf_counter()
    while len(times[0]) <= steps and (len(times[0]) < 3 or time.perf_counter() - began < at_most):
        for run, made, spent in zip(runs, batches, times, strict=True):
            begun = time.perf_counter()
            run.step(made[len(spent) % 2], run.at(0))
            _wait(run.world.device)
            spent.append(time.perf_counter() - begun)
    return [min(spent[1:]) for spent in times]


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def faster_precision(net: nn.Module, make: Make, world: Surroundings) -> str:
    """bfloat16 where the device has it and a step is clearly faster with it, else float32."""
    if not has_bfloat16(world.device):
        return "float32"
    full, half = (trial(net, make, replace(world, precision=name)) for name in ("float32", "bfloat16"))
    if full is None or half is None:
        return "float32"
    seconds = seconds_a_step(full, half)
    return "bfloat16" if seconds[0] > _WORTH_IT * seconds[1] else "float32"


def has_bfloat16(device: torch.device) -> bool:
    """Whether the device computes in bfloat16 by itself."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    cpu = torch.backends.cpu.get_cpu_capability() if device.type == "cpu" else ""
    return "AVX512" in cpu and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def epochs_in(run: StageRun, minutes: float, evaluation: float) -> float:
    """The epochs that fit into ``minutes``, at the speed measured now with batches made on the way.

    evaluation: seconds that evaluating once takes. At least one step; 3 % are kept back.
    """
    steps, begun = 0, time.perf_counter()
    for batch in run.batches(0, run.steps):
        if steps == 1:
            begun = time.perf_counter()  # the first step pays for warming up
        run.step(batch, run.at(0))
        steps += 1
        if steps > 3 and time.perf_counter() - begun > min(10.0, 1 + 0.02 * 60 * minutes):
            break
    step = (time.perf_counter() - begun) / max(1, steps - 1)
    epoch = step * run.steps_an_epoch + evaluation
    return max(1 / run.steps_an_epoch, round(0.97 * 60 * minutes / epoch, 3))


def find_rate(net: nn.Module, make: Make, world: Surroundings) -> tuple[float, list[tuple[float, float]]]:
    """The learning-rate finder (Smith 2017, section 3.3): the loop on a copy, with a ramp as rate.

    Returns the rate and the curve (rate, smoothed loss). The rate is a tenth of that at the lowest loss.
    Raises UserError where the loss falls at no rate: then it is not the rate that must change.
    """

    def ramp(at: At) -> float:
        return float(_LOWEST_RATE * (_HIGHEST_RATE / _LOWEST_RATE) ** (at.step / _RAMP_STEPS))

    run = trial(net, make, world)
    if run is None:
        raise UserError("no stage of this task learns by gradient", remedy="leave out --learning-rate find")
    run.stage = replace(run.stage, updates=[replace(u, rate=ramp) for u in run.stage.updates])
    curve: list[tuple[float, float]] = []
    smooth, lowest = 0.0, math.inf
    for step, batch in enumerate(run.batches(0, _RAMP_STEPS)):
        at = replace(run.at(0), step=step)
        try:
            run.step(batch, at)
        except UserError:
            if not curve:
                raise  # no rate was tried yet: it is not the rate
            break  # the ramp has reached where training diverges
        smooth = 0.9 * smooth + 0.1 * float(run.loss)
        unbiased = smooth / (1 - 0.9 ** (step + 1))
        curve.append((ramp(at), unbiased))
        lowest = min(lowest, unbiased)
        if unbiased > 4 * lowest and step > 10:
            break
    # The first rates are too low to change anything.
    at_first = statistics.median(loss for _, loss in curve[: _RAMP_STEPS // 10])
    if len(curve) == _RAMP_STEPS and at_first - lowest < _LEAST_FALL * abs(at_first):
        raise UserError(
            f"the loss falls at no rate up to {_HIGHEST_RATE:g}: the net does not learn as it is",
            where="--learning-rate find",
            remedy="change its first weights, activations or depth, or give a rate",
        )
    best = min(curve, key=lambda point: point[1])[0]
    return float(f"{best / 10:.2g}"), curve
