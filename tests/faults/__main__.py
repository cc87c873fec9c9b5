"""Tries faults again and again, and shows what was lost: `python -m tests.faults`."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path


def main() -> int:
    """Run the tests of faults with larger numbers; the exit code is pytest's."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--kills", type=int, default=200, help="runs to kill (default 200)")
    parser.add_argument("--rounds", type=int, default=2, help="of every other fault (default 2)")
    asked = parser.parse_args()
    os.environ["FAULT_KILLS"] = str(max(0, asked.kills // asked.rounds))
    os.environ["FAULT_ROUNDS"] = str(asked.rounds)
    import pytest

    tests = Path(__file__).parents[1]
    where = [str(tests / "faults"), str(tests / "databases" / "changes" / "test_crashes.py")]
    return int(pytest.main([*where, "-q"]))


if __name__ == "__main__":
    sys.exit(main())
