import functools
import inspect
import json
import re
import shutil
from types import SimpleNamespace

import diffusers
import pytest
import torch
from diffusers import (
    AutoencoderKL,
    CMStochasticIterativeScheduler,
    ConsistencyModelPipeline,
    DDIMPipeline,
    DDIMScheduler,
    DDPMPipeline,
    DDPMScheduler,
    DiTPipeline,
    DiTTransformer2DModel,
    EulerDiscreteScheduler,
    LDMPipeline,
    UNet2DModel,
    VQModel,
)

from gendata import load_sampler
from gendata.errors import GendataError, UnusableImages
from gendata.seeds import image_noise

# diffusers' schedulers mix NumPy and torch in a way that NumPy 2 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

SEEDS = torch.tensor([5, 2**62 + 1, 7, 11])
LABELS = torch.tensor([2, 0, 1, 2])
SMALL = {
    "sample_size": 8,
    "layers_per_block": 1,
    "block_out_channels": (8, 16),
    "down_block_types": ("DownBlock2D", "AttnDownBlock2D"),
    "up_block_types": ("AttnUpBlock2D", "UpBlock2D"),
    "norm_num_groups": 4,
    "attention_head_dim": 8,
}


def save_unet(folder, scheduler, kind="DDPMPipeline", names=None, **changes):
    """Writes a tiny pipeline with strong random weights; returns its network."""
    torch.manual_seed(1)
    network = UNet2DModel(**{**SMALL, "in_channels": 3, "out_channels": 3, **changes}).eval()
    network.save_pretrained(folder / "unet")
    scheduler.save_pretrained(folder / "scheduler")
    index = {
        "_class_name": kind,
        "scheduler": ["diffusers", type(scheduler).__name__],
        "unet": ["diffusers", "UNet2DModel"],
    }
    if names:
        index["id2label"] = dict(enumerate(names))
    (folder / "model_index.json").write_text(json.dumps(index))
    return network


def save_dit(folder):
    torch.manual_seed(2)
    transformer = DiTTransformer2DModel(
        num_attention_heads=2, attention_head_dim=4, in_channels=4, out_channels=8, num_layers=2,
        sample_size=4, patch_size=2, norm_num_groups=1, num_embeds_ada_norm=1000,
    )  # fmt: skip
    vae = AutoencoderKL(
        block_out_channels=(8, 8), latent_channels=4, norm_num_groups=2, sample_size=8,
        down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2,
    )  # fmt: skip
    with torch.no_grad():
        for parameter in transformer.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    pipeline = DiTPipeline(transformer.eval(), vae.eval(), DDIMScheduler())
    pipeline.save_pretrained(folder)
    index = json.loads((folder / "model_index.json").read_text())
    index["id2label"] = {str(label): f"class {label}" for label in range(1000)}
    (folder / "model_index.json").write_text(json.dumps(index))
    return pipeline


def generators():
    return [torch.Generator().manual_seed(int(seed)) for seed in SEEDS]


def as_bytes(images):
    """What the official pipelines return, (B, H, W, C) in [0, 1], as (B, C, H, W) bytes."""
    return torch.from_numpy(images).permute(0, 3, 1, 2).mul(255)


def assert_same(found, official):
    """Within rounding to bytes of the same floats, up to 1e-4 in [0, 1]."""
    assert found.dtype == torch.uint8
    assert (found.double() - as_bytes(official)).abs().max() <= 0.5 + 255e-4


def test_ddpm_is_diffusers_own_pipeline(tmp_path):
    network = save_unet(tmp_path, DDPMScheduler())
    pipeline = DDPMPipeline(network, DDPMScheduler())
    pipeline.set_progress_bar_config(disable=True)
    official = pipeline(4, generators(), num_inference_steps=6, output_type="np").images
    sampler = load_sampler(f"diffusers:{tmp_path}", device="cpu", steps=6)
    assert_same(sampler.sample(None, SEEDS), official)
    assert sampler.classes is None and sampler.resolution == 8


@pytest.mark.parametrize("eta", [0.0, 0.7])
def test_ddim_is_diffusers_own_pipeline(tmp_path, eta):
    network = save_unet(tmp_path, DDPMScheduler(beta_end=0.01), "DDIMPipeline")
    pipeline = DDIMPipeline(network, DDIMScheduler(beta_end=0.01))
    pipeline.set_progress_bar_config(disable=True)
    official = pipeline(4, generators(), eta, num_inference_steps=5, output_type="np").images
    sampler = load_sampler(f"diffusers:{tmp_path}", device="cpu", steps=5, eta=eta)
    assert_same(sampler.sample(None, SEEDS), official)
    assert sampler.card.settings["scheduler"] == "DDIMScheduler"
    assert sampler.card.settings["scheduler_config"]["beta_end"] == 0.01


