"""Opens files without following symbolic links, and makes new ones that nobody else has made.

Somebody who can write into a folder can put a link there to a file of another user. Whoever follows
the link writes, or reads, that file; root does so with any file of the machine.
"""

from __future__ import annotations

import contextlib
import errno
import os
import pwd
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path

from pilotcli.common.errors import StorageError
from pilotcli.common.os_advice import IS_LINK, IS_NO_FILE

_ALWAYS = os.O_NOFOLLOW | os.O_CLOEXEC


def open_new(path: Path) -> int:
    """Returns a descriptor to read and write the new file `path`, which only its owner can read.
    Raises `OSError`, also when there is anything of that name."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | _ALWAYS, 0o600)


def open_over(path: Path) -> int:
    """The same; what is there is removed before: a link itself, not its target."""
    path.unlink(missing_ok=True)
    return open_new(path)


def open_there(path: Path, flags: int = os.O_RDONLY) -> int:
    """Returns a descriptor of the regular file `path`. Raises `OSError`, for a link or any other
    kind of file too."""
    with naming_link(path):
        # Not blocking: to open a pipe would wait for its other end.
        descriptor = os.open(path, flags | os.O_NONBLOCK | _ALWAYS, 0o600)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, IS_NO_FILE, str(path))
    return descriptor


def require_regular(file: Path) -> None:
    """Raise `OSError` unless `file` is a regular file itself, and no link to one."""
    mode = file.lstat().st_mode
    if stat.S_ISLNK(mode):
        raise OSError(errno.ELOOP, IS_LINK, str(file))
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, IS_NO_FILE, str(file))


@contextlib.contextmanager
def naming_link(path: Path) -> Iterator[None]:
    """Say so where `path` is not opened because it is a link; the system speaks of a circle."""
    try:
        yield
    except OSError as error:
        if error.errno == errno.ELOOP and path.is_symlink():
            raise OSError(errno.ELOOP, IS_LINK, str(path)) from error
        raise


def open_log(path: Path) -> int:
    """Returns a descriptor to append to the file `path`, which is made where it is missing."""
    return open_there(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)


def replace_text(
    path: Path, text: str, *, mode: int = 0o600, owner: tuple[int, int] | None = None
) -> None:
    """Put a new file with that text, mode and owner (user, group; by default this process's) in the
    place of `path`, in one step and through to the disk. Raises `OSError`."""
    new = path.with_name(f"{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        descriptor = open_new(new)
        with open(  # noqa: PTH123 - of a descriptor
            descriptor, "w", encoding="utf-8", errors="surrogateescape", newline=""
        ) as file:
            file.write(text)
            file.flush()
            os.fchmod(descriptor, mode)
            if owner is not None and owner != (os.geteuid(), os.getegid()):
                os.fchown(descriptor, *owner)
            os.fsync(descriptor)
        new.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            new.unlink()
        raise


def open_folder(path: Path) -> int:
    """Returns a descriptor of the folder `path`, an absolute path of which no part may be a link.
    Raises `OSError`.

    Others may own folders on the way: whatever they put there meanwhile, no link is followed.
    """
    beside = getattr(os, "O_PATH", os.O_RDONLY)  # needs no right to read
    descriptor = os.open(path.anchor, os.O_RDONLY | os.O_DIRECTORY | _ALWAYS)
    for number, part in enumerate(path.parts[1:], start=2):
        kind = os.O_RDONLY if number == len(path.parts) else beside
        above = descriptor
        try:
            descriptor = os.open(part, kind | os.O_DIRECTORY | _ALWAYS, dir_fd=above)
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENOTDIR):
                raise OSError(
                    error.errno, "it is no folder but a link or a file", str(path)
                ) from error
            raise
        finally:
            os.close(above)
    return descriptor


def require_own_link(path: Path) -> None:
    """Raise `StorageError` if `path` is a symbolic link of another user."""
    try:
        info = path.lstat()
    except OSError:
        return
    if stat.S_ISLNK(info.st_mode) and info.st_uid not in (0, os.geteuid()):
        raise StorageError(
            f"{path} is a link of {user_name(info.st_uid)}, and you are {user_name(os.geteuid())}",
            hint="Delete the link, or work as that user.",
        )


def user_name(user: int) -> str:
    """The user with this number, in words."""
    try:
        return f"the user {pwd.getpwuid(user).pw_name}"
    except KeyError:
        return f"the user with the number {user}"


def size_on_disk(folder: Path) -> int:
    """The bytes that the files below `folder` take on the disk; those that go meanwhile count 0."""
    total = 0
    for path, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(path, name)).st_blocks * 512  # noqa: PTH118
    return total
