"""The tensors and arrays of a pickled checkpoint, and the containers that torch.save wraps it in.

Every allocation is bounded by the file: bytes are copied once each, however often they are
referred to, and tensors are views of those copies, or of the file itself where it is mapped.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gendata.samplers.archives import Content, archive_parts
from gendata.samplers.numpy_records import NumpyArray, NumpyType, number_type
from gendata.samplers.pickle_machine import LONGEST_NAME, Budget, Machine, check_key
from gendata.samplers.records import EasyDict, Record, Reference, Refused, brief, printable

__all__ = ["Reader"]

ALIGNED = 16  # bytes: the widest number, a complex one of two doubles
DEEPEST_PICKLE = 3  # a storage inside a pickle is a pickle of its own
TORCH_MAGIC = 0x1950A86A20F9469CFC6C
TENSORS = ("torch._utils._rebuild_tensor", "torch._utils._rebuild_tensor_v2")
STORAGES = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
    "ComplexFloatStorage": torch.complex64,
    "UntypedStorage": torch.uint8,
}
STORAGE_NAMES = {f"{module}.{name}" for module in ("torch", "torch.storage") for name in STORAGES}


@dataclass(frozen=True)
class Storage:
    """Elements of one type, flat."""

    values: Tensor


class Reader:
    """Reads one file, which may hold pickles within pickles.

    Args:
        programs: whether the data of a TorchScript program is read too.
        mapped: whether tensors of a mapped archive may show the file's bytes, instead of copies.

    Attributes:
        budget: what was used and met.
        sources: how many objects carry the source text of their class.
        tensors: how many were made.
        elements: of all storages of an archive.
        is_program: whether it was a TorchScript program.
        known: names that values were made of.
    """

    def __init__(self, programs: bool = False, mapped: bool = False) -> None:
        self.budget = Budget()
        self.sources = self.tensors = self.elements = 0
        self.is_program = False
        self.known = {*self._machine().builders, "numpy.ndarray", *STORAGE_NAMES}
        self._programs, self._mapped = programs, mapped
        self._depth = 0
        # By the identity of the bytes, which are kept so that it stays theirs.
        self._copies: dict[int, tuple[Any, Tensor]] = {}
        self._loaded: dict[int, tuple[Any, Any]] = {}
        self._encodings: dict[int, tuple[str, bytes]] = {}

    def read(self, content: Content) -> Any:
        """Reads a pickle, or what torch.save writes, old layout and new."""
        if self._depth >= DEEPEST_PICKLE:
            raise Refused("pickles within pickles within pickles")
        self._depth += 1
        try:
            if not isinstance(content, bytes) or content.startswith(b"PK"):
                return self._read_archive(content)
            value, end = self._machine().run(content)
            if isinstance(value, int) and value == TORCH_MAGIC:
                return self._read_legacy(content, end)
            return value
        finally:
            self._depth -= 1

    def _machine(self, outside: Callable[[Any], Any] | None = None) -> Machine:
        machine = Machine(self._builders(), self.budget, outside)

        def typed(build: Any, _: Any, arguments: Any, *__: Any) -> Any:
            return machine.call(build, arguments)

        machine.builders["torch._tensor._rebuild_from_type_v2"] = typed
        return machine

    def _read_archive(self, content: Content) -> Any:
        """Reads what torch.save writes since version 1.6: a zip of a pickle and raw bytes."""
        parts = archive_parts(content)
        pickled = next((name for name in parts if name.rpartition("/")[2] == "data.pkl"), None)
        if pickled is None:
            raise Refused("an archive without data.pkl")
        if parts[pickled][0] == parts[pickled][1]:
            raise Refused("a compressed archive, which torch.save does not write")
        folder = pickled[: -len("data.pkl")]
        if f"{folder}constants.pkl" in parts:
            if not self._programs:
                raise Refused("a TorchScript program, to be used as torchscript:FILE")
            self.is_program = True
        order = parts.get(f"{folder}byteorder", (0, 0))
        if content[slice(*order)] == b"big":
            raise Refused("bytes of a big-endian machine")
        stored: dict[str, Tensor] = {}

        def load(identifier: Any) -> Storage:
            kind, key, count = _identifier(identifier)
            if key not in stored:
                start, end = parts[f"{folder}data/{key}"]
                shares = self._mapped and not isinstance(content, bytes) and start % ALIGNED == 0
                stored[key] = (_view if shares else _copy)(content, start, end - start)
                self.elements += (end - start) // kind.itemsize
            values = _typed(stored[key], kind)
            if count > len(values):
                raise Refused(f"{count} elements in {len(values)}")
            return Storage(values)

        return self._machine(load).run(content[slice(*parts[pickled])])[0]

    def _read_legacy(self, content: bytes, start: int) -> Any:
        """Reads what torch.save wrote before: five pickles (the first is read), then bytes."""
        for _ in range(2):  # the layout's version, and the types of the writer's machine
            _, start = self._machine().run(content, start)
        kinds: dict[str, torch.dtype] = {}

        def remember(identifier: Any) -> Storage:
            kind, key, _ = _identifier(identifier)
            kinds[key] = kind
            return Storage(torch.empty(0, dtype=kind))

        # The data stands before the bytes: a first pass learns their types.
        machine = self._machine(remember)
        machine.builders.update(dict.fromkeys(TENSORS, lambda *_: None))
        _, end = machine.run(content, start)
        order, first = self._machine().run(content, end)
        storages = _legacy_storages(content, first, order, kinds)
        return self._machine(lambda each: storages[_identifier(each)[1]]).run(content, start)[0]

    def _builders(self) -> dict[str, Callable[..., Any]]:
        """What may be called, by name; each is safe with any arguments."""
        mapping = self._mapping
        return {
            "collections.OrderedDict": mapping(dict),
            "collections.defaultdict": lambda _=None, *items: mapping(dict)(*items),
            "builtins.dict": mapping(dict),
            "dnnlib.util.EasyDict": mapping(EasyDict),
            "builtins.set": self._sequence(lambda items: set(map(check_key, items))),
            "builtins.frozenset": self._sequence(lambda items: frozenset(map(check_key, items))),
            "builtins.list": self._sequence(list),
            "builtins.tuple": self._sequence(tuple),
            "torch.Size": self._sequence(tuple),
            "builtins.bytearray": self._encoded,
            "_codecs.encode": self._encoded,
            **dict.fromkeys(TENSORS, self._tensor),
            "torch._utils._rebuild_parameter": _parameter,
            "torch._utils._rebuild_parameter_with_state": _parameter,
            "torch.storage._load_from_bytes": self._load_from_bytes,
            "torch_utils.persistence._reconstruct_persistent_obj": self._persistent,
            "copyreg._reconstructor": self._reconstructed,
            "dill._dill._create_array": self._created_array,
            "dill._dill._create_type": _created_type,
            "numpy.dtype": number_type,
            "numpy.core.multiarray._reconstruct": lambda *_: NumpyArray(self._array),
            "numpy.core.multiarray.scalar": self._scalar,
            "numpy.core.numeric._frombuffer": lambda content, kind, shape, order: self._array(
                content, kind, shape, isinstance(order, str) and order == "F"
            ),
        }

    def _mapping(self, kind: type[dict[Any, Any]]) -> Callable[..., dict[Any, Any]]:
        """Lets a dictionary be made, also of another or of pairs."""

        def make(items: Any = ()) -> dict[Any, Any]:
            if not isinstance(items, dict | list | tuple):
                raise Refused(f"a dictionary of a {type(items).__name__}")
            self.budget.spend(containers=1, copied=len(items))
            pairs = items.items() if isinstance(items, dict) else [(k, v) for k, v in items]
            return kind((check_key(key), value) for key, value in pairs)

        return make

    def _sequence(self, make: Callable[[Any], Any]) -> Callable[..., Any]:
        """Lets a container be made of another, as long as that multiplies little."""

        def limited(items: Any = ()) -> Any:
            if not isinstance(items, list | tuple | set | frozenset | dict):
                raise Refused(f"a container of a {type(items).__name__}")
            self.budget.spend(containers=1, copied=len(items))
            return make(items)

        return limited

    def _encoded(self, text: Any = b"", encoding: Any = "latin1") -> bytes:
        """Bytes, which pickles of Python 2 and protocol 2 hold as text."""
        if isinstance(text, bytes):
            return text
        if not isinstance(text, str) or not isinstance(encoding, str):
            raise Refused(f"bytes of a {type(text).__name__}")
        if encoding not in ("latin1", "latin-1", "utf-8"):
            raise Refused(f"text encoded as {brief(encoding)}")
        if id(text) not in self._encodings:
            self._encodings[id(text)] = (text, text.encode(encoding))
        return self._encodings[id(text)][1]

    def _array(self, content: Any, kind: Any, shape: Any, is_fortran: bool) -> Tensor:
        """A numpy array as a tensor."""
        if not isinstance(kind, NumpyType) or not isinstance(content, bytes | str):
            raise Refused("an array of objects")
        element, shape = kind.torch_type(), _numbers(shape)
        content = self._encoded(content)
        if len(content) != math.prod(shape) * element.itemsize:
            raise Refused(f"an array of shape {shape} in {len(content)} bytes")
        if id(content) not in self._copies:
            self._copies[id(content)] = (content, _copy(content, 0, len(content)))
        values = _typed(self._copies[id(content)][1], element)
        if is_fortran:
            return values.view(shape[::-1]).permute(*reversed(range(len(shape))))
        return values.view(shape)

    def _created_array(self, _: Any, __: Any, state: Any, *___: Any) -> Tensor:
        """An array as dill writes it, in one call."""
        return NumpyArray(self._array).finish(state)

    def _scalar(self, kind: Any, content: Any = b"") -> Any:
        return self._array(content, kind, (), False).item()

    def _tensor(self, storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> Tensor:
        """A tensor as a view of a storage, which it must lie within and not repeat."""
        size, stride = _numbers(size), _numbers(stride)
        if not isinstance(storage, Storage) or not isinstance(offset, int) or offset < 0:
            raise Refused("a tensor without a storage")
        count, held = math.prod(size), len(storage.values)
        if len(size) != len(stride):
            raise Refused(f"{len(stride)} strides for {len(size)} sides")
        last = offset + sum((side - 1) * step for side, step in zip(size, stride, strict=True))
        if count > held or (count and last >= held):
            raise Refused(f"a tensor of shape {size} in a storage of {held} elements")
        self.tensors += 1
        return storage.values.as_strided(size, stride, offset if count else 0)

    def _load_from_bytes(self, content: Any) -> Any:
        if not isinstance(content, bytes):
            raise Refused("a storage that is not made of bytes")
        if id(content) not in self._loaded:
            self._loaded[id(content)] = (content, self.read(content))
        return self._loaded[id(content)][1]

    def _persistent(self, meta: Any) -> Record:
        """An object of NVIDIA's `persistence`: its class's source text is left unread."""
        if not isinstance(meta, dict) or not isinstance(meta.get("class_name"), str):
            raise Refused("a persistent object without a class")
        self.budget.spend(containers=1)
        self.sources += isinstance(meta.get("module_src"), str)
        record = Record(printable(f"persistent.{meta['class_name'][:LONGEST_NAME]}"))
        record.fill(meta.get("state"))
        return record

    def _reconstructed(self, kind: Any, _: Any = None, state: Any = None) -> Any:
        """Protocol 1's way of making an object; a dictionary's content is its state."""
        if not isinstance(kind, Reference):
            raise Refused("an object of a type that no checkpoint has")
        if kind.kind in ("dnnlib.util.EasyDict", "collections.OrderedDict"):
            return self._mapping(EasyDict)(state if isinstance(state, dict) else {})
        self.budget.spend(containers=1)
        return Record(kind.kind)


def _created_type(_: Any, name: Any, bases: Any = (), attributes: Any = None) -> Reference:
    """A class that dill writes out whole; what it consists of is left unread."""
    module = attributes.get("__module__") if isinstance(attributes, dict) else None
    parts = [part for part in (module, name) if isinstance(part, str)]
    return Reference(printable(".".join(parts)[:LONGEST_NAME]))


def _parameter(tensor: Any = None, *_: Any) -> Any:
    return tensor


def _identifier(identifier: Any) -> tuple[torch.dtype, str, int]:
    """Takes apart ("storage", class, key, location, count, …)."""
    if not isinstance(identifier, tuple) or len(identifier) < 5:
        raise Refused("a reference to something outside the file")
    if not isinstance(identifier[0], str) or identifier[0] != "storage":
        raise Refused("a reference to something outside the file")
    kind, key, count = identifier[1], identifier[2], identifier[4]
    name = kind.name if isinstance(kind, Reference) else ""
    if name not in STORAGES or not isinstance(count, int) or not isinstance(key, str | int):
        raise Refused(f"a storage of type {brief(name) or 'unknown'}")
    if len(identifier) > 5 and identifier[5] is not None:
        raise Refused("a part of a storage as a storage")
    return STORAGES[name], str(key), count


def _legacy_storages(
    content: bytes, start: int, order: Any, kinds: dict[str, torch.dtype]
) -> dict[str, Storage]:
    """Reads storages one after the other, each a count of elements and their bytes."""
    if not isinstance(order, list):
        raise Refused("storages without an order")
    storages = {}
    for key in order:
        if not isinstance(key, str) or key not in kinds or key in storages:
            raise Refused(f"bytes of an unknown storage {brief(key)}")
        count = int.from_bytes(content[start : start + 8], "little")
        size, start = count * kinds[key].itemsize, start + 8
        if size > len(content) - start:
            raise Refused(f"a storage of {size} bytes in a file of {len(content)}")
        storages[key] = Storage(_typed(_copy(content, start, size), kinds[key]))
        start += size
    return storages


def _copy(content: Content, start: int, size: int) -> Tensor:
    """Bytes as a tensor of its own, aligned and writable."""
    return torch.from_numpy(np.frombuffer(content, np.uint8, size, start).copy())


def _view(content: Content, start: int, size: int) -> Tensor:
    """Bytes of a map as a tensor, which keeps the map open."""
    return torch.from_numpy(np.frombuffer(content, np.uint8, size, start))


def _typed(values: Tensor, kind: torch.dtype) -> Tensor:
    """Shows bytes as elements of a type; an incomplete last one is left out."""
    count = len(values) // kind.itemsize
    return values[: count * kind.itemsize].view(kind) if count else torch.empty(0, dtype=kind)


def _numbers(values: Any) -> tuple[int, ...]:
    """A shape or strides, with sides that torch can count."""
    if not isinstance(values, list | tuple) or len(values) > 64:
        raise Refused("a shape that is none")
    if not all(isinstance(value, int) and 0 <= value < 1 << 40 for value in values):
        raise Refused("a shape that is none")
    if math.prod(value for value in values if value) >= 1 << 60:
        raise Refused("a shape that is none")
    return tuple(values)
