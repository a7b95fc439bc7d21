"""All factors of a run's images, each a distribution, from a preset, a file and single options."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gendata.errors import GendataError
from gendata.render.distributions import Distribution
from gendata.render.factor_files import FileSet, read_files
from gendata.render.factor_names import flatten, nest, read_yaml
from gendata.render.factor_table import FACTORS
from gendata.render.parameters import Parameters, Placed
from gendata.render.presets import DEFAULT_PRESET, load_preset
from gendata.render.read_distribution import read_distribution

__all__ = ["Factors", "is_factor", "load_factors"]

SWITCHED = "task2sim"


@dataclass(frozen=True)
class Factors:
    """What every image's parameters are drawn from.

    Attributes:
        name: the preset that it began with.
        laws: a distribution for every name in FACTORS.
    """

    name: str
    laws: Mapping[str, Distribution] = field(hash=False)

    def __post_init__(self) -> None:
        _check_together(self)

    def can_be(self, factor: str, value: Any) -> bool:
        """Whether a factor of words or whole numbers can take this value."""
        extremes = self.laws[factor].extremes()
        if FACTORS[factor].values.kind == "whole":
            known = [each for each in extremes if each is not None]
            return bool(known) and min(known) <= value <= max(known)
        return value in extremes

    @property
    def needs_photos(self) -> bool:
        """Whether an image may get a photo as its background."""
        return self.can_be("background.kind", "photo")

    @property
    def needs_others(self) -> bool:
        """Whether an image may get distractors, so that there must be other classes."""
        return any(each > 0 for each in self.laws["distractor.count"].extremes())

    def settings(self) -> dict[str, Any]:
        """Every factor as JSON holds it, files by name and SHA-256: what a run's identity is."""
        return {
            name: law.identity() if isinstance(law, FileSet) else law.settings()
            for name, law in self.laws.items()
        }

    def to_dict(self) -> dict[str, Any]:
        """Every factor, nested as in a YAML file; loading that gives equal factors."""
        return nest({name: law.settings() for name, law in self.laws.items()})

    def locate(self, parameters: Parameters) -> Parameters:
        """An image's parameters with the paths of its files on this machine for their names."""
        change = dataclasses.replace
        textures, maps = self.laws["material.texture.files"], self.laws["environment.files"]
        assert isinstance(textures, FileSet) and isinstance(maps, FileSet)

        def located(placed: Placed) -> Placed:
            material = placed.material
            if material.texture is None:
                return placed
            return change(
                placed, material=change(material, texture=textures.path(material.texture))
            )

        around = parameters.environment
        if around is not None and around.file is not None:
            around = change(around, file=maps.path(around.file))
        return change(
            parameters,
            object=located(parameters.object),
            environment=around,
            distractors=tuple(map(located, parameters.distractors)),
        )

    def replace(self, changes: Mapping[str, Any]) -> Factors:
        """Some factors in place of its own; what the others give for a seed stays the same.

        Raises:
            GendataError: an unknown factor, or a value that is not as it should be.
        """
        return Factors(self.name, {**self.laws, **_laws(_Layer(flatten(changes), Path()))})


@dataclass(frozen=True)
class _Layer:
    """Values as they were written in one place.

    Attributes:
        values: full names to values.
        folder: where relative paths start.
        place: what errors add to the name, such as " in my.yaml".
    """

    values: Mapping[str, Any]
    folder: Path
    place: str = ""


def is_factor(name: str) -> bool:
    """Whether an option of this name is a factor, a group of them, or a preset's switch."""
    first = name.partition(".")[0]
    return first == SWITCHED or first in {each.partition(".")[0] for each in FACTORS}


