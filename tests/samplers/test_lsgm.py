import argparse
import math
import re
import zlib

import pytest
import torch

from gendata import load_sampler
from gendata.errors import GendataError, UnusableImages
from gendata.models.weights import digest_of
from gendata.samplers.networks.lsgm_decoder import build_decoder
from gendata.samplers.networks.lsgm_parts import Arguments
from gendata.samplers.networks.lsgm_score import build_score
from gendata.seeds import image_noise

SEEDS = torch.tensor([3, 2**62 + 1, 5])
ARGUMENTS = {
    "dataset": "cifar10", "decoder_dist": "dml", "arch_instance": "res_bnswish", "use_se": True,
    "num_latent_scales": 1, "num_groups_per_scale": 2, "num_latent_per_group": 2,
    "num_channels_dec": 8, "num_postprocess_blocks": 1, "num_postprocess_cells": 2,
    "num_cell_per_cond_dec": 1, "channel_mult": [1, 2],
    "dae_arch": "ncsnpp", "num_channels_dae": 8, "num_scales_dae": 3, "num_cell_per_scale_dae": 1,
    "embedding_dim": 8, "embedding_type": "positional", "embedding_scale": 1.0, "fir": True,
    "progressive": "none", "progressive_input": "none", "progressive_combine": "sum",
    "mixed_prediction": True, "ema_decay": 0.9999,
    "sde_type": "vpsde", "beta_start": 0.1, "beta_end": 20.0, "sigma2_0": 0.0,
    "sigma2_min": 3e-5, "sigma2_max": 0.999,
}  # fmt: skip
BINARY = {
    "dataset": "mnist", "decoder_dist": "bin", "arch_instance": "res_mbconv",
    "channel_mult": [1, 2, 2], "num_postprocess_blocks": 2, "sde_type": "geometric_sde",
    "sigma2_0": 3e-5, "num_scales_dae": 2, "fir": False,
}  # fmt: skip
SKIPS = {
    "arch_instance": "res_bnswish2", "decoder_dist": "normal", "use_se": False,
    "sde_type": "sub_vpsde", "sigma2_0": 1e-4, "embedding_type": "fourier",
    "progressive": "output_skip", "progressive_input": "input_skip", "progressive_combine": "cat",
}  # fmt: skip
EXPLODING = {
    "arch_instance": "res_bnswish2", "decoder_dist": "dl", "sde_type": "vesde",
    "sigma2_0": 3e-5, "sigma2_max": 30.0, "fir": False, "progressive_input": "input_skip",
}  # fmt: skip
SCALES = {
    "dataset": "celeba_256", "num_latent_scales": 2, "num_groups_per_scale": 1,
    "channel_mult": [1, 1, 2], "arch_instance": "res_mbconv",
}  # fmt: skip
CASES = {"cifar": {}, "bin": BINARY, "skips": SKIPS, "exploding": EXPLODING, "scales": SCALES}


class Anything(dict):
    """Stands for a state dict before there is one: every tensor in it has the same shape."""

    def __init__(self, *shape):
        self.tensor = torch.zeros(shape)

    def __contains__(self, name):
        return True

    def __getitem__(self, name):
        return self.tensor

    def __len__(self):
        return 1000


def weights(name, shape, salt=""):
    """A tensor that its name decides."""
    generator = torch.Generator().manual_seed(zlib.crc32(f"{salt}{name}".encode()))
    values = torch.randn(shape, generator=generator)
    if name.endswith("running_var"):
        return values.abs() + 0.5
    if name == "mixing_logit":
        return values - 4
    if len(shape) == 1:
        return 0.1 * values + name.endswith("weight")
    if name.endswith("log_weight_norm"):
        return 0.1 * values
    return values / max(1, math.prod(shape[1:])) ** 0.5


def state_dicts(options, side):
    """Names and tensors of both networks."""
    arguments = Arguments(options, "test")
    width = options["channel_mult"][-1] * options["num_channels_dec"]
    decoder = build_decoder(arguments, Anything(width, side, side))
    channels = options["num_groups_per_scale"] * options["num_latent_per_group"]
    score = build_score(arguments, Anything(8, 1, 1, 1), channels, side)
    return [
        {name: weights(name, value.shape) for name, value in network.state_dict().items()}
        for network in (decoder, score)
    ]


