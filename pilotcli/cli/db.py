"""`pilot db start|stop|status|url|psql|undo|reset`."""

from __future__ import annotations

from typing import Annotated

import typer

from pilotcli.cli.asking import YesOption, agreed
from pilotcli.cli.database import database_config
from pilotcli.cli.options import ConfigOption, FormatOption, SetOption
from pilotcli.databases.commands.server import run_psql, server_url, start_and_pin
from pilotcli.databases.commands.undo import (
    forget_changes,
    pending_changes,
    reset_and_forget,
    undo_pending,
)
from pilotcli.databases.embedded.admin import server_statuses, stop_servers
from pilotcli.views.changes import show_changes
from pilotcli.views.console import err, out
from pilotcli.views.servers import show_deleted, show_statuses, show_stopped


def start(config: ConfigOption = None, set_: SetOption = None) -> None:
    """Start the embedded server, keep it running, print its URL.

    It runs until `pilot db stop`. Without this command it runs only while a pilot uses it.

    \b
    Examples:
      pilot db start
      pilot db start -c configs/forum.yaml
    """
    out(start_and_pin(database_config(config, set_), err))


def stop(config: ConfigOption = None, set_: SetOption = None) -> None:
    """Stop the embedded server.

    If other pilots use it, the last of them stops it.

    \b
    Example:
      pilot db stop
    """
    show_stopped(stop_servers(database_config(config, set_).home))


def status(
    config: ConfigOption = None, set_: SetOption = None, format: FormatOption = "table"
) -> None:
    """Show if the embedded server runs, its data folder and users.

    This starts nothing. The exit code is 0 even if the server is stopped; programs can look at
    `running` in `--format json`.

    \b
    Examples:
      pilot db status
      pilot db status --format json
    """
    show_statuses(server_statuses(database_config(config, set_).home), format)


def url(config: ConfigOption = None, set_: SetOption = None) -> None:
    """Print the running server's URL, for psql and other programs.

    \b
    Example:
      pg_dump "$(pilot db url)"
    """
    out(server_url(database_config(config, set_)))


def psql(
    arguments: Annotated[
        list[str] | None,
        typer.Argument(metavar="-- ARGUMENT", help="Passed to psql.", show_default=False),
    ] = None,
    config: ConfigOption = None,
    set_: SetOption = None,
) -> None:
    """Open psql on the embedded server, and start the server if needed.

    What follows `--` goes to psql. The exit code is psql's.

    \b
    Examples:
      pilot db psql
      pilot db psql -- -c 'SELECT version()'
    """
    raise typer.Exit(run_psql(database_config(config, set_), arguments or [], err))


def undo(
    list_: Annotated[bool, typer.Option("--list", help="Only list what is pending.")] = False,
    forget: Annotated[
        list[int] | None,
        typer.Option(
            "--forget",
            metavar="N",
            help="Remove change N from the log and undo nothing. Can be repeated.",
        ),
    ] = None,
    config: ConfigOption = None,
    set_: SetOption = None,
    format: FormatOption = "table",
) -> None:
    """Undo what killed pilots left: knobs, indexes, extensions.

    A run undoes its own changes when it ends. When it starts, it undoes the changes of killed
    pilots. This command does that without a run, on the embedded server or the one of
    `database.dsn`. It leaves the changes of running pilots alone. The exit code is 1 if something
    could not be undone.

    \b
    Examples:
      pilot db undo --list
      pilot db undo -c configs/forum.yaml
      pilot db undo --forget 12
    """
    loaded = database_config(config, set_)
    if forget:
        forget_changes(loaded, forget)
    if forget or list_:
        show_changes(pending_changes(loaded), format)
        return
    outcomes = undo_pending(loaded, err)
    show_changes(outcomes, format)
    if any(change.status == "left" for change in outcomes):
        raise typer.Exit(1)


def reset(
    config: ConfigOption = None,
    set_: SetOption = None,
    yes: YesOption = False,
) -> None:
    """Delete all data of the embedded server, collected data too.

    The journal and the checkpoints stay. pilot refuses while another pilot uses the server. It
    asks first: any answer except yes deletes nothing, and the exit code is 130.

    \b
    Examples:
      pilot db reset
      pilot db reset --yes
    """
    home = database_config(config, set_).home
    if not yes and not agreed(
        f"Delete all databases of the embedded server in {home}, collected data included?"
    ):
        err("Nothing was deleted.")
        raise typer.Exit(130)
    show_deleted(reset_and_forget(home))
