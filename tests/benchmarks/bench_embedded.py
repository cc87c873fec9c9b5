"""The embedded server: from nothing to the first query, and later starts.

    python tests/benchmarks/bench_embedded.py

Each figure is the wall time from starting Python to the answer: imports, initdb or not, start,
connection, `SELECT 1`. The limits are 2 s for a first start and 0.5 s for a later one.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROUNDS = 5
ROOT = Path(__file__).parents[2]

SCRIPT = """
import sys, time
from pathlib import Path
from pilotcli.config import PostgreSQLConfig
from pilotcli.databases.opening import open_target
target = open_target(PostgreSQLConfig(home=Path(sys.argv[1])))
session = target.session()
assert session.execute("SELECT 1").rows == [(1,)]
print(time.time())
session.close()
target.close()
"""


def until_first_query(home: Path) -> float:
    started = time.time()
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(home)],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    return float(done.stdout) - started


def main() -> None:
    first, later = [], []
    with tempfile.TemporaryDirectory(prefix="pilot-bench-", dir="/tmp") as folder:
        Path(folder).chmod(0o711)
        for number in range(ROUNDS):
            home = Path(folder) / str(number)
            first.append(until_first_query(home))
            later.append(until_first_query(home))
    for name, taken in (("first start", first), ("later start", later)):
        print(
            f"{name}: median {statistics.median(taken):.3f} s, slowest {max(taken):.3f} s "
            f"of {ROUNDS}"
        )


if __name__ == "__main__":
    main()
