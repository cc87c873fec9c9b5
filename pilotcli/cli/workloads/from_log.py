"""`pilot workloads from-log`."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from pilotcli.cli.workloads.choice_options import (
    AnonymizeOption,
    DistinctOption,
    MinDurationOption,
    OutputOption,
    SelectOnlyOption,
    choice_of,
)
from pilotcli.common.quantities import clock_time, plural
from pilotcli.reports.files import check_file, whole_file, writes_to_stdout, written_name
from pilotcli.views.console import err, out
from pilotcli.views.text import clean
from pilotcli.workload.logs.convert import LogConverter, write_jsonl
from pilotcli.workload.logs.files import find_logs


def from_log(
    file: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE",
            help="Logs, folders with logs, or - for standard input.",
            show_default=False,
        ),
    ],
    output: OutputOption,
    prefix: Annotated[
        str | None,
        typer.Option(
            "--prefix",
            metavar="PREFIX",
            help="The log_line_prefix of a log that is text. Default: guess it.",
        ),
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(
            "--where",
            metavar="CONDITION",
            help="Only statements of this database, user, application or session: "
            "'database = shop', 'user != backup'. Can be repeated; all must hold.",
        ),
    ] = None,
    min_duration: MinDurationOption = None,
    select_only: SelectOnlyOption = False,
    distinct: DistinctOption = False,
    anonymize: AnonymizeOption = False,
    seed: Annotated[
        int,
        typer.Option("--seed", metavar="N", help="What --anonymize chooses the other values by."),
    ] = 1,
    with_failed: Annotated[
        bool, typer.Option("--with-failed", help="Keep statements that failed.")
    ] = False,
) -> None:
    """Write the statements of a PostgreSQL log as a workload.

    It reads csvlog, jsonlog, text with a log_line_prefix, and pg_stat_statements as CSV. The server
    must log statements: by log_statement, or by log_min_duration_statement. docs/workloads.md says
    more.

    \b
    Examples:
      pilot workloads from-log /var/lib/postgresql/log/monday.csv -o workload.jsonl
      pilot workloads from-log logs/ -o workload.jsonl && pilot run workload.jsonl
      pilot workloads from-log logs/ -o slow.jsonl --min-duration 100ms --select-only --distinct
      pilot workloads from-log logs/ -o shop.jsonl --where 'database = shop' --anonymize --seed 7
    """
    choice = choice_of(
        where,
        min_duration,
        seed if anonymize else None,
        select_only=select_only,
        distinct=distinct,
        with_failed=with_failed,
    )
    check_file(output, "--output", ".jsonl", ".ndjson")
    logs = find_logs(file, prefix, None if sys.stdin is None else sys.stdin.buffer)
    for guess in {log.format.prefix: log for log in logs if log.format.guessed}.values():
        err(f"{clean(guess.guess())}; give another one with --prefix")
    for column in {condition.column for condition in choice.where}:
        unknown = [log for log in logs if not log.knows(column)]
        if unknown:
            err(
                f"{clean(unknown[0].source.name)}: no statement has its {column}, which --where "
                f"asks for: log_line_prefix = {clean(repr(unknown[0].format.prefix))}"
            )
    converter = LogConverter(choice)
    with ExitStack() as sources, whole_file(output) as temporary:
        for log in logs:
            sources.callback(log.source.close)
        with temporary.open("wb") as lines:
            write_jsonl(converter.read(logs), lines)
        if not converter.count:
            raise converter.no_statement()
    say = err if writes_to_stdout([output]) else out
    span = clock_time(converter.last_s - (converter.first_s or 0.0))
    say(f"wrote {clean(written_name(output))}: {plural(converter.count, 'statement')} of {span}")
    for note in converter.notes():
        err(clean(note))
