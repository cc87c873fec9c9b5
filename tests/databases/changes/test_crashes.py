"""A pilot is killed at any step: the next one undoes all of its changes to the server.

Each server tries a fifth of the steps, another one each; `python -m tests.faults` tries all.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from fault_table import KILLS

SCRIPT = Path(__file__).with_name("crash_points.py")


@pytest.mark.slow
@pytest.mark.parametrize("action", ["indexes", "reloaded", "restarted", "refused", "extension"])
def test_killed_at_every_step(
    action: str,
    make_home: Callable[[], Path],
    postgres_bin: Path | None,
    record_property: Callable[[str, object], None],
) -> None:
    first, every = (1, 1) if KILLS else (1 if postgres_bin is None else 3, 5)
    server = [str(make_home()), str(postgres_bin or "")]
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *server, action, str(first), str(every)],
        capture_output=True,
        text=True,
        timeout=3000,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    record_property("tried", found["tried"])
    assert found["wrong"] == []
    # Most steps lie between the first change and the end of its undoing.
    assert found["last"] > 30
    assert found["undone"] > found["tried"] / 4
