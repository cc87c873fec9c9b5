"""Files for others: they appear whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pilotcli.common.errors import StorageError, UsageError


def check_file(path: Path, option: str, *endings: str) -> None:
    """Refuse, before a run, a file that could not be written after it (`UsageError`). `option` is
    what named it, `endings` are those that it may have (none: any)."""
    if endings and path.suffix not in endings:
        raise UsageError(
            f"{option} {path}: its name must end with {' or '.join(endings)}",
            hint=f"Name it for instance {path.stem or 'report'}{endings[0]}.",
        )
    if path.is_dir():
        raise UsageError(f"{option} {path} is a folder", hint="Name a file in it.")
    folder = path.absolute().parent
    if not (folder.is_dir() and os.access(folder, os.W_OK)):
        raise UsageError(
            f"{option} {path}: the folder {folder} is missing or cannot be written",
            hint="Create it, or name another file.",
        )


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A temporary file beside `path`, which takes its place when all went well.

    Raises `StorageError` when it cannot be written.
    """
    path = path.resolve()
    temporary: Path | None = None
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        os.close(handle)
        temporary = Path(name)
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        # mkstemp makes files for their owner alone; this one is like any other new file.
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(path)
    except OSError as exc:
        raise StorageError(
            f"{path} could not be written: {exc.strerror or exc}",
            hint="What it would hold is in the journal.",
        ) from exc
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def write_whole(path: Path, text: str) -> None:
    """Write `text` to `path`, whole or not at all. Raises `StorageError`."""
    with whole_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
