"""What is shown of a run does not take longer, or more memory, the more results the run has."""

from __future__ import annotations

import gc
import itertools
import math
import random
import sqlite3
import tracemalloc
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from large_journal import make_journal

from pilotcli.common.records import STOPPED, Query, QueryResult, QueryStatus
from pilotcli.storage.journal import Journal, RunJournal
from pilotcli.storage.journal.reader import JournalReader
from pilotcli.storage.journal.schema import FILE_NAME, connect
from pilotcli.storage.journal.statistics import EXACT_RESULTS
from pilotcli.storage.journal.summary import (
    SAVE_AFTER,
    SLOWEST_KEPT,
    RunSummary,
    read_summary,
    save_summary,
)

_ERROR = 0.004


def _shown(journal: JournalReader, run_id: int) -> None:
    """All that `pilot runs list` and `pilot runs show` read."""
    journal.counts(run_id)
    journal.run(run_id)
    journal.statistics(run_id)
    journal.event_totals(run_id, 3)
    journal.models(run_id)
    journal.slowest(run_id, 5)
    list(journal.results(run_id, failed=True, limit=50))
    journal.rounds(run_id)


def _steps(connection: sqlite3.Connection, work: Callable[[], object]) -> int:
    """Hundreds of steps of SQLite's machine that `work` took; a row that is looked at takes some.
    https://www.sqlite.org/c3ref/progress_handler.html"""
    counter = itertools.count()
    connection.set_progress_handler(lambda: next(counter) < 0, 100)
    work()
    connection.set_progress_handler(None, 100)
    return next(counter)


def test_what_is_shown_of_a_long_run_is_read_from_its_summary(tmp_path: Path) -> None:
    steps = []
    for results in (EXACT_RESULTS + 1, 4 * EXACT_RESULTS):
        run_id = make_journal(tmp_path, results)
        with Journal.open(tmp_path) as journal:
            assert sum(journal.counts(run_id).values()) == results
        with Journal.open(tmp_path) as journal:
            connection = journal._connection
            steps.append(_steps(connection, lambda: _shown(journal, run_id)))  # noqa: B023
            scan = "SELECT sum(elapsed_s) FROM results WHERE run_id = ?"
            read = _steps(connection, lambda: connection.execute(scan, (run_id,)).fetchall())  # noqa: B023
            assert read > results / 100
    assert steps[1] < 1.1 * steps[0]
    assert steps[1] < read / 20


def test_a_summary_is_as_exact_as_it_says(tmp_path: Path) -> None:
    results = 3 * EXACT_RESULTS
    run_id = make_journal(tmp_path, results, queries=7001)
    with Journal.open(tmp_path) as journal:
        found = journal.statistics(run_id)
        told = [(one.seq, one.elapsed_s) for one in journal.slowest(run_id, SLOWEST_KEPT)]
        all_of_them = list(journal.results(run_id))
    timed = sorted(one.elapsed_s for one in all_of_them if one.status in ("ok", "timeout"))
    for share, shown in ((0.5, found.p50_s), (0.95, found.p95_s), (0.99, found.p99_s)):
        true = timed[math.ceil(share * len(timed)) - 1]
        assert shown == pytest.approx(true, rel=_ERROR)
        assert shown != true
    assert not found.exact
    assert found.max_s == timed[-1]
    assert found.total == results
    assert found.counts == {
        status: sum(one.status == status for one in all_of_them)
        for status in ("ok", "error", "timeout")
    }
    assert found.query_s == pytest.approx(sum(one.elapsed_s for one in all_of_them))
    worst: dict[int, float] = {}
    for one in all_of_them:
        worst[one.seq] = max(one.elapsed_s, worst.get(one.seq, 0.0))
    assert sorted(elapsed_s for _, elapsed_s in told) == sorted(worst.values())[-SLOWEST_KEPT:]
    assert all(worst[seq] == elapsed_s for seq, elapsed_s in told)
    assert [elapsed_s for _, elapsed_s in told] == sorted(worst.values())[: -SLOWEST_KEPT - 1 : -1]


@pytest.mark.parametrize("power", range(-9, 7))
def test_percentiles_are_near_whatever_the_unit(power: int) -> None:
    chance = random.Random(power)
    latencies = sorted(chance.uniform(1, 10) * 10.0**power for _ in range(999))
    summary = RunSummary()
    for start in range(0, 999, 333):
        part = latencies[start : start + 333]
        summary.add("ok", [(start + n, n, 0, 0, 0, one) for n, one in enumerate(part, 1)])
    p1, p50, p100 = summary.percentiles(0.01, 0.5, 1.0)
    assert p1 == pytest.approx(latencies[9], rel=_ERROR)
    assert p50 == pytest.approx(latencies[499], rel=_ERROR)
    assert p100 == pytest.approx(latencies[-1], rel=_ERROR)
    assert p100 is not None and p100 <= latencies[-1] == summary.max_s


def test_a_latency_of_nothing_is_none_of_a_microsecond() -> None:
    summary = RunSummary()
    summary.add("ok", [(n, n, 0, 0, 0, 0.0) for n in range(1, 4)])
    summary.add("error", [(4, 4, 0, 0, 0, 9.0)])
    assert summary.percentiles(0.5) == [0.0]
    assert summary.max_s == 0.0
    assert RunSummary().percentiles(0.5, 0.9) == [None, None]