@pytest.mark.parametrize("guidance", [1.0, 4.0])
def test_dit_is_diffusers_own_pipeline(tmp_path, guidance):
    pipeline = save_dit(tmp_path)
    pipeline.set_progress_bar_config(disable=True)
    labels = torch.tensor([999, 0, 3, 3])
    official = pipeline(
        labels.tolist(), guidance, generators(), num_inference_steps=5, output_type="np"
    ).images
    sampler = load_sampler(f"diffusers:{tmp_path}", device="cpu", steps=5, guidance=guidance)
    assert_same(sampler.sample(labels, SEEDS), official)
    assert sampler.resolution == 8 and sampler.classes[999] == "class 999"


def test_dit_defaults_to_guidance_4_and_50_steps(tmp_path):
    save_dit(tmp_path)
    settings = load_sampler(f"diffusers:{tmp_path}", device="cpu").card.settings
    assert (settings["guidance"], settings["steps"]) == (4.0, 50)


@pytest.mark.parametrize("steps", [1, 3])
def test_a_consistency_model_is_diffusers_own_pipeline(tmp_path, steps):
    scheduler = CMStochasticIterativeScheduler()
    network = save_unet(tmp_path, scheduler, "ConsistencyModelPipeline", num_class_embeds=3)
    pipeline = ConsistencyModelPipeline(network, scheduler)
    pipeline.set_progress_bar_config(disable=True)
    official = pipeline(
        4, LABELS.tolist(), num_inference_steps=steps, generator=generators(), output_type="np"
    ).images
    sampler = load_sampler(f"diffusers:{tmp_path}", device="cpu", steps=steps)
    assert_same(sampler.sample(LABELS, SEEDS), official)
    assert load_sampler(f"diffusers:{tmp_path}", device="cpu").card.settings["steps"] == 1


def test_latent_diffusion_is_diffusers_own_pipeline(tmp_path):
    scheduler = DDIMScheduler(clip_sample=False)
    network = save_unet(tmp_path, scheduler, "LDMPipeline")
    vqvae = VQModel(
        block_out_channels=(8, 8), norm_num_groups=2, num_vq_embeddings=16, sample_size=16,
        down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2,
    ).eval()  # fmt: skip
    vqvae.save_pretrained(tmp_path / "vqvae")
    index = json.loads((tmp_path / "model_index.json").read_text())
    (tmp_path / "model_index.json").write_text(
        json.dumps({**index, "vqvae": ["diffusers", "VQModel"]})
    )
    pipeline = LDMPipeline(vqvae, network, scheduler)
    pipeline.set_progress_bar_config(disable=True)
    official = pipeline(4, generators(), num_inference_steps=4, output_type="np").images
    sampler = load_sampler(f"diffusers:{tmp_path}", device="cpu", steps=4)
    assert_same(sampler.sample(None, SEEDS), official)
    assert sampler.resolution == 16


class Guided(torch.nn.Module):
    """A network that knows its labels and its guidance: what LDMPipeline has no argument for."""

    def __init__(self, network, labels, null, guidance):
        super().__init__()
        self.network, self.config = network, network.config
        self.labels, self.null, self.guidance = labels, null, guidance
        self.device = network.device

    def forward(self, x, time):
        noise = self.network(x, time, self.labels).sample
        if self.guidance != 1:
            free = self.network(x, time, torch.full_like(self.labels, self.null)).sample
            noise = free + self.guidance * (noise - free)
        return SimpleNamespace(sample=noise)


def latent_images(decoder, network, scheduler):
    """LDMPipeline's images; the noise of its steps is drawn from the images' generators too."""
    pipeline, own = LDMPipeline(decoder, network, scheduler), generators()
    pipeline.set_progress_bar_config(disable=True)
    if "generator" in inspect.signature(scheduler.step).parameters:
        pipeline.scheduler.step = functools.partial(scheduler.step, generator=own)
    return pipeline(4, own, num_inference_steps=4, output_type="np").images


