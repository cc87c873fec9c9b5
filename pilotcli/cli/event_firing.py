"""`pilot events fire`: a module of its own, since only this command of `events` needs a run."""

from __future__ import annotations

from typing import Annotated

import typer

from pilotcli.analysis.compare_named import open_journal
from pilotcli.cli.completion import completed_by
from pilotcli.cli.options import ConfigOption, FullTracebackOption, SetOption
from pilotcli.cli.run_options import Pdb
from pilotcli.common.debugger import debugging
from pilotcli.common.signals import Bus
from pilotcli.config import load_config
from pilotcli.run.debugging import make_debugger
from pilotcli.run.firing import FiringRequest
from pilotcli.run.firing import fire as fire_event
from pilotcli.views.console import out
from pilotcli.views.firing import CallView, show_fired


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
