"""StyleGAN-XL generators, stems and super-resolution: our own network from what a file records.

Sauer et al. 2022, "StyleGAN-XL: Scaling StyleGAN to Large Diverse Datasets"
(https://arxiv.org/abs/2202.00273): the alias-free generator of StyleGAN3 with a small latent
space, classes embedded by the features of a pretrained network (section 3.2), and one mean style
a class, which truncation pulls to. A super-resolution generator is a stem without its last
layers, and a head after it (section 3.3); since its constructor reads the stem's own file, we
build it, as every generator, from the attributes of its layers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from gendata.errors import GendataError
from gendata.samplers.networks.fields import misfit, module_of, number_of, tensor_of, whole_of
from gendata.samplers.networks.modulation import Dense, dense_of, normalize
from gendata.samplers.networks.stylegan_xl_synthesis import (
    MOST_ROWS,
    FourierFeatures,
    Layer,
    Resample,
)
from gendata.samplers.restricted_pickle import Record, named_tensors

__all__ = ["Generator", "Mapping", "alias_free_parts", "build"]

MOST_LAYERS = 48
MOST_CLASSES = 1_000_000
LARGEST_FACTOR = 64
MOST_VALUES = 2**30  # of the activations of one layer for one image
MOST_ENTRIES = 2**23  # of the matrices of one filter
LARGEST_KERNEL = 15
LARGEST_SIDE = 4352  # pixels: an image of 4,096 and margins
MOST_TAPS = 64  # of a filter for every sample it spreads
LARGEST_PLANE = 256  # side of a filter that is not separable


class Mapping(nn.Module):
    """From latents and labels to styles, and the means that truncation pulls to.

    Args:
        layers: the dense layers.
        embedding: normalised embeddings (c_dim, E) of the labels; None for no labels.
        average: mean styles (c_dim, w_dim), or one of all (w_dim,).
        z_dim: size of the latents.
    """

    average: Tensor
    embedding: Tensor | None

    def __init__(
        self, layers: list[Dense], embedding: Tensor | None, average: Tensor, z_dim: int
    ) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)
        self.register_buffer("embedding", embedding)
        self.register_buffer("average", average)
        self.z_dim, self.c_dim = z_dim, 0 if embedding is None else len(embedding)
        self.w_dim = average.shape[-1]

    def forward(self, z: Tensor, labels: Tensor | None) -> Tensor:
        """Maps z (B, z_dim) and labels (B,) to styles (B, w_dim)."""
        values = normalize(z.to(self.average.dtype))
        if self.embedding is not None:
            if labels is None:
                raise GendataError("this generator needs labels", found="none")
            values = torch.cat([values, self.embedding[labels]], dim=1)
        return self.layers(values)

    def mean_of(self, labels: Tensor | None) -> Tensor:
        """Returns the mean styles (B, w_dim) of labels, or (w_dim,), where there is only one."""
        return self.average if labels is None or self.average.ndim == 1 else self.average[labels]


class Generator(nn.Module):
    """A StyleGAN-XL generator.

    Args:
        mapping: from latents to styles.
        features: the input of the synthesis.
        layers: its layers, the colours last.
        img_resolution: side of the images.
        img_channels: number of colours.
        output_scale: what the last layer's result is multiplied by.

    Attributes:
        w_avg: mean style of each class (c_dim, w_dim), or of all images (w_dim,).
        centroids: styles (K, w_dim) set by `use_centroids`, or None.
    """

    family = "stylegan-xl"
    to_bytes = "(x+1)*127.5"
    centroids: Tensor | None

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
        self.z_dim, self.c_dim, self.w_dim = mapping.z_dim, mapping.c_dim, mapping.w_dim
        self.img_resolution, self.img_channels = img_resolution, img_channels
        self.num_ws = len(layers) + 1
        self.output_scale = output_scale
        self.noise_shapes: list[tuple[int, int]] = []
        self.register_buffer("centroids", None)

    @property
    def w_avg(self) -> Tensor:
        """Mean style of each class (c_dim, w_dim), or of all images (w_dim,)."""
        return self.mapping.average

    def use_centroids(self, centroids: Tensor | None) -> None:
        """Lets truncation pull each style to the nearest of these (K, w_dim), not to w_avg.

        This is the multi-modal truncation of Mokady et al. 2022, "Self-Distilled StyleGAN"
        (https://arxiv.org/abs/2202.12211); None returns to the means of the file.
        """
        if centroids is not None:
            if centroids.ndim != 2 or not len(centroids) or centroids.shape[1] != self.w_dim:
                raise GendataError(
                    "the centroids do not fit the generator",
                    found=tuple(centroids.shape),
                    expected=f"(number, {self.w_dim})",
                )
            centroids = centroids.to(self.w_avg)
        self.centroids = centroids

    def forward(
        self,
        z: Tensor,
        labels: Tensor | None,
        *,
        psi: float = 1.0,
        cutoff: int | None = None,
        noise: str | list[Tensor] = "const",
    ) -> Tensor:
        """Draws images (B, C, H, W) in [-1, 1], about, for z (B, z_dim) and labels (B,).

        Args:
            z: latents, standard normal.
            labels: classes, int64; None for a generator without classes.
            psi: truncation: 1 for none, 0 for the mean image (of a class).
            cutoff: how many of the `num_ws` styles are truncated; None: all.
            noise: ignored: the network takes none.
        """
        style = self.mapping(z, labels)
        truncated = self.truncate(style, labels, psi)
        count = self.num_ws if cutoff is None else cutoff
        values = self.features(truncated if count > 0 else style)
        for index, layer in enumerate(self.layers, start=1):
            values = layer(values, truncated if index < count else style)
        return (values * self.output_scale).permute(0, 3, 1, 2).contiguous()

    def truncate(self, style: Tensor, labels: Tensor | None, psi: float) -> Tensor:
        """Pulls styles (B, w_dim) to a mean: all the way for psi 0, not at all for psi 1."""
        if psi == 1:
            return style
        mean = self.mapping.mean_of(labels)
        if self.centroids is not None:
            mean = self.centroids[torch.cdist(style, self.centroids).argmin(dim=1)]
        return mean.lerp(style, psi)


def build(generator: Record) -> Generator:
    """Builds a recorded StyleGAN-XL generator, a stem or one of super-resolution.

    Raises:
        GendataError: the file does not fit.
    """
    named_tensors(generator)  # refuses tensors whose copies would outgrow the file
    mapping = _mapping_of(module_of(generator, "mapping"))
    built = Generator(mapping, *alias_free_parts(generator, mapping.w_dim))
    return built.eval().requires_grad_(False)


def alias_free_parts(
    generator: Record, w_dim: int
) -> tuple[FourierFeatures, list[Layer], int, int, float]:
    """Returns features, layers, resolution, number of colours and scale of a synthesis network.

    StyleGAN3's generators have the same, and are built from it too.

    Raises:
        GendataError: the file does not fit.
    """
    synthesis = module_of(generator, "synthesis")
    features, size, channels = _features_of(module_of(synthesis, "input"), w_dim)
    names = synthesis.get("layer_names")
    if not isinstance(names, list) or not 0 < len(names) <= MOST_LAYERS:
        raise misfit(synthesis, "its layer names", expected=f"a list of 1 to {MOST_LAYERS}")
    layers = []
    for name in names:
        layer, size, channels = _layer_of(module_of(synthesis, str(name)), w_dim, size, channels)
        layers.append(layer)
    resolution = whole_of(generator, "img_resolution", 1, LARGEST_SIDE)
    if size != resolution or not layers[-1].is_colour:
        raise misfit(synthesis, "its last layer", f"{size} pixels", f"{resolution}, colours")
    if channels != whole_of(generator, "img_channels", 1, 64, channels):
        raise misfit(generator, "the number of colours", channels, generator.get("img_channels"))
    scale = number_of(synthesis, "output_scale", 0.25)
    return features, layers, resolution, channels, 1.0 if scale is None else scale


def _mapping_of(record: Record) -> Mapping:
    projection = record.modules().get("embed_proj")
    average = record.get("w_avg")
    per_class = isinstance(average, Tensor) and average.ndim == 2
    average = tensor_of(record, "w_avg", *([None] * (1 + per_class))).clone()
    embedding = None
    if projection is not None:
        c_dim = whole_of(record, "c_dim", 1, MOST_CLASSES, len(average) if per_class else None)
        if per_class and len(average) != c_dim:
            raise misfit(record, "the number of its mean styles", len(average), c_dim)
        embedding = _embedding_of(record, projection, c_dim)
    elif per_class or whole_of(record, "c_dim", 0, MOST_CLASSES, 0):
        raise misfit(record, "classes, but no module 'embed_proj'")
    count = whole_of(record, "num_layers", 1, MOST_LAYERS)
    layers: list[Dense] = []
    width = None
    for index in range(count):
        layers.append(dense_of(module_of(record, f"fc{index}"), width, None))
        width = len(layers[-1].weight)
    if width != average.shape[-1]:
        raise misfit(record, "the size of its mean styles", average.shape[-1], width)
    z_dim = layers[0].weight.shape[1] - (0 if embedding is None else embedding.shape[1])
    if z_dim < 1 or z_dim != whole_of(record, "z_dim", 1, MOST_CLASSES, z_dim):
        raise misfit(record, "the size of its latents", record.get("z_dim"), z_dim)
    return Mapping(layers, embedding, average, z_dim)


def _embedding_of(record: Record, projection: Record, c_dim: int) -> Tensor:
    """Embeds every label once: the first rows of the pretrained table, projected."""
    table = tensor_of(module_of(record, "embed"), "weight", None, None)
    if c_dim > len(table):
        raise misfit(record, "its classes", c_dim, f"at most {len(table)}, the embedding's rows")
    return normalize(dense_of(projection, table.shape[1], None)(table[:c_dim]))


def _features_of(record: Record, w_dim: int) -> tuple[FourierFeatures, int, int]:
    """Returns the Fourier features, their side and their number."""
    weight = tensor_of(record, "weight", None, None)
    channels, size = len(weight), _side_of(record, "size")
    # The file's `transform` moves all images; drawing programs set it to the identity.
    features = FourierFeatures(
        dense_of(module_of(record, "affine"), w_dim, 4),
        tensor_of(record, "weight", channels, channels),
        tensor_of(record, "freqs", channels, 2),
        tensor_of(record, "phases", channels),
        size,
        number_of(record, "sampling_rate") or 0.0,
        number_of(record, "bandwidth") or 0.0,
    )
    _check_activations(record, size, channels)
    return features, size, channels


def _layer_of(record: Record, w_dim: int, size: int, channels: int) -> tuple[Layer, int, int]:
    """Returns a layer for inputs of a side and a number, and the side and number it puts out."""
    weight = tensor_of(record, "weight", None, channels, None, None)
    outputs, _, kernel, other = weight.shape
    if kernel != other or kernel > LARGEST_KERNEL:
        raise misfit(record, "the side of its kernels", (kernel, other))
    if _side_of(record, "in_size") != size:
        raise misfit(record, "the side of its input", _side_of(record, "in_size"), size)
    magnitude = number_of(record, "magnitude_ema", 1.0) or 0.0
    if magnitude <= 0:
        raise misfit(record, "the magnitude of its input", magnitude, "a positive number")
    is_colour = record.get("is_torgb") is True
    gain = 1.0 if is_colour else math.sqrt(2)
    out_size = _side_of(record, "out_size")
    up, down = _filters_of(record, size + kernel - 1, out_size, outputs, gain)
    layer = Layer(
        dense_of(module_of(record, "affine"), w_dim, channels),
        weight,
        tensor_of(record, "bias", outputs),
        magnitude,
        is_colour,
        up,
        down,
        number_of(record, "conv_clamp", None),
    )
    return layer, out_size, outputs


def _filters_of(
    record: Record, size: int, out_size: int, channels: int, gain: float
) -> tuple[Resample | None, Resample | None]:
    """Returns the filters around the nonlinearity, from side `size` to side `out_size`.

    Padding centres the output on the input (appendix C.3 of the StyleGAN3 paper).
    """
    up = whole_of(record, "up_factor", 1, LARGEST_FACTOR)
    down = whole_of(record, "down_factor", 1, LARGEST_FACTOR)
    up_taps, down_taps = _taps_of(record, "up_filter", up), _taps_of(record, "down_filter", down)
    between = (out_size - 1) * down + len(down_taps)
    padding = between - size * up + len(up_taps) - 1
    _check_activations(record, between, channels)
    for taps, rows, window in (
        (up_taps, between, min(size, (MOST_ROWS + len(up_taps)) // up + 2)),
        (down_taps, out_size, min(between, MOST_ROWS * down + len(down_taps))),
    ):
        entries = rows * window * (1 if taps.ndim == 1 else len(taps))
        if entries > MOST_ENTRIES:
            raise misfit(record, "the size of its filters", f"{entries} entries", MOST_ENTRIES)
    if up == down == 1 and len(up_taps) == len(down_taps) == 1 and padding == 0 and gain == 1:
        return None, None
    before = (padding + up) // 2
    return (
        Resample(up_taps, up, 1, before, size, between, up**2 * gain),
        Resample(down_taps, 1, down, 0, between, out_size, 1.0),
    )


def _check_activations(record: Record, side: int, channels: int) -> None:
    if side * side * channels > MOST_VALUES:
        raise misfit(record, "the size of its activations", f"{side} x {side} x {channels}")


def _side_of(record: Record, name: str) -> int:
    """Returns a side that the file holds as a number, or as (width, height)."""
    value = record.get(name)
    value = getattr(value, "tensor", value)  # an array
    if isinstance(value, Tensor):
        value = value.tolist() if 0 < value.numel() <= 2 else None
    sides = list(value) if isinstance(value, list | tuple) and value else [value]
    numbers = [
        side for side in sides if isinstance(side, int | float) and 1 <= side <= LARGEST_SIDE
    ]
    side = sides[0]
    if len(numbers) < len(sides) or len(set(sides)) > 1 or side != int(side):
        raise misfit(record, f"bad '{name}'", value, f"the side of a square, 1…{LARGEST_SIDE}")
    return int(side)


def _taps_of(record: Record, name: str, factor: int) -> Tensor:
    """Returns a filter (K,), or (K, K) if it is not separable; None in the file is the identity.

    Args:
        record: a layer.
        name: of the filter.
        factor: of up- or downsampling.
    """
    taps = record.get(name)
    if taps is None:
        return torch.ones(1)
    is_plane = isinstance(taps, Tensor) and taps.ndim == 2
    taps = tensor_of(record, name, *([None] * (1 + is_plane)))
    most = LARGEST_PLANE if is_plane else MOST_TAPS * factor
    if taps.shape[0] != taps.shape[-1] or len(taps) > most:
        raise misfit(record, f"the shape of '{name}'", tuple(taps.shape))
    if not taps.isfinite().all():
        raise misfit(record, f"'{name}' is not finite")
    return taps
