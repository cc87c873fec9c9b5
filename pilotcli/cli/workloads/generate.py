"""`pilot workloads generate`."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import Annotated

import typer

from pilotcli.benchmarks.folder import refuse_existing
from pilotcli.benchmarks.generated import Choice, generate_queries, write_file, write_folder
from pilotcli.cli.database import database_config
from pilotcli.cli.options import ConfigOption, SetOption
from pilotcli.cli.workloads.benchmarks import SeedOption
from pilotcli.common.errors import UsageError
from pilotcli.config.kinds import duration_s
from pilotcli.databases.opening import open_target
from pilotcli.reports.files import check_file
from pilotcli.views.console import err, out

_JOINS = re.compile(r"(\d{1,3})(?:\.\.(\d{1,3}))?")


def generate(
    joins: Annotated[
        str,
        typer.Option(
            "--joins",
            metavar="N..M",
            help="How many joins a query has. Default: 2..6.",
            show_default=False,
        ),
    ] = "2..6",
    queries: Annotated[
        int,
        typer.Option(
            "--queries",
            metavar="N",
            min=1,
            help="How many queries. Default: 200.",
            show_default=False,
        ),
    ] = 200,
    seed: SeedOption = 1,
    into: Annotated[
        Path | None,
        typer.Option(
            "--into",
            metavar="DIR",
            help="The folder to write, which must not exist. Default: generated.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="Write one .sql file instead of a folder."
        ),
    ] = None,
    join: Annotated[
        list[str] | None,
        typer.Option(
            "--join",
            metavar="'A.X = B.Y'",
            help="Also join these columns, which no foreign key connects. Can be repeated.",
        ),
    ] = None,
    no_detect: Annotated[
        bool,
        typer.Option("--no-detect", help="Join only along foreign keys and --join."),
    ] = False,
    timeout: Annotated[
        str,
        typer.Option(
            "--timeout",
            metavar="TIME",
            help="Leave out queries that take longer, such as 500ms. Default: 5s.",
            show_default=False,
        ),
    ] = "5s",
    config: ConfigOption = None,
    set_: SetOption = None,
) -> None:
    """Make queries over your database, for training and test.

    They join tables along foreign keys and columns that fit. Predicates come from the columns'
    values, and each query has run once and returned rows.

    \b
    Examples:
      pilot workloads generate && pilot run generated/train
      pilot workloads generate --joins 2..4 --queries 50 --seed 7 -o queries.sql
      pilot workloads generate --join 'orders.email = customers.email' --into by-email
    """
    if into is not None and output is not None:
        raise UsageError("--into and --output exclude each other", hint="Leave one of them out.")
    limit_s = duration_s(timeout)
    if not limit_s:
        raise UsageError(f"--timeout {timeout!r} is no time", hint="Write it as --timeout 5s.")
    place = into or Path("generated")
    if output is not None:
        check_file(output, "--output", ".sql")
    else:
        refuse_existing(place)
    target_config = database_config(config, set_)
    choice = Choice(_range(joins), queries, seed, tuple(join or ()), not no_detect, limit_s)
    with contextlib.closing(open_target(target_config, on_step=err)) as target:
        made = generate_queries(target, choice, err)
    if output is not None:
        train, test = write_file(output, made, choice)
    else:
        train, test = write_folder(place, made, choice)
    out(f"wrote {output or place}: {train} queries for training, {test} for test (seed {seed})")


def _range(text: str) -> tuple[int, int]:
    match = _JOINS.fullmatch(text)
    least, most = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
    if least > most:
        raise UsageError(f"--joins {text!r} is no range", hint="Write it as --joins 2..6.")
    return least, most
