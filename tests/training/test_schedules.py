"""Learning-rate schedules against their published values."""

import pytest
from toys import toy_images

import gendata
from gendata.training.learner import Learner
from gendata.training.schedules import SCHEDULES, scheduled_rate, warmed_polynomial


@pytest.mark.parametrize(
    ("step", "expected"), [(500, 5.35887e-5), (800, 2.34924e-5), (999, 2.34924e-5)]
)
def test_asg_as_published(step, expected):
    assert warmed_polynomial(1e-4, step, 1000, latest=0.8) == pytest.approx(expected, rel=1e-5)
    assert scheduled_rate("asg", 1e-4, step / 1000, 1000) == pytest.approx(expected, rel=1e-5)


def test_csg_decays_to_the_end():
    for step in range(0, 1000, 37):
        asg, csg = (scheduled_rate(name, 1e-4, step / 1000, 1000) for name in ("asg", "csg"))
        assert csg == pytest.approx(asg) if step <= 800 else csg < asg
    assert scheduled_rate("csg", 1e-4, 0.999, 1000) == pytest.approx(1e-4 * 0.001**0.9)


def test_the_first_hundred_steps_warm_up():
    rates = [scheduled_rate("csg", 1.0, step / 10_000, 10_000) for step in range(120)]
    assert rates[0] == pytest.approx(0.01)
    assert rates[50] == pytest.approx((0.01 + 0.99 / 4) * (1 - 0.005) ** 0.9)
    assert rates.index(max(rates)) == 100


def test_a_training_walks_through_every_step(monkeypatch):
    seen = {}
    for schedule in SCHEDULES:
        rates = seen[schedule] = []
        monkeypatch.setattr(
            Learner, "set_learning_rate", lambda _, rate, to=rates: to.append(rate)
        )
        gendata.train(
            synthetic=toy_images("s", 64, 0),
            epochs=3,
            batch_size=32,
            learning_rate=0.1,
            schedule=schedule,
            progress=False,
        )
    assert seen["constant"] == [0.1] * 6
    assert seen["asg"] == pytest.approx(
        [warmed_polynomial(0.1, step, 6, latest=0.8) for step in range(6)]
    )
    assert seen["asg"][:5] == pytest.approx(seen["csg"][:5])
    assert seen["asg"][5] > seen["csg"][5]
