"""What the studies of rendered images do alike, from the keywords to the tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from gendata.benchmarks.command_line import command_line
from gendata.benchmarks.protocol import result_files
from gendata.benchmarks.protocol.presets import load_presets
from gendata.benchmarks.protocol.rendered.arguments import RenderedProtocol, protocol_of, runs_of
from gendata.benchmarks.protocol.rendered.bank import RenderedBank
from gendata.benchmarks.protocol.rendered.cost import cost_of
from gendata.benchmarks.protocol.rendered.curves import plot_curves
from gendata.benchmarks.protocol.study import listing, outlined
from gendata.benchmarks.protocol.sweep import Sweep, all_ranks
from gendata.benchmarks.protocol.workers import check_jobs
from gendata.benchmarks.tables import StudyResult, Table
from gendata.errors import GendataError

__all__ = ["run_study"]

NOT_SETTINGS = ("out", "preset", "jobs", "limit", "dry_run")

Tables = Callable[[Sequence[Mapping[str, Any]], RenderedProtocol], list[Table]]


def run_study(
    study: str,
    function: Callable[..., Any],
    values: Mapping[str, Any],
    tables: Tables,
    axis: str | None = None,
) -> StudyResult:
    """Renders, trains, and writes the tables; a dry run only says what that will cost.

    Args:
        study: its registered name.
        function: its function.
        values: of the function's keywords.
        tables: makes the study's tables of its finished runs.
        axis: what of the runs a picture shows accuracy against, "parameters" or "per_class"; None
            for no picture.

    Raises:
        GendataError: something does not fit, or some runs failed.
    """
    command = command_line(f"bench {study}", function, values)
    given = {name: value for name, value in values.items() if name not in NOT_SETTINGS}
    content, *others = load_presets(values["preset"])
    if others:
        raise GendataError("a study of rendered images takes one preset", found=values["preset"])
    protocol = protocol_of(study, content, given)
    sweep = Sweep(Path(values["out"]), command, jobs=values["jobs"], limit=values["limit"])
    check_jobs(values["jobs"], protocol.device)
    if values["dry_run"]:
        return _outlook(sweep, RenderedBank(protocol, sweep.out))
    if left := protocol.left_open():
        raise GendataError(
            f"the preset '{protocol.preset}' leaves something to you",
            found="; ".join(left),
            do="give sampler=… and test=NAME=REFERENCE",
        )
    with all_ranks([protocol]) as own:
        bank = RenderedBank(own[0], sweep.out)
        bank.check()
        bank.draw(sweep.say)
        records = sweep.do(sweep.plan(bank, runs_of(bank.protocol)))
        return _concluded(sweep, bank.protocol, records, tables, axis)


def _outlook(sweep: Sweep, bank: RenderedBank) -> StudyResult:
    """The dry run: the runs, what they cost, and what is left to the user."""
    planned = outlined(bank, runs_of(bank.protocol), sweep, RenderedBank.check)
    cost = cost_of(bank, planned, sweep.finished())
    result = listing(sweep, planned, cost.notes())
    return StudyResult({**result.data, "cost": cost.to_json()}, result.tables)


def _concluded(
    sweep: Sweep,
    protocol: RenderedProtocol,
    records: Sequence[Mapping[str, Any]],
    tables: Tables,
    axis: str | None,
) -> StudyResult:
    """Writes the tables, and the picture, of the finished runs, and returns them."""
    data = {"records": list(records), "command": sweep.command}
    if not records:
        sweep.stop_if_failed()
        return StudyResult(data, [])
    made = tables(records, protocol)
    if sweep.writes:
        where = sweep.out / protocol.study
        content = {"study": protocol.study, "tables": [each.to_json() for each in made]}
        result_files.write_tables(where, made, records, content)
        if axis is not None:
            plot_curves(records, protocol, axis, where / "results.png")
        click.echo(f"tables are in {where}", err=True)
    sweep.wait()
    sweep.stop_if_failed()
    return StudyResult(data, made)
