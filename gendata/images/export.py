"""Writing an image set as a class-folder tree, WebDataset tars or Hugging Face parquet."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image
from tqdm import tqdm

from gendata.errors import GendataError
from gendata.files import publish_folder
from gendata.images.class_names import folder_names, write_class_names
from gendata.images.damage import DamagedImage, report_damages
from gendata.types import Images

__all__ = ["FORMATS", "export_images"]

PER_FILE = 10_000  # images in a tar or a parquet file
PER_ROW_GROUP = 100  # so that viewers can show some rows without reading many


class _Encoded(NamedTuple):
    """One image as PNG; its key is unique within the set."""

    key: str
    png: bytes
    label: int


def export_images(images: Images, out: str | Path, format: str = "imagefolder") -> int:
    """Writes a set, lossless, into a new folder that appears only when it is whole.

    Args:
        images: any set; what proves damaged is left out and listed on the log.
        out: a folder that does not exist or is empty.
        format: "imagefolder" (PNG files in class folders with safe names, the true ones in
            `classes.json`), "webdataset" (tars of png, cls and json) or "parquet" (Hugging Face
            layout).

    Returns:
        The number of images written.

    Raises:
        GendataError: another format, a folder with content, or it cannot be written.
    """
    out = Path(out)
    if format not in FORMATS:
        raise GendataError(f"unknown format '{format}'", expected=f"one of {', '.join(FORMATS)}")
    _check_empty(out)
    try:
        return publish_folder(out, partial(FORMATS[format], images))
    except OSError as error:
        raise GendataError(
            f"'{images.name}' could not be written to '{out}'",
            found=error.strerror or error,
            do="make room or choose another --out; nothing was left behind",
        ) from error


def _check_empty(out: Path) -> None:
    present = sorted(path.name for path in out.iterdir())[:3] if out.is_dir() else []
    if present or out.is_file():
        raise GendataError(
            f"'{out}' is not empty",
            found=f"{', '.join(present)}, …" if present else "a file",
            expected="a new or empty folder",
            do="choose another --out, or empty it",
        )


def _encoded(images: Images) -> Iterator[_Encoded]:
    """Yields every image as PNG, in order."""
    errors: list[DamagedImage] = []
    rows = tqdm(range(len(images)), desc="export", delay=2, leave=False, disable=None)
    for row in rows:
        try:
            pixels, label = images[row]
        except DamagedImage as error:
            errors.append(error)
            continue
        buffer = io.BytesIO()
        Image.fromarray(pixels.permute(1, 2, 0).cpu().numpy()).save(buffer, "PNG")
        yield _Encoded(f"{row:08d}", buffer.getvalue(), label)
    report_damages(images.name, errors)


def _write_folders(images: Images, out: Path) -> int:
    folders = folder_names(images.classes)
    write_class_names(out, images.classes, folders)
    count = 0
    for item in _encoded(images):
        folder = out / folders[item.label]
        folder.mkdir(exist_ok=True)
        (folder / f"{item.key}.png").write_bytes(item.png)
        count += 1
    return count


def _write_tars(images: Images, out: Path) -> int:
    write_class_names(out, images.classes)
    count = 0
    for number, items in enumerate(_parts(_encoded(images), PER_FILE)):
        with tarfile.open(out / f"images-{number:05d}.tar", "w") as archive:
            for item in items:
                fields = {"label": item.label, "class": images.classes[item.label]}
                _add(archive, f"{item.key}.png", item.png)
                _add(archive, f"{item.key}.cls", str(item.label).encode())
                _add(archive, f"{item.key}.json", json.dumps(fields).encode())
                count += 1
    return count


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)  # without time or owner: the same images give the same tar
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))


def _write_parquet(images: Images, out: Path) -> int:
    features = {
        "image": {"_type": "Image"},
        "label": {"names": list(images.classes), "_type": "ClassLabel"},
    }
    record = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    schema = pa.schema(
        [("image", record), ("label", pa.int64())],
        metadata={"huggingface": json.dumps({"info": {"features": features}})},
    )
    count = 0
    for number, items in enumerate(_parts(_encoded(images), PER_FILE)):
        with pq.ParquetWriter(out / f"images-{number:05d}.parquet", schema) as writer:
            for group in _parts(items, PER_ROW_GROUP):
                rows = [
                    {
                        "image": {"bytes": item.png, "path": f"{item.key}.png"},
                        "label": item.label,
                    }
                    for item in group
                ]
                writer.write_table(pa.Table.from_pylist(rows, schema))
                count += len(rows)
    return count


def _parts(items: Iterator[_Encoded], size: int) -> Iterator[Iterator[_Encoded]]:
    """Cuts a stream into streams of at most `size` items."""
    for first in items:
        yield _with_first(first, islice(items, size - 1))


def _with_first(first: _Encoded, others: Iterator[_Encoded]) -> Iterator[_Encoded]:
    yield first
    yield from others


FORMATS: Mapping[str, Callable[[Images, Path], int]] = {
    "imagefolder": _write_folders,
    "webdataset": _write_tars,
    "parquet": _write_parquet,
}
