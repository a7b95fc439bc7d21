"""Hostile, damaged and honest checkpoints; see `watched.py` for the process that reads them."""

import argparse
import collections
import contextlib
import copyreg
import io
import json
import os
import pickle
import struct
import subprocess
import sys
import types
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from gendata.errors import GendataError
from gendata.samplers.records import Reference
from gendata.samplers.restricted_pickle import Record, named_tensors, read_checkpoint

WATCHED = Path(__file__).with_name("watched.py")
MARK, STOP, REDUCE, BUILD, MEMOIZE = b"(", b".", b"R", b"b", b"\x94"


def text(value):
    content = value.encode("utf-8", "surrogatepass")
    return b"X" + struct.pack("<I", len(content)) + content


def name(module, attribute):
    return text(module) + text(attribute) + b"\x93"


def number(value):
    return b"J" + struct.pack("<i", value)


def raw(content):
    return b"B" + struct.pack("<I", len(content)) + content


def tuple_of(*parts):
    return MARK + b"".join(parts) + b"t"


def call(module, attribute, *parts):
    return name(module, attribute) + tuple_of(*parts) + REDUCE


def legacy(count, elements, kind="FloatStorage"):
    """A storage as torch.save wrote it once, which says that it holds `count` elements."""
    file = io.BytesIO()
    for each in (0x1950A86A20F9469CFC6C, 1001, {}):
        pickle.dump(each, file, protocol=2)
    identifier = [text("storage"), name("torch", kind), text("0"), text("cpu"), number(elements)]
    file.write(b"\x80\x02" + tuple_of(*identifier, b"N") + b"Q.")
    pickle.dump(["0"], file, protocol=2)
    return file.getvalue() + struct.pack("<q", count) + bytes(4 * elements)


def storage(content):
    return call("torch.storage", "_load_from_bytes", raw(content))


def tensor(content, offset, size, stride):
    sides = [tuple_of(*map(number, each)) for each in (size, stride)]
    hooks = call("collections", "OrderedDict")
    parts = [storage(content), number(offset), *sides, b"\x89", hooks]
    return call("torch._utils", "_rebuild_tensor_v2", *parts)


def dtype(code, order="<", *more):
    parts = [number(3), text(order), *(more or (b"N", b"N", b"N")), *(number(-1),) * 2, number(0)]
    return call("numpy", "dtype", text(code), b"\x89", b"\x88") + tuple_of(*parts) + BUILD


def array(shape, kind, content):
    made = call(
        "numpy.core.multiarray",
        "_reconstruct",
        name("numpy", "ndarray"),
        tuple_of(number(0)),
        raw(b"b"),
    )
    state = tuple_of(number(1), tuple_of(*map(number, shape)), kind, b"\x89", content)
    return made + state + BUILD


def saved(value, **options):
    file = io.BytesIO()
    torch.save(value, file, **options)
    return file.getvalue()


def rezipped(change, compression=zipfile.ZIP_STORED):
    """An archive of torch.save with its parts changed."""
    before, after = zipfile.ZipFile(io.BytesIO(saved({"w": torch.ones(3)}))), io.BytesIO()
    with zipfile.ZipFile(after, "w", compression) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a part that stands there twice
        for part, content in change([(e.filename, before.read(e)) for e in before.infolist()]):
            archive.writestr(part, content)
    return after.getvalue()


def overlapping():
    """An archive in which each part holds all parts that follow: sixteen times one megabyte."""
    content = bytearray(rezipped(lambda parts: [*parts, ("archive/data/9", bytes(1 << 20))]))
    at = content.index(b"PK\x01\x02")
    content[at + 24 : at + 28] = content[at + 20 : at + 24] = struct.pack("<I", len(content) - 99)
    return bytes(content)


