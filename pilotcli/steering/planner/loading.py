"""Loads the planner module into a session, and tests that it works there."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from pilotcli.common.errors import CapabilityError, QueryError, StorageError
from pilotcli.databases.embedded.folder_for_root import outside_folder
from pilotcli.databases.embedded.os_user import Account, can_use, can_walk
from pilotcli.databases.session.connection import version_text
from pilotcli.databases.session.server_place import CONTAINER, ServerPlace, find_server_place
from pilotcli.databases.session.session import PostgresSession, plan_of
from pilotcli.steering.planner.advice import Need, how_to_install, how_to_replace, where_to_build
from pilotcli.steering.planner.building import (
    build,
    built_for,
    find_built,
    find_pg_config,
    headers_advice,
    places_of_pg_config,
    refuse_unknown,
    version_of,
    works_with,
)
from pilotcli.steering.planner.messages import parse_report
from pilotcli.steering.planner.settings import NONCE, NONCE_SETTING, rows_setting
from pilotcli.steering.sql import literal, own_statements

INSTALLED = "$libdir/plugins/pilot_planner"
"""Where an administrator puts the module for roles that are not superusers (manual, LOAD)."""

_UNDEFINED_FILE = "58P01"
_INSUFFICIENT_PRIVILEGE = "42501"
_NOT_THERE = (_UNDEFINED_FILE, _INSUFFICIENT_PRIVILEGE)
_UNFIT = ("incompatible library", "undefined symbol", "GLIBC_")
"""What the server or its C library says of a file that is whole but made for another system."""
_SET_NONCE = f"SET {NONCE_SETTING} = '{NONCE}'"
_PROBE_ROWS = 4242.0
_PROBE = "EXPLAIN (FORMAT JSON) SELECT 1 FROM generate_series(1, 2) AS pilot_probe"


@dataclass(frozen=True, slots=True)
class Planner:
    """The module, loaded into a session and tested there.

    - `library`: the argument of LOAD; None if the server loads the module by itself;
    - `built_for`: the version whose headers it was compiled with, if the server has another one.
    """

    library: str | None
    built_for: str | None = None

    @property
    def statement(self) -> str:
        """The statements that load it into another session of the same role and server."""
        return _SET_NONCE if self.library is None else f"LOAD {literal(self.library)}; {_SET_NONCE}"


@dataclass(frozen=True, slots=True)
class Missing:
    """Why the module is missing, and how to get it."""

    reason: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Built:
    """The compiled file for a server.

    - `server`, `headers`: the versions of the server and of the headers it was compiled with;
    - `pg_config`: what it was compiled with now; None if it was there already.
    """

    file: Path
    server: str
    pg_config: Path | None = None

    @property
    def headers(self) -> str:
        return built_for(self.file)


def load(
    session: PostgresSession, *, cache: Path, pg_config: Path | None, may_build: bool
) -> Planner | Missing:
    """Load the module into `session`, which must not be in a transaction.

    Tries, in this order, a module that is loaded already; for a superuser, a compiled file from
    `cache` or the package, or with `may_build` one compiled with `pg_config` (None: that of an
    installation of the same major version); and one that an administrator has installed. Each is
    tested. Raises as `Session.execute` does for a lost connection.
    """
    version = version_text(session.connection)
    superuser = session.connection.get_parameter_status("is_superuser") == "on"
    if _is_loaded(session):
        if _works(session):
            return Planner(None)
        need = Need(version, superuser, find_built(version, cache))
        remedy = how_to_replace(session, need, find_server_place(session))
        return _broken("the module that the server loads", remedy)
    try:
        refuse_unknown(version)
    except CapabilityError as error:
        return Missing(error.message, error.hint or "")
    missing = None
    if superuser:
        try:
            library = _own_file(session, version, cache, pg_config, may_build)
            if library is not None:
                found = _load_file(session, library, version)
                if isinstance(found, Planner) or _is_loaded(session):
                    return found
                missing = found
        except (CapabilityError, StorageError) as error:
            missing = Missing(error.message, error.hint or "Run `pilot doctor` for details.")
    refusal = _try(session, INSTALLED)
    if refusal is None:
        return Planner(INSTALLED)
    if missing is None or _is_loaded(session):
        missing = _not_installed(
            session, refusal, Need(version, superuser, find_built(version, cache))
        )
    return missing


def _not_installed(session: PostgresSession, refusal: QueryError, need: Need) -> Missing:
    """Why the session has nothing to load, after the server refused what may be installed."""
    place = find_server_place(session)
    remedy = how_to_install(need, place)
    if _is_loaded(session):
        return _broken(INSTALLED, remedy)
    if not need.superuser:
        role = session.connection.get_parameter_status("session_authorization")
        reason = (
            f"the role {role!r} is not a superuser, so the server loads only what an administrator "
            f"has installed, and that fails: {refusal.message}"
        )
        return Missing(reason, remedy)
    if place.elsewhere is not None and not place.contained:
        reason = f"{place.elsewhere}, where the planner module is not installed"
        return Missing(reason, remedy)
    return Missing(f"the planner module is not built for PostgreSQL {need.version}", remedy)


def provide(
    session: PostgresSession, *, cache: Path, pg_config: Path | None, again: bool = False
) -> Built:
    """Returns the compiled file for the session's server, whether or not the session may load it;
    builds it if it is missing, and with `again` in any case.

    Raises `CapabilityError` if it cannot be built here, `StorageError` if `cache` cannot be
    written.
    """
    version = version_text(session.connection)
    refuse_unknown(version)
    place = find_server_place(session)
    if place.foreign is not None:
        raise CapabilityError(f"not built: {place.foreign}", hint=where_to_build(version))
    built = find_built(version, cache)
    if built is not None and built_for(built) == version and not again:
        return Built(built, version)
    try:
        return _build(version, cache, pg_config, place, again=again)
    except (CapabilityError, StorageError):
        if built is None or again:
            raise
        return Built(built, version)


def _own_file(
    session: PostgresSession, version: str, cache: Path, pg_config: Path | None, may_build: bool
) -> Path | None:
    built = find_built(version, cache)
    if not may_build or (built is not None and built_for(built) == version):
        return built
    return provide(session, cache=cache, pg_config=pg_config).file


def _build(
    version: str, cache: Path, pg_config: Path | None, place: ServerPlace, *, again: bool
) -> Built:
    first = () if place.programs is None else (place.programs,)
    found = pg_config or find_pg_config(version, *first)
    if found is None:
        places = ", ".join(map(str, places_of_pg_config(version, first)))
        raise CapabilityError(
            f"the planner module needs the headers of PostgreSQL {version} to be built, and no "
            f"pg_config of that major version was found (looked for {places})",
            hint=headers_advice(version),
        )
    theirs = version_of(found)
    if theirs is not None and not works_with(theirs, version):
        raise CapabilityError(
            f"{found} is of PostgreSQL {theirs}, and the server is {version}: a module that is "
            "built with it does not fit",
            hint=headers_advice(version),
        )
    return Built(build(found, cache, again=again), version, found)


def _load_file(session: PostgresSession, library: Path, version: str) -> Planner | Missing:
    """Load one of pilot's files, from a place where the server's user can read it."""
    account = _server_account(session)
    if account is not None and not _readable(library, account):
        library = _copy_outside(library, account)
    library = library.resolve()
    refusal = _try(session, str(library))
    if refusal is None:
        headers = built_for(library)
        return Planner(str(library), None if headers == version else headers)
    place = find_server_place(session)
    reason = f"the server does not load {library}: {refusal.message}"
    remedy = "Build it again: delete the file and run `pilot doctor --build`."
    if refusal.sqlstate in _NOT_THERE:
        # It is there for pilot, so the server looks into another file system.
        if refusal.sqlstate == _UNDEFINED_FILE and place.elsewhere is None:
            place = replace(place, elsewhere=CONTAINER, contained=True)
        if place.elsewhere is not None:
            reason += f" ({place.elsewhere})"
        remedy = how_to_install(Need(version, True, library), place)
        if place.elsewhere is None:
            remedy += (
                " Or name a folder with `home:` in the config that the server's user can enter."
            )
    elif place.foreign is not None or any(word in refusal.message for word in _UNFIT):
        remedy = where_to_build(version)
    return Missing(reason, remedy)


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
    if not copy.is_file() or copy.stat().st_mtime < library.stat().st_mtime:
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


def _broken(what: str, remedy: str) -> Missing:
    return Missing(
        f"{what} takes pilot_planner's settings, but pushed rows do not appear in the plan: it is "
        "of another version of pilot",
        remedy,
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
