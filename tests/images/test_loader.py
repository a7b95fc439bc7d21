import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch

from gendata.errors import GendataError
from gendata.images import (
    ArrayImages,
    Subset,
    balanced_subset,
    export_images,
    make_loader,
    open_images,
)
from gendata.images.augment import AUGMENTATIONS
from gendata.images.resident import ResidentLoader
from gendata.images.stream import StreamLoader


def epochs(loader, numbers=(0, 3)):
    return [batch for number in numbers for batch in loader.epoch(number)]


def assert_same(first, second):
    assert len(first) == len(second) > 0
    for one, other in zip(first, second, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("views", [0, 3])
@pytest.mark.parametrize("augment", AUGMENTATIONS)
def test_resident_and_stream_give_the_same_bits(square, augment, views):
    options = {"augment": augment, "views": views, "seed": 9, "drop_last": False}
    resident = make_loader(square, 16, **options)
    stream = make_loader(square, 16, resident=False, workers=0, **options)
    assert isinstance(resident, ResidentLoader) and isinstance(stream, StreamLoader)
    assert resident.steps == stream.steps == 4
    assert_same(epochs(resident), epochs(stream))


def test_workers_and_resizing_change_nothing(square, save_tree, tmp_path):
    images = open_images(save_tree(square, tmp_path))
    options = {"size": 12, "augment": "strong", "seed": 1}
    resident = make_loader(images, 8, **options)
    stream = make_loader(images, 8, resident=False, workers=2, **options)
    assert_same(epochs(resident), epochs(stream))
    assert next(iter(resident.epoch(0))).images.shape == (8, 3, 12, 12)


@pytest.mark.parametrize("views", [0, 2])
@pytest.mark.parametrize("augment", ["crop-flip", "strong"])
def test_ranks_joined_are_one_process(square, augment, views):
    def loader(rank, world):
        return make_loader(square, 12, augment=augment, views=views, rank=rank, world=world)

    whole = epochs(loader(0, 1))
    for world in (2, 3):
        parts = [epochs(loader(rank, world)) for rank in range(world)]
        for step, batch in enumerate(whole):
            for rank in range(world):
                for part, tensor in zip(parts[rank][step], batch, strict=True):
                    assert torch.equal(part, tensor[rank::world])


def test_examples_say_which_image_they_are(small):
    for batch in make_loader(small, 7, augment="none", drop_last=False).epoch(2):
        assert torch.equal(batch.images, small.images[batch.rows])
        assert batch.labels.tolist() == small.labels[batch.rows.numpy()].tolist()
        assert batch.labels.dtype == batch.rows.dtype == batch.views.dtype == torch.int64


def test_seeds_and_epochs_differ(square):
    def pixels(seed, epoch):
        batch = next(iter(make_loader(square, 50, seed=seed).epoch(epoch)))
        return batch.images[batch.rows.argsort()]

    assert torch.equal(pixels(0, 0), pixels(0, 0))
    assert not torch.equal(pixels(0, 0), pixels(0, 1))
    assert not torch.equal(pixels(0, 0), pixels(1, 0))


def test_views_repeat_and_can_be_asked_for(square):
    loader = make_loader(square, 10, views=2, seed=4)
    seen = {}
    for batch in epochs(loader, range(6)):
        for image, _, row, view in zip(*batch, strict=True):
            known = seen.setdefault((int(row), int(view)), image)
            assert torch.equal(image, known)
    assert len(seen) > 90 and loader.views == 2
    stream = make_loader(square, 10, views=2, seed=4, resident=False, workers=0)
    rows = np.array([3, 40])
    for view in (0, 1):
        for asked in (loader.fixed(rows, view), stream.fixed(rows, view)):
            assert asked.rows.tolist() == [3, 40] and asked.views.tolist() == [view] * 2
            for image, row in zip(asked.images, rows.tolist(), strict=True):
                assert torch.equal(image, seen.get((row, view), image))
    assert not torch.equal(loader.fixed(rows, 0).images, loader.fixed(rows, 1).images)


def test_last_batch_is_dropped_only_where_there_is_a_full_one(small):
    assert make_loader(small, 20).steps == 1
    assert make_loader(small, 20, drop_last=False).steps == 2
    tiny = make_loader(balanced_subset(small, 2, 0), 64)
    assert tiny.steps == 1 and len(next(iter(tiny.epoch(0))).images) == 6


def test_large_sets_are_streamed(square, monkeypatch):
    lazy = Subset(square, range(50))
    assert isinstance(make_loader(lazy, 8), ResidentLoader)
    monkeypatch.setattr("gendata.images.loader.RESIDENT_BYTES", 50 * 3 * 16 * 16 - 1)
    assert isinstance(make_loader(lazy, 8, workers=0), StreamLoader)
    assert isinstance(make_loader(square, 8), ResidentLoader)  # it is in memory anyway


def test_a_broken_off_epoch_does_not_disturb_the_next(square):
    loader = make_loader(square, 8, resident=False, workers=1)
    whole = epochs(loader, [1])
    next(iter(loader.epoch(0)))
    assert_same(epochs(loader, [1]), whole)


def test_mistakes(small):
    with pytest.raises(GendataError, match="unknown augmentation"):
        make_loader(small, 4, augment="wild")
    with pytest.raises(GendataError, match="smaller than the number of processes"):
        make_loader(small, 2, world=3)


SPAWNED = """
import sys
import torch
from gendata.images import make_loader, open_images

if __name__ == "__main__":
    torch.multiprocessing.set_start_method("spawn")
    images = open_images(sys.argv[1])
    stream = make_loader(images, 16, resident=False, workers=1)
    resident = make_loader(images, 16)
    for number in (0, 1):
        for one, other in zip(stream.epoch(number), resident.epoch(number), strict=True):
            assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
    print("same")
"""


def test_streams_under_the_spawn_start_method(square, save_tree, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SPAWNED)
    tree = save_tree(square, tmp_path / "tree")
    result = subprocess.run(
        [sys.executable, script, tree], capture_output=True, text=True, timeout=240
    )
    assert result.stdout == "same\n", result.stderr


@pytest.mark.parametrize("layout", ["imagefolder", "webdataset", "parquet"])
def test_lazy_sets_travel_to_other_processes(square, tmp_path, layout):
    export_images(square, tmp_path / layout, layout)
    images = open_images(tmp_path / layout)
    for one in (images, Subset(images, [4, 2])):
        copy = pickle.loads(pickle.dumps(one))
        assert len(pickle.dumps(one)) < 20_000  # paths and offsets, not pixels
        assert torch.equal(copy[1][0], one[1][0]) and copy.labels.tolist() == one.labels.tolist()


@pytest.mark.parametrize("resident", [True, False])
def test_a_part_of_an_epoch_decodes_nothing_else(resident):
    class Counted:
        """A set that notes which rows are read."""

        def __init__(self, images):
            self.images, self.read = images, []
            self.name, self.classes, self.labels = images.name, images.classes, images.labels

        def __len__(self):
            return len(self.images)

        def __getitem__(self, row):
            self.read.append(row)
            return self.images[row]

    images = Counted(
        ArrayImages(
            "squares",
            ["a", "b"],
            torch.arange(23).to(torch.uint8).view(23, 1, 1, 1).expand(23, 3, 8, 8).contiguous(),
            [0, 1] * 11 + [0],
        )
    )
    loader = make_loader(images, 4, drop_last=False, seed=3, resident=resident, workers=0)
    images.read.clear()
    whole = [batch.rows.tolist() for batch in loader.epoch(1)]
    images.read.clear()
    part = list(loader.epoch(1, 4, 6))
    assert [batch.rows.tolist() for batch in part] == whole[4:6]
    for batch in part:
        assert torch.equal(
            batch.images, next(loader.epoch(1, whole.index(batch.rows.tolist()))).images
        )
    if not resident:
        assert set(images.read) == {row for rows in whole[4:6] for row in rows}
