"""`pilot runs rm|prune`."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from pilotcli.analysis.compare_named import open_journal
from pilotcli.cli.asking import YesOption, agreed
from pilotcli.cli.completion import completed_by
from pilotcli.cli.options import ConfigOption, SetOption
from pilotcli.cli.runs.moments import age_s
from pilotcli.common.errors import UsageError
from pilotcli.common.quantities import plural
from pilotcli.config import load_config
from pilotcli.storage.removal import outdated, refuse_needed, remove, with_others
from pilotcli.views.console import err, out
from pilotcli.views.removed_runs import question, show_kept, show_removed, show_to_remove


def rm(
    runs: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN...",
            autocompletion=completed_by("runs:runs"),
            help="Numbers or names of runs.",
        ),
    ],
    yes: YesOption = False,
    config: ConfigOption = None,
    set_: SetOption = None,
) -> None:
    """Remove runs from the journal.

    The other arms of a paired run, and the other folds of an experiment, go along. Checkpoints
    stay, and so do the rows that the runs collected in the store. The number of a removed run is
    not used again. A run that still runs is refused.

    \b
    Examples:
      pilot runs rm 12
      pilot runs rm 3 4 first-try --yes
    """
    home = load_config(config, set_).home
    with open_journal(home) as journal:
        named = {journal.named_run(run).run_id for run in runs}
        chosen = with_others(journal, named)
        refuse_needed(home, chosen)
        show_to_remove(chosen, named)
    if not yes and not agreed(question(chosen)):
        err("Nothing was removed.")
        raise typer.Exit(130)
    show_removed(chosen, remove(home, chosen))


def prune(
    keep: Annotated[
        int | None, typer.Option("--keep", metavar="N", min=0, help="Keep the newest N runs.")
    ] = None,
    older: Annotated[
        str | None,
        typer.Option(
            "--older", metavar="AGE", help="Remove only runs that are older: 12h, 30d, 8w."
        ),
    ] = None,
    all_: Annotated[
        bool, typer.Option("--all", help="Also remove runs with a name, tags or a note.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only list what would be removed.")
    ] = False,
    yes: YesOption = False,
    config: ConfigOption = None,
    set_: SetOption = None,
) -> None:
    """Remove old runs from the journal.

    A paired run, and an experiment of several folds, count as one run. What stays is the same as in
    `pilot runs rm`.

    \b
    Examples:
      pilot runs prune --keep 20 --older 30d --dry-run
      pilot runs prune --keep 100 --yes
    """
    if keep is None and older is None:
        raise UsageError(
            "say which runs stay", hint="pilot runs prune --keep 20, or --older 30d, or both"
        )
    before = None if older is None else time.time() - age_s(older, "--older")
    home = load_config(config, set_).home
    with open_journal(home) as journal:
        found = outdated(journal, home, keep=keep or 0, before=before, labelled=all_)
    if dry_run and found.runs:
        out(f"{plural(len(found.runs), 'run')} would be removed:")
    show_to_remove(found.runs)
    show_kept(found)
    if dry_run or not found.runs:
        return
    if not yes and not agreed(question(found.runs)):
        err("Nothing was removed.")
        raise typer.Exit(130)
    show_removed(found.runs, remove(home, found.runs))
