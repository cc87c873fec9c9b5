"""Start-up of the command: `pilot --help` against `import typer`, and `pilot events list`.

python tests/benchmarks/bench_cli.py
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

ROUNDS = 11
ROOT = Path(__file__).parents[2]
PILOT = str(Path(sys.executable).with_name("pilot"))

COMMANDS = {
    "import typer": [sys.executable, "-c", "import typer"],
    "pilot --help": [PILOT, "--help"],
    "pilot events list": [PILOT, "events", "list", "-c", "configs/forum.yaml"],
}


def main() -> None:
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(ROUNDS):
        for name, command in COMMANDS.items():
            started = time.perf_counter()
            subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
            times[name].append(time.perf_counter() - started)
    medians = {name: statistics.median(taken) for name, taken in times.items()}
    for name, median in medians.items():
        ratio = median / medians["import typer"]
        print(f"{name:<18} {median:.3f} s  {ratio:.2f}x `import typer`")


if __name__ == "__main__":
    main()
