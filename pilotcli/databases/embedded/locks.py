"""File locks, which the system releases when their holder ends in whatever way (flock(2))."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

__all__ = ["open_lock", "try_lock"]


def open_lock(path: Path) -> int:
    """A descriptor to lock `path` with, which programs started from here do not inherit."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def try_lock(descriptor: int, kind: int) -> bool:
    """Take a lock of `fcntl.LOCK_EX` or `LOCK_SH` kind without waiting; False when it is held."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            return False
        raise
    return True
