"""The changes that one target makes to its server, and how they are undone."""

from __future__ import annotations

import atexit
import contextlib
import os
import threading
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from pilotcli.common.errors import CapabilityError, DatabaseError, QueryError
from pilotcli.common.liveness import Hold
from pilotcli.databases.changes.autoconf import (
    AutoConf,
    FileAutoConf,
    ServerAutoConf,
    system_identifier,
)
from pilotcli.databases.changes.home_lock import Claim, claim_indexes, claim_settings
from pilotcli.databases.changes.log import Book, Change, ChangeLog, Entry, Owner
from pilotcli.databases.changes.objects import drop_indexes, make_extension, make_index
from pilotcli.databases.changes.undo import Undone, undo_changes, undo_settings
from pilotcli.databases.session.connection import Server, connect_patiently
from pilotcli.databases.session.session import PostgresSession

UNDOING = "pilot undo"
"""The name of sessions that undo, by which they know each other."""

ReportLine = Callable[[str], None]


class Changes:
    """What one target has changed beyond its queries; undone when the target is closed.

    Every change is in the log of the home folder before it is made. Safe for several threads.
    `report_line` gets a line about each change that is undone, or cannot be; without it, the latter
    is a Python warning.
    `at_exit` is called when the process ends before `end`.
    """

    def __init__(
        self,
        server: Server,
        home: Path,
        *,
        report_line: ReportLine | None = None,
        at_exit: Callable[[], None],
    ) -> None:
        self.log = ChangeLog(home)
        self.owner = Owner.new()
        self._server = server
        self._report_line = report_line
        self._guard = threading.RLock()
        self._books: dict[str, Book] = {}
        self._home = home
        self._claim = claim_settings(home, self._connect)
        self._index_claims: dict[str, Claim] = {}
        self._at_exit = at_exit
        self._life: Hold | None = None
        """Held from the first change to the end."""

    def make_index(self, session: PostgresSession, name: str, statement: str) -> int:
        """See `objects.make_index`. Raises `CapabilityError` while a pilot of another home changes
        the database's indexes."""
        self._claim_of_indexes(session.connection.info.dbname).take()
        self._begin()
        return make_index(session, self._book(session), name, statement)

    def drop_indexes(self, session: PostgresSession, oids: Sequence[int]) -> None:
        """See `objects.drop_indexes`. Raises `CapabilityError` as `make_index` does."""
        self._claim_of_indexes(session.connection.info.dbname).take()
        self._begin()
        drop_indexes(session, self._book(session), oids)

    def make_extension(self, session: PostgresSession, name: str) -> None:
        """See `objects.make_extension`."""
        self._begin()
        make_extension(session, self._book(session), name)

    def write_settings(
        self, conf: AutoConf, server: str, settings: Mapping[str, str | None]
    ) -> list[Change]:
        """Write `settings` with ALTER SYSTEM, all or none; None removes a setting.

        `server` is the cluster's system identifier. The server has still to act on them. Raises
        `QueryError` when the server refuses one, `CapabilityError` when it takes none, or a pilot
        of another home is changing its settings.
        """
        if isinstance(conf, ServerAutoConf):
            self._claim.take()
        self._begin()
        with self.log.writing() as pen:
            before = conf.read()
            entries = [
                Entry("setting", name, {"old": before.get(name), "new": value})
                for name, value in settings.items()
            ]
            book = Book(self.log, self.owner, server, self._server.where)
            changes = pen.plan(book, entries)
        try:
            for change in changes:
                conf.write(change.name, change.detail["new"])
        except BaseException:
            self.settled(undo_settings(self.log, conf, changes))
            raise
        with self.log.writing() as pen:
            after = conf.read()
            for change in changes:
                # The server writes some values otherwise than they were given.
                detail = {**change.detail, "new": after.get(change.name)}
                pen.update(change.change_id, detail=detail, state="done")
        return changes

    def settings_in_force(self) -> None:
        """Note that the server runs with all settings written so far."""
        try:
            for claim in self._claims():
                if claim is self._claim or claim.is_taken:
                    claim.take()  # a restart has ended it
        except (CapabilityError, DatabaseError) as error:
            self.warn(f"what this run has changed may not come back as it was: {error.message}")
        with self.log.writing() as pen:
            for change in self._settings(pen.pending(token=self.owner.token)):
                pen.update(change.change_id, state="in force")

    def settings(self, *, since: int = 0, unproven: bool = False) -> list[Change]:
        """This target's changes of settings after the one numbered `since`; with `unproven` those
        that the server was not seen to run with."""
        return [
            change
            for change in self._settings(self.log.pending(token=self.owner.token))
            if change.change_id > since and not (unproven and change.state == "in force")
        ]

    def settled(self, outcomes: Sequence[Undone]) -> None:
        """Forget changes of settings on whose undoing the server has acted."""
        self.log.forget(
            outcome.change.change_id
            for outcome in outcomes
            if outcome.change.kind == "setting" and outcome.outcome != "left"
        )

    def own(self, *, since: int = 0) -> list[Change]:
        """This target's changes after the one numbered `since` that are not undone."""
        with self._guard:
            if self._life is not None:
                self.log.keep(self._life)
        own = self.log.pending(token=self.owner.token)
        return [change for change in own if change.change_id > since]

    def keep(self) -> None:
        """Let all that was changed so far stay as it is."""
        self.log.forget(change.change_id for change in self.own())

    def undo(self, *, since: int = 0) -> list[Undone]:
        """Undo what this target has changed after `since`; settings are left to be acted on."""
        return self._undo(self.own(since=since))

    def of_the_dead(self) -> list[Change]:
        """Changes of this server whose pilots have ended without undoing them. Warns of those of
        other servers."""
        self.log.remove_left_locks()
        if not any(map(self.log.is_left, self.log.pending())):
            return []
        with contextlib.closing(self._connect("")) as session:
            server = self.identity(session)
        left = list(filter(self.log.is_left, self.log.pending()))
        for place in sorted({change.place for change in left if change.server != server}):
            self.warn(
                f"not undone, changes of an earlier pilot on another server ({place}): "
                "`pilot db undo` undoes them with the config of that server"
            )
        return [change for change in left if change.server == server]

    def undo_left(self, changes: Sequence[Change]) -> list[Undone]:
        """Undo changes that `of_the_dead` has found; settings are left to be acted on."""
        try:
            return self._undo(changes)
        finally:
            if not self.has_begun:
                self.release_claims()

    def _report(self, outcomes: Sequence[Undone]) -> None:
        for outcome in outcomes:
            if not outcome.text:
                continue
            if outcome.outcome == "left":
                self.warn(f"not undone, {outcome.text} (`pilot db undo` tries again)")
            elif self._report_line is not None:
                self._report_line(f"undone: {outcome.text}")

    def warn(self, text: str) -> None:
        """Report something that the user has to see."""
        if self._report_line is not None:
            self._report_line(text)
        else:
            warnings.warn(text, RuntimeWarning, stacklevel=2)

    def identity(self, session: PostgresSession) -> str:
        """The system identifier of the session's server, or where it is, if it does not say."""
        return self._book(session).server

    @property
    def has_begun(self) -> bool:
        """Whether this target has made changes."""
        return self._life is not None

    def end(self) -> None:
        """No more changes come from this target, and all are undone that can be."""
        self.release_claims()
        with self._guard:
            life, self._life = self._life, None
        if life is not None:
            life.release()
            atexit.unregister(self._exit)

    def _undo(self, changes: Sequence[Change]) -> list[Undone]:
        """Undo `changes`, except those that a pilot of another home has changed again: that pilot
        must undo its own change first."""
        refusals = {claim: _refusal(claim) for claim in set(map(self._claim_for, changes))}
        refused: list[Undone] = []
        ours: list[Change] = []
        for change in changes:
            if why := refusals[self._claim_for(change)]:
                refused.append(Undone(change, "left", f"{change.name}: {why}"))
            else:
                ours.append(change)
        found = undo_changes(self.log, self._connect, ours) if ours else []
        self._report([*refused, *found])
        return [*refused, *found]

    def _claim_for(self, change: Change) -> Claim | None:
        """What is to be held while `change` is undone."""
        if change.kind == "setting":
            return self._claim
        if change.kind in ("index made", "index dropped"):
            return self._claim_of_indexes(change.database)
        return None

    def _claim_of_indexes(self, database: str) -> Claim:
        with self._guard:
            if database not in self._index_claims:
                made = claim_indexes(self._home, self._connect, database)
                self._index_claims[database] = made
            return self._index_claims[database]

    def _claims(self) -> list[Claim]:
        with self._guard:
            return [self._claim, *self._index_claims.values()]

    def release_claims(self) -> None:
        """Let pilots of other homes change the server's settings and indexes."""
        for claim in self._claims():
            claim.release()

    def _settings(self, changes: Sequence[Change]) -> list[Change]:
        return [change for change in changes if change.kind == "setting"]

    def _begin(self) -> None:
        with self._guard:
            if self._life is None:
                self._life = self.log.hold(self.owner)
                atexit.register(self._exit)
            else:
                self.log.keep(self._life)

    def _exit(self) -> None:
        if os.getpid() == self.owner.pid:
            self._at_exit()

    def _book(self, session: PostgresSession) -> Book:
        name = session.connection.info.dbname
        with self._guard:
            book = self._books.get(name)
        if book is None:
            ((oid,),) = session.execute(
                "SELECT oid::int8 FROM pg_database WHERE datname = current_database()"
            ).rows
            server = _system_identifier_of(session) or self._server.where
            book = Book(self.log, self.owner, server, self._server.where, (oid, name))
            with self._guard:
                self._books[name] = book
        return book

    def _connect(self, database: str) -> PostgresSession:
        """A session to undo changes in `database`; without a name in the server's, or any other."""
        server = self._server
        names = [database] if database else [server.database, "postgres", "template1"]
        for number, name in enumerate(names, 1):
            try:
                connection = connect_patiently(server.with_database(name) if name else server)
            except DatabaseError:
                if number == len(names):
                    raise
                continue
            session = PostgresSession(connection, server.where)
            session.execute(f"SET application_name = '{UNDOING}'")
            return session
        raise AssertionError("there is at least one name to try")


