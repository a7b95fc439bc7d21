import struct

import numpy as np
import pytest
import scipy.io
import torch
from PIL import Image
from torchvision import datasets

from gendata.errors import GendataError
from gendata.images import decode_all, open_images
from gendata.images.torchvision_sets import TORCHVISION_SETS


def test_every_set_exists_in_torchvision():
    for kind, described in TORCHVISION_SETS.items():
        assert hasattr(datasets, described.class_name), kind


@pytest.mark.parametrize(
    "kind", [kind for kind in TORCHVISION_SETS if kind not in ("imagenet", "stanford-cars")]
)
def test_nothing_is_downloaded_unasked(kind, tmp_path, monkeypatch):
    def refuse(*arguments, **options):
        raise AssertionError("network")

    monkeypatch.setattr("urllib.request.urlopen", refuse)
    split = next(iter(TORCHVISION_SETS[kind].splits))
    with pytest.raises(GendataError, match=rf"{kind} is not in .*\?root=FOLDER, or allow the dow"):
        open_images(f"{kind}:{split}", root=str(tmp_path))


def test_imagenet_needs_its_archives(tmp_path):
    with pytest.raises(GendataError, match="cannot be downloaded"):
        open_images("imagenet:val", root=str(tmp_path))


def test_unknown_split():
    with pytest.raises(GendataError, match="no split 'dev'; expected flowers102:train or"):
        open_images("flowers102:dev")


def test_arrays(tmp_path):
    folder = tmp_path / "MNIST" / "raw"
    folder.mkdir(parents=True)
    pixels = np.random.default_rng(0).integers(0, 256, (12, 28, 28), dtype=np.uint8)
    labels = (np.arange(12) % 10).astype(np.uint8)
    for part, count in (("train", 12), ("t10k", 5)):
        head = struct.pack(">4B3I", 0, 0, 8, 3, count, 28, 28)
        (folder / f"{part}-images-idx3-ubyte").write_bytes(head + pixels[:count].tobytes())
        head = struct.pack(">4BI", 0, 0, 8, 1, count)
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(head + labels[:count].tobytes())
    images = open_images("mnist:test", root=str(tmp_path))
    assert len(images) == 5 and images.classes[3] == "3 - three"
    assert np.array_equal(images.images[:, 1].numpy(), pixels[:5])
    assert open_images("mnist:train", root=str(tmp_path)).labels.tolist() == labels.tolist()


def test_files_stay_undecoded(tmp_path, monkeypatch):
    folder = tmp_path / "flowers-102"
    (folder / "jpg").mkdir(parents=True)
    labels = [1, 102, 7, 7]
    for number in range(1, 5):
        Image.new("RGB", (9, 9), (number, 0, 0)).save(folder / "jpg" / f"image_{number:05d}.jpg")
    scipy.io.savemat(folder / "imagelabels.mat", {"labels": [labels]})
    scipy.io.savemat(folder / "setid.mat", {"trnid": [[3]], "valid": [[1]], "tstid": [[4, 2]]})
    monkeypatch.setattr(datasets.Flowers102, "_check_integrity", lambda self: True)
    images = open_images("flowers102:test", root=str(tmp_path))
    assert images.labels.tolist() == [6, 101] and len(images.classes) == 102
    assert [images.source.place(row)[-9:] for row in (0, 1)] == ["00004.jpg", "00002.jpg"]
    assert decode_all(images).images.shape == (2, 3, 9, 9)
    (folder / "jpg" / "image_00002.jpg").write_bytes(b"")
    assert len(open_images("flowers102:test", root=str(tmp_path)).damaged) == 1


def test_pairs_of_path_and_label(tmp_path):
    for split in ("train", "test"):
        for row, name in enumerate(["AnnualCrop", "Forest"]):
            folder = tmp_path / "eurosat" / "2750" / name
            folder.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (4, 4), (row, 0, 0)).save(folder / f"{split}.png")
    images = open_images("eurosat:all", root=str(tmp_path))
    assert images.classes == ["AnnualCrop", "Forest"] and images.labels.tolist() == [0, 0, 1, 1]
    assert torch.equal(images[3][0][:, 0, 0], torch.tensor([1, 0, 0], dtype=torch.uint8))
