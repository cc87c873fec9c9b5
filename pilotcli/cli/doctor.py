"""`pilot doctor`."""

from __future__ import annotations

import typer

from pilotcli.cli.options import ConfigOption, FormatOption, ListFormat, SetOption

__all__ = ["doctor"]


def doctor(
    config: ConfigOption = None, set_: SetOption = None, format: FormatOption = ListFormat.table
) -> None:
    """Check the machine, the config, the database and the store, and say what to do.

    The exit code is that of the first problem, 0 when there is none.

    \b
    Examples:
      pilot doctor
      pilot doctor -c configs/forum.yaml --format json
    """
    from pilotcli.doctor import examine_all
    from pilotcli.views.plans import show_checks

    checks = show_checks(examine_all(config, set_ or []), format.value)
    raise typer.Exit(next((check.exit_code for check in checks if check.exit_code), 0))
