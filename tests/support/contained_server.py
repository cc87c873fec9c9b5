"""A server in a container of Linux's own making: other files, other process numbers, one network.

`docker` is a script that does `docker cp` and `docker exec` with it, so that what pilot says about
containers can be followed to the letter.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg2
import pytest

from pilotcli.databases.embedded.os_user import server_account

_SYSTEM = ("usr", "lib", "lib64", "bin", "sbin", "etc", "dev")


@dataclass
class ContainedServer:
    """A running server, and how to reach it and its files."""

    sockets: Path
    port: int
    process: int
    root: Path
    programs: Path

    def dsn(self, user: str, host: str = "") -> str:
        return f"host={host or self.sockets} port={self.port} user={user} dbname=postgres"

    def sql(self, *statements: str) -> None:
        connection = psycopg2.connect(self.dsn("postgres"))
        connection.autocommit = True
        with contextlib.closing(connection), connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def docker(self, folder: Path) -> None:
        """Write the program `docker` into `folder`; any name is the container's."""
        inside = f"nsenter -t {self.process} -m -p -r -w"
        script = folder / "docker"
        script.write_text(
            "#!/bin/sh -e\n"
            f"export PATH={shlex.quote(str(self.programs))}:$PATH\n"
            'case "$1" in\n'
            f'cp) cp "$2" "/proc/{self.process}/root/${{3#*:}}" ;;\n'
            f'exec) shift 4; exec {inside} "$@" ;;\n'
            "*) exit 2 ;;\nesac\n"
        )
        script.chmod(0o755)

    def mount(self, folder: Path) -> None:
        """Show a folder of this machine in the container, at the same path."""
        place = Path(f"{self.root}{folder}")
        steps = f"mkdir -p {place} && mount --bind {folder} {place}"
        command = ["nsenter", "-t", str(self.process), "-m", "sh", "-c", steps]
        subprocess.run(command, check=True)


@contextlib.contextmanager
def contained_server(programs: Path, installation: Path, folder: Path) -> Iterator[ContainedServer]:
    """A server with the `programs` of an `installation`; skips where that is not allowed."""
    if os.geteuid() != 0 or not shutil.which("unshare") or not shutil.which("nsenter"):
        pytest.skip("only root makes containers, with unshare and nsenter")
    if subprocess.run(["unshare", "-m", "-p", "--fork", "true"], check=False).returncode != 0:
        pytest.skip("this machine does not let root make containers")
    account = server_account(folder)
    root, sockets = folder / "root", folder / "sockets"
    for place in (root, sockets):
        place.mkdir()
    os.chown(sockets, account.uid, account.gid)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    as_server = f"setpriv --reuid {account.uid} --regid {account.gid} --clear-groups"
    binds = [Path("/", name) for name in _SYSTEM if Path("/", name).exists()]
    lines = [f"mount -t tmpfs tmpfs {root}"]
    for place in (*binds, *_own_libc(programs / "initdb"), installation, sockets):
        lines += [f"mkdir -p {root}{place}", f"mount --rbind {place} {root}{place}"]
    lines += [
        f"mkdir {root}/data {root}/proc; chmod 1777 {root}/tmp",
        f"mount -t proc proc {root}/proc",
        f"chown {account.uid}:{account.gid} {root}/data",
        f"chroot {root} {as_server} env HOME=/ {programs}/initdb -D /data/db -A trust -U postgres"
        " -N > /dev/null",
        f"chroot {root} {as_server} {programs}/pg_ctl -w -D /data/db -l /data/log start -o"
        f" '-k {sockets} -p {port} -c listen_addresses=127.0.0.1 -c fsync=off' > /dev/null",
        "echo ready",
        f"exec chroot {root} sleep infinity",
    ]
    script = folder / "start.sh"
    script.write_text("\n".join(["set -e", *lines]) + "\n")
    command = ["unshare", "-m", "-p", "--fork", "--kill-child", "sh", script]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as outer:
        try:
            assert outer.stdout is not None
            said = outer.stdout.readline()
            assert said == b"ready\n", said + outer.stdout.read()
            inner = Path(f"/proc/{outer.pid}/task/{outer.pid}/children").read_text().split()[0]
            yield ContainedServer(sockets, port, int(inner), root, programs)
        finally:
            outer.kill()


def _own_libc(program: Path) -> list[Path]:
    """Returns the folder of the C library of a program that does not take the system's."""
    found = re.search(rb"/[^\0]*/ld-linux[^\0]*", program.read_bytes())
    loader = Path(os.fsdecode(found[0])) if found else Path("/lib")
    return [] if loader.parts[1] in _SYSTEM else [loader.parents[2]]
