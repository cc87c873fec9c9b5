"""How fast workloads are read, and in how much memory.

    python tests/benchmarks/bench_workload.py [--gigabyte]

Each kind of SQL is made into a file of about 40 MB and read five times; the median counts. Memory
is the peak of a process that does nothing but read, for a file of 64 MB, with `--gigabyte` for one
of 1 GB as well, and for one statement of 100 MB.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from pilotcli.workload import open_workload

ROUNDS = 5
FILE_BYTES = 40_000_000

REPORT = """-- name: report_{n}
SELECT u.id, u.name, count(*) AS answers -- one row a user
FROM users AS u
JOIN posts AS p ON p.owner_id = u.id AND p.kind IN ('question', 'answer')
WHERE u.reputation > {n}
  AND p.title ILIKE '%don''t; or do%'
  AND (p.score > 3 OR (p.views BETWEEN 10 AND 100 AND p.body IS NOT NULL))
GROUP BY u.id, u.name
HAVING count(*) > 1
ORDER BY answers DESC, u.id
LIMIT 100;

"""
JOIN = (
    "SELECT count(*) FROM users AS u, posts AS p, comments AS c, votes AS v WHERE u.id = "
    "p.owner_id AND p.id = c.post_id AND v.post_id = p.id AND u.reputation >= {n} AND "
    "p.score BETWEEN 3 AND 40 AND c.created < '2014-08-01 00:00:00'::timestamp AND v.kind = 2;\n"
)
POINT = "SELECT balance FROM accounts WHERE id = {n};\n"
BLANKS = "SELECT a\nFROM t\n\nWHERE b = {n}\n\n  AND c = $${n}; x$$ AND d IN (SELECT e FROM f);\n"
INSERT = "INSERT INTO t (a, b, c) VALUES ({n}, 'text; number {n}', '2024-01-01'), (1, NULL, '');\n"
KINDS = {"reports": REPORT, "joins": JOIN, "inserts": INSERT, "points": POINT, "careful": BLANKS}

READER = """
import sys
from pilotcli.workload import open_workload
count = sum(1 for query in open_workload([sys.argv[1]]))
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(count, int(status["VmHWM"].split()[0]) // 1024)
"""


def write(path: Path, template: str, size: int) -> None:
    block = "".join(template.replace("{n}", str(n)) for n in range(5000)).encode()
    with path.open("wb") as file:
        while file.tell() < size:
            file.write(block)


def speed(path: Path) -> tuple[int, float]:
    """Statements, and MB/s in the median."""
    taken = []
    count = 0
    for _ in range(ROUNDS):
        started = time.perf_counter()
        count = sum(1 for _ in open_workload([path]))
        taken.append(time.perf_counter() - started)
    return count, path.stat().st_size / statistics.median(taken) / 1e6


def memory(path: Path) -> str:
    """What a fresh process needs to read the file."""
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", READER, str(path)], check=True, capture_output=True, text=True
    )
    count, peak = done.stdout.split()
    size, taken = path.stat().st_size / 1e6, time.perf_counter() - started
    return f"{size:6.0f} MB, {count:>8} statements: {peak:>4} MB of memory, {taken:.1f} s"


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="bench-workload-") as folder:
        path = Path(folder) / "w.sql"
        for name, template in KINDS.items():
            write(path, template, FILE_BYTES)
            count, rate = speed(path)
            print(f"{name:<8} {rate:6.1f} MB/s  {count / path.stat().st_size * 1e6:6.0f} a MB")
        for size in (64_000_000, *([1_000_000_000] if "--gigabyte" in sys.argv else [])):
            write(path, REPORT, size)
            print(f"file           {memory(path)}")
        path.write_bytes(b"SELECT 1 AS a;\nCOPY t FROM STDIN;\n" + b"1\ttext\n" * 30_000_000)
        print(f"COPY data      {memory(path)}")
        rows = b"INSERT INTO t VALUES (1, 'text')" + b",\n(2, 'more; text')" * 5_500_000
        path.write_bytes(rows)
        print(f"one statement  {memory(path)}")


if __name__ == "__main__":
    main()
