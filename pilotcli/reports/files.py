"""Files for others: regular files appear whole or not at all, all others are written to."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pilotcli.common.errors import StorageError, UsageError

STDOUT = "-"
"""The name of standard output, for every option that names a file."""
MOST_LINKS = 40
"""Symbolic links that a path may lead through, as in Linux."""
READER_WAIT_S = 30.0
"""How long to wait until somebody reads a named pipe."""
_REFUSED = {stat.S_IFSOCK: "a socket", stat.S_IFBLK: "a block device"}


def check_file(path: Path, option: str, *endings: str) -> None:
    """Refuse, before a run, a file that could not be written after it (`UsageError`). `option` is
    what named it, `endings` are those that it may have (none: any). What is no regular file may
    have any name."""
    named = f"{option} {path}"
    number = open_descriptor(path)
    if number is not None:
        _check_descriptor(number, named)
        return
    try:
        status = path.stat()
    except OSError as exc:
        status = None
        if exc.errno != errno.ENOENT:
            raise UsageError(
                f"{named}: {exc.strerror}", hint="Name a file that can be written."
            ) from exc
    if status is None or stat.S_ISREG(status.st_mode):
        if endings and path.suffix not in endings:
            raise UsageError(
                f"{named}: its name must end with {' or '.join(endings)}",
                hint=f"Name it for instance {path.stem or 'report'}{endings[0]}.",
            )
    elif stat.S_ISDIR(status.st_mode):
        raise UsageError(f"{named} is a folder", hint="Name a file in it.")
    elif stat.S_IFMT(status.st_mode) in _REFUSED:
        raise UsageError(
            f"{named} is {_REFUSED[stat.S_IFMT(status.st_mode)]}, which pilot does not write to",
            hint="Name a file, a pipe, or - for standard output.",
        )
    _check_access(path, named, exists=status is not None)


def _check_descriptor(number: int, named: str) -> None:
    try:
        os.write(number, b"")
    except OSError as exc:
        raise UsageError(f"{named} cannot be written: {exc.strerror}", hint="Name a file.") from exc
    if number == 1 and sys.stdout is None:
        raise UsageError(f"{named}: standard output is closed", hint="Name a file.")


def _check_access(path: Path, named: str, *, exists: bool) -> None:
    if exists and not os.access(path, os.W_OK):
        raise UsageError(f"{named} cannot be written by you", hint="Name another file.")
    if exists and _in_place(path):
        return
    folder = Path(os.path.realpath(path)).parent
    if not (folder.is_dir() and os.access(folder, os.W_OK)):
        raise UsageError(
            f"{named}: the folder {folder} is missing or cannot be written",
            hint="Create it, or name another file.",
        )


def check_distinct(paths: Iterable[tuple[str, Path]]) -> None:
    """Raise `UsageError` if two options name the same file, of which one would be lost."""
    seen: dict[object, str] = {}
    for option, path in paths:
        number = open_descriptor(path)
        if number is None and path.exists() and not path.is_file():
            continue  # a device or a pipe takes them one after the other
        place = os.path.realpath(path) if number is None else number
        if place in seen:
            raise UsageError(f"{seen[place]} and {option} both name {path}", hint="Name two files.")
        seen[place] = option


def is_regular(path: Path) -> bool:
    """Whether writing to `path` makes or replaces a regular file."""
    return open_descriptor(path) is None and (path.is_file() or not path.exists())


def open_descriptor(path: Path) -> int | None:
    """The descriptor of this process that `path` names (`-`, `/dev/stdout`, `/dev/fd/5`), or None.

    Opening such a name again would start at the beginning of the file behind it, so that what the
    descriptor has written before would be lost.
    """
    if str(path) == STDOUT:
        return 1
    own = {f"/proc/{os.getpid()}/fd", "/dev/fd"}
    place = path.absolute()
    for _ in range(MOST_LINKS):
        if place.name.isdecimal() and os.path.realpath(place.parent) in own:
            return int(place.name)
        try:
            place = place.parent / place.readlink()
        except OSError:
            return None
    return None


def writes_to_stdout(paths: Iterable[Path | None]) -> bool:
    """Whether one of `paths` names standard output."""
    return any(path is not None and open_descriptor(path) == 1 for path in paths)


def written_name(path: Path) -> str:
    """Returns what messages call a file that was written."""
    return "standard output" if str(path) == STDOUT else str(path)


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A temporary file whose content reaches `path` when all went well.

    A regular file is replaced, with the mode and the owner that it had. What is no regular file
    (standard output, a device, a pipe, a symbolic link), and a file with several names, is written
    to.

    Raises `StorageError` when it cannot be written. A reader of standard output that has gone away
    is no error.
    """
    temporary: Path | None = None
    try:
        in_place = _in_place(path)
        beside = None if in_place else path.absolute().parent
        # A prefix of the file's own name would make a long name too long.
        handle, name = tempfile.mkstemp(dir=beside, prefix=".pilot-")
        os.close(handle)
        temporary = Path(name)
        yield temporary
        if in_place:
            _copy(temporary, path)
        else:
            _replace(temporary, path)
    except OSError as exc:
        if exc.errno == errno.EPIPE and open_descriptor(path) == 1:
            return
        where = "standard output" if str(path) == STDOUT else path
        raise StorageError(
            f"{where} could not be written: {exc.strerror or exc}",
            hint="What it would hold is in the journal.",
        ) from exc
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def _in_place(path: Path) -> bool:
    """Whether `path` is written to, and not replaced."""
    if open_descriptor(path) is not None:
        return True
    try:
        status = path.lstat()
    except OSError:
        return False
    if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
        return True
    return not os.access(path.absolute().parent, os.W_OK)


def _replace(temporary: Path, path: Path) -> None:
    """Put `temporary` into the place of the regular file `path`."""
    # mkstemp makes files for their owner alone; this one is like any other new file.
    umask = os.umask(0)
    os.umask(umask)
    mode = 0o666 & ~umask
    with temporary.open("rb") as written:
        with suppress(FileNotFoundError):
            before = path.stat()
            mode = before.st_mode & 0o777
            if (before.st_uid, before.st_gid) != (os.geteuid(), os.getegid()):
                with suppress(PermissionError):
                    os.fchown(written.fileno(), before.st_uid, before.st_gid)
        os.fchmod(written.fileno(), mode)
        os.fsync(written.fileno())
    temporary.replace(path)


def _copy(temporary: Path, path: Path) -> None:
    """Write the content of `temporary` to what `path` names."""
    number = open_descriptor(path)
    opened = _opened(path) if number is None else os.dup(number)
    with temporary.open("rb") as content, os.fdopen(opened, "wb") as target:
        shutil.copyfileobj(content, target)


def _opened(path: Path) -> int:
    """A descriptor that writes to `path`, once somebody reads it if it is a pipe."""
    give_up = time.monotonic() + READER_WAIT_S
    while True:
        flags = os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK
        if path.is_file() or not path.exists():
            flags |= os.O_TRUNC
        if not path.exists():
            flags |= os.O_CREAT
        try:
            number = os.open(path, flags, 0o666)
        except OSError as exc:
            if exc.errno != errno.ENXIO or not path.is_fifo():
                raise
            if time.monotonic() > give_up:
                raise OSError(errno.ENXIO, "nobody reads this pipe") from exc
            time.sleep(0.05)
            continue
        os.set_blocking(number, True)
        return number


def write_whole(path: Path, text: str) -> None:
    """Write `text` to `path`, as `whole_file` does. Raises `StorageError`."""
    with whole_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
