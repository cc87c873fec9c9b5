"""What ALTER SYSTEM has written: through the server, or in its file while it does not run.

PostgreSQL keeps these settings in `postgresql.auto.conf` of the data directory and reads it after
all other configuration files (PostgreSQL manual 20.1.2). A server that a setting keeps from
starting cannot be asked to take it back, so pilot edits the file then.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from psycopg2 import sql as compose

from pilotcli.common.errors import CapabilityError, QueryError, StorageError
from pilotcli.common.files import open_there, replace_text
from pilotcli.common.os_advice import advice_for_link
from pilotcli.databases.embedded.cluster import quoted_setting
from pilotcli.databases.remedies import role_of
from pilotcli.databases.session.session import PostgresSession

_FILE = "postgresql.auto.conf"

_QUOTED_LISTS = frozenset(
    {"local_preload_libraries", "search_path", "session_preload_libraries"}
    | {"shared_preload_libraries", "temp_tablespaces", "unix_socket_directories"}
)
"""Settings whose value is a list of names, each of which the server quotes by itself
(GUC_LIST_QUOTE in the server's source; pg_dump knows the same ones)."""

_LINE = re.compile(
    r"\s*(?P<name>[\w.]+)(?:\s*=\s*|\s+)(?:'(?P<quoted>(?:[^'\\\n]|''|\\.)*)'|(?P<bare>[^\s#']+))"
    r"\s*(?:\#.*)?\n?"
)
_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


class AutoConf(Protocol):
    """The settings in `postgresql.auto.conf`, by name in lower case."""

    def read(self) -> dict[str, str]:
        """All of them."""

    def write(self, name: str, value: str | None) -> None:
        """Set one to exactly this text, or remove it. The server does not act on it yet."""


class ServerAutoConf:
    """Through a session of a running server."""

    def __init__(self, session: PostgresSession) -> None:
        self._session = session

    def read(self) -> dict[str, str]:
        """See `AutoConf.read`. Raises `CapabilityError` where the role may not."""
        try:
            return dict(
                self._session.execute(
                    "SELECT lower(name), coalesce(setting, '') FROM pg_file_settings"
                    " WHERE sourcefile LIKE '%/postgresql.auto.conf' AND name IS NOT NULL"
                    " ORDER BY seqno"
                ).rows
            )
        except QueryError as error:
            raise not_allowed(self._session, error.message) from None

    def write(self, name: str, value: str | None) -> None:
        """See `AutoConf.write`. Raises `QueryError` when the server refuses the value,
        `CapabilityError` when it takes none from this role."""
        # A dot parts the names of an extension's settings, each part a name of its own.
        shown = compose.Identifier(*name.split("."))
        if value is None:
            statement = compose.SQL("ALTER SYSTEM RESET {}").format(shown)
        else:
            parts = _list_of(value) if name.lower() in _QUOTED_LISTS else [value]
            statement = compose.SQL("ALTER SYSTEM SET {} = {}").format(
                shown, compose.SQL(", ").join(map(compose.Literal, parts))
            )
        try:
            self._session.execute(statement.as_string(self._session.connection))
        except QueryError as error:
            if error.sqlstate in _NOT_ALLOWED:
                raise not_allowed(self._session, error.message) from None
            raise


_NOT_ALLOWED = ("42501", "0A000")  # insufficient_privilege; allow_alter_system = off


def not_allowed(session: PostgresSession, why: str) -> CapabilityError:
    """The error for a role that may not change settings of the server."""
    return CapabilityError(f"knobs cannot be changed on this server: {why}", hint=_advice(session))


def _advice(session: PostgresSession) -> str:
    if session.connection.server_version < 150000:
        return "Use a superuser: before PostgreSQL 15, no other role may run ALTER SYSTEM."
    if session.transaction_failed:
        return "See docs/steering.md for the rights that it takes."
    allowed = "SELECT coalesce(current_setting('allow_alter_system', true), 'on')"
    if session.execute(allowed).rows != [("on",)]:
        return (
            "Have an administrator set `allow_alter_system = on` in postgresql.conf, and reload it."
        )
    role = role_of(session)
    return (
        f"Have a superuser run in the database {role.database} `GRANT ALTER SYSTEM ON PARAMETER"
        f" work_mem TO {role.name}; GRANT SELECT ON pg_file_settings TO {role.name}; GRANT EXECUTE"
        f" ON FUNCTION pg_show_all_file_settings(), pg_reload_conf() TO {role.name}`, with each"
        " setting that a driver changes in the place of work_mem."
    )


class FileAutoConf:
    """In the file of a server that does not run."""

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / _FILE

    def read(self) -> dict[str, str]:
        matches = filter(None, map(_LINE.fullmatch, self._lines()))
        return {match["name"].lower(): _value(match) for match in matches}

    def write(self, name: str, value: str | None) -> None:
        """See `AutoConf.write`; the file is replaced in one step and keeps its owner."""
        kept = [line for line in self._lines() if not _sets(line, name)]
        if kept and not kept[-1].endswith("\n"):
            kept[-1] += "\n"
        if value is not None:
            kept.append(f"{name} = {quoted_setting(value)}\n")
        try:
            info = self._path.lstat()
            mode, owner = info.st_mode & 0o777, (info.st_uid, info.st_gid)
            replace_text(self._path, "".join(kept), mode=mode, owner=owner)
        except OSError as error:
            raise StorageError(
                f"{self._path} cannot be written: {error.strerror}",
                hint=advice_for_link(error)
                or "Work as the user who owns the server's data, or as root.",
            ) from error

    def _lines(self) -> list[str]:
        try:
            # A line ends with a line feed and nothing else: a value may hold any other character.
            with open(  # noqa: PTH123 - of a descriptor
                open_there(self._path), encoding="utf-8", errors="surrogateescape", newline=""
            ) as file:
                text = file.read()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StorageError(
                f"{self._path} cannot be read: {error.strerror}", hint=advice_for_link(error)
            ) from error
        return re.findall(r"[^\n]*\n|[^\n]+", text)


def _sets(line: str, name: str) -> bool:
    match = _LINE.fullmatch(line)
    return match is not None and match["name"].lower() == name.lower()


def _value(match: re.Match[str]) -> str:
    if match["bare"] is not None:
        return match["bare"]
    return re.sub(r"''|\\.", lambda pair: _ESCAPES.get(pair[0][1], pair[0][1]), match["quoted"])


def _list_of(text: str) -> Sequence[str]:
    """The names in a list such as `a, "b c"`, as SplitGUCList of the server reads it."""
    found = re.findall(r'\s*(?:"((?:[^"]|"")*)"|([^,"]*))\s*(?:,|\Z)', text.strip())
    names = [quoted.replace('""', '"') if quoted else bare.strip() for quoted, bare in found]
    # The pattern matches once more, with nothing, at the end of a text that ends in no comma.
    if len(names) > 1 and names[-1] == "":
        names.pop()
    return names


def system_identifier(data_dir: Path) -> str | None:
    """Which cluster lies in `data_dir`: the first field of its control file, eight bytes in the
    machine's order (src/include/catalog/pg_control.h). None when it cannot be read."""
    try:
        with (data_dir / "global" / "pg_control").open("rb") as file:
            (number,) = struct.unpack("=Q", file.read(8))
    except (OSError, struct.error):
        return None
    return str(number)
