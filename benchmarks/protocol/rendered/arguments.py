"""From a study's keywords and a preset to what shall be rendered and trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gendata.benchmarks.protocol.arguments import Protocol
from gendata.benchmarks.protocol.presets import Row, is_placeholder
from gendata.benchmarks.protocol.references import listed, sources_of
from gendata.benchmarks.protocol.rendered.trainings import Drawing, Training, trainings_of
from gendata.benchmarks.protocol.runs import Run
from gendata.clone.plan import choose_classes
from gendata.errors import GendataError
from gendata.render.objects import open_objects
from gendata.samplers import load_sampler
from gendata.training.options import check_number
from gendata.training.run import resolve
from gendata.training.settings import Settings

__all__ = ["RenderedProtocol", "protocol_of", "runs_of"]

SETTINGS = ("epochs", "iterations", "batch_size", "size", "select")
TEST_SEED = 1_000_000  # added to the clones' seed: no test image is a training image
TESTS: Mapping[str, Mapping[str, Any]] = {"IID": {}}
METHOD = "fake"

UNUSED: Mapping[str, Any] = {  # what only studies with real training images decide
    **dict.fromkeys(("data", "test", "validation", "label", "subset_seed")),
    **{"sources": (), "per_class": (), "shots": (None,), "subset_sources": False},
    **{"threshold": 0.0, "options": {}, "tune": {}, "augment_by_loss": {}, "attempts": 1},
}


@dataclass(frozen=True)
class RenderedProtocol(Protocol):
    """Everything that decides a study of rendered images.

    Attributes:
        sampler: what renders.
        classes: names of the sampler's classes that were chosen; None for all of them.
        class_names: of all classes that are rendered.
        drawings: the image sets to render, by name; of the training sets the largest that any
            training needs.
        tests: those that judge; the first is the one that stands for all.
        real: references to real sets that judge too, by name.
        trainings: what is trained, each with every seed.
        cost: what the dry run reckons with.
    """

    sampler: str
    classes: tuple[str, ...] | None
    class_names: tuple[str, ...]
    drawings: Mapping[str, Drawing]
    tests: Mapping[str, Drawing]
    real: Mapping[str, Any]
    trainings: tuple[Training, ...]
    cost: Mapping[str, Any]

    def settings_of(self, row: Row) -> Settings:
        """The settings of a row's trainings, but for the seed."""
        return resolve(row.method, None, self.options_for(row))[0]

    def left_open(self) -> list[str]:
        """What the preset leaves to the user, in words."""
        places = [("sampler", self.sampler), *(("test", each) for each in self.real.values())]
        return [f"{what} {value}" for what, value in places if is_placeholder(value)]


def protocol_of(
    study: str, preset: Mapping[str, Any], given: Mapping[str, Any]
) -> RenderedProtocol:
    """Fills what was not given from the preset.

    Args:
        study: "rendered", "factors", "capacity" or "quantity".
        preset: as `load_presets` returns it.
        given: the study's keywords; None and empty sequences are not given.

    Raises:
        GendataError: a value that is not allowed, an unknown option, nothing to render.
    """
    given = {name: value for name, value in given.items() if value not in (None, (), [], "", {})}
    preset = _without_objects(preset, given)
    settings, options = _options(preset, given)
    sampler = given.get("sampler", preset.get("sampler"))
    if sampler is None:
        raise GendataError("the study needs images", found="no sampler", do="give sampler=…")
    names = listed(given.get("classes", preset.get("classes", ())))
    seed, device = given.get("seed", 0), given.get("device", "auto")
    classes = _class_names(sampler, names, options, device)
    number = given.get("seeds", {**preset, **preset.get(study, {})}.get("seeds", 1))
    check_number("seeds", number, 1, whole=True)
    trainings = trainings_of(study, preset, given, settings, len(classes))
    protocol = RenderedProtocol(
        study=study,
        preset=preset["preset"],
        name=preset.get("name", sampler),
        layout=study,
        rows=tuple(dict.fromkeys(each.row for each in trainings)),
        seeds=tuple(range(seed, seed + number)),
        seed=seed,
        settings=settings,
        device=device,
        download=bool(given.get("download", False)),
        sampler=sampler,
        classes=tuple(names) or None,
        class_names=classes,
        drawings=_drawings(trainings, options, seed),
        tests=_tests(preset, given, options, seed),
        real=_real(preset, given),
        trainings=trainings,
        cost=preset.get("cost", {}),
        **UNUSED,
    )
    _check(protocol)
    return protocol


