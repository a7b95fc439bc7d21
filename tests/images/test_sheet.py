"""Contact sheets: what stands where, sizes, names and mistakes."""

import numpy as np
import pytest
import torch
from PIL import Image

from gendata.errors import GendataError
from gendata.images import ArrayImages, balanced_subset
from gendata.images.sheet import GAP, MARGIN, SheetRow, draw_sheet, export_sheet

COLOURS = np.random.default_rng(0).integers(0, 200, (12, 3)).astype(np.uint8)


def plain(colour, height=10, width=10):
    return np.tile(np.array(colour, np.uint8), (height, width, 1))


def tiles(sheet, rows, columns, tile):
    """The colour in the middle of every tile; the tiles end at the right margin."""
    pixels = np.asarray(sheet)
    left = sheet.width - MARGIN - columns * (tile + GAP) + GAP
    middle = tile // 2
    ys = [MARGIN + row * (tile + GAP) + middle for row in range(rows)]
    xs = [left + column * (tile + GAP) + middle for column in range(columns)]
    return pixels[np.ix_(ys, xs)]


def sets(labels, names):
    pixels = torch.from_numpy(COLOURS[: len(labels)])[:, :, None, None].expand(-1, -1, 10, 10)
    return ArrayImages("set", names, pixels.contiguous(), np.array(labels))


def test_each_class_has_its_row(tmp_path):
    images = sets([0, 1, 0, 1, 1, 0], ["zero", "one", "none of these"])
    assert export_sheet(images, tmp_path / "new" / "sheet.png", per_class=2, seed=3) == 4
    found = tiles(Image.open(tmp_path / "new" / "sheet.png"), 3, 2, 70)
    chosen = balanced_subset(sets([0, 1, 0, 1, 1, 0], ["zero", "one"]), 2, 3)
    for label in (0, 1):
        expected = {tuple(COLOURS[row]) for row in chosen.rows if images.labels[row] == label}
        assert {tuple(pixel) for pixel in found[label]} == expected
    assert (found[2] == 255).all()
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["sheet.png"]


@pytest.mark.parametrize(
    ("shape", "tile", "shown"),
    [
        ((10, 10), 70, (70, 70)),  # 64 at least, by a whole factor
        ((28, 28), 84, (84, 84)),
        ((96, 96), 96, (96, 96)),
        ((512, 256), 128, (128, 64)),
        ((50, 300), 128, (21, 128)),
    ],
)
def test_sizes_keep_their_shape(shape, tile, shown):
    pixels = np.asarray(draw_sheet([SheetRow("", [plain((9, 9, 9), *shape)])]))
    inside = (pixels == 9).all(-1)
    assert (inside.any(1).sum(), inside.any(0).sum()) == shown
    assert len(pixels) == tile + 2 * MARGIN


def test_small_images_stay_crisp():
    checks = np.indices((4, 4)).sum(0) % 2 * 255
    picture = np.repeat(checks[..., None], 3, 2).astype(np.uint8)
    sheet = np.asarray(draw_sheet([SheetRow("", [picture])]))
    shown = sheet[MARGIN : MARGIN + 64, -MARGIN - 64 : -MARGIN]
    assert (shown == np.kron(picture, np.ones((16, 16, 1), np.uint8))).all()


def ink(sheet, box):
    return (np.asarray(sheet.crop(box)) < 128).any()


def test_names_and_title_are_written_where_they_belong():
    picture = plain((255, 255, 255), 96, 96)
    sheet = draw_sheet([SheetRow("", [picture]), SheetRow("taxi", [picture])], "above")
    bare = draw_sheet([SheetRow("", [picture]), SheetRow("taxi", [picture])])
    left = sheet.width - MARGIN - 96
    assert bare.height == 2 * MARGIN + 2 * 96 + GAP < sheet.height
    top = 2 * 96 + GAP + MARGIN
    assert not ink(bare, (0, 0, left, MARGIN + 96)) and ink(bare, (0, MARGIN + 96, left, top))
    assert ink(sheet, (0, 0, sheet.width, MARGIN + 15))


def test_long_names_are_broken_after_their_dots():
    picture = plain((255, 255, 255), 96, 96)
    names = ("material.fingerprints.roughness", "material.fingerprints. roughness")
    dotted, spaced = (draw_sheet([SheetRow(name, [picture])]) for name in names)
    assert np.array_equal(np.asarray(dotted), np.asarray(spaced)), "two lines of it"


@pytest.mark.parametrize("name", ["x" * 300, "w " * 300, "a\nb\tc\x00", "猫 😀", "", "  "])
def test_names_never_touch_the_pictures(name):
    picture = plain((255, 255, 255), 64, 64)
    sheet = draw_sheet([SheetRow(name, [picture]), SheetRow("", [picture])])
    assert sheet.width <= 150 + 3 * MARGIN + 64 + 1
    edge = sheet.width - MARGIN - 64
    assert not ink(sheet, (edge - 4, 0, sheet.width, sheet.height))
    assert not ink(sheet, (0, MARGIN + 64 + GAP, sheet.width, sheet.height))


def test_a_missing_picture_says_why():
    sheet = draw_sheet([SheetRow("", ["hidden", plain((255, 255, 255), 96, 96)])])
    first = sheet.width - MARGIN - 2 * 96 - GAP
    assert ink(sheet, (first, MARGIN, first + 96, MARGIN + 96))
    assert not ink(sheet, (first + 96, MARGIN, sheet.width, MARGIN + 96))


def test_many_rows_get_smaller_tiles_until_they_are_refused():
    rows = [SheetRow(str(number), [plain((1, 1, 1), 300, 300)]) for number in range(1000)]
    assert 60_000 < draw_sheet(rows).height <= 65_500
    with pytest.raises(GendataError, match="too large"):
        draw_sheet(rows * 4)


@pytest.mark.parametrize("name", ["sheet", "sheet.txt", "folder.png"])
def test_other_files_are_refused(tmp_path, name):
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(GendataError, match="one picture"):
        export_sheet(sets([0], ["a"]), tmp_path / name)


def test_jpeg_and_a_second_time(tmp_path):
    for per_class in (1, 2):
        export_sheet(sets([0, 0], ["a"]), tmp_path / "sheet.JPG", per_class)
    assert Image.open(tmp_path / "sheet.JPG").format == "JPEG"
    assert Image.open(tmp_path / "sheet.JPG").width > 140