def save_decoder(folder, part, kind, **changes):
    """Adds a decoder to a pipeline's folder, and returns it."""
    torch.manual_seed(6)
    decoder = kind(**{
        "block_out_channels": (8, 8), "norm_num_groups": 2, "sample_size": 16,
        "down_block_types": ("DownEncoderBlock2D",) * 2, "latent_channels": 3,
        "up_block_types": ("UpDecoderBlock2D",) * 2, **changes,
    }).eval()  # fmt: skip
    decoder.save_pretrained(folder / part)
    index = json.loads((folder / "model_index.json").read_text())
    index[part] = ["diffusers", kind.__name__]
    (folder / "model_index.json").write_text(json.dumps(index))
    return decoder


@pytest.mark.parametrize("guidance", [1.0, 3.0, 0.5])
@pytest.mark.parametrize(
    ("part", "kind", "scheduler", "changes"),
    [
        ("vqvae", VQModel, DDIMScheduler(clip_sample=False), {"num_vq_embeddings": 16}),
        ("vqvae", VQModel, DDPMScheduler(), {"num_vq_embeddings": 16, "scaling_factor": 0.5}),
        ("vae", AutoencoderKL, DDIMScheduler(clip_sample=False), {"scaling_factor": 1.3}),
        ("vae", AutoencoderKL, EulerDiscreteScheduler(), {}),
        ("vqvae", AutoencoderKL, DDPMScheduler(clip_sample=False), {}),
    ],
)
def test_latent_diffusion_of_classes_is_diffusers_own_loop(
    tmp_path, part, kind, scheduler, changes, guidance
):
    names = ["a", "b", "c"]
    network = save_unet(
        tmp_path, scheduler, "LDMPipeline", names, num_class_embeds=4, sample_size=6
    )
    decoder = save_decoder(tmp_path, part, kind, **changes)
    official = latent_images(decoder, Guided(network, LABELS, 3, guidance), scheduler)
    sampler = load_sampler(f"diffusers:{tmp_path}", device="cpu", steps=4, guidance=guidance)
    assert_same(sampler.sample(LABELS, SEEDS), official)
    assert sampler.resolution == 12 and sampler.classes == names


def test_the_scaling_factor_of_a_decoder_is_heeded(tmp_path):
    drawn = []
    for factor in (0.5, 1.0):
        save_unet(tmp_path, DDIMScheduler(), "LDMPipeline")
        save_decoder(tmp_path, "vae", AutoencoderKL, scaling_factor=factor)
        sampler = load_sampler(f"diffusers:{tmp_path}", device="cpu", steps=2)
        drawn.append(sampler.sample(None, SEEDS))
        assert sampler.shape == (3, 8, 8) and drawn[-1].shape == (4, 3, 16, 16)
    assert not torch.equal(*drawn)


def test_learned_variance_reaches_the_scheduler_of_a_latent_model_too(tmp_path):
    scheduler = DDPMScheduler(variance_type="learned_range", clip_sample=False)
    network = save_unet(tmp_path, scheduler, "LDMPipeline", out_channels=6)
    decoder = save_decoder(tmp_path, "vqvae", VQModel, num_vq_embeddings=16)
    official = latent_images(decoder, network, scheduler)
    sampler = load_sampler(f"diffusers:{tmp_path}", device="cpu", steps=4)
    assert_same(sampler.sample(None, SEEDS), official)


def test_a_folder_without_subfolders_is_the_same_pipeline(tmp_path):
    save_unet(tmp_path / "deep", DDIMScheduler())
    (tmp_path / "flat").mkdir()
    for path in (tmp_path / "deep").rglob("*.*"):
        if path.is_file():
            shutil.copy(path, tmp_path / "flat")
    deep, flat = (
        load_sampler(f"diffusers:{tmp_path / name}", device="cpu", steps=2)
        for name in ("deep", "flat")
    )
    assert torch.equal(deep.sample(None, SEEDS), flat.sample(None, SEEDS))
    assert deep.card.sha256 == flat.card.sha256 and flat.card.sha256


@pytest.mark.slow
def test_compiled_networks_differ_in_rounding_only(tmp_path, monkeypatch):
    calls, real = [], torch.compile

    def trace_only(network, **options):  # a C++ compiler would take minutes
        calls.append(network)
        return real(network, **options, backend="eager")

    monkeypatch.setattr(torch, "compile", trace_only)
    save_unet(tmp_path, DDIMScheduler(), names=["a", "b", "c"], num_class_embeds=4)
    options = {"device": "cpu", "steps": 3, "guidance": 2}
    plain = load_sampler(f"diffusers:{tmp_path}", **options)
    compiled = load_sampler(f"diffusers:{tmp_path}", **options, compile=True)
    whole = compiled.sample(LABELS, SEEDS).int()
    assert (whole - plain.sample(LABELS, SEEDS).int()).abs().max() <= 1
    part = compiled.sample(LABELS[:2], SEEDS[:2]).int()
    assert (part - whole[:2]).abs().max() <= 1
    assert calls and compiled.card.settings["compile"]
    assert "compile" not in plain.card.settings


