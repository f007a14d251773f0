"""Sources: every layout is recognised without a flag, and every fault has its sentence."""

from __future__ import annotations

import gzip
import io
import json
import os
import struct
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from simplecell.data.sources import Source, archive, check_trainable, read_source, shards
from simplecell.errors import UserError


def picture(shade: int = 0) -> bytes:
    """A tiny PNG whose pixels all have one shade of grey."""
    file = io.BytesIO()
    Image.new("RGB", (4, 3), (shade, shade, shade)).save(file, "PNG")
    return file.getvalue()


def write(folder: Path, files: Mapping[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def tar(path: Path, files: Mapping[str, bytes], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def shape(source: Source) -> dict[str, dict[str, str]]:
    """By side, the class name of every id."""
    return {
        side: {
            name: source.classes[label] for name, label in zip(table.ids, table.labels.tolist(), strict=True)
        }
        for side, table in source.tables.items()
    }


def refusal(path: Path, format: str = "auto") -> str:
    with pytest.raises(UserError) as caught:
        read_source(path, format)
    assert caught.value.where
    assert caught.value.remedy
    return str(caught.value)


def untrainable(path: Path) -> str:
    with pytest.raises(UserError) as caught:
        check_trainable(read_source(path))
    return str(caught.value)


# ------------------------------------------------------------------------------------------- folders

PETS = {f"{kind}/{number}.png": picture(number) for kind in ("cat", "dog") for number in range(3)}


def test_a_folder_per_class_is_read(tmp_path: Path) -> None:
    source = read_source(write(tmp_path, PETS))
    assert (source.format, source.classes) == ("folder", ("cat", "dog"))
    assert shape(source) == {"all": {name: name.split("/")[0] for name in PETS}}
    assert source.tables["all"].labels.dtype == np.int64
    assert (source.tables["all"].pictures.read(4) == 1).all()
    assert source.notes == ()
    check_trainable(source)


@pytest.mark.parametrize("validation", ["val", "valid", "Validation"])
@pytest.mark.parametrize("train", ["train", "TRAIN", "training"])
def test_sides_above_the_classes_are_read_in_any_spelling(
    tmp_path: Path, train: str, validation: str
) -> None:
    for side in (train, validation, "Test", "extra"):
        write(tmp_path / side, PETS)
    source = read_source(tmp_path)
    assert list(source.tables) == ["train", "validation", "test", "extra"]
    assert source.classes == ("cat", "dog")
    assert shape(source)["validation"] == {f"{validation}/{name}": name[:3] for name in PETS}


def test_tables_can_be_taken_apart(tmp_path: Path) -> None:
    table = read_source(write(tmp_path, PETS)).tables["all"].take([5, 0, 3]).take([2, 0])
    assert table.ids == ("dog/0.png", "dog/2.png")
    assert table.labels.tolist() == [1, 1]
    assert [table.pictures.read(row)[0, 0, 0] for row in range(2)] == [0, 2]
    assert table.pictures.content(1) == picture(2)


def test_folders_inside_a_class_and_above_everything_make_no_difference(tmp_path: Path) -> None:
    write(tmp_path, {"pets/train/cat/a/1.png": picture(), "pets/train/dog/2.PNG": picture()})
    assert shape(read_source(tmp_path)) == {
        "train": {"pets/train/cat/a/1.png": "cat", "pets/train/dog/2.PNG": "dog"}
    }


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    write(tmp_path, {"bus/1.png": picture(), "train/1.png": picture(), "car/1.png": picture()})
    assert read_source(tmp_path).classes == ("bus", "car", "train")


def test_hidden_and_other_files_are_left_out_and_counted(tmp_path: Path) -> None:
    clutter = ["cat/.DS_Store", ".hidden/9.png", "cat/._0.png", "__MACOSX/cat/0.png", "cat/@eaDir/0.png"]
    others = ["cat/Thumbs.db", "cat/notes.txt", "labels.txt", "cat/photo.heic"]
    loose = ["cover.png"]
    write(tmp_path, PETS | {name: picture() for name in clutter + others + loose})
    source = read_source(tmp_path)
    assert shape(source) == {"all": {name: name[:3] for name in PETS}}
    assert len(source.notes) == 2
    assert "left out: 4 (2 .txt" in source.notes[0]
    assert "1 .heic" in source.notes[0]
    assert "outside any class folder were left out: 1 (cover.png)" in source.notes[1]


def test_pictures_in_no_class_folder_are_told(tmp_path: Path) -> None:
    write(tmp_path, {"1.png": picture(), "2.png": picture()})
    assert "lie in no class folder; make a sub-folder for each class" in refusal(tmp_path)
    write(tmp_path, {"labels.csv": b"path,label\n1.png,a\n2.png,b\n"})
    assert f"give the table in it, {tmp_path / 'labels.csv'}" in refusal(tmp_path)


def test_sides_without_class_folders_are_no_classes(tmp_path: Path) -> None:
    write(tmp_path, {"train/1.png": picture(), "test/2.png": picture()})
    assert "lie in no class folder" in refusal(tmp_path)


def test_a_folder_without_pictures_is_told(tmp_path: Path) -> None:
    write(tmp_path, {"cat/notes.txt": b"", "dog/notes.txt": b""})
    assert "there are no pictures in it" in refusal(tmp_path)


def test_an_absent_folder_is_told(tmp_path: Path) -> None:
    assert "there is no such file or folder" in refusal(tmp_path / "absent")


def test_a_link_back_is_refused_instead_of_followed_for_ever(tmp_path: Path) -> None:
    write(tmp_path, PETS)
    (tmp_path / "cat" / "loop").symlink_to(tmp_path)
    assert "by a link; remove the link" in refusal(tmp_path)


def test_an_empty_class_cannot_be_trained(tmp_path: Path) -> None:
    (write(tmp_path, PETS) / "bird").mkdir()
    assert read_source(tmp_path).classes == ("bird", "cat", "dog")
    assert "class 'bird' has no pictures; add pictures or remove its folder" in untrainable(tmp_path)


def test_one_class_cannot_be_trained(tmp_path: Path) -> None:
    write(tmp_path, {"cat/1.png": picture()})
    assert "one class only, 'cat'" in untrainable(tmp_path)


def test_a_class_only_in_test_cannot_be_trained(tmp_path: Path) -> None:
    write(tmp_path / "train", PETS)
    write(tmp_path / "test", {"cat/1.png": picture(), "owl/1.png": picture()})
    assert "class 'owl' has pictures in test but none to train on" in untrainable(tmp_path)


def test_data_without_a_training_side_cannot_be_trained(tmp_path: Path) -> None:
    write(tmp_path / "test", PETS)
    assert "no training side, only test" in untrainable(tmp_path)


def test_a_class_missing_from_test_is_fine(tmp_path: Path) -> None:
    write(tmp_path / "train", PETS)
    write(tmp_path / "test", {"cat/1.png": picture()})
    source = read_source(tmp_path)
    check_trainable(source)
    assert source.classes == ("cat", "dog")


def test_indexing_opens_no_picture(tmp_path: Path) -> None:
    write(tmp_path, dict.fromkeys(PETS, b"no picture at all"))
    table = read_source(tmp_path).tables["all"]
    with pytest.raises(UserError, match=r"cat/0\.png: the file is not a picture"):
        table.pictures.read(0)
    (tmp_path / "cat/0.png").unlink()
    with pytest.raises(UserError, match=r"cat/0\.png: it cannot be read \(No such file"):
        table.pictures.read(0)


def test_a_file_name_that_is_not_utf8_is_told(tmp_path: Path) -> None:
    write(tmp_path, PETS)
    with open(os.path.join(os.fsencode(tmp_path), b"cat", b"caf\xe9.png"), "wb") as file:
        file.write(picture())
    assert "is not UTF-8; rename it" in refusal(tmp_path)


# ------------------------------------------------------------------------------------------- formats


def test_an_unknown_format_names_the_nearest(tmp_path: Path) -> None:
    assert "--format: there is no format 'foldr'; did you mean folder" in refusal(tmp_path, "foldr")
    assert "give one of auto, folder, table" in refusal(tmp_path, "qqq")


@pytest.mark.parametrize(
    ("format", "words"),
    [
        ("table", "a table is a file"),
        ("archive", "an archive is a file"),
        ("idx", "no idx files"),
        ("cifar", "no CIFAR"),
    ],
)
def test_a_format_that_cannot_be_is_told(tmp_path: Path, format: str, words: str) -> None:
    assert words in refusal(write(tmp_path, PETS), format)


def test_the_format_can_be_forced(tmp_path: Path) -> None:
    write(tmp_path, PETS | {"list.data": b"file\tkind\ncat/1.png\tx\ndog/1.png\ty\n"})
    assert read_source(tmp_path / "list.data", "tsv").classes == ("x", "y")


@pytest.mark.parametrize("name", ["data.zip", "data.gz", "data.bin"])
def test_an_unknown_kind_of_file_is_told(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"PK\x03\x04 and so on")
    assert "not a kind of data set that is known" in refusal(tmp_path / name)


# -------------------------------------------------------------------------------------------- tables


def table_file(folder: Path, text: str | bytes, name: str = "labels.csv") -> Path:
    write(folder, PETS)
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("delimiter", [",", "\t", ";"])
def test_a_table_is_read(tmp_path: Path, delimiter: str, end: str, bom: bytes) -> None:
    rows = [
        ["Path", "Label", "split", "animal"],
        ["cat/0.png", "Cat", "train", "a"],
        ["dog/0.png", "Dog", "val", "b"],
        ["dog/1.png", '"Dog"', "night", '"b "" c"'],
    ]
    text = end.join(delimiter.join(row) for row in rows) + end + end
    source = read_source(table_file(tmp_path, bom + text.encode()))
    assert shape(source) == {
        "train": {"cat/0.png": "Cat"},
        "validation": {"dog/0.png": "Dog"},
        "night": {"dog/1.png": "Dog"},
    }
    assert dict(source.tables["night"].columns) == {"animal": ('b " c',)}
    assert (source.tables["night"].pictures.read(0) == 1).all()


def test_without_known_names_the_first_two_columns_count(tmp_path: Path) -> None:
    source = read_source(table_file(tmp_path, "wo,was,rest\ncat/0.png,10,x\ndog/0.png,9,y\n"))
    assert shape(source) == {"all": {"cat/0.png": "10", "dog/0.png": "9"}}
    assert source.classes == ("9", "10")  # numbers in the order of numbers
    assert list(source.tables["all"].columns) == ["rest"]


def test_paths_of_another_system_are_understood(tmp_path: Path) -> None:
    assert read_source(table_file(tmp_path, "path,label\ncat\\0.png,a\n")).tables["all"].ids == ("cat/0.png",)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("path,label\ncat/0.png,a\ncat/1.png,\n", "line 3: the label is empty"),
        ("path,label\n\n,a\n", "line 3: the path is empty"),
        ("path,label,split\ncat/0.png,a,\n", "line 2: the split is empty"),
        (
            "path,label\ncat/0.png,a\ndog/0.png,a\ncat/../cat/0.png,b\n",
            "line 4: cat/../cat/0.png stands on line 2",
        ),
        ("path,label\ncat/0.png,a,b\n", "line 2: there are 3 cells under 2 columns"),
        ('path,label\n"cat/0.png,a\n', "line 2: the quoting is broken"),
        ("path,label,label\ncat/0.png,a,b\n", "line 1: two columns are named 'label'"),
        ("path\ncat/0.png\n", "line 1: there is one column only"),
        ("path,split\ncat/0.png,train\n", "line 1: there is no column of labels"),
        ("cat/0.png,a\ncat/1.png,b\n", "line 1: there is a picture where the header should be"),
        ("path,label\n", "the table has no rows"),
        ("", "the table has no rows"),
        (b"path,label\ncat/0.png,a\0b\n", "line 2: there is a NUL byte"),
        (b"path,label\ncat/0.png,caf\xe9\n", "line 2: the text is not UTF-8"),
        ("path,label\n".encode("utf-16"), "the table is UTF-16; save it as UTF-8"),
        ("path,label\ncat/0.png,a\nx.png,a\n", "names 1 absent picture (x.png)"),
        (
            "path,label\n" + "".join(f"{n}.png,a\n" for n in range(9)),
            "names 9 absent pictures (0.png, 1.png, 2.png, …)",
        ),
    ],
)
def test_every_fault_of_a_table_has_its_sentence(tmp_path: Path, text: str | bytes, words: str) -> None:
    sentence = refusal(table_file(tmp_path, text))
    assert words in sentence
    assert "labels.csv" in sentence


def test_a_quoted_line_break_does_not_shift_the_line_numbers(tmp_path: Path) -> None:
    text = 'path,label,note\ncat/0.png,a,"two\nlines"\ncat/1.png,,x\n'
    assert "line 4: the label is empty" in refusal(table_file(tmp_path, text))


# ------------------------------------------------------------------------------- MNIST's idx, CIFAR


def idx(array: NDArray[np.uint8]) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


DIGITS = np.random.default_rng(0).integers(0, 256, (12, 5, 4), dtype=np.uint8)
NUMBERS = np.arange(12, dtype=np.uint8) % 3 + 1


def digits(folder: Path, pack: Callable[[bytes], bytes] = bytes, suffix: str = "", mark: str = "-") -> Path:
    return write(
        folder,
        {
            f"train-images{mark}idx3-ubyte{suffix}": pack(idx(DIGITS)),
            f"train-labels{mark}idx1-ubyte{suffix}": pack(idx(NUMBERS)),
            f"t10k-images{mark}idx3-ubyte{suffix}": pack(idx(DIGITS[:4])),
            f"t10k-labels{mark}idx1-ubyte{suffix}": pack(idx(NUMBERS[:4])),
        },
    )


@pytest.mark.parametrize("folder", ["", "MNIST/raw"])
@pytest.mark.parametrize("mark", ["-", "."])
@pytest.mark.parametrize("zipped", [False, True])
def test_idx_files_are_read(tmp_path: Path, zipped: bool, mark: str, folder: str) -> None:
    digits(tmp_path / folder, gzip.compress if zipped else bytes, ".gz" if zipped else "", mark)
    source = read_source(tmp_path)
    assert (source.format, source.classes) == ("idx", ("1", "2", "3"))
    train, test = source.tables["train"], source.tables["test"]
    assert (len(train), len(test), train.ids[11]) == (12, 4, "train/00011")
    assert train.labels.tolist() == [0, 1, 2] * 4
    assert (train.pictures.read(7) == DIGITS[7, ..., None]).all()
    assert (train.take([7, 3]).pictures.read(1) == DIGITS[3, ..., None]).all()


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("train-images-idx3-ubyte", idx(DIGITS)[:-1], "more than the file can hold|ends after 239 of 240"),
        ("train-images-idx3-ubyte", idx(DIGITS) + b"x", "goes on after the 240 bytes"),
        ("train-images-idx3-ubyte", bytes([0, 0, 8, 3]) + b"\xff" * 12, "more than the file can hold"),
        ("train-images-idx3-ubyte", bytes([0, 0, 8, 3]) + bytes(12), "without data"),
        ("train-images-idx3-ubyte", idx(NUMBERS), "does not begin like an idx file"),
        ("train-images-idx3-ubyte", b"", "does not begin like an idx file"),
        ("train-labels-idx1-ubyte", idx(NUMBERS[:5]), "there are 5 labels for the 12 pictures"),
    ],
)
def test_idx_files_that_lie_are_told(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    write(digits(tmp_path), {name: content})
    sentence = refusal(tmp_path)
    assert any(word in sentence for word in words.split("|"))
    assert name in sentence


@pytest.mark.parametrize("cut", [5, 30, 120])
def test_a_truncated_gz_is_told(tmp_path: Path, cut: int) -> None:
    digits(tmp_path, gzip.compress, ".gz")
    path = tmp_path / "train-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:cut])
    assert "train-images-idx3-ubyte.gz: the compressed file is cut short or damaged" in refusal(tmp_path)


def test_a_gz_that_claims_the_impossible_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    digits(tmp_path, gzip.compress, ".gz")
    path = tmp_path / "train-images-idx3-ubyte.gz"
    path.write_bytes(gzip.compress(bytes([0, 0, 8, 3]) + struct.pack(">3I", 60000, 28, 28) + bytes(100)))
    assert "tells of 47,040,000 bytes, more than the file can hold" in refusal(tmp_path)


def test_a_missing_half_of_idx_is_told(tmp_path: Path) -> None:
    (digits(tmp_path) / "t10k-labels-idx1-ubyte").unlink()
    assert "there are t10k-images but no t10k-labels" in refusal(tmp_path)


def cifar(folder: Path, batches: int = 5) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    generator = np.random.default_rng(1)
    pixels = generator.integers(0, 256, (batches + 1, 3, 3, 32, 32), dtype=np.uint8)
    labels = np.arange((batches + 1) * 3, dtype=np.uint8).reshape(-1, 3, 1) % 10
    records = np.concatenate([labels, pixels.reshape(batches + 1, 3, -1)], axis=2)
    names = [f"data_batch_{number}.bin" for number in range(1, batches + 1)] + ["test_batch.bin"]
    write(folder, {name: batch.tobytes() for name, batch in zip(names, records, strict=True)})
    write(folder, {"batches.meta.txt": "\n".join("abcdefghij").encode() + b"\n\n", "readme.html": b""})
    return pixels, labels


@pytest.mark.parametrize("folder", ["", "cifar-10-batches-bin"])
def test_cifar_10_is_read(tmp_path: Path, folder: str) -> None:
    pixels, labels = cifar(tmp_path / folder)
    source = read_source(tmp_path)
    assert (source.format, source.classes) == ("cifar", tuple("abcdefghij"))
    train = source.tables["train"]
    assert train.labels.tolist() == labels[:5].ravel().tolist()
    assert (train.pictures.read(4)[2, 7] == pixels[1, 1, :, 2, 7]).all()
    assert len(source.tables["test"]) == 3


def test_cifar_100_has_its_fine_labels(tmp_path: Path) -> None:
    record = bytes([1, 99]) + bytes(range(256)) * 12
    names = "\n".join(f"name_{number}" for number in range(100)).encode()
    write(tmp_path, {"train.bin": record * 2, "test.bin": record, "fine_label_names.txt": names})
    source = read_source(tmp_path)
    assert (len(source.classes), source.tables["train"].labels.tolist()) == (100, [99, 99])


def test_every_fault_of_cifar_has_its_sentence(tmp_path: Path) -> None:
    cifar(tmp_path / "hole")
    (tmp_path / "hole/data_batch_3.bin").unlink()
    assert "data_batch_3.bin is absent" in refusal(tmp_path / "hole")
    cifar(tmp_path / "cut")
    write(tmp_path / "cut", {"data_batch_2.bin": bytes(3072)})
    assert "data_batch_2.bin: its 3,072 bytes are no whole number of records" in refusal(tmp_path / "cut")
    cifar(tmp_path / "label")
    write(tmp_path / "label", {"test_batch.bin": b"\x0b" + bytes(3072)})
    assert "there is a label 11 though there are 10 classes" in refusal(tmp_path / "label")
    write(tmp_path / "python", {"data_batch_1": b"\x80", "batches.meta": b"\x80"})
    assert "pickled" in refusal(tmp_path / "python")


# ------------------------------------------------------------------------------------------- archives


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


# ------------------------------------------------------------------------------------------ real data


def test_the_traffic_signs_keep_their_sides(shared: Callable[[str], Path]) -> None:
    source = read_source(shared("belgium-traffic-signs"))
    assert {side: len(table) for side, table in source.tables.items()} == {
        "train": 1543,
        "test": 490,
        "ppm": 62,
    }
    assert len(source.classes) == 62
    check_trainable(source)  # nine classes without test pictures are legal
    assert len(np.unique(source.tables["test"].labels)) == 53


def test_mnist_is_read_whole(shared: Callable[[str], Path]) -> None:
    source = read_source(shared("mnist"))
    assert source.classes == tuple("0123456789")
    counts = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert np.bincount(source.tables["train"].labels).tolist() == counts
    pictures = source.tables["train"].pictures
    mean = np.mean([pictures.read(row).mean() for row in range(len(pictures))])
    assert mean == pytest.approx(33.318421, abs=1e-6)
