"""`pilot runs list`."""

from __future__ import annotations

import time
from typing import Annotated, Literal

import typer

from pilotcli.cli.options import ConfigOption, FormatOption, SetOption
from pilotcli.cli.runs.moments import since_s
from pilotcli.config import load_config
from pilotcli.storage.journal import Journal, RunFilter
from pilotcli.storage.journal.records import ANY_RUN
from pilotcli.views.run_list import show_runs


def list_(
    limit: Annotated[
        int, typer.Option("--limit", metavar="N", min=1, help="List only the newest N runs.")
    ] = 20,
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="Only runs with this name.")
    ] = None,
    tag: Annotated[
        list[str] | None,
        typer.Option("--tag", metavar="TAG", help="Only runs with this tag. Can be repeated."),
    ] = None,
    status: Annotated[
        Literal["finished", "failed", "interrupted", "killed", "running"] | None,
        typer.Option("--status", help="Only runs that ended in this way, or still run."),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(
            "--since",
            metavar="WHEN",
            help="Only runs that began since then: 12h, 7d, 4w ago, or 2026-01-31.",
        ),
    ] = None,
    workload: Annotated[
        str | None,
        typer.Option("--workload", metavar="TEXT", help="Only runs with this in their workload."),
    ] = None,
    of_config: Annotated[
        str | None,
        typer.Option(
            "--of-config", metavar="TEXT", help="Only runs with this in the path of their config."
        ),
    ] = None,
    config: ConfigOption = None,
    set_: SetOption = None,
    format: FormatOption = "table",
) -> None:
    """List runs, newest first.

    \b
    Examples:
      pilot runs list
      pilot runs list --tag nightly --since 7d
      pilot runs list --status failed --workload forum --limit 100 --format json
    """
    wanted = RunFilter(
        name=name,
        tags=tuple(tag or ()),
        status=status,
        since=None if since is None else since_s(since, "--since", time.time()),
        workload=workload,
        config=of_config,
    )
    home = load_config(config, set_).home
    journal = Journal.open_existing(home)
    if journal is None:
        show_runs([], home, format)
        return
    with journal:
        runs = [(run, journal.counts(run.run_id)) for run in journal.runs(limit, wanted)]
    show_runs(runs, home, format, all_=wanted == ANY_RUN)
