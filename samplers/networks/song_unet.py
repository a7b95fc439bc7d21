"""DDPM++ and NCSN++, the U-Nets of Song et al., as Karras et al. publish them.

Song, Sohl-Dickstein, Kingma, Kumar, Ermon, Poole 2021, "Score-Based Generative Modeling through
Stochastic Differential Equations", https://arxiv.org/abs/2011.13456, in the form of Karras et al.
2022, https://arxiv.org/abs/2206.00364. The two are one network with other parts: DDPM++ embeds
the noise level by position, NCSN++ by random frequencies and feeds the small images to its
encoder ("residual"). A "skip" encoder or decoder sums images of all resolutions.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from gendata.errors import GendataError
from gendata.samplers.networks.fields import module_of, part_of
from gendata.samplers.networks.unet_blocks import (
    Convolution,
    Dense,
    FourierEmbedding,
    GroupNorm,
    LabelTable,
    PositionalEmbedding,
    ResidualBlock,
    members,
)
from gendata.samplers.records import Record, brief

__all__ = ["SongUnet"]

ENCODER_ROLES = "conv|down|block|aux_down|aux_skip|aux_residual"
DECODER_ROLES = "in|up|block|aux_up|aux_norm|aux_conv"


class SongUnet(nn.Module):
    """DDPM++, NCSN++ and what lies between them.

    Args:
        record: the recorded network. Its augmentation labels are zero when images are drawn, so
            the layer that embeds them is left out.
    """

    def __init__(self, record: Record) -> None:
        super().__init__()
        self.map_layer0 = Dense(module_of(record, "map_layer0"))
        self.map_layer1 = Dense(module_of(record, "map_layer1"))
        self.map_noise = _embedding(
            module_of(record, "map_noise"), self.map_layer0.weight.shape[1]
        )
        labels = part_of(record, "map_label")
        self.map_label = None if labels is None else _label_table(labels)
        self.encoder_roles, self.enc = _parts(record, "enc", ENCODER_ROLES)
        self.decoder_roles, self.dec = _parts(record, "dec", DECODER_ROLES)

    def forward(self, x: Tensor, noise: Tensor, labels: Tensor | None) -> Tensor:
        """Maps images (B, C, H, W), noise conditions (B,) and labels (B,) to (B, D, H, W)."""
        embedding = self._embed(noise, labels)
        return self._decode(*self._encode(x, embedding), embedding)

    def _embed(self, noise: Tensor, labels: Tensor | None) -> Tensor:
        embedding = self.map_noise(noise)
        embedding = embedding.roll(embedding.shape[1] // 2, dims=1)  # sines before cosines
        if self.map_label is not None:
            embedding = embedding + self.map_label(labels)
        return functional.silu(self.map_layer1(functional.silu(self.map_layer0(embedding))))

    def _encode(self, x: Tensor, embedding: Tensor) -> tuple[Tensor, list[Tensor]]:
        skips: list[Tensor] = []
        small = x
        for role, part in zip(self.encoder_roles, self.enc.values(), strict=True):
            if role == "aux_down":
                small = part(small)
            elif role == "aux_skip":
                x = skips[-1] = x + part(small)
            elif role == "aux_residual":
                x = skips[-1] = small = (x + part(small)) * math.sqrt(0.5)
            else:
                x = part(x) if role == "conv" else part(x, embedding)
                skips.append(x)
        return x, skips

    def _decode(self, x: Tensor, skips: list[Tensor], embedding: Tensor) -> Tensor:
        image, normed = None, x
        for role, part in zip(self.decoder_roles, self.dec.values(), strict=True):
            if role == "aux_up":
                image = part(image)
            elif role == "aux_norm":
                normed = part(x)
            elif role == "aux_conv":
                added = part(functional.silu(normed))
                image = added if image is None else added + image
            else:
                x = part(torch.cat([x, skips.pop()], dim=1) if role == "block" else x, embedding)
        if image is None:
            raise GendataError("the checkpoint's SongUNet has no output layer")
        return image


def _parts(record: Record, name: str, roles: str) -> tuple[list[str], nn.ModuleDict]:
    parts = members(record, name, roles)
    built: dict[str, nn.Module] = {}
    for key, (role, part) in parts.items():
        if role == "aux_norm":
            built[key] = GroupNorm(part)
        elif role == "conv" or role.startswith("aux_"):
            built[key] = Convolution(part)
        else:
            built[key] = ResidualBlock(part)
    return [role for role, _ in parts.values()], nn.ModuleDict(built)


def _embedding(record: Record, channels: int) -> nn.Module:
    if record.name == "FourierEmbedding":
        return FourierEmbedding(record)
    if record.name == "PositionalEmbedding":
        return PositionalEmbedding(record, channels)
    raise GendataError(
        "the checkpoint embeds noise in an unknown way",
        found=brief(record.name),
        expected="PositionalEmbedding or FourierEmbedding",
    )


def _label_table(record: Record) -> LabelTable:
    classes = Dense(record).weight.shape[1]
    return LabelTable(record, math.sqrt(classes))
