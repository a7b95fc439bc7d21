"""PNG files are read back by Pillow to the last bit, and files appear whole."""

import hashlib
import os
import socket
import subprocess
import sys

import numpy as np
import pytest

from gendata.clone.png import decode_image, encode_batch
from gendata.clone.ranks import find_share, parse_share
from gendata.clone.threads import dividing_threads
from gendata.errors import GendataError
from gendata.files import publish, remove_abandoned


@pytest.mark.parametrize("shape", [(5, 12, 12), (2, 1, 1), (3, 7, 30), (1, 64, 1), (2, 70, 80)])
def test_pixels_come_back(shape):
    pixels = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    files, digests = encode_batch(pixels)
    for image, file, digest in zip(pixels, files, digests, strict=True):
        assert np.array_equal(decode_image(file), image)
        assert digest == hashlib.sha256(image.tobytes()).hexdigest()


def test_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def fail(file):
        file.write(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        publish(path, fail)
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


def test_only_files_of_dead_writers_are_removed(tmp_path):
    dead = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True
    ).stdout.strip()
    host = socket.gethostname()
    names = {
        f".shard-00000.parquet.{host}.{dead}.tmp": False,
        f".shard-00001.parquet.{host}.{os.getppid()}.tmp": True,
        ".shard-00002.parquet.elsewhere.1.tmp": True,
        ".shard-00003.parquet.elsewhere.1.tmp": False,
        ".mine.tmp": True,
        "shard-00000.parquet": True,
    }
    for name in names:
        (tmp_path / name).touch()
    os.utime(tmp_path / ".shard-00003.parquet.elsewhere.1.tmp", (0, 0))
    remove_abandoned(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {n for n, stays in names.items() if stays}


def test_shares():
    assert parse_share(None) is None and parse_share("2/5") == (2, 5)
    assert find_share((2, 5), {}).owns(7) and not find_share((2, 5), {}).waits
    share = find_share(None, {"RANK": "1", "WORLD_SIZE": "3"})
    assert (share.index, share.count, share.waits) == (1, 3, True)
    assert find_share(None, {}).owns(11) and not find_share(None, {}).waits
    for text in ("1", "a/b", "1/2/3", "-1/2"):
        with pytest.raises(GendataError):
            parse_share(text)
    for bad in ((2, 2), (0, 0)):
        with pytest.raises(GendataError, match="no such share"):
            find_share(bad, {})


def test_threads_divide_the_batch(monkeypatch):
    monkeypatch.setattr("torch.get_num_threads", lambda: 6)
    assert [dividing_threads(size) for size in (1, 7, 8, 10, 36)] == [1, 1, 4, 5, 6]
