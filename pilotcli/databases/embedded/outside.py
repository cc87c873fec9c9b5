"""A place outside of the project, for root: where the unprivileged server user can go.

The server's user cannot enter a project below a private folder such as /root. Instead of opening
that folder, pilot keeps what the server needs in a folder of its own.
"""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

from pilotcli.databases.embedded.account import Account, can_walk
from pilotcli.errors import StorageError

__all__ = ["outside_folder"]

_BASES = (Path("/var/lib"), Path("/var/tmp"), Path("/tmp"))  # noqa: S108 - checked below
_NAME = "pilot-db"


def outside_folder(account: Account, kind: str) -> Path:
    """A folder of this user's for `kind` of thing, which `account` can enter but not write.

    Raises `StorageError` when there is none to be had.
    """
    for base in _BASES:
        folder = base / _NAME / kind
        with contextlib.suppress(OSError):
            for one in (folder.parent, folder):
                with contextlib.suppress(FileExistsError):
                    one.mkdir(mode=0o700)
                    one.chmod(0o755)
                if not _is_ours(one):
                    break
            else:
                if os.access(folder, os.W_OK) and can_walk(folder, account):
                    return folder
    tried = ", ".join(str(base) for base in _BASES)
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
