"""Exchange rates against learning curves whose answer is known by construction."""

import json

import numpy as np
import pytest

from gendata.errors import GendataError
from gendata.gap.measures.exchange import exchange_rates
from gendata.gap.measures.learning_runs import Runs

SIZES = np.array([37, 111, 333, 1000])
EVEN = (np.arange(20_000) + 0.5) / 20_000  # how hard each test image is


def law(images):
    return 0.05 + 0.8 * images**-0.45


def runs(sizes, errors, seeds=3, difficulty=EVEN, spread=0.0, disagreement=0.0, seed=0):
    generator = np.random.default_rng(seed)
    shape = seeds, len(sizes)
    limits = 1 - np.asarray(errors) * (1 + spread * generator.standard_normal(shape))
    noise = 0.0
    if disagreement:
        noise = disagreement * generator.standard_normal((*shape, len(difficulty)))
    return Runs(np.asarray(sizes), (difficulty + noise) % 1 < limits[..., None])


REAL = runs(SIZES, law(SIZES))


@pytest.mark.parametrize("worth", [0.15, 0.31, 0.5, 1.0])
def test_a_clone_of_which_a_share_is_real_is_worth_that_share(worth):
    synthetic = runs(SIZES, law(worth * SIZES))
    found = exchange_rates(REAL, synthetic, replicates=50)
    assert found.form == "power law"
    assert found.at_size.bound == "measured"
    assert found.at_size.rate.value == pytest.approx(worth, rel=0.01)
    assert found.doubling.value == pytest.approx(2, rel=0.01)
    ahead = found.synthetic_ahead
    assert [each.images for each in ahead] == [2000, 4000]
    for each in ahead:
        assert 1 - each.accuracy.value == pytest.approx(law(worth * each.images), rel=0.01)
        gain = law(worth * 1000) - law(worth * each.images)
        assert each.gain.value == pytest.approx(gain, abs=3e-4)


def test_images_that_teach_something_wrong_saturate():
    """Label noise adds an error that no number of images removes."""
    synthetic = runs(SIZES, 0.03 + law(SIZES))
    found = exchange_rates(REAL, synthetic, replicates=50)
    rates = [each.rate.value for each in found.equivalents if each.bound == "measured"]
    assert len(rates) >= 3 and (np.diff(rates) < 0).all()
    for each in found.equivalents[1:]:
        same = ((0.03 + law(each.synthetic) - 0.05) / 0.8) ** (-1 / 0.45)
        assert each.real.value == pytest.approx(same, rel=0.02)
    assert 1 < found.doubling.value < 1.8
    assert found.synthetic_ahead[1].accuracy.value < 0.92


@pytest.mark.parametrize("spread", [0.0, 0.03])
def test_the_same_runs_are_worth_exactly_one_another(spread):
    same = runs(SIZES, law(SIZES), spread=spread)
    found = exchange_rates(same, same, replicates=100)
    for each in found.equivalents:
        assert each.real.value == pytest.approx(each.synthetic)
        assert each.rate.low <= 1 <= each.rate.high and each.bound == "measured"


def test_swapping_the_sources_inverts_the_rate():
    synthetic = runs(SIZES, law(0.3 * SIZES))
    there = exchange_rates(REAL, synthetic, replicates=50)
    back = exchange_rates(synthetic, REAL, replicates=50)
    worth = there.at_size.real.value
    assert worth == pytest.approx(300, rel=0.02)
    crossed = next(each for each in back.equivalents if each.synthetic == 333)
    assert crossed.real.value == pytest.approx(333 / 0.3, rel=0.15) or crossed.bound == "at least"
    assert back.at_size.bound == "at least" and back.at_size.real.value == 1000


def test_nothing_is_invented_beyond_the_measured_sizes():
    better = exchange_rates(REAL, runs(SIZES, law(5 * SIZES)), replicates=50)
    assert [each.bound for each in better.equivalents[-2:]] == ["at least"] * 2
    assert better.at_size.real.value == 1000 and better.at_size.open_above
    worse = exchange_rates(REAL, runs(SIZES, law(0.01 * SIZES)), replicates=50)
    assert {each.bound for each in worse.equivalents} == {"fewer than"}
    assert worse.at_size.real.value == 37 and worse.at_size.open_below
    assert not worse.at_size.open_above and np.isnan(worse.doubling.value)


