import numpy as np
import pytest

from gendata.errors import GendataError
from gendata.gap.measures.content import groups_within_classes, measure_content


def drawn(shares, count, seed):
    return np.random.default_rng(seed).choice(len(shares), size=count, p=shares)


EVEN = np.full(20, 0.05)


def test_chance_adds_nothing():
    """The plain distance of two such samples is 0.1; here they differ by 0 on average."""
    pairs = [(drawn(EVEN, 500, seed), drawn(EVEN, 500, seed + 50)) for seed in range(12)]
    found = [measure_content(*pair, seed=seed).gap for seed, pair in enumerate(pairs)]
    plain = [
        np.abs(np.bincount(a, minlength=20) - np.bincount(b, minlength=20)).sum() / 1000
        for a, b in pairs
    ]
    assert np.mean(plain) > 0.08
    assert np.mean([gap.value for gap in found]) < 0.03
    assert sum(gap.low > 0 for gap in found) <= 2


@pytest.mark.parametrize("missing", [2, 6, 12])
def test_is_the_share_of_real_images_that_is_left_out(missing):
    shares = np.where(np.arange(20) < missing, 0, 1 / (20 - missing))
    found = measure_content(drawn(EVEN, 1000, 0), drawn(shares, 1000, 1))
    assert found.gap.value == pytest.approx(missing / 20, abs=0.06)
    assert found.gap.low < missing / 20 < found.gap.high
    assert found.synthetic_shares[:missing].sum() == 0
    for shares in (found.real_shares, found.synthetic_shares):
        assert shares.sum() == pytest.approx(1)


def test_rare_content_that_was_left_out_counts_as_it_occurs():
    rare = np.array([0.01] * 10 + [0.9])
    found = measure_content(drawn(rare, 2000, 0), np.full(2000, 10))
    assert found.gap.value == pytest.approx(0.1, abs=0.03)


def test_broken_images_do_not_count():
    """Half is broken and sits in groups of its own; the others lack three tenths."""
    shares = np.where(np.arange(20) < 6, 0, 1 / 14)
    good, broken = drawn(shares, 1000, 1), drawn(np.ones(5) / 5, 1000, 2) + 20
    both = np.concatenate([good, broken])
    sound = np.repeat([1.0, 0.0], 1000)
    real = drawn(EVEN, 1000, 0)
    alone = measure_content(real, good).gap.value
    found = measure_content(real, both, sound, broken=0.5)
    assert found.gap.value == pytest.approx(alone / 2, abs=0.02)
    assert measure_content(real, both).gap.value > 0.4
    assert measure_content(real, broken, broken=1.0).gap.value == 0


def test_copies_are_poor_content():
    few = np.repeat(drawn(EVEN, 10, 3), 50)
    assert measure_content(drawn(EVEN, 500, 0), few).gap.value > 0.4


def test_groups_lie_within_classes_and_follow_the_features():
    generator = np.random.default_rng(0)
    centers = np.array([[0, 0], [9, 0], [0, 9], [9, 9]])

    def blobs(count):
        kinds = np.arange(count) % 4
        return centers[kinds] + generator.normal(scale=0.3, size=(count, 2)), kinds

    (real, kinds), (synthetic, synthetic_kinds) = blobs(24), blobs(24)
    found = groups_within_classes(real, synthetic, kinds // 2, synthetic_kinds // 2)
    together = np.concatenate(found)
    for group in np.unique(together):
        members = np.concatenate([kinds, synthetic_kinds])[together == group]
        assert len(set(members)) == 1
    assert set(together) == set(range(4))


def two_modes(per_class, kept, seed, classes=4):
    """Features and labels of classes far apart, each of two modes or of the first alone."""
    generator = np.random.default_rng(seed)
    labels = np.arange(classes * per_class) % classes
    mode = np.arange(len(labels)) // classes % kept
    centers = np.random.default_rng(99).normal(size=(classes, 2, 16))
    centers *= 6 / np.linalg.norm(centers, axis=2, keepdims=True)
    values = generator.normal(size=(len(labels), 16)) + centers[labels, mode]
    return values + 10 * np.eye(16)[labels], labels


@pytest.mark.parametrize("per_class", [12, 27])
def test_a_lost_mode_is_seen_in_small_classes_too(per_class):
    """Half of each class is gone; as many other images of both modes lack nothing."""
    lost, none = [], []
    for seed in range(6):
        real, labels = two_modes(per_class, 2, seed)
        for kept, found in ((1, lost), (2, none)):
            values, others = two_modes(per_class, kept, seed + 50)
            groups = groups_within_classes(real, values, labels, others)
            found.append(measure_content(*groups, seed=seed).gap)
    assert np.mean([gap.value for gap in lost]) == pytest.approx(0.5, abs=0.1)
    assert all(gap.low > 0.1 for gap in lost)
    assert np.mean([gap.value for gap in none]) < 0.05


def test_classes_of_a_handful_are_one_group():
    real, labels = two_modes(9, 2, 0)
    found = groups_within_classes(real, real, labels, labels)
    assert (found[0] == labels).all()


def test_classes_that_one_set_lacks_have_groups_of_their_own():
    real, labels = np.random.default_rng(0).normal(size=(100, 3)), np.arange(100) % 2
    ours, theirs = groups_within_classes(real, real[labels == 0], labels, labels[labels == 0])
    assert set(theirs) == set(ours[labels == 0])
    assert not set(theirs) & set(ours[labels == 1])
    assert measure_content(ours, theirs).gap.value == pytest.approx(0.5, abs=0.02)


def test_too_few_images():
    with pytest.raises(GendataError, match="too few images"):
        measure_content(np.zeros(3, dtype=int), np.zeros(9, dtype=int))
