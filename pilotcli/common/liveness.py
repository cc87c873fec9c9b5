"""Tells which processes are alive: each live process holds a lock on its own file.

The lock is that of flock(2). It belongs to the open file, so the system releases it when its
process ends, however it ends: this includes a process in another container that shares the folder,
and a dead process whose parent has not waited for it (a zombie). Process numbers and machine names
say none of this; they are for messages.

The holder's lock is exclusive; others that only look take a shared lock for a moment. A file that
nobody locks means nothing: a killed process has left it, and the next process removes it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import platform
import stat
import time
from collections.abc import Iterable
from pathlib import Path

from pilotcli.common.errors import StorageError
from pilotcli.common.files import naming_link
from pilotcli.common.os_advice import advice

_LOOK_S = 0.001
_WAIT_S = 0.005
_open: set[int] = set()
"""The descriptors of this process's locks; a forked process closes them."""


class Hold:
    """A lock that this process holds until `release`, or until it ends."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor
        self._pid = os.getpid()

    @property
    def is_there(self) -> bool:
        """Whether others can see the lock: its file was not deleted."""
        return _is_at(self._descriptor, self.path)

    def renew(self) -> None:
        """Take the lock again if its file was deleted, unless somebody else was quicker."""
        if self._descriptor < 0 or self.is_there:
            return
        again = hold(self.path)
        if again is not None:
            close_lock(self._descriptor)
            self._descriptor = again._descriptor

    def release(self) -> None:
        """Remove the file and release the lock; safe to call twice, does nothing after a fork."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor < 0 or self._pid != os.getpid():
            return
        with contextlib.suppress(OSError):
            if _is_at(descriptor, self.path):
                self.path.unlink()
        close_lock(descriptor)


def hold(path: Path, patience_s: float = 0.0) -> Hold | None:
    """Lock the file `path`, which is created; None when somebody else holds it, and still does
    after `patience_s` seconds.

    Raises `StorageError` when the file cannot be created or opened.
    """
    give_up_at = time.monotonic() + patience_s
    while True:
        descriptor = _open_to_hold(path)
        try:
            took = _took(descriptor)
            if took and _is_at(descriptor, path):
                return Hold(path, descriptor)
        except BaseException:
            close_lock(descriptor)
            raise
        close_lock(descriptor)
        # One that was locked, but is not there any more, was removed before it was locked.
        if not took:
            if time.monotonic() >= give_up_at:
                return None
            time.sleep(_WAIT_S)


def is_held(path: Path) -> bool:
    """Whether somebody holds the lock `path`; True also if this user cannot find out."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except PermissionError:
        return True
    except OSError:
        return False
    try:
        return not try_lock(descriptor, fcntl.LOCK_SH)
    except StorageError:
        return True
    finally:
        os.close(descriptor)


def remove_unheld(paths: Iterable[Path]) -> None:
    """Remove those of the locks `paths` that nobody holds, where this user may."""
    for path in paths:
        with contextlib.suppress(OSError, StorageError):
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                # Shared: others that want to hold it meanwhile wait, and find the file gone.
                if try_lock(descriptor, fcntl.LOCK_SH) and _is_at(descriptor, path):
                    path.unlink()
            finally:
                os.close(descriptor)


def open_lock(path: Path) -> int:
    """A descriptor to lock `path` with; `close_lock` closes it. The file is created for its owner
    alone, and for the folder's group where that may write there. No symbolic link is followed.

    Programs that are started, and processes that are forked, do not get the descriptor.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags | os.O_EXCL, 0o600)
    except FileExistsError:
        with naming_link(path):
            descriptor = os.open(path, flags, 0o600)
    else:
        _share_with_folder(descriptor, path.parent)
    _open.add(descriptor)
    return descriptor


def close_lock(descriptor: int) -> None:
    """Close a descriptor of `open_lock`, which releases its lock."""
    _open.discard(descriptor)
    os.close(descriptor)


def try_lock(descriptor: int, kind: int) -> bool:
    """Take a lock of `fcntl.LOCK_EX` or `LOCK_SH` kind without waiting; False when it is held.

    Raises `StorageError` on a file system that has no such locks.
    """
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            return False
        raise StorageError(
            f"the file system of {_name_of(descriptor)} has no locks (flock: {error.strerror}), by "
            "which pilots of one folder know each other",
            hint="Name a folder on another file system with `home:` in the config.",
        ) from error
    return True


def this_process() -> tuple[str, int]:
    """The machine's name and this process's number, for messages."""
    return platform.node(), os.getpid()


def _open_to_hold(path: Path) -> int:
    try:
        return open_lock(path)
    except OSError as error:
        raise StorageError(
            f"the lock {path} cannot be taken: {error.strerror}",
            hint=advice(error, "Delete the file if it is not pilot's."),
        ) from error


def _name_of(descriptor: int) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{descriptor}")  # noqa: PTH115 - it is no path there
    except OSError:
        return "the folder"


def _took(descriptor: int) -> bool:
    while not try_lock(descriptor, fcntl.LOCK_EX):
        if not try_lock(descriptor, fcntl.LOCK_SH):
            return False
        fcntl.flock(descriptor, fcntl.LOCK_UN)  # somebody only looks
        time.sleep(_LOOK_S)
    return True


def _is_at(descriptor: int, path: Path) -> bool:
    """Whether the open file is still the one at `path`."""
    try:
        found = path.lstat()
    except OSError:
        return False
    return os.path.samestat(found, os.fstat(descriptor))


def _share_with_folder(descriptor: int, folder: Path) -> None:
    """Give a new file the owner and the group of its folder, as far as this user may."""
    info = folder.stat()
    if os.geteuid() == 0:
        os.fchown(descriptor, info.st_uid, info.st_gid)
    if info.st_mode & stat.S_IWGRP:
        with contextlib.suppress(PermissionError):
            os.fchown(descriptor, -1, info.st_gid)
            os.fchmod(descriptor, 0o660)


def _close_in_child() -> None:
    for descriptor in _open:
        os.close(descriptor)
    _open.clear()


os.register_at_fork(after_in_child=_close_in_child)
