"""Packs: whole or not there, shared by processes, below a limit."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from multiprocessing.synchronize import Barrier
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from simplecell.data import cache
from simplecell.data.cache import Pack, PackWriter, make_room, open_pack
from simplecell.errors import UserError


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of this test's own."""
    monkeypatch.setenv("SIMPLECELL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def bytes_of(count: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, count, dtype=np.uint8)


def write(name: str, content: NDArray[np.uint8], parts: int = 3) -> Pack:
    with PackWriter(name) as writer:
        for part in np.array_split(content, parts):
            writer.append(part)
        return writer.finish({"numbers": np.arange(5), "levels": np.ones((2, 3), np.uint8)})


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_pack_gives_back_what_was_put_in(folder: Path) -> None:
    content = bytes_of(100_000)
    for pack in (write("a", content), open_pack("a")):
        assert pack is not None
        assert np.array_equal(pack.data, content)
        assert np.array_equal(pack.arrays["numbers"], np.arange(5))
        assert pack.arrays["numbers"].dtype == np.arange(5).dtype
        assert pack.arrays["levels"].shape == (2, 3)
    assert files(folder) == ["a.pack"]


def test_a_pack_may_be_empty() -> None:
    assert len(write("empty", bytes_of(0)).data) == 0
    pack = open_pack("empty")
    assert pack is not None
    assert len(pack.data) == 0


def test_an_unknown_pack_is_none() -> None:
    assert open_pack("unknown") is None


@pytest.mark.parametrize("share", [0.0, 0.3, 0.999])
def test_a_truncated_pack_is_dropped(folder: Path, share: float) -> None:
    write("a", bytes_of(10_000))
    path = folder / "a.pack"
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    assert open_pack("a") is None
    assert not path.exists()


@pytest.mark.parametrize("place", [-1, -40, -60, -150])
def test_a_pack_with_a_damaged_index_is_dropped(folder: Path, place: int) -> None:
    write("a", bytes_of(10_000))
    path = folder / "a.pack"
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
    assert open_pack("a") is None


def test_an_unfinished_pack_leaves_nothing(folder: Path) -> None:
    with PackWriter("a") as writer:
        writer.append(bytes_of(1000))
    assert files(folder) == []


def test_a_process_killed_while_writing_leaves_no_pack_and_its_rest_is_swept_up(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = (
        "import numpy as np, os, signal\n"
        "from simplecell.data.cache import PackWriter\n"
        "with PackWriter('a') as writer:\n"
        "    writer.append(np.ones(1_000_000, np.uint8))\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=False)
    assert open_pack("a") is None
    (left,) = folder.iterdir()
    monkeypatch.setenv("SIMPLECELL_CACHE_GB", "0.0015")
    assert make_room(1_000_000) == 0  # so new that its writer might be about to lock it
    os.utime(left, (0, 0))
    assert make_room(1_000_000) > 0
    assert files(folder) == []


def _write_in_another_process(name: str, start: Barrier) -> None:
    start.wait()
    write(name, bytes_of(3_000_000), parts=200)


def test_two_processes_may_write_the_same_pack_at_once(folder: Path) -> None:
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(2)
    writers = [context.Process(target=_write_in_another_process, args=("a", start)) for _ in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0]
    assert files(folder) == ["a.pack"]
    pack = open_pack("a")
    assert pack is not None
    assert np.array_equal(pack.data, bytes_of(3_000_000))


def test_the_least_recently_used_pack_makes_room(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIMPLECELL_CACHE_GB", "0.0035")
    for age, name in enumerate(("new", "old", "middle")):
        write(name, bytes_of(1_000_000))
        os.utime(folder / f"{name}.pack", (1000 - age, 1000 - age))
    opened = open_pack("middle")  # now the most recent
    del opened
    write("another", bytes_of(1_000_000))
    assert files(folder) == ["another.pack", "middle.pack", "new.pack"]


def test_a_pack_in_use_is_not_deleted(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIMPLECELL_CACHE_GB", "0.0025")
    held = write("held", bytes_of(1_000_000)).data
    os.utime(folder / "held.pack", (0, 0))
    write("idle", bytes_of(1_000_000))
    write("new", bytes_of(1_000_000))
    assert files(folder) == ["held.pack", "new.pack"]
    assert np.array_equal(held, bytes_of(1_000_000))


def test_a_pack_that_cannot_fit_is_not_kept_and_deletes_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIMPLECELL_CACHE_GB", "0.0015")
    write("small", bytes_of(1000))
    with PackWriter("large") as writer:
        writer.append(bytes_of(1_000_000))
        assert writer.fits
        writer.append(bytes_of(1_000_000))
        assert not writer.fits
        pack = writer.finish({"numbers": np.arange(5)})
    assert len(pack.data) == 0
    assert np.array_equal(pack.arrays["numbers"], np.arange(5))
    assert files(folder) == ["small.pack"]


def test_without_a_cache_the_folder_is_not_made(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIMPLECELL_CACHE_GB", "0")
    assert len(write("a", bytes_of(1000)).data) == 0
    assert not folder.exists()


def test_no_more_than_half_of_the_free_disk_is_taken(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write("a", bytes_of(1_000_000))
    held = cache.used()
    monkeypatch.setattr(cache, "_free", lambda: 3_000_000)
    assert cache.limit() == (held + 3_000_000) // 2


@pytest.mark.parametrize("size", ["much", "-1", "nan", "inf"])
def test_a_limit_that_is_no_size_gets_a_sentence(size: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIMPLECELL_CACHE_GB", size)
    with pytest.raises(UserError, match="SIMPLECELL_CACHE_GB"):
        cache.limit()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the device that is always full")
def test_a_full_disk_is_a_sentence_and_leaves_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with PackWriter("a") as writer, open("/dev/full", "wb", buffering=0) as full:
        assert writer._file is not None
        writer._file.close()
        monkeypatch.setattr(writer, "_file", full)
        with pytest.raises(UserError, match=r"the disk is full.*SIMPLECELL_CACHE_GB=0"):
            writer.append(bytes_of(1_000_000))
    assert files(folder) == []


def test_a_cache_that_cannot_be_made_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SIMPLECELL_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(UserError, match="cannot be written"):
        PackWriter("a")
