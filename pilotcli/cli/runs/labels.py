"""`pilot runs name|tag|note`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from pilotcli.analysis.compare_named import open_journal
from pilotcli.cli.completion import completed_by
from pilotcli.cli.options import ConfigOption, SetOption
from pilotcli.common.labels import RunLabels, checked_labels
from pilotcli.config import load_config
from pilotcli.storage.journal import Journal
from pilotcli.storage.removal import with_others
from pilotcli.views.removed_runs import show_labels

_Run = Annotated[
    str,
    typer.Argument(
        metavar="RUN", autocompletion=completed_by("runs:runs"), help="The run's number or name."
    ),
]


def name(
    run: _Run,
    new: Annotated[
        str | None, typer.Argument(metavar="NAME", help="The name. Default: none.")
    ] = None,
    config: ConfigOption = None,
    set_: SetOption = None,
) -> None:
    """Name a run, or take its name away.

    All arms of a paired run get it.

    \b
    Examples:
      pilot runs name 12 before-vacuum
      pilot runs name before-vacuum
    """
    checked_labels(new, (), None)
    _change(load_config(config, set_).home, run, lambda labels: replace(labels, name=new))


def tag(
    run: _Run,
    tags: Annotated[list[str], typer.Argument(metavar="TAG...", help="The tags.")],
    remove: Annotated[
        bool, typer.Option("--remove", help="Take these tags away, instead of adding them.")
    ] = False,
    config: ConfigOption = None,
    set_: SetOption = None,
) -> None:
    """Add tags to a run, or take them away.

    All arms of a paired run get them.

    \b
    Examples:
      pilot runs tag 12 nightly good
      pilot runs tag 12 good --remove
    """
    checked_labels(None, tags, None)

    def changed(labels: RunLabels) -> RunLabels:
        kept = [old for old in labels.tags if old not in tags]
        return replace(labels, tags=tuple(kept if remove else dict.fromkeys((*labels.tags, *tags))))

    _change(load_config(config, set_).home, run, changed)


def note(
    run: _Run,
    text: Annotated[
        str | None, typer.Argument(metavar="TEXT", help="The note. Default: none.")
    ] = None,
    config: ConfigOption = None,
    set_: SetOption = None,
) -> None:
    """Keep a note about a run, or take it away.

    All arms of a paired run get it.

    \b
    Examples:
      pilot runs note 12 'after ANALYZE'
      pilot runs note 12
    """
    checked_labels(None, (), text)
    _change(load_config(config, set_).home, run, lambda labels: replace(labels, note=text))


def _change(home: Path, run: str, change: Callable[[RunLabels], RunLabels]) -> None:
    """Change the labels of a run and of those that go with it."""
    open_journal(home).close()  # where there is no journal, none is made
    with Journal.open(home) as journal:
        record = journal.named_run(run)
        for other in with_others(journal, [record.run_id]):
            labels = RunLabels(other.name, other.tags, other.note)
            journal.set_labels(other.run_id, change(labels))
        show_labels(journal.run(record.run_id))
