"""How a name that someone else chose is shown: as text, whatever it holds."""

from __future__ import annotations

import unicodedata

__all__ = ["printable", "shortened"]

# Line and paragraph separators, and the marks that turn the direction of the text around them.
_DISRUPTIVE = {
    "\u2028",
    "\u2029",
    *map(chr, range(0x202A, 0x202F)),
    *map(chr, range(0x2066, 0x206A)),
}


def printable(text: str) -> str:
    """Replaces what neither HTML nor SVG can hold (control characters, lone surrogates).

    White space of any kind becomes a plain space; anything else becomes U+FFFD.
    """
    return "".join(_shown(character) for character in text)


def shortened(text: str, length: int) -> str:
    """Cuts a printable text to `length` characters, the last of which is then an ellipsis."""
    text = printable(text)
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"


def _shown(character: str) -> str:
    if character.isspace() and character not in _DISRUPTIVE:
        return " "
    unusable = unicodedata.category(character) in ("Cc", "Cs") or character in _DISRUPTIVE
    noncharacter = ord(character) & 0xFFFE == 0xFFFE
    return "\ufffd" if unusable or noncharacter else character
