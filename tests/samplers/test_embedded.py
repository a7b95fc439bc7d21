import json

import pytest
import torch
from safetensors.torch import save_file

from gendata import load_sampler
from gendata.assets.recipes import diffusion
from gendata.errors import GendataError
from gendata.models import load_classifier
from gendata.models.generator import ConditionalGenerator
from gendata.seeds import image_noise

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
LABELS, SEEDS = torch.tensor([2, 0, 1, 2]), torch.tensor([7, 8, 9, 10])
ABOUT = {"title": "A toy", "origin": "here", "licence": "MIT", "training_data": "none"}


@pytest.fixture
def assets(tmp_path, monkeypatch):
    """A folder of untrained embedded generators, written as the recipes write the real ones."""
    torch.manual_seed(0)
    generator = ConditionalGenerator(z_dim=8, classes=3, widths=(8, 8, 8)).eval()
    gan = tmp_path / "fashion-gan"
    gan.mkdir()
    weights = {
        name: value.half() if value.is_floating_point() else value
        for name, value in generator.state_dict().items()
    }
    save_file(weights, gan / "generator.safetensors")
    config = {"z_dim": 8, "widths": [8, 8, 8], "classes": ["a", "b", "c"]}
    (gan / "config.json").write_text(json.dumps(config))
    diffusion.save(diffusion.build_unet(3), ["a", "b", "c"], tmp_path / "fashion-diffusion")
    for name in ("fashion-gan", "fashion-diffusion"):
        (tmp_path / name / "card.json").write_text(json.dumps(ABOUT))
    monkeypatch.setattr("gendata.assets._ROOT", tmp_path)
    return tmp_path, generator


def test_the_gan_is_the_generator_at_its_noise(assets):
    _, generator = assets
    sampler = load_sampler("embedded:fashion-gan", device="cpu")
    halved = generator.half().float()
    with torch.no_grad():
        expected = halved(image_noise(SEEDS, (8,)), LABELS)
    found = sampler.sample(LABELS, SEEDS)[:, :1].float()
    assert (found - (expected + 1) * 127.5).abs().max() <= 0.501
    assert sampler.name == "embedded:fashion-gan" and sampler.card.licence == "MIT"
    assert sampler.resolution == 28 and sampler.classes == ["a", "b", "c"]


def test_the_diffusion_model_is_the_diffusers_sampler(assets):
    folder, _ = assets
    sampler = load_sampler("embedded:fashion-diffusion", device="cpu", steps=3)
    twin = load_sampler(f"diffusers:{folder / 'fashion-diffusion'}", steps=3, guidance=1.5)
    assert torch.equal(sampler.sample(LABELS, SEEDS), twin.sample(LABELS, SEEDS))
    assert sampler.card.title == "A toy" and sampler.card.sha256 == twin.card.sha256
    settings = load_sampler("embedded:fashion-diffusion", device="cpu").card.settings
    assert (settings["steps"], settings["guidance"]) == (8, 1.5)
    assert settings["scheduler"] == "DPMSolverMultistepScheduler"


@pytest.mark.parametrize("name", ["fashion-gan", "fashion-diffusion"])
def test_an_image_depends_on_its_label_and_seed_alone(assets, name):
    sampler = load_sampler(f"embedded:{name}", device="cpu")
    images = sampler.sample(LABELS, SEEDS)
    order = torch.tensor([3, 1, 0, 2])
    assert torch.equal(sampler.sample(LABELS[order], SEEDS[order]), images[order])
    others = sampler.sample(torch.tensor([2, 1, 1, 1]), torch.tensor([7, 1, 2, 3]))
    assert torch.equal(others[0], images[0]) and not torch.equal(others[1], images[1])


@pytest.mark.parametrize(
    ("reference", "options", "words"),
    [
        ("embedded:fashion-gan", {"steps": 3}, "'embedded:fashion-gan' has no option steps"),
        ("embedded:fashion-diffusion", {"psi": 1}, "some of guidance, steps"),
        ("embedded:fashion", {}, "fashion-diffusion, fashion-gan"),
        ("stylegan9:x", {}, "unknown sampler"),
        ("no-such-folder", {}, "a path that exists"),
    ],
)
def test_mistakes_are_one_line(assets, reference, options, words):
    with pytest.raises(GendataError, match=words) as caught:
        load_sampler(reference, device="cpu", **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("name", "least"), [("fashion-diffusion", 0.85), ("fashion-gan", 0.8)])
def test_the_shipped_generators_draw_what_is_asked(name, least):
    labels = torch.arange(100) % 10
    images = load_sampler(f"embedded:{name}", device="cpu").sample(labels, torch.arange(100))
    found = load_classifier("embedded:fashion-classifier", device="cpu").probabilities(images)
    assert (found.argmax(1) == labels).float().mean() >= least
