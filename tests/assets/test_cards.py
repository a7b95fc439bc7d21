"""What is embedded is what its card says, good enough to use, and small enough to ship."""

import hashlib
import json
from importlib.util import find_spec
from pathlib import Path

import pytest

from gendata.assets import __file__ as assets

ROOT = Path(assets).parent
CARDS = sorted(ROOT.glob("*/card.json"))
AGREEMENT = "embedded:fashion-classifier labels as asked"
LEAST = {  # by asset: the least of each figure, found by words of its label
    "fashion-classifier": {"accuracy on 10000 real test images": 0.91},
    "fashion-diffusion": {AGREEMENT: 0.90, "small CNN trained": 0.80},
    "fashion-gan": {AGREEMENT: 0.85},
}


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def test_every_asset_has_a_card():
    kinds = ("*.npz", "*.safetensors", "*.glb")
    data = {path for pattern in kinds for path in ROOT.rglob(pattern)}
    named = {card.parent / name for card in CARDS for name in read(card)["files"]}
    assert data == named
    assert {card.parent.name for card in CARDS} == {*LEAST, "fashion-mnist", "objects"}


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.parent.name)
def test_a_card_tells_the_truth_about_its_files_and_their_origin(card):
    content = read(card)
    for name, digest in content["files"].items():
        assert hashlib.sha256((card.parent / name).read_bytes()).hexdigest() == digest, name
    assert find_spec(content["script"]) is not None
    assert content["command"].startswith(f"python -m {content['script']}")
    assert content["licence"] and content["origin"] and content["figures"]


@pytest.mark.parametrize("asset", LEAST)
def test_the_figures_on_a_card_are_good_enough(asset):
    figures = read(ROOT / asset / "card.json")["figures"]
    for words, least in LEAST[asset].items():
        (value,) = (figures[label] for label in figures if words in label)
        assert least <= value <= 1, words
    assert figures["measured by"].startswith("python -m gendata.assets.recipes.measure")


def test_all_assets_together_take_at_most_20_megabytes():
    files = [path for path in ROOT.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 20e6
