"""Tars, shards and zips that lie, reach out, or unpack without end: pictures or a sentence."""

from __future__ import annotations

import gzip
import io
import struct
import sys
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))

from judging import judged
from mutation import EXAMPLES, mutated

from simplecell.data.sources import read_source
from simplecell.data.unpack import unpack
from simplecell.errors import UserError

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108000000003a7e9b550000000a49444154789c63600000000200"
    "01e221bc330000000049454e44ae426082"
)
PETS = {f"{kind}/{number}.png": PNG for kind in ("cat", "dog") for number in range(2)}
EXAMPLES_OF_SHARDS = {
    f"{n:04d}.{suffix}": body for n in range(3) for suffix, body in (("png", PNG), ("cls", b"%d" % n))
}


def tar(files: Mapping[str, bytes], format: int = tarfile.PAX_FORMAT, mode: str = "w") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode, format=format) as made:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            made.addfile(member, io.BytesIO(content))
    return out.getvalue()


def zipped(files: Mapping[str, bytes], how: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", how) as made:
        for name, content in files.items():
            made.writestr(name, content)
    return out.getvalue()


LONG = {f"{'long/' * 30}cat/{'x' * 120}.png": PNG, "dog/ü.png": PNG}
TARS = [
    tar(PETS),
    tar(PETS | LONG, tarfile.GNU_FORMAT),
    tar(LONG | PETS),
    tar(EXAMPLES_OF_SHARDS, tarfile.USTAR_FORMAT),
]
ZIPS = [
    zipped(PETS),
    zipped(PETS, zipfile.ZIP_STORED),
    zipped(PETS, zipfile.ZIP_BZIP2),
    zipped(PETS, zipfile.ZIP_LZMA),
]
SIGNS = [
    b"../",
    b"/",
    b"\0",
    b"ustar",
    b"L",
    b"x",
    b"S",
    b"\x80\0\0\0\0\0\0\0\0\0\0\1",
    b"\xff" * 12,
    b"77777777777\0",
]
SIGNS += [
    b"1",
    b"2",
    b"3",
    b"5",
    b"18 size=99999999\n",
    b"20 GNU.sparse.major=1\n",
    b"30 path=" + b"a/" * 11 + b"\n",
]


def with_right_sums(content: bytes) -> bytes:
    """A tar whose headers have the checksums of what is in them now: spoilt ones get further so."""
    blocks = [content[at : at + 512] for at in range(0, len(content), 512)]
    for number, block in enumerate(blocks):
        if block[257:262] == b"ustar" and len(block) == 512:
            blocks[number] = checked(block)
    return b"".join(blocks)


def checked(block: bytes) -> bytes:
    total = sum(block[:148]) + sum(block[156:]) + 8 * 32
    return block[:148] + b"%06o\0 " % total + block[156:]


def read_all(path: Path) -> int:
    """Index the archive and read the bytes of every picture, as the cache would; how many there are."""
    source = read_source(path)
    for table in source.tables.values():
        for row in range(len(table)):
            table.pictures.content(row)
    return sum(len(table) for table in source.tables.values())


@pytest.mark.parametrize("suffix", [".tar", ".tar.gz"])
@settings(max_examples=2 * EXAMPLES)
@given(content=mutated(TARS, SIGNS), right=st.booleans())
def test_a_spoilt_tar_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, suffix: str, content: bytes, right: bool
) -> None:
    path = tmp_path_factory.getbasetemp() / f"spoilt{suffix}"
    content = with_right_sums(content) if right else content
    path.write_bytes(gzip.compress(content, 1) if suffix == ".tar.gz" else content)
    judged(lambda: read_all(path), path.name)


@settings(max_examples=EXAMPLES)
@given(content=mutated([gzip.compress(tar) for tar in TARS]))
def test_a_tar_whose_compression_is_spoilt_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "packed.tar.gz"
    path.write_bytes(content)
    judged(lambda: read_all(path), path.name)


@settings(max_examples=2 * EXAMPLES)
@given(
    content=mutated([*ZIPS, TARS[0]], [b"PK\1\2", b"PK\3\4", b"PK\5\6", b"../", b"/"]),
    suffix=st.sampled_from([".zip", ".tgz"]),
)
def test_a_spoilt_archive_is_unpacked_or_refused(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, suffix: str
) -> None:
    folder = tmp_path_factory.mktemp("unpacked")
    path = folder / f"spoilt{suffix}"
    path.write_bytes(content)
    judged(lambda: unpack(path, folder / "into"), path.name)
    assert sorted(each.name for each in folder.iterdir()) == ["into", path.name]
    assert all(each.is_file() or each.is_dir() for each in folder.rglob("*"))
    assert not any(each.is_symlink() for each in folder.rglob("*"))


