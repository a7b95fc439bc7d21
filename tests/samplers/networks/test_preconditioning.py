import math
import random

import edm_lookalikes as lookalikes
import pytest
import torch

from gendata.errors import GendataError
from gendata.samplers.networks.preconditioning import IddpmScaling, VpScaling, build
from gendata.samplers.records import Record
from gendata.samplers.restricted_pickle import read_checkpoint

KINDS = [
    lookalikes.EDMPrecond,
    lookalikes.VPPrecond,
    lookalikes.VEPrecond,
    lookalikes.iDDPMPrecond,
]


def built(path):
    return build(read_checkpoint(path)["ema"], path.stat().st_size)


def deviation(reference, denoiser, classes=0):
    """Largest difference to the reference at three noise levels, in its standard deviations."""
    side, channels = reference.img_resolution, reference.img_channels
    sigma = torch.tensor([0.05, 0.8, 30.0])
    x = torch.randn(3, channels, side, side, generator=torch.Generator().manual_seed(1))
    x = x * sigma[:, None, None, None]
    labels = torch.arange(3) % classes if classes else None
    expected = reference(x.double(), sigma.double(), labels)
    with torch.inference_mode():
        image = denoiser(x, sigma, labels)
    assert image.dtype == torch.float32
    return ((image - expected).abs().amax((1, 2, 3)) / expected.std((1, 2, 3))).max().item()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("network", [lookalikes.SongUNet, lookalikes.DhariwalUNet])
def test_every_column_of_table_1(tmp_path, kind, network):
    reference, path = lookalikes.save(tmp_path / "net.pkl", kind, network=network, classes=5)
    denoiser = built(path)
    assert denoiser.kind == (kind.__name__, network.__name__)
    assert deviation(reference, denoiser, classes=5) < 1e-4
    assert (denoiser.least_sigma, denoiser.most_sigma) == (
        reference.sigma_min,
        reference.sigma_max,
    )


def test_iddpm_knows_discrete_levels_alone(tmp_path):
    reference, path = lookalikes.save(tmp_path / "net.pkl", lookalikes.iDDPMPrecond)
    scaling = built(path).scaling
    assert isinstance(scaling, IddpmScaling)
    levels = reference.u.float()
    sigma = torch.tensor([0.0, 0.013, 1.1, 79.0, 1e6], dtype=torch.float64)
    rounded = scaling.round_sigma(sigma)
    expected = [min(levels.tolist(), key=lambda level: abs(level - s)) for s in sigma.tolist()]
    assert rounded.dtype == torch.float64 and rounded.tolist() == expected
    assert torch.equal(scaling.round_sigma(rounded), rounded)
    assert scaling.round_sigma(sigma[2]).shape == ()


def test_vp_turns_noise_into_the_time_it_came_from():
    time = torch.linspace(0.01, 1, 9, dtype=torch.float64)
    sigma = torch.expm1(0.5 * 19.9 * time**2 + 0.1 * time).sqrt()
    noise = VpScaling(19.9, 0.1, 1000)(sigma).noise
    assert torch.allclose(noise, 999 * time)


def test_half_precision_files_become_float32(tmp_path):
    reference, path = lookalikes.save(tmp_path / "net.pkl", classes=3)
    lookalikes.repickle(path, reference.half())
    denoiser = built(path)
    assert {value.dtype for value in denoiser.parameters()} == {torch.float32}
    assert deviation(reference.double(), denoiser, classes=3) < 1e-4


def test_layers_cast_for_an_accelerator_stay_near(tmp_path):
    reference, path = lookalikes.save(tmp_path / "net.pkl", classes=3)
    denoiser = built(path).cast(torch.bfloat16)
    assert denoiser.model.enc["8x8_conv"].weight.dtype == torch.bfloat16
    assert 1e-5 < deviation(reference, denoiser, classes=3) < 0.3


