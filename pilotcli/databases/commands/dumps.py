"""Archives of pg_dump, read with the pg_restore of the PostgreSQL that comes with pilot."""

from __future__ import annotations

import subprocess
from pathlib import Path

from pilotcli.common.errors import UsageError
from pilotcli.databases.embedded.binaries import client_program


def write_dump_as_script(dump: Path, script: Path) -> None:
    """Write an archive of pg_dump, a file or a folder, as SQL without owners and rights.

    Raises `UsageError` where pg_restore refuses it, or is not there.
    """
    program = client_program("pg_restore")
    command = [program, "--no-owner", "--no-privileges", "-f", str(script), str(dump)]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        complaint = done.stderr.strip() if done.returncode else ""
    except OSError as exc:
        complaint = f"{program}: {exc.strerror}"
    if complaint:
        raise UsageError(
            f"pg_restore cannot read {dump.name}: {complaint.splitlines()[0]}",
            hint="Restore it into a server of yours, and name only the folder with the queries.",
        )
