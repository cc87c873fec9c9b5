"""Statements from the entries of a log, in the order in which they began."""

from __future__ import annotations

import copy
import heapq
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from pilotcli.common.sql_commands import block_step, command_of, leading_keyword
from pilotcli.workload.logs.entries import ERRORS, Entry, damaged
from pilotcli.workload.logs.parameters import fill
from pilotcli.workload.logs.plans import planned_statement, planned_text

MOST_HELD = 20_000
"""Statements that wait for one that began before them. A statement that ran while so many others
began comes after them."""
MOST_HELD_CHARS = 1 << 23
_MOST_SESSIONS = 20_000

_ROUNDING_S = 0.002
# fmt: off
_AROUND_PLANS = frozenset((
    "EXECUTE", "EXPLAIN", "DO", "CALL", "FETCH", "MOVE", "CLOSE", "COMMIT", "END", "REFRESH",
    "CREATE", "COPY",
))
# fmt: on
"""Commands that run queries whose text is not their own."""

_MESSAGE = re.compile(
    r"(?:duration: (\d+(?:\.\d+)?) ms(?:  |\s*$))?"
    r"(?:(statement): |(execute) (fetch from )?[^:\n]*(?::(?! )[^:\n]*)*: "
    r"|(parse|bind) |(plan):\n)?"
)

_SESSION = re.compile(r"[0-9a-f]+\.[0-9a-f]+|[0-9]+", re.ASCII)
"""How a server names a session, or its process."""

_WORD = re.compile(r"([A-Za-z]+)[\s;(]")
"""The first word, where no comment is before it."""


class LoggedStatement:
    """One statement of a log.

    - `started`: when it began, in seconds since 1970;
    - `duration_s`: how long it ran, None where the log does not say;
    - `failed`: the log has its error;
    - `label`: its session and the number of its entry there;
    - `mean_rows`: how many rows it returned, on the mean, if that is known;
    - `values`: `removed` where it has `$1` in their place, `sampled` where pilot has chosen them;
      otherwise empty.
    """

    __slots__ = (
        "application", "command", "database", "dropped", "duration_s", "failed", "file", "label",
        "line", "mean_rows", "session", "sql", "started", "user", "values", "weight",
    )  # fmt: skip

    def __init__(self, entry: Entry, file: str, sql: str, command: str) -> None:
        self.sql = sql
        self.command = command
        self.session = entry.session
        self.database = entry.database
        self.user = entry.user
        self.application = entry.application
        self.label = f"{entry.session}/{entry.number}"
        self.started = entry.time
        self.duration_s: float | None = None
        self.failed = False
        self.dropped = False  # the log has it twice
        self.weight: int | None = None
        self.mean_rows: float | None = None
        self.values = ""
        self.file = file
        self.line = entry.line

    def copy(self, sql: str, command: str) -> LoggedStatement:
        """Returns the same with another text."""
        made = copy.copy(self)
        made.sql, made.command = sql, command
        return made


class _Session:
    """What is known of a session: its last statement, and its transaction block."""

    __slots__ = ("aborted", "in_block", "last", "plan", "plan_text", "runs", "started", "text")

    def __init__(self) -> None:
        self.last: LoggedStatement | None = None
        self.runs = False  # the end of `last` may still be logged
        self.plan: LoggedStatement | None = None  # the last one that auto_explain has logged
        self.plan_text = ""
        self.text = ""  # of `last`, as logged
        self.started = 0.0
        self.in_block = False
        self.aborted = False


