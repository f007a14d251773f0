"""doctor: what it says of whole, incomplete and broken installs."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from simplecell.commands import doctor as command
from simplecell.commands.doctor import doctor

METADATA = """\
Metadata-Version: 2.4
Name: simplecell
Version: 9.8.7
Requires-Dist: numpy>=2.0
Requires-Dist: no-such-core[fast]>=1.0
Requires-Dist: pytest; extra == 'here'
Requires-Dist: pytest; extra == "half"
Requires-Dist: no_such.extra<5,>=4; extra == "half"
Provides-Extra: here
Provides-Extra: half
Provides-Extra: empty
"""


@pytest.fixture
def incomplete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed simplecell that asks for packages that are not there."""
    folder = tmp_path / "simplecell-9.8.7.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(METADATA, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)


@pytest.fixture
def no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "_train_two_seconds", lambda: None)


def test_a_whole_install_trains_and_is_well(capsys: pytest.CaptureFixture[str]) -> None:
    assert doctor(json=True) == 0
    shown = capsys.readouterr()
    found = json.loads(shown.out)
    assert found["well"]
    assert found["faults"] == []
    assert found["training"]["works"]
    assert found["python"] == ".".join(map(str, sys.version_info[:3]))
    assert found["packages"]["torch"]
    assert found["extras"]["dev"]["installed"]


def test_devices_cache_and_disk_are_told(
    no_training: None, capsys: pytest.CaptureFixture[str], cache: Path
) -> None:
    doctor(json=True)
    found = json.loads(capsys.readouterr().out)
    cpu = found["devices"][0]
    assert cpu["device"] == "cpu"
    assert cpu["name"]
    assert 1 <= cpu["usable_cores"] <= cpu["cores"] == os.cpu_count()
    assert cpu["memory_bytes"] > 1e8
    assert isinstance(cpu["bfloat16"], bool)
    assert found["cache"]["folder"] == str(cache)
    assert 0 <= found["cache"]["used_bytes"] <= found["cache"]["limit_bytes"]
    assert found["disk_free_bytes"] > 0


def test_what_is_for_eyes_goes_to_stderr(no_training: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert doctor() == 0
    shown = capsys.readouterr()
    assert shown.out == ""
    for word in (
        "versions",
        "torch",
        "devices",
        "cpu",
        "extras",
        "dev",
        "cache:",
        "disk:",
        "training: works",
    ):
        assert word in shown.err
    assert shown.err.rstrip().endswith("all is well")


@pytest.mark.usefixtures("incomplete")
def test_a_missing_dependency_is_named_with_its_remedy(capsys: pytest.CaptureFixture[str]) -> None:
    assert doctor() == 1
    shown = capsys.readouterr().err
    assert "no-such-core is missing; run `pip install no-such-core`" in shown
    assert shown.rstrip().endswith("not well: see above")


@pytest.mark.usefixtures("incomplete")
def test_an_extra_counts_as_installed_when_all_of_it_is() -> None:
    packages, extras, faults = command.installed()
    assert packages["simplecell"] == "9.8.7"
    assert packages["numpy"]
    assert packages["no-such-core"] is None
    assert set(packages) == {"simplecell", "numpy", "no-such-core"}
    assert len(faults) == 1
    assert extras == {
        "here": {"installed": True, "missing": [], "install": 'pip install "simplecell[here]"'},
        "half": {
            "installed": False,
            "missing": ["no_such.extra"],
            "install": 'pip install "simplecell[half]"',
        },
        "empty": {"installed": True, "missing": [], "install": 'pip install "simplecell[empty]"'},
    }


def test_a_package_that_is_not_installed_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "_PACKAGE", "simplecell-that-nobody-installed")
    assert doctor(json=True) == 1
    assert "pip install ." in json.loads(capsys.readouterr().out)["faults"][0]


def test_a_training_that_fails_is_told_and_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise RuntimeError("the matrix is made of cheese")

    monkeypatch.setattr(command, "_train_two_seconds", fail)
    assert doctor() == 1
    shown = capsys.readouterr().err
    assert "the training failed: RuntimeError: the matrix is made of cheese" in shown
    assert "Traceback" not in shown


def test_a_torch_that_cannot_be_loaded_is_told(
    no_training: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)  # makes the import fail
    assert doctor() == 1
    assert "torch cannot be loaded" in capsys.readouterr().err


def test_a_limit_of_the_cache_that_is_no_size_is_told(
    no_training: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SIMPLECELL_CACHE_GB", "plenty")
    assert doctor(json=True) == 1
    assert "SIMPLECELL_CACHE_GB" in json.loads(capsys.readouterr().out)["faults"][0]


def test_a_container_has_the_memory_it_is_given(tmp_path: Path) -> None:
    limit = tmp_path / "memory.max"
    whole = command.memory(limit)  # no such file
    limit.write_text("max\n", encoding="ascii")
    assert command.memory(limit) == whole
    limit.write_text("123456789\n", encoding="ascii")
    assert command.memory(limit) == 123456789


def test_the_processor_has_a_name_everywhere(tmp_path: Path) -> None:
    listed = tmp_path / "cpuinfo"
    assert command.processor(listed)  # no such file, as on a Mac
    listed.write_text("processor\t: 0\nmodel name\t: Cell 3000\n\nprocessor\t: 1\nmodel name\t: Cell 3000\n")
    assert command.processor(listed) == "Cell 3000"


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system binds no process to cores")
def test_cores_that_the_process_may_not_use_do_not_count() -> None:
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert command.usable_cores() == 1
    finally:
        os.sched_setaffinity(0, before)
