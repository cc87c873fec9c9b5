"""What-if indexes of the planner module: what sees them, what does not, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from steered import Steered, nodes

from pilotcli.common.errors import QueryError
from pilotcli.databases.session.session import PostgresSession

SCHEMA = """
DROP SCHEMA IF EXISTS what_if CASCADE; CREATE SCHEMA what_if; SET search_path = what_if;
CREATE TABLE t AS SELECT g AS a, g % 100 AS b, 'n' || g AS n FROM generate_series(1, 20000) AS g;
CREATE TABLE p (a int, b int, c text) PARTITION BY RANGE (a);
CREATE TABLE p_low PARTITION OF p FOR VALUES FROM (0) TO (5000);
CREATE TABLE p_high PARTITION OF p FOR VALUES FROM (5000) TO (10000);
INSERT INTO p SELECT g, g % 100, 'x' FROM generate_series(0, 9999) AS g;
CREATE INDEX p_high_own ON p_high (b, a);
CREATE TABLE kin (); ALTER TABLE kin ADD a int; CREATE TABLE kid () INHERITS (kin);
INSERT INTO kin SELECT generate_series(1, 9000); INSERT INTO kid SELECT generate_series(1, 9000);
CREATE VIEW v AS SELECT a, b FROM t;
CREATE FUNCTION counts(wanted int) RETURNS int LANGUAGE plpgsql STABLE AS
  'BEGIN RETURN (SELECT count(*) FROM what_if.t WHERE a = wanted); END';
