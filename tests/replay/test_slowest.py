"""The slowest queries of a run, each once with its slowest execution."""

from __future__ import annotations

from itertools import permutations

from pilotcli.common.records import QueryResult
from pilotcli.replay.tally import SLOWEST_KEPT, Tally


def test_the_order_in_which_results_come_does_not_matter() -> None:
    results = [
        QueryResult(seq, f"q{seq}", "ok", 0.0, elapsed_s)
        for seq, elapsed_s in ((1, 1.0), (1, 3.0), (1, 2.0), (2, 2.5))
    ]
    for order in permutations(results):
        tally = Tally()
        tally.restore({}, 0.0, (), order)
        assert [(one.seq, one.elapsed_s) for one in tally.slowest] == [(1, 3.0), (2, 2.5)]


def test_no_more_are_kept_than_are_shown() -> None:
    tally = Tally()
    count = 3 * SLOWEST_KEPT
    slowest = (QueryResult(seq, f"q{seq}", "ok", 0.0, float(seq)) for seq in range(count))
    tally.restore({"ok": count}, 1.0, (), slowest)
    assert [one.seq for one in tally.slowest] == list(
        range(count - 1, count - 1 - SLOWEST_KEPT, -1)
    )
