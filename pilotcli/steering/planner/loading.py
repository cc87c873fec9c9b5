"""Loads the planner module into a session, and tests that it works there."""

from __future__ import annotations

import os
import pwd
import secrets
import shlex
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pilotcli.common.errors import CapabilityError, QueryError, StorageError
from pilotcli.databases.embedded.binaries import major_of
from pilotcli.databases.embedded.folder_for_root import outside_folder
from pilotcli.databases.embedded.os_user import Account, can_use, can_walk
from pilotcli.databases.session.session import PostgresSession, plan_of
from pilotcli.steering.planner.building import build, find_built, find_pg_config, object_name
from pilotcli.steering.planner.messages import parse_report
from pilotcli.steering.planner.settings import NONCE, NONCE_SETTING, rows_setting
from pilotcli.steering.sql import literal, own_statements

INSTALLED = "$libdir/plugins/pilot_planner"
"""Where an administrator puts the module for roles that are not superusers (manual, LOAD)."""

_UNDEFINED_FILE = "58P01"
_INSUFFICIENT_PRIVILEGE = "42501"
_NOT_THERE = (_UNDEFINED_FILE, _INSUFFICIENT_PRIVILEGE)
_LOCAL = ("", "localhost", "127.0.0.1", "::1")
_SET_NONCE = f"SET {NONCE_SETTING} = '{NONCE}'"
_PROBE_ROWS = 4242.0
_PROBE = "EXPLAIN (FORMAT JSON) SELECT 1 FROM generate_series(1, 2) AS pilot_probe"


@dataclass(frozen=True, slots=True)
class Planner:
    """The module, loaded into a session and tested there.

    `library`: the argument of LOAD; None if the server loads the module by itself.
    """

    library: str | None

    @property
    def statement(self) -> str:
        """The statements that load it into another session of the same role and server."""
        return _SET_NONCE if self.library is None else f"LOAD {literal(self.library)}; {_SET_NONCE}"


@dataclass(frozen=True, slots=True)
class Missing:
    """Why the module is missing, and how to get it."""

    reason: str
    remedy: str


def load(
    session: PostgresSession, *, cache: Path, pg_config: Path | None, may_build: bool
) -> Planner | Missing:
    """Load the module into `session`, which must not be in a transaction.

    Tries, in this order, a module that is loaded already, one that an administrator has installed,
    a compiled file from `cache` or the package, and with `may_build` one compiled with `pg_config`
    (None: that of an installation of the same major version). Each is tested. Raises as
    `Session.execute` does for a lost connection.
    """
    if _is_loaded(session):
        return Planner(None) if _works(session) else _broken("the module that the server loads")
    refusal = _try(session, INSTALLED)
    if refusal is None:
        return Planner(INSTALLED)
    if _is_loaded(session):
        return _broken(INSTALLED)
    version = _version(session)
    if session.connection.get_parameter_status("is_superuser") != "on":
        role = session.connection.get_parameter_status("session_authorization")
        return Missing(
            f"the role {role!r} is not a superuser, so the server loads only what an administrator "
            f"has installed, and that fails: {refusal.message}",
            _install_advice(version, find_built(version, cache)),
        )
    if (elsewhere := _elsewhere(session)) is not None:
        return Missing(elsewhere, _install_advice(version))
    try:
        library = find_built(version, cache)
        if library is None and not may_build:
            return Missing(
                f"the planner module is not built for PostgreSQL {version}",
                "Run `pilot doctor --build`.",
            )
        if library is None:
            library = _build(version, cache, pg_config)
        return _load_file(session, library)
    except (CapabilityError, StorageError) as error:
        return Missing(error.message, error.hint or "Run `pilot doctor` for details.")


def provide(session: PostgresSession, *, cache: Path, pg_config: Path | None) -> Path:
    """Returns the compiled file for the session's server, whether or not the session may load it;
    builds it if it is missing.

    Raises `CapabilityError` if it cannot be built here, `StorageError` if `cache` cannot be
    written.
    """
    version = _version(session)
    if (elsewhere := _elsewhere(session)) is not None:
        raise CapabilityError(f"not built: {elsewhere}", hint=_install_advice(version))
    return find_built(version, cache) or _build(version, cache, pg_config)


def _version(session: PostgresSession) -> str:
    return str(session.connection.get_parameter_status("server_version")).split()[0]


