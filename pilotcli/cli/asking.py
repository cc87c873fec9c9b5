"""Asks the user before something that cannot be undone, or that costs."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def agreed(question: str) -> bool:
    """Returns whether the user says yes; Ctrl-C, or nobody there to answer, is no."""
    if sys.stdin is None:
        return False
    try:
        return typer.confirm(question, err=True)
    except typer.Abort:
        typer.echo(err=True)  # the question's line has no end
        return False
