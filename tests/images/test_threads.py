import io
import sys

import pytest
import tqdm

from gendata.images import export, export_images, threads


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("stderr", [io.StringIO(), Terminal()])
def test_bars_are_for_terminals(small, tmp_path, monkeypatch, stderr):
    disabled = []

    def recorded(*arguments, **options):
        bar = tqdm.tqdm(*arguments, **options)
        disabled.append(bool(bar.disable))
        return bar

    monkeypatch.setattr(threads, "tqdm", recorded)
    monkeypatch.setattr(export, "tqdm", recorded)
    monkeypatch.setattr(sys, "stderr", stderr)
    assert list(threads.in_threads(str, 200, "count")) == list(map(str, range(200)))
    export_images(small, tmp_path / "out")
    assert disabled == [not stderr.isatty()] * 2
