"""The folder in which pilot keeps the server, the journal and the checkpoints (`.pilot`)."""

from __future__ import annotations

import os
import re
import shlex
import stat
from pathlib import Path

from pilotcli.common.errors import StorageError
from pilotcli.common.files import open_new, require_regular, user_name
from pilotcli.common.os_advice import advice

LONGEST_HOME_BYTES = 480
"""SQLite takes paths of 512 bytes; its files in the home have names of at most 32."""
_MARK = ".gitignore"
_MARK_TEXT = "# Made by pilot: nothing in here belongs into version control.\n*\n"


def make_home(home: Path) -> Path:
    """Create `home` for its owner alone (mode 0700) unless it exists, and return its real path.

    A new folder gets a `.gitignore`, which also marks it as pilot's own (`is_own_home`).
    Raises `StorageError` when it cannot be created, or is not safe (`require_safe`).
    """
    home = Path(home).absolute()
    _require_usable(home)
    try:
        home.parent.mkdir(parents=True, exist_ok=True)
        try:
            home.mkdir(mode=0o700)
        except FileExistsError:
            if not home.is_dir():
                raise
        else:
            (home / _MARK).write_text(_MARK_TEXT, encoding="utf-8")
    except OSError as error:
        raise StorageError(
            f"the folder {home} cannot be used: {os.strerror(error.errno or 0)}",
            hint=advice(error, "Name another folder with `home:` in the config."),
        ) from error
    require_safe(home)
    return home.resolve()


def _require_usable(home: Path) -> None:
    """Raise `StorageError` if PostgreSQL or SQLite cannot work in a folder of this name, or nothing
    can be made there that its owner could use."""
    hint = "Name another folder with `home:` in the config."
    size = len(os.fsencode(os.path.realpath(home)))
    if re.search(r"[\r\n]", str(home)):
        name = str(home).encode("unicode_escape").decode("ascii")
        text = f"the path {name} has a line break, with which PostgreSQL does not work"
        raise StorageError(text, hint=hint)
    if size > LONGEST_HOME_BYTES:
        text = f"the path of the folder has {size} bytes, more than {LONGEST_HOME_BYTES}: {home}"
        raise StorageError(text, hint=f"SQLite opens no longer one. {hint}")
    umask = os.umask(0o077)
    os.umask(umask)
    if umask & 0o700:
        raise StorageError(
            f"the umask {umask:03o} takes away the rights of the files' owner",
            hint="Set another one: umask 077.",
        )


def require_safe(home: Path) -> None:
    """Raise `StorageError` if the folder `home` belongs to another user, or everybody may write to
    it: what is in it is then not only pilot's, and a link there may lead anywhere.

    Root may work in the home of a user's own project: a folder in a folder of the same user.
    """
    me = os.geteuid()
    try:
        link, folder, above = home.lstat(), home.stat(), home.parent.stat()
    except OSError:
        return  # it is not there, or cannot be seen, which shows later
    if not os.access(home, os.W_OK):
        return  # nothing is written there
    owner = folder.st_uid
    if me == 0 and owner == above.st_uid and not stat.S_ISLNK(link.st_mode):
        owner = me
    # A link of somebody else, but for root, may lead to any folder of this user.
    if owner == me and stat.S_ISLNK(link.st_mode) and link.st_uid != 0:
        owner = link.st_uid
    if owner != me:
        raise StorageError(
            f"the folder {home} belongs to {user_name(owner)}, and you are {user_name(me)}",
            hint="Name a folder of your own with `home:` in the config, or work as its owner.",
        )
    if folder.st_mode & stat.S_IWOTH:
        raise StorageError(
            f"everybody may write to the folder {home}, and so put files and links into it",
            hint=f"Take that right away (chmod o-w {shlex.quote(str(home))}), or name another "
            "folder with `home:` in the config.",
        )


def create_private(file: Path) -> None:
    """Create an empty `file` that only its owner can read and write; one that is there stays as
    it is. Raises `OSError`, also when a link or anything else is there that is no regular file."""
    # Never opened where it exists: to close it would end this process's locks on it.
    try:
        os.close(open_new(file))
    except FileExistsError:
        require_regular(file)


def shown_path(path: Path) -> str:
    """A path as a user would write it: from the current folder where it is below it, and without
    `..` where that is the same file."""
    try:
        plain = Path(os.path.normpath(path))
        path = plain if plain.samefile(path) else path
    except OSError:
        pass  # no file, but for instance a pattern
    try:
        return str(path.relative_to(Path.cwd()))
    except (ValueError, OSError):
        return str(path)


def is_own_home(home: Path) -> bool:
    """Whether pilot created the folder, so that its permissions are pilot's to set."""
    try:
        return (home / _MARK).read_text(encoding="utf-8") == _MARK_TEXT
    except (OSError, UnicodeDecodeError):
        return False
