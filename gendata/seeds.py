"""Where randomness comes from: one hash per image, one generator per image.

Nothing here counts across images, so no order, batch, process or machine changes an image.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

__all__ = ["hash_seed", "image_noise"]


def hash_seed(*parts: int) -> int:
    """Hashes integers to a seed between 0 and 2^63 - 1 (BLAKE2b over their 64-bit forms).

    A slot's attempt has the seed `hash_seed(run_seed, class, ordinal, attempt)`, an unconditional
    draw `hash_seed(run_seed, index)`; the number of parts is hashed too, so the two never meet.
    """
    content = struct.pack(f"<{len(parts) + 1}q", len(parts), *parts)
    digest = hashlib.blake2b(content, digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def image_noise(
    seeds: Tensor | Iterable[int], shape: Sequence[int], device: torch.device | str = "cpu"
) -> Tensor:
    """Draws standard normal noise (B, *shape), float32, one generator per image.

    The generators run on the CPU, so that the same seed means the same noise on every device.
    """
    generator = torch.Generator()
    numbers = seeds.tolist() if isinstance(seeds, Tensor) else list(seeds)
    noise = torch.empty(len(numbers), *shape)
    for row, seed in zip(noise, numbers, strict=True):
        torch.randn(shape, generator=generator.manual_seed(seed), out=row)
    return noise.to(device)
