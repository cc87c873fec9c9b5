"""What is left of a round when a run is continued, and what brings its session to where it was."""

from __future__ import annotations

import pytest

from pilotcli.common.records import Query
from pilotcli.replay.units import Begun, left_units, transaction_units
from pilotcli.workload import leading_keyword


def left(
    statements: list[str], ended: set[int], *, one_session: bool
) -> list[tuple[list[int], int]]:
    """The numbers of each unit's queries, and how many of them have run before."""
    queries = [
        Query(seq, f"q{seq}", sql, command=leading_keyword(sql))
        for seq, sql in enumerate(statements, 1)
    ]
    done = bytearray(seq in ended for seq in range(len(statements) + 1))
    units = left_units(transaction_units(queries), done, one_session=one_session)
    return [
        ([query.seq for query in unit], unit.again if isinstance(unit, Begun) else 0)
        for unit in units
    ]


SETTINGS = ["SET a.b = 1", "SELECT 1", "SET a.b = 2", "SELECT 2", "SELECT 3"]
BLOCK = ["SET a.b = 1", "BEGIN", "SELECT 1", "SELECT 2", "COMMIT", "SELECT 3"]


@pytest.mark.parametrize(
    ("statements", "ended", "one_session", "units"),
    [
        (SETTINGS, set(), True, [([1], 0), ([2], 0), ([3], 0), ([4], 0), ([5], 0)]),
        # Only the first unit needs the settings before it.
        (SETTINGS, {1, 2}, True, [([1, 3], 1), ([4], 0), ([5], 0)]),
        (SETTINGS, {1, 2, 3}, True, [([1, 3, 4], 2), ([5], 0)]),
        (SETTINGS, {1, 2, 3}, False, [([4], 0), ([5], 0)]),
        # A block begins once more, up to where it was.
        (BLOCK, {1, 2, 3}, True, [([1, 2, 3, 4, 5], 3), ([6], 0)]),
        (BLOCK, {1, 2, 3}, False, [([2, 3, 4, 5], 2), ([6], 0)]),
        (BLOCK, {1, 2, 3, 4, 5}, True, [([1, 6], 1)]),
        (BLOCK, {1, 2, 3, 4, 5, 6}, True, []),
    ],
)
def test_what_is_left(
    statements: list[str],
    ended: set[int],
    one_session: bool,
    units: list[tuple[list[int], int]],
) -> None:
    assert left(statements, ended, one_session=one_session) == units


def test_queries_behind_the_last_one_that_ended_have_not_ended() -> None:
    assert left(["SELECT 1", "SELECT 2", "SELECT 3"], {1}, one_session=True) == [([2], 0), ([3], 0)]
    assert list(left_units([], bytearray(), one_session=True)) == []


@pytest.mark.parametrize(
    ("statements", "units"),
    [
        (["BEGIN", "ROLLBACK WORK TO SAVEPOINT s", "COMMIT", "SELECT 1"], [3, 1]),
        (["BEGIN", "ROLLBACK TRANSACTION TO s", "COMMIT", "SELECT 1"], [3, 1]),
        (["BEGIN", "ROLLBACK; ", "SELECT 1"], [2, 1]),
        (["BEGIN", "ABORT AND CHAIN", "END"], [3]),
    ],
)
def test_what_does_not_end_a_block(statements: list[str], units: list[int]) -> None:
    queries = [
        Query(seq, f"q{seq}", sql, command=leading_keyword(sql))
        for seq, sql in enumerate(statements, 1)
    ]
    assert [len(unit) for unit in transaction_units(queries)] == units
