"""Cryptomatte's numbers, against the values that its specification publishes."""

import numpy as np
import pytest

pytestmark = pytest.mark.blender

CODE = """
from gendata.render.worker.passes import _murmur3, coverage
found["hashes"] = [_murmur3(name.encode()) for name in inputs["names"]]
pixels = np.array([[inputs["pixels"]]], dtype=np.uint32).view(np.float32).reshape(1, -1, 4).copy()
pixels[..., 1], pixels[..., 3] = 0.7, 0.25
found["shares"] = [coverage(pixels, name)[0].tolist() for name in inputs["names"]]
"""
# MurmurHash3_x86_32 with seed 0, from SMHasher's and other libraries' published test vectors.
PUBLISHED = {"": 0, "test": 0xBA6BD213, "Hello, world!": 0xC0363E43, "hello": 0x248BFA47}
FOX = "The quick brown fox jumps over the lazy dog"


def test_coverage_of_a_name(in_blender):
    names = [*PUBLISHED, FOX]
    hello, test = PUBLISHED["hello"], PUBLISHED["test"]
    pixels = [hello, 0, test, 0, test, 0, 0x3F800000, 0]
    found = in_blender(CODE, names=names, pixels=pixels)
    assert found["hashes"] == [*PUBLISHED.values(), 0x2E4FF723]
    shares = dict(zip(names, found["shares"], strict=True))
    np.testing.assert_allclose(shares["hello"], [0.7, 0.0])
    np.testing.assert_allclose(shares["test"], [0.25, 0.7])
    np.testing.assert_allclose(shares[FOX], [0.0, 0.0])
