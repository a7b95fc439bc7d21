import io
import json
import tarfile

import pytest
import torch

from gendata.errors import GendataError
from gendata.images import decode_all, open_images
from gendata.images.webdataset import expand_braces


def write_tar(path, members):
    with tarfile.open(path, "w") as archive:
        for name, content in members:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


@pytest.fixture
def tars(small, png, tmp_path):
    """Three tars of ten samples each, labels in cls files."""
    for number in range(3):
        members = []
        for row in range(10 * number, 10 * number + 10):
            members += [(f"s{row}.png", png(small.images[row]))]
            members += [(f"s{row}.cls", str(small.labels[row]).encode())]
        write_tar(tmp_path / f"part-{number:04d}.tar", members)
    return tmp_path


def test_file_folder_and_patterns(tars, small):
    for reference, rows in [
        (f"{tars}", range(30)),
        (f"{tars}/part-{{0000..0002}}.tar", range(30)),
        (f"webdataset:{tars}/part-{{0002,0000}}.tar", [*range(20, 30), *range(10)]),
        (f"webdataset:{tars}/part-*.tar", range(30)),
        (f"{tars}/part-0001.tar", range(10, 20)),
    ]:
        images, rows = open_images(reference), list(rows)
        assert images.labels.tolist() == small.labels[rows].tolist()
        assert torch.equal(decode_all(images).images, small.images[rows])
        assert images.classes == ["0", "1", "2"]


def test_braces():
    assert expand_braces("a{08..11}b") == ["a08b", "a09b", "a10b", "a11b"]
    assert expand_braces("{x,y}{0..1}") == ["x0", "x1", "y0", "y1"]
    assert expand_braces("plain") == ["plain"]


def test_labels_and_names_in_json(small, png, tmp_path):
    members = []
    for row, (label, name) in enumerate([(2, "emu"), (0, "cat"), (2, "emu")]):
        content = json.dumps({"label": label, "class": name, "seed": row}).encode()
        members += [(f"d/{row}.json", content), (f"d/{row}.left.png", png(small.images[row]))]
    images = open_images(write_tar(tmp_path / "x.tar", members))
    assert images.classes == ["cat", "1", "emu"] and images.labels.tolist() == [2, 0, 2]
    assert torch.equal(images[2][0], small.images[2])


@pytest.mark.parametrize("order", [1, -1])
def test_a_picture_of_another_kind_does_not_take_the_image_s_place(small, png, tmp_path, order):
    pictures = [("0.png", png(small.images[0])), ("0.mask.png", png(small.images[1]))]
    path = write_tar(tmp_path / "x.tar", [("0.cls", b"0"), *pictures[::order]])
    assert torch.equal(open_images(path)[0][0], small.images[0])


def test_text_labels_and_listed_names(small, png, tmp_path):
    members = []
    for row, name in enumerate(["dog", "ant", "dog"]):
        members += [(f"{row}.cls", name.encode()), (f"{row}.jpg", png(small.images[row]))]
    path = write_tar(tmp_path / "x.tar", members)
    assert open_images(path).classes == ["ant", "dog"]
    (tmp_path / "classes.json").write_text('{"classes": ["dog", "cow", "ant"]}')
    assert open_images(path).labels.tolist() == [0, 2, 0]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a.png"], "x.tar:a is incomplete; found no label"),
        (["a.cls"], "x.tar:a is incomplete; found no image"),
        ([], "holds no image"),
    ],
)
def test_incomplete_samples(small, png, tmp_path, names, message):
    contents = {"a.png": png(small.images[0]), "a.cls": b"1"}
    path = write_tar(tmp_path / "x.tar", [(name, contents[name]) for name in names])
    with pytest.raises(GendataError, match=message):
        open_images(f"webdataset:{path}")


def test_truncated_and_missing_tars(tars):
    path = tars / "part-0001.tar"
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(GendataError, match="part-0001.tar' cannot be read"):
        open_images(tars)
    with pytest.raises(GendataError, match="not there; found 3 of 5, not .*part-0003.tar"):
        open_images(f"{tars}/part-{{0000..0004}}.tar")


def test_damaged_member_is_left_out(small, png, tmp_path):
    members = [("a.png", png(small.images[0])), ("a.cls", b"0"), ("b.png", b"no"), ("b.cls", b"0")]
    images = open_images(write_tar(tmp_path / "x.tar", members))
    assert len(images) == 1 and images.damaged[0].place.endswith("x.tar:b")
