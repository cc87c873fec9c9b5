"""Finds logs among files, by how they begin."""

from __future__ import annotations

import glob
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from pilotcli.common.errors import WorkloadError
from pilotcli.workload.logs import csvlog, jsonlog
from pilotcli.workload.logs.entries import Entry
from pilotcli.workload.paths import missing_path, natural_key
from pilotcli.workload.sources import GzipSource, PlainSource, Read, Source

LogKind = Literal["csvlog", "jsonlog"]
_KINDS: Mapping[LogKind, tuple[re.Pattern[str], Callable[[Read, str], Iterator[Entry]]]] = {
    "csvlog": (csvlog.FIRST_LINE, csvlog.read_csvlog),
    "jsonlog": (jsonlog.FIRST_LINE, jsonlog.read_jsonlog),
}
"""How each kind begins, and what reads it; a server that writes several says most in the first."""
HEAD_BYTES = 1 << 16
_LINES = 200
"""A file that was cut may begin inside an entry; that entry ends within so many lines."""
_GZIP = b"\x1f\x8b"


def log_kind(head: bytes) -> LogKind | None:
    """Returns what kind of log begins with `head`, uncompressed; None for no log."""
    lines = head.decode("utf-8", "replace").split("\n", _LINES)[:_LINES]
    for kind, (first_line, _) in _KINDS.items():
        if any(map(first_line.match, lines)):
            return kind
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
        yield from _KINDS[kind][1](read, source.name)


def find_logs(paths: Sequence[str | Path]) -> list[Source]:
    """Returns the logs that `paths` name: files, folders and globs, in the order of their times.

    Raises `WorkloadError` for what does not exist, and for a file that is no log.
    """
    found: list[_Log] = []
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
    return [log.source for log in sorted(_best(found), key=lambda log: log.first_s)]


_HINT = "Name a log of PostgreSQL as it was written: a csvlog or a jsonlog."


class _Log(NamedTuple):
    """A log: its file, its kind, and the time of its first entry."""

    path: Path
    kind: LogKind
    first_s: float
    source: Source


def _best(logs: Sequence[_Log]) -> Iterator[_Log]:
    """Of logs that one server wrote side by side (`monday.csv`, `monday.json`): the first kind."""
    order = list(_KINDS)
    best: dict[Path, _Log] = {}
    for log in logs:
        stem = log.path.with_name(log.path.name.removesuffix(".gz")).with_suffix("")
        known = best.setdefault(stem, log)
        if order.index(log.kind) < order.index(known.kind):
            best[stem] = log
        elif log.kind == known.kind and log is not known:
            yield log
    yield from best.values()


def _log(path: Path, *, alone: bool) -> _Log | None:
    """The log in a file; None for what is no log in a folder."""
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
    return _Log(path, kind, first.time if first else 0.0, source)
