"""The folder in which pilot keeps the server, the journal and the checkpoints (`.pilot`)."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from pilotcli.common.errors import StorageError

_MARK = ".gitignore"
_MARK_TEXT = "# Made by pilot: nothing in here belongs into version control.\n*\n"


def make_home(home: Path) -> Path:
    """Create `home` for its owner alone (mode 0700) unless it exists, and return its real path.

    A new folder gets a `.gitignore`, which also marks it as pilot's own (`is_own_home`).
    Raises `StorageError` when it cannot be created.
    """
    home = Path(home).absolute()
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
            hint="Name another folder with `home:` in the config, or make this one writable.",
        ) from error
    return home.resolve()


def create_private(file: Path) -> None:
    """Create an empty `file` that only its owner can read and write; one that is there stays as
    it is. Raises `OSError`."""
    # Never opened where it exists: to close it would end this process's locks on it.
    with contextlib.suppress(FileExistsError):
        os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))


def shown_path(path: Path) -> str:
    """A path as a user would write it: from the current folder where it is below it."""
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
