"""Which operating-system user the embedded server runs as, and what that user can reach.

PostgreSQL refuses to run as root. For root it runs as the user that owns the data already, or
else as `postgres` where that user exists, or else as `nobody`. For everybody else it runs as the
user who calls pilot.
"""

from __future__ import annotations

import os
import pwd
import stat
from dataclasses import dataclass
from pathlib import Path

from pilotcli.common.errors import UsageError

_FOR_ROOT = ("postgres", "nobody")


@dataclass(frozen=True, slots=True)
class Account:
    """A user of the operating system."""

    name: str
    uid: int
    gid: int

    @property
    def is_other(self) -> bool:
        """Whether it is somebody else than the user of this process."""
        return self.uid != os.geteuid()


def _account(uid: int) -> Account:
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        raise UsageError(
            f"the user with the number {uid} has no name in /etc/passwd, which PostgreSQL needs",
            hint="Add a line for it to /etc/passwd, or use a server by `database.dsn`.",
        ) from None
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def current_user() -> Account:
    """The user of this process."""
    return _account(os.geteuid())


def server_account(data_dir: Path) -> Account:
    """The user that the server of `data_dir` runs as.

    Raises `UsageError` when this process is root and there is no unprivileged user to choose.
    """
    if os.geteuid() != 0:
        return current_user()
    if data_dir.is_dir() and (owner := data_dir.stat().st_uid) != 0:
        return _account(owner)
    for name in _FOR_ROOT:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid != 0:
            return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)
    raise UsageError(
        "PostgreSQL does not run as root, and there is neither a user `postgres` nor `nobody`",
        hint="Run pilot as an ordinary user, or use a server by `database.dsn`.",
    )


def can_use(path: Path, account: Account, bits: int) -> bool:
    """Whether `account` has the permission `bits` (4 read, 2 write, 1 enter) on `path` itself."""
    if not account.is_other:
        return os.access(path, bits)
    info = path.stat()
    if info.st_uid == account.uid:
        shift = 6
    elif info.st_gid == account.gid:
        shift = 3
    else:
        shift = 0
    return (stat.S_IMODE(info.st_mode) >> shift) & bits == bits


def can_walk(path: Path, account: Account) -> bool:
    """Whether `account` may enter the folder `path` and every folder above it."""
    real = path.resolve()
    return all(can_use(folder, account, 1) for folder in (real, *real.parents))
