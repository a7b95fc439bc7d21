import numpy as np
import pytest

from gendata.errors import GendataError
from gendata.gap.measures.learning_runs import Runs, redrawn_errors

SIZES = [10, 100]


def drawn_runs(generator, difficulty, disagreement, spread, seeds=3, sizes=SIZES):
    """Classifiers of 30 and 15% error: `spread` between seeds, `disagreement` about images."""
    limits = 1 - np.array([0.3, 0.15])[: len(sizes)] * (
        1 + spread * generator.standard_normal((seeds, len(sizes)))
    )
    noise = disagreement * generator.standard_normal((seeds, len(sizes), len(difficulty)))
    return Runs(np.array(sizes), (difficulty + noise) % 1 < limits[..., None])


def test_errors_are_drawn_around_what_was_measured():
    generator = np.random.default_rng(0)
    runs = drawn_runs(generator, generator.random(800), 0.05, 0.02)
    assert runs.accuracy.shape == (3, 2)
    assert np.allclose(runs.error, [1 - runs.right[:, c].mean() for c in range(2)])
    for part in redrawn_errors((runs, runs), 2000, 0):
        assert part.shape == (2000, 2)
        assert np.allclose(part.mean(axis=0), runs.error, atol=2e-3)


def test_both_sources_see_the_same_test_images():
    generator = np.random.default_rng(0)
    runs = drawn_runs(generator, generator.random(500), 0, 0, seeds=1)
    ours, theirs = redrawn_errors((runs, runs), 300, 0)
    assert (ours == theirs).all()
    binomial = np.sqrt(runs.error * (1 - runs.error) / 500)
    assert np.allclose(ours.std(axis=0), binomial, rtol=0.1)


@pytest.mark.parametrize(("disagreement", "spread"), [(0.0, 0.1), (0.3, 0.0), (0.2, 0.05)])
def test_the_spread_is_that_of_measurements_made_again(disagreement, spread):
    """Twenty real repetitions give the standard deviation that one measurement's draws have."""
    generator = np.random.default_rng(3)
    again, claimed = [], []
    for _ in range(60):
        runs = drawn_runs(generator, generator.random(400), disagreement, spread)
        again.append(runs.error)
        claimed.append(redrawn_errors((runs, runs), 100, 0)[0].var(axis=0))
    ratio = np.sqrt(np.mean(claimed, axis=0)) / np.std(again, axis=0)
    # Student's t widens by up to 1.42 here (4 degrees of freedom).
    assert (ratio > 0.8).all() and (ratio < 1.75).all()


def test_chunks_of_the_bootstrap_do_not_matter(monkeypatch):
    generator = np.random.default_rng(0)
    runs = drawn_runs(generator, generator.random(100), 0.1, 0.1)
    whole = redrawn_errors((runs, runs), 50, 4)
    monkeypatch.setattr("gendata.gap.measures.learning_runs._CHUNK", 700)
    parts = redrawn_errors((runs, runs), 50, 4)
    assert all(np.allclose(a, b) for a, b in zip(whole, parts, strict=True))


def test_perfect_classifiers_and_seeds_that_agree_have_no_noise():
    runs = Runs(np.array(SIZES), np.ones((3, 2, 50), dtype=bool))
    ours, _ = redrawn_errors((runs, runs), 20, 0)
    assert (ours == 0).all() and (runs.standard_error == 0).all()


@pytest.mark.parametrize(
    ("sizes", "right", "message"),
    [
        ([10, 10], np.ones((1, 2, 5), bool), "do not ascend"),
        ([100, 10], np.ones((1, 2, 5), bool), "do not ascend"),
        ([0, 10], np.ones((1, 2, 5), bool), "no list of numbers above 0"),
        ([np.nan, 10], np.ones((1, 2, 5), bool), "no list of numbers above 0"),
        ([], np.ones((1, 0, 5), bool), "no list of numbers above 0"),
        ([10], np.ones((1, 2, 5), bool), "2 columns for 1 sizes"),
        ([10, 20], np.ones((1, 2, 5)), "found float64"),
        ([10, 20], np.ones((1, 2, 0), bool), "none of them 0"),
    ],
)
def test_runs_that_make_no_sense_are_refused(sizes, right, message):
    with pytest.raises(GendataError, match=message):
        Runs(np.array(sizes), right)


def test_other_test_images_are_refused():
    first, second = (Runs(np.array(SIZES), np.ones((1, 2, n), bool)) for n in (5, 6))
    with pytest.raises(GendataError, match="found 5 and 6"):
        redrawn_errors((first, second), 10, 0)
