"""Indexes of every kind are read as what they are, made again from that, and dropped by it."""

from __future__ import annotations

import pytest
from changes_support import Bench

from pilotcli.common.errors import SteeringError
from pilotcli.common.records import Index

TABLE = """
CREATE TABLE "Odd ""t" (a int, b text, "c, (d" int, e int[], f point);
INSERT INTO "Odd ""t" SELECT g, 'x' || g, g, ARRAY[g], point(g, g) FROM generate_series(1, 99) AS g
"""
DEFINITIONS = [
    "(a)",
    "(a, b)",
    "(a DESC)",
    "(a NULLS FIRST, b DESC NULLS LAST)",
    '("c, (d", a)',
    '("c, (d" DESC) INCLUDE ("c, (d", b)',
    "(lower(b))",
    "((a + 1), b)",
    "((b || ', )'::text))",
    '(b COLLATE "C" text_pattern_ops) WITH (fillfactor = 70, deduplicate_items = off)',
    "(a) WHERE b = ') WHERE (' OR a > 3",
    "(a) INCLUDE (b) WHERE a IS NOT NULL",
    "USING hash (a)",
    "USING gin (e)",
    "USING gist (f)",
    "USING brin (a) WITH (pages_per_range = 4)",
]


@pytest.mark.parametrize("unique", [False, True])
@pytest.mark.parametrize("definition", DEFINITIONS)
def test_an_index_read_back_makes_the_same(bench: Bench, definition: str, unique: bool) -> None:
    if unique and "USING" in definition:
        pytest.skip("only B-trees are unique")
    bench.sql(TABLE)
    kind = "UNIQUE INDEX" if unique else "INDEX"
    bench.sql(f'CREATE {kind} "an ""index" ON "Odd ""t" {definition}')
    ((before,),) = bench.sql("SELECT indexdef FROM pg_indexes WHERE tablename LIKE 'Odd%'")
    pilot = bench.open()
    controller = pilot.controller
    (index,) = controller.get_all_indexes()
    assert controller.get_existed_indexes('Odd "t') == [index]
    assert index.unique == unique and index.index_name == 'an "index'
    controller.drop_index(index)
    assert controller.get_all_indexes() == []
    controller.create_index(index)
    assert bench.sql("SELECT indexdef FROM pg_indexes WHERE tablename LIKE 'Odd%'") == [(before,)]
    assert controller.get_all_indexes() == [index]
    pilot.close()  # which brings the first one back
    assert bench.sql("SELECT indexdef FROM pg_indexes WHERE tablename LIKE 'Odd%'") == [(before,)]


def test_nulls_may_be_kept_unique_too(bench: Bench) -> None:
    if bench.sql("SELECT current_setting('server_version_num')::int < 150000") == [(True,)]:
        pytest.skip("PostgreSQL has NULLS NOT DISTINCT from 15 on")
    bench.sql("CREATE TABLE t (a int)")
    pilot = bench.open()
    made = Index(["a"], "t", "u", unique=True, nulls_not_distinct=True)
    pilot.controller.create_index(made)
    assert pilot.controller.get_all_indexes() == [made]
    pilot.close()


def test_an_index_of_a_partitioned_table_and_of_another_schema(bench: Bench) -> None:
    bench.sql("CREATE SCHEMA s; CREATE TABLE s.p (a int, b int) PARTITION BY RANGE (a)")
    bench.sql("CREATE TABLE s.p1 PARTITION OF s.p FOR VALUES FROM (0) TO (9)")
    pilot = bench.open()
    made = Index(["b"], "s.p", "by_b", keys=["b DESC"], where="a > 1")
    pilot.controller.create_index(made)
    assert pilot.controller.get_existed_indexes("s.p") == [made]
    pilot.close()
    assert bench.names() == []


def test_a_description_finds_its_index(bench: Bench) -> None:
    bench.sql("CREATE TABLE t (a int, b int)")
    bench.sql("CREATE INDEX down ON t (a DESC); CREATE INDEX part ON t (a) WHERE b > 3")
    bench.sql("CREATE INDEX plain ON t (a); CREATE INDEX wide ON t (a) INCLUDE (b)")
    pilot = bench.open()
    controller = pilot.controller
    controller.drop_index(Index(["a"], "t", where="b > 3"))
    assert bench.names() == ["down", "plain", "wide"]
    controller.drop_index(Index(["a"], "t"))
    assert bench.names() == ["down", "wide"]
    controller.drop_index(Index(["a"], "t", include=["b"]))
    controller.drop_index(Index(["a"], "t"))  # any other that has just these keys
    assert bench.names() == []
    with pytest.raises(SteeringError, match="no index"):
        controller.drop_index(Index(["a"], "t", keys=["a DESC"]))
    pilot.close()
    assert bench.names() == ["down", "part", "plain", "wide"]


@pytest.mark.parametrize(
    "index",
    [
        Index(["a"], "t", keys=["a desc"]),
        Index(["a"], "t", keys=["A nulls last"]),
        Index(["a+1", "b"], "t", keys=["(a+1)", "b"]),
        Index(["b"], "t", keys=['b collate "C" desc nulls last']),
        Index(["a"], "t", options="fillfactor=50"),
        Index(["a"], "t", where="a=3 and b is not null"),
        Index(["upper"], "t", keys=["UPPER(b)"], include=["a"], unique=True),
        Index(["c"], "t", method="gin", options="fastupdate=off"),
    ],
)
def test_an_index_is_found_in_the_spelling_it_was_made_with(bench: Bench, index: Index) -> None:
    bench.sql("CREATE TABLE t (a int, b text, c int[]); CREATE INDEX other ON t (a NULLS FIRST)")
    pilot = bench.open()
    controller = pilot.controller
    with pytest.raises(SteeringError, match="no index"):
        controller.drop_index(index)
    controller.create_index(index)
    assert controller.get_index_byte(index) > 0
    controller.drop_index(index)
    assert bench.names() == ["other"]
    pilot.close()


@pytest.mark.parametrize(
    "index",
    [
        Index(["a"], "t", where="a > 1; DROP TABLE t"),
        Index(["a"], "t", where="a > 1) -- "),
        Index(["a"], "t", where="a > 1 /* "),
        Index(["a"], "t", where="a > '"),
        Index(["a"], "t", where=""),
        Index(["a"], "t", keys=["a), (b"]),
        Index(["a"], "t", keys=["a, b"]),
        Index(["a"], "t", keys=["a", "b"]),
        Index(["a"], "t", keys=[r"(E'\' || a)"]),
        Index(["a"], "t", keys=["a $$"]),
        Index(["a"], "t", options="fillfactor=70) WHERE (a"),
        Index(["a"], "t", include=["nothing"]),
        Index(["a"], "t", include="b"),
    ],
)
def test_parts_that_would_leave_their_place_are_refused(bench: Bench, index: Index) -> None:
    bench.sql("CREATE TABLE t (a int, b int)")
    pilot = bench.open()
    with pytest.raises(SteeringError):
        pilot.controller.create_index(index)
    assert bench.sql("SELECT count(*) FROM t") == [(0,)]
    assert bench.names() == []
    pilot.close()
