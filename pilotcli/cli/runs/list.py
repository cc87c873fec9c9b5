"""`pilot runs list`."""

from __future__ import annotations

from typing import Annotated

import typer

from pilotcli.cli.options import ConfigOption, FormatOption, SetOption
from pilotcli.config import load_config
from pilotcli.storage.journal import Journal
from pilotcli.views.run_list import show_runs


def list_(
    limit: Annotated[
        int, typer.Option("--limit", metavar="N", min=1, help="List only the newest N runs.")
    ] = 20,
    config: ConfigOption = None,
    set_: SetOption = None,
    format: FormatOption = "table",
) -> None:
    """List runs, newest first.

    \b
    Examples:
      pilot runs list
      pilot runs list --limit 100 --format json
    """
    home = load_config(config, set_).home
    journal = Journal.open_existing(home)
    if journal is None:
        show_runs([], home, format)
        return
    with journal:
        runs = [(run, journal.counts(run.run_id)) for run in journal.runs(limit)]
    show_runs(runs, home, format)