@pytest.fixture
def save(tmp_path):
    """Writes a checkpoint of a tiny LSGM, as the authors' training does."""

    def write(options=None, name="checkpoint_fid.pt", change=None):
        options = {**ARGUMENTS, **(options or {})}
        vae, dae = state_dicts(options, 32 >> (len(options["channel_mult"]) - 1))
        vae["stem.weight"] = torch.zeros(4, 3, 3, 3)  # of the encoder, which nothing draws with
        content = {"args": argparse.Namespace(**options), "epoch": 3}
        content |= {"vae_state_dict": vae, "dae_state_dict": dae}
        if name == "checkpoint.pt":
            averages = {
                place: {"step": 1, "ema": weights(name, value.shape, "ema")}
                for place, (name, value) in enumerate(dae.items())
                if name != "temb_fun.w"  # not trained: among the parameters, but without a state
            }
            group = {"lr": 1e-4, "params": list(range(len(dae)))}
            content["dae_optimizer"] = {"state": averages, "param_groups": [group]}
        if change:
            change(content)
        torch.save(content, tmp_path / name)
        return tmp_path / name

    return write


def load(path, **options):
    return load_sampler(f"lsgm:{path}", device="cpu", **options)


def probe(values):
    """A few of the values."""
    return values.flatten()[torch.linspace(0, values.numel() - 1, 6).long()]


PUBLISHED = {
    ("cifar", "checkpoint.pt"): (
        [0.266039, 0.270326, 0.083961, 0.591091, -0.279069, 0.453014],
        [-1.491159, -1.482161, -1.250655, -2.199661, -0.594151, 1.10317],
        [-0.007195, 0.122633, -0.174355, 0.135328, 0.290995, -0.101627],
    ),
    ("cifar", "checkpoint_nll.pt"): (
        [-0.179018, 0.163265, 0.541034, -0.053671, -0.338499, -0.444295],
        [-1.227281, -2.512522, -1.190852, -1.725498, -0.601649, 1.116939],
        [0.008375, 0.330194, -0.312345, 0.142333, 0.715811, -0.118569],
    ),
    ("bin", "checkpoint.pt"): (
        [-0.011937, -0.685862, 0.185289, 0.051101, 0.466614, -0.04504],
        [-1.312954, -0.142088, 0.688621, 0.095897, 0.520177, 0.610973],
        [0.212103, 0.091689, 0.293795, 0.206093, 0.189424, 0.307401],
    ),
    ("bin", "checkpoint_nll.pt"): (
        [0.10597, -1.183844, 0.967794, 0.09295, -0.490543, 0.424917],
        [-1.20291, 0.291952, 0.643997, 0.081587, 0.553277, 0.556324],
        [0.187278, 0.108844, 0.278812, 0.227423, 0.19485, 0.287258],
    ),
    ("skips", "checkpoint.pt"): (
        [-0.622048, -0.202509, 0.261685, -0.271437, 0.059287, 0.464264],
        [-1.228021, -1.402392, -1.2679, -1.891517, -0.622835, 1.150566],
        [0.638061, -0.43082, -0.051698, -0.065736, -0.05532, -0.265421],
    ),
    ("skips", "checkpoint_nll.pt"): (
        [0.702643, 0.964537, -1.353672, 0.917876, 0.86127, -0.389076],
        [-1.331592, -3.785167, -1.100815, -1.704127, -0.667627, 1.121271],
        [0.519626, -0.32509, 0.792271, -0.612284, 0.377121, -0.28095],
    ),
    ("exploding", "checkpoint.pt"): (
        [0.251435, 0.12492, 0.427186, 1.218952, -0.650494, 0.372718],
        [-1.223268, -1.27673, -1.155091, -1.747173, -0.57934, 1.058106],
        [0.587284, -0.407421, -0.045871, -0.056437, -0.018199, -0.272954],
    ),
    ("exploding", "checkpoint_nll.pt"): (
        [-0.085869, -0.565876, -0.394334, -0.025397, 0.192567, 0.087709],
        [-1.139687, -1.299107, -1.118063, -1.582488, -0.587457, 1.050512],
        [0.589475, -0.366588, -0.056539, 0.051741, -0.061239, -0.262848],
    ),
    ("scales", "checkpoint.pt"): (
        [0.081606, -0.371464, -0.209825, -0.35487, -0.20748, -0.282441],
        [-1.444892, 0.351881, -0.23314, -0.152072, -0.482384, 0.451766],
        [0.027766, -0.014127, -0.062463, 0.644449, 0.121258, -0.17017],
    ),
    ("scales", "checkpoint_nll.pt"): (
        [-0.169666, -0.072315, -0.434054, 0.779832, -0.163484, 0.309773],
        [-1.212988, 0.184109, 0.185585, -0.27295, -0.662889, 0.238055],
        [0.00462, 0.044808, -0.089484, 1.0, 0.156021, -0.11319],
    ),
}


