"""The files that a study leaves: its tables in every form, and the runs they were made of."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gendata.benchmarks.protocol.statistics import Summary
from gendata.benchmarks.tables import Table
from gendata.files import write_json, write_text

__all__ = ["write", "write_tables"]

RUN_COLUMNS = (
    *("study", "setting", "data", "source", "shots", "row", "baseline", "method", "seed"),
    *("accuracy", "last_accuracy", "images", "select", "epochs", "network", "init", "seconds"),
    *("device", "key", "command"),
)

Record = Mapping[str, Any]


def write(
    out: Path,
    table: Table,
    comparisons: Table,
    summaries: Sequence[Summary],
    records: Sequence[Record],
    layout: str,
) -> None:
    """Writes results.json, .md, .tex, .txt and .csv.

    Args:
        out: the folder.
        table: the results.
        comparisons: each row against its baseline; left out where it has no rows.
        summaries: what the tables were made of.
        records: the runs that the summaries were made of.
        layout: the layout of the table.
    """
    content = {
        "layout": layout,
        "table": table.to_json(),
        "comparisons": comparisons.to_json(),
        "summaries": [each.to_json() for each in summaries],
    }
    write_tables(out, [table, *([comparisons] if comparisons.rows else [])], records, content)


def write_tables(
    out: Path, tables: Sequence[Table], records: Sequence[Record], content: Mapping[str, Any]
) -> None:
    """Writes tables of any study in every form, with the runs that they were made of.

    Args:
        out: the folder.
        tables: in their order.
        records: the runs.
        content: what results.json holds besides the runs and where they come from.
    """
    provenance = _provenance(records)
    content = {
        **content,
        "provenance": provenance,
        "runs": [dict(record) for record in records],
    }
    write_json(out / "results.json", _finite(content))
    write_text(out / "results.md", _markdown(tables, provenance))
    write_text(out / "results.tex", "\n\n".join(each.latex() for each in tables) + "\n")
    plain = "\n\n".join(each.text() for each in tables)
    write_text(out / "results.txt", f"{plain}\n\n{_provenance_text(provenance)}\n")
    write_text(out / "results.csv", _csv(records))


def _provenance(records: Sequence[Record]) -> dict[str, Any]:
    """Where the figures come from: seeds, devices, versions, hours, and each command's rows."""
    commands: dict[str, list[str]] = {}
    for record in records:
        rows = commands.setdefault(str(record.get("command") or "unknown"), [])
        if record["row"] not in rows:
            rows.append(record["row"])
    versions: dict[str, set[str]] = {}
    for record in records:
        for name, version in (record.get("versions") or {}).items():
            versions.setdefault(name, set()).add(str(version))
    return {
        "runs": len(records),
        "seeds": sorted({int(record["seed"]) for record in records}),
        "devices": sorted({str(record.get("device") or "unknown") for record in records}),
        "epochs": sorted({int(record["epochs"]) for record in records if record.get("epochs")}),
        "networks": sorted(
            {str(record["network"]) for record in records if record.get("network")}
        ),
        "versions": {name: sorted(found) for name, found in sorted(versions.items())},
        "seconds": math.fsum(float(record.get("seconds") or 0) for record in records),
        "commands": commands,
    }


def _facts(provenance: Mapping[str, Any]) -> list[str]:
    """One line a fact, without the commands."""
    versions = (f"{name} {' and '.join(v)}" for name, v in provenance["versions"].items())
    facts = {
        "Runs": f"{provenance['runs']}, {_duration(provenance['seconds'])} together",
        "Seeds": ", ".join(map(str, provenance["seeds"])),
        "Device": ", ".join(provenance["devices"]),
        "Network": ", ".join(provenance["networks"]),
        "Epochs": ", ".join(map(str, provenance["epochs"])),
        "Versions": ", ".join(versions),
    }
    return [f"{name}: {fact}" for name, fact in facts.items() if fact]


def _duration(seconds: float) -> str:
    if seconds < 3600:
        return f"{seconds / 60:.1f} minutes"
    return f"{seconds / 3600:.1f} hours"


def _provenance_text(provenance: Mapping[str, Any]) -> str:
    lines = _facts(provenance)
    for command, rows in provenance["commands"].items():
        lines.append(f"Command of {_rows(rows, provenance)}:\n  {command}")
    return "\n".join(lines)


def _markdown(tables: Sequence[Table], provenance: Mapping[str, Any]) -> str:
    """Captions as paragraphs, tables, and where they come from."""
    parts = [part for each in tables for part in (_paragraph(each.caption), each.markdown())]
    parts.append("\n".join(f"- {_paragraph(fact)}" for fact in _facts(provenance)))
    for command, rows in provenance["commands"].items():
        parts.append(f"Command of {_paragraph(_rows(rows, provenance))}:")
        fence = "````" if "```" in command else "```"
        parts.append(f"{fence}\n{command}\n{fence}")
    return "\n\n".join(parts) + "\n"


def _rows(rows: Sequence[str], provenance: Mapping[str, Any]) -> str:
    """The rows that one command made, by name where others have another command."""
    return "all rows" if len(provenance["commands"]) == 1 else ", ".join(rows)


def _paragraph(text: str) -> str:
    """Text that turns on no emphasis and opens no tag."""
    return text.replace("*", "\\*").replace("<", "&lt;")


def _csv(records: Sequence[Record]) -> str:
    """One line a run."""
    file = io.StringIO()
    writer = csv.DictWriter(file, RUN_COLUMNS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(
        {name: _finite(record.get(name)) for name in RUN_COLUMNS} for record in records
    )
    return file.getvalue()


def _finite(value: Any) -> Any:
    """The same without nan and infinity, which JSON does not know."""
    if isinstance(value, Mapping):
        return {str(key): _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
