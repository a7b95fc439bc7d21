"""The accuracies that Wang, Schmedding and Huber published, to stand beside ours.

"Improving the Effectiveness of Deep Generative Data" (WACV 2024,
https://arxiv.org/abs/2311.03959), Tables 1 to 4: ResNet-50, means of five runs, without a
deviation. Table 1 is taken on the training images, all others on the test images.

Read with care:
- "Real" is trained on all real images, also in Table 4, whose other rows see 10 of each class of
  CIFAR-10.
- In Table 4, "Baseline (Fake)" and "Baseline (Real)" are part (B) of Table 2, and the row with
  Real Guidance alone equals A-GEM on CIFAR-10.
- The row "Real" of Table 2 is known to us without its last figure, that of SDI-C; for part (B)
  Table 4 has it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

__all__ = ["PublishedFigure", "published", "same_data"]

SOURCES = (
    ("CIFAR-10", "LSGM"),
    ("CIFAR-10", "SG-XL"),
    ("CUB", "Proj-GAN"),
    ("CUB", "SG-XL"),
    ("Flower", "Proj-GAN"),
    ("Flower", "SG-XL"),
    ("SDI-A", "DT-GAN"),
    ("SDI-B", "DT-GAN"),
    ("SDI-C", "DT-GAN"),
)

# Rows as they are trained, columns as they are tested.
TABLE_1 = {
    "Real": (96.34, 93.54, 98.68),
    "LSGM": (85.76, 97.71, 99.11),
    "SG-XL": (78.90, 91.14, 99.82),
}

# (A) from random weights, (B) from ImageNet weights; the columns are SOURCES.
TABLE_2 = {
    "A": {
        "Baseline": (85.08, 72.22, 12.30, 10.80, 13.54, 13.07, 64.72, 86.80, 61.14),
        "ASG": (80.66, 71.68, 1.64, 1.83, 5.32, 5.12, 32.78, 69.40, 31.43),
        "CSG": (82.47, 72.94, 1.41, 1.86, 8.21, 8.04, 43.94, 74.55, 32.19),
        "Ours (L1)": (85.58, 75.07, 11.93, 13.94, 13.89, 13.69, 64.73, 87.20, 64.00),
        "Ours (KL)": (84.76, 77.45, 17.11, 13.45, 17.16, 15.53, 66.36, 88.40, 62.52),
    },
    "B": {
        "Baseline": (85.57, 78.94, 33.15, 27.20, 32.40, 28.42, 53.64, 74.00, 52.95),
        "ASG": (82.40, 77.86, 43.62, 39.90, 5.63, 5.47, 67.78, 87.95, 50.47),
        "CSG": (82.67, 79.01, 43.62, 38.81, 5.45, 4.33, 62.33, 84.45, 50.86),
        "Ours (L1)": (85.74, 79.87, 32.89, 27.32, 30.91, 26.00, 51.63, 73.40, 53.52),
        "Ours (KL)": (84.73, 80.66, 34.50, 28.93, 33.52, 30.01, 57.64, 85.20, 53.90),
    },
}
TABLE_2_REAL = {
    "A": {"CIFAR-10": 90.27, "CUB": 18.82, "Flower": 35.59, "SDI-A": 83.20, "SDI-B": 87.8},
    "B": {"CIFAR-10": 91.80, "CUB": 43.15, "Flower": 52.12, "SDI-A": 66.36, "SDI-B": 90.00},
}

# A simplified ResNet-50 on 32 x 32 pixels, 256 features wide against the teacher's 1024.
TABLE_3 = {
    "Baseline": (78.55, 70.68),
    "ASG": (76.63, 66.31),
    "Ours (L1)": (78.33, 70.80),
    "Ours (KL)": (80.11, 74.21),
}
TABLE_3_REAL = 84.53

# From ImageNet weights; CIFAR-10 with 10 real images of a class; the columns are SOURCES.
TABLE_4 = {
    "Baseline (Fake)": (85.57, 78.94, 33.15, 27.20, 32.40, 28.42, 53.64, 74.00, 52.95),
    "Baseline (Adp.)": (84.81, 78.38, 39.56, 37.94, 37.71, 36.70, 81.09, 91.40, 83.43),
    "Baseline (Aug.)": (85.71, 79.38, 52.94, 52.28, 60.54, 60.61, 86.73, 90.80, 86.86),
    "ADDA": (78.73, 74.42, 23.47, 22.07, 29.30, 27.79, 56.72, 70.00, 57.33),
    "DADA": (83.39, 76.56, 26.42, 23.68, 20.59, 18.93, 55.09, 74.20, 53.33),
    "DANN": (86.52, 81.01, 57.34, 55.79, 59.88, 58.80, 77.09, 87.60, 77.14),
    "LTDA": (81.67, 73.89, 24.72, 18.92, 20.22, 17.39, 66.00, 83.20, 74.29),
    "A-GEM": (86.91, 80.33, 33.38, 29.37, 33.09, 31.88, 66.91, 91.60, 67.81),
    "Ours (PG-R, PG-F)": (86.25, 80.96, 54.71, 53.51, 61.47, 61.10, 89.27, 93.00, 87.61),
    "Ours (RG)": (86.91, 80.33, 59.39, 57.87, 64.57, 63.31, 90.73, 96.20, 91.43),
    "Ours (RG, PG-R)": (85.59, 81.25, 60.65, 58.69, 66.04, 64.88, 85.27, 95.20, 90.48),
    "Ours (RG, PG-F)": (86.58, 79.70, 59.90, 58.51, 65.00, 64.74, 89.82, 95.60, 88.57),
    "Ours (RG, PG-R, PG-F)": (85.94, 81.93, 60.17, 59.11, 66.24, 65.05, 87.64, 95.80, 89.33),
}
TABLE_4_REAL = {
    "CIFAR-10": 91.80,
    "CUB": 43.15,
    "Flower": 52.12,
    "SDI-A": 66.36,
    "SDI-B": 90.00,
    "SDI-C": 63.81,
}

# What else the data sets of the paper are called, letters and digits alone.
_ALIASES = {
    "cub": ("cub", "cubbird", "cub200", "cub2002011"),
    "flower": ("flower", "flowers", "oxfordflower", "oxfordflowers", "flowers102"),
}


@dataclass(frozen=True)
class PublishedFigure:
    """One figure of the paper.

    Attributes:
        table: "table1" to "table4".
        part: "A" (random weights) or "B" (ImageNet weights) of Table 2, else "".
        row: what it was trained with; of Table 1, on.
        data: the real data set.
        source: the generator; of Table 1, the images it was tested on; None where the row has
            one figure for all generators.
        accuracy: percent.
    """

    table: str
    part: str
    row: str
    data: str
    source: str | None
    accuracy: float


def published(table: str) -> list[PublishedFigure]:
    """All figures of one table, row by row as printed.

    Args:
        table: "table1", "table2", "table3" or "table4".
    """
    return {"table1": _table_1, "table2": _table_2, "table3": _table_3, "table4": _table_4}[
        table
    ]()


def same_data(ours: str, theirs: str) -> bool:
    """Whether a reference of ours names a data set of the paper: `cifar10:train` and CIFAR-10."""
    stem = re.split(r"[\\/]", ours.strip("/\\"))[-1].partition(":")[0]
    own, its = (re.sub(r"[^a-z0-9]", "", name.lower()) for name in (stem, theirs))
    return own in _ALIASES.get(its, (its,))


def _table_1() -> list[PublishedFigure]:
    return [
        PublishedFigure("table1", "", row, "CIFAR-10", source, accuracy)
        for row, values in TABLE_1.items()
        for source, accuracy in zip(TABLE_1, values, strict=True)
    ]


def _table_2() -> list[PublishedFigure]:
    return [
        figure
        for part, rows in TABLE_2.items()
        for figure in (
            *_by_source("table2", part, rows, SOURCES),
            *_real("table2", part, "Real", TABLE_2_REAL[part].items()),
        )
    ]


def _table_3() -> list[PublishedFigure]:
    return [
        *_by_source("table3", "", TABLE_3, SOURCES[:2]),
        *_real("table3", "", "Real", [("CIFAR-10", TABLE_3_REAL)]),
    ]


def _table_4() -> list[PublishedFigure]:
    return [
        *_real("table4", "", "Baseline (Real)", TABLE_4_REAL.items()),
        *_by_source("table4", "", TABLE_4, SOURCES),
    ]


def _by_source(
    table: str,
    part: str,
    rows: Mapping[str, Sequence[float]],
    sources: Sequence[tuple[str, str]],
) -> list[PublishedFigure]:
    return [
        PublishedFigure(table, part, row, data, source, accuracy)
        for row, values in rows.items()
        for (data, source), accuracy in zip(sources, values, strict=True)
    ]


def _real(
    table: str, part: str, row: str, values: Iterable[tuple[str, float]]
) -> list[PublishedFigure]:
    return [PublishedFigure(table, part, row, data, None, value) for data, value in values]
