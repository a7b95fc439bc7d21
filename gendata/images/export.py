"""Writing an image set as a class-folder tree, WebDataset tars or Hugging Face parquet."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image
from tqdm import tqdm

from gendata.errors import GendataError
from gendata.files import publish_folder
from gendata.images.class_names import folder_names, write_class_names
from gendata.images.columns import Columns
from gendata.images.damage import DamagedImage, report_damages
from gendata.images.lazy import LazyImages
from gendata.images.subsets import Subset
from gendata.types import Images

__all__ = ["FORMATS", "export_images"]

METADATA = "metadata.parquet"  # what Hugging Face `datasets` reads beside class folders
PER_FILE = 10_000  # images in a tar or a parquet file
PER_ROW_GROUP = 100  # so that viewers can show some rows without reading many

# What `datasets` calls types of columns.
IMAGE, STRING = {"_type": "Image"}, {"dtype": "string", "_type": "Value"}
RECORD = {"bytes": {"dtype": "binary", "_type": "Value"}, "path": STRING}

T = TypeVar("T")


class _Encoded(NamedTuple):
    """One image as PNG.

    Attributes:
        key: unique within the set.
        png: the file.
        label: its class.
        described: what a clone's sampler said of it, by column.
    """

    key: str
    png: bytes
    label: int
    described: Mapping[str, Any]


def export_images(images: Images, out: str | Path, format: str = "imagefolder") -> int:
    """Writes a set, lossless, into a new folder that appears only when it is whole.

    Args:
        images: any set; what proves damaged is left out and listed on the log.
        out: a folder that does not exist or is empty.
        format: "imagefolder" (PNG files in class folders with safe names, the true ones in
            `classes.json`), "webdataset" (tars of png, cls and json) or "parquet" (Hugging Face
            layout). What a clone's sampler said of its images goes with them: into
            `metadata.parquet` beside the class folders, into each json (pictures into files such
            as `KEY.mask.png`), or into columns.

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
    columns, places = _columns_of(images)
    rows = tqdm(range(len(images)), desc="export", delay=2, leave=False, disable=None)
    for row in rows:
        try:
            pixels, label = images[row]
        except DamagedImage as error:
            errors.append(error)
            continue
        buffer = io.BytesIO()
        Image.fromarray(pixels.permute(1, 2, 0).cpu().numpy()).save(buffer, "PNG")
        described = {} if columns is None else columns.row(int(places[row]))
        yield _Encoded(f"{row:08d}", buffer.getvalue(), label, described)
    report_damages(images.name, errors)


def _columns_of(images: Images) -> tuple[Columns | None, np.ndarray]:
    """What a clone's sampler said of a set's images, and which row each of them is there."""
    rows = np.arange(len(images))
    while isinstance(images, Subset):
        rows, images = images.rows[rows], images.images
    if isinstance(images, LazyImages):
        return images.columns, images.rows[rows]
    return None, rows


def _write_folders(images: Images, out: Path) -> int:
    folders = folder_names(images.classes)
    write_class_names(out, images.classes, folders)
    rows = _written(images, out, folders)
    if _columns_of(images)[0] is None:
        return sum(1 for _ in rows)
    # As `datasets` has it, a column of pictures beside `file_name` would be one of file names.
    schema = _schema(images, pa.field("file_name", pa.string()), STRING, RECORD)
    return _write_table(out / METADATA, schema, rows)


def _written(images: Images, out: Path, folders: list[str]) -> Iterator[dict[str, Any]]:
    """Writes image after image, and yields its row of the table that stands beside them."""
    for item in _encoded(images):
        name = f"{folders[item.label]}/{item.key}.png"
        (out / name).parent.mkdir(exist_ok=True)
        (out / name).write_bytes(item.png)
        yield {"file_name": name, "label": item.label, **item.described}


def _write_tars(images: Images, out: Path) -> int:
    write_class_names(out, images.classes)
    columns, count = _columns_of(images)[0], 0
    pictures = [] if columns is None else columns.pictures
    for number, items in enumerate(_parts(_encoded(images), PER_FILE)):
        with tarfile.open(out / f"images-{number:05d}.tar", "w") as archive:
            for item in items:
                fields = dict(item.described)
                _add(archive, f"{item.key}.png", item.png)
                for name in pictures:
                    picture = fields.pop(name, None)
                    if picture is not None:
                        _add(archive, f"{item.key}.{name}.png", picture["bytes"])
                fields |= {"label": item.label, "class": images.classes[item.label]}
                _add(archive, f"{item.key}.cls", str(item.label).encode())
                _add(archive, f"{item.key}.json", json.dumps(fields, default=str).encode())
                count += 1
    return count


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)  # without time or owner: the same images give the same tar
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))


def _write_parquet(images: Images, out: Path) -> int:
    record = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    schema = _schema(images, pa.field("image", record), IMAGE, IMAGE)
    count = 0
    for number, items in enumerate(_parts(_encoded(images), PER_FILE)):
        rows = (
            {
                "image": {"bytes": item.png, "path": f"{item.key}.png"},
                "label": item.label,
                **item.described,
            }
            for item in items
        )
        count += _write_table(out / f"images-{number:05d}.parquet", schema, rows)
    return count


def _schema(
    images: Images, first: pa.Field, feature: Mapping[str, Any], pictures: Mapping[str, Any]
) -> pa.Schema:
    """Columns of a table, as Hugging Face `datasets` reads it.

    Args:
        images: whose labels, and what their sampler said of them, are the other columns.
        first: the column that holds the images or their names.
        feature: what `datasets` calls its type.
        pictures: what it shall call those of other columns that hold pictures.
    """
    columns = _columns_of(images)[0]
    fields = [first, pa.field("label", pa.int64())]
    features = {
        first.name: feature,
        "label": {"names": list(images.classes), "_type": "ClassLabel"},
    }
    if columns is not None:
        fields += list(columns.schema)
        features |= {**columns.features, **dict.fromkeys(columns.pictures, pictures)}
    metadata = json.dumps({"info": {"features": features}})
    return pa.schema(fields, metadata={"huggingface": metadata})


def _write_table(path: Path, schema: pa.Schema, rows: Iterator[dict[str, Any]]) -> int:
    """Writes rows as they come, and returns how many they were."""
    count = 0
    with pq.ParquetWriter(path, schema) as writer:
        for group in _parts(rows, PER_ROW_GROUP):
            table = pa.Table.from_pylist(list(group), schema)
            writer.write_table(table)
            count += len(table)
    return count


def _parts(items: Iterator[T], size: int) -> Iterator[Iterator[T]]:
    """Cuts a stream into streams of at most `size` items."""
    for first in items:
        yield _with_first(first, islice(items, size - 1))


def _with_first(first: T, others: Iterator[T]) -> Iterator[T]:
    yield first
    yield from others


FORMATS: Mapping[str, Callable[[Images, Path], int]] = {
    "imagefolder": _write_folders,
    "webdataset": _write_tars,
    "parquet": _write_parquet,
}
