"""Reading a pickled checkpoint as data: tensors, containers and records, and no code at all.

A pickle is a program that may import and call anything. Here it can build containers, strings,
numbers and tensors; whatever else it names becomes an inert `Record` that only remembers what it
was called, called with and filled with. Nothing is imported, the source text that NVIDIA's files
carry is never looked at, and every allocation is bounded by the size of the file.

It reads plain pickles (also dill's), and what torch.save writes, old layout and new. Of the new
one the parts lie in the file as they are: they are mapped, and only those in use are read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from gendata.errors import GendataError
from gendata.samplers.archives import file_content
from gendata.samplers.pickled_tensors import Reader
from gendata.samplers.records import Record, Refused, brief

__all__ = ["Record", "Reading", "named_tensors", "read_checkpoint", "read_with_notes"]

DEEPEST_MODULE = 64
MOST_MODULES = 100_000
LONGEST_PREFIX = 2_000  # characters of a parameter's dotted name
# Tied weights stand in a state dict twice or so, a bomb's a thousand times.
MOST_REPEATS = 16
SMALL = 1 << 24  # bytes that may be repeated at will


@dataclass(frozen=True)
class Reading:
    """A checkpoint, and what was met while it was read.

    Attributes:
        value: containers, numbers, strings, tensors and records.
        names: dotted names of the classes and functions that the file refers to.
        left: those of them that were made no value of, but a reference or a record.
        sources: how many of its objects carry the source text of their class.
        tensors: how many tensors it makes.
        elements: of all storages of an archive.
        program: whether it is a TorchScript program, of which only the data was read.
    """

    value: Any
    names: frozenset[str]
    left: frozenset[str]
    sources: int
    tensors: int
    elements: int
    program: bool


def read_checkpoint(path: str | Path, *, mapped: bool = False) -> Any:
    """Reads a checkpoint as containers, numbers, strings, tensors and records.

    Args:
        path: the file.
        mapped: whether tensors may show the file's bytes where they lie, which takes no memory.
            Copy those that are kept: they change with the file, and go with it.

    Raises:
        GendataError: the file is missing, damaged, or asks for more than a checkpoint needs.
    """
    return read_with_notes(path, mapped=mapped).value


def read_with_notes(path: str | Path, *, programs: bool = False, mapped: bool = False) -> Reading:
    """Reads a checkpoint as `read_checkpoint` does, and tells what it named and carried.

    Args:
        path: the file.
        programs: whether the data of a TorchScript file is read too.
        mapped: as for `read_checkpoint`.
    """
    path = Path(path)
    if path.exists() and not path.is_file():
        raise GendataError(f"{path} is no file", found="a folder or a device")
    reader = Reader(programs, mapped)
    try:
        value = reader.read(file_content(path))
    except OSError as error:
        raise GendataError(f"{path} cannot be read", found=error.strerror) from error
    except Refused as error:
        raise GendataError(
            f"{path} is not safe to read as a checkpoint",
            found=error,
            expected="tensors, containers and the records of modules",
        ) from error
    except MemoryError as error:
        raise GendataError(f"{path} does not fit into memory") from error
    except Exception as error:
        # There are as many ways to fail as a file can be damaged in.
        raise GendataError(
            f"{path} is damaged, or no checkpoint",
            found=brief(error) or type(error).__name__,
            expected="a pickle of a network, as its authors publish it",
        ) from error
    names = frozenset(reader.budget.names)
    return Reading(
        value,
        names,
        names - reader.known,
        reader.sources,
        reader.tensors,
        reader.elements,
        reader.is_program,
    )


def named_tensors(module: Record) -> dict[str, Tensor]:
    """Returns the state dict of a recorded torch module: parameters and persistent buffers.

    Raises:
        GendataError: modules are nested in themselves, or tensors are repeated so often that
            copies of them would exceed the file.
    """
    tensors: dict[str, Tensor] = {}
    size, held = 0, {}
    for number, (name, value) in enumerate(_walk(module, "", ())):
        if value is None:
            if number > MOST_MODULES:
                raise GendataError(f"the checkpoint has more than {MOST_MODULES:,} modules")
            continue
        storage = value.untyped_storage()
        size += value.numel() * value.itemsize
        held[storage.data_ptr()] = storage.nbytes()
        tensors[name] = value
    if size > MOST_REPEATS * sum(held.values()) + SMALL:
        raise GendataError(
            "the checkpoint repeats its tensors",
            found=f"{size:,} bytes in {sum(held.values())}",
        )
    return tensors


def _walk(
    module: Record, prefix: str, above: tuple[int, ...]
) -> Iterator[tuple[str, Tensor | None]]:
    """Yields each tensor, and None for each module that is entered."""
    if id(module) in above or len(above) > DEEPEST_MODULE or len(prefix) > LONGEST_PREFIX:
        raise GendataError("the checkpoint's modules are nested without end", found=brief(prefix))
    yield prefix, None
    hidden = module.state.get("_non_persistent_buffers_set")
    hidden = hidden if isinstance(hidden, set | frozenset) else ()
    for place in ("_parameters", "_buffers"):
        for name, value in module.members(place).items():
            skipped = not isinstance(name, str) or (place == "_buffers" and name in hidden)
            if isinstance(value, Tensor) and not skipped:
                yield f"{prefix}{name[:LONGEST_PREFIX]}", value
    for name, child in module.modules().items():
        yield from _walk(child, f"{prefix}{name}.", (*above, id(module)))
