"""What a lot of everything costs: time, and the peak of memory in a process of its own.

    python tests/benchmarks/bench_load.py [FOLDER]

A million statements, single statements of 100 MB, ten thousand events, a thousand checkpoints.
FOLDER is where files are made (default: a temporary one); it takes 400 MB for a while.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from pilotcli.storage.checkpoints import CheckpointStore

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
from pilotcli.events import QueryFinishEvent
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

    (folder / "ticks.py").write_text(EVENTS)
    (folder / "events.yaml").write_text(
        "workload: q.sql\nevents:\n"
        + "- {class: ticks.py:Tick, args: {interval_count: 1000}}\n" * 10_000
    )
    (folder / "q.sql").write_text("SELECT 1;\n" * 2000)
    given = ("-c", "events.yaml")
    pilot(folder, "10,000 events, config check", "config", "check", *given)
    pilot(folder, "10,000 events, events list", "events", "list", *given)
    pilot(folder, "10,000 events, events plan", "events", "plan", *given)
    pilot(folder, "2,000 queries without events", "run", "q.sql", "--format", "plain", "-q")
    pilot(folder, "2,000 queries and 10,000 events, 20,000 firings", "run", *given, "-q")

    store = CheckpointStore(folder / "models")
    started = time.perf_counter()
    for _ in range(1000):
        store.save("m", lambda made: (made / "a").write_text("a"), model_class="a.B")
    print(f"{'1,000 checkpoints, saved':<44} {time.perf_counter() - started:7.2f} s")
    started = time.perf_counter()
    store.versions("m")
    print(f"{'1,000 checkpoints, listed':<44} {time.perf_counter() - started:7.2f} s")
    started = time.perf_counter()
    store.prune("m", 3)
    print(f"{'1,000 checkpoints, pruned to 3':<44} {time.perf_counter() - started:7.2f} s")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]).absolute())
    else:
        with tempfile.TemporaryDirectory(prefix="bench-load-") as made:
            Path(made).chmod(0o711)
            main(Path(made))