def _elsewhere(session: PostgresSession) -> str | None:
    """Returns a message if the server runs on another machine."""
    host = session.connection.info.host or ""
    if host.startswith("/") or host in _LOCAL:
        return None
    return f"the server runs on another machine ({host}), where the planner module is not installed"


def _install_advice(version: str, built: Path | None = None) -> str:
    major = major_of(version)
    where = f"<home>/planner/{object_name(version)}" if built is None else shlex.quote(str(built))
    first = "run `pilot doctor --build` and as root " if built is None else "run as root "
    return (
        f"On the server's machine, {first}`install -D -m 755 {where} "
        '"$(pg_config --pkglibdir)/plugins/pilot_planner.so"`, '
        f"with the pg_config of PostgreSQL {major}."
    )


def _build(version: str, cache: Path, pg_config: Path | None) -> Path:
    found = pg_config or find_pg_config(version)
    if found is None:
        major = major_of(version)
        raise CapabilityError(
            f"the planner module needs the headers of PostgreSQL {major} to be built, and no "
            "pg_config of that version was found",
            hint=f"Install them (Debian: apt-get install postgresql-server-dev-{major}).",
        )
    return build(found, cache)


def _load_file(session: PostgresSession, library: Path) -> Planner | Missing:
    """Load one of pilot's files, from a place where the server's user can read it."""
    account = _server_account(session)
    if account is not None and not _readable(library, account):
        library = _copy_outside(library, account)
    refusal = _try(session, str(library.resolve()))
    if refusal is None:
        return Planner(str(library.resolve()))
    remedy = "Build it again: delete the file and run `pilot doctor --build`."
    if refusal.sqlstate in _NOT_THERE:
        advice = _install_advice(_version(session))
        remedy = f"Make it readable for the server's user, on the server's machine. {advice}"
    return Missing(f"the server does not load {library}: {refusal.message}", remedy)


def _server_account(session: PostgresSession) -> Account | None:
    """Returns the operating system user of the server; None if it cannot be seen."""
    with suppress(QueryError, OSError, KeyError):
        folder = str(session.execute("SHOW data_directory").rows[0][0])
        owner = pwd.getpwuid(Path(folder).stat().st_uid)
        return Account(owner.pw_name, owner.pw_uid, owner.pw_gid)
    return None


def _readable(library: Path, account: Account) -> bool:
    return can_walk(library.parent, account) and can_use(library.resolve(), account, 4)


def _copy_outside(library: Path, account: Account) -> Path:
    """Returns a copy of `library` that `account` can read; root makes one for the server."""
    if os.geteuid() != 0:
        return library
    copy = outside_folder(account, "planner") / library.name
    if not copy.is_file():
        new = copy.with_name(f".{copy.name}.{secrets.token_hex(4)}")
        try:
            shutil.copyfile(library, new)
            new.chmod(0o755)
            new.replace(copy)
        except OSError as error:
            raise StorageError(
                f"{library} cannot be copied to {copy}: {error.strerror}",
                hint="Make room there, or run pilot as an ordinary user.",
            ) from error
        finally:
            new.unlink(missing_ok=True)
    return copy


def _try(session: PostgresSession, library: str) -> QueryError | None:
    """Load `library`; returns the error if it is refused or does not work."""
    try:
        session.execute(f"LOAD {literal(library)}")
        if _works(session):
            return None
    except QueryError as error:
        return error
    return QueryError(f"{library} is loaded, but pushed rows do not appear in the plan")


def _broken(what: str) -> Missing:
    return Missing(
        f"{what} takes pilot_planner's settings, but pushed rows do not appear in the plan",
        "Have an administrator install the module of this version of pilot.",
    )


def _is_loaded(session: PostgresSession) -> bool:
    found = session.execute("SELECT 1 FROM pg_settings WHERE name = 'pilot_planner.report'")
    return bool(found.rows)


def _works(session: PostgresSession) -> bool:
    """Whether a pushed number appears in a plan, and is reported as applied."""
    rows = literal(rows_setting([(("pilot_probe",), _PROBE_ROWS)]))
    try:
        session.execute(_SET_NONCE)
    except QueryError:
        return False  # the module of an earlier version of pilot
    with own_statements(session) as notices:
        plan = plan_of(session.execute(f"SET LOCAL pilot_planner.rows = {rows}; {_PROBE}"))
    shown: object = plan["Plan"]["Plan Rows"]
    return shown == _PROBE_ROWS and parse_report(notices).applied == (0,)
