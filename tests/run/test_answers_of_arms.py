"""The answers of two arms: other rows are found, and only where the query determines its rows."""

from __future__ import annotations

import psycopg2
import pytest
from paired import run_pair
from project_folder import Project

from pilotcli.analysis.fixed import ALL, NOTHING
from pilotcli.common.records import Query
from pilotcli.databases.protocols import Target
from pilotcli.replay.answers import AnswerDigests

pytestmark = pytest.mark.slow

SCHEMAS = """
CREATE SCHEMA plain; CREATE SCHEMA turned; CREATE SCHEMA wrong;
CREATE TABLE plain.t AS SELECT n AS id, n % 4 AS grp, n * 1.5 AS val, n % 3 AS rank
    FROM generate_series(1, 540) AS n;
CREATE TABLE turned.t AS SELECT * FROM plain.t ORDER BY id DESC;
CREATE TABLE wrong.t AS SELECT * FROM plain.t WHERE id % 3 = 0;
CREATE FUNCTION public.take(state text, value int) RETURNS text LANGUAGE sql
    AS $$ SELECT left(state || value, 20) $$;
CREATE AGGREGATE public.taken(int) (sfunc = take, stype = text, initcond = '');
CREATE FUNCTION public.dice(int, int) RETURNS int LANGUAGE plpgsql
    AS $$ BEGIN RETURN 1e9 * random(); END $$;
CREATE FUNCTION public.dice(plain.t) RETURNS int LANGUAGE plpgsql
    AS $$ BEGIN RETURN 1e9 * random(); END $$;
CREATE OPERATOR public.+? (leftarg = int, rightarg = int, function = public.dice);
CREATE TYPE public.drawn AS (a int);
CREATE FUNCTION public.draw(int) RETURNS public.drawn LANGUAGE plpgsql
    AS $$ BEGIN RETURN row(1e9 * random())::public.drawn; END $$;
CREATE CAST (int AS public.drawn) WITH FUNCTION public.draw(int);
"""
DROPPED = """
DROP SCHEMA IF EXISTS plain, turned, wrong CASCADE;
DROP FUNCTION IF EXISTS public.take, public.dice(int, int) CASCADE;
DROP TYPE IF EXISTS public.drawn CASCADE
"""
VIEWS = "CREATE VIEW {0}.few AS SELECT id, grp FROM {0}.t LIMIT 10;"
HANDLER = """
from pilotcli import HintPushHandler


class Elsewhere(HintPushHandler):
    def __init__(self, schema):
        self.schema = schema

    def acquire_injected_data(self, sql):
        return {"search_path": f"{self.schema}, public"}
"""


def answers(project: Project, schema: str, queries: list[str]) -> tuple[int, list[str]]:
    connection = psycopg2.connect(project.dsn)
    with connection, connection.cursor() as cursor:
        cursor.execute(DROPPED)
        cursor.execute(SCHEMAS + "".join(map(VIEWS.format, ("plain", "turned", "wrong"))))
    connection.close()
    project.write("own.py", HANDLER)
    project.config(f"handlers:\n  - class: own.py:Elsewhere\n    args: {{schema: {schema}}}\n")
    project.write(
        "w.sql", "SET search_path = plain, public;\n" + "".join(f"{query};\n" for query in queries)
    )
    finished, comparison = run_pair(project, "w.sql", sets=("run.repeat=1",))
    assert comparison is not None
    found = {query.seq: query.answers for query in comparison.queries}
    return finished.exit_code, [found[seq] for seq in sorted(found)]


def test_fewer_rows_are_found_whatever_the_names_of_columns(project: Project) -> None:
    queries = [
        "SELECT id FROM t LIMIT 540",
        "SELECT id, rank FROM t",
        "SELECT id FROM t ORDER BY id LIMIT 100",
        "SELECT id AS offset FROM t ORDER BY grp",
    ]
    assert answers(project, "wrong", queries) == (1, ["different"] * 4)


def test_rows_in_another_order_are_no_failure(project: Project) -> None:
    queries = [
        "SELECT id, sum(val) OVER (ORDER BY grp ROWS UNBOUNDED PRECEDING) FROM t",
        "SELECT ARRAY(SELECT id FROM t)",
        "SELECT * FROM few",
        "SELECT taken(id) FROM t",
        "EXPLAIN SELECT * FROM t",
        "SELECT id FROM t ORDER BY grp LIMIT 7",
    ]
    code, found = answers(project, "turned", queries)
    assert (code, found[:4], found[5]) == (0, ["undetermined"] * 4, "undetermined")
    assert found[4] in ("same", "undetermined")


def test_functions_that_a_query_calls_without_their_names_are_found(project: Project) -> None:
    queries = [
        "SELECT id +? 1 FROM t",
        "SELECT id::drawn FROM t",
        "SELECT t.dice FROM plain.t",
        "SELECT id, grp FROM t ORDER BY grp OFFSET 3 FETCH FIRST 3 ROWS WITH TIES",
        "SELECT sum(val::float8 / 10)::text FROM t",
    ]
    found = ["undetermined"] * 4 + ["same"]
    assert answers(project, "turned", queries) == (0, found)


def test_row_security_decides_what_a_query_determines(target: Target) -> None:
    answers, session = AnswerDigests(target), target.session()
    session.execute("CREATE TABLE drawn_rows (id int); CREATE TABLE own_rows (id int)")
    for table, condition in (("drawn_rows", "random() < 0.5"), ("own_rows", "'limit' <> 'now()'")):
        session.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        session.execute(f"CREATE POLICY p ON {table} USING ({condition})")
    try:
        queries = [Query(1, "q", f"SELECT * FROM {name}_rows") for name in ("drawn", "own")]
        assert list(map(answers.fixed, queries)) == [NOTHING, ALL]
    finally:
        session.execute("DROP TABLE drawn_rows, own_rows")
        session.close()


def test_a_transaction_that_holds_a_views_table_holds_up_no_answer(target: Target) -> None:
    held = Query(1, "q", "SELECT * FROM seen LIMIT 1", command="SELECT")
    answers, session = AnswerDigests(target), target.session()
    # If pilot waited for the transaction, the server would end that, and the view could be read.
    session.execute("SET idle_in_transaction_session_timeout = '20s'")
    session.execute("CREATE TABLE kept (id int); CREATE VIEW seen AS SELECT id FROM kept")
    session.execute("BEGIN; ALTER TABLE kept ADD COLUMN more int")
    try:
        assert answers.fixed(held) == NOTHING
        session.execute("ROLLBACK")
        assert answers.fixed(held).count
    finally:
        session.execute("DROP VIEW seen; DROP TABLE kept")
        session.close()
