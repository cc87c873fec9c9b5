"""PostgreSQL as a target: its sessions, its changes and its knobs."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence

from pilotcli.common.errors import PilotError
from pilotcli.config.pilot_config import PilotConfig
from pilotcli.databases.changes.changes import Changes
from pilotcli.databases.changes.undo import Undone
from pilotcli.databases.embedded.server import EmbeddedServer
from pilotcli.databases.knobs.knobs import Knobs
from pilotcli.databases.knobs.server_control import ServerControl
from pilotcli.databases.objects import read_objects
from pilotcli.databases.protocols import DatabaseObjects, ServerFacts
from pilotcli.databases.server_facts import read_facts
from pilotcli.databases.session.connection import Server
from pilotcli.databases.session.session import PostgresSession
from pilotcli.databases.session.sessions import Sessions


class PostgresTarget:
    """A PostgreSQL, ready to be connected to; implements `Target`, `UndoesChanges` and
    `StartsAgain`.

    `name` says where the server is, None for its address. `release` is called once, when the
    target is closed. `control` is that over the server's process, where pilot has it. `report_line`
    gets a line about each change that is undone when the target is opened and closed.
    """

    def __init__(
        self,
        config: PilotConfig,
        server: Server,
        *,
        name: str | None = None,
        release: Callable[[], None] | None = None,
        control: ServerControl | None = None,
        report_line: Callable[[str], None] | None = None,
    ) -> None:
        self.config = config
        self._release = release or (lambda: None)
        self._control = control
        self._sessions = Sessions(server, config, name=name)
        self.description = self._sessions.description
        self.server_version = self._sessions.version
        self.changes = Changes(server, config.home, report_line=report_line, at_exit=self.close)
        self.not_undone: Sequence[str] = ()
        self.knobs = Knobs(self._sessions, self.changes, config.home, control)

    def session(
        self, *, timeout_s: float | None = None, max_rows: int | None = None
    ) -> PostgresSession:
        """Open a session; see `Target.session`."""
        return self._sessions.open(timeout_s=timeout_s, max_rows=max_rows)

    def objects(self) -> DatabaseObjects:
        """The views, functions and unique keys of the database; see `HasObjects`."""
        with contextlib.closing(self.plain_session()) as session:
            # An open transaction of the workload may hold a table that a view reads.
            session.execute("SET lock_timeout = '100ms'")
            return read_objects(lambda sql: session.execute(sql).rows)

    def facts(self) -> ServerFacts:
        """The server's build, its changed settings and its extensions; see `HasFacts`."""
        with contextlib.closing(self.plain_session()) as session:
            return read_facts(lambda sql: session.execute(sql).rows)

    def plain_session(self) -> PostgresSession:
        """Open a session with the server's own settings, without the config's."""
        return self._sessions.open_plain()

    def undo_left(self) -> list[Undone]:
        """Undo changes that killed pilots have left on this server. Raises `DatabaseError`."""
        left = self.changes.of_the_dead()
        return self.knobs.undo(left, lambda: self.changes.undo_left(left)) if left else []

    def has_changes(self) -> bool:
        """Whether something is changed through this target now, and not undone."""
        return self.changes.has_begun and bool(self.changes.own())

    def drop_buffers(self) -> None:
        """Restart the server; see `DropsBuffers`."""
        self.knobs.restart()

    def start_again(self) -> bool:
        """Start the embedded server if it has died; see `StartsAgain`."""
        if not isinstance(self._control, EmbeddedServer) or not self._control.has_died():
            return False
        self.knobs.start()
        return True

    @contextlib.contextmanager
    def all_or_none(self) -> Iterator[None]:
        """Undo what is changed through this target meanwhile if the body raises."""
        with contextlib.ExitStack() as undoing:
            undoing.callback(self._undo_since, self._last_change())
            yield
            undoing.pop_all()

    @contextlib.contextmanager
    def for_a_while(self) -> Iterator[None]:
        """Undo what is changed through this target meanwhile, however the body ends."""
        last = self._last_change()
        try:
            yield
        finally:
            self._undo_since(last)

    def _last_change(self) -> int:
        return max((change.change_id for change in self.changes.own()), default=0)

    def _undo_since(self, last: int) -> None:
        if made := self.changes.own(since=last):
            self.knobs.undo(made, lambda: self.changes.undo(since=last))

    def close(self) -> None:
        """Undo what was changed through this target, and let go of it; safe to call twice.

        What cannot be undone is reported, and stays in the log for the next start.
        """
        undone: Sequence[Undone] = ()
        try:
            undone = self._undo_own()
        finally:
            self.changes.release_claims()
            release, self._release = self._release, lambda: None
            try:
                release()
                self.changes.settled(undone)
            finally:
                self.changes.end()

    def _undo_own(self) -> Sequence[Undone]:
        try:
            if not self.has_changes():
                return ()
            undone = self.knobs.undo(self.changes.own(), self.changes.undo, at_end=True)
        except PilotError as error:
            self.not_undone = [error.message]
            self.changes.warn(f"not undone: {error.message} (`pilot db undo` tries again)")
            return ()
        self.not_undone = [one.text for one in undone if one.outcome == "left" and one.text]
        return undone
