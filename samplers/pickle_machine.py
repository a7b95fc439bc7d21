"""The pickle machine as an interpreter of our own, in which nothing can be called.

A pickle is a program for a small stack machine that may import and call anything. Python's own
machine, with imports replaced, is not enough: it still sets attributes of whatever lies on its
stack, calls methods named `append` and `add`, hashes keys that take forever, and reserves a memo
as long as the largest index. This one knows each operation and the few types it may touch. A name
becomes a `Reference`, calling one a `Record`, unless a builder was handed in for it.
"""

from __future__ import annotations

import io
import pickletools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from gendata.samplers.records import EasyDict, Record, Reference, Refused, brief, printable

__all__ = ["Budget", "Machine", "Unfinished", "check_key"]

MOST_OPERATIONS = 2_000_000  # a large checkpoint has some 50,000
MOST_CONTAINERS = 500_000  # lists, sets and records weigh most: some 200 bytes when empty
MOST_COPIED_ITEMS = 1_000_000  # of containers that are made from other containers
LONGEST_NAME = 500  # characters of a class's dotted name
LARGEST_KEY = 1 << 60  # larger integers can be chosen to have the same hash
LONGEST_KEY = 16  # parts of a tuple
LONGEST_NUMBER = 512  # bits

# Harmless here, where nothing is called. But a file that names them is an attack or a mistake,
# and its owner should hear of it. What dill and bound methods need (getattr, dill's own
# functions, operator) is only recorded.
FORBIDDEN_MODULES = {
    *("asyncio", "bdb", "cProfile", "codeop", "ctypes", "ensurepip", "importlib", "marshal"),
    *("multiprocessing", "nt", "os", "pdb", "pickle", "_pickle", "cPickle", "pip", "posix"),
    *("pty", "runpy", "shutil", "socket", "subprocess", "_posixsubprocess", "sys", "timeit"),
    *("webbrowser", "urllib", "zipimport", "setuptools", "cloudpickle"),
}
FORBIDDEN_NAMES = {
    *("builtins.__import__", "builtins.breakpoint", "builtins.compile", "builtins.eval"),
    *("builtins.exec", "builtins.execfile", "builtins.globals", "builtins.input"),
    *("builtins.locals", "builtins.open", "builtins.vars", "io.open", "_io.open"),
    *("code.interact", "code.InteractiveInterpreter", "numpy.load"),
    *("copyreg.add_extension", "types.CodeType", "types.FunctionType"),
    *("dill.load", "dill.loads", "dill._dill.load", "dill._dill.loads", "dill._dill._eval_repr"),
    *("torch.load", "torch.serialization.load", "torch.hub.load", "torch.jit.load"),
}
# The same modules under the names of other versions.
RENAMED = {"__builtin__": "builtins", "copy_reg": "copyreg", "commands": "subprocess"}


@dataclass
class Budget:
    """What all pickles of one file may use together, and what was met in them."""

    operations: int = 0
    containers: int = 0
    copied: int = 0
    names: set[str] = field(default_factory=set)

    def spend(self, containers: int = 0, copied: int = 0) -> None:
        """Counts one operation and what it makes."""
        self.operations += 1
        self.containers += containers
        self.copied += copied
        if self.operations > MOST_OPERATIONS:
            raise Refused(f"more than {MOST_OPERATIONS:,} operations")
        if self.containers > MOST_CONTAINERS:
            raise Refused(f"more than {MOST_CONTAINERS:,} containers")
        if self.copied > MOST_COPIED_ITEMS:
            raise Refused("containers copied over and over")


class Unfinished:
    """What a builder returns when the value is known only after the state that follows it."""

    def __init__(self) -> None:
        self.places: list[int] = []  # in the memo, where the value is to replace this

    def finish(self, state: Any) -> Any:
        """Returns the value."""
        raise NotImplementedError


def check_key(key: Any) -> Any:
    """Returns a key whose hash is quick and cannot be chosen to collide."""
    for part in key if isinstance(key, tuple) and len(key) <= LONGEST_KEY else (key,):
        if isinstance(part, int) and abs(part) >= LARGEST_KEY:
            raise Refused("a number too large for a key")
        if not (part is None or isinstance(part, str | bytes | int | float | Reference | Record)):
            raise Refused(f"a key of type {type(part).__name__}")
    return key


