"""A copy of an installation of PostgreSQL, to whose libraries a test may add."""

from __future__ import annotations

import subprocess
from pathlib import Path

from steered import pg_config_script, postgres_bin

from pilotcli.databases.embedded.binaries import find_binaries


def own_installation(kind: str, folder: Path) -> Path:
    """Copies an installation into `folder`; returns the folder of its programs.

    The files are links where the file system allows that. Programs find libraries and shared files
    relative to themselves, so each folder has the same place as in the installation.
    """
    programs = (postgres_bin(kind) or find_binaries().folder).resolve()
    near, top = programs.parent, programs.parents[2]
    debian = programs.parents[3] / "share" / "postgresql" / near.name
    share = debian if debian.is_dir() else near / "share"
    root = programs.parents[3] if share == debian else top
    for source in (programs, near / "lib", share, *top.glob("*.libs")):
        copy = folder / source.relative_to(root)
        copy.parent.mkdir(parents=True, exist_ok=True)
        linked = subprocess.run(["cp", "-aL", "--link", source, copy], check=False).returncode == 0
        if not linked:
            subprocess.run(["rm", "-rf", copy], check=True)
            subprocess.run(["cp", "-aL", source, copy], check=True)
    copied = folder / programs.relative_to(root)
    _own_pg_config(copied, version=find_binaries(programs).version)
    return copied


def _own_pg_config(programs: Path, version: str) -> None:
    """Where pg_config is a script, with places of its own: one that knows the copy's libraries."""
    pg_config = programs / "pg_config"
    if pg_config.read_bytes().startswith(b"#!"):
        (library,) = (programs.parent / "lib").glob("**/plpgsql.so")
        pg_config.unlink()
        otherwise = f'test "$1" = --pkglibdir && echo {library.parent}'
        pg_config_script(pg_config, f"PostgreSQL {version}", otherwise)
