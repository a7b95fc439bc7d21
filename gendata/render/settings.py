"""How images are rendered, whatever is on them: what all images of a run share.

Defaults are the fast ones: at 128 pixels, denoising at its best takes nearly three times what
drawing four samples does. This module needs nothing but Python, because Blender's own interpreter
imports it.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["DENOISERS", "DEVICES", "LABELS", "RenderSettings"]

DENOISERS = ("none", "fast", "balanced", "accurate")
DEVICES = ("cpu", "cuda", "optix", "hip", "metal", "oneapi")
LABELS = ("mask", "depth", "normal", "box", "centre")
"""What can be stored beside an image: visible mask, distance, normals, box of the mask, amodal
centre (where the object's centre projects to, seen or not)."""


@dataclass(frozen=True)
class RenderSettings:
    """What all images of a run share.

    Attributes:
        resolution: side of the square images, pixels.
        samples: light paths a pixel.
        denoiser: one of DENOISERS.
        bounces: most bounces of a light path.
        view: colour management, "standard" (plain sRGB) or "filmic" (Blender's AgX).
        exposure: stops, added before the view.
        device: one of DEVICES.
        labels: which of LABELS to render.
        environment_map: side of the map by which rays are sent to an environment, pixels. Never
            Blender's automatic choice: it costs over a second an image.
        smallest_mask: share of the image that the object must visibly cover to be used.
    """

    resolution: int = 128
    samples: int = 4
    denoiser: str = "fast"
    bounces: int = 4
    view: str = "standard"
    exposure: float = 0.0
    device: str = "cpu"
    labels: tuple[str, ...] = ()
    environment_map: int = 128
    smallest_mask: float = 0.01
