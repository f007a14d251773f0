"""doctor: what is installed, what the machine has, and whether a training of two seconds works."""

from __future__ import annotations

import os
import platform
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from simplecell.commands import eyes
from simplecell.errors import UserError

_PACKAGE = "simplecell"


def doctor(json: bool = False) -> int:
    """Verify an install: versions, devices, extras, cache, disk, and a training of two seconds.

    json: print one JSON document on stdout instead of tables on stderr.
    Returns the exit status: 0 when all is well, 1 when a dependency is missing or the training fails.
    """
    packages, extras, faults = installed()
    found: dict[str, Any] = {"python": platform.python_version(), "packages": packages, "extras": extras}
    if not faults:  # nothing below can be imported without the dependencies
        found["devices"], fault = _devices()
        faults += [fault] if fault else []
        found["cache"], fault = _cache()
        faults += [fault] if fault else []
        found["disk_free_bytes"] = shutil.disk_usage(Path.cwd()).free
        found["training"], fault = _training()
        faults += [fault] if fault else []
    found |= {"faults": faults, "well": not faults}
    if json:
        eyes.answer(found)
    else:
        _show(found)
    return 1 if faults else 0


def installed() -> tuple[dict[str, str | None], dict[str, dict[str, Any]], list[str]]:
    """What the installed package asks for and what is there of it: (packages, extras, faults).

    packages: this one and those it cannot do without, each with its version, or None where it is missing.
    extras: by name, {"installed": whether all is there, "missing": names, "install": the command}.
    """
    try:
        description = metadata.metadata(_PACKAGE)
    except metadata.PackageNotFoundError:
        fault = f"{_PACKAGE} runs from a folder and is not installed; run `pip install .` in that folder"
        return {_PACKAGE: None}, {}, [fault]
    needed: dict[str, list[str]] = {"": []}
    for extra in description.get_all("Provides-Extra") or []:
        needed[extra] = []
    for line in metadata.requires(_PACKAGE) or []:
        requirement, _, marker = line.partition(";")
        name = re.match(r"[\w.-]+", requirement)
        extra_of = re.search(r"extra\s*==\s*['\"]([\w.-]+)['\"]", marker)
        if name:
            needed[extra_of[1] if extra_of else ""].append(name[0])
    packages = {name: version(name) for name in [_PACKAGE, *needed.pop("")]}
    faults = [
        f"{name} is missing; run `pip install {name}`" for name, number in packages.items() if number is None
    ]
    extras = {}
    for extra, names in needed.items():
        missing = [name for name in names if version(name) is None]
        install = f'pip install "{_PACKAGE}[{extra}]"'
        extras[extra] = {"installed": not missing, "missing": missing, "install": install}
    return packages, extras, faults


def version(name: str) -> str | None:
    """The version of an installed distribution."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _devices() -> tuple[list[dict[str, Any]], str]:
    try:
        import torch

        from simplecell.learn.measure import has_bfloat16
    except (ImportError, OSError) as error:  # installed, but for another system or half
        return [], f"torch cannot be loaded ({error}); run `pip install --force-reinstall torch`"

    devices: list[dict[str, Any]] = [
        {
            "device": "cpu",
            "name": processor(),
            "cores": os.cpu_count(),
            "usable_cores": usable_cores(),
            "threads": torch.get_num_threads(),
            "memory_bytes": memory(),
            "bfloat16": has_bfloat16(torch.device("cpu")),
        }
    ]
    for number in range(torch.cuda.device_count()):
        device = torch.device("cuda", number)
        about = torch.cuda.get_device_properties(device)
        devices.append(
            {
                "device": f"cuda:{number}",
                "name": about.name,
                "memory_bytes": about.total_memory,
                "bfloat16": has_bfloat16(device),
            }
        )
    if torch.backends.mps.is_available():
        mps = torch.device("mps")
        devices.append({"device": "mps", "name": processor(), "bfloat16": has_bfloat16(mps)})
    return devices, ""


def processor(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """The name of the processor's model, as far as the system tells it."""
    try:
        named = re.search(r"^model name\s*:\s*(.+)$", cpuinfo.read_text(encoding="utf-8"), re.MULTILINE)
    except OSError:
        named = None
    return named[1] if named else platform.processor() or platform.machine()


def usable_cores() -> int:
    """How many cores this process may use; a container or taskset may leave it fewer than there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def memory(limit: Path = Path("/sys/fs/cgroup/memory.max")) -> int:
    """Bytes of memory that the machine has, or that its container may use."""
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    try:
        return min(total, int(limit.read_text(encoding="ascii")))
    except (OSError, ValueError):  # no such file, or "max"
        return total


def _cache() -> tuple[dict[str, Any], str]:
    from simplecell.data import cache

    try:
        limit = cache.limit()
    except UserError as error:
        return {"folder": str(cache.folder())}, str(error)
    return {"folder": str(cache.folder()), "used_bytes": cache.used(), "limit_bytes": limit}, ""


def _training() -> tuple[dict[str, Any], str]:
    begun = time.perf_counter()
    try:
        _train_two_seconds()
    except Exception as error:  # whatever it is, this is the place to tell it
        return {"works": False}, f"the training failed: {type(error).__name__}: {error}"
    return {"works": True, "seconds": round(time.perf_counter() - begun, 1)}, ""


def _train_two_seconds() -> None:
    """The whole path from pictures to an artefact, on pictures that the task paints itself."""
    from simplecell.commands.train import run_training
    from simplecell.tasks.classify import Classify

    with tempfile.TemporaryDirectory() as folder:
        run_training(Classify.tiny(), Path(folder) / "run")


def _show(found: Mapping[str, Any]) -> None:
    """Tables and sentences on stderr."""
    packages = {"python": found["python"], **found["packages"]}
    _section(
        "versions", [{"package": name, "version": number or "missing"} for name, number in packages.items()]
    )
    _section("devices", [_device_row(device) for device in found.get("devices", [])])
    _section(
        "extras",
        [
            {"extra": name, "is": "installed" if extra["installed"] else f"missing: {extra['install']}"}
            for name, extra in found["extras"].items()
        ],
    )
    if "limit_bytes" in found.get("cache", {}):
        place = found["cache"]
        eyes.say(
            f"cache: {place['folder']}, {_size(place['used_bytes'])} of at most {_size(place['limit_bytes'])}"
        )
    if "disk_free_bytes" in found:
        eyes.say(f"disk: {_size(found['disk_free_bytes'])} free here")
    if found.get("training", {}).get("works"):
        eyes.say(f"training: works, {found['training']['seconds']} s")
    for fault in found["faults"]:
        eyes.say(fault)
    eyes.say("all is well" if found["well"] else "not well: see above")


def _section(title: str, rows: list[dict[str, str]]) -> None:
    eyes.say(title)
    eyes.table(rows, sys.stderr)
    eyes.say("")


def _device_row(device: Mapping[str, Any]) -> dict[str, str]:
    cores = f"{device['usable_cores']} of {device['cores']}" if "cores" in device else ""
    return {
        "device": device["device"],
        "name": device["name"],
        "cores": cores,
        "threads": str(device.get("threads", "")),
        "memory": _size(device["memory_bytes"]) if "memory_bytes" in device else "",
        "bfloat16": "native" if device["bfloat16"] else "not native",
    }


def _size(count: int) -> str:
    """Bytes as a person reads them."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"
