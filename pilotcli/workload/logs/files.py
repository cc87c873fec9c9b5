"""Finds logs among files, by how they begin."""

from __future__ import annotations

import glob
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Literal, NamedTuple

from pilotcli.common.errors import WorkloadError
from pilotcli.common.sql_commands import COMMANDS, leading_keyword
from pilotcli.workload.logs import csvlog, jsonlog
from pilotcli.workload.logs.entries import Entry
from pilotcli.workload.logs.guess import guess_prefix, unknown_names
from pilotcli.workload.logs.prefix import MARK, entry_head, entry_pattern
from pilotcli.workload.logs.stat_statements import is_header
from pilotcli.workload.logs.stderrlog import Unmatched, read_stderrlog
from pilotcli.workload.paths import missing_path, natural_key
from pilotcli.workload.sources import Source, StreamSource, open_source

LogKind = Literal["csvlog", "jsonlog", "stderr", "pg_stat_statements"]
_ORDER: tuple[LogKind, ...] = ("csvlog", "jsonlog", "stderr", "pg_stat_statements")
"""A server that writes several kinds says most in the first."""
_LINES = 200
"""A file that was cut may begin inside an entry; that entry ends within so many lines."""

_NO_PREFIX = ("--", "/*", "\\", "{", "[{", '["')
"""How a script or JSON begins, and no line of a log."""

_SHOWN = 160
_HINT = (
    "Name a log of PostgreSQL as it was written: a csvlog, a jsonlog, text with the "
    "log_line_prefix that --prefix gives, or pg_stat_statements as CSV with a header."
)


class LogFormat(NamedTuple):
    """The kind of a log; for `stderr` also the `log_line_prefix`, and whether it was guessed."""

    kind: LogKind
    prefix: str = ""
    guessed: bool = False


def log_format(head: bytes, prefix: str | None = None) -> LogFormat | None:
    """Returns the format of a log that begins with `head`, uncompressed; None for no log.

    `prefix` is the `log_line_prefix` of logs as text; without one it is guessed. Raises
    `UsageError` for a prefix that is wrong, or does not say what is needed.
    """
    text = head.decode("utf-8", "replace")
    lines = text.split("\n", _LINES)[:_LINES]
    if any(map(csvlog.FIRST_LINE.match, lines)):
        return LogFormat("csvlog")
    if any(map(jsonlog.FIRST_LINE.match, lines)):
        return LogFormat("jsonlog")
    if is_header(lines[0]):
        return LogFormat("pg_stat_statements")
    if MARK not in text:
        return None
    if prefix is not None:
        matches = any(map(entry_pattern(prefix).match, text.split("\n")))
        return LogFormat("stderr", prefix) if matches else None
    guess = guess_prefix(text.split("\n"))
    return None if guess is None else LogFormat("stderr", guess, guessed=True)


def begins_with_entry(head: bytes, format: LogFormat) -> bool:
    """Returns whether the first line of `head` begins an entry: further below, the lines of a log
    may also stand in a query."""
    first = head.partition(b"\n")[0].decode("utf-8", "replace")
    if format.kind == "pg_stat_statements":
        return True
    if format.kind == "stderr":
        return not _is_sql(first) and entry_pattern(format.prefix).match(first) is not None
    reader = csvlog if format.kind == "csvlog" else jsonlog
    return reader.FIRST_LINE.match(first) is not None


def _is_sql(line: str) -> bool:
    return line.lstrip().startswith(_NO_PREFIX) or leading_keyword(line) in COMMANDS


class Log(NamedTuple):
    """A log: its file, its format, and the time of its first entry."""

    source: Source
    format: LogFormat
    first_s: float = 0.0

    def guess(self) -> str:
        """Returns what the user is told of a prefix that was guessed."""
        text = f"{self.source.name}: guessed log_line_prefix = {self.format.prefix!r}"
        unknown = unknown_names(self.format.prefix)
        if not unknown:
            return text
        names = " and ".join([", ".join(unknown[:-1]), unknown[-1]] if unknown[1:] else unknown)
        return f"{text}, where %? is what nobody knows: no statement has its {names}"

    def knows(self, column: str) -> bool:
        """Returns whether its entries say the `database`, `user`, `application` or `session`."""
        if self.format.kind != "stderr" or column == "session":
            return True
        return column[0] in entry_pattern(self.format.prefix).groupindex

    def entries(self, unmatched: Unmatched | None = None) -> Iterator[Entry]:
        """Yields its entries; `unmatched` counts those of a log as text with another prefix."""
        with self.source.open() as read:
            if self.format.kind == "csvlog":
                yield from csvlog.read_csvlog(read, self.source.name)
            elif self.format.kind == "jsonlog":
                yield from jsonlog.read_jsonlog(read, self.source.name)
            elif self.format.kind == "stderr":
                yield from read_stderrlog(read, self.source.name, self.format.prefix, unmatched)


