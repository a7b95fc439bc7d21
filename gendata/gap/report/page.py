"""The report a measurement is shown in."""

from __future__ import annotations

from gendata.gap.report.reading import brief, gap_summary, judged_by, listed
from gendata.gap.result import GapReport
from gendata.gap.sections.curves import curve_section
from gendata.gap.sections.decomposition import decomposition_section
from gendata.gap.sections.fidelity import fidelity_section
from gendata.gap.sections.images import image_section
from gendata.gap.sections.losses import loss_section
from gendata.gap.sections.matrix import matrix_section
from gendata.gap.sections.memorisation import memorisation_section
from gendata.gap.sections.missing import missing_section
from gendata.gap.sections.summary import summary_section
from gendata.gap.sections.worth import worth_section
from gendata.page.blocks import Page, Section

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
    cross, clones = report.cross, report.clones
    sections = [summary_section(report), worth_section(report, clones)]
    if cross is not None:
        sections += [
            matrix_section(report, cross),
            loss_section(report, cross),
            curve_section(report, cross),
        ]
    sections += [
        decomposition_section(report, clones),
        fidelity_section(clones, judged_by(report)),
        missing_section(clones, report.classes, judged_by(report)),
        memorisation_section(clones),
    ]
    if cross is not None:
        sections += [image_section(report, cross, clone) for clone in cross.clone_under_real]
    return [section for section in sections if section is not None]
