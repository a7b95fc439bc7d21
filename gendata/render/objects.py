"""Libraries of objects to render: which classes there are, and the file of every object."""

from __future__ import annotations

import difflib
import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from gendata.assets import asset_folder
from gendata.errors import GendataError
from gendata.render.shapenet import SYNSETS

__all__ = ["KINDS", "MeshSource", "ObjectLibrary", "open_objects"]

KINDS = ("glb", "gltf", "obj", "blend", "fbx", "ply", "stl", "off")
"""Types of files, named as their suffixes are; of an object in several, the first one counts."""

UP = {"obj": "y"}  # by custom; other files say it themselves, or have z up by custom
MOST_FACES = 1_000_000
LOSSLESS = ("utf-8", "surrogateescape")  # names of files can be any bytes
READ_WHOLE = 512 * 2**20  # bytes of files up to which a library's digest reads them all
SPLITS = ("train", "test")
SHAPENET_FILES = ("models/model_normalized.obj", "model.obj")  # version 2, version 1


@dataclass(frozen=True)
class MeshSource:
    """A file with one object; `dataclasses.asdict` of it is what a worker is told.

    Attributes:
        path: the file.
        kind: one of KINDS.
        up: the axis that points up in files that do not say it (obj, ply, stl, off): "y" or "z".
        most_faces: an object with more is refused.
        size: of the file, bytes.
    """

    path: str
    kind: str
    up: str = "z"
    most_faces: int = MOST_FACES
    size: int = 0


@dataclass(frozen=True)
class ObjectLibrary:
    """Classes of objects.

    Attributes:
        name: how it was asked for.
        classes: their names, sorted.
        folders: the folder of each class.
        keys: of each class, its objects' keys "class/name", sorted.
        sources: the file of each key.
    """

    name: str
    classes: tuple[str, ...]
    folders: tuple[Path, ...]
    keys: tuple[tuple[str, ...], ...]
    sources: Mapping[str, MeshSource]

    def __len__(self) -> int:
        """Counts the objects."""
        return len(self.sources)

    def objects(self, class_index: int) -> tuple[str, ...]:
        """Lists the keys of a class's objects."""
        return self.keys[class_index]

    def file(self, key: str) -> MeshSource:
        """Returns an object's file.

        Raises:
            GendataError: there is no such object; close names are listed.
        """
        if key not in self.sources:
            close = difflib.get_close_matches(key, self.sources, n=3)
            raise GendataError(
                f"'{self.name}' has no object '{key}'",
                do=f"did you mean {' or '.join(close)}?" if close else None,
            )
        return self.sources[key]

    def settings(self) -> dict[str, Any]:
        """Returns what images of these objects depend on, for a clone's identity."""
        first = next(iter(self.sources.values()))
        upright = {source.kind: source.up for source in self.sources.values()}
        return {
            "digest": self.digest,
            "classes": list(self.classes),
            "up": dict(sorted(upright.items())),
            "most_faces": first.most_faces,
        }

    @cached_property
    def digest(self) -> str:
        """SHA-256 of what the library holds, wherever it lies.

        It takes the objects' keys, and of all files in the class folders, materials and textures
        too, names, sizes and contents. Where they are more than 512 MiB, as the 50,000 objects of
        ShapeNet are, it takes the names and sizes of the object files alone: reading all that
        would take minutes at every start. A file changed there without changing its size goes
        unnoticed.
        """
        digest = hashlib.sha256()
        files = self._files()
        for row, name in enumerate(self.classes):
            digest.update(f"class {name}\n{' '.join(self.keys[row])}\n".encode(*LOSSLESS))
            paths = [self.sources[key].path for key in self.keys[row]]
            for path, size in files[row] if files else _sized(paths):
                inside = os.path.relpath(path, self.folders[row]).replace(os.sep, "/")
                digest.update(f"{inside} {size}\n".encode(*LOSSLESS))
                if files:
                    digest.update(hashlib.sha256(_content(path)).digest())
        return digest.hexdigest()

    def _files(self) -> list[list[tuple[str, int]]] | None:
        """Lists all files of each class folder with their sizes; None: too much to read."""
        total = sum(source.size for source in self.sources.values())
        found = []
        for folder in self.folders:
            if total > READ_WHOLE:
                return None
            paths = sorted(os.path.join(*each) for each in _walk(folder))
            found.append(list(_sized(paths)))
        total = sum(size for files in found for _, size in files)
        return found if total <= READ_WHOLE else None


