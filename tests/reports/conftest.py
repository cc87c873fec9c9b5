"""A comparison of two runs with a bit of everything, made through the journal's own writer."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from pilotcli.analysis.compare import compare
from pilotcli.analysis.comparison import Comparison
from pilotcli.common.records import EventKind, ModelVersion, Query, QueryResult, SteeringReport
from pilotcli.common.signals import EventTriggered
from pilotcli.storage.journal import Journal, RunJournal

NASTY = "</script><img src=x onerror=\"document.title='broken'\">'\u2028`|*_\x1b[31m"
"""A label that wants to be more than text."""

FACTORS = {1: 1.0, 2: 0.5, 3: 4.0, 4: 1.0, 5: 1.0, 6: 0.9, 7: 1.0, 8: 0.2}
"""How much longer each query takes in the driver's run; 4 fails there, 5 runs into its time-out
there, and 7 gives other rows."""

KEY = "SELECT COUNT(*) FROM users u WHERE u.id < 5"
STEERING = SteeringReport(
    ("work_mem = 8MB", KEY), ((f"<b>{KEY}", "the planner removed u"),), None, ((KEY, 1234.0),)
)
"""What the driver pushes into query 3."""


def plan(kind: str, rows: int, **more: Any) -> str:
    scan = {"Node Type": "Seq Scan", "Relation Name": "users", "Alias": "u<b>", "Plan Rows": rows}
    return json.dumps({"Plan": {"Node Type": kind, "Plan Rows": rows, "Plans": [scan], **more}})


def label(seq: int) -> str:
    return NASTY if seq == 2 else f"query-{seq}"


def write_run(journal: Journal, arm: str, pair: int | None) -> int:
    chance = random.Random(arm)
    run = journal.start_run(
        kind="run",
        workload="w.sql",
        config_path="pilot.yaml",
        config_text="{}",
        database="PostgreSQL 18",
        options={},
    )
    driver = arm == "driver"
    for round in (1, 2, 3):
        for seq in FACTORS:
            elapsed_s = seq / 1000 * chance.uniform(0.995, 1.005) * (FACTORS[seq] if driver else 1)
            logged = {"predicted_s": 0.006, "arm": "nl" if round == 2 else "hash"}
            query = Query(seq, label(seq), f"SELECT '{NASTY}', {seq}", "w.sql", seq, "SELECT")
            result = QueryResult(
                *(seq, query.label, "ok", 1e9 + round * 10 + seq, elapsed_s, 3),
                round=round,
                file="w.sql",
                line=seq,
                answer="1:other" if driver and seq == 7 else "1:a",
                execution_s=elapsed_s * 0.9,
                planning_s=elapsed_s * 0.05,
                inference_s=1e-5 if driver else 0.0,
                steering=STEERING if driver and seq == 3 else None,
                logged=logged if driver and seq == 3 else None,
            )
            if driver and seq == 4:
                result = result._replace(status="error", error=f"no \x00 {NASTY}", answer=None)
            if driver and seq == 5:
                result = result._replace(status="timeout", elapsed_s=1.0, answer=None)
            run.add_result(query, result)
    for seq in FACTORS:
        kind = "Hash Join" if driver else "Nested Loop"
        run.add_plan(seq, 0, plan(kind, 10, **{"Actual Rows": 10 * seq**3, "Actual Loops": 1}))
    if driver:
        _add_events(run)
    if pair is not None:
        run.set_pair(pair, "baseline")
    run.finish("failed" if driver else "finished", 1 if driver else 0, {"reasons": ["it failed"]})
    run.close()
    return run.run_id


def _add_events(run: RunJournal) -> None:
    for number in (1, 2):
        failed = number == 2
        run.add_firing(
            EventTriggered(
                "Update",
                EventKind.PERIODIC_UPDATE,
                "interval",
                number * 5,
                "failed" if failed else "ok",
                0.5,
                number,
                f"ValueError: {NASTY}" if failed else None,
                f"Traceback\n  {NASTY}\x00" if failed else None,
            ),
            {},
        )
        run.add_model(
            ModelVersion(
                *("m<b>", number, Path("m"), 1e9 + number * 12, 100, "0" * 64, "Update", 5),
                metrics={"mae": 2.0 / number},
            )
        )


@pytest.fixture
def paired_home(tmp_path: Path) -> Path:
    """A home with run 1, the driver's, and run 2, its baseline."""
    home = tmp_path / "home"
    with Journal.open(home) as journal:
        driver = write_run(journal, "driver", None)
        baseline = write_run(journal, "baseline", driver)
        again = journal._connection
        again.execute(
            "UPDATE runs SET paired_with = ?, arm = 'driver' WHERE run_id = ?", (baseline, driver)
        )
    return home


@pytest.fixture
def comparison(paired_home: Path) -> Comparison:
    """The two runs compared."""
    with Journal.open(paired_home) as journal:
        return compare(journal, 1, journal, 2)
