"""The demo as its reader starts it, on a server of its own: the model must get better."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from forum_demo import ROOT, forum_config

from pilotcli.storage.store.data_manager import DataManager


def logs(rows: Sequence[dict[str, Any]]) -> list[float]:
    return [math.log10(row["execution_time"]) for row in rows if row["status"] == "ok"]


@pytest.mark.slow
def test_the_error_falls_from_checkpoint_to_checkpoint(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pilotcli", "run", str(ROOT / "workloads" / "forum.sql")]
    command += ["-c", str(ROOT / "configs" / "forum.yaml"), "--limit", "45", "--format", "jsonl"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    signals = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, ([one for one in signals if one.get("error")], done.stderr)
    errors = [one["metrics"]["q_error"] for one in signals if one["signal"] == "model_saved"]
    assert len(errors) == 4
    assert errors[-1] < 0.75 * errors[0]

    config = forum_config(tmp_path / ".pilot", "forum")
    config.user_data_db_name = "pilot_data"
    with DataManager(config) as store:
        first = store.read_all("forum_pretraining", reader="test").to_dict("records")
        seen = logs(store.read_all("forum_plans", reader="test").to_dict("records"))
        assert store.row_count("forum_plan_summary") == 45
    asked = logs([row for row in first if row["role"] == "validation"])
    mean = math.fsum(seen) / len(seen)
    of_the_mean = 10 ** (math.fsum(abs(one - mean) for one in asked) / len(asked))
    assert errors[-1] < 0.9 * of_the_mean
