import json
import re
import shutil
import sys

import numpy as np
import pytest
import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    EulerAncestralDiscreteScheduler,
    LatentConsistencyModelImg2ImgPipeline,
    LatentConsistencyModelPipeline,
    LCMScheduler,
    StableDiffusionImg2ImgPipeline,
    StableDiffusionPipeline,
    StableDiffusionXLImg2ImgPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from PIL import Image

from gendata import draw_clone, load_sampler
from gendata.errors import GendataError, UnusableImages
from gendata.seeds import hash_seed

transformers = pytest.importorskip("transformers")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

SEEDS = torch.tensor([5, 2**62 + 1, 7])
LABELS = torch.tensor([1, 0, 1])
CLASSES = ["cat", "dog"]
LETTERS = [chr(code) for code in range(ord("a"), ord("z") + 1)]
SMALL_TEXT = {
    "hidden_size": 16, "intermediate_size": 16, "num_attention_heads": 2, "num_hidden_layers": 2,
    "vocab_size": 60, "projection_dim": 16, "bos_token_id": 58, "eos_token_id": 59,
}  # fmt: skip


def make_tokenizer(folder):
    """A tokenizer of single letters, enough to tell prompts apart."""
    folder.mkdir(parents=True)
    words = [*LETTERS, *(f"{letter}</w>" for letter in LETTERS)]
    words += [f"<filler{place}>" for place in range(58 - len(words))]
    vocabulary = {word: place for place, word in enumerate([*words, "<|startoftext|>"])}
    vocabulary["<|endoftext|>"] = 59
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    return transformers.CLIPTokenizer(
        str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=77
    )


def make_parts(folder, scheduler, **unet):
    torch.manual_seed(4)
    network = UNet2DConditionModel(
        sample_size=8, in_channels=4, out_channels=4, block_out_channels=(8, 16),
        layers_per_block=1, norm_num_groups=4, attention_head_dim=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"), **{"cross_attention_dim": 16, **unet},
    ).eval()  # fmt: skip
    with torch.no_grad():  # prompts shall be seen
        for name, parameter in network.named_parameters():
            if "attn2" in name:
                parameter.mul_(4)
    vae = AutoencoderKL(
        block_out_channels=(8, 8), latent_channels=4, norm_num_groups=2, sample_size=16,
        down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2,
    ).eval()  # fmt: skip
    text = transformers.CLIPTextModel(transformers.CLIPTextConfig(**SMALL_TEXT)).eval()
    tokenizer = make_tokenizer(folder / "letters")
    return {
        "vae": vae, "unet": network, "scheduler": scheduler, "text_encoder": text,
        "tokenizer": tokenizer,
    }  # fmt: skip


def make_checker(threshold):
    """A safety checker that withholds an image whose score is above a threshold."""
    from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker

    vision = {
        "hidden_size": 16, "intermediate_size": 16, "num_attention_heads": 2, "image_size": 8,
        "num_hidden_layers": 1, "patch_size": 4, "projection_dim": 16,
    }  # fmt: skip
    config = transformers.CLIPConfig(
        text_config=SMALL_TEXT, vision_config=vision, projection_dim=16
    )
    checker = StableDiffusionSafetyChecker(config).eval()
    with torch.no_grad():
        checker.concept_embeds_weights.fill_(threshold)
        checker.special_care_embeds_weights.fill_(1)
        checker.concept_embeds.copy_(torch.randn(17, 16))
    return checker


