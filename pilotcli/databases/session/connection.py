"""Opens connections to PostgreSQL, and says in plain words why one could not be opened.

libpq reports a failed connection as text alone, without an SQLSTATE. Its own messages are always
English, so pilot searches them for what failed on this side (PostgreSQL manual 32.1). The server's
messages may be in another language; pilot shows those that it does not know.
"""

from __future__ import annotations

import contextlib
import difflib
import math
import os
import re
import threading
import weakref
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import psycopg2
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import parse_dsn

from pilotcli.common.errors import DatabaseError, UsageError
from pilotcli.common.redaction import keep_secret
from pilotcli.common.suggestions import nearest
from pilotcli.databases.embedded.binaries import OLDEST_MAJOR
from pilotcli.databases.session.libpq import shorten_errors
from pilotcli.databases.session.values import casters
from pilotcli.databases.setting_names import SETTING_NAMES, UNKNOWN_SETTING, meant_setting


@dataclass(frozen=True, slots=True)
class Server:
    """Where to connect to: libpq's parameters, without those that are left to the environment."""

    params: Mapping[str, str] = field(default_factory=dict, repr=False)
    connect_timeout_s: float = 10.0
    start_hint: str | None = None
    """The hint when nothing answers, where pilot has a better one than the general hint."""

    def with_database(self, name: str) -> Server:
        """The same server with another database."""
        return Server({**self.params, "dbname": name}, self.connect_timeout_s, self.start_hint)

    @property
    def where(self) -> str:
        """Host, port and database for a message: never a password."""

        def known(key: str, variable: str) -> str:
            return self.params.get(key) or os.environ.get(variable, "")

        service = known("service", "PGSERVICE")
        host = known("host", "PGHOST") or known("hostaddr", "PGHOSTADDR")
        if not host and service:
            return f"service {service}"
        port = known("port", "PGPORT") or "5432"
        if not host or host.startswith(("/", "@")):
            return f"socket {host or '(default folder)'}, port {port}"
        return f"{host}:{port}"

    @property
    def database(self) -> str:
        """The name of the database as far as it is known before connecting."""
        return self.params.get("dbname") or os.environ.get("PGDATABASE", "")


_UNKNOWN_OPTION = re.compile('invalid (?:URI query parameter:|connection option) "(.*)"')
_OPTIONS = (
    *("application_name", "channel_binding", "client_encoding", "connect_timeout", "dbname"),
    *("host", "hostaddr", "keepalives", "options", "passfile", "password", "port", "service"),
    *("sslcert", "sslkey", "sslmode", "sslrootcert", "target_session_attrs", "user"),
)
"""The options of libpq that connection strings usually have (PostgreSQL manual, 34.1.2)."""


def server_from_dsn(
    dsn: str | None, *, connect_timeout_s: float = 10.0, what: str = "database.dsn"
) -> Server:
    """The server of a libpq connection string or URL; None leaves everything to libpq.

    Raises `UsageError` for one that libpq cannot read; the message shows no part of it, because
    the unreadable part may be the password.
    """
    if dsn is None:
        return Server({}, connect_timeout_s)
    try:
        params = {key: str(value) for key, value in parse_dsn(dsn).items()}
        misread = not all(
            part.isdigit() for part in params.get("port", "").split(",") if part
        ) or any("@" in params.get(key, "")[1:] for key in ("host", "dbname"))
    except psycopg2.Error as error:
        unknown = _UNKNOWN_OPTION.search(str(error))
        # The suggestion only: the unknown word may be a part of the password.
        if unknown is not None and (meant := nearest(unknown[1], _OPTIONS)) is not None:
            raise UsageError(
                f"`{what}` has an option that PostgreSQL's client does not know",
                hint=f"Did you mean {meant!r}?",
            ) from None
        misread = True
        params = {}
    if misread:
        raise UsageError(
            f"`{what}` is not a connection string or URL that PostgreSQL's client understands",
            hint="Write postgresql://user@host:5432/database or `host=... dbname=...`. In a URL "
            "the signs @ / % of a password are written as %40 %2F %25; better, keep it in "
            "~/.pgpass.",
        )
    return Server(params, connect_timeout_s)


