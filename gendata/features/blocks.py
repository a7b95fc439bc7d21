"""Feeding an encoder: decoding runs ahead of the network, copies run behind it."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from gendata.errors import GendataError
from gendata.images import ArrayImages, DamagedImage
from gendata.images.damage import report_damages
from gendata.types import Images

if TYPE_CHECKING:
    from gendata.features.encoders import Encoder

__all__ = ["feature_blocks"]

AHEAD = 2  # batches that are decoded while the network is busy

Picture = Tensor | DamagedImage


def feature_blocks(
    images: Images, encoder: Encoder, batch_size: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields rows (B,) and their features (B, D), float32; damaged images are left out.

    At any time a few batches of images are in memory, whatever the size of the set.

    Raises:
        GendataError: the images differ in size and the encoder does not resize them.
    """
    waiting: deque[tuple[np.ndarray, Callable[[], np.ndarray]]] = deque()
    for rows, batch in _batches(images, encoder, batch_size):
        if encoder.device.type == "cuda":
            batch = batch.pin_memory()  # so that the copy need not wait for the network
        waiting.append((rows, _on_the_way(encoder.prepared_features(batch))))
        if len(waiting) > 1:
            done, arrived = waiting.popleft()
            yield done, arrived()
    for done, arrived in waiting:
        yield done, arrived()


def _on_the_way(features: Tensor) -> Callable[[], np.ndarray]:
    """Starts the copy to the host; the function returned waits for this one copy alone."""
    if features.device.type != "cuda":
        return features.cpu().numpy
    target = torch.empty(features.shape, dtype=features.dtype, pin_memory=True)
    target.copy_(features, non_blocking=True)
    copied = torch.cuda.Event()
    copied.record(torch.cuda.current_stream(features.device))

    def arrived() -> np.ndarray:
        copied.synchronize()
        return target.numpy()

    return arrived


def _batches(
    images: Images, encoder: Encoder, batch_size: int
) -> Iterator[tuple[np.ndarray, Tensor]]:
    """Yields rows (B,) and pictures of one size (B, 3, H, W), as the network takes them."""
    if isinstance(images, ArrayImages) and encoder.prepare is None:
        for start in range(0, len(images), batch_size):
            batch = images.images[start : start + batch_size]
            yield np.arange(start, start + len(batch)), batch
        return
    damages: list[DamagedImage] = []
    shape = _first_shape(images)
    for start, pictures in _decoded(images, partial(_picture, images, encoder, shape), batch_size):
        alike: dict[tuple[torch.Size, torch.dtype], list[tuple[int, Tensor]]] = {}
        for row, picture in enumerate(pictures, start):
            if isinstance(picture, DamagedImage):
                damages.append(picture)
            else:
                alike.setdefault((picture.shape, picture.dtype), []).append((row, picture))
        for group in alike.values():
            rows, same_size = zip(*group, strict=True)
            yield np.array(rows), torch.stack(same_size)
    report_damages(images.name, damages)


def _decoded(
    images: Images, decode: Callable[[int], Picture], batch_size: int
) -> Iterator[tuple[int, list[Picture]]]:
    """Yields the first row of each batch and its pictures; threads decode `AHEAD` batches."""
    threads = os.cpu_count() or 1
    piece = -(-batch_size // threads)  # a batch is decoded by all of them
    waiting: deque[tuple[int, list[Future[list[Picture]]]]] = deque()

    def pictures_of(rows: range) -> list[Picture]:
        return [decode(row) for row in rows]

    pool = ThreadPoolExecutor(threads)
    try:
        for start in range(0, len(images), batch_size):
            rows = range(start, min(start + batch_size, len(images)))
            pieces = [rows[first : first + piece] for first in range(0, len(rows), piece)]
            waiting.append((start, [pool.submit(pictures_of, each) for each in pieces]))
            if len(waiting) > AHEAD:
                yield _arrived(*waiting.popleft())
        while waiting:
            yield _arrived(*waiting.popleft())
    finally:
        pool.shutdown(cancel_futures=True)


def _arrived(start: int, pieces: list[Future[list[Picture]]]) -> tuple[int, list[Picture]]:
    return start, [picture for piece in pieces for picture in piece.result()]


def _picture(images: Images, encoder: Encoder, shape: torch.Size, row: int) -> Picture:
    """Decodes one image and prepares it; one of another size than the first is resized here.

    The network itself resizes whole batches, which images of many sizes would not form.
    """
    try:
        image = images[row][0]
    except DamagedImage as error:
        return error
    if encoder.prepare is not None:
        return encoder.prepare(image)
    if image.shape == shape:
        return image
    if encoder.fit is None:
        raise GendataError(
            f"the images of '{images.name}' differ in size",
            found=f"{shape[2]}x{shape[1]} and, in row {row}, {image.shape[2]}x{image.shape[1]}",
            expected="one size, since the encoder takes images as they come",
            do="give the encoder's input_size, to which all are resized",
        )
    return encoder.fit(image[None])[0]


def _first_shape(images: Images) -> torch.Size:
    for row in range(len(images)):
        try:
            return images[row][0].shape
        except DamagedImage:
            continue
    raise GendataError(f"'{images.name}' holds no image that can be read")
