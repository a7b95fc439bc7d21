"""The bare parts are those of the methods: the same passes, and where no more is done one update.

Passes are counted in operations of matrix products and convolutions, not in seconds.
"""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from gendata.benchmarks.speed import method_steps
from gendata.benchmarks.speed.method_parts import PARTS, Bare, long_tailed_by_loop
from gendata.benchmarks.speed.one_step import learner_and_batch
from gendata.registry import methods

ROWS = 20  # two of each class, so that LTDA's class weights are all 1
KEEPS = [name for name, parts in PARTS.items() if parts.keeps]


def operations(work):
    with FlopCounterMode(display=False) as counter:
        work()
    return counter.get_total_flops()


@pytest.fixture
def in_operations(monkeypatch):
    """Rows of `compare` in operations, where they would be in seconds."""
    monkeypatch.setattr(method_steps, "seconds", operations)
    return lambda name, **options: method_steps.compare(name, batch_size=ROWS, pairs=1, **options)


def test_every_method_has_parts():
    ours = [n for n in methods.names() if methods.get(n).__module__.startswith("gendata.")]
    assert sorted(PARTS) == ours


@pytest.mark.parametrize("name", PARTS)
def test_parts_hold_no_pass_that_the_step_does_not_make(name, in_operations):
    found = in_operations(name)
    assert found.name == f"{name} step / its parts" and found.asked == "<= 1.15"
    assert 1 <= found.value < 1.05
    assert PARTS[name].says in found.how


@pytest.mark.parametrize("name", KEEPS)
def test_kept_features_are_no_part(name, in_operations):
    whole, kept = (in_operations(name, views=views) for views in (0, 1))
    assert kept.name == f"{name} step / its parts, fixed views"
    assert 1 <= kept.value < 1.05
    parts_of = [float(row.how.split()[2]) for row in (kept, whole)]
    assert parts_of[0] < 0.9 * parts_of[1]


@pytest.mark.parametrize("name", ["real", "fake", "aug", "adp", "ltda"])
def test_parts_with_nothing_left_over_make_the_same_update(name):
    with method_steps.prepared(name, batch_size=ROWS) as (method, batch, bare):
        for _ in range(2):
            method.step(batch, 0.9)
            PARTS[name].run(bare)
    mine, theirs = method.learner.bare.state_dict(), bare.network.state_dict()
    start = learner_and_batch("small-cnn", 28, ROWS)[0].bare.state_dict()
    for key, value in mine.items():
        torch.testing.assert_close(value, theirs[key], atol=2e-6, rtol=1e-5)
    assert not torch.equal(mine["backbone.linear.weight"], start["backbone.linear.weight"])


def test_a_loop_over_examples_makes_ltdas_update():
    """With weights that move far, so that they matter."""
    learner, batch = learner_and_batch("small-cnn", 28, ROWS)
    method = methods.get("ltda")(eps_step=1e5)
    method.prepare(learner)
    bare = Bare(method, learner, batch)
    before = bare.network.backbone.linear.weight.detach().clone()
    method.step(batch, 0.9)
    long_tailed_by_loop(bare)
    for mine, theirs in zip(learner.bare.parameters(), bare.network.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, atol=2e-6, rtol=1e-4)
    assert (learner.bare.backbone.linear.weight - before).abs().max() > 5e-5
