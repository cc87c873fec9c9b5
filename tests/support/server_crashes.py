"""What the log of a server says about crashes."""

from __future__ import annotations

import re
from pathlib import Path

CRASHED = re.compile(
    r"was terminated by (?:signal|exception)|\bPANIC:|server process .* exited with exit code"
)


def crashes_in(home: Path) -> list[str]:
    """The lines in the log of a home's server that say that one of its processes has crashed, and
    what came before."""
    (log,) = home.glob("pg/*/server.log")
    lines = log.read_text("utf-8", "replace").splitlines()
    found = [at for at, line in enumerate(lines) if CRASHED.search(line)]
    return [line for at in found[:3] for line in lines[max(0, at - 8) : at + 3]]
