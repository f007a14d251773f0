"""The data sets that are known, and how one lands in a folder."""

from __future__ import annotations

import hashlib
import io
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest

from simplecell.data import landing
from simplecell.data.known import KNOWN, Known, Remote, find
from simplecell.data.landing import MARKER, land
from simplecell.data.unpack import unpack
from simplecell.errors import UserError


def tape(path: Path, members: dict[str, bytes], *, odd: tarfile.TarInfo | None = None) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        if odd is not None:
            archive.addfile(odd)
    return path


def known_archive(archive: Path, *, rename: dict[str, str] | None = None) -> Known:
    """A data set of one archive that lies where a download would have put it: no network is needed."""
    content = archive.read_bytes()
    file = Remote(
        archive.name,
        ("http://127.0.0.1:1/" + archive.name,),
        len(content),
        "sha256:" + hashlib.sha256(content).hexdigest(),
    )
    return Known("toy", "two classes", "none", "http://127.0.0.1:1/", (file,), "pictures", rename or {})


@pytest.fixture
def toy(tmp_path: Path) -> tuple[Known, Path]:
    """A known data set whose archive is downloaded already, and the folder it is to land in."""
    downloads = tmp_path / "toy.download"
    downloads.mkdir()
    members = {
        "pictures/train/n01/1.jpg": b"one",
        "pictures/test/n01/2.jpg": b"two",
        "readme.txt": b"outside the root",
    }
    return known_archive(tape(downloads / "toy.tgz", members), rename={"n01": "cat"}), tmp_path / "toy"


def files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != MARKER
    }


@pytest.mark.parametrize("known", KNOWN.values(), ids=str)
def test_every_known_file_has_an_address_a_size_and_a_whole_checksum(known: Known) -> None:
    digits = {"sha256": 64, "md5": 32}
    for file in known.files:
        algorithm, _, value = file.checksum.partition(":")
        assert len(value) == digits[algorithm]
        int(value, 16)
        assert file.size > 1000
        assert all(url.startswith(("https://", "http://")) for url in file.urls)
        assert all(url.endswith(file.name) for url in file.urls)
    assert (known.root is None) == (len(known.files) > 1)
    checksums = [file.checksum for other in KNOWN.values() for file in other.files]
    assert len(set(checksums)) == len(checksums)


def test_an_unknown_name_gets_the_nearest_known_one() -> None:
    assert find("cifar10") is KNOWN["cifar10"]
    with pytest.raises(UserError, match="did you mean fashion-mnist"):
        find("FashionMNIST")
    with pytest.raises(UserError, match="no data set of this name is known; there are mnist"):
        find("zzz")


def test_an_archive_lands_with_its_classes_named_and_nothing_else_left(toy: tuple[Known, Path]) -> None:
    known, folder = toy
    land(known, folder)
    assert files(folder) == {"train/cat/1.jpg": b"one", "test/cat/2.jpg": b"two"}
    assert [path.name for path in folder.parent.iterdir()] == ["toy"]


def test_landing_twice_fetches_nothing_and_notices_what_was_changed(toy: tuple[Known, Path]) -> None:
    known, folder = toy
    land(known, folder)
    land(known, folder)
    (folder / "test/cat/2.jpg").unlink()
    with pytest.raises(UserError, match="changed, added or gone"):
        land(known, folder)


def test_a_folder_with_other_things_is_left_alone(toy: tuple[Known, Path]) -> None:
    known, folder = toy
    folder.mkdir()
    (folder / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match="holds something else; choose another folder with --out"):
        land(known, folder)
    assert files(folder) == {"mine.txt": b"mine"}


def test_files_that_are_the_data_land_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "d.download").mkdir()
    remotes = []
    for name, content in {"a.gz": b"first", "b.gz": b"second!"}.items():
        (tmp_path / "d.download" / name).write_bytes(content)
        digits = hashlib.md5(content).hexdigest()
        remotes.append(Remote(name, ("http://127.0.0.1:1/",), len(content), f"md5:{digits}"))
    known = Known("d", "", "", "", tuple(remotes))
    land(known, tmp_path / "d")
    assert files(tmp_path / "d") == {"a.gz": b"first", "b.gz": b"second!"}


