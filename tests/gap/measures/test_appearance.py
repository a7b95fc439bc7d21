import numpy as np
import pytest

from gendata.errors import GendataError
from gendata.gap.measures.appearance import STATISTICS, low_level_statistics, measure_appearance


def textured(count, seed=0, side=16):
    """Images of random brightness and colour, with a soft ramp and some texture."""
    generator = np.random.default_rng(seed)
    level = generator.uniform(60, 190, (count, 3, 1, 1))
    ramp = generator.uniform(-4, 4, (count, 1, 1, 1)) * np.arange(side)[None, None, None, :]
    texture = generator.normal(scale=8, size=(count, 3, side, side))
    return np.clip(level + ramp + texture, 0, 255).astype(np.uint8)


def gap_of(real, synthetic, real_groups=None, synthetic_groups=None):
    nothing = np.zeros(len(real), dtype=int), np.zeros(len(synthetic), dtype=int)
    return measure_appearance(
        low_level_statistics(real),
        low_level_statistics(synthetic),
        [nothing if real_groups is None else (real_groups, synthetic_groups)],
    )


def darker(images, share):
    return (images * (1 - share)).astype(np.uint8)


def smooth(images):
    """The mean of each pixel and its right and lower neighbours."""
    levels = images.astype(float)
    moved = sum(np.roll(levels, step, axis=(2, 3)) for step in ((0, 0), (0, 1), (1, 0), (1, 1)))
    return (moved / 4).astype(np.uint8)


def test_statistics_of_a_known_image():
    image = np.zeros((1, 3, 8, 8), dtype=np.uint8)
    image[0, 0] = 100  # red
    values = dict(zip(STATISTICS, low_level_statistics(image)[0], strict=True))
    assert values["brightness"] == pytest.approx(29.9, abs=1e-3)
    assert values["red against green"] == 100
    assert values["yellow against blue"] == 50
    assert values["contrast"] == pytest.approx(0, abs=1e-5)
    assert values["colourfulness"] == pytest.approx(np.log1p(np.hypot(100, 50)))
    assert values["fine detail"] == values["coarse detail"] == values["colour detail"] == 0


def test_fine_detail_against_a_loop():
    luma = np.random.default_rng(3).integers(0, 256, (9, 11))
    image = np.broadcast_to(luma, (1, 3, 9, 11)).astype(np.uint8)
    mixed = [
        abs(luma[y, x] - luma[y + 1, x] - luma[y, x + 1] + luma[y + 1, x + 1])
        for y in range(8)
        for x in range(10)
    ]
    across = [abs(luma[y, x] - luma[y, x + 1]) for y in range(9) for x in range(10)]
    down = [abs(luma[y, x] - luma[y + 1, x]) for y in range(8) for x in range(11)]
    wanted = np.log1p(mixed).mean() - (np.log1p(across).mean() + np.log1p(down).mean()) / 2
    found = low_level_statistics(image)[0, STATISTICS.index("fine detail")]
    assert found == pytest.approx(wanted, abs=1e-4)


def test_straight_edges_are_no_detail():
    image = np.zeros((1, 3, 16, 16), dtype=np.uint8)
    image[:, :, :, 7:] = 200
    image[:, :, 5:] += 40
    assert low_level_statistics(image)[0, STATISTICS.index("fine detail")] < 0


def test_like_images_have_no_gap():
    found = gap_of(textured(300), textured(300, seed=1))
    assert found.gap.low <= 0.02 and found.gap.value < 0.12
    assert max(map(abs, found.statistics.values())) < 0.15


def test_gap_grows_with_the_dose_and_names_the_cause():
    real, others = textured(300), textured(300, seed=1)
    gaps = [gap_of(real, darker(others, share)).gap.value for share in (0.05, 0.2, 0.6)]
    assert gaps == sorted(gaps) and gaps[-1] > 0.95
    blurred = gap_of(real, smooth(others))
    assert blurred.gap.value > 0.95
    strongest = max(blurred.statistics, key=lambda name: abs(blurred.statistics[name]))
    assert "detail" in strongest and blurred.statistics["fine detail"] < -0.9


def test_gap_of_images_that_are_too_dark_and_too_bright():
    """Their mean is right, so a rule without squares would see nothing."""
    real, others = textured(300) // 2 + 64, textured(300, seed=1) // 2
    others[150:] += 128
    assert gap_of(real, others).gap.value > 0.5


def test_content_drawn_more_often_is_no_gap():
    """Dark and bright content, of which the synthetic set holds mostly bright."""
    dark, bright = textured(300) // 3, textured(300, seed=1) // 3 + 150
    groups = np.repeat([0, 1], 150)
    real = np.concatenate([dark[:150], bright[:150]])
    synthetic = np.concatenate([dark[150:180], bright[150:]])
    kinds = np.repeat([0, 1], [30, 150])
    assert gap_of(real, synthetic, groups, kinds).gap.value < 0.15
    assert gap_of(real, synthetic).gap.value > 0.25


def test_copies_are_not_learnt_by_heart():
    few = textured(20, seed=2)
    found = gap_of(textured(400), np.repeat(few, 20, axis=0))
    assert found.gap.low < 0.3


def test_images_that_cannot_be_measured():
    with pytest.raises(GendataError, match="too small"):
        low_level_statistics(np.zeros((4, 3, 4, 9), dtype=np.uint8))
    with pytest.raises(GendataError, match="no RGB"):
        low_level_statistics(np.zeros((4, 3, 9, 9), dtype=np.float32))
