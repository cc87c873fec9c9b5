"""Knobs: settings of the whole server, written with ALTER SYSTEM, put in force, and undone."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from psycopg2 import sql as compose

from pilotcli.common.errors import (
    CapabilityError,
    DatabaseError,
    PilotError,
    QueryError,
    SteeringError,
)
from pilotcli.databases.changes.autoconf import (
    FileAutoConf,
    ServerAutoConf,
    not_allowed,
    system_identifier,
)
from pilotcli.databases.changes.changes import Changes
from pilotcli.databases.changes.log import Change
from pilotcli.databases.changes.undo import Undone, undo_settings
from pilotcli.databases.embedded.server import Mend
from pilotcli.databases.knobs.server_control import ServerControl, find_local_server
from pilotcli.databases.knobs.values import as_texts, require_known
from pilotcli.databases.session.connection import backends_of_this_process
from pilotcli.databases.session.session import PostgresSession
from pilotcli.databases.session.sessions import Sessions

_RELOAD_PATIENCE_S = 20.0
_OTHERS_PATIENCE_S = 3.0
_POLL_S = 0.005

_MAY_RELOAD = "has_function_privilege('pg_reload_conf()', 'EXECUTE')"
_WAITING = "SELECT name::text FROM pg_settings WHERE pending_restart ORDER BY 1"
_NO_RELOAD = "this role may not have the server reload them (pg_reload_conf)"


class Knobs:
    """The knobs of one target's server, and the server's process.

    Safe for several threads, one change at a time. Sessions of the target are closed by a restart;
    what uses them opens new ones.
    """

    def __init__(
        self, sessions: Sessions, changes: Changes, home: Path, control: ServerControl | None
    ) -> None:
        self._sessions = sessions
        self._changes = changes
        self._home = home
        self._control = control
        self._contexts: dict[str, str] = {}
        self._server: str | None = None
        self._backup = 0
        self._guard = threading.RLock()

    def set(self, knobs: Mapping[str, object]) -> None:
        """Set these knobs, all or none, and return when the server runs with them.

        The server is restarted where one of them needs it, else reloaded; queries that run during
        a restart fail. A server that does not start with them gets its old ones back and is
        started with those.

        Raises `SteeringError` for an unknown knob, a value that the server refuses or does not
        start with, or one that something else overrides; `CapabilityError` for what the role may
        not do, or where pilot cannot restart the server; `DatabaseError` when others use it.
        """
        with self._guard:
            settings = as_texts(knobs)
            if not settings:
                return
            # Kept open to the end: a knob may keep the server from taking new connections.
            with self._session() as session:
                restart = self._needs_restart(session, settings)
                if restart:
                    self._require_restart(session)
                changes = self._write_live(session, settings)
                try:
                    if restart:
                        self._restart()
                    else:
                        self._reload(session)
                    self._require_in_force(settings)
                except BaseException as error:
                    self._take_back(changes, restart, session)
                    if not isinstance(error, (DatabaseError, QueryError)):
                        raise
                    shown = ", ".join(f"{name} = {value}" for name, value in settings.items())
                    raise SteeringError(
                        f"the server does not work with {shown}; it has the old values again: "
                        f"{error.message}"
                    ) from error
            self._changes.settings_in_force()

    def write(self, knobs: Mapping[str, object]) -> None:
        """Write these knobs, all or none, for the next `restart` or reload to put in force; also
        while the server is shut down. Raises as `set` does."""
        with self._guard:
            settings = as_texts(knobs)
            if not settings:
                return
            if not self.is_running():
                self._write_to_file(settings)
                return
            with self._session() as session:
                self._needs_restart(session, settings)
                self._write_live(session, settings)

    def backup(self) -> None:
        """Remember the knobs as they are now; `recover` returns to them."""
        with self._guard:
            self._backup = max((change.change_id for change in self._changes.settings()), default=0)

    def recover(self) -> None:
        """Undo the changes of knobs since `backup`, or all of this target's.

        The server reloads its configuration; knobs that need a restart wait for the next one.
        """
        with self._guard:
            changes = self._changes.settings(since=self._backup)
            if not changes:
                return
            if not self.is_running():
                self._mender(changes)(self._required_control().data_dir)
                return
            with self._session() as session:
                self._undo_and_reload(changes, session)

    def restart(self) -> None:
        """Restart the server with what its configuration says.

        When it does not start, knobs that it has not run with yet are undone, and it is started
        again. Raises `SteeringError` then, else as `set` does.
        """
        with self._guard:
            if self.is_running():
                with self._session() as session:
                    self._require_restart(session)
                self._restart()
            else:
                self._start()

    def start(self) -> None:
        """Start the server unless it runs. Raises as `restart` does."""
        with self._guard:
            if not self.is_running():
                self._start()

    def shut_down(self) -> None:
        """Stop the server. Raises as `restart` does."""
        with self._guard:
            if not self.is_running():
                return
            with self._session() as session:
                self._require_restart(session)
                self._learn(session)
            self._required_control().shut_down()
            self._sessions.close()

    def is_running(self) -> bool:
        """Whether the server answers."""
        if self._control is not None and not self._control.is_running():
            return False
        try:
            with self._session():
                return True
        except DatabaseError:
            return False

    def why_fixed(self) -> PilotError | None:
        """Why this role cannot set knobs here; None if it can."""
        with self._session() as session:
            try:
                ServerAutoConf(session).read()
            except CapabilityError as error:
                return error
            ((version,),) = session.execute("SHOW server_version_num").rows
            may = "current_setting('is_superuser') = 'on'"
            if int(version) >= 150000:
                may += (
                    " OR EXISTS (SELECT FROM pg_settings"
                    " WHERE has_parameter_privilege(name, 'ALTER SYSTEM'))"
                )
            allowed = "coalesce(current_setting('allow_alter_system', true), 'on') = 'on'"
            ((able, reloads),) = session.execute(
                f"SELECT ({may}) AND {allowed}, {_MAY_RELOAD}"
            ).rows
            if not able:
                return not_allowed(session, "this role may not run ALTER SYSTEM")
            return None if reloads else not_allowed(session, _NO_RELOAD)

    def why_no_restart(self) -> PilotError | None:
        """Why the server cannot be restarted now, for knobs that need it; None if it can."""
        try:
            with self._guard, self._session() as session:
                self._require_restart(session)
        except PilotError as error:
            return error
        return None

    def undo(
        self, changes: Sequence[Change], work: Callable[[], list[Undone]], *, at_end: bool = False
    ) -> list[Undone]:
        """Have `work` undo `changes` on a running server, and put undone settings in force.

        A server that stops at the end of the target is not restarted for that; what is undone then
        stays in the log, to be `settled` once it has stopped.
        """
        with self._guard:
            if self._control is not None and not self._control.is_running():
                self._control.start(self._mender(changes))
            outcomes = work()
            if any(outcome.change.kind == "setting" for outcome in outcomes):
                ends = at_end and self._control is not None and self._control.ends_with_this()
                self._put_back_in_force(may_restart=not ends)
                if not ends:
                    self._changes.settled(outcomes)
            return outcomes

    def _put_back_in_force(self, *, may_restart: bool) -> None:
        with self._session() as session:
            self._reload(session)
            waiting = [row[0] for row in session.execute(_WAITING).rows]
            if not waiting or not may_restart:
                return
            try:
                self._require_restart(session)
            except PilotError as error:
                names = ", ".join(waiting)
                self._changes.warn(
                    f"set back, but in force only after a restart of the server: {names} "
                    f"({error.message})"
                )
                return
        self._restart()

    def _session(self) -> contextlib.closing[PostgresSession]:
        """A session that can undo every knob, also one that ends statements early."""
        return contextlib.closing(self._sessions.open_patient())

    def _learn(self, session: PostgresSession) -> None:
        """Note what must be known about a server once it is shut down."""
        self._server = self._changes.identity(session)
        self._contexts = dict(session.execute("SELECT lower(name), context FROM pg_settings").rows)

    def _needs_restart(self, session: PostgresSession, settings: Mapping[str, str]) -> bool:
        """Whether these settings need a restart. Raises `SteeringError` for unknown ones."""
        self._learn(session)
        require_known(settings, self._contexts)
        if session.execute(f"SELECT {_MAY_RELOAD}").rows != [(True,)]:
            raise not_allowed(session, _NO_RELOAD)
        return any(self._contexts.get(name) == "postmaster" for name in settings)

    def _write_live(self, session: PostgresSession, settings: Mapping[str, str]) -> list[Change]:
        server = self._changes.identity(session)
        try:
            return self._changes.write_settings(ServerAutoConf(session), server, settings)
        except QueryError as error:
            raise SteeringError(
                f"the server refuses a knob: {error.message}", hint=error.hint
            ) from error

    def _write_to_file(self, settings: Mapping[str, str]) -> None:
        require_known(settings, self._contexts)
        data_dir = self._required_control().data_dir
        server = self._server or system_identifier(data_dir)
        if server is None:
            raise DatabaseError(f"{data_dir} is not a database cluster that can be read")
        self._changes.write_settings(FileAutoConf(data_dir), server, settings)

    def _require_restart(self, session: PostgresSession) -> None:
        """Raise unless the server can be restarted now, and nobody else is connected to it."""
        if self._control is None:
            self._control = find_local_server(session, self._home)
        self._control.require()
        # A pilot that has just ended, or was killed, leaves its server processes for a moment.
        give_up_at = time.monotonic() + _OTHERS_PATIENCE_S
        while others := _others(session):
            if time.monotonic() < give_up_at:
                time.sleep(_POLL_S)
                continue
            raise DatabaseError(
                f"the server cannot be restarted now: others are connected: {', '.join(others)}",
                hint="Wait until they have ended, or choose knobs that need no restart.",
            )

    def _required_control(self) -> ServerControl:
        if self._control is None:
            raise CapabilityError(
                "the server does not run, and pilot does not know how to start it"
            )
        return self._control

    def _restart(self) -> None:
        self._bring_up(self._required_control().restart)

    def _start(self) -> None:
        self._bring_up(self._required_control().start)

    def _bring_up(self, start: Callable[[Mend], None]) -> None:
        """Start the server, and blame knobs that it has not run with yet if it does not come up."""
        suspects = self._changes.settings(unproven=True)
        try:
            start(self._mender())
        except DatabaseError as error:
            if not suspects or not self._required_control().is_running():
                raise
            shown = ", ".join(f"{change.name} = {change.detail['new']}" for change in suspects)
            raise SteeringError(
                f"the server does not start with {shown}; it runs with the old values again.\n"
                f"{error.message}"
            ) from error
        finally:
            self._sessions.close()
        self._changes.settings_in_force()

    def _mender(self, changes: Sequence[Change] | None = None) -> Mend:
        """A function that removes settings from the files of a server that does not run."""

        def mend(data_dir: Path) -> None:
            wanted = self._changes.settings(unproven=True) if changes is None else changes
            settings = [change for change in wanted if change.kind == "setting"]
            self._changes.settled(
                undo_settings(self._changes.log, FileAutoConf(data_dir), settings)
            )

        return mend

    def _take_back(
        self, changes: Sequence[Change], restart: bool, session: PostgresSession
    ) -> None:
        """Undo what `set` has written and could not put in force."""
        pending = {change.change_id for change in self._changes.settings()}
        still = [change for change in changes if change.change_id in pending]
        if not still:
            return
        if not restart:
            self._undo_and_reload(still, session)
            return
        control = self._required_control()
        control.shut_down()
        self._mender(still)(control.data_dir)
        control.start(self._mender(still))
        self._sessions.close()

    def _undo_and_reload(self, changes: Sequence[Change], session: PostgresSession) -> None:
        outcomes = undo_settings(self._changes.log, ServerAutoConf(session), changes)
        self._reload(session)
        self._changes.settled(outcomes)

    def _reload(self, session: PostgresSession) -> None:
        """Have the server read its configuration, and wait until its sessions have."""
        before = session.execute("SELECT pg_conf_load_time(), pg_reload_conf()").rows[0][0]
        give_up_at = time.monotonic() + _RELOAD_PATIENCE_S
        while session.execute("SELECT pg_conf_load_time()").rows[0][0] == before:
            if time.monotonic() > give_up_at:
                raise DatabaseError(
                    "the server does not reload its configuration",
                    hint="Its log says why; a line of a configuration file may be wrong.",
                )
            time.sleep(_POLL_S)

    def _require_in_force(self, settings: Mapping[str, str]) -> None:
        names = compose.SQL(", ").join(map(compose.Literal, settings))
        text = compose.SQL(
            "SELECT name::text, setting, source, pending_restart FROM pg_settings"
            " WHERE lower(name) IN ({})"
        ).format(names)
        with contextlib.closing(self._sessions.open_plain()) as session:
            found = session.execute(text.as_string(session.connection)).rows
        for name, value, source, waits in found:
            if waits:
                raise SteeringError(f"the knob {name} is not in force without a restart")
            if source not in _IN_FORCE:
                raise SteeringError(
                    f"the knob {name} is set, but not in force: {_BY.get(source, source)} "
                    f"makes it {value}",
                    hint="Remove it there, or set it for each query as a hint.",
                )


_IN_FORCE = ("configuration file", "override")
"""Sources of a setting that comes from a knob. A server overrides only a value that leaves the
choice to it (`wal_buffers = -1`), however that is written, with what it has computed
(PostgreSQL manual 19.4)."""

_BY = {
    "command line": "the server's command line",
    "database": "ALTER DATABASE ... SET",
    "user": "ALTER ROLE ... SET",
    "database user": "ALTER ROLE ... IN DATABASE ... SET",
    "client": "the connection string or PGOPTIONS",
}
"""Sources of a setting that go before the configuration files (PostgreSQL manual 53.24)."""


def _others(session: PostgresSession) -> list[str]:
    ours = backends_of_this_process()
    rows = session.execute(
        "SELECT pid, coalesce(nullif(application_name, ''), 'unnamed') FROM pg_stat_activity"
        " WHERE backend_type = 'client backend' ORDER BY pid"
    ).rows
    return [f"process {pid} ({name})" for pid, name in rows if pid not in ours]
