"""Which queries of a comparison are listed, and in which order."""

from __future__ import annotations

from pathlib import Path

import pytest

from pilotcli.analysis.compare import compare
from pilotcli.analysis.comparison import Comparison
from pilotcli.analysis.ordering import most_helped, most_hurt, ordered
from pilotcli.common.errors import UsageError
from pilotcli.common.records import Query, QueryResult
from pilotcli.storage.journal import Journal


def compared(home: Path, factors: dict[int, float], rounds: int = 3) -> Comparison:
    """Twenty queries of 1 to 20 ms in the baseline; the first fails in run 1 where it takes 0."""
    with Journal.open(home) as journal:
        for own in (factors, {}):
            run = journal.start_run(
                kind="run", workload="w", config_path=None, config_text="", database="x", options={}
            )
            for round in range(1, rounds + 1):
                for seq in range(1, 21):
                    noise = 1 + ((seq * 7 + round * 3) % 5) / 500
                    factor = own.get(seq, 1.0)
                    time_s = seq / 1000 * noise * (factor or 1.0)
                    result = QueryResult(
                        *(seq, f"q{100 - seq}", "ok" if factor else "error", 1e9, time_s, 1),
                        round=round,
                    )
                    run.add_result(Query(seq, result.label, f"SELECT {seq}"), result)
            run.close()
        return compare(journal, 1, journal, 2)


FACTORS = {1: 0.0, 2: 5.0, 9: 9.0, 3: 0.2, 19: 0.5}


@pytest.mark.parametrize(
    ("sort", "first", "last"),
    [
        ("query", 1, 20),
        ("-query", 20, 1),
        ("label", 20, 1),
        ("speedup", 9, 1),
        ("-speedup", 3, 1),
        ("saved", 9, 1),
        ("-saved", 19, 1),
        ("-time", 9, 1),
        ("-baseline", 20, 1),
        ("baseline", 1, 20),
    ],
)
def test_unknown_values_are_last_in_both_directions(
    tmp_path: Path, sort: str, first: int, last: int
) -> None:
    queries = ordered(compared(tmp_path, FACTORS).queries, sort)
    assert len(queries) == 20
    assert (queries[0].seq, queries[-1].seq) == (first, last)


def test_an_unknown_order_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as refused:
        ordered(compared(tmp_path, FACTORS).queries, "-tiem")
    assert refused.value.hint == "Did you mean 'time'?"


def test_the_most_hurt_and_the_most_helped(tmp_path: Path) -> None:
    comparison = compared(tmp_path, FACTORS)
    assert [query.seq for query in most_hurt(comparison, 5)] == [1, 9, 2]
    assert [query.seq for query in most_hurt(comparison, 2)] == [1, 9]
    assert [query.seq for query in most_helped(comparison, 5)] == [19, 3]


def test_where_all_is_unclear_what_was_measured_is_listed(tmp_path: Path) -> None:
    comparison = compared(tmp_path, {2: 5.0, 9: 9.0, 3: 0.2, 19: 0.5}, rounds=1)
    assert {query.verdict for query in comparison.queries} == {"unclear"}
    assert [query.seq for query in most_hurt(comparison, 5)] == [9, 2]
    assert [query.seq for query in most_helped(comparison, 5)] == [19, 3]