# ---- lies of a tar, one by one


def header(
    name: str = "cat/0.png", kind: bytes = b"0", size: bytes = b"%011o\0" % 0, rest: bytes = b""
) -> bytes:
    """A header block of the old format, of which everything can be chosen."""
    start = (
        name.encode(errors="surrogateescape").ljust(100, b"\0")
        + b"0000644\0" * 3
        + size
        + b"%011o\0" % 0
        + b" " * 8
        + kind
    )
    return checked((start.ljust(257, b"\0") + b"ustar  \0" + rest.rjust(0)).ljust(512, b"\0"))


def number(value: int) -> bytes:
    """A size in GNU's form for large and negative numbers: base 256."""
    return bytes([0x80 if value >= 0 else 0xFF]) + (value % 2**88).to_bytes(11, "big")


def pax(records: bytes, kind: bytes = b"x") -> bytes:
    return header("pax", kind, b"%011o\0" % len(records)) + records + bytes(-len(records) % 512)


def record(key: str, value: str) -> bytes:
    body = f" {key}={value}\n".encode()
    length = len(body) + len(str(len(body)))
    return f"{length + (len(str(length)) + len(body) > length)}".encode() + body


END = bytes(1024)
AFTER = header("dog/1.png")


def sparse_giant() -> bytes:
    """GNU's old form: one byte of data at a place terabytes away."""
    block = bytearray(header(kind=b"S", size=b"%011o\0" % 512))
    block[386:410] = number(2**42) + b"%011o\0" % 512
    block[483:495] = number(2**42 + 512)
    return checked(bytes(block)) + bytes(512)


def sparse_giant_of_pax() -> bytes:
    records = record("GNU.sparse.major", "1") + record("GNU.sparse.minor", "0")
    records += record("GNU.sparse.name", "cat/0.png") + record("GNU.sparse.realsize", str(2**42))
    body = f"1\n{2**42 - 512}\n512\n".encode().ljust(512, b"\0") + bytes(512)
    return pax(records) + header(size=b"%011o\0" % len(body)) + body


LIES: dict[str, tuple[bytes, str]] = {
    "a size of minus one block": (header(size=number(-512)) + AFTER, "cat/0.png"),
    "a pax size of minus one block": (pax(record("size", "-512")) + header() + AFTER, "cat/0.png"),
    "a size of 2**80": (header(size=number(2**80)) + AFTER, ""),
    "a long name of a terabyte": (header("././@LongLink", b"L", number(2**40)) + AFTER, ""),
    "a long name of an exabyte": (header("././@LongLink", b"L", number(2**64)) + AFTER, ""),
    "pax records of a terabyte": (header("pax", b"x", number(2**40)) + AFTER, ""),
    "pax records that overlap": (pax(b"2 " * 500_000 + b"=") + header(), ""),
    "a chain of pax records": (pax(record("comment", "x")) * 5_000 + header(), ""),
    "a sparse giant": (sparse_giant(), "neither a plain file nor a folder"),
    "a sparse giant of pax": (sparse_giant_of_pax(), "neither a plain file nor a folder"),
    "a path of 200,000 folders": (pax(record("path", "a/" * 200_000 + "0.png")) + header(), ""),
    "a path of 2,000 folders": (pax(record("path", "a/" * 2_000 + "0.png")) + header(), ""),
    "a name that is not UTF-8": (header("cat/\udcff.png"), "not UTF-8"),
}


@pytest.mark.parametrize("packed", [False, True], ids=["tar", "tar.gz"])
@pytest.mark.parametrize("lie", LIES)
def test_a_tar_that_lies_gets_its_sentence(tmp_path: Path, lie: str, packed: bool) -> None:
    content, words = LIES[lie]
    path = tmp_path / ("x.tar.gz" if packed else "x.tar")
    path.write_bytes(gzip.compress(content + END, 1) if packed else content + END)
    error = judged(lambda: read_all(path), path.name)
    print(error)
    assert isinstance(error, UserError)
    assert words in str(error)