def _without_objects(preset: Mapping[str, Any], given: Mapping[str, Any]) -> Mapping[str, Any]:
    """The preset without what belongs to its own objects, where others are given."""
    usual = preset.get("sampler")
    if given.get("sampler", usual) == usual or is_placeholder(usual):
        return preset
    return {name: value for name, value in preset.items() if name not in ("name", "classes")}


def runs_of(protocol: RenderedProtocol) -> list[Run]:
    """All runs; seeds innermost, so that whole rows are finished first."""
    return [
        Run(each.row, each.source, each.per_class, None, seed)
        for each in protocol.trainings
        for seed in protocol.seeds
    ]


def _options(
    preset: Mapping[str, Any], given: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The settings of all trainings, and the options of the sampler.

    Images are trained on as they are rendered, unless both sizes are given.
    """
    asked = given.get("options", {})
    options = {**preset.get("sampler_options", {}), **asked}
    moved = {name: options.pop(name) for name in list(options) if name in Settings.names()}
    named = {**moved, **{name: given[name] for name in SETTINGS if name in given}}
    settings = {**preset.get("settings", {}), **named}
    if "resolution" in asked and "size" not in named:
        settings["size"] = asked["resolution"]
    elif "resolution" in options:
        settings.setdefault("size", options["resolution"])
        options["resolution"] = asked.get("resolution", settings["size"])
    return settings, options


def _class_names(
    sampler: str, names: Sequence[str], options: Mapping[str, Any], device: str
) -> tuple[str, ...]:
    """The classes to render, which the sampler must have; a placeholder's are those named."""
    if is_placeholder(sampler):
        if not names:
            raise GendataError(
                "the preset leaves the sampler to you, and names no classes", do="give classes=…"
            )
        return tuple(names)
    known = _known_classes(sampler, options, device)
    if known is None:
        raise GendataError(
            f"the sampler {sampler} knows no classes", do="choose one that draws what it is asked"
        )
    return tuple(choose_classes(known, names or None).chosen_names)


def _known_classes(sampler: str, options: Mapping[str, Any], device: str) -> Sequence[str] | None:
    kind, _, place = sampler.partition(":")
    if kind == "blender":  # a dry run needs the objects, but no Blender
        return open_objects(place).classes
    return load_sampler(sampler, device=device, **options).classes


def _drawings(
    trainings: Sequence[Training], options: Mapping[str, Any], seed: int
) -> dict[str, Drawing]:
    """Each training set once, as large as the largest training needs it."""
    drawings: dict[str, Drawing] = {}
    for each in trainings:
        known = drawings.get(each.source)
        most = max(each.per_class, known.per_class if known else 0)
        drawings[each.source] = Drawing({**options, **each.changes}, most, seed)
    return drawings


def _tests(
    preset: Mapping[str, Any], given: Mapping[str, Any], options: Mapping[str, Any], seed: int
) -> dict[str, Drawing]:
    """The rendered test sets: all of one seed, so that they show the same scenes."""
    table = dict(preset.get("tests", {}))
    usual = table.pop("per_class", 100)
    per_class = given.get("test_per_class", usual)
    check_number("test_per_class", per_class, 1, whole=True)
    table.pop("real", None)
    for name, changes in table.items():
        if not isinstance(changes, Mapping):
            raise GendataError(
                f"the test set '{name}' is not written as it should be",
                found=repr(changes),
                expected="a table of the sampler's options, empty for none",
            )
    return {
        name: Drawing({**options, **changes}, per_class, seed + TEST_SEED)
        for name, changes in (table or TESTS).items()
    }


def _real(preset: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The real test sets by name: those given, else the preset's."""
    usual = preset.get("tests", {}).get("real", {})
    found = sources_of({"sources": usual}, {"sources": given["test"]} if "test" in given else {})
    return {each.name: each.reference for each in found}


def _check(protocol: RenderedProtocol) -> None:
    """Finds what cannot work before anything is rendered or trained."""
    for row in protocol.rows:
        try:
            resolve(METHOD, None, {**protocol.options_for(row), "seed": protocol.seed})
        except GendataError as error:
            raise GendataError(f"the row '{row.label}' cannot be trained: {error}") from error
    both = protocol.tests.keys() & protocol.real.keys()
    if both:
        raise GendataError("two test sets have the same name", found=", ".join(sorted(both)))
    names: dict[tuple[Row, str], Training] = {}
    for each in protocol.trainings:
        if names.setdefault((each.row, each.source), each) != each:
            raise GendataError("two trainings have the same name", found=each.row.label)
