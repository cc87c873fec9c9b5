"""`pilot events list|plan`."""

from __future__ import annotations

from typing import Annotated, Optional

import typer

from pilotcli.cli.options import ConfigOption, EventsOption, FormatOption, ListFormat, SetOption

__all__ = ["app"]

app = typer.Typer(
    help="Show the events of the config, and when they fire.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command("list")
def list_(
    config: ConfigOption = None, set_: SetOption = None, format: FormatOption = ListFormat.table
) -> None:
    """List the events: name, kind, when they fire, model, class.

    \b
    Examples:
      pilot events list -c configs/forum.yaml
      pilot events list --format json
    """
    from pilotcli.checks.dry_run import list_events
    from pilotcli.config import load_config
    from pilotcli.views.driver_lines import driver_lines
    from pilotcli.views.dry_run import show_events

    loaded = load_config(config, set_ or [])
    with driver_lines():
        listed = list_events(loaded)
    show_events(listed, format.value)


@app.command()
def plan(
    workload: Annotated[
        Optional[list[str]],  # noqa: UP045 - typer reads the annotation at run time
        typer.Argument(
            metavar="WORKLOAD...",
            help="As for `pilot run`. Default: the config's `workload:`.",
            show_default=False,
        ),
    ] = None,
    config: ConfigOption = None,
    set_: SetOption = None,
    events: EventsOption = None,
    format: FormatOption = ListFormat.table,
) -> None:
    """Show which event fires after which query. Uses no database.

    \b
    Examples:
      pilot events plan workloads/forum.sql -c configs/forum.yaml
      pilot events plan queries/ --events Update --format json
    """
    from pilotcli.checks.dry_run import examine
    from pilotcli.config import load_config
    from pilotcli.run.request import RunRequest
    from pilotcli.views.driver_lines import driver_lines
    from pilotcli.views.dry_run import show_plan

    names = tuple(events.split(",")) if events is not None else None
    request = RunRequest(load_config(config, set_ or []), tuple(workload or ()), names)
    with driver_lines():
        examined = examine(request)
    show_plan(examined, format.value)