def _refusal(claim: Claim | None) -> str:
    """Why `claim` cannot be taken; empty when it is taken now."""
    try:
        if claim is not None:
            claim.take()
    except CapabilityError as error:
        return error.message
    except DatabaseError:
        pass  # undoing finds out whether the server or the database is gone
    return ""


def _system_identifier_of(session: PostgresSession) -> str | None:
    """Which cluster the session is connected to; None where its owner keeps that secret."""
    try:
        rows = session.execute("SELECT system_identifier::text FROM pg_control_system()").rows
    except QueryError:
        return None
    return str(rows[0][0])


def mend_stopped_server(
    home: Path, report_line: ReportLine | None = None
) -> Callable[[Path], None]:
    """A function that undoes, in the files of a server that does not run, the settings that killed
    pilots of `home` have left there. Such a setting may keep the server from starting."""

    def mend(data_dir: Path) -> None:
        log = ChangeLog(home)
        left = [
            change for change in log.pending() if change.kind == "setting" and log.is_left(change)
        ]
        server = system_identifier(data_dir) if left else None
        here = [change for change in left if change.server == server]
        if not here:
            return
        outcomes = undo_settings(log, FileAutoConf(data_dir), here)
        log.forget(outcome.change.change_id for outcome in outcomes)
        for outcome in outcomes:
            if report_line is not None and outcome.text:
                report_line(f"undone: {outcome.text}")

    return mend
