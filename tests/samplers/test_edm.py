import math
import re

import edm_lookalikes as lookalikes
import numpy as np
import pytest
import torch

from gendata import load_sampler
from gendata.errors import GendataError, UnusableImages
from gendata.models.weights import digest_of
from gendata.samplers.edm import heun_sampler, noise_levels
from gendata.seeds import hash_seed, image_noise

LABELS, SEEDS = torch.tensor([2, 0, 1]), torch.tensor([3, 4, 5])
CHURN = {"churn": 4, "churn_min": 0.01, "churn_max": 30, "churn_noise": 1.003}


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    folder = tmp_path_factory.mktemp("edm")
    return lookalikes.save(folder / "net.pkl", classes=3)[1]


def load(path, **options):
    return load_sampler(f"edm:{path}", device="cpu", **{"steps": 3, **options})


def test_the_published_network_and_sampler(shared):
    folder = shared / "checkpoints"
    sampler = load(folder / "edm_ddpmpp_cond16.pkl", steps=6)
    with np.load(folder / "edm_ddpmpp_cond16.npz") as file:
        vectors = {name: torch.from_numpy(file[name]) for name in file}
    noise, sigma, labels = vectors["x"], vectors["sigma"], vectors["c"].argmax(dim=1)
    denoised = sampler.denoise(noise * sigma[:, None, None, None], sigma, labels)
    assert denoised.dtype == torch.float32
    assert (denoised - vectors["denoised"]).abs().max() < 1e-4 * vectors["denoised"].std()
    drawn = heun_sampler(lambda x, sigma: sampler.denoise(x, sigma, labels), noise, sampler.sigmas)
    assert drawn.dtype == torch.float64
    assert (drawn - vectors["sample_heun6"]).abs().max() < 1e-4 * vectors["sample_heun6"].std()


def test_images_and_card(path):
    sampler = load(path)
    images = sampler.sample(LABELS, SEEDS)
    assert images.dtype == torch.uint8 and images.shape == (3, 3, 8, 8)
    assert images.float().std() > 20
    assert sampler.resolution == 8 and sampler.classes == ["0", "1", "2"]
    assert sampler.card.sha256 == digest_of(path)
    expected = {"steps": 3, "churn": 0.0, "churn_max": None, "family": "EDMPrecond SongUNet"}
    assert expected.items() <= sampler.card.settings.items()


@pytest.mark.parametrize("options", [{}, CHURN])
def test_an_image_depends_on_its_label_and_seed_alone(path, options):
    sampler = load(path, **options)
    images = sampler.sample(LABELS, SEEDS)
    assert torch.equal(sampler.sample(LABELS, SEEDS), images)
    assert torch.equal(load(path, **options).sample(LABELS, SEEDS), images)
    other = sampler.sample(torch.tensor([2, 1, 0]), torch.tensor([3, 8, 9]))
    assert torch.equal(other[0], images[0]) and not torch.equal(other[1], images[1])
    alone = sampler.sample(LABELS[1:2], SEEDS[1:2]).int()  # another shape rounds elsewhere
    assert (alone - images[1:2].int()).abs().max() <= 1
    assert not torch.equal(sampler.sample(LABELS.flip(0), SEEDS), images)


def test_bytes_are_cut_off_as_the_authors_do(path):
    sampler = load(path, **CHURN)
    network, reference = sampler.network, lookalikes.save(path, classes=3)[0]
    shape = (3, 8, 8)
    x = restated(
        lambda x, sigma: reference(x, sigma, LABELS),
        image_noise(SEEDS, shape).double(),
        sampler.sigmas.tolist(),
        lambda step: image_noise([hash_seed(seed, 1, step) for seed in SEEDS.tolist()], shape),
        **CHURN,
    )
    expected = torch.tensor((x * 127.5 + 128).clamp(0, 255).numpy().astype(np.uint8))
    differences = (sampler.sample(LABELS, SEEDS).int() - expected.int()).abs()
    assert network.classes == 3 and differences.max() <= 1 and (differences > 0).sum() < 5


