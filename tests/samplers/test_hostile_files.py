"""More hostile files: numbers, storages and archives that lie; `watched.py` reads them."""

import io
import json
import os
import re
import struct
import zipfile

import pytest
import torch
from family_files import FAMILIES, helpers

from gendata import load_sampler
from gendata.errors import GendataError

made = helpers("test_restricted_pickle")
call, name, number, raw, text = made.call, made.name, made.number, made.raw, made.text
storage, tensor, tuple_of = made.storage, made.tensor, made.tuple_of
legacy, dtype, array, rezipped = made.legacy, made.dtype, made.array, made.rezipped
MARK, STOP, MEMOIZE = made.MARK, made.STOP, made.MEMOIZE
SMALL = legacy(4, 4)


def archive(pickled=None, **parts):
    """An archive of torch.save with another program, or other parts beside it."""

    def change(before):
        kept = [(p, pickled if pickled and p.endswith("data.pkl") else c) for p, c in before]
        return [*kept, *((f"archive/data/{key}", value) for key, value in parts.items())]

    return rezipped(change)


def stored(key=b"X\1\0\0\0" + b"0", count=3, kind="FloatStorage", device="cpu", *more):
    """A program that refers to a storage of its archive, as a tensor of three numbers."""
    identifier = [text("storage"), name("torch", kind), key, text(device), number(count), *more]
    sides = [tuple_of(number(3)), tuple_of(number(1))]
    parts = [tuple_of(*identifier) + b"Q", number(0), *sides, b"\x89", b"}"]
    return b"\x80\x02" + call("torch._utils", "_rebuild_tensor_v2", *parts) + STOP


def with_header(offset, value, content=None, mark=b"PK\x01\x02"):
    """An archive in whose list of parts a field of the first is overwritten."""
    changed = bytearray(content or archive())
    at = changed.index(mark) + offset
    changed[at : at + len(value)] = value
    return bytes(changed)


