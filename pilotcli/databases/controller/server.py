"""What a controller does with the server as a whole: its knobs, its process, its cache."""

from __future__ import annotations

from collections.abc import Mapping

from pilotcli.common.errors import CapabilityError, PilotError, QueryError
from pilotcli.databases.controller.sessions import SessionsOfThreads
from pilotcli.databases.remedies import how_to_create
from pilotcli.databases.session.session import PostgresSession

_CACHED = """
SELECT c.oid::regclass::text, count(*)
FROM pg_buffercache AS b JOIN pg_class AS c ON b.relfilenode = pg_relation_filenode(c.oid)
WHERE b.reldatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
GROUP BY 1
"""
_NO_SUCH_TABLE = "42P01"


class ServerMethods(SessionsOfThreads):
    """The server's knobs, starting and stopping it, what its cache holds.

    Knobs are settings of the whole server, for all its users; they are undone when the target is
    closed. Raises, besides what `PostgreSQLController` names: `SteeringError` for a knob that does
    not exist or that the server refuses, `CapabilityError` for what the role or pilot may not do
    here.
    """

    def set_knobs(self, key_2_value_for_knob: Mapping[str, object]) -> None:
        """Set knobs, all or none, and return when the server runs with them.

        pilot restarts the server where a knob needs it, and opens all sessions again. If the server
        does not start with the new knobs, pilot starts it with the old ones, and the error names
        the new ones. Numbers without a unit are in the knob's own (PostgreSQL manual 20.1.1).
        """
        self.target().knobs.set(key_2_value_for_knob)

    def write_knob_to_file(self, key_2_value_for_knob: Mapping[str, object]) -> None:
        """Write knobs into the server's configuration, all or none; `restart` puts them in force.

        Also while the server is shut down.
        """
        self.target().knobs.write(key_2_value_for_knob)

    def backup_config(self) -> None:
        """Remember the knobs as they are now, for `recover_config`."""
        self.target().knobs.backup()

    def recover_config(self) -> None:
        """Bring the knobs back to what they were at `backup_config`, or before the first change.

        Those that need a restart are in force again after `restart`.
        """
        self.target().knobs.recover()

    def restart(self) -> None:
        """Restart the server. If it does not start because of new knobs, pilot starts it with the
        old ones and raises `SteeringError`."""
        self.target().knobs.restart()

    def start(self) -> None:
        """Start the server unless it runs; as `restart` does."""
        self.target().knobs.start()

    def shutdown(self) -> None:
        """Stop the server. Refused with `DatabaseError` while others use it."""
        self.target().knobs.shut_down()

    def is_running(self) -> bool:
        """Whether the server takes connections."""
        return self.target().knobs.is_running()

    def get_buffercache(self) -> dict[str, int]:
        """The number of cached blocks of each relation of the database.

        Needs pg_buffercache, which is created where the role may, and dropped at the end. Raises
        `CapabilityError` where it is not available.
        """
        session = self.session()
        try:
            return dict(session.execute(_CACHED).rows)
        except QueryError as error:
            if error.sqlstate != _NO_SUCH_TABLE:
                raise _no_cache(session, error) from error
        try:
            self.target().changes.make_extension(session, "pg_buffercache")
            return dict(session.execute(_CACHED).rows)
        except QueryError as error:
            raise _no_cache(session, error) from error


def _no_cache(session: PostgresSession, error: PilotError) -> CapabilityError:
    hint = "See docs/steering.md for the rights that it takes."
    if not session.transaction_failed:
        contrib = "PostgreSQL's contrib modules"
        hint = how_to_create(session, "pg_buffercache", contrib, grant="pg_monitor") or hint
    return CapabilityError(
        f"this server does not show what its cache holds: {error.message}", hint=hint
    )