@pytest.mark.parametrize(("case", "name"), PUBLISHED)
def test_the_authors_code_returns_the_same(save, case, name):
    # Numbers of the official code (in float32, on CPU, one image a batch) with the same weights.
    expected = PUBLISHED[case, name]
    sampler = load(save(CASES[case], name))
    noise = image_noise([0, 1], sampler.latent_shape)
    with torch.inference_mode():
        score = sampler.score(noise, torch.tensor([0.9, 0.01]))
    latents = sampler.latents(noise)
    finer = [image_noise([2, 3], shape) for shape in sampler.decoder.latent_shapes[1:]]
    images = sampler.decode(latents, finer if case == "scales" else [])
    for values, wanted, close in zip(
        (score, latents, images), expected, (1e-5, 1e-3, 1e-4), strict=True
    ):
        assert torch.allclose(probe(values), torch.tensor(wanted), rtol=0, atol=close), (
            values.std()
        )


@pytest.mark.parametrize("case", CASES)
def test_images(save, case):
    sampler = load(save(CASES[case]), tolerance=1e-3)
    images = sampler.sample(None, SEEDS)
    assert images.dtype == torch.uint8 and images.shape == (3, 3, 32, 32)
    assert sampler.resolution == 32 and sampler.classes is None
    assert images.float().std() > 1 and not torch.equal(images[0], images[1])
    assert torch.equal(sampler.sample(None, SEEDS), images)
    if case == "bin":
        assert torch.equal(images[:, 0], images[:, 2])


def test_an_image_depends_on_its_seed_alone(save):
    sampler = load(save(SCALES), tolerance=1e-3)
    images = sampler.sample(None, SEEDS).int()
    assert torch.equal(sampler.sample(None, SEEDS.flip(0)).flip(0), images)
    others = sampler.sample(None, torch.tensor([9, 8, 5]))
    assert torch.equal(others[2], images[2]) and not torch.equal(others[1], images[1])
    # Another batch size means other last bits of rounding.
    for size in (1, 2, 5):
        seeds = torch.cat([SEEDS[1:2], torch.arange(10, 9 + size)])
        assert (sampler.sample(None, seeds)[0] - images[1]).abs().max() <= 1


def test_the_card_and_the_options(save):
    path = save()
    sampler = load(path)
    settings = sampler.card.settings
    assert settings["tolerance"] == 1e-5 and settings["eps"] == 1e-6 and settings["ema"] is False
    assert sampler.card.sha256 == digest_of(path) and settings["temperature"] == 1.0
    assert load(save(BINARY)).card.settings["eps"] == 1e-5
    path = save(SCALES)
    images = load(path, tolerance=1e-3).sample(None, SEEDS).float()
    for options in ({"temperature": 0.5}, {"decoder_temperature": 0.0}, {"tolerance": 1e-2}):
        changed = load(path, **{"tolerance": 1e-3, **options}).sample(None, SEEDS)
        assert 0 < (changed - images).abs().mean() < (3 if "tolerance" in options else 128)
    assert not torch.equal(load(path, tolerance=1e-3, eps=0.3).sample(None, SEEDS), images.byte())


