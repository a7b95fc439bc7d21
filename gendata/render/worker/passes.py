"""Pixels straight out of Blender's renderer, without files.

Blender has no public way to hand a finished render to Python in the background, so the method
with which its Cycles add-on renders is wrapped and the passes are read before it returns. That
add-on is no public interface: another version of Blender than the one named here is refused.
"""

from __future__ import annotations

import struct
import time
from dataclasses import dataclass, field
from typing import Any

import bpy
import numpy as np

from gendata.errors import GendataError

__all__ = ["BLENDER", "Passes", "coverage", "render_passes", "use_cycles"]

BLENDER = (5, 0)
_BITS = 0xFFFFFFFF
_CHANNELS = {"Combined": 4, "Depth": 1, "Normal": 3, "CryptoObject00": 4}


@dataclass
class Passes:
    """One render.

    Attributes:
        pixels: float32 (H, W, C) by the pass's name, rows from top to bottom.
        engine_seconds: spent inside Cycles.
        read_seconds: spent copying the pixels.
    """

    pixels: dict[str, np.ndarray] = field(default_factory=dict)
    engine_seconds: float = 0.0
    read_seconds: float = 0.0


_current: Passes | None = None


def use_cycles() -> None:
    """Wraps the renderer of this process; once is enough.

    Raises:
        GendataError: this is not the version of Blender it was written for.
    """
    if bpy.app.version[:2] != BLENDER:
        raise GendataError(
            "this version of Blender is not supported",
            found=bpy.app.version_string,
            expected=".".join(map(str, BLENDER)),
            do="pip install 'bpy>=5.0,<5.1', or name another Blender",
        )
    import cycles  # the add-on, which Blender puts on the path

    engine = cycles.CyclesRender
    if not hasattr(engine.render, "reads_passes"):
        engine.update, engine.render = _timed(engine.update), _reading(engine.render)


def render_passes(scene: bpy.types.Scene) -> Passes:
    """Renders a scene and returns its passes.

    Raises:
        RuntimeError: Blender rendered nothing.
    """
    global _current
    _current = passes = Passes()
    try:
        bpy.ops.render.render(scene=scene.name)
    finally:
        _current = None
    if "Combined" not in passes.pixels:
        raise RuntimeError("Blender rendered no image")
    return passes


def coverage(pixels: np.ndarray, name: str) -> np.ndarray:
    """How much of each pixel an object covers, out of a Cryptomatte pass.

    Cryptomatte (Friedman and Jones, 2015, https://github.com/Psyop/Cryptomatte) stores, for the
    objects that cover most of a pixel, a number made from the name, and the share covered.

    Args:
        pixels: float32 (H, W, 4): number and share of the first object, and of the second.
        name: of the object.

    Returns:
        float32 (H, W), 0 to 1.
    """
    number = np.float32(_cryptomatte_number(name))
    shares = np.where(pixels[..., 0::2] == number, pixels[..., 1::2], np.float32(0))
    return shares.sum(axis=-1)


def _cryptomatte_number(name: str) -> float:
    """The name's MurmurHash3 (32 bits, seed 0) as the bits of a float.

    Cryptomatte's specification 1.2.0 keeps it a normal number: an exponent of all zeros or ones
    has its lowest bit turned.
    """
    bits = _murmur3(name.encode())
    if (bits >> 23) & 255 in (0, 255):
        bits ^= 1 << 23
    return struct.unpack("<f", struct.pack("<I", bits))[0]


def _murmur3(data: bytes) -> int:
    """MurmurHash3_x86_32 with seed 0 (Austin Appleby, 2011, public domain)."""
    state, whole = 0, len(data) // 4 * 4
    for (block,) in struct.iter_unpack("<I", data[:whole]):
        state = (_rotated(state ^ _mixed(block), 13) * 5 + 0xE6546B64) & _BITS
    state ^= _mixed(int.from_bytes(data[whole:], "little")) ^ len(data)
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        state = ((state ^ (state >> shift)) * factor) & _BITS
    return state ^ (state >> 16)


def _mixed(block: int) -> int:
    return (_rotated(block * 0xCC9E2D51 & _BITS, 15) * 0x1B873593) & _BITS


def _rotated(bits: int, by: int) -> int:
    return ((bits << by) | (bits >> (32 - by))) & _BITS


def _timed(method: Any) -> Any:
    # Blender counts a method's arguments, so a wrapper has to name as many.
    def update(engine: Any, data: Any, depsgraph: Any) -> None:
        started = time.perf_counter()
        method(engine, data, depsgraph)
        if _current is not None:
            _current.engine_seconds += time.perf_counter() - started

    return update


def _reading(method: Any) -> Any:
    def render(engine: Any, depsgraph: Any) -> None:
        started = time.perf_counter()
        method(engine, depsgraph)
        if _current is None:
            return
        finished = time.perf_counter()
        result = engine.get_result()
        for each in result.layers[0].passes:
            if each.name in _CHANNELS:
                shape = (result.resolution_y, result.resolution_x, _CHANNELS[each.name])
                _current.pixels[each.name] = _read(each, shape)
        _current.engine_seconds += finished - started
        _current.read_seconds += time.perf_counter() - finished

    render.reads_passes = True  # type: ignore[attr-defined]
    return render


def _read(each: Any, shape: tuple[int, int, int]) -> np.ndarray:
    """Copies a pass; Blender's rows go from bottom to top."""
    flat = np.empty(shape[0] * shape[1] * shape[2], dtype=np.float32)
    each.rect.foreach_get(flat)
    return np.ascontiguousarray(flat.reshape(shape)[::-1])
