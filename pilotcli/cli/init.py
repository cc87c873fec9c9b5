"""`pilot init`."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer

from pilotcli.cli.options import change_folder
from pilotcli.cli.scaffold import write_scaffold
from pilotcli.views.console import out


def init(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="FOLDER",
            help="Where to write. Created if missing. Default: the current folder.",
            show_default=False,
        ),
    ] = Path(),
) -> None:
    """Write a first project: config, events, schema and queries.

    \b
    Examples:
      pilot init
      pilot init my-project && cd my-project && pilot run
    """
    for path in write_scaffold(folder):
        out(f"wrote {path}")
    enter = "" if folder == Path() else change_folder(folder)
    # As it was called, where a shell would not find it by its name alone.
    pilot = "pilot" if shutil.which("pilot") else str(Path(sys.argv[0]).absolute())
    out(f"\nNext:  {enter}{pilot} run\nThen change events.py, and run it again.")
