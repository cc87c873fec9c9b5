"""Finds logs among files, by how they begin."""

from __future__ import annotations

import glob
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from pilotcli.common.errors import WorkloadError
from pilotcli.workload.logs import csvlog
from pilotcli.workload.logs.entries import Entry
from pilotcli.workload.paths import missing_path, natural_key
from pilotcli.workload.sources import GzipSource, PlainSource, Source

LogKind = Literal["csvlog"]
HEAD_BYTES = 1 << 16
_LINES = 200
"""A file that was cut may begin inside an entry; that entry ends within so many lines."""
_GZIP = b"\x1f\x8b"


def log_kind(head: bytes) -> LogKind | None:
    """Returns what kind of log begins with `head`, uncompressed; None for no log."""
    lines = head.decode("utf-8", "replace").split("\n", _LINES)[:_LINES]
    if any(csvlog.FIRST_LINE.match(line) for line in lines):
        return "csvlog"
    return None


def head_of(source: Source) -> bytes:
    """Returns the first bytes of a file, uncompressed."""
    with source.open() as read:
        head = b""
        while len(head) < HEAD_BYTES and (data := read(HEAD_BYTES)):
            head += data
    return head


def read_entries(source: Source, kind: LogKind) -> Iterator[Entry]:
    """Yields the entries of a log."""
    with source.open() as read:
        yield from csvlog.read_csvlog(read, source.name)


def find_logs(paths: Sequence[str | Path]) -> list[Source]:
    """Returns the logs that `paths` name: files, folders and globs, in the order of their times.

    Raises `WorkloadError` for what does not exist, and for a file that is no log.
    """
    found: list[tuple[float, Source]] = []
    for given in paths:
        path = Path(given)
        if path.is_dir():
            names = [file for file in path.iterdir() if file.is_file() and file.name[0] != "."]
        elif path.exists():
            names = [path]
        elif glob.has_magic(str(given)):
            names = [Path(name) for name in glob.glob(str(given), recursive=True)]  # noqa: PTH207
        else:
            raise missing_path(path)
        alone = names == [path]
        names.sort(key=lambda name: natural_key(name.name))
        logs = [log for name in names if (log := _log(name, alone=alone)) is not None]
        if not logs:
            raise WorkloadError(f"there is no log in {given}", hint=_HINT)
        found += logs
    found.sort(key=lambda log: log[0])
    return [source for _, source in found]


_HINT = "Name a csvlog of PostgreSQL (log_destination = 'csvlog'), as it was written."


def _log(path: Path, *, alone: bool) -> tuple[float, Source] | None:
    """The time of the first entry of a log, and the log; None for what is no log in a folder."""
    try:
        with path.open("rb") as file:
            compressed = file.read(2) == _GZIP
        source = GzipSource(path) if compressed else PlainSource(path)
    except OSError as problem:
        raise WorkloadError(
            f"the file cannot be read: {problem.strerror}",
            file=str(path),
            hint="Check that it is a file, and that you may read it.",
        ) from None
    kind = log_kind(head_of(source))
    if kind is None:
        if alone:
            raise WorkloadError("this is no log of PostgreSQL", file=str(path), hint=_HINT)
        return None
    first = next(read_entries(source, kind), None)
    return (first.time if first else 0.0), source
