"""`pilot doctor`."""

from __future__ import annotations

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
    """
    found = examine_all(config, set_ or [], build=build, loading=driver_lines)
    checks = show_checks(found, format)
    raise typer.Exit(next((check.exit_code for check in checks if check.exit_code), 0))