def test_a_broken_archive_leaves_no_folder_and_keeps_the_download(toy: tuple[Known, Path]) -> None:
    folder = toy[1]
    archive = folder.with_name("toy.download") / "toy.tgz"
    archive.write_bytes(archive.read_bytes()[:-30])
    with pytest.raises(UserError, match="is no whole archive"):
        land(known_archive(archive), folder)
    assert sorted(path.name for path in folder.parent.iterdir()) == ["toy.download"]


def test_without_a_network_nothing_is_left(toy: tuple[Known, Path]) -> None:
    known, folder = toy
    (folder.with_name("toy.download") / "toy.tgz").unlink()
    with pytest.raises(UserError, match="cannot be reached"):
        land(known, folder)
    assert list(folder.parent.iterdir()) == []


def test_a_full_disk_leaves_no_folder(toy: tuple[Known, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    known, folder = toy

    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(landing, "_mark", full)
    with pytest.raises(UserError, match=r"cannot be written \(No space left on device\)"):
        land(known, folder)
    assert sorted(path.name for path in folder.parent.iterdir()) == ["toy.download"]


def link(name: str, to: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, to
    return info


@pytest.mark.parametrize("name", ["../evil", "pictures/../../evil", "/evil", "C:\\evil", "a\\..\\..\\evil"])
@pytest.mark.parametrize("suffix", [".tgz", ".zip"])
def test_a_member_that_would_leave_the_folder_is_refused(tmp_path: Path, name: str, suffix: str) -> None:
    archive = tmp_path / f"a{suffix}"
    if suffix == ".tgz":
        tape(archive, {name: b"evil"})
    else:
        with zipfile.ZipFile(archive, "w") as packed:
            packed.writestr(name, b"evil")
    with pytest.raises(UserError, match="leads out of the archive; do not use this archive"):
        unpack(archive, tmp_path / "out")
    assert not list(tmp_path.rglob("*evil*"))


@pytest.mark.parametrize(
    "odd",
    [link("pictures/l", "/etc"), link("pictures/l", "/etc/passwd", tarfile.LNKTYPE), link("f", "", b"6")],
    ids=["symlink", "hard link", "pipe"],
)
def test_a_link_or_device_in_a_tar_is_refused(tmp_path: Path, odd: tarfile.TarInfo) -> None:
    with pytest.raises(UserError, match="is a link or a device"):
        unpack(tape(tmp_path / "a.tgz", {}, odd=odd), tmp_path / "out")


def test_a_link_in_a_zip_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as packed:
        info = zipfile.ZipInfo("link")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        packed.writestr(info, "/etc/passwd")
    with pytest.raises(UserError, match="'link' is a link or a device"):
        unpack(tmp_path / "a.zip", tmp_path / "out")


def test_a_zip_is_unpacked_below_its_root(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as packed:
        packed.mkdir("Pet")
        packed.writestr("Pet/Cat/1.jpg", b"cat")
        packed.writestr("PetOther/2.jpg", b"no")
    unpack(tmp_path / "a.zip", tmp_path / "out", "Pet")
    assert files(tmp_path / "out") == {"Cat/1.jpg": b"cat"}


def test_an_archive_without_the_root_or_with_a_member_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no files under Pet"):
        unpack(tape(tmp_path / "a.tgz", {"other/1": b""}), tmp_path / "out", "Pet")
    with pytest.raises(UserError, match="is there twice"):
        unpack(tape(tmp_path / "b.tgz", {"x": b"1", "./x": b"2"}), tmp_path / "out2")
    (tmp_path / "c.tgz").write_bytes(b"no archive at all")
    with pytest.raises(UserError, match="is no whole archive"):
        unpack(tmp_path / "c.tgz", tmp_path / "out3")
