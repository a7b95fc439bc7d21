"""Whether the figures of the gap say what they should: on gaps that were made on purpose.

One set of real images is compared with other real images, first as they are, then blurred,
recoloured, compressed or noisy (appearance), cut into tiles that are put together wrongly
(quality), without some classes or a part of each class or with few images copied often (content),
and with two of these at once. Measured are the three parts of the gap
(`gendata.gap.decomposition.measure`), the figures of fidelity (`gendata.gap.fidelity.measure`) and
authenticity (`gendata.gap.measures.memorisation`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gendata.benchmarks.command_line import command_line
from gendata.benchmarks.gap_cases import CASES, Pool
from gendata.benchmarks.tables import StudyResult, Table, with_interval
from gendata.errors import GendataError
from gendata.features.encoders import Encoder, load_encoder
from gendata.features.extract import Features
from gendata.files import write_json
from gendata.gap.decomposition.measure import decompose
from gendata.gap.fidelity.measure import measure_fidelity
from gendata.gap.measures.clusters import principal_components
from gendata.gap.measures.frechet import LARGE_BIAS
from gendata.gap.measures.memorisation import authentic_images
from gendata.gap.measures.shares import share_of
from gendata.images import Subset, decode_all, open_images
from gendata.registry import studies

__all__ = ["known_gaps"]

POOL = 4  # times as many images to take from as are compared: some cases leave many out
PARTS = ("appearance", "quality", "content")
# Columns of the second table: name in the results, head, and how a value is written.
FIGURES = (
    ("frechet", "Fréchet", ".1f"),
    ("frechet_corrected", "corrected", ".1f"),
    ("kernel", "kernel", ".3f"),
    ("precision", "precision", ".2f"),
    ("recall", "recall", ".2f"),
    ("density", "density", ".2f"),
    ("coverage", "coverage", ".2f"),
    ("rarity", "rarity", ".2f"),
    ("realism", "realism", ".2f"),
    ("authenticity", "authenticity", ".2f"),
)


@studies.register("known-gaps")
def known_gaps(
    *,
    out: Path,
    data: str = "fashion-mnist:train",
    images: int = 1000,
    encoder: str = "embedded:efficientnet-lite0",
    size: int = 64,
    cases: Sequence[str] = (),
    seed: int = 0,
    device: str = "auto",
) -> StudyResult:
    """Makes known gaps from real images and measures what the gap's figures say of each.

    Cases that are measured already are not measured again.

    Args:
        out: folder for the results.
        data: real images; five times as many as are compared, or some gaps cannot be made.
        images: how many are compared with as many others.
        encoder: whose features all but appearance is measured on.
        size: side that images are resized to for it, pixels; 0: as they come.
        cases: which gaps; all by default.
        seed: which images are taken, and of everything random.
        device: auto, cpu, cuda, cuda:1, mps, ….

    Raises:
        GendataError: something does not fit.
    """
    values = dict(locals())
    names = list(cases) or list(CASES)
    for name in names:
        if name not in CASES:
            raise GendataError(f"no case '{name}'", expected=", ".join(CASES))
    command = command_line("bench known-gaps", known_gaps, values)
    file = Path(out) / "known-gaps.json"
    settings = {key: values[key] for key in ("data", "images", "encoder", "size", "seed")}
    found = _found(file, settings)
    missing = [name for name in names if name not in found]
    if missing:
        network = load_encoder(encoder, input_size=size or None, device=device)
        real, labels, pool = _sets(data, images, network, seed)
        features = _features(real, labels, network)
        for name in missing:
            case = CASES[name]
            found[name] = {
                "kind": case.kind,
                "dose": case.dose,
                **_measured((real, features), case.make(pool), network, seed),
            }
            write_json(file, {"command": command, "settings": settings, "cases": found})
    chosen = {name: found[name] for name in names}
    caption = (
        f"The gap of {images} images of {data} to {images} others, with 95% intervals; "
        f"{encoder} at {size or 'their own'} px, seed {seed}"
    )
    tables = [_table_of_parts(chosen, caption), _table_of_figures(chosen, caption)]
    return StudyResult({"command": command, "settings": settings, "cases": chosen}, tables)


def _found(file: Path, settings: Mapping[str, Any]) -> dict[str, Any]:
    """What an earlier run with the same settings has measured."""
    if not file.is_file():
        return {}
    written = json.loads(file.read_text(encoding="utf-8"))
    if written["settings"] != dict(settings):
        raise GendataError(
            f"{file.parent} holds results of other settings",
            found=written["settings"],
            do="choose another folder",
        )
    return written["cases"]


def _sets(
    data: str, images: int, network: Encoder, seed: int
) -> tuple[np.ndarray, np.ndarray, Pool]:
    """The real images with their labels, and the pool that the gaps are made of."""
    whole = open_images(data)
    rows = np.random.default_rng(seed).permutation(len(whole))[: images * (1 + POOL)]
    if len(rows) < 2 * images:
        raise GendataError(
            f"'{data}' is too small to compare {images} images with others",
            found=len(rows),
            expected=f"at least {2 * images}",
        )
    decoded = decode_all(Subset(whole, rows))
    pixels, labels = decoded.images.numpy(), decoded.labels
    others, of_others = pixels[images:], labels[images:]
    places = _places(_encoded(others, network), of_others)
    return pixels[:images], labels[:images], Pool(others, of_others, places, images)


def _places(features: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Ranks (N,) within each class, 0 to 1, along the first principal component of the class."""
    features = features / np.linalg.norm(features, axis=1, keepdims=True)
    places = np.zeros(len(labels))
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        order = np.argsort(principal_components(features[rows], 1)[:, 0], kind="stable")
        places[rows[order]] = np.arange(len(rows)) / len(rows)
    return places


