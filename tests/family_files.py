"""Tiny files of every family that a sampler draws from, and a judge, for tests of what all share.

They are made by the helpers of the families' own tests, so that there is one look-alike of each.
"""

import json
import os
import pickle
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from gendata import draw_clone, load_sampler
from gendata.clone import ConfidenceFilter
from gendata.types import Card

HERE = Path(__file__).parent / "samplers"
NAMES = ["ant", "bee", "cat"]
PROGRAM = """
import torch
from gendata.seeds import image_noise


def draw(labels, seeds):
    return image_noise(seeds, (3, 8, 8)) / 3 + labels[:, None, None, None] / 10


def made():
    return draw
"""


def helpers(name: str) -> Any:
    """Imports a test file beside this one for what it makes."""
    for folder in (HERE, HERE / "networks"):
        if str(folder) not in sys.path:
            sys.path.append(str(folder))
    return __import__(name)


def stylegan(**options: Any) -> Callable[[Path], str]:
    """Writes a StyleGAN2 generator, or a StyleGAN3 one of configuration T or R."""

    def make(folder: Path) -> str:
        fake, kind = helpers("fake_stylegan"), dict(options)
        build = getattr(fake, kind.pop("build", "stylegan2"))
        return f"stylegan:{fake.save(build(c_dim=3, **kind), folder / 'G.pkl')}"

    return make


def pickled(module: str, name: str, **options: Any) -> Callable[[Path], str]:
    """Writes a generator of a class in another test file."""

    def make(folder: Path) -> str:
        generator = getattr(helpers(module), name)(**options)
        (folder / "G.pkl").write_bytes(pickle.dumps({"G_ema": generator}))
        np.save(folder / "centroids.npy", np.random.default_rng(0).normal(size=(4, 8)))
        return f"stylegan:{folder / 'G.pkl'}"

    return make


def edm(kind: str, network: str = "SongUNet") -> Callable[[Path], str]:
    """Writes a diffusion network of this preconditioning."""

    def make(folder: Path) -> str:
        like = helpers("edm_lookalikes")
        options = {"network": getattr(like, network), "classes": 3, "mults": (1,)}
        like.save(folder / "net.pkl", getattr(like, kind), attention=(), **options)
        return f"edm:{folder / 'net.pkl'}"

    return make


def unet(scheduler: str, **options: Any) -> Callable[[Path], str]:
    """Writes a pipeline of one class-conditional U-Net."""

    def make(folder: Path) -> str:
        import diffusers

        folder.mkdir(exist_ok=True)
        kind = {"num_class_embeds": 4, "names": NAMES, **options}
        helpers("test_diffusers").save_unet(folder, getattr(diffusers, scheduler)(), **kind)
        return f"diffusers:{folder}"

    return make


def transformer(folder: Path) -> str:
    """Writes a DiT pipeline of a thousand classes."""
    helpers("test_diffusers").save_dit(folder)
    return f"diffusers:{folder}"