def restated(denoise, noise, sigmas, step_noise, churn, churn_min, churn_max, churn_noise):
    """Algorithm 2, line by line."""
    times, steps = [*sigmas, 0.0], len(sigmas)
    x = times[0] * noise
    for i in range(steps):
        inside = churn_min <= times[i] <= churn_max
        gamma = min(churn / steps, math.sqrt(2) - 1) if inside else 0
        hat = times[i] + gamma * times[i]
        if gamma:
            x = x + math.sqrt(hat**2 - times[i] ** 2) * churn_noise * step_noise(i).double()
        d = (x - denoise(x, torch.full((len(x),), hat, dtype=torch.float64))) / hat
        following = x + (times[i + 1] - hat) * d
        if times[i + 1] != 0:
            at = torch.full((len(x),), times[i + 1], dtype=torch.float64)
            d_prime = (following - denoise(following, at)) / times[i + 1]
            following = x + (times[i + 1] - hat) * (d / 2 + d_prime / 2)
        x = following
    return x


def gaussian(x, sigma):
    """The exact denoiser of images that are normal around 0.2 with variance 0.25."""
    weight = (0.25 / (0.25 + sigma**2)).view(-1, 1, 1, 1)
    return 0.2 + weight * (x - 0.2)


@pytest.mark.parametrize("options", [{**CHURN, "churn": 0}, CHURN, {**CHURN, "churn": 1e9}])
def test_the_sampler_is_algorithm_2(options):
    noises = torch.randn(10, 5, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    sigmas = noise_levels(9, 0.01, 60, 7.0)
    drawn = heun_sampler(gaussian, noises[9], sigmas, step_noise=noises.__getitem__, **options)
    expected = restated(
        gaussian, noises[9].double(), sigmas.tolist(), noises.__getitem__, **options
    )
    assert torch.allclose(drawn, expected, rtol=0, atol=1e-12)


def test_a_churn_needs_noise():
    with pytest.raises(GendataError, match="give step_noise"):
        heun_sampler(gaussian, torch.zeros(1, 1, 1, 1), torch.ones(1), churn=1)


@pytest.mark.parametrize("churn", [0.0, 20.0])
def test_normal_images_come_out_normal(churn):
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(20_000, 1, 1, 1, generator=generator)
    drawn = heun_sampler(
        gaussian,
        noise,
        noise_levels(100, 0.002, 80, 7.0),
        churn=churn,
        step_noise=lambda _: torch.randn(noise.shape, generator=generator),
    )
    assert abs(drawn.mean() - 0.2) < 0.02 and abs(drawn.std() - 0.5) < 0.02


def test_noise_levels_are_equation_5():
    sigmas = noise_levels(18, 0.002, 80.0, 7.0)
    assert sigmas.dtype == torch.float64 and len(sigmas) == 18
    for i, sigma in enumerate(sigmas.tolist()):
        root = 80 ** (1 / 7) + i / 17 * (0.002 ** (1 / 7) - 80 ** (1 / 7))
        assert math.isclose(sigma, root**7, rel_tol=1e-12)
    assert noise_levels(1, 0.002, 80.0, 7.0).tolist() == [80.0]


def test_presets_are_the_papers(path):
    cifar = load_sampler(f"edm:{path}", device="cpu", preset="cifar10").card.settings
    assert (cifar["steps"], cifar["churn"], cifar["sigma_min"], cifar["sigma_max"]) == (
        *(18, 0.0),
        *(0.002, 80.0),
    )
    imagenet = load_sampler(f"edm:{path}", device="cpu", preset="imagenet-64").card.settings
    names = ["steps", "churn", "churn_min", "churn_max", "churn_noise", "rho"]
    assert [imagenet[name] for name in names] == [256, 40.0, 0.05, 50.0, 1.003, 7.0]
    mixed = load_sampler(f"edm:{path}", device="cpu", preset="imagenet-64", steps=4, churn=0)
    assert (mixed.card.settings["steps"], mixed.card.settings["churn"]) == (4, 0.0)


def test_noise_stays_within_what_the_network_knows(tmp_path):
    _, path = lookalikes.save(tmp_path / "net.pkl", lookalikes.VEPrecond)
    sampler = load(path, sigma_min=0.001, sigma_max=1000)
    assert math.isclose(sampler.sigmas[0], 100) and math.isclose(sampler.sigmas[-1], 0.02)
    reference, path = lookalikes.save(tmp_path / "iddpm.pkl", lookalikes.iDDPMPrecond)
    sampler = load(path, steps=5, **CHURN)
    assert {*sampler.sigmas.tolist()} <= {*reference.u.tolist()}
    assert sampler.sample(None, SEEDS).shape == (3, 3, 8, 8)


def test_unconditional_and_grey(tmp_path):
    _, path = lookalikes.save(tmp_path / "net.pkl", channels=1)
    sampler = load(path)
    images = sampler.sample(None, SEEDS)
    assert sampler.classes is None and images.shape == (3, 3, 8, 8)
    assert torch.equal(images[:, 0], images[:, 2])
    with pytest.raises(GendataError, match="unconditional"):
        sampler.sample(LABELS, SEEDS)


def test_images_that_are_not_finite_are_named(tmp_path):
    reference, path = lookalikes.save(tmp_path / "net.pkl", classes=3)
    reference.model.map_label.weight[:, 1] = math.nan
    lookalikes.repickle(path, reference.float())
    with pytest.raises(UnusableImages) as caught:
        load(path).sample(LABELS, SEEDS)
    assert caught.value.bad.tolist() == [False, False, True]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"preset": "cifar"}, "bad option preset; found 'cifar'; expected cifar10 or imagenet-64"),
        ({"steps": 0}, "bad option steps"),
        ({"steps": 2.5}, "bad option steps"),
        ({"steps": "many"}, "bad option steps"),
        ({"rho": 0}, "bad option rho"),
        ({"churn": -1}, "bad option churn"),
        ({"churn": math.inf}, "bad option churn"),
        ({"churn_noise": math.nan}, "bad option churn_noise"),
        ({"sigma_min": 90}, "bad options sigma_min and sigma_max; found 90 and 80"),
        ({"sigma_min": 0}, "bad options sigma_min and sigma_max"),
        ({"sigma_max": math.inf}, "bad options sigma_min and sigma_max"),
        ({"dtype": "float16"}, "expected float32 on a CPU"),
        ({"dtype": "int8"}, "bad option dtype"),
        ({"network": "net"}, "has no network 'net'; found ema"),
        ({"classes": 4}, "found 4 classes; expected 3, as the network has"),
        ({"psi": 0.7}, "no option psi"),
    ],
)
def test_mistakes_are_one_line(path, options, words):
    with pytest.raises(GendataError, match=re.escape(words)) as caught:
        load(path, **options)
    assert "\n" not in str(caught.value)


