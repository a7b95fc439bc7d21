import json
import warnings

import numpy as np
import pytest
import scipy.linalg
import torch
from cleanfid import fid
from cleanfid.inception_torchscript import InceptionV3W
from PIL import Image
from tiny_encoders import channel_statistics, encoder_of, save_inception_like

from gendata.errors import GendataError
from gendata.features import inception
from gendata.features.extract import EncoderCard, Features, extract_features
from gendata.gap.fidelity import published_fid
from gendata.gap.fidelity.published_fid import (
    DEFINITIONS,
    distances_of_clean_fid,
    measure_published_fid,
)
from gendata.gap.measures.frechet import frechet_distance
from gendata.images import ArrayImages, open_images

CARD = EncoderCard("inception", "as clean-fid", 299, 8, "test")
SEED = 5


def features_of(values, name="some", card=CARD) -> Features:
    values = np.asarray(values, dtype=np.float32)
    return Features(values, np.zeros(len(values), np.int64), ["one"], card, name)


@pytest.fixture
def real():
    return features_of(np.random.default_rng(0).normal(size=(60, 8)), "real")


@pytest.fixture
def synthetic():
    return features_of(np.random.default_rng(1).normal(0.3, 1.4, size=(45, 8)), "synthetic")


def restated_frechet(first, second) -> float:
    """|mean - mean|^2 + tr(C1 + C2 - 2 (C1 C2)^1/2), by the eigenvalues of C1 C2."""
    first, second = first.astype(np.float64), second.astype(np.float64)
    one, other = np.cov(first, rowvar=False), np.cov(second, rowvar=False)
    roots = np.sqrt(np.linalg.eigvals(one @ other).astype(complex)).real.sum()
    shift = first.mean(axis=0) - second.mean(axis=0)
    return float(shift @ shift + np.trace(one) + np.trace(other) - 2 * roots)


def write_pictures(folder, seed, low, count=14) -> None:
    """Two classes of pictures, in two folders."""
    generator = np.random.default_rng(seed)
    for number in range(count):
        path = folder / ("cat", "dog")[number % 2] / f"{number:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = generator.integers(low, 256, size=(24, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path)


def single_statistics(images):
    """In single precision, as networks give their features."""
    return channel_statistics(images).float()


def clean_fid_of(first, second, **options) -> float:
    """What clean-fid says of two folders, where SciPy lets it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return float(
            fid.compute_fid(
                str(first),
                str(second),
                mode="clean",
                num_workers=0,
                batch_size=4,
                device=torch.device("cpu"),
                verbose=False,
                use_dataparallel=False,
                **options,
            )
        )


@pytest.fixture
def working_root(monkeypatch):
    """Lets clean-fid run under a SciPy without the argument that it passes."""
    root = scipy.linalg.sqrtm

    def sqrtm(matrix, disp=True):
        return root(matrix) if disp else (root(matrix), 0.0)

    monkeypatch.setattr(scipy.linalg, "sqrtm", sqrtm)


@pytest.fixture
def newest_scipy(monkeypatch):
    """SciPy 1.18's signature, whichever version is installed."""
    root = scipy.linalg.sqrtm

    def sqrtm(A):  # noqa: N803
        return root(A)

    monkeypatch.setattr(scipy.linalg, "sqrtm", sqrtm)


def test_a_tiny_extractor_on_folders_gives_what_clean_fid_gives(tmp_path, working_root):
    write_pictures(tmp_path / "real", seed=0, low=0)
    write_pictures(tmp_path / "clone", seed=1, low=60)
    theirs = clean_fid_of(
        tmp_path / "real", tmp_path / "clone", custom_feat_extractor=single_statistics
    )
    encoder = encoder_of(single_statistics, 6, prepare=inception.resized_clean())
    ours = measure_published_fid(
        open_images(tmp_path / "real"),
        open_images(tmp_path / "clone"),
        encoder=encoder,
        batch_size=5,
    )
    assert theirs > 100
    assert ours.fid == pytest.approx(theirs, rel=1e-6)
    assert (ours.real_images, ours.synthetic_images, ours.mode) == (14, 14, "custom")


