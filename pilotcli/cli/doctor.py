"""`pilot doctor`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pilotcli.checks.doctor import examine_all
from pilotcli.cli.options import ConfigOption, FormatOption, SetOption
from pilotcli.views.doctor import show_checks
from pilotcli.views.driver_lines import driver_lines


def doctor(
    config: ConfigOption = None,
    set_: SetOption = None,
    build: Annotated[
        bool, typer.Option("--build", help="Build the planner module for the database's server.")
    ] = False,
    pg_config: Annotated[
        Path | None,
        typer.Option(
            "--pg-config",
            metavar="PATH",
            help="Build the planner module with this pg_config. Default: that of an installation "
            "of the server's version, which has its headers.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FILE",
            help="Build the planner module into this file, for another machine. With --pg-config, "
            "it is built for that version, and the database is not asked.",
        ),
    ] = None,
    format: FormatOption = "table",
) -> None:
    """Check machine, config, database and store; say what to fix.

    The list at the end shows what this database can do for a driver: `full`, `coarse` (less
    precise, or more work for the server), or `missing`. It also shows how pilot does it. The exit
    code is that of the first problem, or 0.

    \b
    Examples:
      pilot doctor
      pilot doctor -c configs/forum.yaml --format json
      pilot doctor --set database.dsn=postgresql://localhost/shop --build
      pilot doctor --build --pg-config /usr/lib/postgresql/17/bin/pg_config --out pilot_planner.so
    """
    found = examine_all(
        config, set_ or [], build=build, pg_config=pg_config, out=out, loading=driver_lines
    )
    checks = show_checks(found, format)
    raise typer.Exit(next((check.exit_code for check in checks if check.exit_code), 0))
