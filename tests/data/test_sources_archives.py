"""Tars and shards: read in place like the folders they were made of; hostile and broken ones are refused."""

from __future__ import annotations

import json
import os
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from source_files import PETS, picture, refusal, tar, write

from simplecell.data.sources import archive, read_source, shards
from simplecell.errors import UserError


@pytest.mark.parametrize("top", ["", "./", "pets/"])
@pytest.mark.parametrize("packing", ["", ":gz"])
def test_an_archive_reads_like_the_folder_it_was_made_of(tmp_path: Path, packing: str, top: str) -> None:
    files = {f"{side}/{name}": content for side in ("train", "test") for name, content in PETS.items()}
    folder = read_source(write(tmp_path / "folder", files))
    packed = tmp_path / ("pets.tar.gz" if packing else "pets.tar")
    packed = tar(packed, {top + name: content for name, content in files.items()}, f"w{packing}")
    source = read_source(packed)
    assert (source.format, source.classes) == ("archive", folder.classes)
    prefix = top.replace("./", "")
    for side, table in folder.tables.items():
        assert source.tables[side].ids == tuple(prefix + name for name in table.ids)
        assert source.tables[side].labels.tolist() == table.labels.tolist()
        for row in range(len(table)):
            assert source.tables[side].pictures.content(row) == table.pictures.content(row)
            assert (source.tables[side].pictures.read(row) == table.pictures.read(row)).all()


def test_the_folder_of_an_archive_may_be_given(tmp_path: Path) -> None:
    tar(tmp_path / "pets.tar", PETS)
    (tmp_path / "README.md").write_text("pets")
    assert read_source(tmp_path).classes == ("cat", "dog")


def test_a_broken_picture_in_an_archive_is_named(tmp_path: Path) -> None:
    for name, mode in (("a.tar", "w"), ("a.tar.gz", "w:gz")):
        tar(tmp_path / name, PETS | {"cat/0.png": picture()[:60]}, mode)
        pictures = read_source(tmp_path / name).tables["all"].pictures
        with pytest.raises(UserError, match=rf"{name}/cat/0\.png: the picture is cut short"):
            pictures.read(0)


def hostile(name: str = "cat/9.png", kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, link
    return member


@pytest.mark.parametrize("mode", ["w", "w:gz"])
@pytest.mark.parametrize(
    ("member", "words"),
    [
        (hostile("../cat/9.png"), "reaches outside by .."),
        (hostile("/etc/9.png"), "has an absolute path"),
        (hostile("C:/9.png"), "has an absolute path"),
        (hostile(kind=tarfile.SYMTYPE, link="/etc/passwd"), "neither a plain file nor a folder"),
        (hostile(kind=tarfile.LNKTYPE, link="cat/0.png"), "neither a plain file nor a folder"),
        (hostile(kind=tarfile.CHRTYPE), "neither a plain file nor a folder"),
        (hostile(kind=tarfile.FIFOTYPE), "neither a plain file nor a folder"),
    ],
)
def test_hostile_members_are_refused(tmp_path: Path, member: tarfile.TarInfo, words: str, mode: str) -> None:
    path = tmp_path / ("x.tar.gz" if mode == "w:gz" else "x.tar")
    with tarfile.open(path, mode) as made:
        made.addfile(member)
    assert words in refusal(path)


@pytest.mark.parametrize("name", ["x.tar", "x.tar.gz"])
@pytest.mark.parametrize("part", [0.3, 0.5, 0.7])
def test_a_truncated_archive_is_told(tmp_path: Path, name: str, part: float) -> None:
    noise = {f"{kind}/{n}.png": os.urandom(700) for kind in ("cat", "dog") for n in range(9)}
    path = tar(tmp_path / name, noise, "w:gz" if name.endswith("gz") else "w")
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * part)])
    assert "the archive" in (sentence := refusal(path))
    assert name in sentence


def test_nonsense_amid_an_archive_is_not_taken_for_its_end(tmp_path: Path) -> None:
    path = tar(tmp_path / "x.tar", PETS)
    content = bytearray(path.read_bytes())
    content[2048:2560] = b"nonsense" * 64
    path.write_bytes(content)
    assert "no end mark, so it may be cut short" in refusal(path)


def test_an_archive_without_end_mark_is_told(tmp_path: Path) -> None:
    path = tar(tmp_path / "x.tar", PETS)
    path.write_bytes(path.read_bytes()[: len(PETS) * 1024])
    assert "no end mark" in refusal(path)