def save_sd(folder, kind=StableDiffusionPipeline, scheduler=None, threshold=None, **unet):
    scheduler = DDIMScheduler(clip_sample=False) if scheduler is None else scheduler
    safety = {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
    if threshold is not None:
        safety["safety_checker"] = make_checker(threshold)
        safety["feature_extractor"] = transformers.CLIPImageProcessor(
            size={"shortest_edge": 8}, crop_size={"height": 8, "width": 8}
        )
    pipeline = kind(**make_parts(folder, scheduler, **unet), **safety)
    pipeline.save_pretrained(folder)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def save_sdxl(folder, numbers=6):
    scheduler = EulerAncestralDiscreteScheduler()
    parts = make_parts(
        folder, scheduler, cross_attention_dim=32, addition_embed_type="text_time",
        addition_time_embed_dim=4, projection_class_embeddings_input_dim=numbers * 4 + 16,
    )  # fmt: skip
    second = transformers.CLIPTextConfig(**SMALL_TEXT)
    parts["text_encoder_2"] = transformers.CLIPTextModelWithProjection(second).eval()
    parts["tokenizer_2"] = parts["tokenizer"]
    pipeline = StableDiffusionXLPipeline(**parts, add_watermarker=False)
    pipeline.save_pretrained(folder)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def generators():
    return [torch.Generator().manual_seed(int(seed)) for seed in SEEDS]


def load(folder, **options):
    given = {"classes": CLASSES, "steps": 3, **options}
    return load_sampler(f"diffusers:{folder}", device="cpu", **given)


def assert_same(found, official):
    assert found.dtype == torch.uint8
    assert (found.double() - official.double() * 255).abs().max() <= 0.5 + 255e-4


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sd")
    return folder, save_sd(folder)


@pytest.mark.parametrize("guidance", [1.0, 7.5])
def test_stable_diffusion_is_diffusers_own_pipeline(plain, guidance):
    folder, pipeline = plain
    prompts = ["a photo of a dog", "a photo of a cat", "a photo of a dog"]
    official = pipeline(
        prompts, num_inference_steps=3, guidance_scale=guidance, generator=generators(),
        output_type="pt",
    ).images  # fmt: skip
    sampler = load(folder, guidance=guidance)
    assert_same(sampler.sample(LABELS, SEEDS), official)
    assert sampler.resolution == 16 and sampler.classes == CLASSES
    assert sampler.card.settings["template"] == ["a photo of a {class}"]


def test_stable_diffusion_xl_is_diffusers_own_pipeline(tmp_path):
    pipeline = save_sdxl(tmp_path)
    prompts = ["dog", "cat", "dog"]
    official = pipeline(
        prompts, num_inference_steps=3, generator=generators(), output_type="pt",
        negative_prompt=["a rock"] * 3, height=24, width=24,
    ).images  # fmt: skip
    sampler = load(tmp_path, template="{class}", negative="a rock", height=24)
    assert_same(sampler.sample(LABELS, SEEDS), official)
    assert sampler.resolution == 24 and sampler.card.settings["guidance"] == 5.0
    order = torch.tensor([2, 0, 1])
    assert torch.equal(
        sampler.sample(LABELS[order], SEEDS[order]), sampler.sample(LABELS, SEEDS)[order]
    )


def test_a_latent_consistency_model_is_diffusers_own_pipeline(tmp_path):
    pipeline = save_sd(
        tmp_path, LatentConsistencyModelPipeline, LCMScheduler(), time_cond_proj_dim=8
    )
    prompts = ["a photo of a dog", "a photo of a cat", "a photo of a dog"]
    official = pipeline(prompts, generator=generators(), output_type="pt").images
    sampler = load_sampler(f"diffusers:{tmp_path}", device="cpu", classes=CLASSES)
    assert_same(sampler.sample(LABELS, SEEDS), official)
    assert sampler.card.settings["steps"] == 4 and sampler.card.settings["guidance"] == 8.5
    with pytest.raises(GendataError, match="a pipeline without negative prompts"):
        load(tmp_path, negative="a rock")


def test_an_image_depends_on_its_label_and_seed_alone(plain):
    sampler = load(plain[0], eta=0.5, template=["a {class}", "the {class}", "one {class}"])
    images = sampler.sample(LABELS, SEEDS)
    assert torch.equal(sampler.sample(LABELS, SEEDS), images)
    order = torch.tensor([2, 0, 1])
    assert torch.equal(sampler.sample(LABELS[order], SEEDS[order]), images[order])
    others = sampler.sample(torch.tensor([1, 1, 0]), torch.tensor([5, 8, 9]))
    assert torch.equal(others[0], images[0]) and not torch.equal(others[1], images[1])
    alone = sampler.sample(LABELS[1:2], SEEDS[1:2])[0].int()
    assert (alone - images[1].int()).abs().max() <= 1
    changed = sampler.sample(1 - LABELS, SEEDS)
    assert all(not torch.equal(one, two) for one, two in zip(changed, images, strict=True))


def test_the_seed_chooses_the_template(plain):
    templates = ["a {class}", "the {class}", "one {class}"]
    sampler, seeds = load(plain[0], template=templates), torch.arange(60)
    prompts = sampler.prompts(torch.ones(60, dtype=torch.int64), seeds)
    assert {prompt.split()[0] for prompt in prompts} == {"a", "the", "one"}
    assert prompts[7] == templates[hash_seed(7, 1) % 3].replace("{class}", "dog")


@pytest.mark.slow
def test_compiled_networks_differ_in_rounding_only(tmp_path, monkeypatch):
    calls, real = [], torch.compile

    def trace_only(network, **options):  # a C++ compiler would take minutes
        calls.append(network)
        return real(network, **options, backend="eager")

    monkeypatch.setattr(torch, "compile", trace_only)
    save_sdxl(tmp_path)
    plain, compiled = load(tmp_path), load(tmp_path, compile=True)
    whole = compiled.sample(LABELS, SEEDS).int()
    assert (whole - plain.sample(LABELS, SEEDS).int()).abs().max() <= 1
    part = compiled.sample(LABELS[:2], SEEDS[:2]).int()
    assert (part - whole[:2]).abs().max() <= 1
    assert calls and compiled.card.settings["compile"]
    assert "compile" not in plain.card.settings


def test_withheld_images_are_named_and_the_others_kept(tmp_path):
    save_sd(tmp_path / "sd", threshold=2)  # no cosine is above it
    sampler = load(tmp_path / "sd")
    whole = sampler.sample(LABELS, SEEDS)
    checker = sampler.pipe.safety_checker
    forward = checker.forward

    def withhold(clip_input, images):
        images, _ = forward(clip_input, images)
        images[1] = 0
        return images, [False, True, False]

    checker.forward = withhold
    with pytest.raises(UnusableImages) as caught:
        sampler.sample(LABELS, SEEDS)
    assert caught.value.reason == "safety" and caught.value.bad.tolist() == [False, True, False]
    assert torch.equal(caught.value.images[[0, 2]], whole[[0, 2]])
    assert not caught.value.images[1].any()


def test_a_checker_that_withholds_everything(tmp_path):
    save_sd(tmp_path / "sd", threshold=-2)
    with pytest.raises(UnusableImages, match="3 of 3 images are unusable .safety"):
        load(tmp_path / "sd").sample(LABELS, SEEDS)


def test_nan_images_are_named(plain):
    sampler = load(plain[0])
    whole = sampler.sample(LABELS, SEEDS)
    decode = sampler.pipe.vae.decode

    def broken(latents, **options):
        images = decode(latents, **options)
        images[0][2] = torch.nan
        return images

    sampler.pipe.vae.decode = broken
    with pytest.raises(UnusableImages) as caught:
        sampler.sample(LABELS, SEEDS)
    assert caught.value.reason == "nan" and caught.value.bad.tolist() == [False, False, True]
    assert torch.equal(caught.value.images[:2], whole[:2])


@pytest.fixture
def photos(tmp_path):
    random = np.random.default_rng(0)
    for name in ("cat", "dog", "zebra"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(3):
            pixels = random.integers(0, 255, (20, 24, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{number}.png")
    return tmp_path / "photos"


def test_images_from_real_photos_are_diffusers_own_pipeline(plain, photos):
    folder, pipeline = plain
    sampler = load(folder, steps=4, from_real=str(photos), strength=0.5)
    images = sampler.sample(LABELS, SEEDS)
    starts, damaged = sampler.photos.of(LABELS, SEEDS)
    assert starts.shape == (3, 3, 16, 16) and not damaged.any()
    official = StableDiffusionImg2ImgPipeline(**pipeline.components, requires_safety_checker=False)
    official.set_progress_bar_config(disable=True)
    prompts = ["a photo of a dog", "a photo of a cat", "a photo of a dog"]
    expected = official(
        prompts, starts.float() / 255, strength=0.5, num_inference_steps=4, output_type="pt",
        generator=generators(),
    ).images  # fmt: skip
    assert_same(images, expected)
    order = torch.tensor([2, 0, 1])
    assert torch.equal(sampler.sample(LABELS[order], SEEDS[order]), images[order])
    settings = sampler.card.settings
    assert settings["strength"] == 0.5 and len(settings["from_real"]) == 64


PROMPTS = ["a photo of a dog", "a photo of a cat", "a photo of a dog"]


def official_images(pipeline, kind, starts, **call):
    official = kind(**pipeline.components, **call.pop("build", {}))
    official.set_progress_bar_config(disable=True)
    return official(
        PROMPTS, image=starts.float() / 255, output_type="pt", generator=generators(), **call
    ).images


@pytest.mark.parametrize("strength", [0.3, 0.75, 1.0])
@pytest.mark.parametrize("aesthetic", [False, True])
def test_stable_diffusion_xl_from_photos_is_diffusers_own_pipeline(
    tmp_path, photos, strength, aesthetic
):
    pipeline = save_sdxl(tmp_path, 5 if aesthetic else 6)
    index = json.loads((tmp_path / "model_index.json").read_text())
    index["requires_aesthetics_score"] = aesthetic
    (tmp_path / "model_index.json").write_text(json.dumps(index))
    options = {"steps": 4, "guidance": 3.0, "negative": "a rock"}
    sampler = load(tmp_path, from_real=str(photos), strength=strength, **options)
    images = sampler.sample(LABELS, SEEDS)
    expected = official_images(
        pipeline, StableDiffusionXLImg2ImgPipeline, sampler.photos.of(LABELS, SEEDS)[0],
        strength=strength, num_inference_steps=4, guidance_scale=3.0,
        negative_prompt=["a rock"] * 3,
        build={"requires_aesthetics_score": aesthetic, "add_watermarker": False},
    )  # fmt: skip
    assert_same(images, expected)
    order = torch.tensor([2, 0, 1])
    again = sampler.sample(LABELS[order], SEEDS[order]).int()
    assert (again - images[order].int()).abs().max() <= 1  # sums in another order


@pytest.mark.parametrize("strength", [0.5, 1.0])
def test_latent_consistency_from_photos_is_diffusers_own_pipeline(tmp_path, photos, strength):
    pipeline = save_sd(
        tmp_path, LatentConsistencyModelPipeline, LCMScheduler(), time_cond_proj_dim=8
    )
    sampler = load(tmp_path, from_real=str(photos), strength=strength, steps=4)
    images = sampler.sample(LABELS, SEEDS)
    expected = official_images(
        pipeline, LatentConsistencyModelImg2ImgPipeline, sampler.photos.of(LABELS, SEEDS)[0],
        strength=strength, num_inference_steps=4, build={"requires_safety_checker": False},
    )  # fmt: skip
    assert_same(images, expected)
    order = torch.tensor([2, 0, 1])
    assert torch.equal(sampler.sample(LABELS[order], SEEDS[order]), images[order])


@pytest.mark.parametrize("guidance", [1.0, 7.5])
@pytest.mark.parametrize("strength", [0.3, 1.0])
def test_stable_diffusion_from_photos_at_other_strengths(plain, photos, strength, guidance):
    sampler = load(
        plain[0], steps=4, from_real=str(photos), strength=strength, guidance=guidance, eta=0.4
    )
    expected = official_images(
        plain[1], StableDiffusionImg2ImgPipeline, sampler.photos.of(LABELS, SEEDS)[0],
        strength=strength, num_inference_steps=4, guidance_scale=guidance, eta=0.4,
        build={"requires_safety_checker": False},
    )  # fmt: skip
    assert_same(sampler.sample(LABELS, SEEDS), expected)


def test_photos_are_of_the_class_and_chosen_by_the_seed(plain, photos):
    sampler = load(plain[0], from_real=str(photos), classes=None)
    assert sampler.classes == ["cat", "dog", "zebra"]
    drawn, _ = sampler.photos.of(torch.full((40,), 2), torch.arange(40))
    own = {
        image.numpy().tobytes() for image in sampler.photos.source.sample(None, torch.arange(6, 9))
    }
    assert {image.numpy().tobytes() for image in drawn} == own
    reversed_names = load(plain[0], from_real=str(photos), classes=["zebra", "cat"])
    again, _ = reversed_names.photos.of(torch.zeros(40, dtype=torch.int64), torch.arange(40))
    assert torch.equal(again, drawn)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"classes": None}, "give classes=["),
        ({"template": "a photo"}, "bad option template; found 'a photo'"),
        ({"template": []}, "bad option template"),
        ({"template": ["{class}", 3]}, "bad option template"),
        ({"negative": 3}, "bad option negative"),
        ({"negative": "rock", "guidance": 1}, "negative would change nothing; found guidance 1"),
        ({"steps": 0}, "bad option steps"),
        ({"steps": 2.5}, "bad option steps"),
        ({"guidance": -1}, "bad option guidance"),
        ({"eta": 2}, "bad option eta"),
        ({"eta": 0.5, "scheduler": "euler-discrete"}, "bad option eta"),
        ({"height": 20}, "bad option height; found 20; expected a multiple of 8"),
        ({"strength": 0.5}, "bad option strength; found 0.5; expected the option from_real"),
        ({"from_real": "/nowhere"}, "nowhere"),
        ({"scheduler": "magic"}, "no scheduler is called"),
        ({"dtype": "float16"}, "float32 on a CPU"),
    ],
)
def test_bad_options_are_one_line(plain, options, words):
    with pytest.raises(GendataError, match=re.escape(words)) as caught:
        load(plain[0], **options)
    assert "\n" not in str(caught.value)


