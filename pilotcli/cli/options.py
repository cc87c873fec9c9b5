"""The options that several commands share."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Annotated, Optional

import typer

__all__ = [
    "ConfigOption",
    "EventsOption",
    "FailIf",
    "FormatOption",
    "ListFormat",
    "OutputFormat",
    "SetOption",
]


class OutputFormat(str, enum.Enum):
    """How a run is shown."""

    auto = "auto"
    live = "live"
    plain = "plain"
    jsonl = "jsonl"


class ListFormat(str, enum.Enum):
    """How a list is shown."""

    table = "table"
    json = "json"


ConfigOption = Annotated[
    Optional[Path],  # noqa: UP045 - typer reads the annotation at run time on Python 3.10
    typer.Option(
        "--config",
        "-c",
        metavar="FILE",
        help="The config file. Default: pilot.yaml in the current folder, if it exists.",
        show_default=False,
    ),
]

SetOption = Annotated[
    Optional[list[str]],  # noqa: UP045
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Override a key of the config: --set run.workers=4. Can be repeated.",
        show_default=False,
    ),
]

EventsOption = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(
        "--events",
        metavar="NAMES",
        help="Use only these events of the config. Separate names with commas.",
        show_default=False,
    ),
]

FormatOption = Annotated[
    ListFormat, typer.Option("--format", help="Print a table for people, or JSON for programs.")
]

FailIf = Annotated[
    Optional[list[str]],  # noqa: UP045
    typer.Option(
        "--fail-if",
        metavar="CONDITION",
        help="Exit with code 5 if this holds beyond the noise: 'total.slowdown > 5%', "
        "'any.slowdown > 50%', results.differ. Can be repeated.",
        show_default=False,
    ),
]
