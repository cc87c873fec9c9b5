"""Whether the process that wrote something is still there."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["is_running", "start_of"]


_ENDED = ("Z", "X")


def start_of(pid: int) -> str:
    """When process `pid` started, in a form that only compares for equality.

    A process number is used again, its start is not: in clock ticks since boot, from
    /proc/PID/stat (proc_pid_stat(5), field 22). Empty where there is no such process or no /proc,
    and for one that has ended and was not fetched by its parent: in containers, that may take long.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    # The second field is the program's name in parentheses, and may itself hold spaces and ")".
    fields = stat.rpartition(")")[2].split()
    return "" if fields[0] in _ENDED else fields[19]


def is_running(pid: int, start: str) -> bool:
    """Whether the process that had `pid` and `start` (from `start_of`) still runs."""
    if start:
        return start_of(pid) == start
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
