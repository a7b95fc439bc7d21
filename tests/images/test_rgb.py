import io
import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from gendata.images.rgb import decode, to_rgb

RANDOM = np.random.default_rng(0)


def encoded(image, kind="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    buffer.seek(0)
    return buffer


def decoded(image, kind="PNG", **options):
    return decode(encoded(image, kind, **options)).permute(1, 2, 0).numpy()


def png_of_words(pixels, colour_type, extra=b""):
    """Writes a 16-bit PNG by hand, since Pillow writes none in colour."""

    def chunk(kind, content):
        return (
            struct.pack(">I", len(content))
            + kind
            + content
            + struct.pack(">I", zlib.crc32(kind + content))
        )

    height, width = pixels.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    return io.BytesIO(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0))
        + extra
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def on_white(colour, alpha):
    """Composites one value on white in exact arithmetic."""
    return round(alpha * colour / 255 + 255 - alpha)


def test_rgb_and_grey_keep_their_values():
    colour = RANDOM.integers(0, 256, (5, 7, 3), dtype=np.uint8)
    assert np.array_equal(decoded(Image.fromarray(colour)), colour)
    grey = decoded(Image.fromarray(colour[..., 0]))
    assert np.array_equal(grey, np.stack([colour[..., 0]] * 3, -1))
    assert decode(encoded(Image.fromarray(colour))).is_contiguous()


def test_one_bit_is_black_and_white():
    bits = RANDOM.integers(0, 2, (5, 7), dtype=np.uint8)
    image = Image.fromarray(bits * 255).convert("1")
    assert np.array_equal(decoded(image)[..., 1], bits * 255)


def test_grey_words_are_scaled_by_257_and_rounded():
    words = np.concatenate([[0, 128, 129, 65535, 65406, 65407], np.arange(0, 65536, 997)])
    image = Image.fromarray(words.astype(np.uint16)[None])
    expected = [round(int(word) / 257) for word in words]
    for kind in ("PNG", "TIFF"):
        assert decoded(image, kind)[0, :, 0].tolist() == expected


@pytest.mark.parametrize(("channels", "colour_type"), [(3, 2), (4, 6), (2, 4)])
def test_colour_words_are_not_cut_to_their_high_bytes(channels, colour_type):
    words = RANDOM.integers(0, 65536, (6, 5, channels))
    result = decode(png_of_words(words, colour_type)).permute(1, 2, 0).numpy()
    values = (words / 257).round().astype(int)
    for row, column in np.ndindex(6, 5):
        pixel = values[row, column].tolist()
        colour = pixel[:3] if channels > 2 else [pixel[0]] * 3
        alpha = pixel[-1] if channels in (2, 4) else 255
        assert result[row, column].tolist() == [on_white(value, alpha) for value in colour]
    if channels == 3:
        assert not np.array_equal(result, words >> 8)


def test_transparent_colour_of_word_images_becomes_white():
    words = np.array([[[7, 8, 9], [7, 8, 10000]]])
    key = b"\0\7\0\x08\0\x09"
    chunk = struct.pack(">I", 6) + b"tRNS" + key + struct.pack(">I", zlib.crc32(b"tRNS" + key))
    result = decode(png_of_words(words, 2, chunk)).permute(1, 2, 0)
    assert result.tolist() == [[[255, 255, 255], [0, 0, 39]]]


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_alpha_is_composited_on_white(mode):
    pixels = RANDOM.integers(0, 256, (6, 5, len(mode)), dtype=np.uint8)
    result = decoded(Image.fromarray(pixels, mode))
    for row, column in np.ndindex(6, 5):
        *colour, alpha = pixels[row, column].tolist()
        colour = colour if mode == "RGBA" else colour * 3
        assert result[row, column].tolist() == [on_white(value, alpha) for value in colour]


def test_palette_with_and_without_transparency():
    image = Image.new("P", (3, 1))
    image.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    image.putdata([0, 1, 2])
    assert decoded(image).tolist() == [[[10, 20, 30], [40, 50, 60], [70, 80, 90]]]
    one = decoded(image, transparency=1)
    assert one.tolist() == [[[10, 20, 30], [255, 255, 255], [70, 80, 90]]]
    partly = decoded(image, transparency=bytes([255, 255, 51]))
    assert partly[0, 2].tolist() == [on_white(value, 51) for value in (70, 80, 90)]


def test_transparent_colour_of_byte_images_becomes_white():
    image = Image.fromarray(np.array([[[1, 2, 3], [1, 2, 4]]], dtype=np.uint8))
    assert decoded(image, transparency=(1, 2, 3)).tolist() == [[[255] * 3, [1, 2, 4]]]


def test_cmyk_becomes_rgb():
    inks = np.zeros((1, 3, 4), dtype=np.uint8)
    inks[0, 1] = [255, 0, 0, 0]
    inks[0, 2] = [0, 0, 0, 255]
    image = Image.fromarray(inks, "CMYK")
    assert decoded(image, "TIFF").tolist() == [[[255] * 3, [0, 255, 255], [0, 0, 0]]]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation):
    pixels = RANDOM.integers(0, 256, (4, 6, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = encoded(Image.fromarray(pixels), "PNG", exif=exif)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(file.getvalue()))))
    assert np.array_equal(decode(file).permute(1, 2, 0).numpy(), expected)


def test_floats_and_long_integers_are_refused():
    for mode in ("F", "I"):
        with pytest.raises(ValueError, match="no agreed white"):
            decoded(Image.new(mode, (3, 3)), "TIFF")


def test_to_rgb_takes_batches():
    batch = RANDOM.integers(0, 65536, (4, 3, 2, 4)).astype(np.uint16)
    single = np.stack([to_rgb(image) for image in batch])
    assert np.array_equal(to_rgb(batch), single)
    assert single.shape == (4, 3, 2, 3) and torch.from_numpy(single).dtype == torch.uint8