class Runs:
    """Pickled, it calls."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def runs(function, *arguments, protocol=2):
    return pickle.dumps(Runs(function, *arguments), protocol=protocol)


REFUSED = {
    "os.system": runs(os.system, "touch /tmp/hacked"),
    "os.system in protocol 0": runs(os.system, "true", protocol=0),
    "os.system in protocol 5": runs(os.system, "true", protocol=5),
    "os.system by INST": MARK + text("true") + b"ios\nsystem\n.",
    "os.system by OBJ": MARK + b"cos\nsystem\n" + text("true") + b"o.",
    "os.system by NEWOBJ": b"cos\nsystem\n" + tuple_of(text("true")) + b"\x81.",
    "os.system by NEWOBJ_EX": b"cos\nsystem\n)}\x92.",
    "os.system through another module": call("posixpath", "os.system", text("true")) + STOP,
    "os.system beside a network": pickle.dumps({"G_ema": None, "x": Runs(os.system, "true")}),
    "os.system in a storage": storage(runs(os.system, "true")) + STOP,
    "os.system in an archive": rezipped(
        lambda parts: [(p, runs(os.system, "1") if p.endswith("l") else c) for p, c in parts]
    ),
    "eval": runs(eval, "__import__('os').getpid()"),
    "exec": runs(exec, "import os"),
    "eval of Python 2": call("__builtin__", "eval", text("1")) + STOP,
    "compile": runs(compile, "1", "x", "eval"),
    "open": runs(open, "/tmp/hacked", "w"),
    "import": runs(__import__, "this"),
    "importlib": call("importlib", "import_module", text("this")) + STOP,
    "builtins through getattr": call("builtins", "getattr", name("builtins", "eval"), text("x"))
    + STOP,
    "modules through getattr": call(
        "builtins", "getattr", call("builtins", "__import__", text("os")), text("system")
    )
    + STOP,
    "torch.load": call("torch", "load", text("x")) + STOP,
    "torch.hub.load": call("torch.hub", "load", text("x"), text("y")) + STOP,
    "torch.serialization.load": call("torch.serialization", "load", text("x")) + STOP,
    "subprocess": runs(subprocess.Popen, ["true"]),
    "pickle.loads": runs(pickle.loads, b"N."),
    "dill.loads": call("dill._dill", "loads", raw(b"N.")) + STOP,
    "numpy.load": call("numpy", "load", text("/etc/passwd")) + STOP,
    "socket": call("socket", "socket") + STOP,
    "code": call("types", "FunctionType", b"N") + STOP,
    "copyreg's registry": runs(copyreg.add_extension, "os", "system", 7),
    "an extension's code": b"\x82\x07.",
    "memory outside the file": b"\x97.",
    "a reference outside the file": b"Phttp://example.com\n.",
    "a class whose name is no text": b"K\x01K\x02\x93.",
    "a name without end": text("a" * 100_000) + text("b") + b"\x93.",
    "a call of a number": b"K\x01)R.",
    "a call of a tensor": tensor(legacy(4, 4), 0, [4], [1]) + b")R.",
    "items of a tensor": tensor(legacy(4, 4), 0, [4], [1]) + b"K\x00K\x07s.",
    "tensors added to a tensor": tensor(legacy(4, 4), 0, [4], [1]) + MARK + b"K\x01\x90.",
    "attributes of a tensor": tensor(legacy(4, 4), 0, [4], [1]) + b"}b.",
    "attributes of a class": b"ccollections\nOrderedDict\n" + b"N}\x86b.",
    "attributes of a builder": name("torch._utils", "_rebuild_parameter") + b"}b.",
    "a tensor as text": call("_codecs", "encode", tensor(legacy(4, 4), 0, [4], [1])) + STOP,
    "laughter as text": call("_codecs", "encode", b"N" + b"2\x86" * 60) + STOP,
    "laughter as an encoding": call("_codecs", "encode", text("x"), b"N" + b"2\x86" * 60) + STOP,
    "laughter as a number type": call("numpy", "dtype", b"N" + b"2\x86" * 60) + STOP,
    "laughter as a storage": call("torch.storage", "_load_from_bytes", b"N" + b"2\x86" * 60)
    + STOP,
    "laughter as a class": b"N" + b"2\x86" * 60 + text("x") + b"\x93.",
    "dill's array of objects": call(
        "dill._dill", "_create_array", b"N", b")", tuple_of(number(1), b")", b"N", b"N", b"]")
    )
    + STOP,
    "a list as a key": b"}]K\x01s.",
    "a deep tuple as a key": b"}N" + b"\x85" * 500_000 + b"Ns.",
    "a wide tuple as a key": b"}N" + b"2\x86" * 60 + b"Ns.",
    "a deep tuple in a set": b"\x8f(N" + b"\x85" * 500_000 + b"\x90.",
    "keys of one hash": b"}" + pickle.dumps((1 << 61) - 1, 2)[2:-1] + b"Ns.",
    "a number of a million bits": b"\x8b"
    + struct.pack("<i", 125_000)
    + bytes(125_000 - 1)
    + b"\1.",
    "three million operations": b"N" + b"20" * 1_500_000 + STOP,
    "a million sets": b"(" + b"\x8f" * 1_000_000 + b"l.",
    "a million records": name("a", "B") + MEMOIZE + b"0(" + b"h\x00)R" * 600_000 + b"l.",
    "sets of a large list": b"]("
    + b"N" * 9_000
    + b"e"
    + MEMOIZE
    + b"0("
    + name("builtins", "list")
    + MEMOIZE
    + b"0"
    + b"h\x01h\x00\x85R" * 2_000
    + b"l.",
    "dictionaries of a large one": name("collections", "OrderedDict")
    + MEMOIZE
    + b"0]("
    + b"NN\x86" * 9_000
    + b"e"
    + MEMOIZE
    + b"0("
    + b"h\x00h\x01\x85R" * 2_000
    + b"l.",
    "attributes over and over": name("a", "B")
    + b")R"
    + MEMOIZE
    + b"0}("
    + b"".join(text(str(i)) + b"N" for i in range(5_000))
    + b"u"
    + MEMOIZE
    + b"0"
    + b"h\x00h\x01b0" * 500
    + b"N.",
    "a storage that lies about its size": storage(legacy(1 << 40, 4)) + STOP,
    "a storage of negative size": storage(legacy(-4, 4)) + STOP,
    "a storage of an unknown type": storage(legacy(4, 4, "NoStorage")) + STOP,
    "a tensor larger than its storage": tensor(legacy(4, 4), 0, [5], [1]) + STOP,
    "a tensor beyond its storage": tensor(legacy(4, 4), 2, [3], [1]) + STOP,
    "a tensor with wide strides": tensor(legacy(4, 4), 0, [2, 2], [1, 9]) + STOP,
    "a tensor of huge sides": tensor(legacy(4, 4), 0, [2**31 - 1] * 3, [0, 0, 0]) + STOP,
    "an empty tensor of huge sides": tensor(legacy(4, 4), 0, [0] + [2**31 - 1] * 3, [1] * 4)
    + STOP,
    "a repeating tensor": tensor(legacy(4, 4), 0, [2**30], [0]) + STOP,
    "a tensor of negative sides": tensor(legacy(4, 4), 0, [-1], [1]) + STOP,
    "strides for other sides": tensor(legacy(4, 4), 0, [2, 2], [1]) + STOP,
    "an array of huge shape": array([2**31 - 1] * 4, dtype("f4"), raw(b"1234")) + STOP,
    "an array of no bytes": array([2**31 - 1] * 4, dtype("f4"), raw(b"")) + STOP,
    "an array of objects": array([1], dtype("O8", "|"), b"]" + name("a", "B") + b"a") + STOP,
    "an array of pointers": array([1], dtype("O8", "|"), raw(bytes(8))) + STOP,
    "an array of structures": array([1], dtype("V8", "|", b"N", b")", b"}"), raw(bytes(8))) + STOP,
    "a big-endian array": array([1], dtype("f4", ">"), raw(b"1234")) + STOP,
    "an array of unknown type": array([1], dtype("zz"), raw(b"1234")) + STOP,
    "pickles within pickles": storage(
        b"\x80\x02" + storage(b"\x80\x02" + storage(b"N.") + STOP) + STOP
    )
    + STOP,
    "a compressed archive": rezipped(lambda parts: parts, zipfile.ZIP_DEFLATED),
    "a zip bomb": rezipped(
        lambda parts: [*parts, ("archive/data/9", bytes(100 << 20))], zipfile.ZIP_DEFLATED
    ),
    "an archive whose parts overlap": overlapping(),
    "an archive with a part twice": rezipped(lambda parts: [*parts, parts[0]]),
    "an archive without data": rezipped(lambda parts: parts[1:]),
    "a persistent object without a class": call(
        "torch_utils.persistence", "_reconstruct_persistent_obj", b"}"
    )
    + STOP,
}
DAMAGED = {
    "nothing": b"",
    "text": b"hello, world",
    "no end": b"\x80\x04N",
    "an empty stack": b"\x80\x04.",
    "a mark that is none": b"t.",
    "an unknown place in the memo": b"j\xff\xff\xff\xff.",
    "an unknown operation": b"\xff.",
    "a frame without end": b"\x95" + struct.pack("<Q", 1 << 60) + b"N",
    "bytes without end": b"\x8e" + struct.pack("<Q", 1 << 60) + b"N.",
    "a byte array without end": b"\x96" + struct.pack("<Q", 1 << 60) + b"N.",
    "text without end": b"\x8d" + struct.pack("<Q", 1 << 60) + b"N.",
    "a number of five thousand digits": b"I" + b"7" * 5_000 + b"\n.",
    "the wrong number of arguments": call("torch._utils", "_rebuild_tensor_v2") + STOP,
    "no archive": b"PK\x03\x04" + bytes(100),
    "half an archive": saved({"w": torch.ones(300)})[:900],
    "half a legacy file": saved(torch.ones(300), _use_new_zipfile_serialization=False)[:300],
}
# What no rule forbids, and nothing can be drawn from. Each is read as records and lists, which
# must also be let go of without filling the stack of the processor.
INERT = {
    "getattr": runs(getattr, int, "real"),
    "operator": call("operator", "attrgetter", text("system")) + STOP,
    "copyreg": call("copyreg", "_reconstructor", name("a", "B"), name("builtins", "object"), b"N")
    + STOP,
    "dill's modules": call("dill._dill", "_import_module", text("this")) + STOP,
    "dill's types": call("dill._dill", "_load_type", text("CodeType")) + STOP,
    "dill's functions": call(
        "dill._dill",
        "_create_function",
        call("dill._dill", "_create_code", number(0), raw(b"d\x00S\x00")),
        b"}",
    )
    + STOP,
    "dill's classes": call("dill._dill", "_create_type", name("builtins", "type"), text("X"))
    + STOP,
    "a record called again": call("a", "B") + b")R)R.",
    "a million nested tuples": b"N" + b"\x85" * 1_000_000 + STOP,
    "nested lists": b"](" * 100_000 + b"N" + b"e" * 100_000 + STOP,
    "nested dictionaries": b"}N" * 100_000 + b"N" + b"s" * 100_000 + STOP,
    "records in records": name("a", "B")
    + MEMOIZE
    + b"0N"
    + b"q\x01"
    + b"0h\x00h\x01\x85Rq\x01" * 100_000
    + STOP,
    "a list in itself": b"]\x94h\x00a.",
    "billions of laughs": b"N" + b"2\x86" * 60 + STOP,
    "a large place in the memo": b"Nr\xff\xff\xff\xff.",
    "odd names": call("a\0b", "\ud800\x1b[31m") + STOP,
    "not a number": b"(G\x7f\xf8" + bytes(6) + b"G\x7f\xf0" + bytes(6) + b"l.",
    "a frame that ends too late": b"\x95" + struct.pack("<Q", 1 << 60) + b"N.",
    "unknown extras of an instance": b"ccollections\nOrderedDict\n)R}X\x01\x00\x00\x00aNsb.",
}


def watch(*words):
    command = [sys.executable, str(WATCHED), *map(str, words)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    result = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=280)
    assert result.returncode == 0, f"{result.returncode}: {result.stderr[-2000:]}"
    return json.loads(result.stdout)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    folder, paths, cases = tmp_path_factory.mktemp("hostile"), [], {}
    for number_, (case, content) in enumerate({**REFUSED, **DAMAGED, **INERT}.items()):
        paths.append(folder / f"{number_}.pkl")
        paths[-1].write_bytes(content)
        cases[case] = paths[-1].name
    report = watch(*paths)
    return {case: report["files"][file] for case, file in cases.items()} | {"": report["grown"]}


@pytest.mark.parametrize("case", [*REFUSED, *DAMAGED, *INERT])
def test_a_hostile_file_ends_in_one_clear_line(hostile, case):
    result = hostile[case]
    assert not result["events"]
    assert result["outcome"] == "GendataError", result
    words = "holds no weights" if case in INERT else "is damaged, or no checkpoint"
    assert ("is not safe to read" if case in REFUSED else words) in result["error"]
    assert result["error"].isprintable() and len(result["error"]) < 500
    assert result["seconds"] < 20


def test_hostile_files_take_little_memory(hostile):
    assert hostile[""] < 400 << 20


@pytest.mark.parametrize("case", INERT)
def test_inert_files_are_read_as_data(tmp_path, case):
    (tmp_path / "x.pkl").write_bytes(INERT[case])
    value = read_checkpoint(tmp_path / "x.pkl")
    assert value is None or isinstance(value, Record | Reference | list | tuple | dict)


class Module:
    """Pickles as a torch module of another project would."""

    def __init__(self, **attributes):
        self.__dict__.update(attributes)


def empty_module(name_):
    """A module that can be imported by this name until its test is over."""
    sys.modules.setdefault(name_.partition(".")[0], types.ModuleType("package"))
    return sys.modules.setdefault(name_, types.ModuleType(name_))


@contextlib.contextmanager
def own_modules():
    before = set(sys.modules)
    yield
    for each in set(sys.modules) - before:
        if each.partition(".")[0] in ("elsewhere", "torch_utils"):
            del sys.modules[each]


def fake_module(kind, attributes):
    """Makes a class importable for as long as pickle needs it."""
    module, _, attribute = kind.rpartition(".")
    made = empty_module(module)
    found = type(attribute, (Module,), {"__module__": module})
    setattr(made, attribute, found)
    return found(**attributes)


@pytest.fixture
def network():
    """A network of classes that exist nowhere else, with all that checkpoints hold."""
    with own_modules():
        yield make_network()


def make_network():
    inner = fake_module(
        "elsewhere.layers.Layer",
        {
            "_parameters": {"weight": torch.nn.Parameter(torch.randn(3, 4)), "bias": None},
            "_buffers": {"mean": torch.arange(4), "scratch": torch.ones(2)},
            "_non_persistent_buffers_set": {"scratch"},
            "_modules": collections.OrderedDict(),
        },
    )
    return fake_module(
        "elsewhere.networks.Generator",
        {
            "_parameters": collections.OrderedDict(),
            "_buffers": {"half": torch.randn(2, 3).half().T},
            "_modules": collections.OrderedDict(layer=inner, again=inner),
            "size": np.array([[1, 2], [3, 4]]),
            "nested": [{"deep": (np.array([1.5, 2.5], np.float32, order="F"),)}],
            "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
            "scale": np.float64(2.5),
            "names": frozenset({"a", "b"}),
            "kind": torch.float32,
            "text": "Grüße",
        },
    )


@pytest.mark.parametrize("protocol", range(6))
def test_a_network_comes_out_as_it_went_in(tmp_path, network, protocol):
    (tmp_path / "x.pkl").write_bytes(pickle.dumps({"G": network, "n": None}, protocol=protocol))
    check(read_checkpoint(tmp_path / "x.pkl")["G"], network)


@pytest.mark.parametrize("new", [True, False])
def test_what_torch_saves(tmp_path, network, new):
    torch.save({"G": network}, tmp_path / "x.pt", _use_new_zipfile_serialization=new)
    check(read_checkpoint(tmp_path / "x.pt")["G"], network)


def test_what_dill_saves(tmp_path, network):
    dill = pytest.importorskip("dill")
    network.forward, network.scale_by = network._modules.get, lambda x: os.getpid() + x
    (tmp_path / "x.pkl").write_bytes(dill.dumps({"G": network}, recurse=True))
    record = read_checkpoint(tmp_path / "x.pkl")["G"]
    check(record, network)
    assert record.get("scale_by").kind == "dill._dill._create_function"
    assert record.get("forward").kind == "builtins.getattr"


def check(record, network):
    assert record.kind == "elsewhere.networks.Generator" and record.name == "Generator"
    layer = network._modules["layer"]
    expected = {
        "half": network._buffers["half"],
        "layer.weight": layer._parameters["weight"],
        "layer.mean": layer._buffers["mean"],
        "again.weight": layer._parameters["weight"],
        "again.mean": layer._buffers["mean"],
    }
    found = named_tensors(record)
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        assert found[key].dtype == value.dtype and torch.equal(found[key], value.detach())
    assert torch.equal(record.get("size"), torch.tensor([[1, 2], [3, 4]]))
    assert torch.equal(record.get("nested")[0]["deep"][0], torch.tensor([1.5, 2.5]))
    assert torch.equal(record.get("fortran"), torch.arange(6.0).double().view(2, 3))
    assert record.get("scale") == 2.5 and record.get("names") == {"a", "b"}
    assert record.get("text") == "Grüße" and record.get("missing", 7) == 7
    assert record.get("layer").get("bias") is None and record.get("again") is record.get("layer")


def test_tensors_are_copies_that_may_be_written(tmp_path):
    (tmp_path / "x.pkl").write_bytes(pickle.dumps({"w": np.zeros(1, np.uint8), "b": b"\0"}))
    value = read_checkpoint(tmp_path / "x.pkl")
    value["w"][0] = 5
    assert value["b"] == b"\0" and bytes(1) == b"\0"


def test_names_are_fit_for_a_terminal(tmp_path):
    (tmp_path / "x.pkl").write_bytes(call("a\0b", "\ud800\x1b[31m") + STOP)
    assert read_checkpoint(tmp_path / "x.pkl").kind == "a\\x00b.\\ud800\\x1b[31m"


def test_training_checkpoints(tmp_path):
    layer = torch.nn.Linear(3, 2)
    optimiser = torch.optim.Adam(layer.parameters())
    layer(torch.ones(1, 3)).sum().backward()
    optimiser.step()
    arguments = argparse.Namespace(dataset="cifar10", size=32)
    saved_ = {"args": arguments, "w": layer.state_dict(), "o": optimiser.state_dict()}
    torch.save(saved_, tmp_path / "x.pt")
    value = read_checkpoint(tmp_path / "x.pt")
    assert value["args"].name == "Namespace" and value["args"].state == vars(arguments)
    assert torch.equal(value["w"]["weight"], layer.weight)
    assert torch.equal(value["o"]["state"][0]["exp_avg"], saved_["o"]["state"][0]["exp_avg"])


def module_of(name_, **members):
    record = Record(name_)
    record.state = {"_parameters": {}, "_buffers": {}, "_modules": {}} | members
    return record


def test_modules_nested_without_end():
    cycle = module_of("a")
    cycle.state["_modules"]["again"] = cycle
    laughs = module_of("a")
    for _ in range(40):
        laughs = module_of("a", _modules={"x": laughs, "y": laughs})
    deep = module_of("a")
    for _ in range(500):
        deep = module_of("a", _modules={"x": deep})
    long = module_of("a", _modules={"x" * 5_000: module_of("b")})
    for record in (cycle, laughs, deep, long):
        with pytest.raises(GendataError, match="nested without end|more than 100,000 modules"):
            named_tensors(record)


def test_tensors_that_would_exceed_the_file():
    weight = torch.zeros(1 << 18)
    record = module_of("a", _parameters={str(place): weight for place in range(100)})
    with pytest.raises(GendataError, match="repeats its tensors"):
        named_tensors(record)


@pytest.mark.parametrize("path", ["/dev/zero", "/nowhere/x.pkl", "/"])
def test_paths_that_are_no_file(path):
    with pytest.raises(GendataError, match="no file|cannot be read"):
        read_checkpoint(path)


def test_the_vectors(shared):
    found = {}
    for path in sorted((shared / "checkpoints").glob("*.pkl")):
        value = read_checkpoint(path)
        network_ = value.get("G_ema") or value["ema"]
        found[path.stem] = (network_.name, len(named_tensors(network_)))
    assert found["sg2ada_cond32"][0] == "Generator" and found["sg2ada_cond32"][1] > 50
    assert found["edm_ddpmpp_cond16"][0] == "EDMPrecond"


class Shrunk(pickle.Pickler):
    """Writes what was read as such files are written, with short tensors."""

    def reducer_override(self, value):
        if isinstance(value, Record):
            reconstruct = fake_function("torch_utils.persistence", "_reconstruct_persistent_obj")
            meta = {
                "type": "class",
                "version": 6,
                "module_src": "import os\nos.system('true')\n",
                "class_name": value.name,
                "state": value.state,
            }
            return reconstruct, (meta,)
        if isinstance(value, torch.Tensor) and value.numel() > 9:
            return torch.Tensor.__reduce_ex__(value.flatten()[:9].clone(), 2)
        return NotImplemented


def fake_function(module, name_):
    made = empty_module(module)
    if not hasattr(made, name_):

        def function():
            raise AssertionError("called")

        function.__module__, function.__qualname__ = module, name_
        setattr(made, name_, function)
    return getattr(made, name_)


def shrunk(record, most=3):
    """A network cut down to its first modules, pickled."""

    def cut(module, depth=0):
        kept = Record(module.kind)
        kept.state = {key: value for key, value in module.state.items() if key[:1] != "_"}
        for place in ("_parameters", "_buffers"):
            kept.state[place] = dict(list(module.members(place).items())[:2])
        children = list(module.modules().items())[: most if depth < 2 else 1]
        kept.state["_modules"] = {key: cut(value, depth + 1) for key, value in children}
        return kept

    file = io.BytesIO()
    with own_modules():
        Shrunk(file, protocol=4).dump({"G_ema": cut(record), "D": None})
    return file.getvalue()


def test_mutations_of_small_files(tmp_path, network):
    paths = {
        "own.pkl": pickle.dumps({"G_ema": network}, protocol=4),
        "old.pkl": pickle.dumps({"G_ema": network}, protocol=0),
        "new.pt": saved({"G_ema": network}),
        "legacy.pt": saved({"G_ema": network}, _use_new_zipfile_serialization=False),
    }
    vectors = Path(__file__).parents[3] / "shared" / "checkpoints"
    for path in sorted(vectors.glob("*.pkl")):
        value = read_checkpoint(path)
        paths[f"small-{path.name}"] = shrunk(value.get("G_ema") or value["ema"])
    for key, content in paths.items():
        (tmp_path / key).write_bytes(content)
    survive(watch("--mutate", 5_000, *(tmp_path / key for key in paths)), 5_000)


def test_mutations_of_the_vectors(shared, tmp_path):
    paths = sorted((shared / "checkpoints").glob("*.pkl"))
    copies = [tmp_path / path.name for path in paths]
    for path, copy in zip(paths, copies, strict=True):
        copy.write_bytes(path.read_bytes())
    survive(watch("--mutate", 300, *copies), 300)


def survive(report, count):
    assert not report["faults"], report["faults"][:3]
    assert sum(report["outcomes"].values()) == count
    assert report["outcomes"]["GendataError"] > count / 4
    assert report["grown"] < 400 << 20 and report["slowest"] < 10