def load_factors(
    preset: str | None = None,
    file: str | Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    photos: bool = False,
) -> Factors:
    """Reads factors: of a preset, in their place those of a file, in their place single ones.

    Args:
        preset: name of a preset, perhaps with a variant; `s2rda` if neither the file nor the
            single factors name another.
        file: YAML; relative paths in it start at its folder.
        overrides: full names or nested tables to values, texts in the one-line form.
        photos: a set of photos for backgrounds is there: they are used, unless the file or the
            single factors say what the background is.

    Raises:
        GendataError: an unknown preset or factor, a value that is not as it should be, or factors
            that contradict each other.
    """
    written, own_preset = _read_file(file)
    from_file, file_switches = _without_switches(written)
    single, switches = _without_switches(dict(overrides or {}))
    switches = file_switches if switches is None else switches
    if preset is not None and own_preset not in (None, preset):
        raise GendataError(
            "two presets are asked for", found=f"{preset}, and {own_preset} in {file}"
        )
    name = preset or own_preset or (SWITCHED if switches is not None else DEFAULT_PRESET)
    chosen = _chosen(name, switches)
    if photos:
        chosen["background.kind"] = "photo"
    laws = _laws(
        _Layer({name: factor.default for name, factor in FACTORS.items()}, Path()),
        _Layer(chosen, Path(), f" in {name}"),
        _Layer(flatten(from_file, str(file)), Path(file or "").parent, f" in {file}"),
        _Layer(flatten(single), Path()),
    )
    return Factors(name, laws)


def _chosen(name: str, switches: Any) -> dict[str, Any]:
    """The factors of a preset, with its variant or switches."""
    base, _, variant = str(name).partition("/")
    if switches is not None and base != SWITCHED:
        raise GendataError(
            f"'{SWITCHED}' is asked for in another preset",
            found=f"the preset '{name}'",
            do=f"choose the preset {SWITCHED}",
        )
    return load_preset(base).chosen(variant, switches)


def _laws(*layers: _Layer) -> dict[str, Distribution]:
    """Reads the last layer's value of each factor."""
    last = {name: layer for layer in layers for name in layer.values}
    return {name: _law(name, layer) for name, layer in last.items()}


def _law(name: str, layer: _Layer) -> Distribution:
    written, values = layer.values[name], FACTORS[name].values
    where = f"{name}{layer.place}"
    if values.kind == "files":
        return read_files(written, name, where, layer.folder)
    return read_distribution(written, values, where)


def _read_file(file: str | Path | None) -> tuple[dict[str, Any], str | None]:
    """What a file holds, and the preset that it names."""
    if file is None:
        return {}, None
    path = Path(file)
    try:
        content = read_yaml(path.read_text(encoding="utf-8"), path)
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise GendataError(f"cannot read the factors in {path}", found=why) from None
    if not isinstance(content, Mapping | None):
        raise GendataError(f"{path} holds no factors", found=f"a {type(content).__name__}")
    values = dict(content or {})
    return values, values.pop("preset", None)


def _without_switches(written: dict[str, Any]) -> tuple[dict[str, Any], Any]:
    """Takes out what speaks of switches: all of them at once, or one by its name."""
    whole = written.pop(SWITCHED, None)
    single = {
        key.partition(".")[2]: written.pop(key)
        for key in list(written)
        if key.startswith(f"{SWITCHED}.")
    }
    if whole is not None and single:
        raise GendataError(
            f"'{SWITCHED}' is given both as a whole and by its switches",
            found=f"{whole} and {', '.join(single)}",
        )
    return written, (single or None) if whole is None else whole


def _check_together(factors: Factors) -> None:
    """Refuses factors that contradict each other."""
    for factor, word, files in (
        ("material.kind", "texture", "material.texture.files"),
        ("environment.kind", "map", "environment.files"),
    ):
        if factors.can_be(factor, word) and not factors.laws[files].extremes():
            raise GendataError(
                f"'{factor}' can be {word}, and there are no pictures for it",
                do=f"give {files}=FOLDER",
            )
    dark = factors.can_be("environment.kind", "none")
    if dark and factors.can_be("background.kind", "environment"):
        raise GendataError(
            "'background.kind' can be environment where 'environment.kind' can be none",
            do="choose environment.kind=map or environment.kind=colour",
        )
    if dark and factors.can_be("light.count", 0):
        raise GendataError(
            "some images would have no light",
            found="'light.count' can be 0 where 'environment.kind' can be none",
        )