def _features(images: np.ndarray, labels: np.ndarray, network: Encoder) -> Features:
    classes = [str(label) for label in range(int(labels.max()) + 1)]
    return Features(_encoded(images, network), labels, classes, network.card, "made", None)


def _encoded(images: np.ndarray, network: Encoder) -> np.ndarray:
    batches = torch.from_numpy(np.ascontiguousarray(images)).split(100)
    return np.concatenate([network.features(batch).cpu().numpy() for batch in batches])


def _measured(
    compared: tuple[np.ndarray, Features],
    made: tuple[np.ndarray, np.ndarray],
    network: Encoder,
    seed: int,
) -> dict[str, Any]:
    """Everything about made images, with their labels, beside real ones, with their features."""
    (real, features), (synthetic, labels) = compared, made
    of_synthetic = _features(synthetic, labels, network)
    parts = decompose(
        real,
        synthetic,
        features,
        of_synthetic,
        encode=network.features,
        limit=len(real),
        seed=seed,
    ).to_json()
    names = (*PARTS, "floor", "real_images", "synthetic_images")
    return {name: parts[name] for name in names} | {
        "fidelity": _fidelity(features, of_synthetic, network, seed)
    }


def _fidelity(real: Features, synthetic: Features, network: Encoder, seed: int) -> dict[str, Any]:
    """Distances and manifolds of all images, whatever their class, and authenticity."""
    both = [
        replace(each, labels=np.zeros_like(each.labels), classes=["all"])
        for each in (real, synthetic)
    ]
    found = measure_fidelity(*both, seed=seed, device=network.device)
    plain = found.overall.to_json()
    authenticity = share_of(authentic_images(real.values, synthetic.values))
    plain["figures"]["authenticity"] = authenticity.to_json()
    return plain | {"nearest_k": found.nearest_k, "rarity_k": found.rarity_k}


def _table_of_parts(found: Mapping[str, Mapping[str, Any]], caption: str) -> Table:
    rows = [
        [case["kind"], case["dose"], *(with_interval(case[part]["gap"]) for part in PARTS)]
        for case in found.values()
    ]
    floor = next(iter(found.values()))["floor"]
    halves = ["halves of the real images", "", *(with_interval(floor[part]) for part in PARTS)]
    return Table(["what was done", "dose", *PARTS], [halves, *rows], caption)


def _table_of_figures(found: Mapping[str, Mapping[str, Any]], caption: str) -> Table:
    first = next(iter(found.values()))["fidelity"]
    heads = ["what was done", "dose", *(head for _, head, _ in FIGURES)]
    rows = []
    for case in found.values():
        figures = case["fidelity"]["figures"]
        cells = (with_interval(figures.get(name), form) for name, _, form in FIGURES)
        rows.append([case["kind"], case["dose"], *cells])
    ks = f"k = {first['nearest_k']}, for rarity {first['rarity_k']}"
    return Table(heads, rows, f"{caption}; {ks}{_remark(found)}")


def _remark(found: Mapping[str, Mapping[str, Any]]) -> str:
    """What is said against the Fréchet distances of these."""
    warned = [
        warnings[0]
        for case in found.values()
        if (warnings := case["fidelity"]["warnings"].get("frechet"))
    ]
    if len(set(warned)) < 2:
        return "".join(f". Fréchet: {warning}" for warning in set(warned))
    return (  # each row has a share of its own
        f". Fréchet: in {len(warned)} of {len(found)} rows more than {LARGE_BIAS:.0%} of the "
        f"distance is owed to the small number of images"
    )
