"""A workload: the ordered stream of queries in one or more files."""

from __future__ import annotations

import hashlib
import itertools
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, Literal

from pilotcli.common.errors import WorkloadError
from pilotcli.common.quantities import count, plural
from pilotcli.common.records import Query
from pilotcli.workload.chosen import Chosen, chosen
from pilotcli.workload.dialects import foreign_sign
from pilotcli.workload.json_tables import read_json
from pilotcli.workload.logs.files import (
    Log,
    LogFormat,
    begins_with_entry,
    log_format,
    refuse_unknown_prefix,
)
from pilotcli.workload.logs.replayed import LogReader
from pilotcli.workload.names import description_of, file_names
from pilotcli.workload.paths import Entry, resolve
from pilotcli.workload.psql.script import Found, ScriptState
from pilotcli.workload.psql.splitter import Statement
from pilotcli.workload.reader import ScriptReader
from pilotcli.workload.selection import Selection
from pilotcli.workload.sources import (
    CompressedSource,
    PlainSource,
    Source,
    StreamSource,
    open_source,
)
from pilotcli.workload.tables import read_csv, table_kind

_LOOKED_AT = 500
"""So many queries at the beginning are looked at for what the user should know."""
_LOOKED_CHARS = 10_000
_PACKED_RATIO = 10
"""How much SQL text grows when it is unpacked, taken high, to know what is quick to count."""


def open_workload(
    paths: Sequence[str | Path],
    *,
    variables: Mapping[str, str] | None = None,
    stdin: BinaryIO | None = None,
    limit: int | None = None,
    select: Sequence[str] = (),
    exclude: Sequence[str] = (),
    notify: Callable[[str], object] = lambda text: None,
) -> Workload:
    """Find the files of a workload; they are read when it is iterated over.

    `paths` are files, globs, folders, or `-` for `stdin`. `variables` are psql variables set
    beforehand. `select` and `exclude` leave some of the queries (see `Selection`), with their
    numbers and labels in the whole workload, which pilot then reads to its end first. `limit` ends
    the workload after so many queries. `notify` receives what the user should know about the files,
    each kind of notice once. Raises `WorkloadError` when a path does not exist, or names a file
    that is empty or cannot be read; `UsageError` when iterated over, if nothing is selected.
    """
    if limit is not None and limit < 1:
        raise WorkloadError(f"a limit of {limit} leaves no query", hint="Give 1 or more.")
    selection = Selection(tuple(select), tuple(exclude))
    return Workload(paths, resolve(paths), variables or {}, stdin, limit, selection, notify)


