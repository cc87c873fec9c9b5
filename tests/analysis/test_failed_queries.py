"""Queries that fail in one of the runs: they make neither of them look faster."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pilotcli.analysis.compare import compare
from pilotcli.analysis.comparison import Comparison
from pilotcli.analysis.wording import counts_text, unclear_text
from pilotcli.common.records import Query, QueryResult
from pilotcli.storage.journal import Journal


def compared(home: Path, failing: frozenset[int]) -> Comparison:
    """Two runs alike, of queries of 1 ms to 8 ms; some of them fail in the first run."""
    with Journal.open(home) as journal:
        for broken in (failing, frozenset[int]()):
            run = journal.start_run(
                kind="run", workload="w.sql", config_path=None, config_text="{}", database="x",
                options={},
            )  # fmt: skip
            for round in (1, 2, 3):
                for seq in range(1, 9):
                    status = "error" if seq in broken else "ok"
                    took_s = seq / 1000 * (1 + round / 1000)
                    run.add_result(
                        Query(seq, f"q{seq}", f"SELECT {seq}", "w.sql", seq, "SELECT"),
                        QueryResult(seq, f"q{seq}", status, 1e9 + seq, took_s, 1, round=round),
                    )
            run.finish("finished", 0, {})
            run.close()
        return compare(journal, 1, journal, 2)


def test_times_are_those_of_the_same_queries_in_both(tmp_path: Path) -> None:
    comparison = compared(tmp_path, frozenset({8}))
    assert comparison.count("failed") == 1
    assert comparison.total.verdict == "same"
    ours, theirs = comparison.costs_a.whole_s, comparison.costs_b.whole_s
    assert ours == pytest.approx(theirs)
    assert ours == pytest.approx(0.028, rel=0.01)
    assert any(told.startswith("1 query failed in one of the runs") for told in comparison.warnings)


def test_where_all_fail_no_time_is_told(tmp_path: Path) -> None:
    comparison = compared(tmp_path, frozenset(range(1, 9)))
    assert comparison.total.speedup is None
    assert comparison.costs_a.whole_s == comparison.costs_b.whole_s == 0
    assert any(told.startswith("8 queries failed") for told in comparison.warnings)


def test_what_fails_in_both_is_not_called_unclear(tmp_path: Path) -> None:
    comparison = compared(tmp_path, frozenset({8}))
    (failed,) = (query for query in comparison.queries if query.seq == 8)
    both = replace(failed, verdict="unclear", b=failed.a)
    others = [query for query in comparison.queries if query.seq != 8]
    found = replace(comparison, queries=[both, *others])
    assert counts_text(found) == "8: 7 same within noise, 1 failed in both"
    assert unclear_text(found) == ""
