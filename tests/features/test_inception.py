import io
import urllib.error
import urllib.request

import numpy as np
import pytest
import torch
from cleanfid.fid import get_folder_features
from cleanfid.inception_torchscript import InceptionV3W
from PIL import Image
from tiny_encoders import InceptionLike, save_inception_like

from gendata.errors import GendataError
from gendata.features import inception
from gendata.features.encoders import load_encoder


@pytest.fixture
def pictures():
    generator = np.random.default_rng(0)
    return generator.integers(256, size=(3, 24, 32, 3), dtype=np.uint8)


@pytest.fixture
def offline(tmp_path, monkeypatch):
    """An empty place for clean-fid's file; whoever asks the network for anything has failed."""

    def refuse(*_, **__):
        raise AssertionError("nothing may be downloaded")

    monkeypatch.setattr(inception, "default_file", lambda: tmp_path / "place" / "inception.pt")
    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    return tmp_path / "place" / "inception.pt"


def test_it_is_what_clean_fid_computes_from_a_folder(pictures, tmp_path):
    save_inception_like(tmp_path / inception.FILE_NAME)
    (tmp_path / "images").mkdir()
    for number, picture in enumerate(pictures):
        Image.fromarray(picture).save(tmp_path / "images" / f"{number}.png")
    theirs = get_folder_features(
        str(tmp_path / "images"),
        InceptionV3W(str(tmp_path), download=False),
        num_workers=0,
        batch_size=2,
        device=torch.device("cpu"),
        mode="clean",
        verbose=False,
    )
    file = tmp_path / "by-another-name.pt"
    (tmp_path / inception.FILE_NAME).rename(file)
    encoder = load_encoder(f"inception:{file}", device="cpu")
    ours = encoder.features(torch.from_numpy(pictures).permute(0, 3, 1, 2))
    assert ours.shape == (3, 2048) and theirs.std() > 0.01
    np.testing.assert_allclose(ours.numpy(), theirs, rtol=1e-5, atol=1e-6)
    assert (encoder.input_size, encoder.name) == (299, f"inception:{file}")
    assert "bicubic" in encoder.resize and "clean-fid" in encoder.card.version


def test_the_resize_is_bicubic_antialiased_and_not_rounded(pictures):
    large = np.kron(pictures[:1], np.ones((1, 20, 20, 1), dtype=np.uint8))  # 480x640
    prepared = inception.resized_clean()(torch.from_numpy(large[0]).permute(2, 0, 1))
    assert prepared.shape == (3, 299, 299) and prepared.dtype == torch.float32
    for channel in range(3):
        plane = Image.fromarray(large[0, :, :, channel].astype(np.float32))
        wanted = np.asarray(plane.resize((299, 299), Image.Resampling.BICUBIC)).clip(0, 255)
        np.testing.assert_array_equal(prepared[channel].numpy(), wanted)
    assert (prepared != prepared.round()).any()


def test_missing_weights_say_where_they_belong_and_are_never_fetched(offline):
    with pytest.raises(GendataError, match=r"not on this machine; found nothing at .*inception"):
        load_encoder("inception", device="cpu")
    assert not offline.exists()


def test_a_named_file_that_is_missing_is_not_fetched_even_when_asked(offline, tmp_path):
    with pytest.raises(GendataError, match="TorchScript file is missing"):
        load_encoder(f"inception:{tmp_path / 'no.pt'}", device="cpu", download=True)


def test_a_download_lands_where_clean_fid_looks(offline, tmp_path, monkeypatch):
    save_inception_like(tmp_path / "served.pt")
    content = (tmp_path / "served.pt").read_bytes()
    asked = []

    def serve(address):
        asked.append(address)
        return io.BytesIO(content)

    monkeypatch.setattr(urllib.request, "urlopen", serve)
    assert load_encoder("inception", device="cpu", download=True).feature_dim == 2048
    assert offline.read_bytes() == content and asked[0].endswith(inception.FILE_NAME)
    load_encoder("inception", device="cpu", download=True)  # it is there now
    assert len(asked) == 1


def test_a_failed_download_is_an_error_and_leaves_nothing(offline, monkeypatch):
    def fail(_):
        raise urllib.error.URLError("no route")

    monkeypatch.setattr(urllib.request, "urlopen", fail)
    with pytest.raises(GendataError, match="could not be downloaded.*no route"):
        load_encoder("inception", device="cpu", download=True)
    assert not offline.exists()


def test_another_torchscript_file_is_not_taken_for_it(tmp_path):
    save_inception_like(tmp_path / "narrow.pt", channels=8)
    torch.jit.script(InceptionLike().layers).save(str(tmp_path / "layers.pt"))
    for name in ("narrow", "layers"):
        with pytest.raises(GendataError, match="is not the Inception-v3 of clean-fid"):
            load_encoder(f"inception:{tmp_path / name}.pt", device="cpu")


@pytest.mark.parametrize("options", [{"input_size": 64}, {"mean": 0.5}, {"std": 0.5}])
def test_its_resize_and_normalisation_are_not_to_choose(options):
    with pytest.raises(GendataError, match="resize and a normalisation of its own"):
        load_encoder("inception", device="cpu", **options)


def test_it_is_kept_in_the_temporary_folder_as_clean_fid_does():
    assert inception.default_file().name == "inception-2015-12-05.pt"


@pytest.mark.skipif(
    not inception.default_file().is_file(), reason="needs the weights of Inception-v3"
)
def test_the_real_network(pictures, tmp_path):
    (tmp_path / "images").mkdir()
    for number, picture in enumerate(pictures):
        Image.fromarray(picture).save(tmp_path / "images" / f"{number}.png")
    network = InceptionV3W(str(inception.default_file().parent), download=False)
    theirs = get_folder_features(
        str(tmp_path / "images"),
        network,
        num_workers=0,
        device=torch.device("cpu"),
        verbose=False,
    )
    ours = load_encoder("inception", device="cpu").features(
        torch.from_numpy(pictures).permute(0, 3, 1, 2)
    )
    np.testing.assert_allclose(ours.numpy(), theirs, rtol=1e-4, atol=1e-5)
