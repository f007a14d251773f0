"""Batches: the same pictures whatever they come from, and the crops that the boxes name."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from simplecell.data.addressed import Address
from simplecell.data.augment import Augmentation
from simplecell.data.batches import Examples
from simplecell.data.decode import decode
from simplecell.data.geometry import Geometry, bound, resize
from simplecell.data.loading import PictureExamples, in_order, share_out
from simplecell.data.pictures import FilePictures
from simplecell.data.prepare import prepare_splits
from simplecell.data.sources import Table, read_source

COUNT = 11
CROPS = Augmentation(flip=True, crop=0.2)
GEOMETRY = Geometry(24, 24)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Table:
    """Eleven pictures of different sizes, some with a shorter side above twice the size of GEOMETRY."""
    folder = tmp_path_factory.mktemp("pictures")
    random = np.random.default_rng(0)
    names = tuple(f"{number}.png" for number in range(COUNT))
    for number, name in enumerate(names):
        height, width = (30 + 7 * number, 40 + 3 * number)
        coarse = random.integers(0, 256, (5, 5, 3), dtype=np.uint8)
        picture = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
        (picture.convert("L") if number == 4 else picture).save(folder / name)
    return Table(names, np.arange(COUNT) % 3, FilePictures(folder, names))


def examples(table: Table, augmentation: Augmentation | None) -> PictureExamples:
    return prepare_splits({"train": table}, set(), GEOMETRY, augmentation)[0]["train"]


def address(positions: NDArray[np.int64], epoch: int = 0) -> Address:
    return Address(7, epoch, positions, positions)


def test_examples_are_what_the_loop_expects(table: Table) -> None:
    assert isinstance(examples(table, None), Examples)


@pytest.mark.parametrize("augmentation", [None, CROPS, Augmentation(flip=True)])
@pytest.mark.parametrize("room", ["20", "0"])
def test_without_an_address_a_batch_is_what_prediction_makes_of_the_files(
    table: Table, augmentation: Augmentation | None, room: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIMPLECELL_CACHE_GB", room)
    indices = np.array([3, 10, 4, 3, 0])
    batch = examples(table, augmentation).batch(indices)
    assert batch["id"] == ["3.png", "10.png", "4.png", "3.png", "0.png"]
    assert batch["label"].tolist() == [0, 1, 1, 0, 0]
    assert batch["label"].dtype == torch.int64
    assert batch["picture"].shape == (5, 3, 24, 24)
    assert batch["picture"].dtype == torch.uint8
    assert batch["picture"].is_contiguous(memory_format=torch.channels_last)
    for index, picture in zip(indices, batch["picture"], strict=True):
        fitted = GEOMETRY.fit(decode(table.pictures.content(int(index)), "a picture"))
        assert np.array_equal(picture.permute(1, 2, 0).numpy(), fitted)


@pytest.mark.parametrize("room", ["20", "0"])
def test_crops_are_cut_from_the_bounded_picture_where_the_boxes_are(
    table: Table, room: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIMPLECELL_CACHE_GB", room)
    cropping = Augmentation(crop=0.2)
    indices, where = np.array([10, 2, 9]), address(np.array([100, 101, 102]))
    batch = examples(table, cropping).batch(indices, where)
    bounded = [bound(table.pictures.read(int(index)), 48) for index in indices]
    heights, widths = np.array([picture.shape[:2] for picture in bounded]).T
    boxes = cropping.boxes(heights, widths, where)
    assert min(heights) > 24
    for picture, (top, left, height, width), got in zip(bounded, boxes, batch["picture"], strict=True):
        box = picture[top : top + height, left : left + width]
        assert np.array_equal(resize(box, 24, 24), got.permute(1, 2, 0).numpy())


def test_an_augmented_example_does_not_depend_on_its_batch(table: Table) -> None:
    train = examples(table, CROPS)
    indices = np.arange(COUNT)
    together = train.batch(indices, address(indices + 50))["picture"]
    for index in indices:
        alone = train.batch(indices[index : index + 1], address(indices[index : index + 1] + 50))["picture"]
        assert torch.equal(alone[0], together[index])
    assert not torch.equal(together, train.batch(indices, address(indices + 50, epoch=1))["picture"])


def test_batches_do_not_depend_on_the_number_of_threads(table: Table) -> None:
    train = examples(table, CROPS)
    indices = np.arange(COUNT)
    threads = torch.get_num_threads()
    batches = []
    try:
        for count in (1, 3):
            torch.set_num_threads(count)
            batches.append(train.batch(indices, address(indices))["picture"])
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(batches[0], batches[1])


def test_a_batch_may_be_changed_without_harm_to_the_cache(table: Table) -> None:
    train = examples(table, None)
    before = train.batch(np.arange(3))["picture"].clone()
    train.batch(np.arange(3))["picture"].zero_()
    assert torch.equal(train.batch(np.arange(3))["picture"], before)


@pytest.mark.parametrize("count", [0, 1, 7, 100])
def test_shared_out_work_is_done_once_each(count: int) -> None:
    done = np.zeros(count, np.int64)

    def work(places: range) -> None:
        for place in places:
            done[place] += 1

    share_out(work, count)
    assert (done == 1).all()


def test_results_come_in_order_and_an_error_comes_through() -> None:
    assert list(in_order(partial(pow, 2), range(50))) == [2**number for number in range(50)]
    with pytest.raises(ZeroDivisionError):
        list(in_order(lambda number: 1 // (number - 30), range(50)))


def test_work_is_not_done_far_ahead_of_its_use() -> None:
    started: list[int] = []
    results = in_order(started.append, range(10_000))
    next(results)
    assert len(started) <= 4 * torch.get_num_threads()
    results.close()


def test_a_real_photograph_is_the_same_from_cache_and_file(shared: Callable[[str], Path]) -> None:
    source = read_source(shared("dogs-vs-cats") / "dogs-vs-cats.tar")
    some = source.tables["test"].take(np.arange(0, 260, 40))
    geometry = Geometry(224, 224)
    made = prepare_splits({"test": some}, set(), geometry, None)[0]["test"].batch(np.arange(len(some)))
    for index, picture in enumerate(made["picture"]):
        fitted = geometry.fit(some.pictures.read(index))
        assert np.array_equal(picture.permute(1, 2, 0).numpy(), fitted)
