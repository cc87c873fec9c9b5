"""Where the server of a session runs, as far as pilot's machine shows it.

A server in a container may have a local address (a published port, a socket in a shared folder) and
does not see pilot's files. Its processes tell: Linux shows the processes of this machine, and the
title of each server process names its client.
"""

from __future__ import annotations

import os
import platform
import re
import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pilotcli.common.errors import QueryError
from pilotcli.databases.session.session import PostgresSession

_LOCAL = ("", "localhost", "127.0.0.1", "::1")
_PROCESSES = Path("/proc")
_MACHINES = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "aarch64", "arm64": "aarch64"}
CONTAINER = (
    "the server does not see this machine's files: it runs in a container, in a file system of its "
    "own, or behind a forwarded port"
)


@dataclass(frozen=True, slots=True)
class ServerPlace:
    """Where a server runs, and for what it was compiled.

    - `elsewhere`: why it does not see pilot's files; None if it does, or if that is not known;
    - `contained`: whether `elsewhere` means a container or the like rather than another machine;
    - `process`: its main process on this machine; None if it is not seen;
    - `programs`: the folder of its programs on this machine; None if it is not seen;
    - `libraries`: its own name for the folder of its libraries; None if the role may not ask;
    - `foreign`: why a file that is compiled on this machine does not fit; None if it may.
    """

    elsewhere: str | None
    contained: bool
    process: int | None
    programs: Path | None
    libraries: str | None
    foreign: str | None


def find_server_place(session: PostgresSession) -> ServerPlace:
    """Returns where the server of `session` runs."""
    ((pid, built),) = session.execute("SELECT pg_backend_pid(), version()").rows
    libraries = None
    with suppress(QueryError):
        ((libraries,),) = session.execute(
            "SELECT setting FROM pg_config WHERE name = 'PKGLIBDIR'"
        ).rows
    host = session.connection.info.host or ""
    is_local = host.startswith(("/", "@")) or host in _LOCAL
    seen = _is_client(session, pid, direct=not is_local)
    elsewhere = None
    if not is_local and not seen:
        elsewhere = f"the server runs on another machine ({host})"
    elif is_local and (seen is False or not _shares_files(pid)):
        elsewhere = CONTAINER
    process = _parent(pid) if seen and elsewhere is None else None
    programs = _programs(process) if process is not None else None
    contained = elsewhere == CONTAINER
    return ServerPlace(elsewhere, contained, process, programs, libraries, _foreign(str(built)))


def _is_client(session: PostgresSession, pid: int, *, direct: bool) -> bool | None:
    """Whether process `pid` of this machine is the server process of `session`; None if this
    machine does not show the processes of others. `direct`: no pooler may be in between."""
    if not (_PROCESSES / "1" / "cmdline").exists():
        return None
    try:
        title = (_PROCESSES / str(pid) / "cmdline").read_bytes().decode(errors="replace")
    except OSError:
        return False
    info = session.connection.info
    names = _client_name(session) if direct else f" {info.user} {info.dbname} "
    return title.startswith("postgres") and names in title


def _client_name(session: PostgresSession) -> str:
    """Returns what the title of the session's server process has about the client's address."""
    with socket.socket(fileno=os.dup(session.connection.fileno())) as connected:
        name = connected.getsockname()
    return f"({name[1]})" if isinstance(name, tuple) else "[local]"


def _shares_files(pid: int) -> bool:
    """Whether the process has pilot's own file system; True too if the system does not say."""
    try:
        return (_PROCESSES / str(pid) / "root").samefile("/")
    except OSError:
        return True


def _parent(pid: int) -> int | None:
    with suppress(OSError):
        status = (_PROCESSES / str(pid) / "status").read_text()
        found = re.search(r"^PPid:\s*(\d+)", status, re.MULTILINE)
        return int(found[1]) if found else None
    return None


def _programs(process: int) -> Path | None:
    """Returns the folder of the program that a server's main process runs."""
    with suppress(OSError):
        words = (_PROCESSES / str(process) / "cmdline").read_bytes().split(b"\0")
        program = Path(os.fsdecode(words[0]))
        if not program.is_absolute() or not os.access(program, os.X_OK):
            program = (_PROCESSES / str(process) / "exe").resolve(strict=True)
        return program.parent
    return None


def _foreign(version_text: str) -> str | None:
    """Returns why a file of this machine does not fit to a server with this version()."""
    found = re.search(r"^PostgreSQL \S+(?: \(.*?\))? on (\S+?),", version_text)
    if found is None:
        return None
    system = found[1]
    machine = system.split("-")[0]
    here = _MACHINES.get(platform.machine(), platform.machine())
    libc = "musl" if "musl" in system else "gnu"
    ours = "gnu" if platform.libc_ver()[0] == "glibc" else "musl"
    if (machine != here and machine in _MACHINES.values()) or ("linux" in system and libc != ours):
        return f"the server is compiled for {system}, and this machine is not of that kind"
    return None
