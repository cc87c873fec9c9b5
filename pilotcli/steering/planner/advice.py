"""What to do where the planner module is missing: for a server, a role, and what is built already.

Whoever follows it gets the module: each text names the file, the folder and the command.
"""

from __future__ import annotations

import shlex
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pilotcli.common.errors import QueryError
from pilotcli.databases.embedded.binaries import major_of
from pilotcli.databases.session.server_place import ServerPlace
from pilotcli.databases.session.session import PostgresSession
from pilotcli.steering.planner.building import find_pg_config

_AGAIN = "`pilot doctor --build`, with the -c and --set of this command"
_PLUGIN = "plugins/pilot_planner.so"
_PRELOADING = ("session_preload_libraries", "shared_preload_libraries", "local_preload_libraries")


@dataclass(frozen=True, slots=True)
class Need:
    """A server that needs the module.

    - `version`: the server's;
    - `superuser`: whether the session's role may load any file of the server's;
    - `built`: the compiled file for it on this machine; None if there is none.
    """

    version: str
    superuser: bool
    built: Path | None


def how_to_install(need: Need, place: ServerPlace) -> str:
    """Returns how the session's role gets the module."""
    if need.built is None:
        return _how_to_build(need, place)
    return _how_to_put(
        need.built, _word(f"{_libraries(need.version, place)}/{_PLUGIN}"), need, place
    )


def _how_to_put(built: Path, target: str, need: Need, place: ServerPlace) -> str:
    """Returns how the file `built` gets to `target`, a word for a shell of the server's system."""
    if place.contained:
        return _into_container(built, target, need, place)
    if place.elsewhere is None:
        command = f"install -D -m 755 {shlex.quote(str(built))} {target}"
        return f"On the server's machine, run as root `{command}`{_which(need, place)}."
    command = f"install -D -m 755 {shlex.quote(built.name)} {target}"
    return (
        f"Copy {built} to the server's machine, and run there as root "
        f"`{command}`{_which(need, place)}."
    )


def how_to_place(file: Path, version: str) -> str:
    """Returns what to do with a file that was built for a server on another machine."""
    folder = f'"$(pg_config --pkglibdir)/{_PLUGIN}"'
    return (
        f"Copy it to the server's machine, and run there as root `install -D -m 755 "
        f"{shlex.quote(file.name)} {folder}`, with the pg_config of PostgreSQL {major_of(version)}."
    )


def how_to_replace(session: PostgresSession, need: Need, place: ServerPlace) -> str:
    """Returns how a module of another version, which the server loads by itself, is replaced."""
    if need.built is None:
        return _how_to_build(need, place)
    target, shared = _preloaded(session, need.version, place)
    if target is None:
        return (
            f"Have an administrator put {need.built} in the place of the file that"
            " `session_preload_libraries` or `shared_preload_libraries` names on the server."
        )
    after = " Then restart the server." if shared else ""
    return _how_to_put(need.built, target, need, place) + after


def where_to_build(version: str) -> str:
    """Returns how to build the module for a server that this machine cannot build for."""
    major = major_of(version)
    return (
        "Build it on a system like the server's, which has the headers of PostgreSQL "
        f"{major}: run there `pilot doctor --build --pg-config PATH --out {_name(version)}`, with "
        f"the pg_config of PostgreSQL {major} as PATH. The command prints where the file goes."
    )


def _name(version: str) -> str:
    return f"pilot_planner-{version}.so"


def _how_to_build(need: Need, place: ServerPlace) -> str:
    if place.foreign is not None:
        return where_to_build(need.version)
    if need.superuser and place.elsewhere is None:
        return f"Run {_AGAIN}."
    return (
        f"Run {_AGAIN}. It prints how an administrator then puts the module into the server's "
        "plugins folder."
    )


def _into_container(built: Path, target: str, need: Need, place: ServerPlace) -> str:
    passed = "/tmp/pilot_planner.so"  # noqa: S108 - in the container
    copy = f"docker cp {shlex.quote(str(built))} CONTAINER:{passed}"
    install = f"install -D -m 755 {passed} {target}"
    run = f"docker exec -u root CONTAINER {install}"
    if target.startswith('"$('):
        run = f"docker exec -u root CONTAINER sh -c {shlex.quote(install)}"
    mounted = f", or mount {built.parent} there at the same path" if need.superuser else ""
    why = f"{place.elsewhere[:1].upper()}{place.elsewhere[1:]}. " if place.elsewhere else ""
    return (
        f"{why}Copy {built} into the server's file system, as {target} there (in Docker: "
        f"`{copy}` and `{run}`){mounted}."
    )


def _libraries(version: str, place: ServerPlace) -> str:
    """Returns the folder of the server's libraries, or the shell's word for it."""
    if place.libraries is not None:
        return place.libraries
    pg_config = _pg_config(version, place)
    return f"$({'pg_config' if pg_config is None else shlex.quote(str(pg_config))} --pkglibdir)"


def _word(path: str) -> str:
    return f'"{path}"' if path.startswith("$(") else shlex.quote(path)


def _pg_config(version: str, place: ServerPlace) -> Path | None:
    if place.elsewhere is not None:
        return None
    if place.programs is not None and (place.programs / "pg_config").is_file():
        return place.programs / "pg_config"
    return find_pg_config(version)


def _which(need: Need, place: ServerPlace) -> str:
    if place.libraries is not None or _pg_config(need.version, place) is not None:
        return ""
    return f", with the pg_config of PostgreSQL {major_of(need.version)}"


def _preloaded(
    session: PostgresSession, version: str, place: ServerPlace
) -> tuple[str | None, bool]:
    """Returns the file of the module that the server loads, as a word for the shell, and whether it
    does so at its start; None where the role may not see which one."""
    kept = (
        "SELECT split_part(entry, '=', 1), entry"
        " FROM pg_db_role_setting, unnest(setconfig) AS entry"
    )
    named = [*session.execute(kept).rows]
    for setting in _PRELOADING:
        with suppress(QueryError):  # not every role may see it
            named += [(setting, f"={row[0]}") for row in session.execute(f"SHOW {setting}").rows]
    for setting, value in named:
        for library in (part.strip(' "') for part in value.partition("=")[2].split(",")):
            if setting in _PRELOADING and "pilot_planner" in library:
                return _file_of(library, version, place), setting.startswith("shared")
    return None, False


def _file_of(library: str, version: str, place: ServerPlace) -> str:
    name = library if library.endswith(".so") else f"{library}.so"
    if name.startswith("/"):
        return shlex.quote(name)
    return _word(f"{_libraries(version, place)}/{name.removeprefix('$libdir/')}")
