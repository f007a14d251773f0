"""One look at all pictures: what is broken, what leaks, mean and deviation, a cache that only saves time."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from PIL import Image

from simplecell import mnist
from simplecell.data import leaks as leaks_module
from simplecell.data import looks, prepare
from simplecell.data.augment import Augmentation
from simplecell.data.geometry import Geometry, resize, with_channels
from simplecell.data.leaks import FLAT, NEAR, Leak, leaks, repeats
from simplecell.data.pictures import ArrayPictures, FilePictures, Pictures
from simplecell.data.prepare import mean_and_deviation, prepare_splits, refuse_broken
from simplecell.data.sources import Table, read_source
from simplecell.errors import UserError


def photograph(seed: int, height: int = 60, width: int = 80) -> NDArray[np.uint8]:
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 6, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


def files(folder: Path, pictures: dict[str, NDArray[np.uint8]], labels: list[int] | None = None) -> Table:
    folder.mkdir(exist_ok=True)
    for name, picture in pictures.items():
        Image.fromarray(picture).save(folder / name)
    return table(FilePictures(folder, tuple(pictures)), tuple(pictures), labels)


def table(pictures: Pictures, ids: tuple[str, ...] = (), labels: list[int] | None = None) -> Table:
    count = len(pictures)
    ids = ids or tuple(f"picture/{number}" for number in range(count))
    return Table(ids, np.array(labels or [0] * count, dtype=np.int64), pictures)


@dataclass
class Counting:
    """Pictures that count how often they are read."""

    pictures: Pictures
    reads: int = 0

    def __len__(self) -> int:
        return len(self.pictures)

    def content(self, index: int) -> bytes:
        return self.pictures.content(index)

    def read(self, index: int) -> NDArray[np.uint8]:
        self.reads += 1
        return self.pictures.read(index)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of this test's own."""
    monkeypatch.setenv("SIMPLECELL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


# ---- what is looked at


SHAPES = st.tuples(st.integers(1, 5), st.integers(1, 40), st.integers(1, 9), st.sampled_from([1, 3]))


@given(arrays.arrays(np.uint8, SHAPES))
def test_sums_are_exact(pictures: NDArray[np.uint8]) -> None:
    levels = pictures.astype(np.int64)
    expected = np.stack([levels.sum(axis=(1, 2)), (levels**2).sum(axis=(1, 2))], axis=1)
    assert np.array_equal(looks.sums(pictures), expected)


def test_sums_are_exact_where_float32_would_round() -> None:
    pictures = np.full((1, 3000, 2, 1), 255, np.uint8)
    assert looks.sums(pictures)[0, :, 0].tolist() == [6000 * 255, 6000 * 255**2]


@given(st.integers(1, 4), st.integers(1, 5), st.integers(1, 5), st.sampled_from([1, 3]), st.integers(0, 99))
def test_mean_and_deviation_are_numpys(count: int, height: int, width: int, channels: int, seed: int) -> None:
    pictures = np.random.default_rng(seed).integers(0, 256, (count, height, width, channels), dtype=np.uint8)
    mean, deviation = mean_and_deviation(looks.look(pictures, pictures))
    expected = (pictures / 255).std(axis=(0, 1, 2))
    assert np.allclose(mean, (pictures / 255).mean(axis=(0, 1, 2)), rtol=1e-12)
    assert np.allclose(deviation, np.where(expected < 1e-12, 1, expected), rtol=1e-9)


def test_a_channel_that_never_changes_can_be_divided_by_its_deviation() -> None:
    pictures = np.full((2, 3, 3, 1), 51, np.uint8)
    assert mean_and_deviation(looks.look(pictures, pictures)) == ([0.2], [1.0])


def test_mean_and_deviation_for_crops_are_those_of_the_pictures_to_within_a_hundredth(tmp_path: Path) -> None:
    pictures = files(tmp_path, {f"{seed}.png": photograph(seed, 50, 50) for seed in range(30)})
    fitted = prepare_splits({"train": pictures}, set(), Geometry(50, 50), None)[1]
    cropped = prepare_splits({"train": pictures}, set(), Geometry(50, 50), Augmentation(crop=0.3))[1]
    assert cropped["mean"] == pytest.approx(fitted["mean"], abs=0.01)
    assert cropped["deviation"] == pytest.approx(fitted["deviation"], abs=0.01)


def test_pictures_that_differ_in_one_pixel_or_in_shape_have_other_digests() -> None:
    one = photograph(0)
    another, turned = one.copy(), one.reshape(80, 60, 3)
    another[17, 5, 1] ^= 1
    digests = {looks.look(picture[None]).digests.tobytes() for picture in (one, another, turned, one.copy())}
    assert len(digests) == 3


def test_arrays_and_files_of_the_same_pictures_look_the_same(tmp_path: Path) -> None:
    pictures = np.stack([photograph(seed, 32, 32) for seed in range(5)])
    geometry = Geometry(32, 32)
    in_memory = prepare.prepare(table(ArrayPictures(pictures)), geometry)
    in_files = prepare.prepare(files(tmp_path, {f"{i}.png": p for i, p in enumerate(pictures)}), geometry)
    for name, array in in_memory.looks.arrays().items():
        assert np.array_equal(array, getattr(in_files.looks, name)), name


def test_an_array_that_fits_is_its_own_store(folder: Path) -> None:
    pictures = np.stack([photograph(seed, 32, 32) for seed in range(5)])
    prepared = prepare.prepare(table(ArrayPictures(pictures)), Geometry(32, 32), crops=True)
    assert np.shares_memory(prepared.fitted.read(3), pictures)
    assert np.shares_memory(prepared.full.read(3), pictures)
    assert not folder.exists()


def test_an_empty_table_can_be_prepared() -> None:
    for pictures in (ArrayPictures(np.empty((0, 8, 8, 1), np.uint8)), FilePictures(Path(), ())):
        assert len(prepare.prepare(table(pictures), Geometry(8, 8, channels=1))) == 0


def test_progress_is_told_to_the_end(tmp_path: Path) -> None:
    tables = {
        "train": files(tmp_path / "a", {f"{seed}.png": photograph(seed) for seed in range(40)}),
        "test": table(ArrayPictures(np.stack([photograph(seed, 8, 8) for seed in range(50, 59)]))),
    }
    for _ in range(2):  # from files, then from the cache
        told: list[tuple[int, int]] = []
        prepare_splits(tables, set(), Geometry(8, 8), None, tell=lambda *now: told.append(now))  # noqa: B023
        assert told == sorted(told)
        assert told[-1] == (49, 49)


# ---- the cache


@pytest.mark.parametrize("crops", [False, True])
def test_pictures_are_decoded_once(tmp_path: Path, crops: bool) -> None:
    counting = Counting(files(tmp_path, {f"{seed}.png": photograph(seed) for seed in range(20)}).pictures)
    first = prepare.prepare(table(counting), Geometry(16, 16), crops=crops)
    assert counting.reads == 20
    again = prepare.prepare(table(counting), Geometry(16, 16), crops=crops)
    assert counting.reads == 20
    for name, array in first.looks.arrays().items():
        assert np.array_equal(array, getattr(again.looks, name))
    for index in range(20):
        assert np.array_equal(first.full.read(index), again.full.read(index))


def test_other_bytes_another_size_and_a_damaged_pack_are_decoded_anew(tmp_path: Path, folder: Path) -> None:
    counting = Counting(
        files(tmp_path / "a", {f"{seed}.png": photograph(seed) for seed in range(3)}).pictures
    )
    prepare.prepare(table(counting), Geometry(16, 16))
    prepare.prepare(table(counting), Geometry(17, 16))
    assert counting.reads == 6
    for pack in folder.iterdir():
        pack.write_bytes(pack.read_bytes()[:-100])
    prepare.prepare(table(counting), Geometry(16, 16))
    assert counting.reads == 9
    Image.fromarray(photograph(7)).save(tmp_path / "a" / "1.png")
    changed = prepare.prepare(table(counting), Geometry(16, 16))
    assert counting.reads == 12
    assert np.array_equal(changed.fitted.read(1), Geometry(16, 16).fit(photograph(7)))


def test_without_room_pictures_are_decoded_when_they_are_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures = files(tmp_path, {f"{seed}.png": photograph(seed) for seed in range(4)})
    cached = prepare_splits({"train": pictures}, set(), Geometry(16, 16), None)[1]
    monkeypatch.setenv("SIMPLECELL_CACHE_GB", "0")
    uncached = prepare_splits({"train": pictures}, set(), Geometry(16, 16), None)[1]
    assert "decoded anew" in uncached["kept"]["train"]
    assert {**uncached, "kept": cached["kept"]} == cached


def test_the_facts_tell_least_median_and_greatest_sizes_of_the_pictures_as_they_came(tmp_path: Path) -> None:
    sizes = [(20, 31), (40, 32), (60, 90)]
    pictures = files(
        tmp_path, {f"{k}.png": photograph(k, height=h, width=w) for k, (h, w) in enumerate(sizes)}
    )
    facts = prepare_splits({"train": pictures}, set(), Geometry(16, 16), None)[1]
    assert facts["sizes"] == {"train": {"height": [20, 40, 60], "width": [31, 32, 90]}}


# ---- broken pictures


def broken_folder(folder: Path, count: int = 5) -> Table:
    whole = files(folder, {f"{seed}.png": photograph(seed) for seed in range(10)})
    for number in range(1, 2 * count, 2):
        (folder / f"{number}.png").write_bytes(b"not a picture")
    return whole


@pytest.mark.parametrize("room", ["20", "0"])
def test_broken_pictures_are_left_out_and_named(
    tmp_path: Path, room: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIMPLECELL_CACHE_GB", room)
    pictures = broken_folder(tmp_path / "a")
    for _ in range(2):  # from files, then from the cache
        examples, facts = prepare_splits({"train": pictures}, set(), Geometry(8, 8), None, skip_broken=True)
        assert list(examples["train"].ids) == [f"{number}.png" for number in range(0, 10, 2)]
        assert facts["broken"]["train"]["count"] == 5
        assert facts["broken"]["train"]["first"][0][0] == "1.png"
        assert str(tmp_path / "a" / "1.png") in facts["broken"]["train"]["first"][0][2]
        got = examples["train"].batch(np.array([3]))["picture"][0].permute(1, 2, 0).numpy()
        assert np.array_equal(got, Geometry(8, 8).fit(photograph(6)))


def test_training_on_broken_pictures_is_refused_with_the_first_three_names(tmp_path: Path) -> None:
    with pytest.raises(UserError) as refusal:
        prepare_splits({"train": broken_folder(tmp_path / "a")}, set(), Geometry(8, 8), None)
    sentence = str(refusal.value)
    assert sentence.startswith("5 pictures are broken: 1.png (")
    assert "5.png" in sentence
    assert "7.png" not in sentence
    assert "--skip-broken" in sentence


def test_one_broken_picture_is_refused_in_the_singular(tmp_path: Path) -> None:
    prepared = prepare.prepare(broken_folder(tmp_path / "a", 1), Geometry(8, 8))
    with pytest.raises(UserError, match=r"^1 picture is broken: 1\.png"):
        refuse_broken(prepared.broken)
    refuse_broken([])


def test_a_side_of_broken_pictures_only_is_refused(tmp_path: Path) -> None:
    pictures = files(tmp_path / "a", {"0.png": photograph(0)})
    (tmp_path / "a" / "0.png").write_bytes(b"")
    with pytest.raises(UserError, match="no picture is left"):
        prepare_splits({"train": pictures}, set(), Geometry(8, 8), None, skip_broken=True)


def test_a_picture_that_was_too_large_is_read_once_it_is_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures = files(tmp_path, {"small.png": photograph(0, 8, 8), "large.png": photograph(1)})
    monkeypatch.setenv("SIMPLECELL_MAX_PIXELS", "100")
    assert [one.id for one in prepare.prepare(pictures, Geometry(8, 8)).broken] == ["large.png"]
    monkeypatch.delenv("SIMPLECELL_MAX_PIXELS")
    assert not prepare.prepare(pictures, Geometry(8, 8)).broken


# ---- leaks


@dataclass
class Seen:
    """Pictures as the search for leaks sees them."""

    digests: NDArray[np.uint8]
    thumbnails: NDArray[np.uint8]


def seen(pictures: list[NDArray[np.uint8]]) -> Seen:
    parts = looks.join([looks.look(picture[None]) for picture in pictures], 0)
    return Seen(parts.digests, parts.thumbnails)


def test_equal_and_changed_copies_are_found() -> None:
    original = [photograph(seed, 120, 160) for seed in range(6)]
    encoded = BytesIO()
    Image.fromarray(original[1]).save(encoded, "JPEG", quality=60)
    copies = [
        photograph(99, 120, 160),
        original[0].copy(),
        np.asarray(Image.open(encoded)),
        resize(original[2], 108, 144),
        np.clip(original[3].astype(int) + 5, 0, 255).astype(np.uint8),
        with_channels(original[4], 1),
    ]
    assert leaks(seen(original), seen(copies)) == [
        Leak(0, 1, "equal"),
        Leak(1, 2, "near"),
        Leak(2, 3, "near"),
        Leak(3, 4, "near"),
        Leak(4, 5, "near"),
    ]


def test_flat_pictures_are_told_by_their_pixels_alone() -> None:
    first, second = np.full((9, 9, 3), 200, np.uint8), np.full((9, 9, 3), 201, np.uint8)
    assert leaks(seen([first]), seen([second])) == []
    assert leaks(seen([first]), seen([second, first])) == [Leak(0, 1, "equal")]


def brute_force(a: NDArray[np.uint8], b: NDArray[np.uint8], before: bool) -> dict[int, float]:
    """The least difference of each thumbnail of ``a`` that is near one of ``b``, pair by pair."""
    near: dict[int, float] = {}
    centred_a, centred_b = (x.reshape(len(x), -1) - x.mean(axis=(1, 2))[:, None] for x in (a, b))
    for i, first in enumerate(centred_a):
        for second in centred_b[:i] if before else centred_b:
            if min(first.std(), second.std()) >= FLAT:
                difference = float(np.sqrt(np.square(first - second).mean()))
                if difference <= NEAR:
                    near[i] = min(difference, near.get(i, np.inf))
    return near


@pytest.mark.parametrize("before", [False, True])
@pytest.mark.parametrize("noise", [3, 12])
def test_the_fast_search_finds_what_all_pairs_would(
    before: bool, noise: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leaks_module, "_CHUNK", 16)
    random = np.random.default_rng(noise)
    # A few motifs with noise around the threshold, so that there are many near, nearly near and far pairs.
    motifs = random.integers(40, 216, (8, 16, 16))

    def draw(count: int) -> NDArray[np.uint8]:
        shift = random.normal(0, 2 + noise * random.random((count, 1, 1)), (count, 16, 16))
        return np.clip(motifs[random.integers(0, 8, count)] + shift, 0, 255).astype(np.uint8)

    a, b = draw(90), draw(70)
    digests = random.integers(0, 256, (2, 90, 16), dtype=np.uint8)
    found = repeats(Seen(digests[0], a)) if before else leaks(Seen(digests[0], a), Seen(digests[1], b))
    other = a if before else b
    expected = brute_force(a, other, before)
    assert len(expected) >= 5
    assert {leak.first for leak in found} == set(expected)
    for leak in found:
        pair = brute_force(a[[leak.first]], other[[leak.second]], False)
        assert pair[0] == pytest.approx(expected[leak.first])
        assert leak.second < leak.first or not before


def test_repeats_name_each_later_copy_once() -> None:
    pictures = [photograph(0), photograph(1), photograph(0), photograph(0), photograph(1)]
    assert repeats(seen(pictures)) == [Leak(2, 0, "equal"), Leak(3, 0, "equal"), Leak(4, 1, "equal")]


@pytest.mark.parametrize(
    ("made", "drop_leaks", "remaining"),
    [
        ({"validation"}, False, "0235"),
        ({"validation", "test"}, False, "035"),
        (set(), False, "012345"),
        (set(), True, "035"),
    ],
)
def test_what_leaks_is_dropped_from_training_where_we_divided_or_are_asked(
    tmp_path: Path, made: set[str], drop_leaks: bool, remaining: str
) -> None:
    pictures = {f"{seed}.png": photograph(seed) for seed in range(6)}
    smaller = resize(pictures["4.png"], 50, 70)
    tables = {
        "train": files(tmp_path / "a", pictures, [0, 1, 2, 3, 4, 5]),
        "validation": files(tmp_path / "b", {"v1.png": pictures["1.png"], "v4.png": smaller}),
        "test": files(tmp_path / "c", {"t2.png": pictures["2.png"], "t9.png": photograph(9)}),
    }
    examples, facts = prepare_splits(tables, made, Geometry(16, 16), None, drop_leaks=drop_leaks)
    assert list(examples["train"].ids) == [f"{number}.png" for number in remaining]
    assert examples["train"].batch(np.arange(len(remaining)))["label"].tolist() == [int(n) for n in remaining]
    last = examples["train"].batch(np.array([len(remaining) - 1]))["picture"][0].permute(1, 2, 0).numpy()
    assert np.array_equal(last, Geometry(16, 16).fit(pictures["5.png"]))
    assert facts["leaks"]["validation"] == {
        "equal": 1,
        "near": 1,
        "dropped": drop_leaks or "validation" in made,
        "first": [["1.png", "v1.png", "equal"], ["4.png", "v4.png", "near"]],
    }
    assert facts["leaks"]["test"]["first"] == [["2.png", "t2.png", "equal"]]
    kept = [Geometry(16, 16).fit(pictures[f"{number}.png"]) for number in remaining]
    assert np.allclose(facts["mean"], np.mean(kept, axis=(0, 1, 2)) / 255)
    assert facts["pictures"] == {"train": len(remaining), "validation": 2, "test": 2}


def test_only_training_is_augmented(tmp_path: Path) -> None:
    tables = {side: files(tmp_path / side, {"0.png": photograph(0)}) for side in ("train", "test")}
    examples, _ = prepare_splits(tables, set(), Geometry(8, 8), Augmentation(crop=0.5))
    assert examples["train"].augmentation == Augmentation(crop=0.5)
    assert examples["test"].augmentation is None


# ---- real data


def test_real_photographs_leak_only_where_they_do(shared: Callable[[str], Path]) -> None:
    """dog.74 and dog.180 are one photograph; no other two of the 960 are near each other."""
    source = read_source(shared("dogs-vs-cats") / "dogs-vs-cats.tar")
    train, test = (prepare.prepare(source.tables[side]) for side in ("train", "test"))
    assert not train.broken
    assert not leaks(train, test)
    (pair,) = repeats(train)
    assert {train.table.ids[pair.first], train.table.ids[pair.second]} == {
        "train/dogs/dog.74.jpg",
        "train/dogs/dog.180.jpg",
    }


def test_recompressed_real_photographs_are_all_found(shared: Callable[[str], Path]) -> None:
    source = read_source(shared("dogs-vs-cats") / "dogs-vs-cats.tar")
    originals = [source.tables["test"].pictures.read(index) for index in range(60)]

    def recompressed(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        encoded = BytesIO()
        height, width = (int(0.9 * side) for side in picture.shape[:2])
        Image.fromarray(picture).resize((width, height)).save(encoded, "JPEG", quality=60)
        return np.asarray(Image.open(encoded))

    found = leaks(seen(originals), seen([recompressed(picture) for picture in originals]))
    assert found == [Leak(index, index, "near") for index in range(60)]


def test_handwritten_digits_are_not_taken_for_each_other() -> None:
    content = gzip.decompress((mnist.path() / "t10k-images-idx3-ubyte.gz").read_bytes())
    digits = np.frombuffer(content, np.uint8, offset=16).reshape(-1, 28, 28, 1)
    found = looks.look(digits, digits)
    assert len(repeats(found)) <= 10