def test_guidance_on_a_unet_is_the_formula(tmp_path):
    """A loop of one image and one network call at a time, with DDIM's update written out."""
    scheduler = DDIMScheduler(clip_sample=False, beta_end=0.01)
    network = save_unet(tmp_path, scheduler, names=["a", "b", "c"], num_class_embeds=4)
    sampler = load_sampler(f"diffusers:{tmp_path}", device="cpu", steps=4, guidance=2.5)
    found = sampler.sample(LABELS, SEEDS)
    alphas = torch.cumprod(1 - torch.linspace(0.0001, 0.01, 1000), dim=0)
    for image, label, seed in zip(found, LABELS, SEEDS, strict=True):
        x = image_noise([int(seed)], (3, 8, 8))
        for time in (750, 500, 250, 0):
            with torch.no_grad():
                conditional = network(x, time, label[None]).sample
                free = network(x, time, torch.tensor([3])).sample
            noise = free + 2.5 * (conditional - free)
            alpha = alphas[time]
            clean = (x - (1 - alpha).sqrt() * noise) / alpha.sqrt()
            if time:  # the last step ends at the clean image
                before = alphas[time - 250]
                x = before.sqrt() * clean + (1 - before).sqrt() * noise
        expected = ((clean[0] + 1) * 127.5).clamp(0, 255)
        assert (image.double() - expected).abs().max() <= 0.5 + 255e-4


def test_a_conditional_network_without_names_uses_every_embedding(tmp_path):
    save_unet(tmp_path, DDIMScheduler(), num_class_embeds=4)
    sampler = load_sampler(f"diffusers:{tmp_path}", device="cpu", steps=2)
    assert sampler.classes == ["0", "1", "2", "3"]
    named = load_sampler(f"diffusers:{tmp_path}", device="cpu", steps=2, classes=3, guidance=1)
    assert torch.equal(sampler.sample(LABELS, SEEDS), named.sample(LABELS, SEEDS))
    with pytest.raises(GendataError, match="no null label"):
        load_sampler(f"diffusers:{tmp_path}", device="cpu", guidance=2)


SCHEDULERS = [part.name for part in diffusers.schedulers.KarrasDiffusionSchedulers]


@pytest.mark.parametrize("name", sorted(set(SCHEDULERS) - {"DPMSolverSDEScheduler"}))
def test_an_image_depends_on_its_label_and_seed_alone(tmp_path, name):
    configuration = {"sigma_min": 0.1} if name.startswith("EDM") else {}
    scheduler = getattr(diffusers, name)(**configuration)
    save_unet(tmp_path, scheduler, names=["a", "b", "c"], num_class_embeds=4)
    sampler = load_sampler(f"diffusers:{tmp_path}", device="cpu", steps=4, guidance=2)
    images = sampler.sample(LABELS, SEEDS)
    order = torch.tensor([3, 1, 0, 2])
    assert torch.equal(sampler.sample(LABELS[order], SEEDS[order]), images[order])
    others = sampler.sample(torch.tensor([2, 1, 1, 1]), torch.tensor([5, 8, 9, 10]))
    assert torch.equal(others[0], images[0]) and not torch.equal(others[1], images[1])
    assert len({image.numpy().tobytes() for image in images}) == 4


def test_learned_variance_reaches_the_ddpm_scheduler(tmp_path):
    scheduler = DDPMScheduler(variance_type="learned_range")
    network = save_unet(tmp_path, scheduler, out_channels=6)
    pipeline = DDPMPipeline(network, scheduler)
    pipeline.set_progress_bar_config(disable=True)
    official = pipeline(4, generators(), num_inference_steps=4, output_type="np").images
    sampler = load_sampler(f"diffusers:{tmp_path}", device="cpu", steps=4)
    assert_same(sampler.sample(None, SEEDS), official)
    dropped = load_sampler(f"diffusers:{tmp_path}", device="cpu", steps=4, scheduler="ddim")
    assert dropped.sample(None, SEEDS).shape == (4, 3, 8, 8)


