"""A long statement that the server refuses takes no more memory than one that it takes."""

from __future__ import annotations

import subprocess
import sys

from pilotcli.config import PostgreSQLConfig

SIZE = 20_000_000
TIMES = 4
"""The statement in psycopg2's form, in libpq's buffer, and as much to spare."""

PROGRAM = """
import resource, sys
from pathlib import Path
from pilotcli.config import PostgreSQLConfig
from pilotcli.databases.opening import open_target
from pilotcli.common.errors import QueryError

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

text = "x" * int(sys.argv[2])
accepted, refused = f"SELECT length('{text}')", f"SELECT nothing('{text}')"
target = open_target(PostgreSQLConfig(home=Path(sys.argv[1])))
session = target.session()
before = peak()
session.execute(accepted)
between = peak()
try:
    session.execute(refused)
except QueryError as error:
    print(between - before, peak() - before, error.sqlstate)
session.close()
target.close()
"""


def test_a_long_statement_that_is_refused_takes_a_small_multiple_of_its_size(
    pilot_config: PostgreSQLConfig,
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(pilot_config.home), str(SIZE)],
        capture_output=True,
        text=True,
    )
    assert done.stderr == ""
    accepted, refused, sqlstate = done.stdout.split()
    assert sqlstate == "42883"
    assert int(accepted) < TIMES * SIZE
    assert int(refused) < TIMES * SIZE
