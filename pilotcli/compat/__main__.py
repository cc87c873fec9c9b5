"""`python -m pilotcli.compat script.py args`: runs a script that was written for PilotScope."""

from __future__ import annotations

import runpy
import sys
from functools import partial
from pathlib import Path
from typing import NoReturn

from pilotcli.compat import install

_OURS, _INSTALLED = "--ours", "--installed"
_USAGE = f"""usage: python -m pilotcli.compat [{_OURS} | {_INSTALLED}] script.py [arguments]

  {_OURS}       `pilotscope` is pilot's own (the default)
  {_INSTALLED}  `pilotscope` is PilotScope itself: the installed one, or a checkout on sys.path"""


def main() -> None:
    """Run the script of the command line as its own program."""
    words = sys.argv[1:]
    takes_ours = words[:1] != [_INSTALLED]
    if words[:1] in ([_OURS], [_INSTALLED]):
        words = words[1:]
    if not words or words[0].startswith("-"):
        _refuse(_USAGE)
    script = words[0]
    if not Path(script).is_file():
        _refuse(f"error: there is no file {script}")
    install(before_installed=takes_ours, report=partial(_say_which, takes_ours))
    sys.argv = words
    sys.path[0] = str(Path(script).absolute().parent)
    runpy.run_path(script, run_name="__main__")


def _say_which(wants_ours: bool, takes_ours: bool, installed: Path | None) -> None:
    """Say at the import which of the two it is: the script may have changed sys.path before."""
    if not takes_ours:
        text = f"pilotscope: the one in {installed} ({_OURS} takes pilot's own)"
    elif installed is not None:
        text = f"pilotscope: pilot's own ({_INSTALLED} takes the one in {installed})"
    elif not wants_ours:
        text = "pilotscope: pilot's own, since no other one is found"
    else:
        text = "pilotscope: pilot's own"
    print(text, file=sys.stderr)  # noqa: T201


def _refuse(message: str) -> NoReturn:
    print(message, file=sys.stderr)  # noqa: T201
    sys.exit(2)


if __name__ == "__main__":
    main()