def connect(server: Server, settings: Mapping[str, str] | None = None) -> Connection:
    """A new connection in autocommit mode, whose session starts with `settings`.

    They are sent as it connects, so `RESET ALL` of a workload returns to them. Behind a pooler that
    refuses this they are set right after.

    Raises `DatabaseError` with a hint when no connection can be made, `UsageError` when the server
    refuses one of the settings.
    """
    wanted = {key: str(value) for key, value in (settings or {}).items()}
    given = (server.params.get("password"), server.params.get("sslpassword"))
    _keep_secret(server, *given, os.environ.get("PGPASSWORD"))
    try:
        connection = _open(server, wanted)
    except psycopg2.OperationalError as error:
        if not any(part in str(error) for part in (*wanted, "startup parameter")):
            raise _explain(server, error).standing_for(error) from None
        try:
            connection = _open(server, {})
        except psycopg2.OperationalError as plain_error:
            raise _explain(server, plain_error).standing_for(plain_error) from None
        _set(connection, wanted)
    if connection.server_version // 10000 < OLDEST_MAJOR:
        version = version_text(connection)
        connection.close()
        raise DatabaseError(
            f"{server.where} is a PostgreSQL {version}",
            hint=f"pilot works with PostgreSQL {OLDEST_MAJOR} and newer.",
        )
    _keep_secret(server, connection.info.password)  # it may come from a file of libpq's
    shorten_errors(connection)
    for caster in casters():
        psycopg2.extensions.register_type(caster, connection)
    with _opened_guard:
        _opened.add(connection)
    return connection


def connect_patiently(server: Server) -> Connection:
    """A new connection whose work no setting of the server ends or refuses. Raises as
    `connect`."""
    refusal: DatabaseError | UsageError | None = None
    # A newer time-out may end a session before it can be set, and a server refuses unknown ones.
    for newer in ((), ("idle_session_timeout", "transaction_timeout"), ("idle_session_timeout",)):
        try:
            connection = connect(server, _UNHINDERED | dict.fromkeys(newer, "0"))
            major = connection.server_version // 10000
            later = [name for name, since in _NEWER_TIME_OUTS.items() if since <= major]
            _set(connection, dict.fromkeys(later, "0"))
            return connection
        except (DatabaseError, UsageError) as error:
            refusal = refusal or error
            if "timeout expired" in error.message:
                break  # nobody answers
    assert refusal is not None
    raise refusal


_UNHINDERED = {
    "statement_timeout": "0",
    "lock_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "default_transaction_read_only": "off",
}
_NEWER_TIME_OUTS = {"idle_session_timeout": 14, "transaction_timeout": 17}
"""With the version of the first server that has such a setting."""


def _keep_secret(server: Server, *passwords: str | None) -> None:
    """Show `passwords` nowhere, unless they are shown anyway: a role `postgres` with the
    password `postgres`."""
    named = " ".join(value for key, value in server.params.items() if "password" not in key)
    keep_secret(password for password in passwords if password and password not in named)


_opened: weakref.WeakSet[Connection] = weakref.WeakSet()
_opened_guard = threading.Lock()


def backends_of_this_process() -> set[int]:
    """The process ids of the servers' ends of all connections that `connect` has opened."""
    with _opened_guard:
        return {connection.info.backend_pid for connection in _opened if not connection.closed}


_NOTICED = {
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}
"""Seconds, and milliseconds, after which a network that is gone is noticed: about a minute, not
the hours of the system's own (PostgreSQL manual 32.1.2). Of no meaning for sockets in a folder."""


def _open(server: Server, settings: Mapping[str, str]) -> Connection:
    params: dict[str, Any] = {
        "connect_timeout": max(1, math.ceil(server.connect_timeout_s)),
        "fallback_application_name": "pilot",
        **_NOTICED,
        **server.params,
        "client_encoding": "UTF8",
    }
    if settings:
        given = params.get("options") or os.environ.get("PGOPTIONS", "")
        escaped = {key: re.sub(r"([\s\\])", r"\\\1", value) for key, value in settings.items()}
        ours = [f"-c {key}={value}" for key, value in escaped.items()]
        params["options"] = " ".join([given, *ours]).strip()
    connection: Connection = psycopg2.connect("", **params)
    connection.autocommit = True
    with connection.cursor() as cursor:
        # psycopg2 has set it to ISO, whatever `settings`, the role and the database say. RESET ALL
        # of a workload would take that back: the session has one DateStyle from here on.
        cursor.execute("RESET DateStyle")
    return connection


def _set(connection: Connection, settings: Mapping[str, str]) -> None:
    key = value = ""
    try:
        with connection.cursor() as cursor:
            for key, value in settings.items():
                cursor.execute("SELECT set_config(%s, %s, false)", (key, value))
    except psycopg2.Error as error:
        meant = _meant(connection, key) if error.pgcode == UNKNOWN_SETTING else None
        connection.close()
        raise UsageError(
            f"the server refuses the setting {key} = {value}: "
            f"{error.diag.message_primary or str(error).strip()}",
            hint=" ".join(filter(None, [meant, "Correct it under `database.session`."])),
        ) from None


