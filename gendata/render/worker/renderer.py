"""One image from its parameters, inside Blender.

The scene is built once; an image sets every value of it anew, so that nothing is left over from
the image before.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any

import bpy
import numpy as np

from gendata.errors import GendataError
from gendata.render.parameters import Parameters, Placed
from gendata.render.settings import RenderSettings
from gendata.render.worker.camera import CameraRig, orientation, project
from gendata.render.worker.lights import Lights
from gendata.render.worker.materials import Materials
from gendata.render.worker.passes import Passes, coverage, render_passes, use_cycles
from gendata.render.worker.pictures import Pictures
from gendata.render.worker.view import display, prepare_view
from gendata.render.worker.world import World

__all__ = ["Rendered", "Renderer"]

# Quality, and what is done about noise in the albedo and the normals that guide the denoiser. To
# take them as they are ("NONE") costs as much as "FAST" and leaves metal and bumps grainy.
_DENOISERS = {
    "fast": ("FAST", "FAST"),
    "balanced": ("BALANCED", "FAST"),
    "accurate": ("HIGH", "ACCURATE"),
}
_TEXTURES = 128  # more than an object and a hundred distractors can show in one image
_NOTHING = 1e9  # Blender's depth of pixels that show nothing is 1e10


@dataclass(frozen=True)
class Rendered:
    """One image and what is known of it. Rows go from top to bottom.

    Attributes:
        colour: float32 (H, W, 4): linear red, green, blue, premultiplied by the fourth channel,
            the share of the pixel that the objects cover; with the environment as background that
            share is 1. The exposure and, if it is not the standard one, the view are applied.
        mask: bool (H, W), pixels of which the labelled object covers at least half, as it is seen.
        depth: float32 (H, W), distance along the camera's axis of one point in each pixel,
            infinite where that shows no object, as it can at an edge of the mask; None unless
            asked for.
        normal: float32 (H, W, 3), unit normals in the camera's axes (right, up, towards the
            camera), bumps of the material included, zero where no object is seen; None unless
            asked for.
        centre: (x, y), where the labelled object's centre lands, seen or not, in pixels from the
            upper left corner; not a number if it is behind the camera.
        seconds: where the time went: "arrange" (setting the scene), "engine" (inside Cycles),
            "blender" (around Cycles), "read" (pixels and labels) and their sum, "total".
    """

    colour: np.ndarray
    mask: np.ndarray
    depth: np.ndarray | None
    normal: np.ndarray | None
    centre: tuple[float, float]
    seconds: dict[str, float]


class Renderer:
    """The scene of this process. Build it before any mesh is loaded: it empties Blender.

    Args:
        settings: what all images share.
        threads: processor threads that Cycles may use.
        accelerator: its number among those of the device's kind; None: all of them.

    Raises:
        GendataError: this version of Blender is not supported, the device is not there, or a
            setting is unknown.
    """

    def __init__(
        self, settings: RenderSettings, threads: int = 1, accelerator: int | None = None
    ) -> None:
        bpy.ops.wm.read_factory_settings(use_empty=True)  # also no add-ons of the user's
        use_cycles()
        prepare_view(settings.view)
        self.settings = settings
        self._scene = bpy.context.scene
        _set_up(self._scene, settings, threads)
        _choose_device(self._scene, settings.device, accelerator)
        self._camera = CameraRig(self._scene)
        self._lights = Lights(self._scene)
        self._world = World(self._scene, settings.environment_map)
        self._textures = Pictures(_TEXTURES)
        self._nothing = bpy.data.meshes.new("nothing")
        self._objects: list[tuple[bpy.types.Object, Materials]] = []

    def render(self, parameters: Parameters, meshes: dict[str, bpy.types.Mesh]) -> Rendered:
        """Renders one image.

        Args:
            parameters: everything that decides it.
            meshes: of the labelled object and the distractors by their keys, each centred and
                with a diagonal of 1.

        Raises:
            GendataError: a picture cannot be read, or a kind is unknown.
        """
        started = time.perf_counter()
        self._arrange(parameters, meshes)
        arranged = time.perf_counter()
        passes = render_passes(self._scene)
        self._release()
        rendered = time.perf_counter()
        labels = self._labels(parameters, passes)
        ended = time.perf_counter()
        seconds = {
            "arrange": arranged - started,
            "engine": passes.engine_seconds,
            "blender": rendered - arranged - passes.engine_seconds - passes.read_seconds,
            "read": passes.read_seconds + ended - rendered,
            "total": ended - started,
        }
        return Rendered(**labels, seconds=seconds)

    def _arrange(self, parameters: Parameters, meshes: dict[str, bpy.types.Mesh]) -> None:
        scene = self._scene
        scene.cycles.seed = parameters.seed % 2**31
        scene.render.film_transparent = parameters.background.kind != "environment"
        self._place((parameters.object, *parameters.distractors), meshes)
        self._lights.set(parameters.lights)
        self._world.set(parameters.environment)
        self._camera.set(parameters.camera, parameters.object.location)

    def _place(self, placed: tuple[Placed, ...], meshes: dict[str, bpy.types.Mesh]) -> None:
        while len(self._objects) < len(placed):
            target = _new_object(self._scene, len(self._objects), self._nothing)
            self._objects.append((target, Materials()))
        # Objects that are not needed stay, with nothing in them, for the reason that lamps do.
        for (target, materials), each in zip(self._objects, placed, strict=False):
            _move(target, each, meshes[each.object])
            materials.set(target, each.material, self._textures)

    def _release(self) -> None:
        """Lets go of the meshes, which their owner may now remove: objects would go with them."""
        for target, _ in self._objects:
            if target.data != self._nothing:
                target.data = self._nothing

    def _labels(self, parameters: Parameters, passes: Passes) -> dict[str, Any]:
        pixels, settings = passes.pixels, self.settings
        depth, normal = pixels.get("Depth"), pixels.get("Normal")
        if depth is not None:
            depth = np.where(depth[..., 0] < _NOTHING, depth[..., 0], np.float32(np.inf))
        if normal is not None:
            normal = _in_camera(normal, orientation(parameters.camera))
        camera, where = parameters.camera, parameters.object.location
        return {
            "colour": display(pixels["Combined"], settings.view),
            "mask": coverage(pixels["CryptoObject00"], self._objects[0][0].name) >= 0.5,
            "depth": depth,
            "normal": normal,
            "centre": project(camera, where, settings.resolution),
        }


def _new_object(scene: bpy.types.Scene, number: int, mesh: bpy.types.Mesh) -> bpy.types.Object:
    target = bpy.data.objects.new(f"object {number}", mesh)
    target.rotation_mode = "XYZ"
    scene.collection.objects.link(target)
    return target


def _move(target: bpy.types.Object, placed: Placed, mesh: bpy.types.Mesh) -> None:
    target.data = mesh
    target.location = placed.location
    target.rotation_euler = [math.radians(angle) for angle in placed.rotation]
    target.scale = (placed.scale,) * 3


def _in_camera(normal: np.ndarray, axes: np.ndarray) -> np.ndarray:
    """Turns normals (H, W, 3) of the world into the camera's axes, and makes them 1 long again.

    At an object's edge Blender mixes them with the zeros beside it.
    """
    length = np.linalg.norm(normal, axis=-1, keepdims=True)
    unit = np.divide(normal, length, out=np.zeros_like(normal), where=length > 0)
    return unit @ axes.astype(np.float32)


def _set_up(scene: bpy.types.Scene, settings: RenderSettings, threads: int) -> None:
    """Sets what all images share; once the scene is kept, most of it could not be changed."""
    render, cycles = scene.render, scene.cycles
    render.engine = "CYCLES"
    render.resolution_x = render.resolution_y = settings.resolution
    render.resolution_percentage = 100
    render.use_persistent_data = True
    render.threads_mode, render.threads = "FIXED", threads
    render.use_compositing = render.use_sequencer = False
    render.dither_intensity = 0.0
    cycles.samples = settings.samples
    cycles.use_adaptive_sampling = False
    cycles.use_auto_tile = False
    cycles.use_light_tree = False  # for dozens of lamps; costs 15 % with three
    cycles.light_sampling_threshold = 0.0
    cycles.caustics_reflective = cycles.caustics_refractive = False
    cycles.film_exposure = 2.0**settings.exposure
    for kind in ("max", "diffuse", "glossy", "transmission"):
        setattr(cycles, f"{kind}_bounces", settings.bounces)
    cycles.use_denoising = settings.denoiser != "none"
    if cycles.use_denoising:
        if settings.denoiser not in _DENOISERS:
            expected = ", ".join(("none", *_DENOISERS))
            raise GendataError("unknown denoiser", found=settings.denoiser, expected=expected)
        cycles.denoiser = "OPENIMAGEDENOISE"
        cycles.denoising_quality, cycles.denoising_prefilter = _DENOISERS[settings.denoiser]
        cycles.denoising_input_passes = "RGB_ALBEDO_NORMAL"
    layer = scene.view_layers[0]
    layer.use_pass_cryptomatte_object = True
    layer.pass_cryptomatte_depth = 2
    layer.use_pass_z = "depth" in settings.labels
    layer.use_pass_normal = "normal" in settings.labels


def _choose_device(scene: bpy.types.Scene, device: str, accelerator: int | None) -> None:
    if device == "cpu":
        scene.cycles.device = "CPU"
        return
    preferences = bpy.context.preferences.addons["cycles"].preferences
    found = []
    try:
        preferences.compute_device_type = device.upper()
        preferences.refresh_devices()
        found = [each for each in preferences.devices if each.type == device.upper()]
    except TypeError:
        pass  # this build of Blender does not know the kind at all
    if not found[accelerator or 0 :]:
        raise GendataError(
            f"Blender finds no {device} device" + (f" number {accelerator}" if found else ""),
            found=", ".join(each.name for each in found or preferences.devices) or "none",
            do="use the device cpu, or mend the driver",
        )
    chosen = found if accelerator is None else [found[accelerator]]
    for each in preferences.devices:
        each.use = any(each == own for own in chosen)
    scene.cycles.device = "GPU"
