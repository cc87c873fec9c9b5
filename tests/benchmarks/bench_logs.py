"""How fast the logs of a server become a workload, and in how much memory.

    python tests/benchmarks/bench_logs.py [--gigabyte]

A server logs what pgbench sends with each of its protocols. These entries are repeated, with other
sessions and later times, until a csvlog, a jsonlog and a log as text have 100 MB, or 1 GB. The
time is that of the processor, the memory the peak of `pilot workloads from-log`.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from datetime import datetime, timedelta
from pathlib import Path

from pilotcli.databases.embedded.binaries import find_binaries
from pilotcli.databases.embedded.server import EmbeddedServer

SETTINGS = {
    "logging_collector": "on",
    "log_destination": "csvlog,jsonlog,stderr",
    "log_filename": "monday.log",
    "log_line_prefix": "%m [%p] %c %q%u@%d ",
    "log_min_duration_statement": "0",
    "log_min_messages": "warning",
}
_SECOND = "%Y-%m-%d %H:%M:%S"


def logs_of_a_server(folder: Path) -> dict[str, str]:
    """Returns the text of each log of a server on which pgbench has run, by its suffix."""
    server = EmbeddedServer.acquire(folder / ".pilot", settings=SETTINGS)
    try:
        conninfo = dict(server.conninfo("postgres"))
        names = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "dbname": "PGDATABASE"}
        given = {names[key]: str(value) for key, value in conninfo.items() if key in names}
        pgbench = [find_binaries().folder / "pgbench", "-n", "-c2", "-t300"]
        for options in (["-i"], ["-Msimple"], ["-Mextended"], ["-Mprepared"], ["-S"]):
            subprocess.run(
                [*(pgbench[:1] if options == ["-i"] else pgbench), *options],
                env={**os.environ, **given},
                check=True,
                capture_output=True,
            )
        time.sleep(2)  # the server writes its logs by a process apart
        return {
            file.suffix: file.read_text("utf-8")
            for file in (server.place.data_dir / "log").iterdir()
        }
    finally:
        server.release()


def repeat(text: str, path: Path, size: int) -> None:
    """Write `text` again and again, each time for other sessions and a minute later."""
    starts = sorted(set(re.findall(r"\b[0-9a-f]{8}(?=\.[0-9a-f]+\b)", text)))
    minutes = sorted(set(re.findall(r"\b\d{4}-\d\d-\d\d \d\d:\d\d(?=:\d\d\.\d{3})", text)))
    pattern = re.compile("|".join(map(re.escape, [*starts, *minutes])))
    span = timedelta(minutes=len(minutes))
    with path.open("w", encoding="utf-8") as file:
        copies = 0
        while file.tell() < size:
            new = {start: f"{int(start, 16) + copies * 1000:08x}" for start in starts}
            for minute in minutes:
                when = datetime.strptime(f"{minute}:00", _SECOND) + copies * span
                new[minute] = when.strftime(_SECOND)[:-3]
            file.write(pattern.sub(lambda found, new=new: new[found[0]], text))  # type: ignore[misc]
            copies += 1


def measure(path: Path) -> str:
    """What a process needs that makes a workload of the log."""
    command = [sys.executable, "-m", "pilotcli", "workloads", "from-log", path, "-o", "/dev/null"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    said = process.stdout.read().split(": ")[-1].strip()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = status
    spent = used.ru_utime + used.ru_stime
    size = path.stat().st_size
    return (
        f"{path.suffix[1:]:<5} {size / 1e6:6.0f} MB, {said}: {size / spent / 1e6:5.1f} MB/s, "
        f"{used.ru_maxrss / 1024:.0f} MB of memory"
    )


def main() -> None:
    size = 1_000_000_000 if "--gigabyte" in sys.argv else 100_000_000
    with tempfile.TemporaryDirectory(prefix="bench-logs-", dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o711)
        for suffix, text in sorted(logs_of_a_server(folder).items()):
            path = folder / f"monday{suffix}"
            repeat(text, path, size)
            print(measure(path), flush=True)
            path.unlink()


if __name__ == "__main__":
    main()