class Workload:
    """The queries of a workload; each iteration streams them from the files again.

    - `description`: short, for a title: `workloads/forum.sql`, `3 files in queries/`, with a
      selection `forum.sql (5 of 50 queries)`;
    - `size_bytes`: their size on disk, None when standard input is among them.

    Several threads may iterate at once, each over all queries.

    The files are read one after the other as in one psql session: a variable or a
    `standard_conforming_strings` that is set in one holds in the next.

    A query's label is the first of these that it has: the name in the last comment line
    `-- name: ...` above it (also a table's `label` or `name`, and PilotScope's id); the name of its
    file without the suffix, if there are several files or a folder, and the file holds this query
    alone; `NAME/3`, with the query's place in its file; `q3` in a single file. Files of the same
    name get their folders: `a/1`, `b/1`.

    Iterating raises `WorkloadError` for what cannot be read, with file and line.
    """

    def __init__(
        self,
        paths: Sequence[str | Path],
        entries: Sequence[Entry],
        variables: Mapping[str, str],
        stdin: BinaryIO | None,
        limit: int | None,
        selection: Selection,
        notify: Callable[[str], object],
    ) -> None:
        self._notify = notify
        self._noticed: set[str] = set()
        self._looks = True
        self._places: dict[str, str] = {}
        self._variables = dict(variables)
        self._limit = limit
        self._selection = selection
        self._chosen: Chosen | None = None
        self._count: int | None = None
        self._digest: str | None = None
        self._reading = threading.RLock()
        self._sources: dict[str, Source] = {}
        self._formats: dict[Source, LogFormat | Literal["csv", "json"] | None] = {}
        self._entries = [(entry, self._entry_source(entry, stdin)) for entry in entries]
        files = [entry.path for entry in entries if entry.path is not None]
        self._described = description_of(paths, files)
        self._single = len(entries) == 1 and entries[0].named
        # The store takes no label that is not UTF-8, and a file's name may be any bytes.
        stems = file_names([entry.path for entry in entries])
        self._stems = [stem.encode("utf-8", "backslashreplace").decode() for stem in stems]

    @property
    def size_bytes(self) -> int | None:
        """The size of the files on disk; None when standard input is among them."""
        sizes = [source.size_bytes for _, source in self._entries]
        return None if None in sizes else sum(size or 0 for size in sizes)

    @property
    def description(self) -> str:
        """What it is, in words for a title."""
        if not self._selection:
            return self._described
        found = self._choose()
        queries = plural(found.total, "query", "queries")
        return f"{self._described} ({count(found.count)} of {queries})"

    def __iter__(self) -> Iterator[Query]:
        if not self._selection:
            return self._in_turns(self._all(self._limit))
        stays = self._choose().stays
        left = (query for query in self._all(None) if stays[query.seq])
        return self._in_turns(itertools.islice(left, self._limit))

    def _in_turns(self, queries: Iterator[Query]) -> Iterator[Query]:
        """The queries; of several threads that iterate, one at a time reads.

        Plain files need no turns: each iteration opens them for itself.
        """
        if all(isinstance(source, PlainSource) for _, source in self._entries):
            return queries
        return self._locked(queries)

    def _locked(self, queries: Iterator[Query]) -> Iterator[Query]:
        while True:
            with self._reading:
                query = next(queries, None)
            if query is None:
                return
            yield query

    def _choose(self) -> Chosen:
        """What the selection leaves; reads the workload once."""
        if self._chosen is None:
            self._chosen = chosen(self._all(None), self._selection, self._notify)
            self._count = self._chosen.count
        return self._chosen

    def _all(self, limit: int | None) -> Iterator[Query]:
        """The queries, without a selection."""
        seq = 0
        new = tuple.__new__
        reader = ScriptReader(ScriptState.start(self._variables, notify=self._notice), self._source)
        logs = LogReader(self._notice)
        for (entry, source), stem in zip(self._entries, self._stems, strict=True):
            before = seq
            found = self._read(source, reader, logs)
            prefix = "q"
            alone = False
            if not self._single:
                prefix = f"{stem}/"
                found, alone = _is_alone(found)
            for file, statements, copy in found:
                if seq < _LOOKED_AT and self._looks:
                    self._look(file, statements[: _LOOKED_AT - seq])
                for sql, line, command, name, _, facts in statements:
                    seq += 1
                    label = name or (stem if alone else f"{prefix}{seq - before}")
                    # What Query(...) does, without the call in between, at half of the cost.
                    yield new(Query, (seq, label, sql, file, line, command, copy, facts))
                    if seq == limit:
                        return
            if seq == before and entry.named:
                raise WorkloadError(
                    "the file holds no statement",
                    file=source.name,
                    hint="Write at least one SQL statement into it, or leave it out.",
                )
        logs.end()
        if seq == 0:
            raise WorkloadError(
                f"there is no statement in {self._described}", hint="Name a file with SQL in it."
            )
        self._looks = False
        if limit is None and not self._selection:
            self._count = seq

    def count(self, max_bytes: int = 16_000_000) -> int | None:
        """How many queries there are, if that is known or quick to find out.

        Reads the files once if they are no larger than `max_bytes` in all (and then raises as
        iterating does); None otherwise.
        """
        if self._selection:
            self._choose()
        elif self._count is None and self._quick_to_read(max_bytes):
            self._survey()
        if self._count is None or self._limit is None:
            return self._count
        return min(self._count, self._limit)

    def digest(self, max_bytes: int = 16_000_000) -> str | None:
        """A checksum over all statements and their labels, if that is quick to find out; see
        `count`."""
        if self._digest is None and self._quick_to_read(max_bytes):
            self._survey()
        return self._digest

    def _survey(self) -> None:
        checksum = hashlib.blake2b(digest_size=16)
        number = 0
        for number, query in enumerate(self, 1):  # noqa: B007 - the last one is how many
            copied = query.copy.size_bytes if query.copy is not None else 0
            text = f"{query.label}\0{query.sql}\0{copied}\0"
            checksum.update(text.encode("utf-8", "surrogateescape"))
        self._digest = checksum.hexdigest()
        if self._count is None:
            self._count = number

    def close(self) -> None:
        """Remove what was spooled to temporary files; safe to call twice."""
        for _, source in self._entries:
            source.close()
        for source in self._sources.values():
            source.close()

    def __enter__(self) -> Workload:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _notice(self, kind: str, text: str) -> None:
        if kind not in self._noticed:
            self._noticed.add(kind)
            self._notify(text)

    def _look(self, file: str, statements: Sequence[Statement]) -> None:
        """Give notice of labels that are there twice, and of SQL that is not PostgreSQL's."""
        for sql, line, command, name, *_ in statements:
            place = f"{file}:{line}"
            if name is not None and self._places.setdefault(name, place) != place:
                text = f"the label {name} is already that of {self._places[name]}"
                more = "they are told apart by their numbers only, as are others like them"
                self._notice("label", f"{place}: {text}; {more}")
            if (found := foreign_sign(sql[:_LOOKED_CHARS], command)) is not None:
                what, _, advice = found.partition(": ")
                self._notice(what, f"{place}: the query {what}, as others may. {advice}")

    def _quick_to_read(self, max_bytes: int) -> bool:
        size = 0
        for _, source in self._entries:
            if source.size_bytes is None:
                return False
            size += source.size_bytes * (
                _PACKED_RATIO if isinstance(source, CompressedSource) else 1
            )
        return size <= max_bytes

    def _entry_source(self, entry: Entry, stdin: BinaryIO | None) -> Source:
        if entry.path is None:
            stream = stdin if sys.stdin is None else stdin or sys.stdin.buffer
            if stream is None:
                raise WorkloadError(
                    "the workload is - (standard input), which is closed",
                    hint="Name a file, or give it one: pilot run - < workload.sql",
                )
            return StreamSource(stream)
        source = self._source(entry.path)
        if source.size_bytes == 0 and entry.named:
            raise WorkloadError(
                "the file is empty",
                file=source.name,
                hint="Write at least one SQL statement into it.",
            )
        return source

    def _read(self, source: Source, reader: ScriptReader, logs: LogReader) -> Iterator[Found]:
        """The statements of a file, whose format is found out once."""
        if source not in self._formats:
            head = source.head()
            self._formats[source] = _format(source.inner_name, head)
            if self._formats[source] is None:
                refuse_unknown_prefix(head, source.name)
        format = self._formats[source]
        if isinstance(format, LogFormat):
            return logs.read(Log(source, format))
        if format is not None:
            return read_json(source) if format == "json" else read_csv(source)
        return reader.read(source)

    def _source(self, path: Path) -> Source:
        known = self._sources.get(str(path))
        if known is None:
            known = self._sources[str(path)] = open_source(path)
        return known


def _format(name: str, head: bytes) -> LogFormat | Literal["csv", "json"] | None:
    """What a file is that begins with `head`; None for SQL."""
    log = log_format(head)
    if log is not None and not begins_with_entry(head, log):
        scripts = name.lower().endswith((".sql", ".txt"))
        log = None if scripts or table_kind("", head) is not None else log
    return log or table_kind(name, head)


def _is_alone(found: Iterator[Found]) -> tuple[Iterator[Found], bool]:
    """The statements, and whether there is only one; reads no further than the second."""
    first = list(itertools.islice(found, 1))
    if not first or len(first[0][1]) > 1:
        return itertools.chain(first, found), False
    second = list(itertools.islice(found, 1))
    return itertools.chain(first, second, found), not second
