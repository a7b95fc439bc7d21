"""StyleGAN3 generators, translation (T) and rotation (R) equivariant: our own network.

Karras et al. 2021, "Alias-Free Generative Adversarial Networks"
(https://arxiv.org/abs/2106.12423). The synthesis is the one that StyleGAN-XL took over, and is
built by the same functions from what a file records of each layer: sizes, rates, filters (radial
ones in configuration R) and the tracked magnitudes. The transform of the input, which moves every
image, is the identity, as the published programs set it.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from gendata.samplers.networks.fields import module_of
from gendata.samplers.networks.modulation import Mapping, mapping_of
from gendata.samplers.networks.stylegan_xl import alias_free_parts
from gendata.samplers.networks.stylegan_xl_synthesis import FourierFeatures, Layer
from gendata.samplers.restricted_pickle import Record, named_tensors

__all__ = ["Generator", "build"]


class Generator(nn.Module):
    """A StyleGAN3 generator.

    Args:
        mapping: from latents to styles.
        features: the input of the synthesis.
        layers: its layers, the colours last.
        img_resolution: side of the images.
        img_channels: number of colours.
        output_scale: what the last layer's result is multiplied by.
    """

    family = "stylegan3"
    to_bytes = "x*127.5+128"

    def __init__(
        self,
        mapping: Mapping,
        features: FourierFeatures,
        layers: Sequence[Layer],
        img_resolution: int,
        img_channels: int,
        output_scale: float,
    ) -> None:
        super().__init__()
        self.mapping, self.features, self.layers = mapping, features, nn.ModuleList(layers)
        self.z_dim, self.c_dim = mapping.z_dim, mapping.c_dim
        self.img_resolution, self.img_channels = img_resolution, img_channels
        self.output_scale = output_scale
        self.noise_shapes: list[tuple[int, int]] = []

    def forward(
        self,
        z: Tensor,
        labels: Tensor | None,
        *,
        psi: float = 1.0,
        cutoff: int | None = None,
        noise: str | list[Tensor] = "const",
    ) -> Tensor:
        """Maps latents (B, z_dim) and labels (B,) to images (B, C, H, H), about [-1, 1].

        Args:
            z: standard normal.
            labels: int64, or None for an unconditional generator.
            psi: truncation: 1 leaves the styles as they are, 0 gives the mean image.
            cutoff: how many styles, from the coarsest, are truncated; None: all.
            noise: not used: this network has no noise inputs.
        """
        first, *styles = self.mapping(z, labels, len(self.layers) + 1, psi, cutoff)
        values = self.features(first)
        for layer, style in zip(self.layers, styles, strict=True):
            values = layer(values, style)
        return (values * self.output_scale).permute(0, 3, 1, 2).contiguous()


def build(generator: Record) -> Generator:
    """Builds the generator of a record; its sizes are those of its tensors.

    Raises:
        GendataError: the record is none of a StyleGAN3 generator.
    """
    named_tensors(generator)  # refuses tensors that are repeated without end
    mapping = mapping_of(module_of(generator, "mapping"))
    parts = alias_free_parts(generator, mapping.w_dim)
    return Generator(mapping, *parts).eval().requires_grad_(False)