def test_our_own_distance_of_the_same_folders_agrees(tmp_path, working_root):
    write_pictures(tmp_path / "real", seed=0, low=0)
    write_pictures(tmp_path / "clone", seed=1, low=60)
    theirs = clean_fid_of(
        tmp_path / "real", tmp_path / "clone", custom_feat_extractor=channel_statistics
    )
    encoder = encoder_of(channel_statistics, 6, prepare=inception.resized_clean())
    real, clone = (
        extract_features(open_images(tmp_path / name), encoder).values
        for name in ("real", "clone")
    )
    assert frechet_distance(real, clone) == pytest.approx(theirs, rel=1e-6)


def test_inception_is_run_as_clean_fid_runs_it(tmp_path, monkeypatch):
    write_pictures(tmp_path / "real", seed=0, low=0)
    write_pictures(tmp_path / "clone", seed=1, low=60, count=6)
    save_inception_like(tmp_path / inception.FILE_NAME)
    network = InceptionV3W(str(tmp_path), download=False)
    handed_on = []
    # The root of a 2048 x 2048 matrix takes a minute: what is handed to clean-fid is looked at.
    monkeypatch.setattr(
        published_fid, "distances_of_clean_fid", lambda *all_: handed_on.extend(all_)
    )
    published_fid.measure_published_fid(
        open_images(tmp_path / "real"),
        open_images(tmp_path / "clone"),
        encoder=f"inception:{tmp_path / inception.FILE_NAME}",
        seed=SEED,
        device="cpu",
    )
    real, clone, seed = handed_on
    assert seed == SEED
    for name, found in (("real", real), ("clone", clone)):
        expected = fid.get_folder_features(
            str(tmp_path / name), network, 0, device=torch.device("cpu"), verbose=False
        )
        np.testing.assert_allclose(found.values, expected, rtol=1e-5, atol=1e-6)


def test_the_distance_is_the_formula_of_the_paper(real, synthetic):
    found = distances_of_clean_fid(real, synthetic)
    expected = restated_frechet(real.values, synthetic.values)
    assert found.fid == pytest.approx(expected, rel=1e-6) and expected > 1


def test_ours_on_the_same_features_agrees(real, synthetic):
    theirs = distances_of_clean_fid(real, synthetic).fid
    assert frechet_distance(real.values, synthetic.values) == pytest.approx(theirs, rel=1e-6)


def test_the_kernel_distance_is_that_of_clean_fid(real, synthetic, monkeypatch):
    state = np.random.get_state()
    np.random.seed(SEED)
    # A thousand at most is all of them here: take fewer, so that the subsets matter.
    monkeypatch.setattr(fid.kernel_distance, "__defaults__", (20, 30))
    theirs = fid.kernel_distance(real.values, synthetic.values)
    other = fid.kernel_distance(real.values, synthetic.values)
    np.random.set_state(state)
    assert distances_of_clean_fid(real, synthetic, SEED).kid == theirs != other


def test_clean_fid_breaks_with_the_newest_scipy_and_this_does_not(real, synthetic, newest_scipy):
    with pytest.raises(TypeError, match="disp"):
        fid.fid_from_feats(real.values, synthetic.values)
    found = distances_of_clean_fid(real, synthetic)
    assert found.fid == pytest.approx(restated_frechet(real.values, synthetic.values), rel=1e-6)


def test_nothing_global_is_changed(real, synthetic):
    before = dict(vars(fid))
    state = np.random.get_state()[1].copy()
    distances_of_clean_fid(real, synthetic)
    assert dict(vars(fid)) == before and fid.linalg is scipy.linalg and fid.np is np
    np.testing.assert_array_equal(np.random.get_state()[1], state)


