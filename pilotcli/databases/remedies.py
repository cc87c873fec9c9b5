"""What an administrator does so that a role can use an extension or a library of the server.

An ordinary role loads no library by itself, and creates few extensions: to install a package is not
enough for it. Each text has the statements to run as they are.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass

from pilotcli.common.errors import QueryError
from pilotcli.databases.session.session import PostgresSession

_PRELOAD = "session_preload_libraries"
_CONTRIB = "pg_buffercache"
"""An extension that is there where PostgreSQL's contrib modules are installed."""
_LIBRARIES = {"pg_hint_plan": 13, "auto_explain": 15, "pg_plan_advice": 19}
"""Libraries that help pilot in sessions of ordinary roles, and from which version on."""


@dataclass(frozen=True, slots=True)
class Role:
    """The role of a session, with the names as SQL writes them.

    `name` is whose rights hold, `login` who has connected.
    """

    name: str
    login: str
    database: str
    superuser: bool


def role_of(session: PostgresSession) -> Role:
    """Returns the role of a session that is not in a failed transaction."""
    ((name, login, database, superuser),) = session.execute(
        "SELECT quote_ident(current_user), quote_ident(session_user),"
        " quote_ident(current_database()), current_setting('is_superuser') = 'on'"
    ).rows
    return Role(name, login, database, superuser)


def package_of(session: PostgresSession, name: str) -> str:
    """Returns the package of an extension, as Debian and PostgreSQL's own archives name it."""
    return f"postgresql-{session.connection.server_version // 10000}-{name}"


def with_version(session: PostgresSession, extension: str, title: str = "") -> str:
    """Returns the title of an extension (by default its name), and its version if it is known."""
    known = "SELECT coalesce(installed_version, default_version) FROM pg_available_extensions"
    found = session.execute(f"{known} WHERE name = '{extension}'").rows
    version = found[0][0] if found else None
    return f"{title or extension} {version}" if version else title or extension


def how_to_create(session: PostgresSession, extension: str, package: str, grant: str = "") -> str:
    """Returns how the session's role gets an extension. `package` has it; `grant` is a role that
    may use its functions, where not everybody may."""
    role = role_of(session)
    steps = []
    if not _is_available(session, extension):
        steps.append(f"install {package} on the server")
    statements = []
    if not role.superuser:
        if not _exists(session, extension):
            statements.append(f"CREATE EXTENSION {extension}")
        if grant:
            statements.append(f"GRANT {grant} TO {role.name}")
    if statements:
        steps.append(
            f"have a superuser run `{'; '.join(statements)}` in the database {role.database}"
        )
    return _sentence(steps)


def how_to_load(session: PostgresSession, library: str, package: str) -> str:
    """Returns how a library of the server gets into the sessions of the role. `package` has it."""
    role = role_of(session)
    steps = []
    if not _is_installed(session, library):
        steps.append(f"install {package} on the server")
    note = ""
    if not role.superuser:
        statement, note = _preload(session, library, role)
        steps.append(f"have a superuser run `{statement}`")
    return (_sentence(steps) or _what_it_says(session, library)) + note


def how_to_set(session: PostgresSession, library: str, settings: Iterable[str]) -> str:
    """Returns how an ordinary role may change `settings` of a library that only superusers may
    change by themselves; empty where no other role can."""
    role = role_of(session)
    if role.superuser or session.connection.server_version < 150000:
        return ""
    statements = [f"GRANT SET ON PARAMETER {', '.join(settings)} TO {role.name}"]
    note = ""
    shown = f"SELECT 1 FROM pg_settings WHERE name LIKE '{library}.%'"  # noqa: S608
    if not session.execute(shown).rows:
        if not _is_installed(session, library):
            return ""
        statement, note = _preload(session, library, role)
        statements.append(statement)
    return f"Have a superuser run `{'; '.join(statements)}`.{note}"


def _what_it_says(session: PostgresSession, library: str) -> str:
    """Returns where to look when a library is there and does not work."""
    try:
        session.execute(f"LOAD '{library}'")
    except QueryError as error:
        return (
            f"Install another release of {library}: this server does not load it: {error.message}."
        )
    return f"Look at the settings {library}.* in `pg_settings`: the library is installed."


def _sentence(steps: list[str]) -> str:
    text = ", then ".join(steps)
    return f"{text[:1].upper()}{text[1:]}." if text else ""


def _preload(session: PostgresSession, library: str, role: Role) -> tuple[str, str]:
    """Returns the statement that loads `library` into each session of the role, besides what is
    loaded there already, and what else to look at."""
    found = session.execute(
        f"SELECT substr(entry, {len(_PRELOAD) + 2}), setrole <> 0 AND setdatabase <> 0"  # noqa: S608
        " FROM pg_db_role_setting, unnest(setconfig) AS entry"
        f" WHERE split_part(entry, '=', 1) = '{_PRELOAD}'"
        " AND setrole IN (0, (SELECT oid FROM pg_roles WHERE rolname = session_user))"
        " AND setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))"
        " ORDER BY setrole <> 0 DESC, setdatabase <> 0 DESC"
    ).rows
    note = ""
    libraries: list[str] = []
    place = role.login
    if found:
        value, in_database = found[0]
        libraries = _names(value)
        if in_database:
            place += f" IN DATABASE {role.database}"
    else:
        try:
            libraries = _names(str(session.execute(f"SHOW {_PRELOAD}").rows[0][0]))
        except QueryError:
            note = f" Add what the server's own `{_PRELOAD}` names, if it names something."
    # All at once, because the next statement of this kind would replace this one.
    version = session.connection.server_version // 10000
    libraries += [
        other
        for other, first in _LIBRARIES.items()
        if version >= first and _is_installed(session, other)
    ]
    shown = dict.fromkeys(name.replace("'", "''") for name in [*libraries, library])
    wanted = ", ".join(f"'{name}'" for name in shown)
    return f"ALTER ROLE {place} SET {_PRELOAD} = {wanted}", note


def _names(value: str) -> list[str]:
    """Returns the names in a list of libraries as the server shows it."""
    rows = csv.reader([value], skipinitialspace=True)
    return [name.strip() for row in rows for name in row if name.strip()]


def _is_installed(session: PostgresSession, library: str) -> bool:
    """Whether the server has a library; those of contrib are installed together."""
    return _is_available(session, "pg_hint_plan" if library == "pg_hint_plan" else _CONTRIB)


def _is_available(session: PostgresSession, extension: str) -> bool:
    known = f"SELECT 1 FROM pg_available_extensions WHERE name = '{extension}'"  # noqa: S608
    return bool(session.execute(known).rows)


def _exists(session: PostgresSession, extension: str) -> bool:
    known = f"SELECT 1 FROM pg_extension WHERE extname = '{extension}'"  # noqa: S608
    return bool(session.execute(known).rows)
