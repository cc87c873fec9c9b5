"""`pilot workloads from-log`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pilotcli.common.errors import UsageError
from pilotcli.common.quantities import clock_time, plural
from pilotcli.config.kinds import duration_s
from pilotcli.reports.files import check_file, whole_file, writes_to_stdout
from pilotcli.views.console import err, out
from pilotcli.views.text import clean
from pilotcli.workload.logs.anonymous import Anonymiser
from pilotcli.workload.logs.choice import Choice, parse_condition
from pilotcli.workload.logs.convert import LogConverter, write_jsonl
from pilotcli.workload.logs.files import find_logs


def from_log(
    file: Annotated[
        list[Path],
        typer.Argument(metavar="FILE...", help="Logs, or folders with logs.", show_default=False),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="The .jsonl file to write, or - for standard output.",
        ),
    ],
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
    min_duration: Annotated[
        str | None,
        typer.Option(
            "--min-duration", metavar="TIME", help="Only statements that ran so long: 10ms, 2s."
        ),
    ] = None,
    select_only: Annotated[
        bool, typer.Option("--select-only", help="Only statements that read.")
    ] = False,
    distinct: Annotated[
        bool,
        typer.Option(
            "--distinct",
            help="Only one of the statements that differ in their values alone, with their number "
            "as its weight.",
        ),
    ] = False,
    anonymize: Annotated[
        bool,
        typer.Option("--anonymize", help="Replace values by others of the same kind and length."),
    ] = False,
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
    choice = Choice(
        where=tuple(map(parse_condition, where or ())),
        min_duration_s=None if min_duration is None else _duration_s(min_duration),
        select_only=select_only,
        with_failed=with_failed,
        distinct=distinct,
        rewrite=Anonymiser(seed).replace if anonymize else None,
    )
    check_file(output, "--output", ".jsonl", ".ndjson")
    logs = find_logs(file, prefix)
    for guess in {log.format.prefix: log for log in logs if log.format.guessed}.values():
        err(f"{clean(guess.guess())}; give another one with --prefix")
    converter = LogConverter(choice)
    with whole_file(output) as temporary:
        with temporary.open("wb") as lines:
            write_jsonl(converter.read(logs), lines)
        if not converter.count:
            raise converter.no_statement()
    say = err if writes_to_stdout([output]) else out
    span = clock_time(converter.last_s - (converter.first_s or 0.0))
    say(f"wrote {clean(output)}: {plural(converter.count, 'statement')} of {span}")
    for note in converter.notes():
        err(clean(note))


def _duration_s(text: str) -> float:
    seconds = duration_s(text)
    if seconds is None:
        raise UsageError(
            f"--min-duration {text!r} is no time", hint="Write it as 10ms, 2s, or in seconds."
        )
    return seconds