def test_bad_photos_are_one_line(plain, photos):
    with pytest.raises(GendataError, match="has no class 'horse'; found 'cat', 'dog', 'zebra'"):
        load(plain[0], from_real=str(photos), classes=["cat", "horse"])
    with pytest.raises(GendataError, match="of 3 steps none would be left"):
        load(plain[0], from_real=str(photos), strength=0.1)
    with pytest.raises(GendataError, match=r"in \(0, 1\]"):
        load(plain[0], from_real=str(photos), strength=0)


def test_bad_labels_are_one_line(plain):
    sampler = load(plain[0])
    for labels, words in ((None, "needs labels"), (LABELS + 1, "outside"), (LABELS[:2], "match")):
        with pytest.raises(GendataError, match=words):
            sampler.sample(labels, SEEDS)


def test_damaged_folders_are_one_line(plain, tmp_path):
    folder = tmp_path / "sd"
    shutil.copytree(plain[0], folder)
    index = json.loads((folder / "model_index.json").read_text())

    def refused(words):
        with pytest.raises(GendataError, match=words) as caught:
            load(folder)
        assert "\n" not in str(caught.value)

    for part, entry in (("text_encoder", ["os", "system"]), ("unet", None), ("vae", [])):
        (folder / "model_index.json").write_text(json.dumps({**index, part: entry}))
        refused(f"the {part} of .* is not of a supported class")
    (folder / "model_index.json").write_text(json.dumps({**index, "_class_name": "FluxPipeline"}))
    refused("not a pipeline of a supported kind; found FluxPipeline")
    lacking = {key: value for key, value in index.items() if key != "vae"}
    (folder / "model_index.json").write_text(json.dumps(lacking))
    refused("make no StableDiffusionPipeline")
    (folder / "model_index.json").write_text(json.dumps(index))
    weights = folder / "text_encoder" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:3000])
    refused("the text_encoder of .* cannot be loaded")
    shutil.rmtree(folder / "tokenizer")
    refused("the text_encoder of|no such folder")


