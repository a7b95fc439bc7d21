"""Objects rendered by Blender as a sampler: a label is a class of objects, a seed is a scene.

A seed decides every factor of its image: object, pose, material, light, camera and background. The
work is done by processes of their own, so that nothing a mesh does to Blender ends the run.
"""

from __future__ import annotations

import difflib
import warnings
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from gendata.assets import described
from gendata.errors import GendataError, UnusableImages
from gendata.registry import samplers
from gendata.render.backgrounds import Photos, composite, open_photos
from gendata.render.blender import Blender, find_blender, last_words
from gendata.render.coverage import ENOUGH_SAMPLES, smooth_coverage
from gendata.render.draw_parameters import draw_parameters
from gendata.render.factor_table import FACTORS
from gendata.render.factors import Factors, is_factor, load_factors
from gendata.render.labels import check_labels_asked, label_fields, label_values
from gendata.render.objects import MOST_FACES, ObjectLibrary, open_objects
from gendata.render.options import cycles_device, number, one_of, whole_number
from gendata.render.parameters import Parameters
from gendata.render.placement import Place, find_places
from gendata.render.pool import Limits, Pool, Result
from gendata.render.settings import DENOISERS, RenderSettings
from gendata.render.shell import shell_coordinates
from gendata.samplers.labels import check_labels
from gendata.types import Card, Described

__all__ = ["BlenderSampler", "load_blender"]

PHOTOS = "background.photos"
SCENE = 3  # to be raised where the same parameters come to give other pixels
MOST_ERRORS = 16  # images refused in a row: it is not the images
FREE_OPTIONS = ("blender", "workers", "recycle", "time_limit")
FILE_OPTIONS = ("factors", PHOTOS, "environment.files", "material.texture.files")
FIELDS = [
    ("parameters", pa.string()),
    ("object", pa.string()),
    ("scale", pa.float32()),
    ("material", pa.string()),
    ("camera_elevation", pa.float32()),
    ("camera_azimuth", pa.float32()),
    ("camera_distance", pa.float32()),
    ("background", pa.string()),
    ("visible", pa.float32()),
]


