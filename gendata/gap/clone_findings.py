"""The parts that look at one clone beside the real set, and what follows from all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from gendata.errors import GendataError
from gendata.features.encoders import Encoder, load_encoder
from gendata.features.extract import Features
from gendata.gap.advice.evidence import evidence_of
from gendata.gap.advice.rules import advise
from gendata.gap.chosen import ON_FEATURES
from gendata.gap.cross_source.findings import CrossFindings
from gendata.gap.decomposition.findings import Decomposition
from gendata.gap.decomposition.measure import LIMIT, decompose
from gendata.gap.fidelity.measure import measure_fidelity
from gendata.gap.fidelity.published_fid import measure_published_fid
from gendata.gap.inputs.feature_sets import FeatureSet, FeatureSets
from gendata.gap.inputs.opened import REAL, Inputs
from gendata.gap.measures.manifold import Manifolds
from gendata.gap.memorisation.measure import measure_memorisation
from gendata.gap.memorisation.pixels import read_pixels
from gendata.gap.missing.measure import find_missing
from gendata.gap.result import CloneFindings
from gendata.gap.worth.findings import Worth
from gendata.gap.worth.measure import measure_worths
from gendata.types import Images

__all__ = ["SHOWN_PAIRS", "Encoders", "clone_findings", "load_encoders", "worths_of"]

Places = dict[str, np.ndarray]  # of a part's real and synthetic images, in their sources

OF_CROSS_SOURCE = ("epochs", "select")  # settings that the part worth decides by itself
# ImageNet networks take images of any size as they come; but sources may differ in size, and of
# an image of 28 pixels nothing is left after five halvings.
OF_ANY_SIZE = ("embedded", "timm")
SMALLEST_INPUT, LARGEST_INPUT = 64, 224
FEWEST = {"fidelity": 10, "memorisation": 10, "decomposition": 50, "missing": 10}
SHOWN_PAIRS = 24  # suspicious pairs in the report


@dataclass(frozen=True)
class Encoders:
    """What the parts need; None where nothing needs it.

    Attributes:
        features: whose features are compared.
        published: what clean-fid is asked with.
    """

    features: Encoder | None = None
    published: Encoder | None = None


def load_encoders(
    inputs: Inputs,
    names: Sequence[str],
    encoder: str | Path,
    options: Mapping[str, Any],
    fid: str | None,
) -> Encoders:
    """Loads what the parts need and checks their numbers of images, before anything is trained.

    Args:
        inputs: the image sets.
        names: the parts wanted.
        encoder: whose features are compared.
        options: of `load_encoder`. Without an input size, a network that takes any gets the real
            images', though not below 64 nor above 224.
        fid: the encoder that clean-fid is asked with; None leaves it out.

    Raises:
        GendataError: an encoder cannot be loaded, or a part needs more images.
    """
    compared = len(inputs.parts[REAL].training)
    for name in ON_FEATURES:
        if name in names and compared < FEWEST[name]:
            raise GendataError(
                f"too few images for the part {name}",
                found=f"{compared} that could be compared",
                expected=f"at least {FEWEST[name]}",
                do="give more images, or choose other parts with --parts",
            )
    access: dict[str, Any] = {"device": inputs.device, "download": inputs.download}
    features = None
    if set(names) & set(ON_FEATURES):
        features = load_encoder(encoder, **options, **access)
        if features.input_size is None and str(encoder).partition(":")[0] in OF_ANY_SIZE:
            side = min(LARGEST_INPUT, max(SMALLEST_INPUT, inputs.side))
            features = load_encoder(encoder, **{**options, "input_size": side}, **access)
    return Encoders(features, None if fid is None else load_encoder(fid, **access))


def clone_findings(
    inputs: Inputs,
    names: Sequence[str],
    cross: CrossFindings | None,
    encoders: Encoders,
    worths: Mapping[str, Worth],
) -> dict[str, CloneFindings]:
    """Measures the parts on features, clone by clone, and draws advice from all that is known.

    Args:
        inputs: the image sets.
        names: the parts wanted.
        cross: what the classifiers found, where they were trained.
        encoders: that the parts need.
        worths: what the part worth found, by clone; empty where it was not asked for.
    """
    found = {clone: CloneFindings() for clone in inputs.clones}
    if encoders.features is not None:
        sets = FeatureSets(inputs, encoders.features, whole="memorisation" in names)
        for clone in inputs.clones:
            found[clone] = _on_features(inputs, sets, clone, names, cross)
    if encoders.published is not None:
        for clone in inputs.clones:
            published = _fid(inputs, encoders.published, clone)
            found[clone] = replace(found[clone], published_fid=published)
    for clone, worth in worths.items():
        found[clone] = replace(found[clone], worth=worth)
    return {clone: _advised(each, inputs.opened[clone].name) for clone, each in found.items()}


def _advised(found: CloneFindings, origin: str) -> CloneFindings:
    """Adds advice where anything was measured that it could lean on."""
    measured = found.worth, found.missing, found.memorisation, found.decomposition, found.fidelity
    if all(each is None for each in measured):
        return found
    return replace(found, advice=advise(evidence_of(found, origin)))


def _on_features(
    inputs: Inputs,
    sets: FeatureSets,
    clone: str,
    names: Sequence[str],
    cross: CrossFindings | None,
) -> CloneFindings:
    found: dict[str, Any] = {}
    places: dict[str, Places] = {}
    manifolds = None
    if "fidelity" in names:
        real, synthetic = sets.judging().features, sets.compared(clone).features
        found["fidelity"] = measure_fidelity(real, synthetic, device=inputs.device)
        manifolds = found["fidelity"].manifolds
    if "memorisation" in names:
        results, places["memorisation"] = _memorisation(sets, clone)
        found |= results
    if "missing" in names:
        results, places["missing"] = _missing(sets, clone, manifolds)
        found |= results
    if "decomposition" in names:
        found["decomposition"] = _decomposition(inputs, sets, clone, cross)
    return CloneFindings(**found, places=places)


def _memorisation(sets: FeatureSets, clone: str) -> tuple[dict[str, Any], Places]:
    real, synthetic, test = sets.whole(REAL), sets.whole(clone), sets.whole_test()
    found = measure_memorisation(
        real.features,
        synthetic.features,
        None if test is None else test.features,
        train_pixels=read_pixels(real.images, real.features.rows),
        synthetic_pixels=read_pixels(synthetic.images, synthetic.features.rows),
        test_pixels=None if test is None else read_pixels(test.images, test.features.rows),
        pairs=SHOWN_PAIRS,
    )
    shown = [(synthetic.picture(pair.synthetic), real.picture(pair.real)) for pair in found.pairs]
    return {"memorisation": found, "pairs": shown}, _places(real, synthetic)


def _missing(
    sets: FeatureSets, clone: str, manifolds: Manifolds | None
) -> tuple[dict[str, Any], Places]:
    real, synthetic = sets.judging(), sets.compared(clone)
    found = find_missing(real.features, synthetic.features, manifolds)
    groups = [
        [
            (real.picture(example.real), synthetic.picture(example.synthetic))
            for example in group.examples
        ]
        for group in (*found.groups, *found.themes)
    ]
    return {"missing": found, "groups": groups}, _places(real, synthetic)


def _decomposition(
    inputs: Inputs, sets: FeatureSets, clone: str, cross: CrossFindings | None
) -> Decomposition:
    """Takes the gap apart, at the size of the trainings: two sets of one size are compared."""
    losses = None
    if cross is not None:
        losses = cross.clone_under_real[clone].spread, cross.real_under_clone[clone].spread
    (real, real_features), (images, features) = (
        _drawn(inputs.parts[name].training, sets.at_training_size(name).features)
        for name in (REAL, clone)
    )
    encode = sets.encoder.features
    return decompose(real, images, real_features, features, losses, encode=encode)


def _drawn(images: Images, features: Features) -> tuple[np.ndarray, Features]:
    """As many of a set as are looked at, uint8 (N, 3, H, W), with their features."""
    rows = np.random.default_rng(0).permutation(len(images))[:LIMIT]
    pixels = np.stack([np.asarray(images[int(row)][0]) for row in rows])
    values, labels = features.values[rows], features.labels[rows]
    return pixels, replace(features, values=values, labels=labels, rows=None)


def _places(real: FeatureSet, synthetic: FeatureSet) -> Places:
    return {"real": real.places, "synthetic": synthetic.places}


def _fid(inputs: Inputs, network: Encoder, clone: str) -> Any:
    return measure_published_fid(
        inputs.searched(REAL),
        inputs.searched(clone),
        encoder=network,
        cache=inputs.kept("features"),
        progress=inputs.progress,
    )


def worths_of(inputs: Inputs, steps: int | None) -> dict[str, Worth]:
    """Measures the part worth: trains on more and more images of each source, up to all it has.

    Args:
        inputs: the image sets.
        steps: updates of each training; None for its own choice.
    """
    options = {key: value for key, value in inputs.training.items() if key not in OF_CROSS_SOURCE}
    return measure_worths(
        inputs.searched(REAL),
        {clone: inputs.searched(clone) for clone in inputs.clones},
        inputs.test,
        out=inputs.kept("worth"),
        seeds=inputs.seeds,
        steps=steps,
        per_class=inputs.per_class,
        device=inputs.device,
        download=inputs.download,
        progress=inputs.progress,
        **options,
    )
