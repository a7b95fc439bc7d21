"""Presets: sets of factors that come along, and what their papers vary in them.

A preset is a YAML file of factors with a title. It may have variants, each a few factors in place
of its own (`cg-transfer/lv3`), or switches, each on or off (`task2sim/10110010`, a digit for each
in the order of the file; without digits all are on).
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

from gendata.errors import GendataError
from gendata.render.factor_names import flatten, read_yaml, unknown

__all__ = ["DEFAULT_PRESET", "Fixing", "Preset", "fixings", "load_preset", "preset_titles"]

DEFAULT_PRESET = "s2rda"
FOLDER = "presets"
FIXINGS = "s2rda-fixings"
WORDS = {"0": False, "off": False, "false": False, "1": True, "on": True, "true": True}


@dataclass(frozen=True)
class Preset:
    """Factors that come along.

    Attributes:
        name: as a user writes it.
        title: what it is, in a line.
        factors: full names to values as they are written in a file; others keep their defaults.
        variants: names to factors in place of the preset's.
        switches: names to factors in place of the preset's when the switch is on.
    """

    name: str
    title: str
    factors: Mapping[str, Any] = field(hash=False)
    variants: Mapping[str, Mapping[str, Any]] = field(hash=False)
    switches: Mapping[str, Mapping[str, Any]] = field(hash=False)

    def chosen(self, variant: str, switches: Any = None) -> dict[str, Any]:
        """Its factors, with a variant or some switches.

        Args:
            variant: name of a variant, or a digit for each switch; empty: the preset itself, with
                all switches on.
            switches: in place of the variant: the digits, or switches by name.

        Raises:
            GendataError: there is no such variant or switch.
        """
        if self.switches:
            return self._switched(variant, switches)
        if not variant:
            return dict(self.factors)
        if variant not in self.variants:
            raise unknown(variant, self.variants, f"unknown variant '{self.name}/{variant}'")
        return {**self.factors, **self.variants[variant]}

    def _switched(self, variant: str, switches: Any) -> dict[str, Any]:
        on = dict.fromkeys(self.switches, True)
        for written in (variant or None, switches):
            if isinstance(written, Mapping):
                on |= {name: self._switch(name, value) for name, value in written.items()}
            elif written is not None:
                on = dict(zip(self.switches, self._digits(written), strict=True))
        factors = dict(self.factors)
        for name, is_on in on.items():
            factors |= self.switches[name] if is_on else {}
        return factors

    def _switch(self, name: str, value: Any) -> bool:
        if name not in self.switches:
            raise unknown(name, self.switches, f"'{self.name}' has no switch '{name}'")
        if str(value).lower() not in WORDS:
            raise GendataError(
                f"the switch '{self.name}.{name}' is neither on nor off", found=repr(value)
            )
        return WORDS[str(value).lower()]

    def _digits(self, written: Any) -> list[bool]:
        count = len(self.switches)
        text = str(written)
        if isinstance(written, int) and not isinstance(written, bool):
            text = text.zfill(count)  # zeros in front are lost when a text is read as a number
        if len(text) != count or set(text) - {"0", "1"}:
            raise GendataError(
                f"'{self.name}' has {count} switches",
                found=f"'{written}'",
                expected=f"{count} digits 0 or 1, for {', '.join(self.switches)}",
                do="write them in quotes" if isinstance(written, int) else None,
            )
        return [digit == "1" for digit in text]


@dataclass(frozen=True)
class Fixing:
    """One row of the published table of factors: what is held fixed, all else being random.

    Attributes:
        factor: as the table calls it.
        value: as the table calls it.
        note: whether the value is the authors' or ours.
        changes: full names to values, in place of those of the preset `s2rda`.
    """

    factor: str
    value: str
    note: str
    changes: Mapping[str, Any] = field(hash=False)

    @property
    def name(self) -> str:
        """One word for it; `s2rda/NAME` is the preset with this fixing."""
        return f"{self.factor}-{self.value}"


def load_preset(name: str) -> Preset:
    """Finds a preset.

    Args:
        name: without a variant.

    Raises:
        GendataError: there is none of that name; close ones are listed.
    """
    presets = _presets()
    if name not in presets:
        raise unknown(name, presets, f"unknown preset '{name}'")
    return presets[name]


def preset_titles() -> dict[str, str]:
    """Names of the presets that come along, and what each is."""
    return {name: preset.title for name, preset in _presets().items()}


@functools.cache
def fixings() -> tuple[Fixing, ...]:
    """The rows of the factor study of Tang and Jia 2023, in their order."""
    return tuple(
        Fixing(
            row["factor"],
            row["value"],
            row.get("note", ""),
            flatten(row["changes"], f"{row['factor']} {row['value']}"),
        )
        for row in read_yaml(_text(FIXINGS), FIXINGS)
    )


@functools.cache
def _presets() -> dict[str, Preset]:
    found = (file.name for file in files("gendata.render").joinpath(FOLDER).iterdir())
    names = sorted(name.removesuffix(".yaml") for name in found if name.endswith(".yaml"))
    return {name: _read(name) for name in names if name != FIXINGS}


def _read(name: str) -> Preset:
    content = read_yaml(_text(name), name)
    title = content.pop("title")
    tables = {
        key: {
            str(each): flatten(values or {}, f"{name}/{each}")
            for each, values in content.pop(key, {}).items()
        }
        for key in ("variants", "switches")
    }
    if name == DEFAULT_PRESET:
        tables["variants"] = {fixing.name: dict(fixing.changes) for fixing in fixings()}
    return Preset(name, title, flatten(content, name), **tables)


def _text(name: str) -> str:
    path = files("gendata.render").joinpath(FOLDER, f"{name}.yaml")
    return path.read_text(encoding="utf-8")