def open_objects(
    reference: str | Path, *, up: str | None = None, most_faces: int = MOST_FACES
) -> ObjectLibrary:
    """Opens a library of objects.

    Recognised are class folders (`CLASS/**/NAME.obj`, or any other of KINDS), ModelNet's
    `CLASS/{train,test}/NAME.off` and ShapeNet's `SYNSET/MODEL/models/model_normalized.obj`, whose
    classes get their names. Classes are sorted by name, objects by key. Files of one name and
    several types are one object, of which the first of KINDS is taken: packs come so.

    Args:
        reference: "embedded" (the pack that comes with the package) or a folder; of ModelNet,
            `FOLDER:train` or `FOLDER:test` keeps one split.
        up: which axis points up in obj, ply, stl and off files: "y" or "z"; None: y in obj
            files (ShapeNet's are so), z in the others (ModelNet's are so). glTF and fbx files
            say it themselves, Blender's own have z up.
        most_faces: objects with more are refused when they are loaded.

    Raises:
        GendataError: no such folder, no classes, a class without objects, or two files of one
            name and type.
    """
    if up not in (None, "y", "z"):
        raise GendataError("which axis of the objects points up?", found=up, expected="y or z")
    root, split = _place(str(reference))
    folders = _class_folders(root)
    names = {folder: SYNSETS.get(folder.name, folder.name) for folder in folders}
    shapenet = all(folder.name in SYNSETS for folder in folders)
    classes = {names[folder]: folder for folder in folders}
    if len(classes) < len(folders):
        first = next(folder for folder in folders if classes[names[folder]] != folder)
        raise GendataError(
            f"two folders of '{root}' hold one class",
            found=f"{first.name} and {classes[names[first]].name}",
            do="merge them",
        )
    keys: list[tuple[str, ...]] = []
    sources: dict[str, MeshSource] = {}
    for name in sorted(classes):
        folder = classes[name]
        found = list(_shapenet_files(folder)) if shapenet else []
        paths = _keyed(name, found or _mesh_files(folder, split))
        if not paths:
            raise _empty(folder, split)
        keys.append(tuple(sorted(paths)))
        for key in keys[-1]:
            sources[key] = _source(paths[key], up, most_faces)
    ordered = tuple(sorted(classes))
    places = tuple(classes[name] for name in ordered)
    return ObjectLibrary(str(reference), ordered, places, tuple(keys), sources)


def _place(reference: str) -> tuple[Path, str | None]:
    """Splits a reference into its folder and the split to keep."""
    if reference == "embedded":
        return asset_folder("objects"), None
    root, split = Path(reference), None
    before, colon, after = reference.rpartition(":")
    if colon and after in SPLITS and not root.exists():
        root, split = Path(before), after
    if not root.is_dir():
        raise GendataError(
            f"there are no objects at '{root}'",
            found="a file" if root.exists() else "no such folder",
            expected="a folder with one folder of objects per class, or embedded",
        )
    return root, split


def _class_folders(root: Path) -> list[Path]:
    with os.scandir(root) as entries:
        listed = sorted((each.name, each.is_dir()) for each in entries if each.name[0] not in "._")
    folders = [root / name for name, is_folder in listed if is_folder]
    if not folders:
        loose = sum(_kind(name) is not None for name, _ in listed)
        raise GendataError(
            f"'{root}' has no class folders",
            found=f"{loose} objects directly in it" if loose else "nothing",
            expected="one folder of objects per class",
        )
    return folders


def _mesh_files(folder: Path, split: str | None) -> Iterator[tuple[str, str]]:
    """Yields the objects below a class folder: their names, and their paths."""
    for parent, name in _walk(folder / split if split else folder):
        if _kind(name) is not None:
            path = os.path.join(parent, name)
            inside = os.path.relpath(path, folder).replace(os.sep, "/")
            yield os.path.splitext(inside)[0], path


def _shapenet_files(folder: Path) -> Iterator[tuple[str, str]]:
    """Yields ShapeNet's models without listing what is in their folders: there are 50,000."""
    with os.scandir(folder) as entries:
        models = sorted(each.name for each in entries if each.name[0] != "." and each.is_dir())
    for model in models:
        for inside in SHAPENET_FILES:
            path = os.path.join(folder, model, *inside.split("/"))
            if os.path.isfile(path):
                yield model, path
                break


def _walk(folder: Path) -> Iterator[tuple[str, str]]:
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if name[0] not in "._")
        for name in sorted(files):
            if name[0] not in "._":
                yield parent, name


def _sized(paths: Iterable[str]) -> Iterator[tuple[str, int]]:
    for path in paths:
        yield path, _size(path)


def _keyed(name: str, found: Iterable[tuple[str, str]]) -> dict[str, str]:
    keyed: dict[str, str] = {}
    for inside, path in found:
        key = f"{name}/{inside}"
        present = keyed.setdefault(key, path)
        if present != path and _kind(present) == _kind(path):
            raise GendataError(
                f"two files hold the object '{key}'",
                found=f"{present} and {path}",
                do="remove or rename one of them",
            )
        keyed[key] = min(present, path, key=_preference)
    return keyed


def _preference(path: str) -> int:
    """The place of a file's type in KINDS; those that bring their materials along come first."""
    return KINDS.index(str(_kind(path)))


def _source(path: str, up: str | None, most_faces: int) -> MeshSource:
    kind = _kind(path)
    assert kind is not None
    upright = UP.get(kind, "z")
    if up is not None and kind in ("obj", "ply", "stl", "off"):
        upright = up
    return MeshSource(os.path.abspath(path), kind, upright, most_faces, _size(path))


def _size(path: str) -> int:
    """Bytes; none of a link to nowhere, which is a bad mesh like others."""
    return os.path.getsize(path) if os.path.exists(path) else 0


def _content(path: str) -> bytes:
    """All bytes; none of a link to nowhere."""
    return Path(path).read_bytes() if os.path.exists(path) else b""


def _kind(name: str) -> str | None:
    suffix = os.path.splitext(name)[1].lower()[1:]
    return suffix if suffix in KINDS else None


def _empty(folder: Path, split: str | None) -> GendataError:
    suffixes = Counter(os.path.splitext(name)[1].lower() or name for _, name in _walk(folder))
    others = ", ".join(f"{count} of {suffix}" for suffix, count in suffixes.most_common(3))
    return GendataError(
        f"the class folder '{folder}' holds no objects" + (f" of '{split}'" if split else ""),
        found=others or "no files",
        expected=f"files of {', '.join(KINDS)}",
        do="fill or remove it",
    )