def test_a_real_curve_that_is_flat_tells_next_to_nothing():
    wide = []
    for seed in range(5):
        chance = {"spread": 0.05, "disagreement": 0.05, "difficulty": EVEN[::20]}
        flat = runs(SIZES, np.full(4, 0.2), seed=seed, **chance)
        other = runs(SIZES, np.full(4, 0.2), seed=seed + 50, **chance)
        found = exchange_rates(flat, other, replicates=100).at_size
        wide.append(found.undetermined or found.real.high / found.real.low > 5)
    assert sum(wide) >= 4


def test_better_synthetic_images_are_never_worth_less():
    worths = []
    for share in (0.1, 0.2, 0.4, 0.8):
        found = exchange_rates(REAL, runs(SIZES, law(share * SIZES)), replicates=20)
        worths.append([each.real.value for each in found.equivalents])
    assert (np.diff(worths, axis=0) >= 0).all() and (np.diff(worths, axis=1) >= 0).all()


def test_a_curve_that_is_no_power_law_is_interpolated():
    """It falls late: a power law falls ever more slowly."""
    late = np.array([0.5, 0.49, 0.47, 0.2])
    found = exchange_rates(runs(SIZES, late), runs([200, 1000], [0.47, 0.335]), replicates=50)
    assert found.form == "interpolation" and not found.real_ahead
    assert found.equivalents[0].real.value == pytest.approx(333, rel=0.01)
    assert found.equivalents[1].real.value == pytest.approx(np.sqrt(333 * 1000), rel=0.01)


def test_a_curve_that_falls_again_promises_nothing():
    """As measured with a small GAN: more of its images made the classifier worse.

    It may also be chance, or go on: the interval holds no gain and what the last two sizes say.
    """
    falling = runs([11, 33, 100], [0.31, 0.27, 0.284], spread=0.01, seed=2)
    found = exchange_rates(REAL, falling, replicates=100)
    assert found.form == "interpolation"
    gain = found.synthetic_ahead[0].gain
    fall = 0.014 / np.log(100 / 33) * np.log(2)
    assert gain.low < -fall < 0 <= gain.value < 0.002 and gain.high < 0.03


def test_where_errors_rise_intervals_hold_what_was_measured_too():
    """The fitted curve takes the mean of what rises: too few errors at the end."""
    errors = np.array([0.2, 0.15, 0.155, 0.16])
    found = exchange_rates(REAL, runs(SIZES, errors, spread=0.001), replicates=50)
    for each, error in zip(found.equivalents, errors, strict=True):
        accuracy = each.accuracy
        assert accuracy.low - 1e-3 < 1 - error < accuracy.high + 1e-3
        truth = np.exp(np.interp(error, law(SIZES)[::-1], np.log(SIZES[::-1])))  # interpolated
        assert 0.98 * each.real.low < truth < 1.02 * each.real.high
    assert found.at_size.real.value > 1.05 * truth > found.at_size.real.low


@pytest.mark.parametrize("harm", [0.0, 0.05])
def test_intervals_hold_the_truth_where_more_images_do_nothing_or_harm(harm):
    """Of 20 measurements 19 should; fewer than 15 would be rarer than one in a thousand."""
    sizes, real_sizes = np.array([11, 33, 100, 300]), np.array([11, *SIZES])
    errors = law(30) * (1 + harm * np.log(sizes / 300))
    worths = ((errors - 0.05) / 0.8) ** (-1 / 0.45)
    gain = -law(30) * harm * np.log(2)
    doubling = (worths[-1] / worths[-2]) ** (np.log(2) / np.log(3))
    held = np.zeros((20, 3))
    for seed in range(20):
        difficulty = np.random.default_rng(2000 + seed).random(600)
        chance = {"difficulty": difficulty, "spread": 0.04, "disagreement": 0.05}
        real = runs(real_sizes, law(real_sizes), seed=seed, **chance)
        synthetic = runs(sizes, errors, seed=700 + seed, **chance)
        found = exchange_rates(real, synthetic, replicates=60, seed=seed)
        ahead = found.synthetic_ahead
        held[seed] = (
            found.at_size.real.low <= worths[-1] <= found.at_size.real.high,
            found.doubling.low <= doubling <= found.doubling.high,
            not ahead or ahead[0].gain.low <= gain <= ahead[0].gain.high,
        )
    assert held.sum(axis=0).min() >= 15