def text(scheduler: str, kind: str = "StableDiffusionPipeline", **options: Any) -> Any:
    """Writes a text-to-image pipeline, and photos to start from."""

    def make(folder: Path) -> str:
        import diffusers

        build = getattr(diffusers, kind), getattr(diffusers, scheduler)()
        helpers("test_prompts").save_sd(folder, *build, **options)
        random = np.random.default_rng(0)
        for name in NAMES:
            (folder / "photos" / name).mkdir(parents=True)
            pixels = random.integers(0, 255, (20, 24, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / "photos" / name / "0.png")
        return f"diffusers:{folder}"

    return make


def text_xl(folder: Path) -> str:
    """Writes a Stable Diffusion XL pipeline, whose scheduler adds noise at each step."""
    helpers("test_prompts").save_sdxl(folder)
    return f"diffusers:{folder}"


def biggan(folder: Path) -> str:
    """Writes a BigGAN-deep folder."""
    made = helpers("test_biggan")
    torch.save(made.make_state(), folder / "pytorch_model.bin")
    (folder / "config.json").write_text(json.dumps(made.CONFIG))
    return f"biggan:{folder}"


def lsgm(case: str) -> Callable[[Path], str]:
    """Writes an LSGM checkpoint with the arguments of one of its own tests' cases."""

    def make(folder: Path) -> str:
        import argparse

        made = helpers("test_lsgm")
        options = {**made.ARGUMENTS, **made.CASES[case]}
        vae, dae = made.state_dicts(options, 32 >> (len(options["channel_mult"]) - 1))
        content = {"args": argparse.Namespace(**options)}
        content |= {"vae_state_dict": vae, "dae_state_dict": dae}
        torch.save(content, folder / "checkpoint_fid.pt")
        return f"lsgm:{folder / 'checkpoint_fid.pt'}"

    return make


def onnx_graph(folder: Path) -> str:
    """Writes an ONNX generator."""
    made = helpers("test_onnx")
    made.onnx.save(made.graph((made.Z, made.INDEX)), folder / "G.onnx")
    return f"onnx:{folder / 'G.onnx'}"


def torchscript(folder: Path) -> str:
    """Writes a TorchScript generator."""
    torch.manual_seed(0)
    module = torch.jit.script(helpers("test_torchscript").Conditional().eval())
    module.save(str(folder / "G.pt"))
    return f"torchscript:{folder / 'G.pt'}"


def program(folder: Path) -> str:
    """Writes a Python module that draws."""
    (folder / "family_program.py").write_text(PROGRAM)
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
    return "python:family_program:made"


@dataclass(frozen=True)
class Family:
    """One kind of file, and how it is drawn.

    Attributes:
        make: writes it into a folder and returns its reference.
        options: of the sampler; `FOLDER` in a text stands for that folder.
        conditional: whether it is asked for classes.
        needs: the package without which it cannot be drawn.
    """

    make: Callable[[Path], str]
    options: dict[str, Any] = field(default_factory=dict)
    conditional: bool = True
    needs: str = "torch"

    def given(self, folder: Path) -> dict[str, Any]:
        """Returns the options for a file in this folder."""
        return {
            key: value.replace("FOLDER", str(folder)) if isinstance(value, str) else value
            for key, value in self.options.items()
        }


XL, PROJECTED = "test_stylegan_xl", "test_projected_gan"
CHURN = {"steps": 4, "churn": 30, "churn_noise": 1.003}
PROMPTED = {"classes": NAMES, "steps": 2, "template": ["a {class}", "the {class}"]}
FAMILIES = {
    "stylegan2": Family(stylegan(), {"noise_mode": "random"}),
    "stylegan2-truncated": Family(stylegan(), {"psi": 0.6, "cutoff": 2, "noise_mode": "const"}),
    "stylegan3-t": Family(stylegan(build="stylegan3"), {"psi": 0.6}),
    "stylegan3-r": Family(stylegan(build="stylegan3", radial=True, kernel=1)),
    "stylegan-xl-stem": Family(pickled(XL, "Generator"), {"psi": 0.6, "cutoff": 3}),
    "stylegan-xl-superres": Family(
        pickled(XL, "SuperresGenerator"), {"psi": 0.6, "centroids": "FOLDER/centroids.npy"}
    ),
    "projected-gan": Family(pickled(PROJECTED, "Generator", conditional=True)),
    "projected-gan-lite": Family(pickled(PROJECTED, "Generator", lite=True, conditional=True)),
    "edm": Family(edm("EDMPrecond"), CHURN),
    "edm-adm": Family(edm("EDMPrecond", "DhariwalUNet"), CHURN),
    "edm-vp": Family(edm("VPPrecond"), CHURN),
    "edm-ve": Family(edm("VEPrecond"), CHURN),
    "edm-iddpm": Family(edm("iDDPMPrecond"), CHURN),
    "ddpm": Family(unet("DDPMScheduler"), {"steps": 3, "guidance": 2}, needs="diffusers"),
    "ddim-noisy": Family(unet("DDIMScheduler"), {"steps": 3, "eta": 1}, needs="diffusers"),
    "ancestral": Family(unet("EulerAncestralDiscreteScheduler"), {"steps": 3}, needs="diffusers"),
    "consistency": Family(
        unet("CMStochasticIterativeScheduler", kind="ConsistencyModelPipeline"),
        {"steps": 2},
        needs="diffusers",
    ),
    "dit": Family(transformer, {"steps": 2, "scheduler": "ddpm"}, needs="diffusers"),
    "text": Family(
        text("EulerAncestralDiscreteScheduler"),
        {**PROMPTED, "negative": "bad", "guidance": 3},
        needs="transformers",
    ),
    "text-from-real": Family(
        text("DDPMScheduler"),
        {**PROMPTED, "steps": 4, "from_real": "FOLDER/photos", "strength": 0.5},
        needs="transformers",
    ),
    "text-xl": Family(text_xl, PROMPTED, needs="transformers"),
    "text-lcm": Family(
        text("LCMScheduler", "LatentConsistencyModelPipeline", time_cond_proj_dim=16),
        PROMPTED,
        needs="transformers",
    ),
    "biggan": Family(biggan, {"truncation": 0.4}),
    "lsgm": Family(lsgm("cifar"), {"tolerance": 1e-2}, conditional=False),
    "lsgm-scales": Family(lsgm("scales"), {"tolerance": 1e-2}, conditional=False),
    "onnx": Family(onnx_graph, {"classes": 3}, needs="onnxruntime"),
    "torchscript": Family(torchscript, {"classes": NAMES}),
    "python": Family(program, {"classes": NAMES, "trust": True}),
}


class Judge:
    """Sure of some images and not of others, and of any class: all by their pixels."""

    name, classes, card = "tiny:judge", None, Card("Judge", licence="MIT")

    def __init__(self, count: int) -> None:
        self.count = count

    def probabilities(self, images: torch.Tensor) -> torch.Tensor:
        """Returns (B, classes) for uint8 (B, 3, H, W)."""
        total = images.flatten(1).long().sum(1)
        place = torch.nn.functional.one_hot(total % 3, self.count).float()
        sure = torch.where(total // 3 % 4 == 0, 0.4, 0.9)[:, None]
        return place * sure + (1 - sure) / self.count


def draw_family(reference: str, options: dict[str, Any], out: Path, **settings: Any) -> Any:
    """Draws a few images of each of three classes, some attempts of which are rejected.

    Args:
        reference: what draws.
        options: its options.
        out: the clone.
        settings: for `draw_clone`; `dies_at` is the batch before which the process kills itself.
    """
    torch.set_num_threads(1)
    dies_at = settings.pop("dies_at", None)
    sampler = load_sampler(reference, device="cpu", **options)
    count = len(sampler.classes or NAMES)
    if dies_at is not None:
        die_before(sampler, dies_at)
    judge = ConfidenceFilter(
        Judge(count), 0.5, "classifier" if sampler.classes is None else "condition"
    )
    defaults = {"seed": 3, "batch_size": 4, "shard_size": 2, "progress": False}
    defaults |= {"filter": judge, "sampler_options": options}
    per_class = 3 if sampler.classes is not None else 2
    if count > 3:
        defaults["classes"] = [1, 0, 2]
    return draw_clone(sampler, per_class, out, **(defaults | settings))


def die_before(sampler: Any, batch: int) -> None:
    """Lets a sampler end its process, without any farewell, when it is asked for this batch."""
    draw, calls = sampler.sample, [0]

    def sample(labels: torch.Tensor | None, seeds: torch.Tensor) -> torch.Tensor:
        if calls[0] == batch:
            os.kill(os.getpid(), signal.SIGKILL)
        calls[0] += 1
        return draw(labels, seeds)

    sampler.sample = sample


def draw_family_quietly(*arguments: Any, **settings: Any) -> None:
    """`draw_family` as the target of a process."""
    draw_family(*arguments, **settings)
