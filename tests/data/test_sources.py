"""Sources: every layout is recognised without a flag, and every fault has its sentence."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from source_files import PETS, picture, refusal, write

from simplecell.data.sources import Source, check_trainable, read_source
from simplecell.errors import UserError


def shape(source: Source) -> dict[str, dict[str, str]]:
    """By side, the class name of every id."""
    return {
        side: {
            name: source.classes[label] for name, label in zip(table.ids, table.labels.tolist(), strict=True)
        }
        for side, table in source.tables.items()
    }


def untrainable(path: Path) -> str:
    with pytest.raises(UserError) as caught:
        check_trainable(read_source(path))
    return str(caught.value)


# ------------------------------------------------------------------------------------------- folders


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
