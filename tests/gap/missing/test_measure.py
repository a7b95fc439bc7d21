"""What is missing is found and comes first, chance is not called missing, mistakes are named."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from toy_pictures import CARD

from gendata.errors import GendataError
from gendata.features.extract import Features
from gendata.gap.measures.manifold import compare_manifolds
from gendata.gap.missing.findings import DEFINITIONS
from gendata.gap.missing.measure import chance_of_uncovered, find_missing

CLASSES = ["boot", "coat", "dress"]
MODES = 4  # of each class


def features(modes: np.ndarray, seed: int, classes: list[str] | None = None) -> Features:
    """Images of the given modes (N,): a Gaussian each, in eight dimensions; four modes a class."""
    names = CLASSES if classes is None else classes
    centers = 9 * np.random.default_rng(0).normal(size=(MODES * len(CLASSES), 8))
    values = centers[modes] + np.random.default_rng([1, seed]).normal(size=(len(modes), 8))
    labels = np.asarray(modes) // MODES
    return Features(values.astype(np.float32), labels.astype(np.int64), names, CARD, "toy")


def every_mode(count: int, without: tuple[int, ...] = ()) -> np.ndarray:
    return np.repeat([mode for mode in range(12) if mode not in without], count)


REAL_MODES = every_mode(30)
REAL = features(REAL_MODES, 0)


@pytest.mark.parametrize("real, synthetic, k", [(9, 4, 3), (360, 360, 5), (200, 1000, 5)])
def test_the_floor_counts_the_orders_in_which_the_nearest_are_all_real(real, synthetic, k):
    others = real - 1 + synthetic
    expected = math.comb(real - 1, k) / math.comb(others, k)
    assert chance_of_uncovered(real, synthetic, k) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("count", [20, 60, 200])
def test_the_floor_is_what_other_images_of_the_same_kind_leave_uncovered(count):
    generator = np.random.default_rng(3)
    shares = []
    for _ in range(40):
        real, other = generator.standard_t(3, (60, 5)), generator.standard_t(3, (count, 5))
        shares.append(1 - compare_manifolds(real, other).coverage)
    error = np.std(shares) / len(shares) ** 0.5
    assert np.mean(shares) == pytest.approx(chance_of_uncovered(60, count), abs=4 * error)


@pytest.mark.parametrize("seed", range(4))
def test_a_clone_as_good_as_real_images_lacks_nothing(seed):
    found = find_missing(REAL, features(REAL_MODES, 10 + seed))
    assert not found.is_beyond_chance
    assert found.groups == () and found.themes == ()


def test_groups_are_seldom_found_where_nothing_is_missing():
    # Images near each other are uncovered together; as many independent ones would be alarming.
    found = 0
    for seed in range(12):
        synthetic = features(every_mode(6), 100 + seed)
        found += len(find_missing(features(REAL_MODES, 200 + seed), synthetic).groups)
    assert found <= 1


def test_a_small_mode_is_named_although_the_whole_looks_fine():
    many, few = np.repeat(np.arange(11), 60), np.full(8, 11)
    real = features(np.concatenate([many, few]), 30)
    found = find_missing(real, features(np.repeat(np.arange(11), 60), 31))
    assert not found.is_beyond_chance and found.share.value < 0.08
    assert set(found.groups[0].rows) == set(range(660, 668))
    assert found.groups[0].name == "'dress'"


def test_a_dropped_mode_comes_first_within_its_class_and_across_classes():
    found = find_missing(REAL, features(every_mode(30, without=(6,)), 11))
    dropped = np.flatnonzero(REAL_MODES == 6)
    group = found.groups[0]
    assert group.name == "'coat'" and group.label == 1
    assert set(group.rows) == set(dropped) and group.size == 30
    assert group.share.value == 1 and group.share_of_class == pytest.approx(0.25)
    assert group.gain == pytest.approx((30 - 30 * found.floor) / 360)
    assert len(found.groups) == 1
    assert set(found.themes[0].rows) == set(dropped)
    assert found.per_class[0].name == "coat" and found.per_class[0].gain > 0.05


def test_the_more_is_dropped_the_more_is_missing_and_the_largest_comes_first():
    excesses = []
    for without in ((), (6,), (6, 9), (6, 9, 10), (6, 9, 10, 11)):
        found = find_missing(REAL, features(every_mode(40, without), 12))
        excesses.append(found.excess)
    assert all(np.diff(excesses) > 0.05)
    assert found.per_class[0].name == "dress"  # three of its four modes
    gains = [group.gain for group in found.groups]
    assert gains == sorted(gains, reverse=True)
    assert {group.name for group in found.groups} == {"'coat'", "'dress'"}


def test_gains_of_the_classes_add_up_to_the_whole():
    found = find_missing(REAL, features(every_mode(25, without=(0, 5)), 13))
    assert sum(each.gain for each in found.per_class) == pytest.approx(found.excess)
    assert sum(each.uncovered for each in found.per_class) == len(found.rows)
    assert found.share.value == pytest.approx(len(found.rows) / 360)


def test_examples_are_uncovered_and_stand_beside_what_is_nearest():
    synthetic = features(every_mode(30, without=(6,)), 14)
    found = find_missing(REAL, synthetic, examples=4)
    manifolds = compare_manifolds(REAL.values, synthetic.values)
    group = found.groups[0]
    assert len(group.examples) == 4
    for example in group.examples:
        distances = np.linalg.norm(synthetic.values - REAL.values[example.real], axis=1)
        assert example.synthetic == distances.argmin()
        assert example.distance == pytest.approx(distances.min(), rel=1e-5)
        radius = manifolds.real_radii[example.real]
        assert example.remoteness == pytest.approx(distances.min() / radius, rel=1e-5)
        assert example.real in group.rows
    among = REAL.values[group.rows].astype(float)
    sums = np.linalg.norm(among[:, None] - among, axis=2).sum(axis=1)
    assert group.examples[0].real == group.rows[sums.argmin()]
    assert manifolds.covered[group.covered] and REAL.labels[group.covered] == 1
    assert group.remoteness == pytest.approx(np.median(found.remoteness[group.rows]))
    assert found.remoteness[found.rows].tolist() == sorted(found.remoteness[found.rows])[::-1]
    assert ((found.remoteness < 1) == manifolds.covered).all()


def test_collapsed_outlying_and_swapped_sets():
    collapsed = find_missing(REAL, features(np.full(360, 6), 15))
    outlying = replace(REAL, values=REAL.values + 100)
    assert collapsed.share.value > 0.85
    assert {group.name for group in collapsed.groups} == {"'boot'", "'coat'", "'dress'"}
    everything = find_missing(REAL, outlying)
    assert everything.share.value == 1
    assert all(group.covered is None for group in everything.groups)
    part = features(every_mode(30, without=(6,)), 16)
    assert find_missing(REAL, part).is_beyond_chance
    assert not find_missing(part, REAL).is_beyond_chance  # it has all that the part has


def test_a_group_across_classes_is_named_by_its_classes():
    # One corner of feature space holds images of two classes, and the clone lacks it.
    odd = features(np.full(40, 6), 17)
    labels = np.where(np.arange(40) < 25, 1, 2)
    values = np.concatenate([REAL.values[REAL_MODES != 6], odd.values])
    real = Features(values, np.concatenate([REAL.labels[REAL_MODES != 6], labels]), CLASSES, CARD)
    found = find_missing(real, features(every_mode(30, without=(6,)), 18))
    theme = found.themes[0]
    assert theme.label is None and theme.classes == (("coat", 25), ("dress", 15))
    assert theme.name == "'coat' and 'dress'"
    assert replace(theme, classes=(*theme.classes, ("boot", 1))).name.endswith("and others")
    assert theme.share_of_class == pytest.approx(40 / 370)
    assert [group.name for group in found.groups[:2]] == ["'coat'", "'dress'"]


def test_the_order_of_the_images_changes_nothing_but_rows():
    synthetic = features(every_mode(25, without=(2, 6)), 19)
    generator = np.random.default_rng(1)
    order, other = generator.permutation(len(REAL)), generator.permutation(len(synthetic))
    found = find_missing(REAL, synthetic)
    permuted = find_missing(
        replace(REAL, values=REAL.values[order], labels=REAL.labels[order]),
        replace(synthetic, values=synthetic.values[other], labels=synthetic.labels[other]),
    )
    assert permuted.share == found.share and permuted.per_class == found.per_class
    for kind in ("groups", "themes"):
        for one, same in zip(getattr(found, kind), getattr(permuted, kind), strict=True):
            assert set(order[same.rows]) == set(one.rows)
            assert [order[each.real] for each in same.examples] == [
                each.real for each in one.examples
            ]
            assert [other[each.synthetic] for each in same.examples] == [
                each.synthetic for each in one.examples
            ]
            assert order[same.covered] == one.covered


def test_known_manifolds_are_used_and_everything_becomes_json():
    synthetic = features(every_mode(30, without=(6,)), 20)
    manifolds = compare_manifolds(REAL.values, synthetic.values, 3)
    found = find_missing(REAL, synthetic, manifolds)
    assert found.nearest_k == 3 and found.share.value == pytest.approx(1 - manifolds.coverage)
    assert found.floor == chance_of_uncovered(360, 330, 3)
    plain = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert plain["images"] == {"real": 360, "synthetic": 330}
    assert plain["groups"][0]["classes"] == {"coat": 30} and len(plain["rows"]) == len(found.rows)
    assert {"uncovered", "floor", "gain", "remoteness"} == set(DEFINITIONS)


def test_copies_among_the_real_images_have_no_remoteness():
    values = REAL.values.copy()
    values[:8] = values[0]
    real = replace(REAL, values=values)
    found = find_missing(real, features(every_mode(30, without=(6,)), 21))
    assert np.isnan(found.remoteness[:8]).all() and np.isfinite(found.remoteness[8:]).all()
    assert set(range(8)) <= set(found.rows)
    json.dumps(found.to_json(), allow_nan=False)


def test_one_class_alone():
    real = features(np.repeat(np.arange(4), 30), 22, ["boot"])
    found = find_missing(real, features(np.repeat([0, 1, 3], 30), 23, ["boot"]))
    assert set(found.groups[0].rows) == set(range(60, 90))


def test_mistakes_are_named():
    synthetic = features(REAL_MODES, 24)
    not_finite = synthetic.values.copy()
    not_finite[5, 2] = np.inf
    cases = [
        ("finite", REAL, replace(synthetic, values=not_finite)),
        ("class lists", REAL, replace(synthetic, classes=["a", "b", "c"])),
        ("different encoders", REAL, replace(synthetic, encoder=replace(CARD, name="other"))),
        ("no images", REAL, features(REAL_MODES[:0], 0)),
        ("too few images", features(REAL_MODES[:5], 0), synthetic),
        ("too few images", REAL, features(REAL_MODES[:5], 0)),
    ]
    for message, real, clone in cases:
        with pytest.raises(GendataError, match=message):
            find_missing(real, clone)
    with pytest.raises(GendataError, match="too few real images"):
        chance_of_uncovered(5, 100)
