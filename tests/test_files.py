"""Results appear whole, or not at all."""

import pytest

from gendata.files import publish_folder


def test_a_folder_appears_only_when_it_is_whole(tmp_path):
    out = tmp_path / "deep" / "out"

    def write(folder):
        (folder / "a").write_text("x")
        return len(list(out.parent.glob("out")))

    assert publish_folder(out, write) == 0
    assert (out / "a").read_text() == "x"
    assert [path.name for path in out.parent.iterdir()] == ["out"]
    with pytest.raises(OSError):
        publish_folder(out, write)
    assert [path.name for path in out.parent.iterdir()] == ["out"]


def test_a_folder_that_fails_leaves_nothing(tmp_path):
    def fail(folder):
        (folder / "a").write_text("x")
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        publish_folder(tmp_path / "out", fail)
    assert not list(tmp_path.iterdir())