def test_weights_that_lack_a_layer_are_refused(plain, tmp_path):
    from safetensors.torch import load_file, save_file

    folder = tmp_path / "sd"
    shutil.copytree(plain[0], folder)
    path = folder / "text_encoder" / "model.safetensors"
    weights = load_file(path)
    weights.pop(sorted(weights)[-1])
    save_file(weights, path, metadata={"format": "pt"})
    with pytest.raises(GendataError, match="text_encoder of .* found no fitting weights for"):
        load(folder)


def test_without_transformers_the_install_line_is_named(plain, monkeypatch):
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "transformers" else find(name)
    )
    with pytest.raises(GendataError, match=r"need transformers; pip install .gendata\[hub\]"):
        load(plain[0])


def test_the_digest_follows_weights_and_words(plain, tmp_path):
    folder = tmp_path / "sd"
    shutil.copytree(plain[0], folder)
    first = load(plain[0]).card
    assert first.sha256 == load(folder).card.sha256 and len(first.sha256) == 64
    (folder / "tokenizer" / "merges.txt").touch()
    for path in (folder / "tokenizer").glob("*.json"):
        if path.name in ("vocab.json", "tokenizer.json"):
            path.write_text(path.read_text() + "\n")
    assert load(folder).card.sha256 != first.sha256
    assert "transformers" in sys.modules


