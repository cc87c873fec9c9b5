"""What an update of a model changed, from runs that were written by hand."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from written_run import firing, query, result

from pilotcli.analysis.model_updates import UpdateEffect, _effect, update_effects
from pilotcli.common.records import EventKind
from pilotcli.storage.journal import FiringRecord, Journal, RunJournal

QUERIES = range(1, 9)
Times = Callable[[int, int], float]
"""The seconds of a query in a round."""


def start(journal: Journal) -> RunJournal:
    return journal.start_run(
        kind="run", workload="w", config_path=None, config_text="{}", database="x", options={}
    )


def write_rounds(run: RunJournal, times: Times) -> None:
    for round in (1, 2):
        for seq in QUERIES:
            run.add_result(
                query(seq),
                result(seq, round=round, started_at=1000.0 * round + seq,
                       elapsed_s=times(seq, round)),
            )  # fmt: skip


def effect(home: Path, driver: Times, baseline: Times | None = None) -> UpdateEffect:
    """The effect of an update between the two rounds of a run, or of a pair of runs."""
    with Journal.open(home) as journal:
        with start(journal) as run:
            write_rounds(run, driver)
            run.add_firing(replace(firing(8)), {"Update": 8})
            run.flush()
            # Between the rounds: it is the journal that says when a firing was.
            run._connection.execute("UPDATE firings SET fired_at = 1500")
            if baseline is not None:
                with start(journal) as other:
                    write_rounds(other, baseline)
                other_id = other.run_id
                run.set_pair(other_id, "driver")
        (found,) = update_effects(journal, run.run_id)
    return found


def test_drift_that_the_baseline_shares_is_taken_off(tmp_path: Path) -> None:
    twice_as_slow: Times = lambda seq, round: seq * 0.1 * round  # noqa: E731
    alone = effect(tmp_path / "alone", twice_as_slow)
    assert (alone.verdict, alone.speedup) == ("slower", pytest.approx(0.5))
    paired = effect(tmp_path / "paired", twice_as_slow, twice_as_slow)
    assert (paired.verdict, paired.speedup) == ("same", pytest.approx(1.0))
    steady = effect(tmp_path / "steady", lambda seq, round: seq * 0.1, twice_as_slow)
    assert (steady.verdict, steady.speedup) == ("faster", pytest.approx(2.0))


@pytest.mark.parametrize(
    ("factor", "verdict"),
    [(1.01, "same"), (0.99, "same"), (1.05, "slower"), (0.95, "faster"), (1.0, "same")],
)
def test_next_to_nothing_is_no_effect_however_sure(
    tmp_path: Path, factor: float, verdict: str
) -> None:
    def times(seq: int, round: int) -> float:
        # Each query by a little more or less, so that no two changes are equal.
        return 0.1 * (1.0 if round == 1 else factor ** (1 + seq / 100))

    found = effect(tmp_path, times)
    assert found.verdict == verdict
    assert found.speedup is not None and found.low is not None and found.high is not None
    assert found.low <= found.speedup <= found.high
    assert math.log(found.speedup) == pytest.approx(-math.log(factor), abs=0.005)
    assert found.queries == len(QUERIES)


@given(st.lists(st.lists(st.floats(-1.0, 1.0), min_size=6, max_size=12), min_size=1, max_size=8))
@settings(max_examples=50)
def test_an_updates_verdict_is_what_its_interval_says(updates: list[list[float]]) -> None:
    at = FiringRecord("u", EventKind.PERIODIC_UPDATE, "interval", 8, "ok", 0.1, 1, 0.0, None, None)
    for changes in updates:
        found = _effect(at, changes, len(updates), ())
        assert found.speedup is not None and found.low is not None and found.high is not None
        assert found.low <= found.speedup <= found.high
        assert (found.verdict in ("faster", "slower")) <= (not found.low <= 1 <= found.high)
        alone = _effect(at, changes, 1, ())
        assert alone.low is not None and found.low <= alone.low
