"""`pilot handlers try`: a module of its own, since only this command of `handlers` needs a run."""

from __future__ import annotations

from typing import Annotated

import typer

from pilotcli.cli.completion import completed_by
from pilotcli.cli.options import ConfigOption, FullTracebackOption, SetOption
from pilotcli.cli.run_options import Pdb
from pilotcli.common.debugger import debugging
from pilotcli.common.signals import Bus
from pilotcli.config import load_config
from pilotcli.run.debugging import make_debugger
from pilotcli.run.trying import TryRequest, try_handler
from pilotcli.views.console import out
from pilotcli.views.firing import CallView
from pilotcli.views.trying import show_tried


def try_(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            autocompletion=completed_by("names:handlers"),
            help="The handler's name in the config.",
        ),
    ],
    query: Annotated[
        str | None,
        typer.Option(
            "--query",
            metavar="QUERY",
            autocompletion=completed_by("labels:labels"),
            help="The query's number in the workload, or its label. Default: the first.",
            show_default=False,
        ),
    ] = None,
    sql: Annotated[
        str | None, typer.Option("--sql", metavar="SQL", help="The query itself, as SQL.")
    ] = None,
    workload: Annotated[
        list[str] | None,
        typer.Option(
            "--workload",
            metavar="FILE",
            help="The workload that has the query, instead of the config's. Can be repeated.",
        ),
    ] = None,
    analyze: Annotated[
        bool,
        typer.Option(
            "--analyze",
            help="Also run the query: once to fill the caches, then natively, then steered.",
        ),
    ] = False,
    config: ConfigOption = None,
    set_: SetOption = None,
    full_traceback: FullTracebackOption = False,
    pdb: Pdb = False,
) -> None:
    """Show what a handler does to one query: its pushes, and both plans.

    Says what the server takes, and what not and why. The query is only planned; --analyze runs
    it. What a handler changes for a whole workload is undone. Exit codes: 1: the query failed.
    2: the server cannot do it. 3: the handler failed, or the server refuses what it pushes.

    \b
    Examples:
      pilot handlers try CorrectedCardinalities -c configs/forum-cards.yaml --query 17
      pilot handlers try Hints --query best_countries --analyze
      pilot handlers try Hints --sql 'SELECT count(*) FROM orders'
    """
    request = TryRequest(
        load_config(config, set_), name, query, sql, tuple(workload or ()), analyze
    )
    bus = Bus(CallView())
    with debugging(make_debugger(bus, out, post_mortem=pdb)):
        tried = try_handler(request, bus)
    show_tried(tried, name, full_traceback=full_traceback, debugged=pdb)