def zip64(size):
    """An archive whose first part says that its size stands in 64 bits beside it."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as writer:
        info = zipfile.ZipInfo("archive/data.pkl")
        info.extra = struct.pack("<HHQQ", 1, 16, size, size)
        writer.writestr(info, b"N.")
    content = bytearray(file.getvalue())
    at = content.index(b"PK\x01\x02")
    content[at + 20 : at + 28] = b"\xff" * 8
    return bytes(content)


def many(operation, count=100_000):
    return operation * count


def bare(program):
    """A pickle of the second protocol."""
    return b"\x80\x02" + program + STOP


BOMB = b"N" + b"2\x86" * 60  # a tuple whose text would fill all memory
REFUSED = {
    "a persistent number": b"K\x07Q.",
    "a persistent tuple outside an archive": tuple_of(text("storage")) + b"Q.",
    "an extension of two bytes": b"\x83\x01\x01.",
    "an extension of four bytes": b"\x84\x01\x01\x01\x01.",
    "a read-only buffer": b"N\x98.",
    "attributes of a number": bare(b"K\x01}b"),
    "attributes of a text": bare(text("a") + b"}b"),
    "attributes of a list": bare(b"]}b"),
    "attributes of a tuple": bare(b")}b"),
    "attributes of a number type": bare(name("numpy", "dtype") + b"}b"),
    "a list in a set": bare(b"\x8f(]\x90"),
    "a dictionary in a frozen set": bare(b"(}\x91"),
    "frozen sets as keys": bare(b"}(\x91Ns"),
    "a tensor as a key": bare(b"}" + tensor(SMALL, 0, [4], [1]) + b"Ns"),
    "a list called": bare(b"])R"),
    "arguments that are a list": bare(name("a", "B") + b"]R"),
    "a builder with a bomb": bare(call("collections", "OrderedDict", BOMB)),
    "a bomb as a shape": bare(
        call(
            *("torch._utils", "_rebuild_tensor_v2", storage(SMALL), number(0)),
            *(BOMB, BOMB, b"\x89", b"}"),
        )
    ),
    "a negative stride": bare(tensor(SMALL, 3, [4], [-1])),
    "a negative offset": bare(tensor(SMALL, -1, [2], [1])),
    "a truth value as an offset beyond": bare(tensor(SMALL, 4, [1], [1])),
    "overlapping windows": bare(tensor(legacy(1000, 1000), 0, [900, 100], [1, 1])),
    "a hundred sides": bare(tensor(SMALL, 0, [1] * 100, [1] * 100)),
    "a tensor of a list": bare(
        call("torch._utils", "_rebuild_tensor_v2", b"]", number(0), b")", b")", b"\x89", b"}")
    ),
    "a storage of 63 bits": bare(storage(legacy((1 << 63) - 1, 4))),
    "a quantised storage": bare(storage(legacy(4, 4, "QInt8Storage"))),
    "an array of text": bare(array([1], dtype("U1"), raw(b"abcd"))),
    "an array of dates": bare(array([1], dtype("M8"), raw(bytes(8)))),
    "an array of negative sides": bare(array([-2, -2], dtype("f4"), raw(bytes(16)))),
    "an array of pointers in one call": bare(
        call(
            *(
                "numpy.core.numeric",
                "_frombuffer",
                raw(bytes(8)),
                call("numpy", "dtype", text("O")),
            ),
            *(tuple_of(number(1)), text("C")),
        )
    ),
    "a number that is an object": bare(call("numpy.core.multiarray", "scalar", dtype("O8"), b"]")),
    "a sub-array type": bare(array([1], dtype("V8", "|", tuple_of(name("a", "B"))), raw(b"1"))),
    "a storage longer than its part": archive(stored(count=4)),
    "a storage of another kind": archive(stored(kind="QUInt8Storage")),
    "a part of a storage": archive(
        stored(b"X\1\0\0\0" + b"0", 3, "FloatStorage", "cpu", text("v"))
    ),
    "a key that is a bomb": archive(stored(BOMB)),
    "archives within archives": archive(
        bare(storage(archive(bare(storage(archive(bare(storage(archive()))))))))
    ),
    "a part before the file": with_header(42, b"\xff\xff\xff\x7f"),
    "a list of parts elsewhere": with_header(16, b"\xff\xff\xff\x7f", mark=b"PK\x05\x06"),
    "sizes of 64 bits that lie": zip64(1 << 62),
    "an encrypted program": with_header(8, b"\x01"),
}
DAMAGED = {
    "a key outside the archive": archive(stored(text("../../../../etc/passwd"))),
    "a key that is a number": archive(stored(number(7))),
    "an object without a mark": b"o.",
    "an instance without a mark": b"ia\nB\n.",
    "a text of half a character": b"\x80\x04\x8c\x01\xff.",
    "a text that never ends": b"\x80\x04V" + b"a" * 1000,
    "a long number of protocol 0": b"L" + b"9" * 100_000 + b"L\n.",
    "a number that is text": b"Iabc\n.",
    "a memo without a number": b"Npx\n.",
    "a protocol of the future": b"\x80\xff\xff.",
    "a pickle of marks": many(MARK) + STOP,
    "a first part that is none": with_header(0, b"PX", mark=b"PK\x03\x04"),
}
INERT = {
    "a sparse tensor": bare(call("torch._utils", "_rebuild_sparse_tensor", b"N", b")")),
    "a quantised tensor": bare(call("torch._utils", "_rebuild_qtensor", storage(SMALL))),
    "a tensor without bytes": bare(
        call("torch._utils", "_rebuild_meta_tensor_no_storage", b"N", b")", b")", b"\x89")
    ),
    "a nested tensor": bare(call("torch._utils", "_rebuild_nested_tensor", BOMB)),
    "a sub-class of tensors": bare(call("torch._utils", "_rebuild_wrapper_subclass", BOMB)),
    "a device's tensor": bare(call("torch._utils", "_rebuild_device_tensor_from_numpy", BOMB)),
    "torch's own loader of code": bare(call("torch.jit._script", "unpackage_script_module", b"N")),
    "text that turns around": bare(call("a\u202eb", "\u2066c\u200f")),
    "a name of five hundred letters": bare(name("a" * 250, "b" * 250)),
    "a record of its own attributes": bare(name("a", "B") + b")R" + b"\x94h\x00}h\x00h\x00sb"),
    "a hundred thousand marks in lists": bare(b"]" + many(b"(e")),
    "a bomb of dictionaries": bare(b"}\x940" + b"}(N" * 50 + b"N" + b"u" * 50),
    "infinite numbers": bare(b"F1e999999\n"),
}


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    folder, paths, cases = tmp_path_factory.mktemp("hostile"), [], {}
    for place, (case, content) in enumerate({**REFUSED, **DAMAGED, **INERT}.items()):
        paths.append(folder / f"{place}.pkl")
        paths[-1].write_bytes(content)
        cases[case] = paths[-1].name
    os.symlink(folder / "loop.pkl", folder / "loop.pkl")
    found = made.watch(*paths, folder / "loop.pkl")
    results = {case: found["files"][file] for case, file in cases.items()}
    return {**results, "loop": found["files"]["loop.pkl"], "": found["grown"]}


@pytest.mark.parametrize("case", [*REFUSED, *DAMAGED, *INERT])
def test_each_ends_in_one_clear_line(report, case):
    result = report[case]
    assert not result["events"] and result["outcome"] == "GendataError", result
    words = "holds no weights" if case in INERT else "damaged, or no checkpoint"
    assert ("is not safe to read" if case in REFUSED else words) in result["error"]
    assert result["error"].isprintable() and len(result["error"]) < 700
    assert result["seconds"] < 20


def test_a_link_to_itself_is_no_file(report):
    assert report["loop"]["outcome"] == "GendataError", report["loop"]


def test_they_take_little_memory(report):
    assert report[""] < 400 << 20


def header_of_tensors(**changes):
    """A safetensors file of one tensor whose header says something else of it."""
    entry = {"dtype": "F32", "shape": [4], "data_offsets": [0, 16], **changes}
    header = json.dumps({"embeddings.weight": entry}).encode()
    return struct.pack("<Q", len(header)) + header + bytes(16)


HEADERS = {
    "a header without end": struct.pack("<Q", 1 << 60) + b"{}",
    "a header beyond its file": struct.pack("<Q", 1000) + b"{}",
    "a header that is no JSON": struct.pack("<Q", 8) + b"[[[[[[[[",
    "a deep header": struct.pack("<Q", 200_000) + b"[" * 200_000,
    "a huge shape": header_of_tensors(shape=[1 << 40, 1 << 20]),
    "a shape that overflows": header_of_tensors(shape=[1 << 33, 1 << 33]),
    "negative sides": header_of_tensors(shape=[-4]),
    "places beyond the file": header_of_tensors(data_offsets=[0, 1 << 40]),
    "places in reverse": header_of_tensors(data_offsets=[16, 0]),
    "an unknown type": header_of_tensors(dtype="Q9"),
    "a place twice": header_of_tensors()[:8] + header_of_tensors()[8:].replace(b"0, 16", b"8, 24"),
}


@pytest.mark.parametrize("case", HEADERS)
def test_safetensors_whose_header_lies(case, tmp_path):
    reference = FAMILIES["biggan"].make(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(HEADERS[case])
    with pytest.raises(GendataError) as failure:
        load_sampler(reference, device="cpu")
    assert str(failure.value).isprintable() and len(str(failure.value)) < 700


def odd_tensors():
    """Tensors that no generator has, in a file that torch.load takes."""
    weight = torch.ones(6, 3)
    return {
        "sparse": weight.to_sparse(),
        "compressed": weight.to_sparse_csr(),
        "quantised": torch.quantize_per_tensor(weight, 0.1, 0, torch.qint8),
        "on no device": weight.to("meta"),
        "complex": weight.to(torch.complex64),
        "repeated": torch.ones(1).expand(1 << 20, 1 << 20),
        "empty": torch.empty(0, 1 << 40),
        "no tensor": "weights",
    }


# torch warns of formats that it is about to change.
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("case", odd_tensors())
@pytest.mark.parametrize("family", ["biggan", "lsgm"])
def test_tensors_that_no_generator_has(family, case, tmp_path):
    reference = FAMILIES[family].make(tmp_path)
    path = tmp_path / ("pytorch_model.bin" if family == "biggan" else "checkpoint_fid.pt")
    content = torch.load(path, weights_only=False)
    part = content if family == "biggan" else content["dae_state_dict"]
    key = next(key for key in part if key.endswith(("embeddings.weight", ".weight")))
    part[key] = odd_tensors()[case]
    torch.save(content, path)
    with pytest.raises(GendataError) as failure:
        load_sampler(reference, device="cpu")
    assert str(failure.value).isprintable() and len(str(failure.value)) < 700


@pytest.mark.parametrize("depth", [200, 5_000])
def test_graphs_within_graphs(depth, tmp_path):
    pytest.importorskip("onnxruntime")
    reference = FAMILIES["onnx"].make(tmp_path)

    def field(tag, content):
        size, length = len(content), b""
        while size > 127:
            length, size = length + bytes([size & 127 | 128]), size >> 7
        return bytes([tag << 3 | 2]) + length + bytes([size]) + content

    nested = b""
    for _ in range(depth):  # a graph's node's attribute's graph
        nested = field(1, field(5, field(6, nested)))
    (tmp_path / "G.onnx").write_bytes((tmp_path / "G.onnx").read_bytes() + field(7, nested))
    with pytest.raises(GendataError) as failure:
        load_sampler(reference, device="cpu", classes=3)
    assert str(failure.value).isprintable() and len(str(failure.value)) < 700


JUNK = (True, [], {}, "x\x1b[31m", -1, float("nan"), 1e308, 10**30, [[1]])
OPTIONS = {
    "stylegan2": ("psi", "cutoff", "noise_mode", "network", "classes", "dtype"),
    "edm": ("preset", "steps", "sigma_min", "rho", "churn_max", "network", "dtype", "classes"),
    "ddpm": ("steps", "guidance", "eta", "scheduler", "dtype", "classes", "template"),
    "biggan": ("truncation", "classes"),
    "lsgm": ("tolerance", "eps", "ema", "half"),
    "torchscript": ("z_dim", "classes"),
}


@pytest.mark.parametrize("family", OPTIONS)
def test_an_option_of_any_kind_is_taken_or_refused_in_one_line(family, tmp_path):
    """The command line reads values as JSON, so that they can be anything."""
    pytest.importorskip(FAMILIES[family].needs)
    reference = FAMILIES[family].make(tmp_path)
    refused = 0
    for option in OPTIONS[family]:
        for value in JUNK:
            given = {**FAMILIES[family].given(tmp_path), option: value}
            try:
                load_sampler(reference, device="cpu", **given)
            except GendataError as error:
                refused += 1
                assert re.search(r"\S", str(error)) and str(error).isprintable(), (option, value)
    assert refused > 3 * len(OPTIONS[family])
