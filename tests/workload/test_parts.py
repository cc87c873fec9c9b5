"""Parts of workloads: splits and folds that keep numbers, and templates that stay together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from pilotcli.common.errors import UsageError
from pilotcli.common.records import Query
from pilotcli.workload import leading_keyword
from pilotcli.workload.parts import After, Both, Queries, folds, in_both, split
from pilotcli.workload.templates import templates


@dataclass
class Listed:
    """A workload that is a list."""

    queries: list[Query]
    description: str = "w.sql"
    read: int = field(default=0)

    def __iter__(self) -> Iterator[Query]:
        self.read += 1
        return iter(self.queries)

    def count(self) -> int:
        return len(self.queries)

    def digest(self) -> str:
        return str([query.sql for query in self.queries])


def workload(*statements: str, labels: tuple[str, ...] = ()) -> Listed:
    named = labels or tuple(f"q{number}" for number in range(1, len(statements) + 1))
    return Listed(
        [
            Query(number, label, sql, command=leading_keyword(sql))
            for number, (sql, label) in enumerate(zip(statements, named, strict=True), 1)
        ]
    )


def numbers(queries: Queries) -> list[int]:
    return [query.seq for query in queries]


TEN = workload(*(f"SELECT {name} FROM t" for name in "abcdefghij"))


def test_a_split_divides_the_queries_and_keeps_their_numbers_and_labels() -> None:
    learning, test = split(TEN, 0.8, "query", seed=1)
    assert len(numbers(learning)) == 8
    assert sorted([*numbers(learning), *numbers(test)]) == list(range(1, 11))
    assert all(query == TEN.queries[query.seq - 1] for query in test)
    assert test.description == "w.sql (80/20 by query, seed 1)"


def test_the_seed_chooses_the_split() -> None:
    def tested(seed: int) -> list[int]:
        return numbers(split(TEN, 0.5, "query", seed)[1])

    assert tested(1) == tested(1)
    assert len({tuple(tested(seed)) for seed in range(20)}) > 10


def test_the_same_text_is_never_in_both_parts() -> None:
    doubled = workload(*(f"SELECT {number % 5}" for number in range(20)))
    for seed in range(20):
        learning, test = split(doubled, 0.6, "query", seed)
        assert not {query.sql for query in learning} & {query.sql for query in test}


def test_templates_stay_together() -> None:
    mixed = workload(
        *(f"SELECT * FROM t WHERE a = {number}" for number in range(6)),
        *(f"SELECT * FROM u WHERE b = '{number}'" for number in range(6)),
        "SELECT 1 FROM v",
    )
    for seed in range(10):
        learning, test = split(mixed, 0.5, "template", seed)
        assert in_both(test, learning) == []


@pytest.mark.parametrize(
    ("labels", "groups"),
    [
        (("1a", "1b", "2a"), 2),
        (("17a", "17b", "17c"), 1),
        (("hot-1", "hot-2", "cold-1"), 2),
        (("q1_s1", "q1_s2", "q2_s1"), 2),
        (("alpha", "beta", "gamma"), 3),
        (("q1", "q2", "q3"), 3),
        (("train/1", "train/2", "train/3"), 3),
    ],
)
def test_labels_that_differ_at_the_end_are_of_one_template(
    labels: tuple[str, ...], groups: int
) -> None:
    queries = workload("SELECT a FROM t", "SELECT b FROM u", "SELECT c FROM v", labels=labels)
    assert len(set(templates(queries).values())) == groups


def test_every_query_is_judged_in_exactly_one_fold() -> None:
    parts = folds(TEN, 3, "query", seed=4)
    assert len(parts) == 3
    judged = [seq for _, test in parts for seq in numbers(test)]
    assert sorted(judged) == list(range(1, 11))
    for learning, test in parts:
        assert not set(numbers(learning)) & set(numbers(test))
        assert len(numbers(learning)) + len(numbers(test)) == 10


def test_one_template_is_left_out_in_each_fold() -> None:
    queries = workload("SELECT 1", "SELECT 2", "SELECT a FROM t", "SELECT b FROM t")
    parts = folds(queries, "templates", "query", seed=0)
    assert sorted(numbers(test) for _, test in parts) == [[1, 2], [3], [4]]


def test_settings_and_writes_are_in_both_parts() -> None:
    queries = workload("SET a.b = 1", "SELECT 1", "CREATE TEMP TABLE x (n int)", "SELECT 2.5 AS x")
    learning, test = split(queries, 0.5, "query", seed=0)
    for part in (learning, test):
        assert {1, 3} < set(numbers(part))
        assert part.count() == 3


@pytest.mark.parametrize("share", [0.01, 0.99])
def test_a_split_with_an_empty_part_is_refused(share: float) -> None:
    with pytest.raises(UsageError, match="one part would be empty"):
        split(TEN, share, "query", seed=0)


def test_more_folds_than_queries_are_refused() -> None:
    with pytest.raises(UsageError, match="10 queries cannot make 11 folds"):
        folds(TEN, 11, "query", seed=0)


def test_a_second_workload_gets_numbers_of_its_own() -> None:
    other = workload("SELECT x", "SELECT y")
    both = Both(TEN, After(other, 10))
    assert numbers(both) == list(range(1, 13))
    assert both.count() == 12
    assert both.description == "w.sql, learned on w.sql"
    assert both.digest() != Both(TEN, After(workload("SELECT x", "SELECT z"), 10)).digest()


def test_queries_in_both_are_found_by_their_form() -> None:
    test = workload("SELECT * FROM t WHERE a = 1", "SELECT * FROM t WHERE b = 1", "SET a.b = 1")
    learning = workload("select *  from T where a=2 -- other values", "SET a.b = 1")
    assert [query.label for query in in_both(test, learning)] == ["q1"]