def test_grey_images_are_repeated(tmp_path):
    save_unet(tmp_path, DDIMScheduler(), in_channels=1, out_channels=1)
    images = load_sampler(f"diffusers:{tmp_path}", device="cpu", steps=2).sample(None, SEEDS)
    assert images.shape == (4, 3, 8, 8) and torch.equal(images[:, 0], images[:, 2])


def test_nan_images_are_named_and_the_others_kept(tmp_path):
    save_unet(tmp_path, DDIMScheduler(), names=["a", "b", "c"], num_class_embeds=4)
    sampler = load_sampler(f"diffusers:{tmp_path}", device="cpu", steps=2)
    whole = sampler.sample(LABELS, SEEDS)
    with torch.no_grad():
        sampler.network.class_embedding.weight[0] = torch.nan
    with pytest.raises(UnusableImages) as caught:
        sampler.sample(LABELS, SEEDS)
    assert caught.value.reason == "nan" and caught.value.bad.tolist() == [
        False,
        True,
        False,
        False,
    ]
    assert torch.equal(caught.value.images[[0, 2, 3]], whole[[0, 2, 3]])
    assert not caught.value.images[1].any()


def test_the_digest_follows_the_weights(tmp_path):
    save_unet(tmp_path, DDIMScheduler())
    first = load_sampler(f"diffusers:{tmp_path}", device="cpu").card
    save_unet(tmp_path, DDIMScheduler(), block_out_channels=(8, 24))
    second = load_sampler(str(tmp_path), device="cpu").card
    assert len(first.sha256) == 64 and first.sha256 != second.sha256
    assert first.settings == second.settings


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"psi": 1}, "no option psi; expected some of classes, compile, dtype, eta, from_real"),
        ({"steps": 0}, "bad option steps"),
        ({"steps": 5000}, "1…1000"),
        ({"guidance": "strong"}, "bad option guidance"),
        ({"eta": 1.5}, "between 0 and 1"),
        ({"eta": 0.5, "scheduler": "euler-discrete"}, "has none"),
        ({"scheduler": "magic"}, "no scheduler is called"),
        ({"scheduler": "dpmsolversde"}, "no scheduler is called"),
        ({"dtype": "float16"}, "float32 on a CPU"),
        ({"dtype": "int8"}, "bad option dtype"),
        ({"compile": "yes"}, "bad option compile"),
        ({"classes": ["a"]}, "class names do not fit"),
        ({"template": "a {class}"}, "bad option template; found a {class}; expected nothing"),
        ({"from_real": "photos"}, "bad option from_real"),
    ],
)
def test_bad_options_are_one_line(tmp_path, options, words):
    save_unet(tmp_path, DDIMScheduler(), names=["a", "b", "c"], num_class_embeds=4)
    with pytest.raises(GendataError, match=re.escape(words)) as caught:
        load_sampler(f"diffusers:{tmp_path}", device="cpu", **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (None, "needs labels"),
        (torch.tensor([0, 1, 2, 3]), "labels from 0 to 3; expected 0…2"),
        (torch.tensor([0, 1, -1, 2]), "outside"),
        (torch.tensor([0, 1]), "do not match"),
        (torch.zeros(4), "integers"),
    ],
)
def test_bad_labels_are_one_line(tmp_path, labels, words):
    save_unet(tmp_path, DDIMScheduler(), names=["a", "b", "c"], num_class_embeds=4)
    sampler = load_sampler(f"diffusers:{tmp_path}", device="cpu", steps=1)
    with pytest.raises(GendataError, match=words):
        sampler.sample(labels, SEEDS)


def test_damaged_folders_are_one_line(tmp_path):
    save_unet(tmp_path, DDIMScheduler())
    weights = tmp_path / "unet" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(GendataError, match="unet of .* cannot be loaded"):
        load_sampler(f"diffusers:{tmp_path}", device="cpu")
    index = json.loads((tmp_path / "model_index.json").read_text())
    (tmp_path / "model_index.json").write_text(json.dumps({**index, "unet": ["os", "system"]}))
    with pytest.raises(GendataError, match="supported class; found system"):
        load_sampler(f"diffusers:{tmp_path}", device="cpu")
    (tmp_path / "model_index.json").write_text("{")
    with pytest.raises(GendataError, match="cannot be read"):
        load_sampler(f"diffusers:{tmp_path}", device="cpu")
    with pytest.raises(GendataError, match="no model_index.json"):
        load_sampler(f"diffusers:{tmp_path / 'unet'}", device="cpu")
