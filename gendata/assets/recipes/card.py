"""The card beside every embedded file: where it comes from, how it was made, what it is worth."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from gendata.files import write_json

__all__ = ["set_figures", "sha256_of", "write_card"]


def sha256_of(path: Path) -> str:
    """Returns the hexadecimal SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write_card(folder: Path, **fields: Any) -> None:
    """Writes card.json with the given fields."""
    write_json(folder / "card.json", fields)


def set_figures(folder: Path, figures: dict[str, Any]) -> None:
    """Replaces the figures of an existing card: none of an earlier measurement stays."""
    card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    write_card(folder, **{**card, "figures": figures})