def test_drawing_needs_no_more_memory_than_the_file(tmp_path):
    _, path = lookalikes.save(tmp_path / "net.pkl")
    with pytest.raises(GendataError, match="larger than its file"):
        build(read_checkpoint(path)["ema"], path.stat().st_size // 2)


def mutated(reference, change):
    change(reference)
    return reference.float()


def narrow(layer):
    layer.weight = torch.nn.Parameter(layer.weight[:, 1:], requires_grad=False)


def drop_colour(layer):
    layer.weight = torch.nn.Parameter(layer.weight[1:], requires_grad=False)
    layer.bias = torch.nn.Parameter(layer.bias[1:], requires_grad=False)


CHANGES = {
    "unknown network": lambda net: setattr(net, "model", torch.nn.Linear(2, 2)),
    "no module 'model'": lambda net: setattr(net, "model", None),
    "bad 'img_resolution'": lambda net: setattr(net, "img_resolution", 10**9),
    "bad 'img_channels'": lambda net: setattr(net, "img_channels", "three"),
    "bad 'sigma_min'": lambda net: setattr(net, "sigma_min", math.nan),
    "bad 'sigma_data'": lambda net: setattr(net, "sigma_data", True),
    "classes do not fit": lambda net: setattr(net, "label_dim", 4),
    "do not fit together": lambda net: narrow(net.model.enc["4x4_block0"].conv0),
    "fit together; found": lambda net: net.model.dec.pop("8x8_up"),
    "returns other images": lambda net: drop_colour(net.model.dec["8x8_aux_conv"]),
    "bad 'num_groups'": lambda net: setattr(net.model.dec["4x4_in1"].norm0, "num_groups", 0),
    "attention does not fit": lambda net: setattr(net.model.dec["4x4_in0"], "num_heads", 7),
    "bad 'num_heads'": lambda net: setattr(net.model.dec["4x4_in0"], "num_heads", 2**60),
    "no tensor 'weight'": lambda net: setattr(net.model.map_layer0, "weight", None),
    "parts that are unknown": lambda net: net.model.enc._modules.update(eval=net.model.map_layer0),
    "0 parts": lambda net: setattr(net.model, "dec", torch.nn.ModuleDict()),
    "unknown way": lambda net: setattr(net.model, "map_noise", torch.nn.Linear(1, 1)),
    "filter of unknown form": lambda net: setattr(
        net.model.enc["4x4_down"].conv0, "resample_filter", torch.ones(1, 1, 99, 99)
    ),
    "convolution of unknown form": lambda net: setattr(net.model.enc["4x4_down"].conv0, "up", 1),
}


@pytest.mark.parametrize("words", CHANGES)
def test_misfits_are_one_line(tmp_path, words):
    reference, path = lookalikes.save(tmp_path / "net.pkl", classes=5)
    lookalikes.repickle(path, mutated(reference, CHANGES[words]))
    with pytest.raises(GendataError, match=words) as caught:
        built(path)
    assert "\n" not in str(caught.value)


JUNK = [
    *(None, -1, 0, 7, 2**40, 10**5000, 1.5, math.nan, math.inf, True, "\n\x1b[2J", b"x", [], {}),
    *(torch.zeros(0), torch.zeros(3), torch.zeros(5, 5, 5, 5), torch.zeros(4, dtype=torch.int64)),
    Record("Conv2d"),
]


@pytest.mark.parametrize("network", [lookalikes.SongUNet, lookalikes.DhariwalUNet])
def test_records_full_of_junk_are_one_line_or_a_network(tmp_path, network):
    _, path = lookalikes.save(tmp_path / "net.pkl", network=network, classes=3)
    record = read_checkpoint(path)["ema"]
    places, chance, refused = list(attributes(record)), random.Random(0), 0
    for _ in range(60):
        holder, name = chance.choice(places)
        kept = holder[name]
        holder[name] = chance.choice(JUNK)
        try:
            build(record, path.stat().st_size)
        except GendataError as error:
            refused += 1
            assert str(error).isprintable()
        holder[name] = kept
    assert refused > 20
    assert build(record, path.stat().st_size).classes == 3


def attributes(record):
    """Every attribute and member of a recorded module and of those below it."""
    for name, value in record.state.items():
        if not name.startswith("_"):
            yield record.state, name
        elif name in ("_parameters", "_buffers", "_modules"):
            yield from ((value, member) for member in value)
    for module in record.modules().values():
        yield from attributes(module)


def test_other_records_are_refused(tmp_path):
    path = tmp_path / "net.pkl"
    lookalikes.repickle(path, torch.nn.Linear(2, 2))
    with pytest.raises(GendataError):
        built(path)
