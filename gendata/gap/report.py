"""The report a measurement is shown in."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from gendata.gap.figures import LABEL_LENGTH, Line, curve_panel, limits_of, loss_panel
from gendata.gap.losses import mean_and_std
from gendata.gap.page import (
    Cell,
    Figure,
    ImageGrid,
    ImageRow,
    KeyFigure,
    KeyFigures,
    Page,
    Panel,
    Row,
    Section,
    Strip,
    Table,
)
from gendata.gap.reading import brief, gap_of, gap_summary, listed, points
from gendata.gap.result import CrossLosses, Ends, GapReport

__all__ = ["gap_page", "gap_sections"]


def gap_page(report: GapReport) -> Page:
    """Makes the whole page of a measurement."""
    clones = [brief(source.name) for source in report.trained[1:]]
    verb = "lack" if len(clones) > 1 else "lacks"
    title = f"What {listed(clones)} {verb} against {brief(report.sources[0].origin)}"
    return Page(
        title=title,
        summary=gap_summary(report),
        sections=gap_sections(report),
        foot=report.environment,
        overline="gendata · content gap",
    )


def gap_sections(report: GapReport) -> list[Section]:
    """Makes the sections of a measurement, for its own page or as a part of another."""
    return [
        _key_section(report),
        _matrix_section(report),
        _loss_section(report),
        _curve_section(report),
        *(_image_section(report, clone) for clone in report.clone_under_real),
    ]


def _key_section(report: GapReport) -> Section:
    figures = []
    for clone in report.clone_under_real:
        there = report.mean_accuracy(_real(report), clone)
        back = report.mean_accuracy(clone, _real(report))
        note = f"{there:.1%} from real to clone, {back:.1%} from clone to real"
        mean, std = mean_and_std(gap_of(report, clone))
        heading = f"points{_band(std)}: the gap of {brief(clone)}"
        figures.append(KeyFigure(points(float(mean)), heading, note))
        below = _average(report.clone_under_real[clone].spread.below)
        real_below = _average(report.real_under_clone[clone].spread.below)
        figures.append(
            KeyFigure(
                f"{below:.0%}",
                f"of the images of {brief(clone)} are no news to the real classifier",
                f"loss below 0.01; the other way round {real_below:.0%}",
            )
        )
    return Section(
        "In short",
        [KeyFigures(figures), _source_table(report)],
        "The gap is by how much the classifiers trained on the real images do better on the "
        "clone's than the other way round. What is easy from one side and hard from the other is "
        "content that the clone lacks.",
    )


def _source_table(report: GapReport) -> Table:
    colours = _colours(report)
    rows = [
        Row(
            source.name,
            [source.origin, *map(_count, (source.images, source.training, source.held_out))],
            colours.get(source.name),
        )
        for source in report.sources
    ]
    return Table(
        ["from", "images", "compared", "held out"],
        rows,
        "source",
        caption="The sources are compared on equally many images, the same number of each class; "
        "the held-out ones serve the validation curves alone.",
    )


def _matrix_section(report: GapReport) -> Section:
    mean, std = mean_and_std(report.accuracy)
    low = min(float(mean.min()), 0.9)
    colours = _colours(report)
    rows = [
        Row(
            source.name,
            [
                Cell(f"{100 * value:.1f}", _plus_minus(100 * spread), _heat(value, low))
                for value, spread in zip(mean[index], std[index], strict=True)
            ],
            colours[source.name],
        )
        for index, source in enumerate(report.trained)
    ]
    n = len(report.seeds)
    caption = (
        f"Accuracy in percent, mean and standard deviation over {_seeds(n)}. A row is what the "
        "classifier was trained on, a column whose images it was tested on, without augmentation. "
        "The images are each source's training images, so the diagonal says whether a classifier "
        "has converged, not how good it is"
    )
    tested = [source.name for source in report.sources if source.role == "test"]
    caption += f"; {listed(tested)} was never trained on." if tested else "."
    table = Table(
        [source.name for source in report.sources], rows, "trained on", "tested on", caption
    )
    return Section(
        "Trained here, tested there",
        [table],
        "How well the classifiers of each source do on the images of every other.",
    )


def _loss_section(report: GapReport) -> Section:
    colours = _colours(report)
    panels = [_loss_panel(report, clone, colours) for clone in report.clone_under_real]
    figure = Figure(
        panels,
        "Filled: the clone's images under classifiers trained on the real ones. Outlined: the "
        "real images under classifiers trained on the clone. Both in the same bins, five a "
        "decade, with a bin at either end for everything beyond; heights are shares of images.",
        _legend(report),
    )
    rows = []
    for clone in report.clone_under_real:
        pairs = (
            (clone, _real(report), report.clone_under_real[clone]),
            (_real(report), clone, report.real_under_clone[clone]),
        )
        rows += [Row(a, [b, *_shares(cross)], colours[a]) for a, b, cross in pairs]
    n, images = len(report.seeds), report.sources[0].training
    table = Table(
        ["classifier trained on", "loss below 0.01", "above 1", "median loss"],
        rows,
        "images of",
        caption=f"Mean and standard deviation over {_seeds(n)}, of {images:,} images each.",
    )
    return Section(
        "What is news to the other's classifier",
        [figure, table],
        "A loss near zero means that the classifier knew such images already; a loss above one "
        "means that the image holds something it never saw.",
    )


def _loss_panel(report: GapReport, clone: str, colours: Mapping[str, int]) -> Panel:
    ours, theirs = report.clone_under_real[clone].spread, report.real_under_clone[clone].spread
    none = np.full(len(ours.shares), np.nan)
    return loss_panel(
        f"{brief(clone)} and {_real(report)}",
        Line(clone, none, ours.shares, none, colours[clone]),
        Line(_real(report), none, theirs.shares, none, colours[_real(report)]),
        below=(_average(ours.below), _average(theirs.below)),
        above=(_average(ours.above), _average(theirs.above)),
    )


def _curve_section(report: GapReport) -> Section:
    panels = []
    for measure, percent in (("accuracy", True), ("loss", False)):
        training = _lines(report, f"train_{measure}")
        held_out = _lines(report, f"held_out_{measure}")
        limits = limits_of([*training, *held_out])
        name = measure.capitalize()
        panels += [
            curve_panel(training, f"{name} while training", percent=percent, limits=limits),
            curve_panel(
                held_out,
                f"{name} on held-out images of the same source",
                percent=percent,
                limits=limits,
            ),
        ]
    caption = f"Mean over {_seeds(len(report.seeds))}; the bands are one standard deviation."
    return Section(
        "How fast they are learnt",
        [Figure(panels, caption, _legend(report))],
        "Images without rare content make an easier task: their curve rises sooner and flattens "
        "sooner.",
    )


def _lines(report: GapReport, curve: str) -> list[Line]:
    colours = _colours(report)
    lines = []
    for source in report.trained:
        mean, std = mean_and_std(report.curves[source.name][curve])
        lines.append(
            Line(source.name, np.arange(1, len(mean) + 1), mean, std, colours[source.name])
        )
    return lines


def _image_section(report: GapReport, clone: str) -> Section:
    real = _real(report)
    return Section(
        f"Easiest and hardest: {brief(clone)}",
        [
            _grid(
                report,
                report.clone_under_real[clone],
                f"{brief(clone)}, under the {real} classifier",
            ),
            _grid(
                report,
                report.real_under_clone[clone],
                f"{real}, under the classifier of {brief(clone)}",
            ),
        ],
        "Left, what the other's classifier knows best; right, what surprises it most: in the "
        "clone's images mostly faults and doubtful labels, in the real ones what the clone lacks.",
    )


def _grid(report: GapReport, cross: CrossLosses, title: str) -> ImageGrid:
    rows = [
        ImageRow(
            name,
            [
                _strip(ends.lowest, f"lowest-loss images of class {name}: {title}"),
                _strip(ends.highest, f"highest-loss images of class {name}: {title}"),
            ],
        )
        for name, ends in zip(report.classes, cross.extremes, strict=True)
        if ends.shown
    ]
    caption = f"Under each image its loss, mean over {_seeds(len(report.seeds))}."
    if len(rows) < len(report.classes):
        caption += f" The {len(rows)} classes of highest loss; gap.json lists the images of all."
    return ImageGrid(["lowest loss", "highest loss"], rows, caption, title)


def _strip(ends: Ends, alt: str) -> Strip:
    return Strip(ends.images, alt, [_loss(float(loss)) for loss in ends.losses])


def _shares(cross: CrossLosses) -> list[Cell | str]:
    """Cells of the two shares and the median."""
    shares = [
        Cell(f"{100 * _average(runs):.1f}%", _plus_minus(100 * float(mean_and_std(runs)[1])))
        for runs in (cross.spread.below, cross.spread.above)
    ]
    return [*shares, _loss(_average(cross.spread.median))]


def _real(report: GapReport) -> str:
    return report.sources[0].name


def _colours(report: GapReport) -> dict[str, int]:
    return {source.name: index for index, source in enumerate(report.trained)}


def _legend(report: GapReport) -> list[tuple[str, int]]:
    """Full names, where one of them is too long for the figure."""
    colours = _colours(report)
    return list(colours.items()) if max(map(len, colours)) > LABEL_LENGTH else []


def _heat(value: float, low: float) -> float:
    return float(np.clip((value - low) / max(1 - low, 1e-9), 0, 1))


def _average(runs: np.ndarray) -> float:
    return float(np.mean(runs))


def _plus_minus(spread: float) -> str:
    return "" if np.isnan(spread) else f"± {spread:.1f}"


def _band(spread: np.ndarray) -> str:
    return "" if np.isnan(spread) else f" ± {100 * float(spread):.1f}"


def _loss(loss: float) -> str:
    """A loss in at most six characters."""
    if loss < 0.001:
        return "<0.001"
    return f"{loss:.3f}" if loss < 0.1 else f"{loss:.2f}" if loss < 100 else f"{loss:.0f}"


def _count(number: int) -> str:
    return f"{number:,}"


def _seeds(count: int) -> str:
    return "one seed" if count == 1 else f"{count} seeds"
