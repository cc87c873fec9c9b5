"""`pilot runs list|show`."""

from __future__ import annotations

from typing import Annotated, Optional

import typer

from pilotcli.cli.options import ConfigOption, FormatOption, ListFormat, SetOption

__all__ = ["app"]

app = typer.Typer(help="Look at past runs.", no_args_is_help=True, rich_markup_mode=None)


@app.command("list")
def list_(
    limit: Annotated[
        int, typer.Option("--limit", metavar="N", min=1, help="Only the newest runs.")
    ] = 20,
    config: ConfigOption = None,
    set_: SetOption = None,
    format: FormatOption = ListFormat.table,
) -> None:
    """List runs, newest first.

    \b
    Examples:
      pilot runs list
      pilot runs list --limit 100 --format json
    """
    from pilotcli.config import load_config
    from pilotcli.storage.journal import Journal
    from pilotcli.views.past_runs import show_runs

    home = load_config(config, set_ or []).home
    journal = Journal.open_existing(home)
    if journal is None:
        show_runs([], home, format.value)
        return
    with journal:
        runs = [(run, journal.counts(run.run_id)) for run in journal.runs(limit)]
    show_runs(runs, home, format.value)


@app.command()
def show(
    run: Annotated[
        Optional[int],  # noqa: UP045 - typer reads the annotation at run time on Python 3.10
        typer.Argument(metavar="[RUN]", help="Its number (default: the newest run)."),
    ] = None,
    slowest: Annotated[
        int, typer.Option("--slowest", metavar="N", min=0, help="How many of the slowest queries.")
    ] = 5,
    failed: Annotated[
        bool, typer.Option("--failed", help="The queries that failed, instead of the slowest.")
    ] = False,
    config: ConfigOption = None,
    set_: SetOption = None,
    format: FormatOption = ListFormat.table,
) -> None:
    """Show one run: how it ended, latencies, events, models, and its slowest or failed queries.

    \b
    Examples:
      pilot runs show
      pilot runs show 12 --slowest 20
      pilot runs show 12 --failed --format json
    """
    from pilotcli.config import load_config
    from pilotcli.errors import StorageError
    from pilotcli.storage.journal import Journal
    from pilotcli.views.past_runs import FAILED_SHOWN, FAILURES_SHOWN, RunDetails, show_run

    home = load_config(config, set_ or []).home
    journal = Journal.open_existing(home)
    if journal is None:
        raise StorageError(f"there are no runs in {home} yet", hint="Begin one: pilot run WORKLOAD")
    with journal:
        record = journal.run(run)
        # A table is held in memory as a whole, so that it has the first of many; JSON has all.
        everything = format is ListFormat.json
        details = RunDetails(
            record,
            journal.statistics(record.run_id),
            journal.event_totals(record.run_id, FAILURES_SHOWN),
            journal.firings(record.run_id) if everything else (),
            journal.models(record.run_id),
            tuple(
                journal.results(
                    record.run_id, failed=True, limit=None if everything else FAILED_SHOWN
                )
                if failed
                else journal.slowest(record.run_id, slowest)
            ),
            failed,
            journal.rounds(record.run_id),
        )
        show_run(details, format.value)