def test_averages_are_swapped_in_where_the_name_says_so(save, tmp_path):
    path = save(name="checkpoint.pt")
    averaged = load(path)
    expected = weights("all_modules.3.Conv_0.weight", (8, 8, 3, 3), "ema")
    assert torch.equal(averaged.score.all_modules[3].Conv_0.weight, expected)
    plain = load(path, ema=False).score.all_modules[3].Conv_0.weight
    assert torch.equal(plain, weights("all_modules.3.Conv_0.weight", (8, 8, 3, 3)))
    assert averaged.card.settings["ema"] is True
    path.rename(tmp_path / "mine.pt")
    with pytest.raises(GendataError, match="does not say .* found mine.pt; expected one of check"):
        load(tmp_path / "mine.pt")
    assert load(tmp_path / "mine.pt", ema=True).card.settings["ema"] is True


def test_without_an_average_the_weights_stay(save):
    sampler = load(save({"ema_decay": 0.0}, "checkpoint.pt"))
    expected = weights("all_modules.0.weight", (32, 8))
    assert torch.equal(sampler.score.all_modules[0].weight, expected)


def test_images_that_are_not_finite(save):
    def break_it(content):
        content["dae_state_dict"]["all_modules.0.weight"][0, 0] = torch.nan

    sampler = load(save(change=break_it))
    with pytest.raises(UnusableImages) as caught:
        sampler.sample(None, SEEDS)
    assert caught.value.bad.all()


def drop(part, name):
    return lambda content: content[part].pop(name)


def put(part, name, value):
    return lambda content: content[part].update({name: value})


MISTAKES = [
    (lambda c: c.pop("args"), "no checkpoint of LSGM; found a dictionary of 'epoch'"),
    (lambda c: c.update(args=[1]), "holds no arguments; found list"),
    (lambda c: c.update(dae_state_dict=[1]), "no tensors by name in dae_state_dict"),
    (put("vae_state_dict", "prior_ftr0", 3), "no tensors by name in vae_state_dict"),
    (drop("vae_state_dict", "prior_ftr0"), "no tensor prior_ftr0 of 3 dimensions"),
    (drop("vae_state_dict", "dec_tower.0.conv.weight"), "1 missing (dec_tower.0.conv.weight)"),
    (put("vae_state_dict", "dec_tower.9.x", torch.ones(1)), "1 unknown (dec_tower.9.x)"),
    (
        put("dae_state_dict", "all_modules.0.bias", torch.ones(3)),
        "1 misshapen (all_modules.0.bias",
    ),
    (drop("dae_state_dict", "all_modules.3.Conv_0.weight"), "no tensor all_modules.3.Conv_0"),
    (lambda c: setattr(c["args"], "sde_type", "ddpm"), "found 'ddpm'; expected one of vpsde"),
    (lambda c: setattr(c["args"], "sde_type", ["vpsde"]), "sde_type of"),
    (lambda c: setattr(c["args"], "num_groups_per_scale", 10**9), "whole number from 1 to 256"),
    (lambda c: setattr(c["args"], "num_cell_per_scale_dae", "2"), "whole number from 1 to 64"),
    (lambda c: setattr(c["args"], "num_channels_dec", 65536), "does not fit its own arguments"),
    (lambda c: setattr(c["args"], "channel_mult", [1, 2, 4]), "channel_mult of"),
    (lambda c: setattr(c["args"], "beta_end", math.nan), "beta_end of"),
    (lambda c: setattr(c["args"], "beta_end", 0.05), "describe no diffusion"),
    (lambda c: setattr(c["args"], "arch_instance", "mine"), "one of res_bnswish, res_bnswish2"),
    (lambda c: setattr(c["args"], "progressive", "residual"), "one of none, output_skip"),
    (lambda c: setattr(c["args"], "num_scales_dae", 6), "sides that can be halved"),
    (lambda c: setattr(c["args"], "num_postprocess_blocks", 8), "at most 1024 pixels a side"),
    (lambda c: setattr(c["args"], "embedding_dim", 2), "embedding_dim of"),
    (lambda c: delattr(c["args"], "use_se"), "use_se of"),
    (lambda c: setattr(c["args"], "sigma2_0", 10**20), "found a very large number"),
    (lambda c: setattr(c["args"], "embedding_scale", []), "found list; expected a number"),
    (lambda c: setattr(c["args"], "num_cell_per_cond_dec", 64), "tensors; expected those of"),
]


