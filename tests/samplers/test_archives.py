"""Archives of torch.save: mapped, and read only as far as they are used."""

import io
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch
from family_files import FAMILIES

from gendata.errors import GendataError
from gendata.samplers.restricted_pickle import read_checkpoint

MEGABYTE = 1 << 20
USED, UNUSED = 8, 300  # megabytes

MEASURED = """
import sys
import torch
from gendata.samplers.restricted_pickle import read_checkpoint

def megabytes(name):
    lines = dict(line.split(":") for line in open("/proc/self/status"))
    return int(lines[name].split()[0]) // 1024

read_checkpoint(sys.argv[2])  # what the reader itself needs
open("/proc/self/clear_refs", "w").write("5")  # the peak begins here
before = megabytes("VmRSS")
content = read_checkpoint(sys.argv[1], mapped=True)
network = content["network"].clone()
assert network.sum() == network.numel() and content["optimiser"].numel() > network.numel()
print(megabytes("VmHWM") - before)
"""


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    path = tmp_path_factory.mktemp("large") / "checkpoint.pt"
    content = {
        "network": torch.ones(USED * MEGABYTE // 4),
        "optimiser": torch.zeros(UNUSED * MEGABYTE // 4),
    }
    torch.save(content, path)
    yield path
    path.unlink()


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux")
@pytest.mark.slow
def test_memory_is_that_of_what_is_used(large, tmp_path):
    torch.save({"x": torch.ones(1)}, tmp_path / "small.pt")
    words = [sys.executable, "-c", MEASURED, str(large), str(tmp_path / "small.pt")]
    result = subprocess.run(words, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert USED <= int(result.stdout) <= 3 * USED


def tensors():
    return {
        "half": torch.arange(5, dtype=torch.float16),
        "double": torch.arange(7, dtype=torch.float64),
        "empty": torch.empty(0),
        "part": torch.arange(12.0).view(3, 4).t()[1:3],
    }


@pytest.mark.parametrize("shift", [0, 1, 4])
def test_a_mapped_archive_holds_the_same_tensors(tmp_path, shift):
    """Also where another program wrote it, and its parts begin anywhere."""
    torch.save(tensors(), tmp_path / "x.pt")
    if shift:
        rewrite(tmp_path / "x.pt", shift)
    for mapped in (False, True):
        content = read_checkpoint(tmp_path / "x.pt", mapped=mapped)
        for name, value in tensors().items():
            assert content[name].dtype == value.dtype and torch.equal(content[name], value)


def rewrite(path: Path, shift: int):
    """Writes the archive again with unaligned parts."""
    with zipfile.ZipFile(path) as archive:
        parts = {entry.filename: archive.read(entry) for entry in archive.infolist()}
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x" * shift, b"")
        for name, content in parts.items():
            archive.writestr(name, content)


def test_writing_into_a_mapped_tensor_changes_no_file(tmp_path):
    torch.save(tensors(), tmp_path / "x.pt")
    before = (tmp_path / "x.pt").read_bytes()
    value = read_checkpoint(tmp_path / "x.pt", mapped=True)["double"]
    value += 1
    assert value.tolist() == [1, 2, 3, 4, 5, 6, 7]
    assert (tmp_path / "x.pt").read_bytes() == before


def test_tensors_that_are_not_mapped_outlive_their_file(tmp_path):
    torch.save(tensors(), tmp_path / "x.pt")
    value = read_checkpoint(tmp_path / "x.pt")["double"]
    with (tmp_path / "x.pt").open("r+b") as file:
        file.write(b"\xff" * (tmp_path / "x.pt").stat().st_size)
    assert torch.equal(value, tensors()["double"])


def many_parts(count: int) -> bytes:
    """A list of as many parts, all of them the same one."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a", b"")
    content = file.getvalue()
    start = content.index(b"PK\x01\x02")
    entry = content[start : content.index(b"PK\x05\x06")]
    size = len(entry) * count
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1, 1, size, start, 0)
    return content[:start] + entry * count + end


def test_a_list_of_too_many_parts_is_refused_before_it_is_taken_apart(tmp_path):
    (tmp_path / "x.pt").write_bytes(many_parts(100_001))
    with pytest.raises(GendataError, match="an archive of more than 100,000 parts"):
        read_checkpoint(tmp_path / "x.pt")


@pytest.mark.parametrize("content", [b"PK", b"PK\x03\x04", b"PK\x05\x06" + bytes(18)])
def test_archives_of_nothing(tmp_path, content):
    (tmp_path / "x.pt").write_bytes(content)
    with pytest.raises(GendataError, match="damaged|not safe"):
        read_checkpoint(tmp_path / "x.pt")


CHANGED = """
import os, sys
from gendata import load_sampler
from gendata.errors import GendataError
from gendata.samplers import lsgm

way, path, build = sys.argv[1], sys.argv[2], lsgm.build_score

def changing(*arguments):
    if way == "cut":
        os.truncate(path, 1000)
    elif way == "written over":
        with open(path, "r+b") as file:
            file.seek(-2000, 2)
            file.write(bytes(1000))
    else:
        os.replace(path + ".new", path)
    return build(*arguments)

lsgm.build_score = changing
try:
    load_sampler(f"lsgm:{path}", device="cpu")
except GendataError as error:
    print(error)
"""


@pytest.mark.parametrize("way", ["cut", "written over", "replaced"])
def test_a_checkpoint_that_changes_while_it_is_loaded(way, tmp_path):
    """To read where a mapped file was cut off would end the process without a word."""
    path = FAMILIES["lsgm"].make(tmp_path).removeprefix("lsgm:")
    Path(f"{path}.new").write_bytes(Path(path).read_bytes())
    words = [sys.executable, "-c", CHANGED, way, path]
    result = subprocess.run(words, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-2000:]
    assert "changed while it was read" in result.stdout
