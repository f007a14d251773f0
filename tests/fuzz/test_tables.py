"""Tables that are spoilt, endless or of another encoding: rows or a sentence."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings

sys.path.insert(0, str(Path(__file__).parent))

from judging import judged
from mutation import EXAMPLES, mutated

from simplecell.data.sources import read_source
from simplecell.errors import UserError

ROWS = 'path,label,split,more\na.png,cat,train,1\nb.png,dog,val,2\n"c.png","a ""b""",test,"x\ny"\n'
TABLES = [
    ROWS.encode(),
    ROWS.replace(",", "\t").replace("\n", "\r\n").encode("utf-8-sig"),
    ROWS.replace(",", ";").encode("utf-16"),
    "file,class\na.png,10\nb.png,9\nä.png,é\n".encode("latin-1"),
    b"file,class\ra.png,10\rb.png,9\r",
]
SIGNS = [
    b'"',
    b'""',
    b",",
    b"\t",
    b";",
    b"\n",
    b"\r",
    b"\r\n",
    b"\0",
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b"a.png",
    b"train",
    b"../",
]
SIGNS += ["ä".encode(), b"\xe4", b"\x1b[2J", "\u2028".encode(), b"9" * 5000, b"path", b"label"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the pictures that the tables name; they are not opened."""
    made = tmp_path_factory.mktemp("tables")
    for name in ("a.png", "b.png", "c.png", "ä.png"):
        (made / name).write_bytes(name.encode())
    return made


def read(path: Path, content: bytes) -> object:
    path.write_bytes(content)
    return judged(lambda: read_source(path), path.name)


@settings(max_examples=2 * EXAMPLES)
@given(content=mutated(TABLES, SIGNS))
def test_a_spoilt_table_is_read_or_refused(folder: Path, content: bytes) -> None:
    source = read(folder / "labels.csv", content)
    if not isinstance(source, UserError):
        assert sum(len(side) for side in source.tables.values()) > 0  # type: ignore[attr-defined]


# ---- one by one


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends_of_every_system_are_read(folder: Path, end: str) -> None:
    source = read_source(_written(folder, f"path,label{end}a.png,cat{end}b.png,dog{end}".encode()))
    assert source.classes == ("cat", "dog")


def test_mixed_line_ends_are_read(folder: Path) -> None:
    source = read_source(_written(folder, b"path,label\r\na.png,cat\nb.png,dog\r\nc.png,dog\r"))
    assert len(source.tables["all"]) == 3


def _written(folder: Path, content: bytes) -> Path:
    path = folder / "table.csv"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'path,label\na.png,"cat\nb.png,dog\n', "line 2: the quoting is broken"),
        (b'path,label\n"a.png"x,cat\n', "line 2: the quoting is broken"),
        (b"path,label\na.png,cat\nb.png,d\0g\n", "line 3: there is a NUL byte"),
        ("path,label\na.png,cat\n".encode("utf-16-le"), "NUL"),
        ("path,label\na.png,cat\n".encode("utf-16"), "is UTF-16"),
        ("path,label\nä.png,cat\n".encode("latin-1"), "line 2: the text is not UTF-8"),
        (b"path,label\na.png,cat\n" + b"\x1b[2J.png,dog\n", r"names 1 absent picture (\x1b[2J.png)"),
        (b'path,label\n"a\nb.png",dog\n', r"names 1 absent picture (a\nb.png)"),
        (b"path,label\na.png," + b"x" * 200_000 + b"\n", "line 2"),
        (b"path,label\na.png,cat\nb.png,dog" + b"," * 2_000_000 + b"\n", "line 3"),
    ],
)
def test_every_fault_has_its_sentence(folder: Path, content: bytes, words: str) -> None:
    sentence = str(read(folder / "labels.csv", content))
    print(sentence)
    assert words in sentence


def test_numbers_of_any_length_are_classes_in_their_order(folder: Path) -> None:
    """Python makes no int of more than 4,300 digits."""
    long = "1" + "0" * 5000
    source = read_source(_written(folder, f"path,label\na.png,{long}\nb.png,9\nc.png,10\n".encode()))
    assert source.classes == ("9", "10", long)


def sparse(size: int) -> Callable[[Path], None]:
    """A file of NULs that takes no place on the disk."""

    def write(path: Path) -> None:
        with path.open("wb") as file:
            file.truncate(size)

    return write


def endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize("write", [sparse(2**30), sparse(2**42), endless], ids=["1 GiB", "4 TiB", "endless"])
def test_a_table_without_end_is_refused_unread(tmp_path: Path, write: Callable[[Path], None]) -> None:
    path = tmp_path / "labels.csv"
    write(path)
    assert "more than 256 MiB" in str(judged(lambda: read_source(path), path.name))