def _write(run: RunJournal, first: int, last: int, *, ends: QueryStatus = "ok") -> None:
    chance = random.Random(first)
    for number in range(first, last + 1):
        seq = 1 + number % 500
        status: QueryStatus = ends if number > last - 3 else chance.choice(["ok"] * 9 + ["error"])  # type: ignore[assignment]
        result = QueryResult(seq, f"q{seq}", status, 1e9 + number, chance.lognormvariate(-7, 2))
        result = result._replace(
            error=STOPPED if status == "cancelled" else None,
            inference_s=chance.choice([0.0, 0.0, 0.5]) if number < last else 0.0,
        )
        run.add_result(Query(seq, f"q{seq}", "SELECT 1", "w.sql", 1, "SELECT"), result)


def _counted_anew(home: Path, run_id: int) -> RunSummary:
    with closing(sqlite3.connect(home / FILE_NAME)) as connection:
        connection.execute("DELETE FROM summaries")
        return read_summary(connection, run_id)


def _same(one: RunSummary, other: RunSummary) -> None:
    assert one.upto == other.upto
    assert one.counts == other.counts
    assert one.query_s == pytest.approx(other.query_s)
    assert one.max_s == other.max_s
    shares = [n / 100 for n in range(1, 101)]
    assert one.percentiles(*shares) == other.percentiles(*shares)
    assert one.slowest(SLOWEST_KEPT) == other.slowest(SLOWEST_KEPT)


def _saved(home: Path, run_id: int) -> RunSummary:
    with closing(sqlite3.connect(home / FILE_NAME)) as connection:
        saved = "SELECT upto, summary FROM summaries WHERE run_id = ?"
        return RunSummary.of_json(*connection.execute(saved, (run_id,)).fetchone())


def _start(journal: Journal) -> RunJournal:
    return journal.start_run(
        kind="run", workload="w", config_path=None, config_text="", database="", options={}
    )


def test_a_run_keeps_its_summary_while_it_runs(tmp_path: Path) -> None:
    with Journal.open(tmp_path) as journal:
        run = _start(journal)
        _write(run, 1, 2 * SAVE_AFTER + 5000)
        run.flush()
        assert SAVE_AFTER <= _saved(tmp_path, 1).upto < 2 * SAVE_AFTER + 5000
        assert sum(journal.counts(1).values()) == 2 * SAVE_AFTER + 5000
        run.finish("finished", 0, {})
        run.close()
        assert sum(journal.counts(1).values()) == 2 * SAVE_AFTER + 5000
    saved = _saved(tmp_path, 1)
    assert saved.upto == 2 * SAVE_AFTER + 5000
    _same(saved, _counted_anew(tmp_path, 1))


@pytest.mark.parametrize("ended", ["interrupted", "failed"])
def test_a_resumed_run_counts_on_without_what_was_taken_back(tmp_path: Path, ended: str) -> None:
    with Journal.open(tmp_path) as journal:
        run = _start(journal)
        _write(run, 1, 3000, ends="cancelled")
        run.finish(ended, 130, {})  # type: ignore[arg-type]
        run.close()
        again, past = journal.resume_run(1)
        assert past.results == 2997
        _write(again, 2998, 4000)
        again.finish("finished", 0, {})
        again.close()
        assert journal.counts(1).get("cancelled") is None
    saved = _saved(tmp_path, 1)
    assert saved.upto == 4000
    _same(saved, _counted_anew(tmp_path, 1))


def test_what_is_written_at_the_second_try_is_counted_once(tmp_path: Path) -> None:
    with Journal.open(tmp_path) as journal:
        run = _start(journal)
        with closing(connect(tmp_path)) as other:
            other.execute("BEGIN IMMEDIATE")
            run._connection.execute("PRAGMA busy_timeout = 0")
            _write(run, 1, 500)
            with pytest.raises(Exception, match="locked"):
                run.flush()
            other.execute("ROLLBACK")
        run.flush()
        run.finish("finished", 0, {})
        run.close()
        assert sum(journal.counts(1).values()) == 500


def test_a_later_summary_is_not_overwritten_and_a_damaged_one_not_believed(tmp_path: Path) -> None:
    run_id = make_journal(tmp_path, 100)
    with closing(connect(tmp_path)) as connection:
        save_summary(connection, run_id, read_summary(connection, run_id))
        save_summary(connection, run_id, RunSummary())
        assert read_summary(connection, run_id).saved == 100
        for damaged in ("", "{}", "[1]", '{"counts": 7, "query_s": 1, "max_s": 1}'):
            connection.execute("UPDATE summaries SET summary = ?", (damaged,))
            assert read_summary(connection, run_id).counts.total() == 100


def test_reading_a_long_run_takes_the_memory_of_a_short_one(tmp_path: Path) -> None:
    run_id = make_journal(tmp_path, 4 * EXACT_RESULTS, firings=20_000)
    with Journal.open(tmp_path) as journal:
        tracemalloc.start()
        try:
            _shown(journal, run_id)  # without a summary: all results are read, in pieces
            assert tracemalloc.get_traced_memory()[1] < 20_000_000
            tracemalloc.reset_peak()
            _shown(journal, run_id)
            assert tracemalloc.get_traced_memory()[1] < 2_000_000
        finally:
            tracemalloc.stop()


def test_writing_a_long_run_takes_the_memory_of_a_short_one(tmp_path: Path) -> None:
    with Journal.open(tmp_path) as journal:
        run = _start(journal)
        tracemalloc.start()
        try:
            _write(run, 1, 10_000)
            run.flush()
            gc.collect()  # what is garbage does not stay, whenever Python looks for it
            before, _ = tracemalloc.get_traced_memory()
            tracemalloc.reset_peak()
            _write(run, 10_001, 30_000)
            run.flush()
            _, peak = tracemalloc.get_traced_memory()
            gc.collect()
            after, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        run.close()
    # The summary still meets latencies that it has not counted; of the results themselves nothing
    # stays, not even a reference.
    assert after - before < 20_000 * 8
    assert peak - before < 5_000_000  # a batch, and what its transaction needs
