"""The clone's `README.md`: a data set card that people and Hugging Face `datasets` read."""

from __future__ import annotations

import json
import re
from typing import Any

import yaml

from gendata.clone.run_file import Run

__all__ = ["dataset_card"]

SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))


def dataset_card(run: Run, report: dict[str, Any]) -> str:
    """Writes the card of a finished clone from its settings and its reject report."""
    images = report["accepted"]
    header = {
        "license": _licence(run.cards["sampler"]),
        "task_categories": ["image-classification"],
        "tags": ["synthetic", "gendata"],
        "size_categories": [next((name for most, name in SIZES if images < most), "n>1M")],
        "configs": [
            {
                "config_name": "default",
                "data_files": [{"split": "train", "path": "shard-*.parquet"}],
            }
        ],
    }
    parts = [
        f"---\n{yaml.safe_dump(header, sort_keys=False)}---",
        "# Synthetic images drawn by gendata",
        f"{images:,} images of {len(report['classes'])} classes, drawn from "
        f"{_plain(run.settings['sampler']['name'])} and {_kept_by(run)}.",
        _class_table(report),
        "## Where they come from",
        *(_provenance(role, card) for role, card in run.cards.items() if card),
        "## How to draw them again",
        f"Pixels depend on these settings alone (batch size: on the last bits of rounding). "
        f"`gendata verify` redraws some and says how near they come.\n\n{_block(run.settings)}",
        "Drawn with "
        + ", ".join(f"{name} {number}" for name, number in run.versions.items())
        + ".",
        "## Columns",
        "`image` (PNG), `label`, `key` (class and ordinal), `seed` and `conditioned_label` (what "
        "the sampler was given; -1: no class), `confidence` and `probabilities` (the filter's; a "
        "stricter threshold is a condition on them), `sha256` (of the raw RGB pixels). "
        "`rejects.json` counts refused attempts by class and reason." + _described(run),
    ]
    return "\n\n".join(parts) + "\n"


def _described(run: Run) -> str:
    columns = run.settings["sampler"].get("columns")
    if not columns:
        return ""
    names = ", ".join(f"`{name}`" for name in columns)
    return f" What the sampler says of each image: {names}."


def _kept_by(run: Run) -> str:
    judge = run.settings["filter"]
    if judge is None:
        return "kept without a filter"
    return (
        f"kept where {_plain(judge['name'])} gave a class more than {judge['threshold']} "
        f"(label policy: {judge['label']})"
    )


def _class_table(report: dict[str, Any]) -> str:
    lines = ["| label | class | images | attempts | accepted |", "|---:|---|---:|---:|---:|"]
    for position, entry in enumerate(report["classes"]):
        rate = "" if entry["acceptance"] is None else f"{entry['acceptance']:.1%}"
        lines.append(
            f"| {position} | {_plain(entry['name'])} | {entry['accepted']} "
            f"| {entry['attempts']} | {rate} |"
        )
    return "\n".join(lines)


def _provenance(role: str, card: dict[str, Any]) -> str:
    lines = [
        f"- {name.replace('_', ' ')}: {_plain(card[name])}"
        for name in ("origin", "licence", "training_data", "sha256")
        if card.get(name)
    ]
    return "\n".join([f"**{role.capitalize()}**: {_plain(card['title'])}", "", *lines])


def _licence(card: dict[str, Any]) -> str:
    """A licence as the Hugging Face hub spells it: SPDX in lower case, or "other"."""
    licence = str(card["licence"]).lower()
    return licence if re.fullmatch(r"[a-z0-9.+-]+", licence) else "other"


def _block(settings: dict[str, Any]) -> str:
    text = json.dumps(settings, indent=2, ensure_ascii=False)
    fence = "`" * max([2, *(len(run) for run in re.findall("`+", text))]) + "`"
    return f"{fence}json\n{text}\n{fence}"


def _plain(text: Any) -> str:
    """Escapes what Markdown and HTML would take for their own."""
    single = " ".join(str(text).split())
    return re.sub(r"([\\`*_{}\[\]<>#|&])", r"\\\1", single)