class BlenderSampler:
    """Rendered objects as a `gendata.types.DescribingSampler`.

    Args:
        library: the objects.
        factors: what varies.
        settings: what all images share.
        blender: what renders.
        photos: for backgrounds.
        places: where its processes run; None: one on each core or accelerator.
        limits: when a process is replaced.

    Attributes:
        bad_meshes: objects that cannot be rendered, met so far, and why; each is warned of once.
        engine: what renders, for people.
    """

    free_options: Collection[str] = FREE_OPTIONS
    file_options: Collection[str] = FILE_OPTIONS

    def __init__(
        self,
        library: ObjectLibrary,
        factors: Factors,
        settings: RenderSettings,
        blender: Blender,
        photos: Photos | None = None,
        places: Sequence[Place] | None = None,
        limits: Limits | None = None,
    ) -> None:
        self.library, self.factors, self.settings = library, factors, settings
        self.blender, self.photos = blender, photos
        self.name, self.classes = f"blender:{library.name}", list(library.classes)
        self.resolution = settings.resolution
        self.columns = pa.schema([*FIELDS, *label_fields(settings.labels)])
        self.card = _card(self)
        self.bad_meshes: dict[str, str] = {}
        self._told: set[str] = set()
        self._failed: Counter[str] = Counter()
        self._errors = 0
        places = places or find_places(settings.device)
        self.pool = Pool(
            blender.command(), blender.environment(), asdict(settings), places, limits
        )
        self.engine = (
            f"Blender {blender.version} ({blender.path}), {settings.device}, "
            f"processes: {len(places)}"
        )

    def close(self) -> None:
        """Ends its processes; the next image starts new ones."""
        self.pool.close()

    def sample(self, labels: Tensor | None, seeds: Tensor) -> Tensor:
        """Renders uint8 (B, 3, H, H) for labels (B,) and seeds (B,).

        Raises:
            UnusableImages: some objects cannot be rendered or are hardly seen.
        """
        images, _, unusable = self.sample_described(labels, seeds)
        if unusable:
            bad = torch.isin(torch.arange(len(seeds)), torch.tensor(list(unusable)))
            raise UnusableImages(unusable, images, bad)
        return images

    def sample_described(self, labels: Tensor | None, seeds: Tensor) -> Described:
        """Renders images, with the values that they were made from.

        Reasons of unusable ones: "mesh" (an object that cannot be rendered), "hidden" (it covers
        too little of the image), "nan", "error" (Blender refused), "crash" and "hang".
        """
        labels = check_labels(labels, seeds, len(self.classes), torch.device("cpu"))
        assert labels is not None, "checked"
        pairs = list(zip(labels.tolist(), seeds.tolist(), strict=True))
        return self._render(len(pairs), lambda row: self.parameters(*pairs[row]))

    def render(self, drawn: Sequence[Parameters]) -> Described:
        """Renders the images of some parameters; see `sample_described`."""
        return self._render(len(drawn), drawn.__getitem__)

    def _render(self, count: int, draw: Callable[[int], Parameters]) -> Described:
        """Renders images whose parameters are drawn while earlier ones are being rendered."""
        images = np.zeros((count, self.resolution, self.resolution, 3), np.uint8)
        rows: list[dict[str, Any]] = [{} for _ in range(count)]
        drawn: dict[int, Parameters] = {}
        unusable: dict[int, str] = {}

        def request(row: int) -> dict[str, Any]:
            drawn[row] = draw(row)
            rows[row] = _describe(drawn[row])
            located = self.factors.locate(drawn[row])
            return {"parameters": located.to_json(), "sources": self._sources(drawn[row])}

        with one_thread():
            for row, result in self.pool.render([partial(request, row) for row in range(count)]):
                self._tell(result, drawn[row].object.object)
                if result.status != "ok":
                    unusable[row] = result.status
                    continue
                arrays, header = result.arrays, result.header
                colour = arrays["colour"]
                if (
                    drawn[row].camera.aperture is not None
                    and self.settings.samples < ENOUGH_SAMPLES
                ):
                    colour = smooth_coverage(colour)
                images[row] = composite(colour, drawn[row].background, self.photos)
                rows[row]["visible"] = header["visible"]
                rows[row] |= label_values(self.settings.labels, arrays, header["centre"])
        pixels = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()
        return Described(pixels, pa.Table.from_pylist(rows, self.columns), unusable)

    def parameters(
        self, label: int, seed: int, seeds: Mapping[str, int] | None = None
    ) -> Parameters:
        """Draws what the image of a label and a seed shows, some of it perhaps by other seeds."""
        others: list[str] = []
        if self.factors.needs_others:
            others = [
                key
                for other in range(len(self.classes))
                if other != label
                for key in self.library.objects(other)
            ]
        photos = len(self.photos) if self.photos is not None else 0
        objects = self.library.objects(label)
        return draw_parameters(self.factors, objects, others, seed, photos, seeds)

    def _sources(self, parameters: Parameters) -> dict[str, Any]:
        placed = (parameters.object, *parameters.distractors)
        return {each.object: asdict(self.library.file(each.object)) for each in placed}

    def _tell(self, result: Result, shown: str) -> None:
        """Warns of each thing that somebody should know, once.

        Args:
            result: of an image.
            shown: the object that it was to show.

        Raises:
            GendataError: Blender refused one image after another.
        """
        header = result.header
        self._errors = self._errors + 1 if result.status == "error" else 0
        if self._errors >= MOST_ERRORS:
            raise GendataError("Blender fails on every image", found=header["why"])
        if result.status == "mesh":
            self.bad_meshes[header["key"]] = header["why"]
            self._warn(f"{header['key']} cannot be rendered: {header['why']}")
        elif result.status in ("error", "crash", "hang"):
            why = last_words(str(header.get("why", "")))[-300:]
            self._warn(f"Blender failed on an image of {shown} ({result.status}): {why}")
            self._failed[shown] += result.status != "error"
            if self._failed[shown] > 1:  # then it is the object
                self.bad_meshes[shown] = f"{result.status} on {self._failed[shown]} images of it"
        for key, notes in header.get("notes", {}).items():
            for note in notes:
                self._warn(f"{key}: {note}")

    def _warn(self, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            warnings.warn(text, stacklevel=4)


@samplers.register("blender")
def load_blender(
    ref: str,
    *,
    device: str | torch.device = "auto",
    download: bool = False,
    resolution: int = 128,
    preset: str | None = None,
    factors: str | None = None,
    labels: str | list[str] = "",
    samples: int = 4,
    denoiser: str = "fast",
    bounces: int = 4,
    view: str = "standard",
    exposure: float = 0.0,
    smallest_mask: float = 0.01,
    environment_map: int = 128,
    up: str | None = None,
    most_faces: int = MOST_FACES,
    blender: str | None = None,
    workers: int | None = None,
    recycle: int = Limits.images,
    time_limit: float = Limits.seconds,
    **changes: Any,
) -> BlenderSampler:
    """Opens objects as a sampler that renders them.

    Args:
        ref: "embedded" or a folder, as `gendata.render.objects.open_objects` takes them.
        device: "cpu", or what Cycles calls an accelerator (cuda, optix, hip, metal, oneapi),
            perhaps with the number of one ("cuda:1"); "auto": what this machine has.
        download: fetch photos of a known set that are not on this machine.
        resolution: side of the images, pixels.
        preset: of factors.
        factors: a YAML file of factors.
        labels: of mask, depth, normal, box and centre, those to store, with commas.
        samples: light paths a pixel.
        denoiser: none, fast, balanced or accurate.
        bounces: most bounces of a light path.
        view: standard or filmic.
        exposure: stops.
        smallest_mask: share of the image that the object must cover.
        environment_map: side of the map by which an environment is sampled.
        up: the axis that points up in files that do not say it.
        most_faces: objects with more are refused.
        blender: a Python that has bpy, or a blender executable.
        workers: processes; by default one for each core, or one for each accelerator.
        recycle: images after which a process is replaced.
        time_limit: seconds after which an image is given up.
        **changes: factors, such as `object.scale="1..2"`, and `background.photos`, an image set.

    Raises:
        GendataError: an unknown option, no Blender, or no objects.
    """
    reference = changes.pop(PHOTOS, None)
    _check_factors(changes)
    place = cycles_device(device)
    settings = RenderSettings(
        resolution=whole_number("resolution", resolution, 8, 16384),
        samples=whole_number("samples", samples, 1, 2**16),
        denoiser=one_of("denoiser", denoiser, DENOISERS),
        bounces=whole_number("bounces", bounces, 0, 1024),
        view=one_of("view", view, ("standard", "filmic")),
        exposure=number("exposure", exposure, -32, 32),
        device=place.partition(":")[0],
        labels=check_labels_asked(labels),
        environment_map=whole_number("environment_map", environment_map, 4, 8192),
        smallest_mask=number("smallest_mask", smallest_mask, 0, 1),
    )
    limits = Limits(
        images=whole_number("recycle", recycle, 1, 2**31),
        seconds=number("time_limit", time_limit, 0.1, 10**6),
    )
    if workers is not None:
        whole_number("workers", workers, 1, 4096)
    library = open_objects(ref, up=up, most_faces=whole_number("most_faces", most_faces, 1, 2**31))
    photos = None if reference is None else open_photos(str(reference), download)
    file = None if factors is None else str(factors)
    chosen = load_factors(preset, file, changes, photos is not None)
    if chosen.needs_photos and photos is None:
        raise GendataError(
            "backgrounds can be photos, and there are none", do=f"give -o {PHOTOS}=IMAGES"
        )
    found = find_blender(blender)
    places = find_places(place, workers)
    return BlenderSampler(library, chosen, settings, found, photos, places, limits)


@contextmanager
def one_thread() -> Iterator[None]:
    """Keeps torch to one thread: the cores belong to the workers, which its threads would slow."""
    present = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(present)


def _card(sampler: BlenderSampler) -> Card:
    """Everything that decides an image; what only decides how fast it comes is left out."""
    library, shared = sampler.library, asdict(sampler.settings)
    del shared["device"]
    card = Card(
        title=f"{len(library)} objects of {len(library.classes)} classes, rendered by Blender",
        origin=library.name,
        sha256=library.digest,
        settings={
            "objects": library.settings(),
            "render": shared,
            "factors": sampler.factors.settings(),
            "photos": None if sampler.photos is None else sampler.photos.settings(),
            "blender": sampler.blender.version,
            "scene": SCENE,
        },
    )
    return described("objects", card) if library.name == "embedded" else card


def _describe(parameters: Parameters) -> dict[str, Any]:
    """The values that people filter by, and all of them as JSON."""
    elevation, azimuth, distance = shell_coordinates(parameters.camera.position)
    return {
        "parameters": parameters.to_json(),
        "object": parameters.object.object,
        "scale": parameters.object.scale,
        "material": parameters.object.material.kind,
        "camera_elevation": elevation,
        "camera_azimuth": azimuth,
        "camera_distance": distance,
        "background": parameters.background.kind,
    }


def _check_factors(changes: Mapping[str, Any]) -> None:
    """Refuses what is neither an option nor a factor; which factor it is, is checked later."""
    for name in changes:
        if not is_factor(name):
            options = [each for each in load_blender.__kwdefaults__ or () if each != "device"]
            close = difflib.get_close_matches(name, [*options, PHOTOS, *FACTORS], n=3, cutoff=0.5)
            raise GendataError(
                f"sampler 'blender' has no option {name}",
                expected=f"some of {', '.join(options)}, or a factor such as object.scale",
                do=f"did you mean {' or '.join(close)}?" if close else None,
            )
