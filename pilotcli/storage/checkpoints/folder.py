"""The folder of one model: its lock, its versions, the pointer to the current one."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pilotcli.common.errors import CheckpointError
from pilotcli.common.files import open_over
from pilotcli.common.os_advice import advice
from pilotcli.storage.checkpoints.manifest import sync_folder

CURRENT = "current"
UNFINISHED = ".saving-"
REMOVED = ".removed-"
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_FULL_BYTES = 64 << 10
_NO_ACCESS = (errno.EROFS, errno.EACCES, errno.EPERM)

log = logging.getLogger(__name__)


@contextmanager
def locked(folder: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold the lock of a folder. If others hold it, wait, never for long, until they release it;
    without `wait` raise `OSError`."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def clean(home: Path) -> None:
    """Remove what killed saves and removals left. The caller holds the lock of `home`."""
    for folder in [*home.glob(f"{UNFINISHED}*"), *home.glob(f"{REMOVED}*")]:
        with suppress(OSError), locked(folder, wait=False):
            shutil.rmtree(folder)
            log.info("removed %s, which a killed process left", folder)


def remove(folder: Path) -> None:
    """Remove a version. Its folder is renamed first, so that no incomplete version is visible."""
    hidden = folder.with_name(f"{REMOVED}{uuid.uuid4().hex}")
    folder.rename(hidden)
    shutil.rmtree(hidden)


def version_numbers(home: Path) -> list[int]:
    """The version numbers in a model's folder, ascending, also of damaged ones."""
    with file_errors(f"cannot read {home}", home):
        try:
            return sorted(int(entry.name) for entry in home.iterdir() if entry.name.isdecimal())
        except (FileNotFoundError, NotADirectoryError):
            return []


def current_number(home: Path) -> int | None:
    """The version in use; the newest where the pointer is missing or points at nothing."""
    numbers = version_numbers(home)
    with suppress(OSError, ValueError):
        pointed = int((home / CURRENT).read_text(encoding="ascii"))
        if pointed in numbers:
            return pointed
    return numbers[-1] if numbers else None


def point_at(home: Path, number: int, *, appearing: tuple[Path, Path] | None = None) -> None:
    """Make version `number` the current one. The caller holds the lock of `home`.

    With `appearing` the version's folder is renamed first, from the first path to the second. All
    that needs room on the disk is done before that, so that a save either leaves no version or
    makes its version the current one.
    """
    new = home / f".{CURRENT}"
    try:
        with os.fdopen(open_over(new), "w", encoding="ascii") as file:
            file.write(f"{number}\n")
            file.flush()
            os.fsync(file.fileno())
        if appearing is not None:
            appearing[0].rename(appearing[1])
        try:
            new.replace(home / CURRENT)
        except BaseException:
            if appearing is not None:
                appearing[1].rename(appearing[0])
            raise
    except BaseException:
        new.unlink(missing_ok=True)
        raise
    try:
        sync_folder(home)
    except OSError as error:
        # The version is the current one already; an error would deny that.
        log.warning("version %s in %s may not outlive a power cut: %s", number, home, error)


@contextmanager
def file_errors(what: str, home: Path) -> Iterator[None]:
    """Turn an `OSError` into a `CheckpointError` that says `what` could not be done in `home`."""
    try:
        yield
    except OSError as error:
        raise _unusable(error, what, home) from error


def _is_full(folder: Path) -> bool:
    """Whether this user can store almost nothing, or no further file, on the disk of `folder`."""
    disk = os.statvfs(folder)
    full = disk.f_blocks > 0 and disk.f_bavail * disk.f_frsize < _FULL_BYTES
    return full or (disk.f_files > 0 and disk.f_favail == 0)


def _no_room(home: Path) -> str:
    """What to do when the disk of `home` is full."""
    return (
        f"Make room on the disk of {home}: `pilot models prune --all --keep 3` removes old "
        "checkpoints."
    )


def _unusable(error: OSError, what: str, home: Path) -> CheckpointError:
    """An error of the file system about `home` as a `CheckpointError` with what to do next."""
    hint = advice(error, "") or None
    if error.errno in _NO_SPACE:
        hint = _no_room(home)
    elif error.errno in _NO_ACCESS:
        hint = "The folder must be writable; `home:` in the config names another one."
    return CheckpointError(f"{what}: {error.strerror or error}", hint=hint)


def close_to_others(folder: Path) -> None:
    """Take from what is in `folder` the rights that its model's home does not give: a driver writes
    with the umask of the user, which may be 000."""
    given = folder.parent.stat().st_mode | 0o700
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode & 0o7777 & (given | ~0o777))


def write_model(write: Callable[[Path], object], folder: Path, what: str) -> None:
    """Call `write` with `folder`. Its exceptions are passed on, but those of a full or read-only
    disk become a `CheckpointError` that begins with `what`."""
    try:
        write(folder)
    except Exception as error:
        home = folder.parent
        if isinstance(error, OSError) and error.errno in (*_NO_SPACE, *_NO_ACCESS):
            raise _unusable(error, what, home) from error
        # numpy says only how much it has written, without an error number.
        if getattr(error, "errno", None) is None and _is_full(home):
            raise CheckpointError(
                f"{what}: the disk is full ({type(error).__name__}: {error})", hint=_no_room(home)
            ) from error
        raise
