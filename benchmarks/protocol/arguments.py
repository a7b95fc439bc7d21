"""From a study's keywords and a preset to one plain description of what shall be run."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gendata.benchmarks.protocol.presets import Row, is_placeholder, rows_of
from gendata.benchmarks.protocol.references import (
    Source,
    is_sampler,
    listed,
    short_name,
    sources_of,
)
from gendata.errors import GendataError
from gendata.registry import methods as registered
from gendata.training.options import option_names
from gendata.training.run import resolve
from gendata.training.settings import Settings

__all__ = ["Protocol", "protocol_of"]

SETTINGS = ("epochs", "network", "init", "size", "batch_size", "select")
SUBSETS = "by seed"
DEFAULT = "fashion-mnist"  # with other data, what belongs to its own is left out:
OF_THE_DATA = ("name", "data", "test", "validation", "filter", "sources")


@dataclass(frozen=True)
class Protocol:
    """Everything that decides a study's runs on one data set.

    Attributes:
        study: its registered name.
        preset: where what was not given comes from.
        name: what the tables call the data.
        layout: of the tables.
        data: real training images.
        test: real images that judge.
        validation: real images that may choose, or how many of each class of `data`.
        sources: in the order of the columns.
        threshold: of the filters' confidence.
        label: the filters' label policy; None for the usual one.
        attempts: most attempts for each image of a clone.
        per_class: synthetic images of each class, one value a curve's point.
        subset_sources: whether `per_class` also cuts image sets that are used as they are.
        shots: real images of each class, likewise; None for all of them.
        rows: the methods.
        seeds: of the trainings.
        seed: of the clones.
        subset_seed: of the few real images; None: each training seed has its own.
        settings: of `gendata.train`.
        options: of the methods that have them.
        device: where to train and draw.
        download: fetch what is not on this machine.
        tune: candidates of `--tune`, from the preset.
        augment_by_loss: the preset's numbers for `--augment-by loss`.
    """

    study: str
    preset: str
    name: str
    layout: str
    data: Any
    test: Any
    validation: Any
    sources: tuple[Source, ...]
    threshold: float
    label: str | None
    attempts: int
    per_class: tuple[int | None, ...]
    subset_sources: bool
    shots: tuple[int | None, ...]
    rows: tuple[Row, ...]
    seeds: tuple[int, ...]
    seed: int
    subset_seed: int | None
    settings: Mapping[str, Any]
    options: Mapping[str, Any]
    device: str
    download: bool
    tune: Mapping[str, Any]
    augment_by_loss: Mapping[str, Any]

    def options_for(self, row: Row) -> dict[str, Any]:
        """The row's options, with the study's for whatever its method has."""
        known = set(option_names(registered.get(row.method)))
        shared = {name: value for name, value in self.options.items() if name in known}
        return {**self.settings, **shared, **row.options}

    def per_class_of(self, source: Source) -> tuple[int | None, ...]:
        """So many images of each class of a source; None where it is used as it is."""
        drawn = is_sampler(source.reference)
        return self.per_class if drawn or self.subset_sources else (None,)

    def left_open(self) -> list[str]:
        """What the preset leaves to the user, in words."""
        filters = [each.filter for each in self.sources if is_sampler(each.reference)]
        places = [
            ("data", self.data),
            ("test", self.test),
            *(("filter", each) for each in filters),
        ]
        places += [(f"sources: {each.name}", each.reference) for each in self.sources]
        found = [f"{what} {value}" for what, value in places if is_placeholder(value)]
        return list(dict.fromkeys(found))


def protocol_of(study: str, preset: Mapping[str, Any], given: Mapping[str, Any]) -> Protocol:
    """Fills what was not given from the preset.

    Args:
        study: "zero-shot" or "low-shot".
        preset: as `load_presets` returns it.
        given: the study's keywords; None and empty sequences are not given.

    Raises:
        GendataError: a value that is not allowed, an unknown method or option, nothing to train.
    """
    given = {name: value for name, value in given.items() if value not in (None, (), [], "", {})}
    own = preset["preset"] == DEFAULT and given.get("data", preset["data"]) != preset["data"]
    usual = {name: value for name, value in preset.items() if not (own and name in OF_THE_DATA)}
    chosen: dict[str, Any] = {**usual, **given}
    number, first = _whole(chosen, "seeds", 5, 1), given.get("seed", 0)
    rows = selected(rows_of(preset, study), listed(given.get("methods", ())), study)
    settings, options = _options(preset, given, rows)
    shots = _counts(chosen.get("shots")) if study == "low-shot" else (None,)
    protocol = Protocol(
        study=study,
        preset=preset["preset"],
        name=usual.get("name") or short_name(chosen.get("data")),
        layout=preset.get("layout", study),
        data=chosen.get("data"),
        test=chosen.get("test"),
        validation=_number_or_reference(chosen.get("validation")),
        sources=sources_of(usual, given),
        threshold=float(chosen.get("threshold", 0.8)),
        label=chosen.get("label"),
        attempts=_whole(chosen, "attempts", 100, 1),
        per_class=_counts(chosen.get("per_class")),
        subset_sources="per_class" in given,
        shots=shots,
        rows=tuple(_scaled(row, given, preset) for row in rows),
        seeds=tuple(range(first, first + number)),
        seed=first,
        subset_seed=_subset_seed(chosen.get("subset_seed")),
        settings=settings,
        options=options,
        device=given.get("device", "auto"),
        download=bool(given.get("download", False)),
        tune=preset.get("tune", {}),
        augment_by_loss=preset.get("augment-by-loss", {}),
    )
    _check(protocol)
    return protocol


def _options(
    preset: Mapping[str, Any], given: Mapping[str, Any], rows: Sequence[Row]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The settings of all trainings, and the options of the methods that have them."""
    _check_options(preset.get("options", {}), given.get("options", {}), rows)
    options = {**preset.get("options", {}), **given.get("options", {})}
    moved = {name: options.pop(name) for name in list(options) if name in Settings.names()}
    named = {name: given[name] for name in SETTINGS if name in given}
    return {**preset.get("settings", {}), **named, **moved}, options


