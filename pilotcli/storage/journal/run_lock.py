"""The lock that the process of a run holds: `<home>/run-<id>.lock`, beside the run's tail."""

from __future__ import annotations

from pathlib import Path

from pilotcli.common.errors import StorageError
from pilotcli.common.liveness import Hold, hold, is_held, remove_unheld


def lock_run(home: Path, run_id: int, owner: str = "another process") -> Hold:
    """Hold the lock of a run. Raises `StorageError`, which names its `owner`, when it is held."""
    lock = hold(_path(home, run_id))
    if lock is None:
        raise StorageError(
            f"run {run_id} is still running ({owner})",
            hint="Wait for it, or end it with Ctrl-C in its terminal.",
        )
    return lock


def is_alive(home: Path, run_id: int) -> bool:
    """Whether a process runs the run now. Older pilots held no lock: their runs count as ended."""
    return is_held(_path(home, run_id))


def remove_left_locks(home: Path) -> None:
    """Remove the locks of runs that were killed."""
    remove_unheld(home.glob("run-*.lock"))


def _path(home: Path, run_id: int) -> Path:
    return home / f"run-{run_id}.lock"
