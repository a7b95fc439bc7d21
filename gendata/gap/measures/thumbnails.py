"""Images as small normalised pictures, in which copies stay close whatever was done to them.

Every image is averaged down to 16 x 16 pixels of three colours; its mean is taken away and its
length set to one. The distance of two thumbnails is sqrt(2 - 2 correlation): 0 for the same
picture, 1.41 for unrelated ones. Noise and compression are averaged away, brightness and contrast
normalised, and the mirror image is compared as well. A picture that was shifted by more than a
sixteenth of its side, cropped or turned is another one here.
"""

from __future__ import annotations

import hashlib

import numpy as np
from torch import Tensor
from torch.nn.functional import interpolate

from gendata.errors import GendataError
from gendata.gap.measures.neighbours import Neighbours, nearest

__all__ = ["mirror_images", "nearest_either_way", "pixel_digests", "thumbnails_of"]

SIDE = 16  # pixels of a thumbnail
FLAT = 2.0  # grey levels of standard deviation under which a picture counts as featureless


def thumbnails_of(images: Tensor) -> np.ndarray:
    """Makes the thumbnails (N, 768), float32, of images uint8 (N, 3, H, W).

    Their length is 1, or less for a picture that deviates by less than FLAT grey levels from one
    flat tone: normalising it would blow up its noise.
    """
    small = interpolate(images.float(), (SIDE, SIDE), mode="area").flatten(1).double()
    small -= small.mean(dim=1, keepdim=True)
    length = small.norm(dim=1, keepdim=True).clamp(min=FLAT * small.shape[1] ** 0.5)
    return (small / length).float().numpy()


def mirror_images(thumbnails: np.ndarray) -> np.ndarray:
    """The thumbnails (N, 768) of the same pictures, left and right exchanged."""
    pictures = thumbnails.reshape(-1, 3, SIDE, SIDE)
    return np.ascontiguousarray(pictures[..., ::-1]).reshape(thumbnails.shape)


def pixel_digests(images: Tensor) -> np.ndarray:
    """Digests (N,) of images uint8 (N, 3, H, W): equal where all pixels and the size are."""
    pixels = np.ascontiguousarray(images.numpy())
    shape = repr(pixels.shape[1:]).encode()
    digests = [hashlib.blake2b(shape + each.tobytes(), digest_size=16) for each in pixels]
    return np.array([digest.hexdigest() for digest in digests], dtype="U32")


def nearest_either_way(
    queries: np.ndarray, keys: np.ndarray, count: int, *, exclude_self: bool = False
) -> tuple[Neighbours, np.ndarray]:
    """Finds the `count` keys (N, 768) nearest to each query (M, 768) or to its mirror image.

    Args:
        queries: thumbnails.
        keys: thumbnails.
        count: how many keys, each counted once, the nearer way.
        exclude_self: the queries are the keys, and none is its own neighbour, mirrored or not.

    Returns:
        The neighbours, and (M,) bool, whether the first of them is nearer to the mirror image.

    Raises:
        GendataError: there are fewer keys than asked for.
    """
    available = len(keys) - exclude_self
    if not 0 < count <= available:
        raise GendataError("too few images to compare with", found=available, expected=count)
    asked = count + exclude_self  # a symmetric picture is the nearest to its own mirror image
    ways = [nearest(each, keys, asked) for each in (queries, mirror_images(queries))]
    rows = np.concatenate([way.rows for way in ways], axis=1)
    distances = np.concatenate([way.distances for way in ways], axis=1)
    if exclude_self:
        distances[rows == np.arange(len(rows))[:, None]] = np.inf
    # Sorted by row, then distance, the second sight of a row follows its nearer first one.
    order = np.lexsort((distances, rows), axis=1)
    rows, distances = (np.take_along_axis(each, order, axis=1) for each in (rows, distances))
    distances[:, 1:][rows[:, 1:] == rows[:, :-1]] = np.inf
    best = np.argsort(distances, axis=1, kind="stable")[:, :count]
    found = Neighbours(*(np.take_along_axis(each, best, axis=1) for each in (distances, rows)))
    mirrored = order[np.arange(len(order)), best[:, 0]] >= asked
    return found, mirrored
