"""How a batch of images becomes PNG files, fast, and a file an image again.

Pillow holds the interpreter's lock while it compresses, which would stall the generator's thread;
zlib and hashlib release it. Small images are stored, not deflated: the parquet file compresses
many of them together, in a fifth of the time and to fewer bytes. One filter serves them all.
"""

from __future__ import annotations

import hashlib
import io
import struct
import zlib

import numpy as np
from PIL import Image

__all__ = ["decode_image", "encode_batch", "pixel_digest"]

SIGNATURE = b"\x89PNG\r\n\x1a\n"
EIGHT_BIT_RGB = (8, 2, 0, 0, 0)  # bit depth, colour type, then the standard's only methods
SUBTRACT_LEFT = 1  # PNG filter type "Sub"
STORED, FAST = 0, 1  # levels of zlib
SMALL = 64 * 64  # pixels; larger images are deflated one by one, lest a shard fill the memory


def encode_batch(pixels: np.ndarray) -> tuple[list[bytes], list[str]]:
    """Encodes uint8 (B, H, W, 3) as B PNG files, and takes the digest of each image's pixels."""
    count, height, width, _ = pixels.shape
    values = pixels.reshape(count, height, 3 * width)
    lines = np.empty((count, height, 1 + 3 * width), dtype=np.uint8)
    lines[:, :, 0] = SUBTRACT_LEFT
    lines[:, :, 1:4] = values[:, :, :3]
    np.subtract(values[:, :, 3:], values[:, :, :-3], out=lines[:, :, 4:])  # modulo 256: PNG's way
    head = SIGNATURE + _chunk(b"IHDR", struct.pack(">II5B", width, height, *EIGHT_BIT_RGB))
    tail = _chunk(b"IEND", b"")
    level = STORED if height * width <= SMALL else FAST
    files = [head + _chunk(b"IDAT", zlib.compress(image, level)) + tail for image in lines]
    return files, [pixel_digest(image) for image in pixels]


def decode_image(content: bytes | None) -> np.ndarray:
    """Decodes an image file to uint8 (H, W, 3).

    Raises:
        ValueError: it is none, or it is damaged.
    """
    try:
        with Image.open(io.BytesIO(content or b"")) as image:
            return np.asarray(image.convert("RGB"))
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(str(error)) from error


def pixel_digest(pixels: np.ndarray) -> str:
    """SHA-256 of an image's raw bytes, uint8 (H, W, 3) in row-major order, as hexadecimal."""
    return hashlib.sha256(np.ascontiguousarray(pixels).data).hexdigest()


def _chunk(kind: bytes, content: bytes) -> bytes:
    size, check = len(content), zlib.crc32(content, zlib.crc32(kind))
    return b"".join((struct.pack(">I", size), kind, content, struct.pack(">I", check)))