def test_one_synthetic_size_has_a_worth_and_no_prediction():
    found = exchange_rates(REAL, runs([500], [law(250)]), replicates=50)
    assert found.at_size.rate.value == pytest.approx(0.5, rel=0.02)
    assert not found.synthetic_ahead and np.isnan(found.doubling.value)
    assert len(found.real_ahead) == 2


def test_order_of_test_images_and_of_seeds_does_not_matter():
    synthetic = runs(SIZES, law(0.3 * SIZES), spread=0.03, disagreement=0.1, difficulty=EVEN[::20])
    real = runs(SIZES, law(SIZES), spread=0.03, disagreement=0.1, difficulty=EVEN[::20], seed=1)
    order = np.random.default_rng(0).permutation(1000)
    shuffled = [Runs(each.sizes, each.right[::-1, :, order]) for each in (real, synthetic)]
    first = exchange_rates(real, synthetic, replicates=400)
    second = exchange_rates(*shuffled, replicates=400)
    assert first.at_size.real.value == pytest.approx(second.at_size.real.value, rel=1e-6)
    assert first.at_size.real.low == pytest.approx(second.at_size.real.low, rel=0.2)
    assert first.at_size.real.high == pytest.approx(second.at_size.real.high, rel=0.2)


def test_intervals_hold_the_truth():
    """Of 30 measurements 28.5 should; fewer than 24 would be rarer than one in a thousand."""
    worth, later, widths = 0, 0, []
    for seed in range(30):
        difficulty = np.random.default_rng(1000 + seed).random(600)
        chance = {"difficulty": difficulty, "spread": 0.03, "disagreement": 0.08}
        real = runs(SIZES, law(SIZES), seed=seed, **chance)
        synthetic = runs(SIZES, law(0.3 * SIZES), seed=500 + seed, **chance)
        found = exchange_rates(real, synthetic, replicates=100, seed=seed)
        worth += found.at_size.real.low <= 300 <= found.at_size.real.high
        ahead = found.synthetic_ahead[0].accuracy if found.synthetic_ahead else None
        later += ahead is None or ahead.low <= 1 - law(600) <= ahead.high
        widths.append(found.at_size.real.high / found.at_size.real.low)
    assert worth >= 24 and later >= 24
    assert np.median(widths) < 4  # and they do not do so by being empty of meaning


def test_more_seeds_and_test_images_narrow_the_interval():
    def width(seeds, images):
        chance = {"spread": 0.03, "disagreement": 0.05, "seeds": seeds}
        difficulty = np.random.default_rng(5).random(images)
        real = runs(SIZES, law(SIZES), difficulty=difficulty, seed=1, **chance)
        synthetic = runs(SIZES, law(0.3 * SIZES), difficulty=difficulty, seed=2, **chance)
        rate = exchange_rates(real, synthetic, replicates=200).at_size.rate
        return rate.high / rate.low

    assert width(8, 5000) < width(2, 300)


def test_the_result_is_plain_json_and_repeats():
    synthetic = runs(SIZES, law(0.3 * SIZES), spread=0.02)
    found = exchange_rates(REAL, synthetic, replicates=50, seed=3)
    text = json.dumps(found.to_json(), allow_nan=False)
    assert text == json.dumps(exchange_rates(REAL, synthetic, replicates=50, seed=3).to_json())
    read = json.loads(text)
    assert list(read["equivalents"][-1]) == [
        *("synthetic", "bound", "open_below", "open_above", "accuracy", "real", "rate")
    ]
    assert read["seeds"] == {"real": 3, "synthetic": 3} and read["test_images"] == 20_000


def test_two_real_sizes_make_no_curve():
    with pytest.raises(GendataError, match="too few sizes; found 2; expected at least 3"):
        exchange_rates(runs([10, 100], [0.3, 0.2]), REAL)
