"""What a lot of everything costs: time, and the peak of memory in a process of its own.

    python tests/benchmarks/bench_load.py [FOLDER]

A million statements, single statements of 100 MB, ten thousand events, a thousand checkpoints, a
journal of ten million results, and a run of two million queries, whose memory is looked at on its
way. FOLDER is where files are made (default: a temporary one); it takes 2 GB for a while, and ten
minutes.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from pilotcli.storage.checkpoints.checkpoints import CheckpointStore

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from large_journal import make_journal

PILOT = """
import sys
from pilotcli.cli.main import main
try:
    main()
except SystemExit as ended:
    code = ended.code or 0
for line in open("/proc/self/status"):
    if line.startswith("VmHWM"):
        print("peak", int(line.split()[1]) // 1024, "exit", code)
"""
EVENTS = """
from pilotcli.events.base import QueryFinishEvent
class Tick(QueryFinishEvent):
    def process(self, db_controller, data_manager):
        pass
"""
STATEMENTS = {
    "one string": ("SELECT length('", "x", "')"),
    "doubled quotes": ("SELECT length('", "it''s ", "')"),
    "refused by the server": ("SELECT nothing('", "x", "')"),
}


def pilot(folder: Path, what: str, *words: str) -> None:
    """Run a command, and print what it took."""
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", PILOT, *words], cwd=folder, capture_output=True, text=True
    )
    taken = time.perf_counter() - started
    last = done.stdout.splitlines()[-1] if done.stdout else done.stderr[-200:]
    print(f"{what:<44} {taken:7.2f} s   {last} MB")


def main(folder: Path) -> None:
    """All of them, one after the other."""
    for part in (statements, events, checkpoints, journal, long_run):
        part(folder)


def statements(folder: Path) -> None:
    """Many statements, and long ones."""
    many = folder / "many.sql"
    many.write_text("SELECT balance FROM accounts WHERE id = 1;\n" * 1_000_000)
    pilot(folder, "a million statements, dry run", "run", str(many), "--dry-run")
    many.unlink()

    long = folder / "long.sql"
    for name, (begin, middle, end) in STATEMENTS.items():
        long.write_text(begin + middle * (100_000_000 // len(middle)) + end + ";\n")
        pilot(folder, f"100 MB, {name}, dry run", "run", str(long), "--dry-run")
        pilot(folder, f"100 MB, {name}, run", "run", str(long), "--format", "plain")
    long.unlink()


def events(folder: Path) -> None:
    """Ten thousand events, of which all are due now and then, or none ever."""
    (folder / "ticks.py").write_text(EVENTS)
    entry = "- {class: ticks.py:Tick, args: {interval_count: %d}}\n"
    for name, interval in (("events", 1000), ("idle", 1_000_000)):
        text = "workload: q.sql\nevents:\n" + (entry % interval) * 10_000
        (folder / f"{name}.yaml").write_text(text)
    (folder / "q.sql").write_text("SELECT 1;\n" * 2000)
    given = ("-c", "events.yaml")
    pilot(folder, "10,000 events, config check", "config", "check", *given)
    pilot(folder, "10,000 events, events list", "events", "list", *given)
    pilot(folder, "10,000 events, events plan", "events", "plan", *given)
    for count in (2000, 20_000):
        (folder / "q.sql").write_text("SELECT 1;\n" * count)
        told = f"{count:,} queries"
        pilot(folder, f"{told} without events", "run", "q.sql", "--format", "plain", "-q")
        pilot(folder, f"{told}, 10,000 events never due", "run", "-c", "idle.yaml", "-q")
    (folder / "q.sql").write_text("SELECT 1;\n" * 2000)
    pilot(folder, "2,000 queries and 10,000 events, 20,000 firings", "run", *given, "-q")


def checkpoints(folder: Path) -> None:
    """A thousand versions of a model."""
    home = folder / "versions"
    store = CheckpointStore(home / "models")
    started = time.perf_counter()
    for _ in range(1000):
        store.save("m", lambda made: (made / "a").write_text("a"), model_class="a.B")
    print(f"{'1,000 checkpoints, saved':<44} {time.perf_counter() - started:7.2f} s")
    for words in (("list",), ("show", "m")):
        what = f"1,000 checkpoints, models {words[0]}"
        pilot(folder, what, "models", *words, "--set", f"home={home}")
    started = time.perf_counter()
    store.prune("m", 3)
    print(f"{'1,000 checkpoints, pruned to 3':<44} {time.perf_counter() - started:7.2f} s")


def journal(folder: Path) -> None:
    """Ten million results: as an older pilot has left them, and with their summary."""
    home = folder / "journal"
    make_journal(home, 10_000_000, queries=100_000, firings=100_000)
    asked = ("--set", f"home={home}")
    pilot(folder, "10,000,000 results, runs show, the first time", "runs", "show", *asked)
    pilot(folder, "10,000,000 results, runs show", "runs", "show", *asked)
    pilot(folder, "10,000,000 results, runs show --failed", "runs", "show", "--failed", *asked)
    pilot(folder, "10,000,000 results, runs list", "runs", "list", *asked)
    (home / "journal.db").unlink()


def long_run(folder: Path) -> None:
    """The resident memory of a run of two million queries, after each tenth."""
    (folder / "point.sql").write_text("SELECT 1;\n" * 200_000)
    command = [sys.executable, "-m", "pilotcli", "run", "point.sql", "--format", "jsonl"]
    command += ["--set", "run.repeat=10", "--set", f"home={folder / 'long'}"]
    resident = []
    with subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as running:
        assert running.stdout is not None
        queries = 0
        for line in running.stdout:
            queries += b"query_finished" in line
            if b"query_finished" in line and queries % 200_000 == 0:
                resident.append(resident_mb(running.pid))
    print(f"{'2,000,000 results, MB after each tenth':<44} {' '.join(map(str, resident))}")


def resident_mb(pid: int) -> int:
    """The resident memory of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") >> 20


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]).absolute())
    else:
        with tempfile.TemporaryDirectory(prefix="bench-load-") as made:
            Path(made).chmod(0o711)
            main(Path(made))
