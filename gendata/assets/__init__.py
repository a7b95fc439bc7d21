"""The small data and checkpoints that come with the package, each with its card."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from gendata.errors import GendataError
from gendata.types import Card

__all__ = ["asset_card", "asset_folder", "asset_names", "described"]

_ROOT = Path(__file__).parent


def asset_names() -> list[str]:
    """Lists the embedded assets, sorted."""
    return sorted(card.parent.name for card in _ROOT.glob("*/card.json"))


def asset_folder(name: str) -> Path:
    """Returns the folder of an embedded asset such as `fashion-gan`.

    Raises:
        GendataError: nothing of that name is embedded.
    """
    if name not in asset_names():
        raise GendataError(
            f"nothing named '{name}' is embedded", expected=f"one of {', '.join(asset_names())}"
        )
    return _ROOT / name


def asset_card(name: str) -> dict[str, Any]:
    """Returns an asset's card: origin, licence, script, command, seed, sha256, figures."""
    return json.loads((asset_folder(name) / "card.json").read_text(encoding="utf-8"))


def described(name: str, card: Card) -> Card:
    """Fills a card with what an asset's own says about its origin and terms."""
    about = asset_card(name)
    fields = ("title", "origin", "licence", "training_data")
    return replace(card, **{field: about[field] for field in fields})