class StatementReader:
    """Puts the entries of a log together.

    `left_out` counts what has no statement that can be sent: `failed`, `without values`; what is
    not from where it is wanted (`comes_from`) counts as `not wanted`. A COMMIT of a block in which
    a statement failed becomes the ROLLBACK that it was.
    """

    def __init__(
        self,
        comes_from: Callable[[LoggedStatement | Entry], bool] | None = None,
        *,
        with_failed: bool = False,
    ) -> None:
        self.left_out: Counter[str] = Counter()
        self._comes_from = comes_from
        self._with_failed = with_failed
        self._sessions: dict[str, _Session] = {}
        self._held: list[tuple[float, int, LoggedStatement]] = []
        self._held_chars = 0
        self._count = 0

    def read(self, entries: Iterable[Entry], file: str) -> Iterator[LoggedStatement]:
        """Yields statements as soon as enough later ones are known; `rest` has the last ones."""
        held, take = self._held, self._take
        for entry in entries:
            take(entry, file)
            while len(held) > MOST_HELD or self._held_chars > MOST_HELD_CHARS:
                statement = self._next()
                if statement is not None:
                    yield statement

    def rest(self) -> Iterator[LoggedStatement]:
        """Yields the statements that are left at the end of the last file."""
        while self._held:
            statement = self._next()
            if statement is not None:
                yield statement

    def _next(self) -> LoggedStatement | None:
        statement = heapq.heappop(self._held)[2]
        self._held_chars -= len(statement.sql)
        if statement.dropped:
            return None
        if statement.failed and not self._with_failed:
            self._leave_out("failed", statement)
            return None
        return statement

    def _leave_out(self, reason: str, sender: LoggedStatement | Entry) -> None:
        wanted = self._comes_from is None or self._comes_from(sender)
        self.left_out[reason if wanted else "not wanted"] += 1

    def _take(self, entry: Entry, file: str) -> None:
        session = self._sessions.get(entry.session)
        if session is None:
            session = self._new_session(entry, file)
        logged = entry.severity == "LOG"
        if not logged and entry.severity in ERRORS:
            self._fail(session, entry, file)
            return
        if entry.query:
            return  # raised by that statement: the server logs statements by themselves
        message = entry.message
        found = _MESSAGE.match(message)
        assert found is not None  # each part may be missing
        spent, statement, execute, fetch, _, plan = found.groups()
        if statement is None and execute is None:
            if plan is not None and spent is not None:
                self._plan(session, entry, file, message[found.end() :], spent)
            elif logged and spent is not None and found.end() == len(message):
                self._end(session, _seconds(spent, entry, file))
            return
        if not logged:
            return  # raised, too: below ERROR the server does not say by which statement
        text = message[found.end() :]
        sql: str | None = text
        if fetch is not None:
            self._leave_out("a further fetch", entry)
            return
        if execute is not None:
            sql = fill(text, entry.detail)
            if sql is None:
                self._leave_out("without values", entry)
                session.runs = False
                return
        assert sql is not None
        session.text = text
        made = self._add(session, entry, file, sql, spent)

        if session.plan is not None:
            self._forget_plan(session, made, text)

    def _plan(self, session: _Session, entry: Entry, file: str, plan: str, spent: str) -> None:
        """Take the statement of auto_explain's entry, unless the log has it already."""
        if entry.context:
            return  # it was run by a function, whose statement is logged
        found = planned_text(plan)
        if found is None:
            self._leave_out("plan without a query", entry)
            return
        text, parameters = found
        if session.text and text.strip() == session.text.strip():
            if not session.runs:
                session.text = ""  # with the extended protocol, the plan comes after the statement
            return
        if session.runs and session.last is not None and session.last.command in _AROUND_PLANS:
            return
        if session.plan is not None and session.plan_text == text and ";" in text.rstrip("; \n"):
            return  # one plan for each of the statements that were sent as one
        sql = planned_statement(text, parameters)
        if sql is None:
            self._leave_out("plan without values", entry)
            return
        made = self._add(session, entry, file, sql, spent)
        session.plan, session.plan_text = made, text

    def _forget_plan(self, session: _Session, made: LoggedStatement, text: str) -> None:
        """Drop the statement of a plan that the log has once more, as `made`."""
        plan = session.plan
        session.plan = None
        if plan is not None and made.duration_s is not None:
            within = plan.started >= made.started - _ROUNDING_S
            if session.plan_text.strip() == text.strip():
                plan.dropped = True
                session.text = ""
            elif within and made.command in _AROUND_PLANS:
                plan.dropped = True

    def _add(
        self, session: _Session, entry: Entry, file: str, sql: str, spent: str | None
    ) -> LoggedStatement:
        word = _WORD.match(sql)
        command = word[1].upper() if word else leading_keyword(sql)
        if command_of(command).effect == "block":
            step = block_step(command, sql)
            if step.ends:
                if session.aborted and step.keeps:
                    sql, command = "ROLLBACK", "ROLLBACK"
                session.in_block = session.aborted = False
            elif session.aborted and command == "ROLLBACK":
                session.aborted = False  # to a savepoint
            if step.begins:
                session.in_block, session.aborted = True, False
        made = LoggedStatement(entry, file, sql, command)
        if spent is not None:
            made.duration_s = _seconds(spent, entry, file)
            made.started -= made.duration_s
        # Times are whole milliseconds, so what began later may seem to have begun before.
        made.started = session.started = max(made.started, session.started)
        session.last = made
        session.runs = spent is None
        self._count += 1
        self._held_chars += len(sql)
        heapq.heappush(self._held, (made.started, self._count, made))
        return made

    def _end(self, session: _Session, spent_s: float) -> None:
        """Note the duration of the statement that an entry before has."""
        if session.runs and session.last is not None:
            session.last.duration_s = spent_s
        session.runs = False

    def _fail(self, session: _Session, entry: Entry, file: str) -> None:
        failed = session.last if session.runs else None
        if entry.severity == "FATAL" and not entry.query:
            failed = None  # the session ended while it waited for the next one
        if entry.query and entry.query.strip() != session.text.strip():
            failed = None  # one that was not logged when it began: its parsing failed
        if failed is None and entry.query:
            sql = fill(entry.query, "")
            if sql is None:
                self._leave_out("failed", entry)
            else:
                failed = self._add(session, entry, file, sql, None)
        if failed is not None:
            if block_step(failed.command, failed.sql).ends:
                failed.sql = failed.command = "ROLLBACK"  # a COMMIT that failed ends its block, too
            else:
                failed.failed = True
        session.runs = False
        session.aborted = session.in_block

    def _new_session(self, entry: Entry, file: str) -> _Session:
        name, sessions = entry.session, self._sessions
        if _SESSION.fullmatch(name) is None:
            raise damaged("the entry has no session", file, entry.line)
        if len(sessions) >= _MOST_SESSIONS:
            for old in list(sessions)[: _MOST_SESSIONS // 2]:
                if not sessions[old].in_block:
                    del sessions[old]
        made = sessions[name] = _Session()
        return made


def _seconds(spent: str, entry: Entry, file: str) -> float:
    seconds = float(spent) / 1000
    if not seconds <= entry.time:
        raise damaged(
            f"the duration {spent[:30]} ms is longer than there are dates", file, entry.line
        )
    return seconds