ANALYZE t; ANALYZE p; ANALYZE kin; ANALYZE kid
"""
POINT = "SELECT * FROM t WHERE a = 5"


@pytest.fixture(scope="module")
def made() -> set[int]:
    """The servers that have the tables."""
    return set()


@pytest.fixture
def session(steered: Steered, made: set[int]) -> PostgresSession:
    session = steered.session
    port = hash(session.connection.info.host)
    if port not in made:
        for statement in SCHEMA.strip().split(";\n"):
            session.execute(statement)
        made.add(port)
    session.execute("SET search_path = what_if")
    return session


def show(session: PostgresSession, *statements: str, hidden: str = "") -> None:
    text = "; ".join(statements).replace("'", "''")
    session.execute(f"SET pilot_planner.indexes = '{text}'")
    session.execute(f"SET pilot_planner.hidden_indexes = '{hidden}'")


def plan(session: PostgresSession, sql: str) -> dict[str, Any]:
    ((value,),) = session.execute(f"EXPLAIN (FORMAT JSON) {sql}").rows
    found = json.loads(value) if isinstance(value, str) else value
    return dict(found[0]["Plan"])


def used(session: PostgresSession, sql: str) -> list[str]:
    """The indexes in the plan of `sql`."""
    found = (node.get("Index Name") for node in nodes(plan(session, sql)))
    return [name for name in found if name]


def test_kinds_of_index_and_their_names(session: PostgresSession) -> None:
    show(session, "CREATE UNIQUE INDEX mine ON t (a) INCLUDE (b)", "CREATE INDEX ON t (b DESC, a)")
    found = plan(session, "SELECT a, b FROM t WHERE a = 5")
    assert (found["Node Type"], found["Index Name"]) == ("Index Only Scan", "mine")
    assert used(session, "SELECT * FROM t WHERE b = 5 AND a < 99") == ["<t_b_a_idx>"]
    assert plan(session, "SELECT * FROM t ORDER BY b DESC, a")["Index Name"] == "<t_b_a_idx>"
    assert used(session, "SELECT a FROM v WHERE a = 5") == ["mine"]
    # A unique index lets the planner remove a join.
    assert "Plans" not in plan(session, "SELECT x.a FROM t AS x LEFT JOIN t AS y ON y.a = x.a")
    show(
        session,
        "CREATE INDEX ON t (lower(n)) WHERE b < 50",
        "CREATE INDEX ON t (lower(n)) WHERE b < 50",
        'CREATE INDEX ON t (n COLLATE "C" text_pattern_ops NULLS FIRST)',
    )
    assert used(session, "SELECT * FROM t WHERE lower(n) = 'n5' AND b = 5")[0].startswith(
        "<t_lower"
    )
    assert used(session, "SELECT * FROM t WHERE lower(n) = 'n5' AND b = 60") == []
    assert used(session, "SELECT * FROM t WHERE n LIKE 'n77%' COLLATE \"C\"") == ["<t_n_idx>"]


def test_nothing_is_locked_or_made(session: PostgresSession) -> None:
    before = session.execute("SELECT count(*) FROM pg_class").rows
    session.execute("BEGIN")
    show(session, "CREATE INDEX ON t (a)")
    session.execute(f"EXPLAIN {POINT}")
    locks = session.execute(
        "SELECT DISTINCT mode FROM pg_locks WHERE pid = pg_backend_pid()"
        " AND relation = 'what_if.t'::regclass"
    ).rows
    session.execute("ROLLBACK")
    assert list(locks) == [("AccessShareLock",)]
    assert session.execute("SELECT count(*) FROM pg_class").rows == before


@pytest.mark.parametrize(
    ("sql", "sees"),
    [
        (f"EXPLAIN {POINT}", True),
        (f"EXPLAIN (ANALYZE off, VERBOSE) {POINT}", True),
        (f"EXPLAIN (ANALYZE, ANALYZE off) {POINT}", True),
        (f"EXPLAIN ANALYZE {POINT}", False),
        (f"EXPLAIN (ANALYZE 1) {POINT}", False),
        (f"EXPLAIN CREATE TABLE x AS {POINT}", True),
        (f"EXPLAIN DECLARE c CURSOR FOR {POINT}", True),
        (f"EXPLAIN DECLARE c SCROLL CURSOR FOR {POINT}", False),
        ("EXPLAIN UPDATE t SET b = 1 WHERE a = 5", True),
        ("EXPLAIN DELETE FROM t WHERE a = 5", True),
    ],
)
def test_only_explain_without_analyze_sees_them(
    session: PostgresSession, sql: str, sees: bool
) -> None:
    show(session, "CREATE INDEX mine ON t (a)")
    text = "\n".join(row[0] for row in session.execute(sql).rows)
    assert ("using mine" in text) == sees
    assert session.execute(POINT).rows == [(5, 5, "n5")]


@pytest.mark.parametrize("parameter", ["", "(int)"])
@pytest.mark.parametrize("mode", ["auto", "force_generic_plan", "force_custom_plan"])
def test_a_prepared_statement_never_runs_such_a_plan(
    session: PostgresSession, parameter: str, mode: str
) -> None:
    value, call = ("$1", "(5)") if parameter else ("5", "")
    session.execute(f"SET plan_cache_mode = {mode}")
    show(session, "CREATE INDEX mine ON t (a)")
    session.execute(f"PREPARE kept{parameter} AS SELECT * FROM t WHERE a = {value}")
    try:
        for _ in range(7):  # the server may keep a generic plan from the sixth on
            assert used(session, f"EXECUTE kept{call}") == ["mine"]
            assert session.execute(f"EXECUTE kept{call}").rows == [(5, 5, "n5")]
            text = session.execute(f"EXPLAIN ANALYZE EXECUTE kept{call}").rows
            assert not any("mine" in row[0] for row in text)
        assert used(session, f"CREATE TABLE x AS EXECUTE kept{call}") == ["mine"]
        show(session)
        assert used(session, f"EXECUTE kept{call}") == []
    finally:
        session.execute("DEALLOCATE kept; RESET plan_cache_mode")


def test_what_an_explain_costs_counts_for_no_prepared_statement(session: PostgresSession) -> None:
    if session.connection.server_version < 140000:
        pytest.skip("PostgreSQL 13 does not show how plans are made")
    show(session, "CREATE INDEX mine ON t (a)")
    counts = "SELECT generic_plans, custom_plans FROM pg_prepared_statements WHERE name = 'kept'"
    session.execute("PREPARE kept(int) AS SELECT * FROM t WHERE a = $1; EXECUTE kept(1)")
    before = session.execute(counts).rows
    used(session, "EXECUTE kept(1)")
    assert session.execute(counts).rows == before
    session.execute("DEALLOCATE kept")


def test_functions_that_run_meanwhile_do_not_see_them(session: PostgresSession) -> None:
    """A function among the parameters, or one that prunes partitions, runs its own queries."""
    session.execute("PREPARE kept(int) AS SELECT * FROM t WHERE a = $1")
    session.execute(
        "CREATE OR REPLACE FUNCTION forgets(wanted int) RETURNS int LANGUAGE plpgsql AS"
        " 'BEGIN DEALLOCATE kept; PERFORM count(*) FROM t WHERE a = wanted; RETURN 5; END'"
    )
    show(session, "CREATE INDEX mine ON t (a)", "CREATE INDEX mine_too ON p (a)")
    assert used(session, "EXECUTE kept(counts(5))") == ["mine"]
    assert plan(session, "SELECT * FROM p WHERE a = counts(5)")
    assert plan(session, "SELECT * FROM t WHERE b = counts(5)")
    assert plan(session, "EXECUTE kept(forgets(5))")["Node Type"]
    assert session.execute("SELECT counts(5)").rows == [(1,)]
    assert used(session, POINT) == ["mine"]


def test_an_explain_inside_a_function_does_not_see_them(session: PostgresSession) -> None:
    show(session, "CREATE INDEX mine ON t (a)")
    session.execute(
        "CREATE OR REPLACE FUNCTION explains() RETURNS text LANGUAGE plpgsql AS"
        f" $$ DECLARE line text; BEGIN EXECUTE 'EXPLAIN {POINT}' INTO line; RETURN line; END $$"
    )
    ((line,),) = session.execute("SELECT explains()").rows
    assert line.startswith("Seq Scan")


def test_an_index_of_a_partitioned_table_is_one_of_each_partition(
    session: PostgresSession,
) -> None:
    wanted = "SELECT * FROM p WHERE b = 3"
    show(session, "CREATE INDEX whole ON p (b, a)")
    # CREATE INDEX takes an index of the partition that is like it.
    assert used(session, wanted) == ["<p_low_b_a_idx>", "p_high_own"]
    assert used(session, "SELECT * FROM p_low WHERE b = 3") == ["<p_low_b_a_idx>"]
    show(session, "CREATE INDEX whole ON p (b, a)", hidden="p_high_own")
    assert used(session, wanted) == ["<p_low_b_a_idx>", "<p_high_b_a_idx>"]
    show(session, "CREATE INDEX ON ONLY p (b)")
    assert used(session, wanted) == ["p_high_own"]
    show(session, "CREATE INDEX part ON p_low (b)")
    assert used(session, wanted) == ["part", "p_high_own"]


def test_an_index_of_a_parent_is_not_one_of_its_children(session: PostgresSession) -> None:
    show(session, "CREATE INDEX mine ON kin (a)")
    assert used(session, "SELECT * FROM kin WHERE a = 3") == ["mine"]
    assert used(session, "SELECT * FROM kid WHERE a = 3") == []


def test_existing_indexes_are_hidden_from_explain_alone(session: PostgresSession) -> None:
    session.execute("CREATE INDEX existing ON t (a)")
    try:
        ((oid,),) = session.execute("SELECT 'existing'::regclass::oid::int8").rows
        for hidden in ("existing", 'what_if."existing" , p_high_own', str(oid)):
            show(session, hidden=hidden)
            assert used(session, POINT) == []
            text = session.execute(f"EXPLAIN ANALYZE {POINT}").rows
            assert any("using existing" in row[0] for row in text)
        show(session, "CREATE INDEX mine ON t (a)", hidden="existing")
        assert used(session, POINT) == ["mine"]
    finally:
        show(session)
        session.execute("DROP INDEX existing")


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("CREATE INDEX ON nowhere (a)", 'relation "nowhere" does not exist'),
        ("CREATE INDEX ON t (nothing)", 'column "nothing" does not exist'),
        ("CREATE INDEX ON t (a) INCLUDE (nothing)", 'column "nothing" does not exist'),
        ("CREATE INDEX ON t (a); CREATE INDX", "syntax error"),
        ("SELECT 1", "not a CREATE INDEX"),
        ("CREATE INDEX ON t USING hash (a)", "B-trees"),
        ("CREATE INDEX ON t (a text_ops)", "text_ops"),
        ('CREATE INDEX ON t (a COLLATE "C")', "collation"),
        ("CREATE INDEX ON t (a) INCLUDE (b DESC)", "included column"),
        ("CREATE INDEX ON t (a) WITH (fillfactor = 7)", "fillfactor"),
        ("CREATE UNIQUE INDEX ON p (b)", "partition key"),
        ("CREATE INDEX ON v (a)", '"v"'),
        ("CREATE INDEX ON pg_catalog.pg_class (relname)", "system catalog"),
        ("CREATE INDEX ON t ((tableoid))", "system columns"),
        ("CREATE INDEX ON t (ctid)", "system columns"),
        ("CREATE INDEX ON t (a) WHERE tableoid > 0", "system columns"),
    ],
)
def test_wrong_statements_are_refused_when_set(
    session: PostgresSession, statement: str, problem: str
) -> None:
    show(session, "CREATE INDEX mine ON t (a)")
    try:
        with pytest.raises(QueryError, match=problem):
            show(session, "CREATE INDEX ON t (b)", statement)
            used(session, "SELECT * FROM t")
    finally:
        session.execute("RESET pilot_planner.indexes")
    show(session, "CREATE INDEX mine ON t (a)")
    assert used(session, POINT) == ["mine"]


def test_functions_are_evaluated_only_while_planning(session: PostgresSession) -> None:
    session.execute(
        "CREATE OR REPLACE FUNCTION loud(n int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION 'loud was called'; END $$"
    )
    show(session, "CREATE INDEX ON t ((a + loud(1)))")
    with pytest.raises(QueryError, match="loud was called"):
        used(session, POINT)
    show(session, "CREATE INDEX ON t ((a + random()))")
    with pytest.raises(QueryError, match="IMMUTABLE"):
        used(session, POINT)
    show(session, "CREATE INDEX ON t (a) WHERE random() < a")
    with pytest.raises(QueryError, match="IMMUTABLE"):
        used(session, POINT)
    assert session.execute(POINT).rows == [(5, 5, "n5")]
    show(session)
    assert used(session, POINT) == []


@pytest.mark.parametrize("hidden", ["nowhere", "t", 'real"', "0"])
def test_wrong_hidden_indexes_are_refused(session: PostgresSession, hidden: str) -> None:
    with pytest.raises(QueryError):
        session.execute(f"SET pilot_planner.hidden_indexes = '{hidden}'")
    assert session.execute("SHOW pilot_planner.hidden_indexes").rows == [("",)]


def test_only_a_session_sets_them_for_itself(session: PostgresSession) -> None:
    """Whoever configures a database or a role would choose functions that others evaluate."""
    for setting in ("indexes = 'CREATE INDEX ON t (a)'", "hidden_indexes = 'p_high_own'"):
        with pytest.raises(QueryError, match="invalid value"):
            session.execute(f"ALTER ROLE CURRENT_USER SET pilot_planner.{setting}")
        with pytest.raises(QueryError, match="invalid value"):
            session.execute(f"ALTER SYSTEM SET pilot_planner.{setting}")


def test_the_client_hears_when_they_change(session: PostgresSession) -> None:
    def told() -> object:
        return session.connection.get_parameter_status("pilot_planner.indexes")

    statement = "CREATE INDEX mine ON t (a)"
    show(session, statement)
    assert told() == statement
    session.execute("RESET ALL")
    assert told() == ""
    session.execute("SET search_path = what_if")
    session.execute("BEGIN")
    show(session, statement)
    assert told() == statement
    session.execute("ROLLBACK")
    assert told() == ""
    assert used(session, POINT) == []


def test_a_table_that_changes_meanwhile(session: PostgresSession) -> None:
    session.execute("DROP TABLE IF EXISTS gone; CREATE TABLE gone (a int, b int)")
    show(session, "CREATE INDEX ON gone (b)", "CREATE INDEX mine ON t (a)")
    assert plan(session, "SELECT * FROM gone WHERE b = 1")
    session.execute("ALTER TABLE gone DROP b")
    with pytest.raises(QueryError, match='column "b" does not exist'):
        used(session, "SELECT * FROM gone")
    session.execute("DROP TABLE gone")
    assert used(session, POINT) == ["mine"]
    session.execute("CREATE TEMP TABLE gone AS SELECT g AS b FROM generate_series(1, 5000) AS g")
    assert used(session, "SELECT * FROM gone WHERE b = 1") == ["<gone_b_idx>"]
    show(session)
    session.execute("DROP TABLE gone")


@pytest.fixture
def sized(session: PostgresSession) -> Iterator[PostgresSession]:
    session.execute("SET pilot_planner.report = 'indexes'")
    yield session
    session.execute("RESET pilot_planner.report")


def test_statistics_of_columns_together_are_used(sized: PostgresSession, steered: Steered) -> None:
    sized.execute(
        "CREATE TABLE IF NOT EXISTS tied AS SELECT g % 300 AS zip, g % 300 / 3 AS city"
        " FROM generate_series(1, 20000) AS g"
    )
    sized.execute("CREATE STATISTICS IF NOT EXISTS tie (ndistinct) ON zip, city FROM tied")
    sized.execute("ANALYZE tied")
    show(sized, "CREATE INDEX ON tied (zip, city)")
    ((_, size_bytes),) = steered.run("EXPLAIN SELECT FROM tied", report="indexes")[1].indexes
    show(sized)
    sized.execute("CREATE INDEX built ON tied (zip, city)")
    ((real,),) = sized.execute("SELECT pg_relation_size('built')").rows
    sized.execute("DROP TABLE tied")
    assert 0.9 * real <= size_bytes <= 1.1 * real