def test_labels_and_shapes_are_checked(path):
    sampler = load(path, classes=["cat", "dog", "owl"])
    assert sampler.classes == ["cat", "dog", "owl"]
    x, sigma = torch.zeros(3, 3, 8, 8), torch.ones(3)
    assert torch.equal(
        sampler.denoise(x, torch.tensor(1.0), LABELS), sampler.denoise(x, sigma, LABELS)
    )
    with pytest.raises(GendataError, match="outside the sampler's classes"):
        sampler.sample(LABELS + 1, SEEDS)
    with pytest.raises(GendataError, match="needs labels"):
        sampler.denoise(x, sigma)
    with pytest.raises(GendataError, match="do not fit the network"):
        sampler.denoise(x[..., 1:], sigma, LABELS)
    with pytest.raises(GendataError, match="do not fit the network"):
        sampler.denoise(x, sigma[1:], LABELS)


def test_files_that_are_no_network(tmp_path):
    path = tmp_path / "net.pkl"
    path.write_bytes(b"\x80\x04\x95 not a pickle")
    with pytest.raises(GendataError):
        load(path)
    with pytest.raises(GendataError, match="cannot be read"):
        load(tmp_path / "missing.pkl")
    lookalikes.repickle(path, {"weights": 3})
    with pytest.raises(GendataError, match="has no network 'ema'"):
        load(path)
    lookalikes.repickle(path, torch.nn.Linear(2, 2))
    with pytest.raises(GendataError, match="expected EDMPrecond, VPPrecond"):
        load(path)


def test_other_channels_than_grey_and_rgb(tmp_path):
    _, path = lookalikes.save(tmp_path / "net.pkl", channels=2)
    with pytest.raises(GendataError, match="found 2 channels; expected 1 or 3"):
        load(path)
