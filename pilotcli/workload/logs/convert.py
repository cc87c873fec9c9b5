"""Logs into the statements of a workload."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timezone
from json.encoder import encode_basestring as _json
from typing import BinaryIO

from pilotcli.common.errors import WorkloadError
from pilotcli.common.quantities import listed, plural
from pilotcli.common.sql_commands import COMMANDS, command_of, words_where
from pilotcli.workload.logs.choice import Choice
from pilotcli.workload.logs.files import Log
from pilotcli.workload.logs.normal_form import normal_form
from pilotcli.workload.logs.stat_statements import read_stat_statements
from pilotcli.workload.logs.statements import LoggedStatement, StatementReader
from pilotcli.workload.logs.stderrlog import Unmatched
from pilotcli.workload.plain_sql import is_whole, statements_in
from pilotcli.workload.psql.copy import is_copy_from_stdin

_SIMPLE = words_where(lambda command: command.planned or command.effect == "block")
"""Commands that may not be COPY."""
_BLOCKS = words_where(lambda command: command.effect == "block")
_BATCH = 500
_MOST_HEADS = 1_000


_REASONS = {
    "not wanted": "by --where, --min-duration or --select-only",
    "failed": "that failed (pilot workloads from-log --with-failed keeps them)",
    "without values": "with $1 and no values (the server logs values with "
    "log_parameter_max_length = -1)",
    "plan without values": "with $1 in plans of auto_explain, which logs values from PostgreSQL 16 "
    "on (auto_explain.log_parameter_max_length = -1); log_min_duration_statement = 0 logs them on "
    "every version",
    "statistics without values": "with $1, whose values only a log of statements has "
    "(pilot workloads from-server --fill makes some up)",
    "in another database": "with $1, of another database than the config's",
    "no values for writing": "with $1, that write, lock or are no queries; --fill fills in queries",
    "no column for a value": "with $1 in a function, a sum, or compared with nothing of a table",
    "no row for values": "with $1, for which no row was found",
    "too slow for values": "with $1, whose values took too long to find",
    "not understood for values": "with $1, which pilot or the server cannot fill in",
    "hidden": "of other users, whose texts only a role with pg_read_all_stats sees",
    "text lost": "whose text the server has lost",
    "of the view": "that use pg_stat_statements itself",
    "COPY FROM STDIN": "of COPY ... FROM STDIN, whose data no log has",
    "plan without a query": "in plans of auto_explain that cannot be read",
    "not in UTF-8": "not in UTF-8",
    "no whole statement": "with an open quote, or with COPY data",
}
"""Why statements were left out, in the order in which it is shown."""
_MOST_DATABASES = 5


class LogConverter:
    """The statements of logs, as `choice` wants them.

    `left_out` counts statements that cannot be sent, or are not wanted, by the reason;
    `databases` counts statements. All grow while it is read.
    """

    def __init__(self, choice: Choice | None = None) -> None:
        self._choice = choice or Choice()
        comes_from = self._choice.comes_from if self._choice.where else None
        self._reader = StatementReader(comes_from, with_failed=self._choice.with_failed)
        self.left_out = self._reader.left_out
        self.databases: Counter[str] = Counter()
        self._unmatched: list[Unmatched] = []
        self._commands: set[str] = set()  # of statements that sessions sent
        self.count = 0
        self.first_s: float | None = None
        self.last_s = 0.0

    def read(self, logs: Iterable[Log]) -> Iterator[LoggedStatement]:
        """Yields the statements of the logs one after the other."""
        return self.convert(self._all(logs))

    def convert(self, found: Iterable[LoggedStatement]) -> Iterator[LoggedStatement]:
        """Yields those of the statements in `found` that are wanted, as they are wanted."""
        statements = self._statements(found)
        if self._choice.distinct:
            statements = self._distinct(statements)
        rewrite = self._choice.rewrite
        for statement in statements:
            if rewrite is not None:
                statement.sql = rewrite(statement.sql)
            yield statement

    def notes(self) -> list[str]:
        """Returns what the user is told: what was left out, and what a replay has to know."""
        notes = [
            f"left out: {plural(self.left_out[reason], 'statement')} {text}"
            for reason, text in _REASONS.items()
            if self.left_out[reason]
        ]
        notes += [unmatched.note() for unmatched in self._unmatched if unmatched.count]
        if not self._choice.distinct and not self._commands & _BLOCKS:
            commands = (COMMANDS[word] for word in self._commands & COMMANDS.keys())
            if any(one.effect == "database" and one.in_block != "never" for one in commands):
                notes.append(
                    "no BEGIN or COMMIT is among the statements: each is replayed in a transaction "
                    "of its own, even one that was rolled back"
                )
        if len(self.databases) > 1:
            found = [
                f"{name or '(none)'} ({number:,})" for name, number in self.databases.most_common()
            ]
            notes.append(
                f"the statements are from several databases: {listed(found, _MOST_DATABASES)}"
            )
        return notes

    def no_statement(self) -> WorkloadError:
        """Returns the error for logs without a statement that is wanted."""
        reasons = self.notes()
        if reasons:
            return WorkloadError("no statement is left of the log", hint="\n".join(reasons))
        return WorkloadError(
            "the log holds no statement",
            hint="Let the server log statements: log_statement = 'all', or "
            "log_min_duration_statement = 0; and in English: lc_messages = 'C'.",
        )

    def _statements(self, found: Iterable[LoggedStatement]) -> Iterator[LoggedStatement]:
        wanted = self._choice.wants if self._choice.narrows else None
        for statement in found:
            if wanted is not None and not wanted(statement):
                self.left_out["not wanted"] += 1
                continue
            if statement.values == "removed":
                fill = self._choice.fill
                reason = fill(statement) if fill else "statistics without values"
                if reason:
                    self.left_out[reason] += 1
                    continue
            if statement.session:
                self._commands.add(statement.command)
            if self.first_s is None:
                self.first_s = statement.started
            self.last_s = statement.started
            sql = statement.sql
            if not statement.failed and statement.command in _SIMPLE and sql.isascii():
                if ";" in sql:
                    statement.sql = sql = sql.rstrip("; \n\r\t")
                if is_whole(sql):
                    self.count += 1
                    self.databases[statement.database] += 1
                    yield statement
                    continue
            for piece in self._pieces(statement):
                self.count += 1
                self.databases[piece.database] += 1
                yield piece

    def _distinct(self, statements: Iterable[LoggedStatement]) -> Iterator[LoggedStatement]:
        """One statement of each normal form, the first, with their number and mean duration."""
        found: dict[bytes, LoggedStatement] = {}
        spent: dict[bytes, tuple[int, float]] = {}
        for statement in statements:
            if command_of(statement.command).effect == "block":
                continue
            form = normal_form(statement.sql).encode("utf-8", "surrogateescape")
            key = hashlib.blake2b(form, digest_size=16).digest()
            first = found.setdefault(key, statement)
            calls = statement.weight or 1
            first.weight = calls + (0 if first is statement else first.weight or 0)
            if statement.duration_s is not None:
                times, total = spent.get(key, (0, 0.0))
                spent[key] = times + calls, total + statement.duration_s * calls
        for key, first in found.items():
            times, total = spent.get(key, (0, 0.0))
            first.duration_s = total / times if times else None
        self.count = len(found)
        yield from found.values()

    def _all(self, logs: Iterable[Log]) -> Iterator[LoggedStatement]:
        for log in logs:
            if log.format.kind == "pg_stat_statements":
                with log.source.open() as read:
                    yield from read_stat_statements(read, log.source.name, self.left_out)
                continue
            unmatched = Unmatched(log.source.name, log.format.prefix)
            self._unmatched.append(unmatched)
            yield from self._reader.read(log.entries(unmatched), log.source.name)
        yield from self._reader.rest()

    def _pieces(self, statement: LoggedStatement) -> Sequence[LoggedStatement]:
        """The statement, or each of several that were sent as one; none if none can be sent."""
        sql = statement.sql
        if not statement.command:
            self.left_out["empty"] += 1
            return ()
        if not sql.isascii():
            try:
                sql.encode()
            except UnicodeEncodeError:
                self.left_out["not in UTF-8"] += 1
                return ()
        if statement.command == "COPY" and is_copy_from_stdin(sql):
            self.left_out["COPY FROM STDIN"] += 1
            return ()
        if not statement.failed and is_whole(sql):
            return (statement,)
        return self._split(statement)

    def _split(self, statement: LoggedStatement) -> Sequence[LoggedStatement]:
        try:
            found = statements_in(statement.sql, statement.file, statement.line)
        except WorkloadError:  # an open quote, or COPY with data that no log has
            self.left_out["no whole statement"] += 1
            return ()
        if len(found) == 1:
            if ";" in statement.sql:
                statement.sql = found[0].sql
            return (statement,)
        pieces = []
        for place, part in enumerate(found, 1):
            piece = statement.copy(part.sql, part.command)
            piece.label = f"{statement.label}.{place}"
            piece.duration_s = None  # that of all of them is known
            pieces.append(piece)
        return pieces


def write_jsonl(statements: Iterable[LoggedStatement], file: BinaryIO) -> None:
    """Write statements as lines of JSON, as a workload has them."""
    first: float | None = None
    heads: dict[tuple[str, str, str], str] = {}
    second, second_text = -1, ""
    lines: list[str] = []
    for statement in statements:
        started = statement.started
        if first is None:
            first = started
        who = (statement.database, statement.user, statement.application)
        head = heads.get(who)
        if head is None:
            # The server may have names that are not in UTF-8.
            shown = (name.encode("utf-8", "replace").decode() for name in who)
            database, user, application = map(_json, shown)
            head = f'"database": {database}, "user": {user}, "application": {application}'
            if len(heads) < _MOST_HEADS:
                heads[who] = head
        micros = round(started * 1e6)
        if micros // 1_000_000 != second:
            second = micros // 1_000_000
            second_text = datetime.fromtimestamp(second, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")
        if statement.weight is None:
            at_s = max(0.0, started - first)
            place = f'"session": {_json(statement.session)}, "at_s": {at_s:.6f}'
        else:
            place = f'"weight": {statement.weight}'
        # As json.dumps writes it, at a third of the cost.
        line = (
            f'{{"sql": {_json(statement.sql)}, "label": {_json(statement.label)}, {place}, {head}'
        )
        if micros:
            line += f', "started_at": "{second_text}.{micros % 1_000_000:06d}Z"'
        if statement.duration_s is not None:
            line += f', "duration_s": {statement.duration_s:.6f}'
        if statement.values:
            line += f', "values": "{statement.values}"'
        if statement.failed:
            line += ', "failed": true'
        lines.append(line + "}\n")
        if len(lines) == _BATCH:
            file.write("".join(lines).encode())
            lines.clear()
    file.write("".join(lines).encode())