@pytest.mark.parametrize(("change", "words"), MISTAKES)
def test_files_that_do_not_fit(save, change, words):
    with pytest.raises(GendataError, match=re.escape(words)) as caught:
        load(save(change=change))
    assert "\n" not in str(caught.value)


def lose_average(content):
    content["dae_optimizer"]["state"].pop(4)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: c.pop("dae_optimizer"), "no state of an optimiser; give the option ema=false"),
        (lambda c: c.update(dae_optimizer={"state": 3, "param_groups": 4}), "no state of an opt"),
        (lose_average, "has not the averaged weights of its network"),
        (lambda c: c["dae_optimizer"]["param_groups"].append({"params": [99]}), "expected"),
    ],
)
def test_averages_that_do_not_fit(save, change, words):
    with pytest.raises(GendataError, match=re.escape(words)):
        load(save(name="checkpoint.pt", change=change))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"tolerance": 0}, "bad option tolerance; found 0; expected a number from 1e-10 to 1"),
        ({"eps": 1.0}, "bad option eps"),
        ({"temperature": "hot"}, "bad option temperature; found hot"),
        ({"decoder_temperature": math.nan}, "bad option decoder_temperature"),
        ({"ema": "yes"}, "bad option ema; found yes; expected true or false"),
        ({"half": "no"}, "bad option half; found no; expected true or false"),
        ({"steps": 4}, "no option steps"),
    ],
)
def test_bad_options(save, options, words):
    with pytest.raises(GendataError, match=re.escape(words)):
        load(save(), **options)


def test_mixed_precision(save):
    path = save()
    full, half = load(path), load(path, half=True)
    noise = image_noise(SEEDS, full.latent_shape)
    times = torch.full((3,), 0.5, dtype=torch.float64)
    expected, found = (each.velocity(noise.double(), times) for each in (full, half))
    assert 1e-6 < (found - expected).abs().max() / expected.std() < 1e-2
    assert half.card.settings["half"] is True


def test_labels_and_damaged_files(save, tmp_path):
    with pytest.raises(GendataError, match="unconditional"):
        load(save()).sample(torch.zeros(3, dtype=torch.int64), SEEDS)
    path = save()
    path.write_bytes(path.read_bytes()[:-900])
    with pytest.raises(GendataError, match="checkpoint"):
        load(path)
    with pytest.raises(GendataError, match="cannot be read"):
        load(tmp_path / "nowhere" / "checkpoint.pt")


def test_tensors_that_share_bytes_are_refused(save):
    def repeat(content):
        one = torch.randn(200_000)
        content["vae_state_dict"] |= {f"enc.{i}": one for i in range(9)}

    with pytest.raises(GendataError, match="more than the file has"):
        load(save(change=repeat))


def test_published_names():
    vae, dae = state_dicts(ARGUMENTS, 16)
    shapes = {name: tuple(value.shape) for name, value in {**vae, **dae}.items()}
    assert shapes["dec_tower.1._ops.0.bn_act.running_mean"] == (16,)
    assert shapes["dec_tower.1._ops.1.conv_0.log_weight_norm"] == (16, 1, 1, 1)
    assert shapes["dec_tower.1.se.se.2.weight"] == (16, 4)
    assert shapes["post_process.0.skip.1.weight"] == (8, 16, 1, 1)
    assert shapes["image_conditional.1.bias"] == (100,) and shapes["eps_conv.1.bias"] == (2,)
    assert shapes["mixing_logit"] == (1, 4, 1, 1)
    assert shapes["all_modules.4.NIN_3.W"] == (8, 8)  # attention follows a block at side 16
    assert shapes["all_modules.5.Conv_2.weight"] == (8, 8, 1, 1)
    vae, _ = state_dicts({**ARGUMENTS, "arch_instance": "res_mbconv"}, 16)
    shapes = {name: tuple(value.shape) for name, value in vae.items()}
    assert shapes["dec_tower.1._ops.0.conv.0.bn.weight"] == (16,)
    assert shapes["dec_tower.1._ops.0.conv.2.conv.0.weight"] == (96, 1, 5, 5)
    assert shapes["post_process.0._ops.0.conv.5.bn.bias"] == (8,)