def _meant(connection: Connection, setting: str) -> str | None:
    """A sentence with the setting that was probably meant, where there is one."""
    with contextlib.suppress(psycopg2.Error), connection.cursor() as cursor:
        cursor.execute(SETTING_NAMES)
        return meant_setting([setting], [name for (name,) in cursor.fetchall()])
    return None


def version_text(connection: Connection) -> str:
    """The server's version as it names it, without the packager's addition: `18.6`."""
    return str(connection.get_parameter_status("server_version")).split()[0]


def database_names(connection: Connection) -> list[str]:
    """The databases that one can connect to. Raises `psycopg2.Error`."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT datname FROM pg_database WHERE datallowconn ORDER BY 1")
        return [row[0] for row in cursor.fetchall()]


def _list_databases(server: Server) -> list[str] | None:
    """The names of the server's databases; None where they cannot be read."""
    for name in ("postgres", "template1"):
        try:
            connection = _open(server.with_database(name), {})
        except psycopg2.OperationalError:
            continue
        try:
            return database_names(connection)
        except psycopg2.Error:
            continue
        finally:
            connection.close()
    return None


def close_names(name: str, names: list[str]) -> str:
    """A sentence that names the databases most like `name`, or all of few."""
    own = [other for other in names if not other.startswith("template")]
    near = difflib.get_close_matches(name, own, n=3) or own[:8]
    return f"There are: {', '.join(near)}." if near else "There is no other."


_REFUSALS = (
    (
        "no password supplied",
        "{at} asks for a password{role}",
        "Put it into ~/.pgpass (host:port:database:user:password, mode 0600).",
    ),
    (
        "password authentication failed",
        "{at} refuses the password{role}",
        "Correct it in ~/.pgpass, PGPASSWORD or `database.dsn`.",
    ),
    (
        r"\bSSL\b|certificate",
        "{at}: no agreement on encryption: {reason}",
        "See `sslmode` and `sslrootcert` in PostgreSQL's manual, section 32.1.2.",
    ),
    (
        'role ".*" does not exist',
        "{at} knows no role of that name: {reason}",
        "Name the role in `database.dsn` or PGUSER.",
    ),
    (
        'could not (access file|load library) "',
        "{at} refuses the connection: {reason}",
        "Install this library on the server, or have a superuser take it out of "
        "`session_preload_libraries` of the role, of the database or of the server.",
    ),
)
"""What the server says, what pilot says about it, and the hint."""

_NO_ANSWER = (
    "Connection refused",
    "No such file or directory",
    "timeout expired",
    "could not translate host name",
    "No route to host",
    "Network is unreachable",
    "Connection timed out",
    "server closed the connection unexpectedly",
)


def _explain(server: Server, error: Exception) -> DatabaseError:
    text = _without_secret(server, str(error).strip())
    last = text.splitlines()[-1] if text else "no reason given"
    reason = re.sub(r"^.* failed: (?=\S)", "", last).removeprefix("FATAL:").strip()
    user = server.params.get("user") or os.environ.get("PGUSER", "")
    role = f" for the role {user!r}" if user else ""
    at = f"PostgreSQL at {server.where}"
    if "definition of service" in text or "service file" in text:
        return DatabaseError(
            f"the connection service is unknown: {reason}",
            hint="Add it to ~/.pg_service.conf or to the file that PGSERVICEFILE names.",
        )
    # A server that answers may have the same words for something else: a library that is missing.
    named = next((phrase for phrase in _NO_ANSWER if phrase in text), None)
    if named is not None and "FATAL:" not in text:
        return DatabaseError(
            f"{at} does not answer: {named}",
            hint=server.start_hint or "Check host and port, and that the server runs.",
        )
    for pattern, message, hint in _REFUSALS:
        if re.search(pattern, text):
            return DatabaseError(message.format(at=at, role=role, reason=reason), hint=hint)
    name = server.database
    names = _list_databases(server) if name else None
    if names is not None and name not in names:
        return DatabaseError(
            f"{at} has no database {name!r}",
            hint=f"{close_names(name, names)} pilot creates none that is only named.",
        )
    return DatabaseError(f"{at} refuses the connection: {reason}", hint=server.start_hint)


def _without_secret(server: Server, text: str) -> str:
    for secret in (server.params.get("password"), os.environ.get("PGPASSWORD")):
        if secret:
            text = text.replace(secret, "***")
    return text
