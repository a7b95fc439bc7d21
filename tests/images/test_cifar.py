import os
import pickle
import tarfile

import numpy as np
import pytest

from gendata.errors import GendataError
from gendata.images import open_images

RANDOM = np.random.default_rng(0)
NAMES = [f"class{label}" for label in range(10)]
COARSE, FINE = [f"coarse{label}" for label in range(20)], [f"fine{label}" for label in range(100)]


def batch(count):
    return RANDOM.integers(0, 256, (count, 3072), dtype=np.uint8), RANDOM.integers(0, 10, count)


@pytest.fixture
def cifar10(tmp_path):
    """Both published forms of a tiny CIFAR-10, and the training pixels and labels."""
    python, binary = tmp_path / "cifar-10-batches-py", tmp_path / "cifar-10-batches-bin"
    python.mkdir()
    binary.mkdir()
    pixels, labels = [], []
    for name in [f"data_batch_{number}" for number in range(1, 6)] + ["test_batch"]:
        data, numbers = batch(4)
        record = {b"data": data, b"labels": numbers.tolist(), b"filenames": [b"x.png"] * 4}
        (python / name).write_bytes(pickle.dumps(record, protocol=2))
        rows = np.concatenate([numbers[:, None].astype(np.uint8), data], axis=1)
        (binary / f"{name}.bin").write_bytes(rows.tobytes())
        pixels.append(data)
        labels.append(numbers)
    meta = {b"label_names": [name.encode() for name in NAMES]}
    (python / "batches.meta").write_bytes(pickle.dumps(meta, protocol=2))
    (binary / "batches.meta.txt").write_text("\n".join(NAMES) + "\n\n")
    return tmp_path, np.stack(pixels), np.stack(labels)


def assert_same(images, pixels, labels, classes):
    assert images.classes == classes
    assert images.labels.tolist() == labels.reshape(-1).tolist()
    assert np.array_equal(images.images.numpy(), pixels.reshape(-1, 3, 32, 32))


@pytest.mark.parametrize("form", ["cifar-10-batches-py", "cifar-10-batches-bin"])
def test_cifar10_folders_and_archives(cifar10, form):
    root, pixels, labels = cifar10
    archive = root / f"{form}.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(root / form, form)
    for path in (root / form, archive):
        assert_same(open_images(path), pixels[:5], labels[:5], NAMES)
        assert_same(open_images(path, split="test"), pixels[5], labels[5], NAMES)
        assert_same(open_images(f"cifar10:{path}", split="test"), pixels[5], labels[5], NAMES)


def test_cifar10_by_name(cifar10):
    root, pixels, labels = cifar10
    assert_same(open_images("cifar10:test", root=str(root)), pixels[5], labels[5], NAMES)
    with pytest.raises(GendataError, match="CIFAR-100 is not in .*root=FOLDER.*--download"):
        open_images("cifar100:test", root=str(root))
    with pytest.raises(GendataError, match="is not CIFAR-100; found 10 classes"):
        open_images(f"cifar100:{root / 'cifar-10-batches-py'}")


@pytest.mark.parametrize("binary", [False, True])
def test_cifar100_fine_and_coarse(tmp_path, binary):
    data, _ = batch(30)
    fine, coarse = RANDOM.integers(0, 100, 30), RANDOM.integers(0, 20, 30)
    root = tmp_path / ("cifar-100-binary" if binary else "cifar-100-python")
    root.mkdir()
    if binary:
        heads = np.stack([coarse, fine], axis=1).astype(np.uint8)
        (root / "test.bin").write_bytes(np.concatenate([heads, data], axis=1).tobytes())
        (root / "fine_label_names.txt").write_text("\n".join(FINE))
        (root / "coarse_label_names.txt").write_text("\n".join(COARSE))
    else:
        record = {"data": data, "fine_labels": fine.tolist(), "coarse_labels": coarse.tolist()}
        (root / "test").write_bytes(pickle.dumps(record))
        meta = {"fine_label_names": FINE, "coarse_label_names": COARSE}
        (root / "meta").write_bytes(pickle.dumps(meta))
    assert_same(open_images("cifar100:test", root=str(tmp_path)), data, fine, FINE)
    coarse_set = open_images("cifar100:test", root=str(tmp_path), labels="coarse")
    assert_same(coarse_set, data, coarse, COARSE)
    with pytest.raises(GendataError, match="is not whole; found no train"):
        open_images("cifar100:train", root=str(tmp_path))


class Payload:
    def __reduce__(self):
        return os.system, ("touch hacked",)


@pytest.mark.parametrize("hostile", [Payload(), {"data": Payload()}, [np.dtype("O"), Payload()]])
def test_pickles_run_nothing(cifar10, hostile, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    root, *_ = cifar10
    (root / "cifar-10-batches-py" / "test_batch").write_bytes(pickle.dumps(hostile))
    with pytest.raises(GendataError, match="asks for more than data; found posix.system"):
        open_images("cifar10:test", root=str(root))
    assert not (tmp_path / "hacked").exists()


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"data": np.array([["x"] * 3072], dtype=object), "labels": [0]}, "is not whole"),
        ({"data": np.zeros((1, 3000), np.uint8), "labels": [0]}, "pixels of shape"),
        ({"data": np.zeros((1, 3072), np.uint8)}, "a batch of data"),
        ([1], "with a list"),
    ],
)
def test_pickles_of_other_things(cifar10, record, message):
    root, *_ = cifar10
    (root / "cifar-10-batches-py" / "test_batch").write_bytes(pickle.dumps(record))
    with pytest.raises(GendataError, match=message):
        open_images("cifar10:test", root=str(root))


def test_damaged_files(cifar10):
    root, *_ = cifar10
    python, binary = root / "cifar-10-batches-py", root / "cifar-10-batches-bin"
    content = (python / "test_batch").read_bytes()
    (python / "test_batch").write_bytes(content[: len(content) // 2])
    with pytest.raises(GendataError, match="is not whole; found test_batch: .*get it again"):
        open_images(python, split="test")
    (binary / "data_batch_3.bin").write_bytes(b"12345")
    with pytest.raises(GendataError, match="not a multiple of 3073"):
        open_images(binary)
    (binary / "data_batch_3.bin").unlink()
    with pytest.raises(GendataError, match="found no data_batch_3.bin"):
        open_images(binary)
    (root / "x.tar.gz").write_bytes(b"\x1f\x8b\x08 no")
    with pytest.raises(GendataError, match="cannot be read"):
        open_images(root / "x.tar.gz")
    with pytest.raises(GendataError, match="no such part; found split=val"):
        open_images(python, split="val")


def test_published_pickles_of_python_two():
    """Numpy arrays of old pickles name numpy.core; ours today name numpy._core."""
    from gendata.images.cifar import _Unpickler

    for module in ("numpy.core.multiarray", "numpy._core.multiarray"):
        assert callable(_Unpickler(open(os.devnull, "rb")).find_class(module, "_reconstruct"))


def test_a_failed_download_is_one_line(tmp_path, monkeypatch):
    def refuse(*arguments, **options):
        raise OSError("no route to host")

    monkeypatch.setattr("urllib.request.urlopen", refuse)
    with pytest.raises(GendataError, match="CIFAR-10 could not be downloaded to .* found"):
        open_images("cifar10:train", root=str(tmp_path), download=True)