def test_a_hundred_thousand_members_are_read_in_bounded_memory(tmp_path: Path) -> None:
    blocks, start = [], header("cat/000000.png")
    for number in range(100_000):
        name = f"{('cat', 'dog')[number % 2]}/{number:06d}.png".encode()
        blocks.append(name + start[len(name) : 148] + b"%06o" % (unsummed(start) + sum(name)) + start[154:])
    path = tmp_path / "x.tar"
    path.write_bytes(b"".join(blocks) + END)
    source = judged(lambda: read_source(path), path.name)
    assert not isinstance(source, UserError)
    assert len(source.tables["all"]) == 100_000
    assert source.tables["all"].labels.tolist()[::50_000] == [0, 1]


def unsummed(block: bytes) -> int:
    """The checksum of a header without its name of 14 bytes."""
    return sum(block[14:148]) + sum(block[156:]) + 8 * 32


def test_of_members_of_one_name_the_last_counts(tmp_path: Path) -> None:
    """As when the archive is unpacked by tar."""
    for suffix, mode in ((".tar", "w"), (".tar.gz", "w:gz")):
        path = tmp_path / f"x{suffix}"
        with tarfile.open(path, mode) as made:
            for name, content in (("cat/0.png", b"first"), ("dog/0.png", b"dog"), ("./cat//0.png", b"last")):
                member = tarfile.TarInfo(name)
                member.size = len(content)
                made.addfile(member, io.BytesIO(content))
        pictures = read_source(path).tables["all"].pictures
        assert [pictures.content(row) for row in range(len(pictures))] == [b"last", b"dog"]


# ---- archives that are unpacked


def overlapping_zip(members: int) -> bytes:
    """Every member is the same megabyte of zeros: the directory names one place again and again."""
    content = bytearray(zipped({"cat/000.png": bytes(1 << 20)}))
    directory, end = content.index(b"PK\1\2"), content.index(b"PK\5\6")
    entry = bytes(content[directory:end])
    entries = b"".join(entry.replace(b"000", b"%03d" % number) for number in range(members))
    tail = bytearray(content[end:])
    tail[8:16] = struct.pack("<HHI", members, members, len(entries))
    return bytes(content[:directory]) + entries + bytes(tail)


def encrypted() -> bytes:
    content = bytearray(zipped(PETS))
    for sign, place in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        content[content.index(sign) + place] |= 1
    return bytes(content)


BOMBS: dict[str, tuple[str, bytes, str]] = {
    "a zip of zeros": ("x.zip", zipped({"cat/0.png": bytes(10 << 20)}), "100 times its size"),
    "a zip of one place": ("x.zip", overlapping_zip(200), ""),
    "a tar of zeros": ("x.tgz", gzip.compress(tar({"cat/0.png": bytes(10 << 20)}), 9), "100 times its size"),
    "a sparse giant": ("x.tar", sparse_giant() + END, "is not as large as it says"),
    "a sparse giant of pax": ("x.tgz", gzip.compress(sparse_giant_of_pax() + END), "is not as large"),
    "a size below nothing": ("x.tar", header(size=number(-512)) + AFTER + END, ""),
    "a locked zip": ("x.zip", encrypted(), "encrypted"),
    "a name twice": ("x.tar", tar(PETS)[:1024] * 2 + END, "is there twice"),
    "a folder for a file": ("x.zip", zipped({"cat": b"", "cat/0.png": PNG}), "is there twice"),
    "a file for a folder": ("x.zip", zipped({"cat/0.png": PNG, "cat": b""}), "is there twice"),
    "a name of 300 letters": ("x.zip", zipped({"cat/" + "x" * 300: PNG}), "too long for a file"),
    "a name with a control character": ("x.zip", zipped({"../\x1b[2J": PNG}), "leads out of the archive"),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_an_archive_that_lies_is_not_unpacked(tmp_path: Path, bomb: str) -> None:
    name, content, words = BOMBS[bomb]
    path = tmp_path / name
    path.write_bytes(content)
    error = judged(lambda: unpack(path, tmp_path / "into"), name)
    print(error)
    assert isinstance(error, UserError)
    assert words in str(error)
    written = sum(each.stat().st_size for each in (tmp_path / "into").rglob("*") if each.is_file())
    assert written <= 100 * len(content) + 2**20
