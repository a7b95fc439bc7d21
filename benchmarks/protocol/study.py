"""What the zero-shot and the low-shot study do alike, from the keywords to the tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from gendata.benchmarks.protocol.arguments import Protocol, protocol_of
from gendata.benchmarks.protocol.checks import check_networks, check_sets
from gendata.benchmarks.protocol.presets import Row, load_presets
from gendata.benchmarks.protocol.references import listed
from gendata.benchmarks.protocol.runs import Run, roles_of
from gendata.benchmarks.protocol.sources import Bank
from gendata.benchmarks.protocol.sweep import Planned, Sweep, in_runs, in_words
from gendata.benchmarks.protocol.workers import check_jobs
from gendata.benchmarks.tables import StudyResult, Table
from gendata.errors import GendataError

__all__ = ["begin", "concluded", "listing", "outlined", "protocols_of", "runs_of"]

PAPER_TABLES = {"zero-shot": "table2", "low-shot": "table4", "table3": "table3"}
NOT_SETTINGS = ("out", "preset", "jobs", "limit", "dry_run", "tune", "augment_by", "add")


def protocols_of(study: str, preset: str, values: Mapping[str, Any]) -> list[Protocol]:
    """One protocol for each data set of one preset or several, joined by commas."""
    given = {name: value for name, value in values.items() if name not in NOT_SETTINGS}
    contents = [each for name in listed(str(preset)) for each in load_presets(name)]
    if len(contents) > 1 and any(given.get(name) for name in ("data", "test", "sources")):
        raise GendataError(
            f"the preset '{preset}' holds {len(contents)} data sets",
            found="data, test or sources for one",
            do="run one at a time, or write a preset that includes your own",
        )
    return [protocol_of(study, content, given) for content in contents]


def runs_of(
    protocol: Protocol, rows_for: Callable[[str | None], Sequence[Row]] | None = None
) -> list[Run]:
    """All runs of a protocol; seeds innermost, so that whole rows are finished first.

    Args:
        protocol: what shall be run.
        rows_for: the rows of a source; by default the protocol's for each.
    """
    runs: list[Run] = []
    for source in protocol.sources:
        for per_class in protocol.per_class_of(source):
            for shots in protocol.shots:
                for row in rows_for(source.name) if rows_for else protocol.rows:
                    roles = roles_of(protocol, row)
                    drawn = "synthetic" in roles
                    few = "real" in roles and row.real == "few"
                    runs += [
                        Run(
                            row,
                            source.name if drawn else None,
                            per_class if drawn else None,
                            shots if few else None,
                            seed,
                        )
                        for seed in protocol.seeds
                    ]
    return list(dict.fromkeys(runs))


def begin(protocols: Sequence[Protocol], out: Path, *, jobs: int, dry_run: bool) -> list[Bank]:
    """Checks all protocols, and draws their clones unless it is a dry run.

    Raises:
        GendataError: a preset leaves something to the user, or something does not fit.
    """
    for protocol in protocols:
        check_jobs(jobs, protocol.device)
        if (left := protocol.left_open()) and not dry_run:
            raise GendataError(
                f"the preset '{protocol.preset}' leaves something to you",
                found="; ".join(left),
                do="give data=…, test=…, filter=… or sources=NAME=KIND:PATH,…, or write a preset "
                f"that extends {protocol.preset}",
            )
    banks = [Bank(protocol, out) for protocol in protocols]
    if not dry_run:
        for bank in banks:
            check_sets(bank)
            check_networks(bank.protocol, len(bank.test().classes))
        for bank in banks:
            bank.draw()
    return banks


def outlined(
    bank: Bank, runs: Sequence[Run], sweep: Sweep, check: Callable[[Any], None] = check_sets
) -> list[Planned]:
    """The plan of a dry run: what is not on this machine leaves its runs without a key.

    Args:
        bank: of a protocol.
        runs: of that protocol.
        sweep: knows which are finished.
        check: opens the sets that are there already.
    """
    if bank.protocol.left_open():
        return [Planned(bank, run, None) for run in runs]
    try:
        check(bank)
        return sweep.plan(bank, runs)
    except GendataError as error:
        click.echo(f"{bank.protocol.name}: {error}", err=True)
        return [Planned(bank, run, None) for run in runs]


def listing(sweep: Sweep, planned: Sequence[Planned], notes: Sequence[str] = ()) -> StudyResult:
    """What a dry run prints: the runs, what is finished, and how long the others may take."""
    outlook = sweep.outlook(planned)
    banks = {id(each.bank): each.bank for each in planned}.values()
    left = [f"left to you: {what}" for bank in banks for what in bank.protocol.left_open()]
    estimate = outlook["estimate_seconds"]
    time = f"about {in_words(estimate)}" if estimate is not None else "of unknown time"
    caption = f"{outlook['left']} of {in_runs(outlook['runs'])} left, {time}."
    if not outlook["left"]:
        caption = f"{in_runs(outlook['runs'])}, all finished."
    rows = [
        (each["key"] or "-", each["run"], "finished" if each["finished"] else "to do")
        for each in outlook["list"]
    ]
    table = Table(("key", "run", "state"), rows, "\n".join([caption, *notes, *left]))
    data = {"dry_run": True, **outlook, "notes": [*notes, *left], "command": sweep.command}
    return StudyResult(data, [table])


def concluded(
    sweep: Sweep,
    protocols: Sequence[Protocol],
    records: Sequence[Mapping[str, Any]],
    folder: str = "",
) -> StudyResult:
    """Writes the tables and the plot of the finished runs, and returns them.

    Args:
        sweep: which has done the runs.
        protocols: of the study.
        records: of all finished runs.
        folder: where in the study's folder the results go; by default named like the study.

    Raises:
        GendataError: some runs failed; the tables of the others are written before.
    """
    from gendata.benchmarks.protocol.plot import plot_results
    from gendata.benchmarks.protocol.result_tables import results_table, write_results

    data = {"records": list(records), "command": sweep.command}
    if not records:
        sweep.stop_if_failed()
        return StudyResult(data, [])
    layout = protocols[0].layout
    repeats = protocols[0].preset.startswith("paper/")
    beside = PAPER_TABLES[layout] if repeats else None
    where = sweep.out / (folder or protocols[0].study)  # two studies may share their runs
    if sweep.writes:
        write_results(records, where, layout=layout, beside=beside)
        plot_results(records, where / "results.png")
        click.echo(f"tables and plot are in {where}", err=True)
    sweep.wait()
    sweep.stop_if_failed()
    return StudyResult(data, [results_table(records, layout=layout, beside=beside)])