def test_a_compressed_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_UNPACKED", 100_000)
    path = tar(tmp_path / "x.tar.gz", PETS | {"cat/notes.txt": bytes(200_000)}, "w:gz")
    assert "too much to unpack into memory; unpack it" in refusal(path)


def test_what_is_named_like_an_archive_but_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "x.tar").write_bytes(b"<html>")
    assert "is named like an archive but is none" in refusal(tmp_path / "x.tar")


# --------------------------------------------------------------------------------------------- shards


def shard_files(start: int, label: Callable[[int], dict[str, bytes]]) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    for number in range(start, start + 4):
        files[f"{number:06d}.png"] = picture(number)
        files |= {f"{number:06d}.{suffix}": content for suffix, content in label(number).items()}
    return files


LABELS: dict[str, Callable[[int], dict[str, bytes]]] = {
    "cls": lambda number: {"cls": b"%d" % (number % 2 * 10)},
    "json": lambda number: {"json": json.dumps({"label": number % 2 * 10, "more": [1]}).encode()},
    "txt": lambda number: {"txt": b"%d\n" % (number % 2 * 10)},
    "cls before txt": lambda number: {"txt": b"a caption", "cls": b"%d" % (number % 2 * 10)},
}


@pytest.mark.parametrize("kind", LABELS)
def test_shards_are_read(tmp_path: Path, kind: str) -> None:
    for number in range(2):
        tar(tmp_path / f"pets-train-{number:03d}.tar", shard_files(4 * number, LABELS[kind]))
    tar(tmp_path / "pets-test-000.tar", shard_files(8, LABELS[kind]))
    for path in (tmp_path, tmp_path / "pets-train-{000..001}.tar", tmp_path / "pets-train-*.tar"):
        source = read_source(path)
        assert (source.format, source.classes) == ("shards", ("0", "10"))
        train = source.tables["train"]
        assert train.labels.tolist() == [0, 1] * 4
        assert train.ids[5] == "pets-train-001.tar/000005.png"
        assert [int(train.pictures.read(row)[0, 0, 0]) for row in range(8)] == list(range(8))
        assert ("test" in source.tables) == (path == tmp_path)


def test_one_shard_is_recognised_and_shards_may_have_no_sides(tmp_path: Path) -> None:
    path = tar(tmp_path / "000.tar", shard_files(0, LABELS["cls"]))
    assert list(read_source(path).tables) == ["all"]
    assert list(read_source(tmp_path).tables) == ["all"]


def test_notes_beside_pictures_in_class_folders_make_no_shard(tmp_path: Path) -> None:
    notes = {name.replace("png", "txt"): b"0 0.5 0.5 0.1 0.1" for name in PETS}
    source = read_source(tar(tmp_path / "pets.tar", PETS | notes))
    assert (source.format, source.classes) == ("archive", ("cat", "dog"))


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"1.png": b""}, "example 1 has no label"),
        ({"1.cls": b"0"}, "example 1 has no picture"),
        ({"1.png": b"", "1.cls": b" "}, "1.cls: the label is empty"),
        ({"1.png": b"", "1.json": b"{}"}, "1.json: there is no label in it"),
        ({"1.png": b"", "1.json": b'{"label": [1]}'}, "1.json: there is no label in it"),
        ({"1.png": b"", "1.json": b"[" * 100_000}, "1.json: there is no label in it"),
        ({"1.png": b"", "1.cls": b"\xff"}, "1.cls: there is no label in it"),
        ({"readme": b""}, "no pictures in the shards"),
    ],
)
def test_every_fault_of_a_shard_has_its_sentence(tmp_path: Path, files: dict[str, bytes], words: str) -> None:
    tar(tmp_path / "000.tar", files)
    assert words in refusal(tmp_path, "shards")


def test_patterns_of_shards_are_expanded(tmp_path: Path) -> None:
    for name in ("a-08.tar", "a-09.tar", "a-10.tar", "b-08.tar"):
        (tmp_path / name).write_bytes(b"")

    def names(pattern: str) -> list[str]:
        return [path.name for path in shards.expand(tmp_path / pattern)]

    assert names("a-{08..10}.tar") == ["a-08.tar", "a-09.tar", "a-10.tar"]
    assert names("{b,a}-08.tar") == ["b-08.tar", "a-08.tar"]
    assert names("{a,b}-*.tar") == ["a-08.tar", "a-09.tar", "a-10.tar", "b-08.tar"]
    with pytest.raises(UserError, match=r"a-11\.tar: the shard is absent"):
        names("a-{08..11}.tar")
    with pytest.raises(UserError, match="no file matches"):
        names("c-*.tar")
    with pytest.raises(UserError, match="too many shards"):
        names("{0..9999}{0..9999}.tar")
