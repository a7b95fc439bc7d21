"""Generators of Projected GAN: FastGAN, FastGAN-lite and StyleGAN2, class-conditional or not.

Sauer, Chitta, Müller and Geiger, 2021, Projected GANs Converge Faster (arXiv 2111.01007). Its
StyleGAN2 configuration has the modules and tensors of StyleGAN2-ADA, with two mapping layers.
"""

from __future__ import annotations

import torch

from gendata.samplers.networks import stylegan2
from gendata.samplers.networks.fastgan import FastGan
from gendata.samplers.networks.fields import misfit, module_of
from gendata.samplers.restricted_pickle import Record

__all__ = ["build"]


def build(generator: Record) -> FastGan | stylegan2.Generator:
    """Builds the generator of a Projected GAN file, with its weights, in evaluation mode.

    Raises:
        GendataError: the file's tensors do not fit a generator of this family.
    """
    synthesis = module_of(generator, "synthesis")
    if "b4" in synthesis.modules():
        return stylegan2.build(generator)
    if "init" not in synthesis.modules():
        found = ", ".join(sorted(synthesis.modules())[:8]) or "none"
        raise misfit(synthesis, "its modules", found, "init (FastGAN) or b4 (StyleGAN2)")
    network = FastGan(generator).eval().requires_grad_(False)
    return network.to(memory_format=torch.channels_last)
