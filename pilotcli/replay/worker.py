"""One worker of a replay: its session, and how it continues after a lost connection."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from pilotcli.common.errors import DatabaseError, Interrupted, PilotError, QueryError
from pilotcli.common.records import Query, QueryResult
from pilotcli.common.signals import Notice
from pilotcli.common.sql_commands import block_step, may_repeat, words_where
from pilotcli.config.model import RunSection
from pilotcli.databases.protocols import DropsBuffers, Rows, Session, StartsAgain
from pilotcli.replay.hooks import before_each
from pilotcli.replay.scheduler import Answer, PilotScheduler
from pilotcli.replay.units import KEPT, ends_block, remember

FIRST_PAUSE_S = 0.05
LONGEST_PAUSE_S = 2.0
_BLOCK_LOST = DatabaseError("not run: the connection was lost inside its transaction block")
_LEAVES_NO_STATE = words_where(lambda command: command.effect in ("nothing", "database"))
"""Commands after which a session, outside of a block, is as it was."""


@dataclass(slots=True, eq=False)
class Worker:
    """Replays units in a session of its own; used by one thread.

    After a lost connection the worker waits for the server, for `run.reconnect` seconds at most; it
    starts the embedded server if that has died. It repeats in the new session the settings that the
    workload has made in the old one, and the statements of an open block, which the server has
    rolled back. It repeats the lost statement if the statement only reads, changes its session
    alone, or ran inside such a block. Nobody knows whether another statement took effect, so its
    error is its result.
    """

    scheduler: PilotScheduler
    options: RunSection
    stop: threading.Event
    sessions: list[Session]
    number: int
    _session: Session | None = field(default=None, init=False)
    _settings: list[Query] = field(default_factory=list, init=False)
    _block: list[Query] = field(default_factory=list, init=False)
    _block_lost: bool = field(default=False, init=False)

    def connect(self) -> None:
        """Open the session. Raises `DatabaseError`."""
        self._session = self.scheduler.open_session(self.options.timeout)
        self.sessions.append(self._session)

    def repeat(self, queries: Sequence[Query]) -> None:
        """Run queries again, without a record, to bring a new session to the same state."""
        session = self._open()
        for query in queries:
            with contextlib.suppress(QueryError):
                session.execute(query.sql, query.copy)
            remember(query, self._settings, self._block)

    def rows_of(self, query: Query) -> Rows:
        """The rows of a query, which is run without a record. Raises `QueryError`."""
        return self._ready().execute(query.sql, query.copy)

    def warm(self, query: Query, round: int) -> None:
        """Run a query of the warm-up round `round`, from 0."""
        self.scheduler.warm(self._prepared(), query, round, self.number)
        self._note(query)

    def run(
        self, query: Query, round: int, answer: Answer | None = None, due: float | None = None
    ) -> QueryResult:
        """Run a query and record its result; `answer` and `due` as in `PilotScheduler.walk`."""
        session = self._prepared()
        refused = _BLOCK_LOST if self._block_lost else None
        result, _, _ = self.scheduler.walk(
            session,
            query,
            round,
            self.number,
            refused=refused,
            lost=self._lost,
            answer=answer,
            due=due,
        )
        if refused is not None:
            self._block_lost = not ends_block(query)
        else:
            self._note(query)
        return result

    def leave(self) -> None:
        """Close the session; an open transaction is rolled back."""
        session = self._session
        if session is None:
            return
        if session in self.sessions:
            self.sessions.remove(session)
        try:
            if not session.closed and session.in_transaction:
                session.rollback()
        except PilotError as exc:
            self.scheduler.bus.emit(Notice("warning", exc.message))
        session.close()

    def _open(self) -> Session:
        assert self._session is not None
        return self._session

    def _note(self, query: Query) -> None:
        """Record what a new session needs after this query."""
        if self._open().closed:
            # The block, if there was one, is gone with the connection.
            begun = self._block or block_step(query.command, query.sql).begins
            self._block_lost = bool(begun) and not ends_block(query)
            self._block.clear()
        elif self._block or query.command not in _LEAVES_NO_STATE:
            remember(query, self._settings, self._block)
            if self._block and not self._open().in_transaction:
                self._block.clear()

    def _prepared(self) -> Session:
        """Returns the session, after what the config does before each query."""
        if self.options.cold and not (self._block or self._block_lost):
            self._restart_server()
        session = self._ready()
        if self.options.before_each and not self._block_lost and not session.in_transaction:
            before_each(self.options, session, self.stop)
        return session

    def _ready(self) -> Session:
        """Returns the session, a new one if it is gone: an event may have restarted the server."""
        if self._open().closed:
            block = self._block[:]
            self._block.clear()
            self._reconnect()
            if len(block) < KEPT:
                self.repeat(block)
            else:
                self._block_lost = True
        return self._open()

    def _lost(self, query: Query) -> Session | None:
        """Returns a session in which to run `query` again after its connection was lost; None where
        it must not run again. Raises `DatabaseError` when the server stays away."""
        if self.stop.is_set():
            return None
        if self._block:
            ends = block_step(query.command, query.sql).ends
            repeat = not ends and len(self._block) < KEPT
        else:
            repeat = may_repeat(query.command, query.sql)
        return self._ready() if repeat else None

    def _reconnect(self) -> None:
        """Try to open a new session, with growing pauses, for `run.reconnect` seconds at most.

        Raises `DatabaseError` when that was too short, `Interrupted` when a stop is requested.
        """
        lost = self._open()
        if lost in self.sessions:
            self.sessions.remove(lost)
        bus = self.scheduler.bus
        began, pause_s, tries = time.monotonic(), FIRST_PAUSE_S, 0
        while True:
            if self.stop.is_set():
                raise Interrupted("stopped while the server was away")
            tries += 1
            try:
                self._start_server_again()
                self.connect()
                break
            except DatabaseError as exc:
                left_s = self.options.reconnect - (time.monotonic() - began)
                if left_s <= 0:
                    raise DatabaseError(
                        f"the server did not come back within {self.options.reconnect:g} s: "
                        f"{exc.message}",
                        hint="Continue when it is there again: pilot run --resume",
                    ) from exc
                if tries == 1:
                    bus.emit(Notice("warning", f"the connection was lost; waiting {left_s:.0f} s"))
                self.stop.wait(min(pause_s, left_s))
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
        bus.emit(Notice("warning", "the connection was lost; connected again"))
        self._repeat_settings()

    def _start_server_again(self) -> None:
        """Start the server if pilot runs it, and it has died. Raises `DatabaseError`."""
        target = self.scheduler.target
        if isinstance(target, StartsAgain) and target.start_again():
            self.scheduler.bus.emit(Notice("warning", "the server had ended; it was started again"))

    def _restart_server(self) -> None:
        """Restart the server, and bring a new session to the state of the old one."""
        target = self.scheduler.target
        assert isinstance(target, DropsBuffers)
        session = self._open()
        if session in self.sessions:
            self.sessions.remove(session)
        session.close()
        target.drop_buffers()
        self.connect()
        self._repeat_settings()

    def _repeat_settings(self) -> None:
        for query in self._settings:
            with contextlib.suppress(QueryError):
                self._open().execute(query.sql, query.copy)
