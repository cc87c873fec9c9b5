"""What to do about what the system refuses."""

from __future__ import annotations

import errno
import re
from pathlib import Path

IS_LINK = "it is a symbolic link"
"""What pilot itself says of a link that it does not follow."""
IS_NO_FILE = "it is no regular file"

_OWNER = "Use files of your own (home: and --config choose them), or change their owner or mode."
_OPEN_FILES = "Too many files are open: raise the limit (ulimit -n)."
_FILE_SIZE = "A file may not grow that large here: raise the limit (ulimit -f)."
_MEMORY = "There is too little memory: raise the limit (ulimit -v), or end other programs."
_PROCESSES = "Too many processes or threads run: raise the limit (ulimit -u)."
_SPACE = "Make room on the disk that holds it, or name another folder with `home:` in the config."
_SHARED_MEMORY = "Make room in /dev/shm (in a container: --shm-size)."

BY_NUMBER = {
    errno.EACCES: _OWNER,
    errno.EPERM: _OWNER,
    errno.EROFS: "Choose a folder that can be written: `home:` in the config.",
    errno.ENOSPC: _SPACE,
    errno.EDQUOT: "Your quota on that disk is used up: remove files, or choose another folder.",
    errno.EFBIG: _FILE_SIZE,
    errno.EMFILE: _OPEN_FILES,
    errno.ENFILE: "The machine has too many files open: end other programs.",
    errno.ENOMEM: _MEMORY,
    errno.EAGAIN: _PROCESSES,
    errno.ENAMETOOLONG: "The path is too long: choose a shorter one.",
    errno.ELOOP: "Symbolic links lead in a circle: remove one of them.",
    errno.ENOLCK: "The file system has no locks (flock): name a folder on another with `home:`.",
    errno.EOPNOTSUPP: "The file system cannot do this: name a folder on another with `home:`.",
    errno.ENOSYS: "The file system cannot do this: name a folder on another with `home:`.",
    errno.ENODEV: "The file system cannot do this: name a folder on another with `home:`.",
}
"""By the system's error number."""

_BY_WORDS = (
    (r"insufficient file descriptors|Too many open files", _OPEN_FILES),
    (r"File too large|File size limit", _FILE_SIZE),
    (r"shared memory segment.*No space left|/dev/shm", _SHARED_MEMORY),
    (r"could not (?:map|create|resize).* shared memory", _MEMORY),
    (r"Cannot allocate memory|out of memory|failed to map segment", _MEMORY),
    (r"Resource temporarily unavailable", _PROCESSES),
    (r"No space left on device", _SPACE),
    (r"Disk quota exceeded", BY_NUMBER[errno.EDQUOT]),
    (r"Read-only file system", BY_NUMBER[errno.EROFS]),
    (r"Permission denied|Operation not permitted", _OWNER),
)
"""By what PostgreSQL's programs say in English, most specific first."""


def reason(error: OSError) -> str:
    """What is wrong, for a message that names no file: with the name of one that is a link."""
    said = error.strerror or str(error)
    return f"{Path(error.filename).name}: {said}" if _is_wrong_kind(error) else said


def _is_wrong_kind(error: OSError) -> bool:
    return error.strerror in (IS_LINK, IS_NO_FILE) and error.filename is not None


def advice_for_link(error: OSError) -> str | None:
    """What to do about a link, or anything else that is no regular file, in a file's place."""
    if not _is_wrong_kind(error):
        return None
    if error.strerror == IS_NO_FILE:
        return f"Move {error.filename} away: pilot needs a regular file there."
    return (
        f"Delete the link {error.filename}, or replace it by the file itself. To keep pilot's "
        "files elsewhere, name a folder with `home:` in the config."
    )


def advice(error: OSError, otherwise: str) -> str:
    """What to do about `error`; `otherwise` if its number says nothing."""
    return advice_for_link(error) or BY_NUMBER.get(error.errno or 0, otherwise)


def advice_for(output: str, otherwise: str) -> str:
    """What to do about the failure that `output` of a program of PostgreSQL is about."""
    return next((what for words, what in _BY_WORDS if re.search(words, output)), otherwise)
