"""`pilot events list|plan`."""

from __future__ import annotations

from typing import Annotated

import typer

from pilotcli.checks.dry_run import examine, list_events
from pilotcli.cli.options import (
    ConfigOption,
    EventsOption,
    FormatOption,
    SetOption,
    event_names,
)
from pilotcli.config import load_config
from pilotcli.run.request import RunRequest
from pilotcli.views.driver_lines import driver_lines
from pilotcli.views.dry_run import show_events, show_plan


def list_(
    config: ConfigOption = None, set_: SetOption = None, format: FormatOption = "table"
) -> None:
    """List the events: name, kind, when they fire, model, class.

    \b
    Examples:
      pilot events list -c configs/forum.yaml
      pilot events list --format json
    """
    loaded = load_config(config, set_)
    with driver_lines():
        listed = list_events(loaded)
    show_events(listed, format)


def plan(
    workload: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="WORKLOAD",
            help="As for `pilot run`. Default: the config's `workload:`.",
            show_default=False,
        ),
    ] = None,
    config: ConfigOption = None,
    set_: SetOption = None,
    events: EventsOption = None,
    format: FormatOption = "table",
) -> None:
    """Show which event fires after which query. Uses no database.

    \b
    Examples:
      pilot events plan workloads/forum.sql -c configs/forum.yaml
      pilot events plan queries/ --events Update --format json
    """
    request = RunRequest(load_config(config, set_), tuple(workload or ()), event_names(events))
    with driver_lines():
        examined = examine(request)
    show_plan(examined, format)
