import numpy as np
import pytest

from gendata.errors import GendataError
from gendata.gap.measures.look import look_between, with_look


def scenes(count, seed=0, side=24):
    """Rough images whose power falls with frequency, in slightly different colours."""
    generator = np.random.default_rng(100 + seed)
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side))
    noise = np.fft.rfft2(generator.normal(size=(count, 3, side, side)))
    levels = np.fft.irfft2(noise / (0.03 + frequency) ** 2, s=(side, side))
    levels -= levels.mean(axis=(2, 3), keepdims=True)
    mixed = levels / levels.std() + levels.mean(axis=1, keepdims=True) / levels.std()
    return np.clip(128 + 22 * mixed, 0, 255).astype(np.uint8)


def blurred(images):
    """A kernel (1, 2, 1) in both directions, borders repeated."""
    wide = np.pad(images.astype(float), ((0, 0), (0, 0), (1, 1), (1, 1)), mode="edge")
    across = wide[..., :-2] + 2 * wide[..., 1:-1] + wide[..., 2:]
    return np.round((across[:, :, :-2] + 2 * across[:, :, 1:-1] + across[:, :, 2:]) / 16)


def test_like_sets_are_left_as_they_are():
    real = scenes(200)
    look = look_between(real, scenes(200, seed=1))
    assert look.noise == 0 and look.gains.min() > 0.9
    np.testing.assert_allclose(look.colors, np.eye(3), atol=0.06)
    changed = np.abs(with_look(real, look).astype(int) - real)
    assert changed.mean() < 3


def test_colours_of_one_set_become_those_of_another():
    mixing = np.array([[0.5, 0.2, 0.0], [0.1, 0.6, 0.1], [0.0, 0.3, 0.4]])
    real, others = scenes(200), scenes(200, seed=1)
    synthetic = np.clip(np.einsum("ij,njhw->nihw", mixing, others) + 20, 0, 255).astype(np.uint8)
    found = with_look(real, look_between(real, synthetic))
    pixels = [each.transpose(1, 0, 2, 3).reshape(3, -1) for each in (found, synthetic)]
    np.testing.assert_allclose(pixels[0].mean(axis=1), pixels[1].mean(axis=1), atol=1.5)
    covariances = [np.cov(each) for each in pixels]
    np.testing.assert_allclose(covariances[0], covariances[1], rtol=0.15, atol=8)


def test_a_blur_is_found_and_repeated():
    real, others = scenes(200), scenes(200, seed=1)
    look = look_between(real, blurred(others).astype(np.uint8))
    assert look.noise == 0 and look.gains[-1] < 0.3 < 0.8 < look.gains[0]
    assert (np.diff(look.gains) < 0.08).all()
    wanted = blurred(real)
    away = np.abs(with_look(real, look).astype(float) - wanted).mean()
    assert away < 0.4 * np.abs(real - wanted).mean()


@pytest.mark.parametrize("deviation", [8, 20])
def test_noise_is_measured_and_added(deviation):
    real, others = scenes(200), scenes(200, seed=1)
    noise = np.random.default_rng(2).normal(scale=deviation, size=others.shape)
    synthetic = np.clip(np.round(others + noise), 0, 255).astype(np.uint8)
    look = look_between(real, synthetic)
    assert look.noise == pytest.approx(deviation, rel=0.2)
    added = with_look(real, look).astype(float) - real
    assert added.std() == pytest.approx(deviation, rel=0.25)
    assert (with_look(real, look) == with_look(real, look)).all()
    assert (with_look(real, look, seed=1) != with_look(real, look)).any()


def test_noise_of_grey_images_is_grey():
    real, others = (scenes(150, seed)[:, :1].repeat(3, axis=1) for seed in (0, 1))
    noise = np.random.default_rng(2).normal(scale=15, size=others[:, :1].shape)
    synthetic = np.clip(others + noise, 0, 255).astype(np.uint8)
    look = look_between(real, synthetic)
    assert look.grey and look.noise == pytest.approx(15, rel=0.25)
    found = with_look(real, look)
    assert (found == found[:, :1]).all()


def test_tiles_in_another_order_have_the_same_look():
    real, others = scenes(200), scenes(200, seed=1)
    halves = others[:, :, [*range(12, 24), *range(12)]]
    look = look_between(real, halves)
    assert look.noise == 0 and look.gains.min() > 0.85


def test_nothing_is_sharpened():
    real, others = blurred(scenes(150)).astype(np.uint8), scenes(150, seed=1)
    assert look_between(real, others).gains.max() <= 1


def test_sets_of_two_sizes_are_refused():
    with pytest.raises(GendataError, match="differ in size; found 24x24 and 16x16"):
        look_between(scenes(20), scenes(20, side=16))
