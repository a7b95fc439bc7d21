"""The quickstart's report: results first, then the clones, then the gap."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from gendata.clone.rejected import remake_rejected
from gendata.gap.report.page import gap_sections
from gendata.images import decode_all
from gendata.page.blocks import (
    Cell,
    ImageGrid,
    ImageRow,
    KeyFigure,
    KeyFigures,
    Page,
    Row,
    Section,
    Strip,
    Table,
)
from gendata.types import Classifier

if TYPE_CHECKING:
    from gendata.benchmarks.quickstart import MethodRow, Outcome

__all__ = ["quickstart_page"]

SHOWN = 8  # images of a class, kept or rejected


def quickstart_page(
    outcome: Outcome, methods: Sequence[MethodRow], classifier: Classifier | None
) -> Page:
    """Makes the page from what the quickstart found."""
    sections = [result_section(outcome, methods)]
    if classifier is not None:
        sections += [filter_section(outcome, name, classifier) for name in outcome.clones]
    return Page(
        title="What generated images are worth here",
        summary=summary(outcome, methods),
        sections=[*sections, *gap_sections(outcome.gap)],
        foot={
            **outcome.gap.environment,
            "command": outcome.command,
            "wall-clock time": f"{outcome.seconds:.0f} s",
        },
        overline="gendata · quickstart",
    )


def summary(outcome: Outcome, methods: Sequence[MethodRow]) -> str:
    """Says which method did best in each setting, and against what."""
    sentences = []
    for setting, opening in (
        ("zero-shot", "Without a single real image"),
        ("few-shot", f"With {outcome.counts['few']} real images"),
    ):
        rows = {
            row.title: mean(outcome.results[row.method])
            for row in methods
            if row.setting == setting
        }
        best = max(rows, key=lambda title: rows[title])
        others = ", ".join(
            f"{title} {value:.1%}" for title, value in rows.items() if title != best
        )
        sentences.append(
            f"{opening}, {best} is right on {rows[best]:.1%} of real test images ({others})"
        )
    return ". ".join(sentences) + "."


def result_section(outcome: Outcome, methods: Sequence[MethodRow]) -> Section:
    """The table of methods; the best of each setting stands out."""
    values = {row.method: mean(outcome.results[row.method]) for row in methods}
    rows = [
        Row(row.title, [row.setting, _accuracy(outcome, row, methods, values)]) for row in methods
    ]
    counts = outcome.counts
    caption = (
        f"Accuracy on {counts['test']:,} real test images on which nothing was trained or chosen, "
        f"after the last epoch, {counts['seeds']} seed(s). The clone has {counts['clone']:,} "
        f"images; few-shot methods also see {counts['few']} real ones. The size of the test set "
        f"alone leaves a standard error of about {error(values, counts):.1f} points."
    )
    key_figures = [
        ("fake", "synthetic images only", "zero-shot baseline"),
        ("pg", "with Pretrained Guidance", "still no real image"),
        ("pg+rg", "with both guidances", f"and {counts['few']} real images"),
    ]
    return Section(
        "Trained on generated images, tested on real ones",
        [
            KeyFigures([KeyFigure(f"{values[each]:.1%}", *words) for each, *words in key_figures]),
            Table(["setting", "accuracy"], rows, "method", caption=caption),
        ],
        "Pretrained Guidance keeps the relations that a frozen ImageNet network sees; Real "
        "Guidance lets a few real images correct every synthetic gradient.",
    )


def _accuracy(
    outcome: Outcome, row: MethodRow, methods: Sequence[MethodRow], values: Mapping[str, float]
) -> Cell:
    """A method's mean and deviation; the best of its setting is strong."""
    value, several = values[row.method], outcome.counts["seeds"] > 1
    spread = f"± {np.std(outcome.results[row.method], ddof=1):.1%}" if several else ""
    low, high = min(values.values()), max(values.values())
    best = max(values[other.method] for other in methods if other.setting == row.setting)
    heat = (value - low) / max(high - low, 1e-9)
    return Cell(f"{value:.1%}", spread, heat=heat, strong=value == best)


def filter_section(outcome: Outcome, name: str, classifier: Classifier) -> Section:
    """What the filter kept and what it turned away, by class, from one sampler."""
    clone = decode_all(outcome.clones[name])
    rejects = json.loads((outcome.folders[name] / "rejects.json").read_text(encoding="utf-8"))
    rejected = remake_rejected(outcome.folders[name], outcome.samplers[name], SHOWN)
    columns, notes = ["kept"], []
    if len(rejected.seeds):
        columns.append("turned away, and what the filter saw")
        seen = classifier.probabilities(rejected.images)
        notes = [verdict(row, classifier.classes or clone.classes) for row in seen]
    rows = []
    for label, class_name in enumerate(clone.classes):
        kept = clone.images[torch.as_tensor(clone.labels) == label][:SHOWN]
        strips = [Strip(list(kept), f"kept images of {class_name}")]
        if len(rejected.seeds):
            away = torch.nonzero(rejected.labels == label)[:, 0].tolist()
            strips.append(
                Strip(
                    [rejected.images[index] for index in away],
                    f"rejected as {class_name}",
                    [notes[index] for index in away],
                )
            )
        rows.append(ImageRow(class_name, strips))
    attempts, accepted = rejects["attempts"], rejects["accepted"]
    caption = f"{attempts:,} images were drawn and {accepted:,} kept."
    if len(rejected.seeds):
        caption += " Under a rejected image the filter's most probable class and its probability."
    grid = ImageGrid(columns, rows, caption=caption)
    return Section(
        f"Kept and rejected: {name}" if len(rejected.seeds) else f"Kept: {name}",
        [grid],
        f"Of {attempts:,} drawn images the filter kept {accepted / attempts:.0%}.",
    )


def verdict(probabilities: torch.Tensor, classes: Sequence[str]) -> str:
    """The most probable class, shortened, and its probability."""
    top = int(probabilities.argmax())
    return f"{classes[top][:7]} {float(probabilities[top]):.2f}"


def mean(values: Sequence[float]) -> float:
    """Mean over seeds."""
    return float(np.mean(values))


def error(values: dict[str, float], counts: dict[str, int]) -> float:
    """Binomial standard error of one accuracy, in points."""
    middle = mean(list(values.values()))
    return 100 * float(np.sqrt(middle * (1 - middle) / counts["test"]))
