"""`python -m pilotcli.compat script.py args`: runs a script that was written for PilotScope."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from typing import NoReturn

from pilotcli.compat import install, which


def main() -> None:
    """Run the script of the command line as its own program."""
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        _refuse("usage: python -m pilotcli.compat script.py [arguments]")
    script = sys.argv[1]
    if not Path(script).is_file():
        _refuse(f"error: there is no file {script}")
    install()
    if which() == "installed":
        print("pilotscope: the installed one", file=sys.stderr)  # noqa: T201
    sys.argv = sys.argv[1:]
    sys.path[0] = str(Path(script).absolute().parent)
    runpy.run_path(script, run_name="__main__")


def _refuse(message: str) -> NoReturn:
    print(message, file=sys.stderr)  # noqa: T201
    sys.exit(2)


if __name__ == "__main__":
    main()
