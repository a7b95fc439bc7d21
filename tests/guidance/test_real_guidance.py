"""Real Guidance against its worked figures, A-GEM and its geometry."""

import torch

from gendata.guidance.real_guidance import merge, project


def agem(reference, current):
    """A-GEM's update, restated from equation 11 of Chaudhry et al. 2019."""
    dot = torch.dot(current, reference)
    if dot >= 0:
        return current
    return current - dot / torch.dot(reference, reference) * reference


def test_worked_figures():
    g_f, g_r = torch.tensor([1.0, -2, 0]), torch.tensor([1.0, 1, 1])
    projected = project(g_f, g_r)
    torch.testing.assert_close(projected, torch.tensor([4 / 3, -5 / 3, 1 / 3]))
    assert abs(torch.dot(projected, g_r)) < 1e-6
    update = merge(projected, g_r, 0.5, 2.0)
    torch.testing.assert_close(update, torch.tensor([19 / 6, -17 / 6, 7 / 6]))
    assert torch.equal(g_f, torch.tensor([1.0, -2, 0]))
    assert torch.equal(g_r, torch.tensor([1.0, 1, 1]))


def test_agreeing_gradients_are_left_alone():
    g_f, g_r = torch.tensor([1.0, -0.5, 0]), torch.tensor([1.0, 1, 1])
    assert torch.equal(project(g_f, g_r), g_f)


def test_lambdas_of_zero_and_one_are_agem_bit_for_bit():
    generator = torch.Generator().manual_seed(0)
    conflicts = 0
    for size in (1, 2, 17, 1000, 100_003) * 8:
        g_f = torch.randn(size, generator=generator)
        g_r = torch.randn(size, generator=generator)
        conflicts += int(torch.dot(g_f, g_r) < 0)
        memory = torch.empty(size)
        expected = agem(g_r, g_f)
        assert torch.equal(merge(project(g_f, g_r), g_r, 0, 1), expected)
        inplace = merge(project(g_f, g_r, out=memory), g_r, 0, 1, out=memory)
        assert torch.equal(inplace, expected)
    assert 5 < conflicts < 35


def test_a_real_gradient_of_zero_changes_nothing():
    g_f, zero = torch.tensor([1.0, -2, 0]), torch.zeros(3)
    assert torch.equal(merge(project(g_f, zero), zero, 1, 1), g_f)


def test_a_common_scale_is_a_factor_of_the_result():
    generator = torch.Generator().manual_seed(1)
    g_f, g_r = torch.randn(2, 50, generator=generator)
    g_f = g_f - 2 * g_r
    scale = 2.0**16
    assert torch.equal(project(scale * g_f, scale * g_r), scale * project(g_f, g_r))


def test_an_overflow_shows_in_the_result():
    finite = torch.tensor([1.0, -2, 0])
    for broken in (float("inf"), float("-inf"), float("nan")):
        gradient = torch.tensor([broken, 1.0, 1.0])
        assert not project(finite, gradient).isfinite().all()
        assert not project(gradient, finite).isfinite().all()
