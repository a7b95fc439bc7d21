"""The images of each class that the other source's classifier finds easiest and hardest."""

from __future__ import annotations

from gendata.gap.cross_source.findings import CrossFindings, CrossLosses, Ends
from gendata.gap.report.reading import brief
from gendata.gap.result import GapReport
from gendata.gap.sections.formatting import loss_text, seeds_text
from gendata.page.blocks import ImageGrid, ImageRow, Section, Strip

__all__ = ["image_section"]


def image_section(report: GapReport, cross: CrossFindings, clone: str) -> Section:
    """Shows the extremes of a clone under the real classifier, and the reverse."""
    real = cross.trained_on[0]
    there = f"{brief(clone)}, under the {real} classifier"
    back = f"{real}, under the classifier of {brief(clone)}"
    return Section(
        f"Easiest and hardest: {brief(clone)}",
        [
            _grid(report, cross, cross.clone_under_real[clone], there),
            _grid(report, cross, cross.real_under_clone[clone], back),
        ],
        "Left, what the other's classifier knows best; right, what surprises it most: in the "
        "clone's images mostly faults and doubtful labels, in the real ones what the clone lacks.",
    )


def _grid(report: GapReport, cross: CrossFindings, losses: CrossLosses, title: str) -> ImageGrid:
    rows = [
        ImageRow(
            name,
            [
                _strip(ends.lowest, f"lowest-loss images of class {name}: {title}"),
                _strip(ends.highest, f"highest-loss images of class {name}: {title}"),
            ],
        )
        for name, ends in zip(report.classes, losses.extremes, strict=True)
        if ends.shown
    ]
    caption = f"Under each image its loss, mean over {seeds_text(cross.seeds)}."
    if len(rows) < len(report.classes):
        caption += f" The {len(rows)} classes of highest loss; gap.json lists the images of all."
    return ImageGrid(["lowest loss", "highest loss"], rows, title=title, caption=caption)


def _strip(ends: Ends, alt: str) -> Strip:
    return Strip(ends.images, alt, [loss_text(float(loss)) for loss in ends.losses])
