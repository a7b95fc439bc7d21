"""The benchmark of the measures on features, made small."""

import numpy as np
import pytest

from gendata.benchmarks.speed import gap_measures
from gendata.benchmarks.speed.gap_measures import draw_features, straightforward
from gendata.gap.measures.manifold import compare_manifolds


def test_both_ways_find_the_same():
    real, synthetic = draw_features(150, 40, 0), 0.9 * draw_features(120, 40, 1)
    found = compare_manifolds(real, synthetic)
    expected = (found.precision, found.recall, found.density, found.coverage)
    *others, rarity = straightforward(real, synthetic)
    assert others == pytest.approx(expected)
    assert rarity == pytest.approx(np.nanmean(found.rarity), rel=1e-5)


def test_rows_of_the_table(monkeypatch):
    for name, value in {"IMAGES": 200, "MANY": 500, "DIMENSIONS": 40, "PAIRS": 1}.items():
        monkeypatch.setattr(gap_measures, name, value)
    rows = gap_measures.measure()
    assert [row.asked for row in rows] == ["<= 1.5", "", "< 1 GB", "", "< 2 s"]
    assert all(row.value >= 0 and row.how for row in rows)
    assert "measured; " in rows[3].how and "500 x 500 features of 40" in rows[3].name
    monkeypatch.setattr(gap_measures, "PATIENCE", 0.0)
    sets = (draw_features(200, 40, seed) for seed in (0, 1))
    assert "extrapolated" in gap_measures._growth(*sets).how
