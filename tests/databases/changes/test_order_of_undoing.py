"""Changes of one pilot that depend on each other are undone newest first, and completely."""

from __future__ import annotations

from changes_support import Bench

from pilotcli.common.records import Index
from pilotcli.databases.changes.log import ChangeLog


def test_a_name_that_was_taken_over_is_given_back(bench: Bench) -> None:
    bench.sql("CREATE TABLE t (a int, b int); CREATE INDEX x ON t (a)")
    pilot = bench.open()
    pilot.controller.drop_index(Index(["a"], "t"))
    pilot.controller.create_index(Index(["b"], "t", "x"))
    assert bench.sql("SELECT indexdef ~ 'b' FROM pg_indexes WHERE indexname = 'x'") == [(True,)]
    pilot.close()
    assert bench.sql("SELECT indexdef ~ 'a' FROM pg_indexes WHERE indexname = 'x'") == [(True,)]
    assert ChangeLog(bench.home).pending() == []


def test_an_index_comes_back_with_its_statistics(bench: Bench) -> None:
    bench.sql(
        "CREATE TABLE t AS SELECT i AS a FROM generate_series(1, 100) AS i;"
        "CREATE INDEX x ON t ((a % 7)); ANALYZE t"
    )
    known = "SELECT count(*) FROM pg_stats WHERE tablename = 'x'"
    assert bench.sql(known) == [(1,)]
    pilot = bench.open()
    pilot.controller.drop_all_indexes()
    assert bench.sql(known) == [(0,)]
    pilot.close()
    assert bench.sql(known) == [(1,)]
