"""`pilot db start|stop|status|url|psql|undo|reset`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from pilotcli.cli.options import ConfigOption, FormatOption, ListFormat, SetOption

if TYPE_CHECKING:
    from pilotcli.config import PostgreSQLConfig

__all__ = ["app"]

app = typer.Typer(
    help="Manage the embedded PostgreSQL.", no_args_is_help=True, rich_markup_mode=None
)


def _loaded(config: Path | None, overrides: list[str] | None) -> PostgreSQLConfig:
    from pilotcli.config import PostgreSQLConfig, choose_embedded, load_config

    loaded = load_config(config, overrides or [])
    embedded = choose_embedded(loaded.database, os.environ)
    return PostgreSQLConfig.from_run_config(loaded, embedded=embedded)


@app.command()
def start(config: ConfigOption = None, set_: SetOption = None) -> None:
    """Start the embedded server, keep it running, print its URL.

    It runs until `pilot db stop`. Without this command it runs only while a pilot uses it.

    \b
    Examples:
      pilot db start
      pilot db start -c configs/forum.yaml
    """
    from pilotcli.databases.commands.server import start_and_pin
    from pilotcli.views.console import err, out

    out(start_and_pin(_loaded(config, set_), err))


@app.command()
def stop(config: ConfigOption = None, set_: SetOption = None) -> None:
    """Stop the embedded server.

    If other pilots use it, the last of them stops it.

    \b
    Example:
      pilot db stop
    """
    from pilotcli.databases.embedded import stop_servers
    from pilotcli.views.servers import show_stopped

    show_stopped(stop_servers(_loaded(config, set_).home))


@app.command()
def status(
    config: ConfigOption = None, set_: SetOption = None, format: FormatOption = ListFormat.table
) -> None:
    """Show if the embedded server runs, its data folder and users.

    This starts nothing. The exit code is 0 even if the server is stopped; programs can look at
    `running` in `--format json`.

    \b
    Examples:
      pilot db status
      pilot db status --format json
    """
    from pilotcli.databases.embedded import server_statuses
    from pilotcli.views.servers import show_statuses

    show_statuses(server_statuses(_loaded(config, set_).home), format.value)


@app.command()
def url(config: ConfigOption = None, set_: SetOption = None) -> None:
    """Print the running server's URL, for psql and other programs.

    \b
    Example:
      pg_dump "$(pilot db url)"
    """
    from pilotcli.databases.commands.server import server_url
    from pilotcli.views.console import out

    out(server_url(_loaded(config, set_)))


@app.command()
def psql(
    arguments: Annotated[
        Optional[list[str]],  # noqa: UP045 - typer reads the annotation at run time
        typer.Argument(metavar="[-- ARGUMENT...]", help="Passed to psql.", show_default=False),
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
    from pilotcli.databases.commands.server import run_psql
    from pilotcli.views.console import err

    raise typer.Exit(run_psql(_loaded(config, set_), arguments or [], err))


@app.command()
def undo(
    list_: Annotated[bool, typer.Option("--list", help="Only list what is pending.")] = False,
    forget: Annotated[
        Optional[list[int]],  # noqa: UP045
        typer.Option(
            "--forget",
            metavar="N",
            help="Remove change N from the log and undo nothing. Can be repeated.",
            show_default=False,
        ),
    ] = None,
    config: ConfigOption = None,
    set_: SetOption = None,
    format: FormatOption = ListFormat.table,
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
    from pilotcli.databases.commands.undo import forget_changes, pending_changes, undo_pending
    from pilotcli.views.changes import show_changes
    from pilotcli.views.console import err

    loaded = _loaded(config, set_)
    if forget:
        forget_changes(loaded, forget)
    if forget or list_:
        show_changes(pending_changes(loaded), format.value)
        return
    outcomes = undo_pending(loaded, err)
    show_changes(outcomes, format.value)
    if any(one.status == "left" for one in outcomes):
        raise typer.Exit(1)


@app.command()
def reset(
    config: ConfigOption = None,
    set_: SetOption = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Delete all data of the embedded server, collected data too.

    The journal and the checkpoints stay. pilot refuses while another pilot uses the server. It
    asks first: any answer except yes deletes nothing, and the exit code is 130.

    \b
    Examples:
      pilot db reset
      pilot db reset --yes
    """
    from pilotcli.databases.commands.undo import reset_and_forget
    from pilotcli.views.console import err
    from pilotcli.views.servers import show_deleted

    home = _loaded(config, set_).home
    if not yes and not _agreed(
        f"Delete all databases of the embedded server in {home}, collected data included?"
    ):
        err("Nothing was deleted.")
        raise typer.Exit(130)
    show_deleted(reset_and_forget(home))


def _agreed(question: str) -> bool:
    try:
        return typer.confirm(question)
    except typer.Abort:  # Ctrl-C, or nobody there to answer
        return False
