import hashlib

import pytest

from gendata.assets import asset_card, asset_folder
from gendata.assets.recipes import data
from gendata.errors import GendataError
from gendata.images import open_images


def test_the_embedded_set_is_the_one_that_its_card_names():
    card, folder = asset_card("fashion-mnist"), asset_folder("fashion-mnist")
    for split, count in (("train", 10_000), ("test", 10_000)):
        content = (folder / f"{split}.npz").read_bytes()
        assert hashlib.sha256(content).hexdigest() == card["files"][f"{split}.npz"]
        assert len(open_images(f"fashion-mnist:{split}")) == count
    with pytest.raises(GendataError, match="no split 'dev'; expected fashion-mnist:train or"):
        open_images("fashion-mnist:dev")


def test_its_licence_travels_with_it():
    card = asset_card("fashion-mnist")
    licence = (asset_folder("fashion-mnist") / card["licence_text"]).read_text()
    assert card["licence"] == "MIT" and licence == data.LICENCE
    assert "Copyright (c) 2017 Zalando SE, https://tech.zalando.com" in licence
    assert "this permission notice shall be included in all" in licence
    assert "WITHOUT WARRANTY OF ANY KIND" in licence
