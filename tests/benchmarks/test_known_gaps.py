import json

import numpy as np
import pytest
import torch

from gendata.benchmarks import known_gaps as study
from gendata.benchmarks.gap_cases import CASES, Pool
from gendata.errors import GendataError
from gendata.features.encoders import Encoder
from gendata.features.extract import EncoderCard
from gendata.registry import studies


@pytest.fixture
def pool():
    labels = np.arange(200) % 10
    images = np.random.default_rng(0).integers(0, 256, (200, 3, 16, 16), dtype=np.uint8)
    places = np.arange(200) // 10 / 20
    return Pool(images, labels, places, 60)


@pytest.mark.parametrize("name", CASES)
def test_every_case_returns_as_many_images(pool, name):
    images, labels = CASES[name].make(pool)
    assert images.shape == (60, 3, 16, 16) and images.dtype == np.uint8
    assert labels.shape == (60,)


def test_cases_leave_out_what_they_say(pool):
    assert set(CASES["classes-0.3"].make(pool)[1]) == set(range(3, 10))
    kept = CASES["modes-0.4"].make(pool)[0]
    assert (kept == pool.images[pool.places >= 0.4][:60]).all()
    copied = CASES["copies-20"].make(pool)[0]
    assert len(np.unique(copied.reshape(60, -1), axis=0)) == 3
    with pytest.raises(GendataError, match="too few images are left"):
        pool.where(pool.labels > 8).taken()


def pooled(*_, **__):
    """An encoder that is no network: means over 4x4 pixels."""

    def encode(images):
        return torch.nn.functional.avg_pool2d(images.float(), 4).flatten(1)

    card = EncoderCard("pooled", "none", None, 3 * 7 * 7, "1")
    return Encoder(card, encode, torch.device("cpu"))


def test_study_goes_on_where_it_was(tmp_path, monkeypatch):
    monkeypatch.setattr(study, "load_encoder", pooled)
    options = {"images": 100, "out": tmp_path, "device": "cpu"}
    result = studies.get("known-gaps")(**options, cases=("none", "classes-0.3"))
    cases = result.data["cases"]
    assert list(cases) == ["none", "classes-0.3"]
    assert cases["none"]["content"]["gap"]["value"] < 0.15
    assert cases["classes-0.3"]["content"]["gap"]["value"] > 0.15
    assert "halves of the real images" in result.text() and "30%" in result.text()
    written = (tmp_path / "known-gaps.json").read_text(encoding="utf-8")
    assert json.loads(written)["cases"] == cases

    def never(*_, **__):
        raise AssertionError("measured again")

    monkeypatch.setattr(study, "decompose", never)
    again = study.known_gaps(**options, cases=("none",))
    assert again.data["cases"]["none"] == cases["none"]
    with pytest.raises(GendataError, match="results of other settings"):
        study.known_gaps(**{**options, "images": 50})


def test_unknown_cases_and_small_sets(tmp_path, monkeypatch):
    monkeypatch.setattr(study, "load_encoder", pooled)
    with pytest.raises(GendataError, match="no case 'blurry'"):
        study.known_gaps(out=tmp_path, cases=("blurry",))
    with pytest.raises(GendataError, match="too small to compare 9000 images"):
        study.known_gaps(out=tmp_path, images=9000, cases=("none",), size=32, device="cpu")


@pytest.mark.slow
def test_the_three_are_told_apart_on_real_images(shared, tmp_path):
    """Each kind of gap moves its own number more than the others, and more with its dose."""
    data = shared / "data" / "cifar10" / "test.parquet"
    if not data.is_file():
        pytest.skip("needs ../shared")
    found = study.known_gaps(
        out=tmp_path,
        data=str(data),
        images=500,
        device="cpu",
        cases=("none", "blur-0.5", "blur-0.8", "tiles-4-of-0.5", "tiles-4", "classes-0.1")
        + ("classes-0.3",),
    ).data["cases"]

    def values(name):
        return [found[name][part]["gap"]["value"] for part in study.PARTS]

    assert max(values("none")) < 0.15
    for small, large, place in (
        ("blur-0.5", "blur-0.8", 0),
        ("tiles-4-of-0.5", "tiles-4", 1),
        ("classes-0.1", "classes-0.3", 2),
    ):
        assert values("none")[place] < values(small)[place] < values(large)[place]
        others = [value for part, value in enumerate(values(large)) if part != place]
        assert values(large)[place] > max(others) + 0.05