@pytest.mark.parametrize("count", [40, 5])  # of 5 images the covariance is singular
def test_no_warning_and_nothing_on_stdout(real, synthetic, capsys, count):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = distances_of_clean_fid(real, features_of(synthetic.values[:count]))
    assert capsys.readouterr().out == ""
    expected = restated_frechet(real.values, synthetic.values[:count])
    assert found.fid == pytest.approx(expected, rel=1e-3)


def test_what_clean_fid_prints_of_a_singular_covariance_is_a_warning(
    real, synthetic, capsys, caplog, monkeypatch
):
    calls = []
    root = scipy.linalg.sqrtm

    def broken_once(A):  # noqa: N803
        calls.append(A)
        return np.full_like(A, np.nan) if len(calls) == 1 else root(A)

    monkeypatch.setattr(scipy.linalg, "sqrtm", broken_once)
    found = distances_of_clean_fid(real, synthetic).fid
    assert len(calls) == 2 and found == pytest.approx(
        restated_frechet(real.values, synthetic.values), rel=1e-3
    )
    assert "singular product" in caplog.text and capsys.readouterr().out == ""


def test_the_further_away_the_larger(real):
    rest = np.random.default_rng(2).normal(size=(60, 8))
    near, moved, collapsed = (
        distances_of_clean_fid(real, features_of(values))
        for values in (rest, rest + 1, rest * 0.1)
    )
    assert near.fid < moved.fid and near.fid < collapsed.fid
    assert near.kid < moved.kid and near.kid < collapsed.kid
    back = distances_of_clean_fid(features_of(rest * 0.1), real)
    assert back.fid == pytest.approx(collapsed.fid, rel=1e-5)


def test_features_of_two_encoders_are_not_compared(real):
    other = EncoderCard("inception", "as TensorFlow", 299, 8, "test")
    with pytest.raises(GendataError, match="different encoders cannot be compared"):
        distances_of_clean_fid(real, features_of(real.values, card=other))


def test_one_image_has_no_distance(real):
    with pytest.raises(GendataError, match="'few' has too few images.*found 1"):
        distances_of_clean_fid(real, features_of(real.values[:1], "few"))
    with pytest.raises(GendataError, match="'few' has too few images"):
        distances_of_clean_fid(features_of(real.values[:1], "few"), real)


def test_missing_weights_are_an_error_before_any_image_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(inception, "default_file", lambda: tmp_path / "inception.pt")
    images = ArrayImages("some", ["one"], torch.zeros(2, 3, 4, 4, dtype=torch.uint8), [0, 0])
    with pytest.raises(GendataError, match="Inception-v3 are not on this machine"):
        measure_published_fid(images, images, device="cpu")


def test_the_result_is_plain_data_with_definitions(real, synthetic):
    found = distances_of_clean_fid(real, synthetic, SEED)
    plain = json.loads(json.dumps(found.to_json()))
    assert plain["seed"] == SEED and plain["mode"] == "clean"
    assert (plain["real_images"], plain["synthetic_images"]) == (60, 45)
    assert plain["enough_images"] is False and plain["encoder"]["name"] == "inception"
    assert "clean-fid" in plain["version"] and "scipy" in plain["version"]
    assert set(DEFINITIONS) == {"fid", "kid"} <= set(plain)


@pytest.mark.slow
@pytest.mark.skipif(
    not inception.default_file().is_file(), reason="needs the weights of Inception-v3"
)
def test_the_real_network_gives_what_clean_fid_gives(tmp_path, working_root):
    write_pictures(tmp_path / "real", seed=0, low=0)
    write_pictures(tmp_path / "clone", seed=1, low=60)
    theirs = clean_fid_of(tmp_path / "real", tmp_path / "clone")
    ours = measure_published_fid(
        open_images(tmp_path / "real"), open_images(tmp_path / "clone"), device="cpu"
    )
    assert ours.fid == pytest.approx(theirs, rel=1e-3)
