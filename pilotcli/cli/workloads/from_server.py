"""`pilot workloads from-server`."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import Annotated

import typer

from pilotcli.benchmarks.filling import LIMIT_S, Filler
from pilotcli.cli.database import database_config
from pilotcli.cli.options import ConfigOption, SetOption
from pilotcli.cli.workloads.choice_options import (
    AnonymizeOption,
    DistinctOption,
    MinDurationOption,
    OutputOption,
    SelectOnlyOption,
    choice_of,
)
from pilotcli.common.errors import UsageError, WorkloadError
from pilotcli.common.quantities import plural
from pilotcli.databases.opening import open_target
from pilotcli.databases.stat_statements import read_stat_statements
from pilotcli.reports.files import check_file, whole_file, writes_to_stdout, written_name
from pilotcli.views.console import err, out
from pilotcli.views.text import clean
from pilotcli.workload.logs.convert import LogConverter, write_jsonl
from pilotcli.workload.logs.stat_statements import COLUMNS, VIEW, statements_of
from pilotcli.workload.logs.statements import LoggedStatement


def from_server(
    output: OutputOption,
    where: Annotated[
        list[str] | None,
        typer.Option(
            "--where",
            metavar="CONDITION",
            help="Only statements of this database or user: 'database = shop', 'user != backup'. "
            "Can be repeated; all must hold.",
        ),
    ] = None,
    min_duration: MinDurationOption = None,
    select_only: SelectOnlyOption = False,
    distinct: DistinctOption = False,
    anonymize: AnonymizeOption = False,
    fill: Annotated[
        bool,
        typer.Option(
            "--fill",
            help="Make up the values of queries with $1, from the rows of the tables, so that they "
            "return rows.",
        ),
    ] = False,
    seed: Annotated[
        int,
        typer.Option("--seed", metavar="N", help="What --fill and --anonymize choose values by."),
    ] = 1,
    config: ConfigOption = None,
    set_: SetOption = None,
) -> None:
    """Write what pg_stat_statements counted, as a workload.

    Those that took most time come first. The server must have the extension pg_stat_statements,
    which keeps no values: statements that need some are left out, or get made-up ones with --fill.
    docs/workloads.md says more.

    \b
    Examples:
      pilot workloads from-server -o workload.jsonl && pilot run workload.jsonl
      pilot workloads from-server -o slow.jsonl --min-duration 100ms --select-only --distinct
      pilot workloads from-server -o filled.jsonl --select-only --fill --seed 7
      pilot workloads from-server -o shop.jsonl --where 'database = shop' --where 'user != backup'
    """
    choice = choice_of(
        where,
        min_duration,
        seed if anonymize else None,
        select_only=select_only,
        distinct=distinct,
    )
    for condition in choice.where:
        if condition.column not in COLUMNS:
            raise UsageError(
                f"--where: {VIEW} has no {condition.column}",
                hint=f"The columns are {' and '.join(COLUMNS)}.",
            )
    check_file(output, "--output", ".jsonl", ".ndjson")
    target_config = database_config(config, set_)
    with (
        contextlib.closing(open_target(target_config, on_step=err)) as target,
        contextlib.closing(target.session()) as session,
        contextlib.closing(target.session(timeout_s=LIMIT_S)) as sampling,
    ):
        rows = read_stat_statements(session)
        if fill:
            err(f"looking for values in the tables, at most {LIMIT_S:g} s per SELECT")
            choice = replace(choice, fill=Filler(sampling, seed).fill)
        converter = LogConverter(choice)
        found = list(converter.convert(statements_of(rows, VIEW, converter.left_out)))
    if not found:
        raise _no_statement(converter)
    found.sort(key=_total_s, reverse=True)  # --distinct has put some together
    with whole_file(output) as temporary, temporary.open("wb") as lines:
        write_jsonl(found, lines)
    say = err if writes_to_stdout([output]) else out
    total_s = sum(row.total_s for row in rows if VIEW not in row.sql)  # without pilot's own
    share = sum(map(_total_s, found)) / (total_s or 1.0)
    say(
        f"wrote {clean(written_name(output))}: {plural(len(found), 'statement')}, which took "
        f"{share:.0%} of the time in {VIEW}"
    )
    made_up = sum(statement.values == "sampled" for statement in found)
    if made_up:
        err(f"made up: the values of {plural(made_up, 'statement')}, from rows of the tables")
    for note in converter.notes():
        err(clean(note))


def _total_s(statement: LoggedStatement) -> float:
    return (statement.weight or 0) * (statement.duration_s or 0.0)


def _no_statement(converter: LogConverter) -> WorkloadError:
    hint = "\n".join(converter.notes()) or "Let applications send some, and try again."
    return WorkloadError(f"{VIEW} holds no statement that is wanted", hint=hint)
