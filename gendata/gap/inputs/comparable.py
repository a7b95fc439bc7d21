"""Whether the features of two sets may be compared at all."""

from __future__ import annotations

from gendata.errors import GendataError
from gendata.features.extract import Features
from gendata.images import check_same_classes

__all__ = ["check_comparable"]


def check_comparable(first: Features, other: Features) -> None:
    """Checks that two sets have the same classes and that one encoder computed their features.

    Raises:
        GendataError: it is not so, or a set is empty.
    """
    for features in (first, other):
        if not len(features):
            raise GendataError(f"'{features.name}' has no images to compare")
    check_same_classes(first.name, first.classes, other.name, other.classes)
    if first.encoder != other.encoder:
        ours, theirs = first.encoder.to_json(), other.encoder.to_json()
        differing = [name for name, value in ours.items() if theirs[name] != value]
        raise GendataError(
            f"the features of '{first.name}' and '{other.name}' come from different encoders",
            found="; ".join(f"{name} {ours[name]} and {theirs[name]}" for name in differing),
            expected="one encoder, with one resize",
            do="compute both sets of features with the same one",
        )