def _scaled(row: Row, given: Mapping[str, Any], preset: Mapping[str, Any]) -> Row:
    """A row with epochs of its own keeps their proportion to the others'."""
    usual, now = preset.get("settings", {}).get("epochs"), given.get("epochs")
    if "epochs" not in row.options or not usual or not isinstance(now, int):
        return row
    epochs = max(1, round(row.options["epochs"] * now / usual))
    return replace(row, options={**row.options, "epochs": epochs})


def selected(rows: Sequence[Row], names: Sequence[str], study: str) -> list[Row]:
    """The rows that were asked for, by name, by label or by method; without names all of them.

    Raises:
        GendataError: nothing has such a name.
    """
    if not names:
        return list(rows)
    found: list[Row] = []
    for name in names:
        wanted = name.strip().lower()
        hits = [row for row in rows if wanted in (row.name.lower(), row.label.lower())]
        hits = hits or [row for row in rows if wanted == row.method.lower()]
        if not hits and name in registered.names():
            alone = study == "zero-shot" and name == "real"
            hits = [Row(name, name, name, real="all" if alone else "few")]
        if not hits:
            known = [*(row.name for row in rows), *registered.names()]
            close = difflib.get_close_matches(wanted, known, n=3, cutoff=0.4)
            raise GendataError(
                f"no row and no method is called '{name}'",
                expected=f"some of {', '.join(dict.fromkeys(known))}",
                do=f"did you mean {' or '.join(close)}?" if close else None,
            )
        found += [row for row in hits if row not in found]
    return found


def _counts(value: Any) -> tuple[int | None, ...]:
    """Numbers of images of a class; 0 and "all" stand for all of them."""
    counts: list[int | None] = []
    for each in listed(value if value is not None else (None,)):
        text = str(each)
        if not (each is None or text == "all" or text.isdecimal()):
            raise GendataError(
                "not a number of images", found=repr(each), expected="0 (all), 1, 2, …"
            )
        counts.append(None if each is None or text in ("all", "0") else int(text))
    return tuple(dict.fromkeys(counts))


def _whole(given: Mapping[str, Any], name: str, default: Any, least: int) -> int:
    value = given.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise GendataError(
            f"{name} is out of range", found=repr(value), expected=f"at least {least}"
        )
    return value


def _number_or_reference(value: Any) -> Any:
    return int(value) if isinstance(value, str) and value.isdecimal() else value


def _subset_seed(value: Any) -> int | None:
    """None where each training seed chooses its own few images."""
    if value in (None, SUBSETS, "seed", "by-seed"):
        return None
    if isinstance(value, int) or (isinstance(value, str) and value.isdecimal()):
        return int(value)
    raise GendataError(
        "subset_seed is unknown", found=repr(value), expected=f"'{SUBSETS}' or a whole number"
    )


def _check(protocol: Protocol) -> None:
    """Finds what cannot work before anything is drawn or trained."""
    for name, value in (("data", protocol.data), ("test", protocol.test)):
        if value is None:
            raise GendataError(
                f"the study needs {'test' if name == 'test' else 'real'} images",
                found="none",
                do=f"give {name}=…",
            )
    if not protocol.sources:
        raise GendataError(
            "images of your own need sources of their classes",
            found="none",
            do="give sources=NAME=KIND:PATH,… (samplers, clones or other image sets)",
        )
    for row in protocol.rows:
        options = {**protocol.options_for(row), "seed": protocol.seed}
        try:
            _, method, _ = resolve(row.method, None, options)
        except GendataError as error:
            raise GendataError(f"the row '{row.label}' cannot be trained: {error}") from error
        needs = {source for stage in method.stages for source in stage.sources}
        if protocol.study == "zero-shot" and row.real == "few" and needs != {"synthetic"}:
            raise GendataError(
                f"the zero-shot study trains on no real images, and '{row.label}' needs them",
                do="run it in the low-shot study",
            )


def _check_options(
    shared: Mapping[str, Any], given: Mapping[str, Any], rows: Sequence[Row]
) -> None:
    """A preset's option must belong to some method, a given one to one that was chosen."""
    chosen = {row.method for row in rows}
    for names, options in ((registered.names(), shared), (sorted(chosen), given)):
        known = {*Settings.names(), *(o for m in names for o in option_names(registered.get(m)))}
        for name in options:
            if name not in known:
                close = difflib.get_close_matches(name, known, n=1)
                raise GendataError(
                    "neither training nor any of the methods has the option",
                    found=name,
                    expected=f"some of {', '.join(sorted(known))}",
                    do=f"did you mean {close[0]}?" if close else None,
                )