def _refused(head: bytes, prefix: str | None, file: str) -> WorkloadError | None:
    """The error for text that looks like a log, but cannot be read; None for any other text."""
    for number, line in enumerate(head.decode("utf-8", "replace").split("\n"), 1):
        found = entry_head(line)
        if found is None or not found.counts:
            continue
        first = line.strip()[:_SHOWN]
        if prefix is not None:
            return WorkloadError(
                f"no line begins as --prefix {prefix!r} says; the first entry is: {first}",
                file=file,
                line=number,
                hint="Give --prefix as the server has it: SHOW log_line_prefix. Spaces count, at "
                "its end, too.",
            )
        return WorkloadError(
            f"the log_line_prefix of this log cannot be guessed; the first entry is: {first}",
            file=file,
            line=number,
            hint="Give it as the server has it (SHOW log_line_prefix): pilot workloads from-log "
            "--prefix. It must have a time (%m, %t or %n) and a session (%p or %c).",
        )
    return None


def refuse_unknown_prefix(head: bytes, file: str) -> None:
    """Raises `WorkloadError` for a log as text that begins with `head`, if its prefix cannot be
    guessed."""
    first = head.partition(b"\n")[0].decode("utf-8", "replace")
    if entry_head(first) is not None and not _is_sql(first):
        problem = _refused(head, None, file)
        if problem is not None:
            raise problem


def find_logs(
    paths: Sequence[str | Path], prefix: str | None = None, stdin: BinaryIO | None = None
) -> list[Log]:
    """Returns the logs that `paths` name: files, folders, globs and `-` for `stdin`, in the order
    of their times.

    `prefix` is the `log_line_prefix` of those that are text; without one it is guessed.

    Raises `WorkloadError` for what does not exist, for a file that is no log, and for a log as text
    that cannot be read. Of several files, some may be empty.
    """
    found: list[Log] = []
    refused: list[tuple[Path, WorkloadError]] = []
    empty: list[Path] = []
    for given in paths:
        path = Path(given)
        if str(given) == "-":
            names = [path]
        elif path.is_dir():
            names = [file for file in path.iterdir() if file.is_file() and file.name[0] != "."]
        elif path.exists():
            names = [path]
        elif glob.has_magic(str(given)):
            names = [Path(name) for name in glob.glob(str(given), recursive=True)]  # noqa: PTH207
        else:
            raise missing_path(path)
        alone = names == [path]
        names.sort(key=lambda name: natural_key(name.name))
        before = len(found)
        for name in names:
            log = _log(_source(name, stdin), prefix)
            if isinstance(log, Log):
                found.append(log)
            elif isinstance(log, WorkloadError):
                refused.append((name, log))
            elif log == "empty":
                empty.append(name)
            elif alone:
                raise WorkloadError("this is no log of PostgreSQL", file=str(name), hint=_HINT)
        if len(found) == before and not refused and not empty:
            raise WorkloadError(f"there is no log in {given}", hint=_HINT)
    read = {_stem(str(log.source.name)) for log in found}
    for name, problem in refused:
        if _stem(str(name)) not in read:
            raise problem
    if not found:
        raise WorkloadError(
            "the log is empty",
            file=str(empty[0]),
            hint="Was it rotated just now? Name the file before it, or the folder.",
        )
    return sorted(_best(found), key=lambda log: log.first_s)


def _best(logs: Sequence[Log]) -> Iterator[Log]:
    """Of logs that one server wrote side by side (`monday.csv`, `monday.json`): the first kind."""
    best: dict[Path, Log] = {}
    for log in logs:
        stem = _stem(log.source.name)
        known = best.setdefault(stem, log)
        if _ORDER.index(log.format.kind) < _ORDER.index(known.format.kind):
            best[stem] = log
        elif log.format.kind == known.format.kind and log is not known:
            yield log
    yield from best.values()


def _stem(name: str) -> Path:
    return Path(name.removesuffix(".gz")).with_suffix("")


def _source(path: Path, stdin: BinaryIO | None) -> Source:
    if str(path) != "-":
        return open_source(path)
    if stdin is None:
        raise WorkloadError(
            "the log is - (standard input), which is closed",
            hint="Name a file, or give it one: pilot workloads from-log - < monday.log",
        )
    return StreamSource(stdin)


def _log(source: Source, prefix: str | None) -> Log | WorkloadError | Literal["empty"] | None:
    """The log in a file; what is wrong with it, or None for no log."""
    head = source.head(waits=True)
    known = log_format(head, prefix)
    if known is None:
        source.close()
        return _refused(head, prefix, source.name) if head.strip() else "empty"
    log = Log(source, known)
    first = next(log.entries(), None)
    return log._replace(first_s=first.time if first else 0.0)
