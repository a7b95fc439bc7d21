import numpy as np
import pytest
from scipy.optimize import least_squares

from gendata.gap.measures.learning_curve import fit_interpolation, fit_power_law

SIZES = np.array([10.0, 30.0, 100.0, 300.0, 1000.0])
LAWS = [(0.05, 0.8, 0.45), (0.0, 1.5, 0.3), (0.2, 3.0, 1.2), (0.01, 0.9, 0.12)]


def errors_of(floor, scale, rate):
    return floor + scale * SIZES**-rate


@pytest.mark.parametrize("law", LAWS)
def test_a_power_law_is_found_again_inverted_and_carried_on(law):
    fitted = fit_power_law(SIZES, errors_of(*law)[None], np.ones(5))
    assert fitted.floor[0] == pytest.approx(law[0], abs=2e-3)
    assert fitted.rate[0] == pytest.approx(law[2], rel=5e-3)
    assert fitted.error(4000)[0] == pytest.approx(law[0] + law[1] * 4000 ** -law[2], rel=2e-3)
    for size in (10, 55, 1000, 5000):
        assert fitted.images(fitted.error(size))[0] == pytest.approx(size, rel=1e-6)


def test_no_start_of_a_general_solver_fits_better():
    generator = np.random.default_rng(0)
    laws = [LAWS[number % 4] for number in range(12)]
    noisy = np.array([errors_of(*law) * np.exp(generator.normal(0, 0.05, 5)) for law in laws])
    weights = 1 / noisy.mean(axis=0) ** 2
    fitted = fit_power_law(SIZES, noisy, weights)
    predicted = np.stack([fitted.error(size) for size in SIZES], axis=1)
    ours = ((predicted - noisy) ** 2 * weights).sum(axis=1)
    for row, best in zip(noisy, ours, strict=True):

        def left(parameters, row=row):
            floor, scale, rate = parameters
            return (floor + scale * (SIZES / 1000) ** -rate - row) * np.sqrt(weights)

        bounds = [0, 0, 0.1], [1, 5, 3]
        starts = [(0.01, 0.1, rate) for rate in (0.15, 0.4, 1.0, 2.0)]
        theirs = min(2 * least_squares(left, start, bounds=bounds).cost for start in starts)
        assert best <= theirs * (1 + 1e-4) + 1e-12


def test_rows_are_fitted_alone_and_scaling_sizes_scales_the_answer():
    rows = np.array([errors_of(*law) for law in LAWS])
    together = fit_power_law(SIZES, rows, np.ones(5))
    for place, row in enumerate(rows):
        alone = fit_power_law(SIZES * 7, row[None], np.ones(5))
        assert alone.rate[0] == pytest.approx(together.rate[place], rel=1e-9)
        target = np.array([row[2]])
        there = together.images(np.full(4, row[2]))[place]
        assert alone.images(target)[0] == pytest.approx(7 * there, rel=1e-6)


def test_errors_that_rise_with_the_images_give_a_flat_law():
    fitted = fit_power_law(SIZES, np.array([[0.1, 0.2, 0.2, 0.3, 0.4]]), np.ones(5))
    assert fitted.scale[0] == 0 and fitted.floor[0] == pytest.approx(0.24)
    assert fitted.error(1e6)[0] == pytest.approx(0.24)
    assert fitted.images(np.array([0.3]))[0] == 0 and fitted.images(np.array([0.2]))[0] == np.inf


def test_a_floor_is_never_reached_nor_negative():
    fitted = fit_power_law(SIZES, errors_of(0.1, 0.8, 0.5)[None], np.ones(5))
    assert fitted.images(np.array([fitted.floor[0]]))[0] == np.inf
    steep = fit_power_law(SIZES, (1 - np.log10(SIZES) / 3)[None], np.ones(5))
    assert steep.floor[0] >= 0 and steep.error(1e9)[0] >= 0


def pooled(errors):
    """Pool adjacent violators, one at a time: falling errors."""
    blocks = [[float(value), 1] for value in errors]
    while True:
        wrong = next((i for i in range(len(blocks) - 1) if blocks[i][0] < blocks[i + 1][0]), None)
        if wrong is None:
            return np.repeat([b[0] for b in blocks], [b[1] for b in blocks])
        (first, m), (second, n) = blocks[wrong : wrong + 2]
        blocks[wrong : wrong + 2] = [[(first * m + second * n) / (m + n), m + n]]


def test_interpolation_is_the_isotonic_regression():
    generator = np.random.default_rng(1)
    noisy = np.linspace(0.5, 0.2, 6) + generator.normal(0, 0.15, (50, 6))
    fitted = fit_interpolation(np.arange(1, 7), noisy).errors
    assert np.allclose(fitted, [pooled(row) for row in noisy])
    assert (np.diff(fitted, axis=1) <= 0).all() and not np.allclose(fitted, noisy)


def test_interpolation_is_linear_in_the_logarithm_and_ends_with_the_sizes():
    curve = fit_interpolation(np.array([10, 100, 1000]), np.array([[0.5, 0.3, 0.2]]))
    assert curve.error(10**1.5)[0] == pytest.approx(0.4)
    wanted = [(0.4, 10**1.5), (0.5, 10), (0.3, 100), (0.25, 10**2.5), (0.2, 1000)]
    wanted += [(0.6, 0), (0.19, np.inf)]
    for error, images in wanted:
        assert curve.images(np.array([error]))[0] == pytest.approx(images)
    assert np.isnan(curve.error(9)).all() and np.isnan(curve.error(1001)).all()


def test_on_a_plateau_the_fewest_images_count():
    curve = fit_interpolation(np.array([10, 100, 1000]), np.array([[0.5, 0.3, 0.3]]))
    assert curve.images(np.array([0.3]))[0] == pytest.approx(100)