class Hostile:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize(
    ("part", "old", "new"),
    [
        ("text_encoder", "model.safetensors", "pytorch_model.bin"),
        ("unet", "diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.bin"),
        ("vae", "diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.bin"),
    ],
)
def test_nothing_that_a_file_carries_is_run(plain, tmp_path, part, old, new):
    folder = tmp_path / "sd"
    shutil.copytree(plain[0], folder)
    (folder / part / old).unlink()
    torch.save({"weight": Hostile(tmp_path / "ran")}, folder / part / new)
    with pytest.raises(GendataError, match=f"the {part} of .* cannot be loaded"):
        load(folder)
    assert not (tmp_path / "ran").exists()


def test_configurations_name_no_code(plain, tmp_path):
    folder = tmp_path / "sd"
    shutil.copytree(plain[0], folder)
    for part, name in (("text_encoder", "config.json"), ("tokenizer", "tokenizer_config.json")):
        config = json.loads((folder / part / name).read_text())
        config |= {"auto_map": {"AutoModel": "evil.Evil", "AutoTokenizer": ["evil.Evil", None]}}
        config |= {"attn_implementation": "evil/kernel", "_attn_implementation": "evil/kernel"}
        (folder / part / name).write_text(json.dumps(config))
        code = f"open({str(tmp_path / 'ran')!r}, 'w')\n"
        (folder / part / "evil.py").write_text(code)
    images = load(folder).sample(LABELS, SEEDS)
    assert torch.equal(images, load(plain[0]).sample(LABELS, SEEDS))
    assert not (tmp_path / "ran").exists()


def test_a_clone_counts_what_is_withheld(tmp_path):
    save_sd(tmp_path / "sd", threshold=2)
    sampler = load(tmp_path / "sd", steps=1)
    forward = sampler.pipe.safety_checker.forward

    def withhold(clip_input, images):
        images, _ = forward(clip_input, images)
        flags = [int(image.abs().sum() * 1000) % 2 == 0 for image in images]
        for image, flag in zip(images, flags, strict=True):
            image.mul_(not flag)
        return images, flags

    sampler.pipe.safety_checker.forward = withhold
    clone = draw_clone(sampler, 4, tmp_path / "clone", batch_size=4, progress=False)
    assert len(clone) == 8 and all(image.any() for image, _ in clone)
    report = json.loads((tmp_path / "clone" / "rejects.json").read_text())
    assert "safety" in json.dumps(report)
