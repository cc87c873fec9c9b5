"""How well `--rate` holds its rate: the rate that was reached, and how late queries were sent.

    python tests/benchmarks/bench_rate.py [SECONDS]

Eight workers and point queries on the embedded server, at several rates, constant and random. The
last rates are more than a machine with two cores can hold: there pilot must say so.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from pilotcli.common.signals import Bus, Notice, RunFinished
from pilotcli.config import load_config
from pilotcli.run.commands import run
from pilotcli.run.request import RunRequest
from pilotcli.storage.journal import Journal

WORKERS = 8
RATES = (
    ("200/s", "constant"),
    ("1000/s", "constant"),
    ("1000/s", "poisson"),
    ("20000/s", "constant"),
)
SETUP = "CREATE TABLE points AS SELECT i AS id, i AS v FROM generate_series(1, 100000) i;"
SETUP += "CREATE UNIQUE INDEX ON points (id);"


def measured(folder: Path, rate: str, arrivals: str, seconds: float) -> str:
    """A line about one run."""
    sets = (f"run.rate={rate}", f"run.duration={seconds}", f"run.workers={WORKERS}")
    config = load_config(folder / "pilot.yaml", (*sets, f"run.arrivals={arrivals}"))
    notices: list[str] = []
    bus = Bus()
    bus.subscribe(lambda one: notices.append(one.text) if isinstance(one, Notice) else None, Notice)
    finished: RunFinished = run(RunRequest(config, (str(folder / "points.sql"),)), bus)
    with Journal.open(folder / ".pilot") as journal:
        results = list(journal.results(finished.run_id))
    waits = sorted(result.wait_s for result in results)
    reached = len(results) / seconds
    off = reached / float(rate.removesuffix("/s")) - 1
    said = "said so" if any("could not be held" in text for text in notices) else "held"
    at = [waits[int(share * (len(waits) - 1))] * 1000 for share in (0.5, 0.99, 1.0)]
    late = "  ".join(f"{value:9.2f}" for value in at)
    return f"{rate:>9} {arrivals:<9} {reached:9.1f}/s {off:+8.2%}  {late}  {said}"


def main(seconds: float) -> None:
    """Print a line for each rate."""
    # A short path, for the server's socket.
    with tempfile.TemporaryDirectory(dir="/tmp") as folder_name:
        folder = Path(folder_name)
        folder.chmod(0o711)
        (folder / "setup.sql").write_text(SETUP)
        (folder / "pilot.yaml").write_text(
            "home: .pilot\ndatabase: {name: rate, setup: setup.sql}\n"
        )
        queries = (f"SELECT v FROM points WHERE id = {i * 97 % 100_000 + 1};" for i in range(1000))
        (folder / "points.sql").write_text("\n".join(queries))
        late = "  ".join(f"{name:>9}" for name in ("p50", "p99", "max"))
        print(f"{'rate':>9} {'':<9} {'reached':>11} {'off':>8}  {late}  (ms late)")
        for rate, arrivals in RATES:
            print(measured(folder, rate, arrivals, seconds), flush=True)


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 10.0)
