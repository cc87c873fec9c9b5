"""`pilot events list|plan|fire`."""

from __future__ import annotations

from typing import Annotated

import typer

from pilotcli.analysis.compare_named import open_journal
from pilotcli.checks.dry_run import examine, list_events
from pilotcli.cli.completion import completed_by
from pilotcli.cli.options import (
    ConfigOption,
    EventsOption,
    FormatOption,
    FullTracebackOption,
    SetOption,
    event_names,
)
from pilotcli.cli.run_options import Pdb
from pilotcli.common.debugger import debugging
from pilotcli.common.signals import Bus
from pilotcli.config import load_config
from pilotcli.run.debugging import make_debugger
from pilotcli.run.firing import FiringRequest
from pilotcli.run.firing import fire as fire_event
from pilotcli.run.request import RunRequest
from pilotcli.views.console import out
from pilotcli.views.driver_lines import driver_lines
from pilotcli.views.dry_run import show_events, show_plan
from pilotcli.views.firing import CallView, show_fired


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


def fire(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            autocompletion=completed_by("names:events"),
            help="The event's name in the config.",
        ),
    ],
    config: ConfigOption = None,
    set_: SetOption = None,
    run: Annotated[
        str | None,
        typer.Option(
            "--run",
            metavar="RUN",
            autocompletion=completed_by("runs:runs"),
            help="Show it only the rows that this run collected.",
        ),
    ] = None,
    collect: Annotated[
        bool, typer.Option("--collect", help="Have a pretraining collect rows anew, then train.")
    ] = False,
    save: Annotated[bool, typer.Option("--save", help="Save the model that it returns.")] = False,
    full_traceback: FullTracebackOption = False,
    pdb: Pdb = False,
) -> None:
    """Call one event on the rows in the store, without a replay.

    Its model is loaded as the config says. The event reads all rows as new ones; rows that it
    saves are taken back. A pretraining only trains, by default. Exit code 3: the event failed.

    \b
    Examples:
      pilot events fire SlowestQuery
      pilot events fire LearnSpeed --run 7
      pilot events fire LearnSpeed --save
    """
    loaded = load_config(config, set_)
    run_id = int(run) if run is not None and run.isdecimal() else None
    if run is not None and run_id is None:
        with open_journal(loaded.home) as journal:
            run_id = journal.named_run(run).run_id
    request = FiringRequest(loaded, name, run_id, collect, save)
    bus = Bus(CallView())
    with debugging(make_debugger(bus, out, post_mortem=pdb)):
        fired = fire_event(request, bus)
    show_fired(fired, save=save, full_traceback=full_traceback, debugged=pdb)
