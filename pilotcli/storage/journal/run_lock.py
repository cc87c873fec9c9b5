"""The locks of runs. The process of a run holds `<home>/run-<id>.lock`, beside the run's tail; who
takes over what another process has left, a run or the end of one, holds `<home>/journal.lock`."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

from pilotcli.common.errors import StorageError
from pilotcli.common.liveness import Hold, hold, is_held, remove_unheld

_TAKING_OVER = "journal.lock"
_PATIENCE_S = 30.0
_FILE = re.compile(r"run-([0-9]{1,15})\.")


@contextlib.contextmanager
def taking_over(home: Path) -> Iterator[None]:
    """Be the only process that takes over runs and their ends meanwhile. Raises `StorageError`."""
    lock = hold(home / _TAKING_OVER, _PATIENCE_S)
    if lock is None:
        raise StorageError(
            f"another pilot has been taking over a run in {home} for {_PATIENCE_S:.0f} s",
            hint="Start again when it has ended.",
        )
    try:
        yield
    finally:
        lock.release()


def lock_run(home: Path, run_id: int, owner: str = "another process") -> Hold:
    """Hold the lock of a run. Raises `StorageError`, which names its `owner`, when it is held."""
    lock = hold(_path(home, run_id))
    if lock is None:
        raise StorageError(
            f"run {run_id} is still running ({owner})",
            hint="Wait for it, or end it with Ctrl-C in its terminal.",
        )
    return lock


def highest_number(home: Path) -> int:
    """The highest number of a run of which there are files in `home`, also where the journal does
    not know the run any more; 0 without any."""
    found = (_FILE.match(name) for name in os.listdir(home))  # noqa: PTH208 - only the names
    return max((int(match[1]) for match in found if match is not None), default=0)


def is_alive(home: Path, run_id: int) -> bool:
    """Whether a process runs the run now. Older pilots held no lock: their runs count as ended."""
    return is_held(_path(home, run_id))


def any_alive(home: Path) -> bool:
    """Whether a process runs any run of `home` now."""
    return any(is_held(path) for path in home.glob("run-*.lock"))


def remove_left_locks(home: Path) -> None:
    """Remove the locks of runs, and of processes that took them over, that were killed."""
    remove_unheld([*home.glob("run-*.lock"), *home.glob(_TAKING_OVER)])


def _path(home: Path, run_id: int) -> Path:
    return home / f"run-{run_id}.lock"
