"""What all tests share: the folder of real data, a cache of their own, one thread a process."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

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
