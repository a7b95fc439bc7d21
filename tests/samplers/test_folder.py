import numpy as np
import pytest
import torch
from PIL import Image

from gendata import load_sampler
from gendata.errors import GendataError, UnusableImages
from gendata.images import ArrayImages
from gendata.images.damage import Damage, DamagedImage
from gendata.samplers.folder import FolderSampler
from gendata.types import FiniteSampler


@pytest.fixture
def folder(tmp_path):
    random = np.random.default_rng(0)
    for name in ("ant", "bee"):
        (tmp_path / name).mkdir()
        for number in range(3):
            pixels = random.integers(0, 256, (6, 6, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / name / f"{number}.png")
    return tmp_path


def test_rows_are_the_images_in_order(folder):
    sampler = load_sampler(f"folder:{folder}", device="cpu")
    assert isinstance(sampler, FiniteSampler)
    assert list(sampler.classes) == ["ant", "bee"] and sampler.labels.tolist() == [
        0,
        0,
        0,
        1,
        1,
        1,
    ]
    images = sampler.sample(None, torch.tensor([4, 0]))
    for image, file in zip(images, ("bee/1.png", "ant/0.png"), strict=True):
        expected = np.array(Image.open(folder / file))
        assert np.array_equal(image.permute(1, 2, 0).numpy(), expected)
    assert torch.equal(sampler.sample(torch.tensor([1, 0]), torch.tensor([4, 0])), images)


def test_a_bare_path_and_a_resolution(folder):
    sampler = load_sampler(folder, resolution=4, device="cpu")
    assert sampler.sample(None, torch.arange(6)).shape == (6, 3, 4, 4)
    assert sampler.card.settings["resolution"] == 4 and sampler.card.settings["images"] == 6


def test_images_that_prove_damaged_are_named():
    class Breaking(ArrayImages):
        def __getitem__(self, index):
            if index == 1:
                raise DamagedImage(Damage("row 1", "truncated"))
            return super().__getitem__(index)

    images = Breaking("set", ["a"], torch.full((3, 3, 2, 2), 9, dtype=torch.uint8), [0, 0, 0])
    sampler = FolderSampler(images, 2, "folder:set", torch.device("cpu"))
    with pytest.raises(UnusableImages) as caught:
        sampler.sample(None, torch.arange(3))
    assert caught.value.bad.tolist() == [False, True, False] and caught.value.reason == "damaged"
    assert caught.value.images[[0, 2]].eq(9).all()


def save(folder, name, width, height, value=0):
    Image.new("RGB", (width, height), (value, 1, 2)).save(folder / name)


@pytest.mark.parametrize("size", [(6, 8), (4, 4)])
def test_other_sizes_are_refused_unless_a_resolution_is_given(folder, monkeypatch, size):
    save(folder, "bee/9.png", *size)
    found = f"found {size[0]}x{size[1]} in row 6; expected 6x6; .*option resolution"
    with pytest.raises(GendataError, match=found):
        load_sampler(f"folder:{folder}", device="cpu")
    monkeypatch.setattr("gendata.images.fingerprint.READ", 1)
    with pytest.raises(GendataError, match=found):
        load_sampler(f"folder:{folder}", device="cpu").sample(None, torch.tensor([0, 6]))
    sampler = load_sampler(f"folder:{folder}", resolution=6, device="cpu")
    assert sampler.sample(None, torch.arange(7)).shape == (7, 3, 6, 6)


def test_images_that_are_not_square_need_a_resolution(tmp_path):
    (tmp_path / "ant").mkdir()
    save(tmp_path, "ant/0.png", 8, 6)
    with pytest.raises(GendataError, match="not squares of one size; found 8x6 in row 0"):
        load_sampler(f"folder:{tmp_path}", device="cpu")


def test_the_digest_follows_pixels_and_labels(folder):
    def digest():
        return load_sampler(f"folder:{folder}", device="cpu").card.sha256

    before = digest()
    assert len(before) == 64 and digest() == before
    (folder / "bee" / "0.png").rename(folder / "ant" / "9.png")  # the same pixels in that order
    moved = digest()
    save(folder, "bee/2.png", 6, 6, value=3)
    assert len({before, moved, digest()}) == 3


def test_mistakes_are_one_line(folder):
    sampler = load_sampler(f"folder:{folder}", device="cpu")
    with pytest.raises(GendataError, match="rows from 0 to 6; expected 0…5"):
        sampler.sample(None, torch.tensor([0, 6]))
    with pytest.raises(GendataError, match="labels are not those"):
        sampler.sample(torch.tensor([1]), torch.tensor([0]))
    with pytest.raises(GendataError, match="bad option resolution"):
        load_sampler(f"folder:{folder}", resolution=0)
    with pytest.raises(GendataError, match="found abc; expected a whole number"):
        load_sampler(f"folder:{folder}", resolution="abc")
    with pytest.raises(GendataError):
        load_sampler(f"folder:{folder}", colour=1)
    with pytest.raises(GendataError):
        load_sampler("folder:/nowhere")
