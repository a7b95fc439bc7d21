"""Places to read from: paths of this machine, and URLs of fsspec's, read in the same way."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, BinaryIO, cast

from gendata.errors import GendataError

__all__ = ["Place", "RemotePath", "file_system", "identity", "is_url", "place_of"]

URL = re.compile(r"[A-Za-z][\w+.-]+://")


def is_url(place: object) -> bool:
    """Says whether a place is written as a URL of fsspec's, such as s3://bucket/clone."""
    return isinstance(place, str) and URL.match(place) is not None


def place_of(place: str | Path | RemotePath) -> Place:
    """Returns what reads a path or URL; `file://` is a path.

    Raises:
        GendataError: nothing that is installed here reads such URLs.
    """
    if not isinstance(place, str):
        return place
    if not is_url(place):
        return Path(place)
    files, root = file_system(place)
    if "file" in ((files.protocol,) if isinstance(files.protocol, str) else files.protocol):
        return Path(root)
    files.invalidate_cache()  # another machine may have written since the last look
    return RemotePath(place.rstrip("/"))


def file_system(url: str, **options: Any) -> tuple[Any, str]:
    """Returns fsspec's client for a URL, and the URL's path there.

    Raises:
        GendataError: the client is not installed, or refuses the URL.
    """
    import fsspec

    try:
        files, root = fsspec.core.url_to_fs(url, **options)
    except (ImportError, ValueError) as error:
        raise GendataError(
            f"no program here reads {url}", found=error, do="install fsspec's part for it"
        ) from error
    return files, root.rstrip("/")


@dataclass(frozen=True)
class RemotePath:
    """A place in a store, with those methods of `pathlib.Path` that reading needs.

    Whatever the store's client has to say against an operation becomes a `GendataError`.

    Attributes:
        url: where it is, without a slash at the end.
    """

    url: str

    def __str__(self) -> str:
        return self.url

    def __truediv__(self, name: str) -> RemotePath:
        # Of zip://inside::s3://bucket/x.zip the first part is the path.
        head, *outer = self.url.split("::")
        return RemotePath("::".join([f"{head}/{name}", *outer]))

    @property
    def name(self) -> str:
        """The last part."""
        return self.url.split("::")[0].rpartition("/")[2]

    @property
    def parent(self) -> RemotePath:
        """What it lies in."""
        head, *outer = self.url.split("::")
        return RemotePath("::".join([head.rpartition("/")[0], *outer]))

    def exists(self) -> bool:
        """Says whether anything is there."""
        return self._kind() is not None

    def is_file(self) -> bool:
        """Says whether a file is there."""
        return self._kind() == "file"

    def is_dir(self) -> bool:
        """Says whether a folder is there, or names that begin as those in a folder would."""
        return self._kind() == "directory"

    def read_text(self, encoding: str = "utf-8") -> str:
        """Reads a whole file."""
        with _readable_errors(self.url):
            files, path = self._client()
            return files.cat_file(path).decode(encoding)

    def open(self, mode: str = "rb") -> BinaryIO:
        """Opens a file, of which no more is fetched than is read."""
        assert mode == "rb", "stores are read here"
        with _readable_errors(self.url):
            files, path = self._client()
            file = files.open(path, "rb", cache_type="none")
        return cast(BinaryIO, _RemoteFile(self.url, file))

    def iterdir(self) -> list[RemotePath]:
        """Lists a folder, in order."""
        with _readable_errors(self.url):
            files, path = self._client()
            listed = files.ls(path, detail=False)
        names = {name.rstrip("/").rpartition("/")[2] for name in listed}
        return [self / name for name in sorted(names - {""})]

    def glob(self, pattern: str) -> list[RemotePath]:
        """Lists the names of a folder that fit a pattern, in order."""
        return [entry for entry in self.iterdir() if fnmatchcase(entry.name, pattern)]

    def rglob(self, pattern: str) -> list[RemotePath]:
        """Lists the files in a folder and below it whose last part fits a pattern, in order."""
        with _readable_errors(self.url):
            files, path = self._client()
            found = files.find(path)
        prefix = path.strip("/") + "/"
        names = sorted(name.lstrip("/").removeprefix(prefix) for name in found)
        return [self / name for name in names if fnmatchcase(name.rpartition("/")[2], pattern)]

    def identity(self) -> tuple[str, str]:
        """Returns what changes when the file does."""
        with _readable_errors(self.url):
            files, path = self._client()
            return self.url, str(files.ukey(path))

    def _kind(self) -> str | None:
        with _readable_errors(self.url):
            files, path = self._client()
            try:
                return files.info(path)["type"]
            except FileNotFoundError:
                return None

    def _client(self) -> tuple[Any, str]:
        # fsspec keeps its clients, one for each process.
        return file_system(self.url)


Place = Path | RemotePath


def identity(place: Place) -> tuple[object, ...]:
    """Returns what changes when a file does, without reading it."""
    if isinstance(place, RemotePath):
        return place.identity()
    found = place.stat()
    return str(place.resolve()), found.st_size, found.st_mtime_ns


class _RemoteFile(io.RawIOBase):
    """A client's file, whose errors are one line wherever they arise."""

    def __init__(self, url: str, file: Any) -> None:
        self._url, self._file = url, file

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        with _readable_errors(self._url):
            content = self._file.read(len(buffer))
        buffer[: len(content)] = content
        return len(content)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        with _readable_errors(self._url):
            return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()


@contextlib.contextmanager
def _readable_errors(url: str) -> Iterator[None]:
    """Turns what a store's client says into one line."""
    try:
        yield
    except GendataError:
        raise
    except FileNotFoundError as error:
        raise GendataError(f"nothing is at {url}", found=error, do="check the URL") from error
    except PermissionError as error:
        raise GendataError(
            f"{url} may not be read", found=error, do="check the credentials and its rights"
        ) from error
    except Exception as error:  # every client has errors of its own
        raise GendataError(
            f"{url} cannot be read",
            found=f"{type(error).__name__}: {' '.join(str(error).split())[:200]}",
            do="check the URL, the credentials and the connection",
        ) from error
