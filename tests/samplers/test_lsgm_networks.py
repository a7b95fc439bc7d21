import math

import pytest
import torch
from scipy.integrate import solve_ivp
from torch.nn import functional as F

from gendata.samplers.networks.lsgm_decoder import mean_image
from gendata.samplers.networks.lsgm_diffusion import KINDS, build_diffusion
from gendata.samplers.networks.lsgm_ode import integrate
from gendata.samplers.networks.lsgm_parts import Arguments
from gendata.samplers.networks.lsgm_score import Attention, resample

ARGUMENTS = {
    "sde_type": "vpsde", "beta_start": 0.1, "beta_end": 20.0, "sigma2_0": 0.0,
    "sigma2_min": 3e-5, "sigma2_max": 0.999,
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_the_diffusions_are_consistent(kind):
    diffusion = build_diffusion(
        Arguments({**ARGUMENTS, "sde_type": kind, "sigma2_0": 3e-5}, "test")
    )
    times = torch.linspace(0, 0.95, 40, dtype=torch.float64)
    step = 1e-6
    slope = (diffusion.variance(times + step) - diffusion.variance(times - step)) / (2 * step)
    drift, noise = diffusion.drift(times), diffusion.diffusion(times)
    # Fokker-Planck for a Gaussian: d(variance)/dt = 2 f variance + g^2.
    assert torch.allclose(slope, 2 * drift * diffusion.variance(times) + noise, rtol=1e-4)
    # Standard normal latents have the variance m^2 + sigma^2, whose best prediction is linear.
    fine = torch.linspace(0, 0.5, 20001, dtype=torch.float64)
    mean = torch.trapezoid(diffusion.drift(fine), fine).exp()
    variance = diffusion.variance(fine[-1:])
    expected = variance.sqrt() / (mean**2 + variance)
    states = torch.ones(1, 1, dtype=torch.float64)
    found = diffusion.normal_prediction(states, fine[-1:])
    assert torch.allclose(found, expected[None], rtol=1e-3)


def test_velocity_is_the_probability_flow():
    diffusion = build_diffusion(Arguments(ARGUMENTS, "test"))
    states, times = torch.randn(2, 3, 2, 2).double(), torch.tensor([0.2, 0.7]).double()
    score = -states  # of a standard normal, for all times
    expected = torch.stack(
        [
            diffusion.drift(t) * x - 0.5 * diffusion.diffusion(t) * s
            for x, s, t in zip(states, score, times, strict=True)
        ]
    )
    noise = diffusion.normal_prediction(states, times)
    assert torch.allclose(diffusion.velocity(states, noise, times), expected, atol=1e-12)


def test_the_solver_takes_scipys_steps_for_each_trajectory():
    rates = torch.tensor([0.5, 3.0, 20.0], dtype=torch.float64)
    starts = torch.tensor([[1.0, 0.0], [0.3, -2.0], [5.0, 1.0]], dtype=torch.float64)
    evaluations = 0

    def velocity(times, states):
        nonlocal evaluations
        evaluations += 1
        turned = torch.stack([states[:, 1], -states[:, 0]], dim=1)
        return rates[:, None] * turned * torch.cos(times)[:, None]

    ends = integrate(velocity, starts, 1.0, 1e-3, 1e-5)
    calls = []
    for rate, start, end in zip(rates, starts, ends, strict=True):

        def slow(t, x, rate=float(rate)):
            return [rate * x[1] * math.cos(t), -rate * x[0] * math.cos(t)]

        solution = solve_ivp(slow, (1.0, 1e-3), start.numpy(), rtol=1e-5, atol=1e-5)
        assert (end - torch.from_numpy(solution.y[:, -1])).abs().max() < 1e-12
        calls.append(solution.nfev)
    assert evaluations == max(calls) > min(calls)


def test_the_solver_gives_up_on_trajectories_alone():
    def velocity(times, states):
        return torch.where(states > 5, torch.nan, -states)

    ends = integrate(velocity, torch.tensor([[1.0], [9.0]]).double(), 0.0, 1.0, 1e-6)
    assert abs(float(ends[0]) - math.exp(-1)) < 1e-5 and bool(ends[1].isnan())


@pytest.mark.parametrize("way", ["up", "down"])
def test_smooth_resampling(way):
    x = torch.randn(2, 3, 4, 6)
    row = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8
    kernel = torch.outer(row, row).expand(3, 1, 4, 4)
    if way == "up":  # zeros in between, then the filter
        spread = torch.zeros(2, 3, 8, 12)
        spread[:, :, ::2, ::2] = x
        expected = F.conv2d(F.pad(spread, (2, 1, 2, 1)), 4 * kernel, groups=3)
    else:
        expected = F.conv2d(F.pad(x, (1, 1, 1, 1)), kernel, groups=3)[:, :, ::2, ::2]
    assert torch.allclose(resample(x, way, True), expected, atol=1e-6)


def test_attention_is_softmax_over_places():
    torch.manual_seed(0)
    block = Attention(8).requires_grad_(False)
    for parameter in block.parameters():
        parameter.copy_(torch.randn_like(parameter))
    x = torch.randn(1, 8, 2, 3)
    places = block.GroupNorm_0(x)[0].flatten(1).t()  # (6, 8)
    query, key, value = (
        places @ layer.W + layer.b for layer in (block.NIN_0, block.NIN_1, block.NIN_2)
    )
    mixed = (query @ key.t() / math.sqrt(8)).softmax(dim=1) @ value @ block.NIN_3.W + block.NIN_3.b
    expected = (x + mixed.t().view(1, 8, 2, 3)) / math.sqrt(2)
    assert torch.allclose(block(x), expected, atol=1e-5)


def test_the_mean_of_a_mixture_of_logistics():
    outputs = torch.randn(1, 100, 1, 2)
    image = mean_image(outputs, "dml")
    for column in range(2):
        values = outputs[0, :, 0, column].tolist()
        shares = [math.exp(value) for value in values[:10]]
        shares = [share / sum(shares) for share in shares]
        colours, means, slopes = [], [], []
        for colour in range(3):
            part = values[10 + 30 * colour : 40 + 30 * colour]
            means.append(sum(s * m for s, m in zip(shares, part[:10], strict=True)))
            slopes.append(sum(s * math.tanh(k) for s, k in zip(shares, part[20:], strict=True)))
        colours.append(max(-1, min(1, means[0])))
        colours.append(max(-1, min(1, means[1] + slopes[0] * colours[0])))
        blue = means[2] + slopes[1] * colours[0] + slopes[2] * colours[1]
        colours.append(max(-1, min(1, blue)))
        assert torch.allclose(image[0, :, 0, column], torch.tensor(colours), atol=1e-5)
