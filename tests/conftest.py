"""What all tests share: the folder of real data, a cache of their own, one thread a process."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

# Before torch is imported, here and in the processes that tests start: the tests run side by side, and
# the thread count is part of what exact resume is exact about.
os.environ["OMP_NUM_THREADS"] = "1"

# `make test` draws the same examples each time, so that a red test stays red; `make fuzz` looks for new ones.
settings.register_profile(
    "test", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow], max_examples=50
)
settings.register_profile("fuzz", settings.get_profile("test"), derandomize=False, max_examples=2_000)
settings.load_profile("test")


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The cache of decoded pictures, in a folder that ends with the session."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setenv("SIMPLECELL_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="session")
def shared() -> Callable[[str], Path]:
    """The folder of a real data set by its name; a test that asks for an absent one is skipped.

    The sets lie in the folder that SIMPLECELL_SHARED names, or in shared/data beside the checkout. Their
    licences keep them out of the repository.
    """
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    root = Path(os.environ.get("SIMPLECELL_SHARED", beside))

    def folder(name: str) -> Path:
        path = root / name
        if not path.is_dir():
            pytest.skip(f"needs the data set {name}, which is not in the repository: set SIMPLECELL_SHARED")
        return path

    return folder


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium, driven by playwright; a test that asks for it is skipped where either is absent."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs the extra dev: playwright")
    pytest.importorskip("axe_playwright_python", reason="needs the extra dev: axe-playwright-python")
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        pytest.skip("needs a chromium on the PATH")
    # Chromium's sandbox refuses to run for root, as which containers run tests.
    words = ["--no-sandbox"] if os.geteuid() == 0 else []
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=found, args=words)
        yield opened
        opened.close()


class Disks:
    """Small file systems in memory: of a size in bytes, or read-only when asked."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._mounted: list[Path] = []

    def __call__(self, size: int) -> Path:
        place = self._folder / f"disk{len(self._mounted)}"
        place.mkdir()
        try:
            self._mount("-t", "tmpfs", "-o", f"size={size}", "tmpfs", place)
        except (OSError, subprocess.CalledProcessError):
            pytest.skip("needs a small file system of its own: only root may mount one")
        self._mounted.append(place)
        return place

    def resize(self, place: Path, size: int) -> None:
        self._mount("-o", f"remount,size={size}", place)

    def protect(self, place: Path) -> None:
        """Make it read-only."""
        self._mount("-o", "remount,ro", place)

    def _mount(self, *words: object) -> None:
        subprocess.run(["mount", *map(str, words)], check=True, capture_output=True)

    def unmount(self) -> None:
        for place in self._mounted:
            subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disks]:
    """Makes small disks, so that they can be full."""
    disks = Disks(tmp_path)
    yield disks
    disks.unmount()
