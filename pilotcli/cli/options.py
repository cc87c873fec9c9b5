"""The options that several commands share."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Literal

import typer

from pilotcli.cli.completion import completed_by

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        metavar="FILE",
        help="The config file. Default: pilot.yaml in the current folder, if it exists.",
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        autocompletion=completed_by("config_keys:config_keys"),
        help="Override a key of the config: --set run.workers=4. Can be repeated.",
    ),
]
EventsOption = Annotated[
    str | None,
    typer.Option(
        "--events",
        metavar="NAMES",
        autocompletion=completed_by("names:events"),
        help="Use only these events of the config. Separate names with commas.",
    ),
]
RunArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="RUN",
        autocompletion=completed_by("runs:runs"),
        help="The run's number or name, or FOLDER:NUMBER in another home. Default: the newest run.",
    ),
]
FullTracebackOption = Annotated[
    bool,
    typer.Option("--full-traceback", help="Also show the frames of other code than yours."),
]
SelectOption = Annotated[
    list[str] | None,
    typer.Option(
        "--select",
        metavar="QUERIES",
        autocompletion=completed_by("labels:labels"),
        help="Only these queries, by label ('hot-*'), number (3,7-12) or file (joins.sql:40). Can "
        "be repeated.",
    ),
]
ExcludeOption = Annotated[
    list[str] | None,
    typer.Option(
        "--exclude",
        metavar="QUERIES",
        autocompletion=completed_by("labels:labels"),
        help="Without these queries, named as for --select. Can be repeated.",
    ),
]
FormatOption = Annotated[
    Literal["table", "json"],
    typer.Option("--format", help="Print a table for people, or JSON for programs."),
]
FailIfOption = Annotated[
    list[str] | None,
    typer.Option(
        "--fail-if",
        metavar="CONDITION",
        help="Exit with code 5 if this holds beyond the noise: 'total.slowdown > 5%', "
        "'any.slowdown > 50%', results.differ. Can be repeated.",
    ),
]
JUnitOption = Annotated[
    Path | None,
    typer.Option(
        "--junit", metavar="FILE", help="Write queries and events as test cases in JUnit XML."
    ),
]
SummaryOption = Annotated[
    Path | None,
    typer.Option(
        "--summary",
        metavar="FILE",
        help="Write a summary in Markdown, for the page of a CI job.",
    ),
]
MLflowOption = Annotated[
    str | None,
    typer.Option(
        "--mlflow",
        metavar="URI",
        help="Log parameters, metrics and checkpoints to this MLflow tracking store.",
    ),
]


def event_names(events: str | None, *, none: bool = False) -> tuple[str, ...] | None:
    """The names in `events`, separated by commas; none of the config's events with `none`, and
    None where the option was not given."""
    if none:
        return ()
    if events is None:
        return None
    return tuple(name.strip() for name in events.split(",") if name.strip())


def change_folder(folder: Path) -> str:
    """The beginning of a command line that goes into `folder` first."""
    name = str(folder)
    return f"cd {shlex.quote(f'./{name}' if name.startswith('-') else name)} && "
