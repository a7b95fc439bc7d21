"""ADM, the U-Net of Dhariwal and Nichol, as Karras et al. publish it.

Dhariwal, Nichol 2021, "Diffusion Models Beat GANs on Image Synthesis",
https://arxiv.org/abs/2105.05233, in the form of Karras et al. 2022,
https://arxiv.org/abs/2206.00364: blocks scale and shift by the embedding, attention has heads of
64 channels, and the label joins the embedding of the noise after its second layer.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from gendata.samplers.networks.fields import module_of, part_of
from gendata.samplers.networks.unet_blocks import (
    Convolution,
    Dense,
    GroupNorm,
    LabelTable,
    PositionalEmbedding,
    ResidualBlock,
    members,
)
from gendata.samplers.restricted_pickle import Record

__all__ = ["DhariwalUnet"]


class DhariwalUnet(nn.Module):
    """ADM.

    Args:
        record: the recorded network. Its augmentation labels are zero when images are drawn, so
            the layer that embeds them is left out.
    """

    def __init__(self, record: Record) -> None:
        super().__init__()
        self.map_layer0 = Dense(module_of(record, "map_layer0"))
        self.map_layer1 = Dense(module_of(record, "map_layer1"))
        channels = self.map_layer0.weight.shape[1]
        self.map_noise = PositionalEmbedding(module_of(record, "map_noise"), channels)
        labels = part_of(record, "map_label")
        self.map_label = None if labels is None else LabelTable(labels, 1.0)
        self.encoder_roles, self.enc = _parts(record, "enc", "conv|down|block")
        self.decoder_roles, self.dec = _parts(record, "dec", "in|up|block")
        self.out_norm = GroupNorm(module_of(record, "out_norm"))
        self.out_conv = Convolution(module_of(record, "out_conv"))

    def forward(self, x: Tensor, noise: Tensor, labels: Tensor | None) -> Tensor:
        """Maps images (B, C, H, W), noise conditions (B,) and labels (B,) to (B, D, H, W)."""
        embedding = self.map_layer1(functional.silu(self.map_layer0(self.map_noise(noise))))
        if self.map_label is not None:
            embedding = embedding + self.map_label(labels)
        embedding = functional.silu(embedding)
        skips = []
        for role, part in zip(self.encoder_roles, self.enc.values(), strict=True):
            x = part(x) if role == "conv" else part(x, embedding)
            skips.append(x)
        for role, part in zip(self.decoder_roles, self.dec.values(), strict=True):
            x = part(torch.cat([x, skips.pop()], dim=1) if role == "block" else x, embedding)
        return self.out_conv(functional.silu(self.out_norm(x)))


def _parts(record: Record, name: str, roles: str) -> tuple[list[str], nn.ModuleDict]:
    parts = members(record, name, roles)
    built = {
        key: Convolution(part) if role == "conv" else ResidualBlock(part)
        for key, (role, part) in parts.items()
    }
    return [role for role, _ in parts.values()], nn.ModuleDict(built)