class Machine:
    """Runs pickles.

    Args:
        builders: by dotted name, what may be called, each safe with any arguments.
        budget: shared by all pickles of a file.
        outside: turns a reference to something outside the pickle into a value.
    """

    def __init__(
        self,
        builders: dict[str, Callable[..., Any]],
        budget: Budget,
        outside: Callable[[Any], Any] | None = None,
    ) -> None:
        self.builders, self._budget, self._outside = builders, budget, outside
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}

    def run(self, content: bytes, start: int = 0) -> tuple[Any, int]:
        """Runs the pickle that starts there; returns its value and where it ends."""
        self._stack, self._marks, self._memo = [], [], {}
        file = io.BytesIO(content)
        file.seek(start)
        end = start
        for operation, argument, position in pickletools.genops(file):
            self._budget.spend()
            act = OPERATIONS.get(operation.name)
            if act is None:
                raise Refused(f"the operation {operation.name}")
            act(self, argument)
            end = start if position is None else position
        return self._stack[-1], end + 1

    def call(self, callee: Any, arguments: Any) -> Any:
        """Builds what is known, and records the rest."""
        if not isinstance(arguments, tuple) or not isinstance(callee, Reference | Record):
            raise Refused(f"a call of a {type(callee).__name__}")
        build = self.builders.get(callee.kind) if isinstance(callee, Reference) else None
        if build is not None:
            return build(*arguments)
        self._budget.spend(containers=1)
        return Record(callee.kind, arguments)

    def refer(self, module: Any, name: Any) -> Reference:
        """Notes a class or function without importing it."""
        if not isinstance(module, str) or not isinstance(name, str):
            raise Refused("a class whose name is no text")
        if len(module) + len(name) > LONGEST_NAME:
            raise Refused(f"a name of {len(module) + len(name):,} characters")
        module = RENAMED.get(module, module).replace("numpy._core", "numpy.core")
        kind = printable(f"{module}.{name}")
        owners = {module.partition(".")[0], *name.split(".")[:-1]}
        if owners & FORBIDDEN_MODULES or kind in FORBIDDEN_NAMES:
            raise Refused(f"the name {brief(kind)}, which no checkpoint needs")
        self._budget.names.add(kind)
        return Reference(kind)

    # What follows are the operations; their names and arguments are those of `pickletools`.

    def push(self, value: Any) -> None:
        """Constants stand in the file."""
        if isinstance(value, int) and value.bit_length() > LONGEST_NUMBER:
            raise Refused(f"a number of {value.bit_length():,} bits")
        self._stack.append(bytes(value) if isinstance(value, bytearray) else value)

    def push_new(self, kind: Callable[[], Any]) -> None:
        """An empty container."""
        self._budget.spend(containers=1)
        self._stack.append(kind())

    def mark(self, _: Any) -> None:
        """Remembers the height of the stack."""
        self._marks.append(len(self._stack))

    def marked(self, _: Any = None) -> list[Any]:
        """Takes what lies above the last mark."""
        start = self._marks.pop()
        items = self._stack[start:]
        del self._stack[start:]
        return items

    def pop(self, _: Any) -> None:
        """Drops the top, which may be a mark."""
        if self._marks and self._marks[-1] == len(self._stack):
            self._marks.pop()
        else:
            self._stack.pop()

    def take(self, count: int) -> tuple[Any, ...]:
        """Takes the topmost values."""
        if len(self._stack) < count:
            raise IndexError("the stack is empty")
        items = tuple(self._stack[-count:])
        del self._stack[-count:]
        return items

    def remember(self, place: int | None) -> None:
        """Notes the top in the memo, which is a dictionary: large places cost nothing."""
        value = self._stack[-1]
        place = len(self._memo) if place is None else int(place)
        if isinstance(value, Unfinished):
            value.places.append(place)
        self._memo[place] = value

    def collect(self, kind: Callable[[list[Any]], Any]) -> None:
        """A container of what lies above the mark."""
        items = self.marked()
        self._budget.spend(containers=1)
        self._stack.append(kind(items))

    def append(self, items: list[Any]) -> None:
        """Extends the list, or the object that is like one, at the top."""
        target = self._stack[-1]
        if not isinstance(target, list | Record):
            raise Refused(f"items appended to a {type(target).__name__}")
        (target.items if isinstance(target, Record) else target).extend(items)

    def add(self, items: list[Any]) -> None:
        """Extends the set, or the object that is like one, at the top."""
        target = self._stack[-1]
        if isinstance(target, set):
            target.update([check_key(item) for item in items])
        elif isinstance(target, Record):
            target.items.extend(items)
        else:
            raise Refused(f"items added to a {type(target).__name__}")

    def set_items(self, items: list[Any]) -> None:
        """Extends the dictionary, or the object that is like one, at the top."""
        target = self._stack[-1]
        if len(items) % 2:
            raise Refused("a key without a value")
        if isinstance(target, dict):
            target.update(_pairs(items))
        elif isinstance(target, Record):
            target.items.extend(zip(items[::2], items[1::2], strict=True))
            self._budget.spend(containers=len(items) // 2)
        else:
            raise Refused(f"items set in a {type(target).__name__}")

    def build(self, _: Any) -> None:
        """Gives the object at the top its attributes."""
        target, state = self.take(2)
        if isinstance(target, Unfinished):
            value = target.finish(state)
            for place in target.places:
                self._memo[place] = value
            target = value
        elif isinstance(target, Record):
            target.fill(state)
            self._budget.spend(copied=len(target.state))
        elif isinstance(target, EasyDict) and isinstance(state, dict):
            target.update(state)
            self._budget.spend(copied=len(state))
        elif not isinstance(target, dict):  # an ordered dictionary's are of no interest
            raise Refused(f"attributes of a {type(target).__name__}")
        self._stack.append(target)

    def call_top(self, count: int) -> None:
        """Calls a class with arguments; keywords, the third, are dropped."""
        callee, arguments, *_ = self.take(count)
        self._stack.append(self.call(callee, arguments))

    def call_marked(self, name: str | None) -> None:
        """Protocol 0's way of calling: the class may stand in the operation itself."""
        items = self.marked()
        callee = self.refer(*str(name).split(" ", 1)) if name is not None else items.pop(0)
        self._stack.append(self.call(callee, tuple(items)))

    def refer_outside(self, identifier: Any) -> None:
        """Something outside the pickle: in checkpoints the bytes of tensors."""
        if self._outside is None:
            raise Refused("a reference to something outside the file")
        self._stack.append(self._outside(identifier))


def _pairs(items: list[Any]) -> dict[Any, Any]:
    return {check_key(key): value for key, value in zip(items[::2], items[1::2], strict=True)}


_PUSH = {
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("STRING", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8"),
    *("BYTEARRAY8", "UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"),
}
# Left out, and so refused: EXT1, EXT2 and EXT4 (classes from a registry of the process),
# NEXT_BUFFER and READONLY_BUFFER (memory outside the file).
OPERATIONS: dict[str, Callable[[Machine, Any], Any]] = {
    **dict.fromkeys(_PUSH, Machine.push),
    **dict.fromkeys(("PROTO", "FRAME", "STOP"), lambda machine, _: None),
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"), Machine.remember),
    **dict.fromkeys(
        ("GET", "BINGET", "LONG_BINGET"),
        lambda machine, place: machine._stack.append(machine._memo[int(place)]),
    ),
    "NONE": lambda machine, _: machine.push(None),
    "NEWTRUE": lambda machine, _: machine.push(True),
    "NEWFALSE": lambda machine, _: machine.push(False),
    "EMPTY_LIST": lambda machine, _: machine.push_new(list),
    "EMPTY_TUPLE": lambda machine, _: machine.push(()),
    "EMPTY_DICT": lambda machine, _: machine.push_new(dict),
    "EMPTY_SET": lambda machine, _: machine.push_new(set),
    "MARK": Machine.mark,
    "POP": Machine.pop,
    "POP_MARK": Machine.marked,
    "DUP": lambda machine, _: machine._stack.append(machine._stack[-1]),
    "LIST": lambda machine, _: machine.collect(list),
    "TUPLE": lambda machine, _: machine.collect(tuple),
    "DICT": lambda machine, _: machine.collect(_pairs),
    "FROZENSET": lambda machine, _: machine.collect(
        lambda items: frozenset([check_key(item) for item in items])
    ),
    "TUPLE1": lambda machine, _: machine._stack.append(machine.take(1)),
    "TUPLE2": lambda machine, _: machine._stack.append(machine.take(2)),
    "TUPLE3": lambda machine, _: machine._stack.append(machine.take(3)),
    "APPEND": lambda machine, _: machine.append(list(machine.take(1))),
    "APPENDS": lambda machine, _: machine.append(machine.marked()),
    "ADDITEMS": lambda machine, _: machine.add(machine.marked()),
    "SETITEM": lambda machine, _: machine.set_items(list(machine.take(2))),
    "SETITEMS": lambda machine, _: machine.set_items(machine.marked()),
    "GLOBAL": lambda machine, name: machine._stack.append(machine.refer(*name.split(" ", 1))),
    "STACK_GLOBAL": lambda machine, _: machine._stack.append(machine.refer(*machine.take(2))),
    "REDUCE": lambda machine, _: machine.call_top(2),
    "NEWOBJ": lambda machine, _: machine.call_top(2),
    "NEWOBJ_EX": lambda machine, _: machine.call_top(3),
    "INST": Machine.call_marked,
    "OBJ": Machine.call_marked,
    "BUILD": Machine.build,
    "PERSID": Machine.refer_outside,
    "BINPERSID": lambda machine, _: machine.refer_outside(machine.take(1)[0]),
}
