"""Makes folders outside the project, for root: the unprivileged server user can enter them.

The server's user cannot enter a project below a private folder such as /root. Instead of opening
that folder, pilot keeps the server's files in a folder of its own: below /var/lib, or, for a
project in the temporary folder, in the temporary folder too.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shutil
import stat
import tempfile
from pathlib import Path

from pilotcli.common.errors import StorageError
from pilotcli.common.liveness import close_lock, open_lock, try_lock
from pilotcli.databases.embedded.os_user import Account, can_walk

_LASTING = (Path("/var/lib"), Path("/var/tmp"))  # noqa: S108 - what is found there is checked
_NAME = "pilot-db"
_ORIGIN = "origin"


def outside_folder(account: Account, kind: str, bases: tuple[Path, ...] | None = None) -> Path:
    """A folder of this user for things of this `kind`; `account` can enter but not write it.

    Raises `StorageError` when no such folder can be made.
    """
    bases = _LASTING if bases is None else bases
    for base in bases:
        folder = base / _NAME / kind
        with contextlib.suppress(OSError):
            for part in (folder.parent, folder):
                with contextlib.suppress(FileExistsError):
                    part.mkdir(mode=0o700)
                    part.chmod(0o755)
                if not _is_ours(part):
                    break
            else:
                if os.access(folder, os.W_OK) and can_walk(folder, account):
                    return folder
    tried = ", ".join(str(base) for base in bases)
    raise StorageError(
        f"the server's user `{account.name}` cannot reach the project's folder, and no other "
        f"place for its files could be made (tried in {tried})",
        hint=f"Name a folder that `{account.name}` can reach with `home:` in the config.",
    )


def _is_ours(folder: Path) -> bool:
    """Whether it is a folder that this user owns and nobody else can write."""
    info = folder.lstat()
    return (
        stat.S_ISDIR(info.st_mode)
        and info.st_uid == os.geteuid()
        and not info.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    )


def link_outside(link: Path, account: Account) -> None:
    """Make `link` a symbolic link to a new folder that `account` can reach.

    In the temporary folder, folders of deleted projects are removed first.
    """
    temporary = Path(tempfile.gettempdir()).resolve()
    is_temporary = link.parent.resolve().is_relative_to(temporary)
    bases = (temporary, *_LASTING) if is_temporary else _LASTING
    folder = outside_folder(account, "clusters", bases)
    lock = open_lock(folder / "lock")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if is_temporary:
            for left in folder.iterdir():
                if left.is_dir():
                    _delete_orphan(left)
        if link.is_symlink() and not link.exists():
            link.unlink()
        new = folder / secrets.token_hex(8)
        new.mkdir(mode=0o700)
        (new / _ORIGIN).write_bytes(os.fsencode(link) + b"\n")
        try:
            link.symlink_to(new)
        except FileExistsError:  # another pilot was quicker
            shutil.rmtree(new)
    finally:
        close_lock(lock)


def _delete_orphan(folder: Path) -> None:
    """Delete `folder` if the project that it was made for is gone and nobody uses it."""
    with contextlib.suppress(OSError):
        origin = Path(os.fsdecode((folder / _ORIGIN).read_bytes().removesuffix(b"\n")))
        if origin.resolve() == folder:
            return
        users = open_lock(folder / "users.lock")
        try:
            if try_lock(users, fcntl.LOCK_EX):
                shutil.rmtree(folder)
        finally:
            close_lock(users)
