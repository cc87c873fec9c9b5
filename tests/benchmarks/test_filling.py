"""Parameters of statements get values with which the statements return rows."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from pilotcli.benchmarks.filling import Filler
from pilotcli.config import PostgreSQLConfig
from pilotcli.databases.opening import open_target
from pilotcli.databases.protocols import Session, Target
from pilotcli.workload.logs.normal_form import normal_form
from pilotcli.workload.logs.parameters import has_parameters
from pilotcli.workload.logs.stat_statements import StatementRow, statements_of
from pilotcli.workload.logs.statements import LoggedStatement

pytestmark = pytest.mark.slow

_numbers = count()
TABLES = """
CREATE TABLE items AS SELECT n AS id, 'kind ' || n % 7 AS kind FROM generate_series(1, 1000) n;
CREATE TABLE sales AS SELECT n AS id, n * 3 % 500 AS item, n * 1.5 AS price,
        date '2024-01-01' + n % 90 AS day, n || '\\it''s 50%_' AS note, n % 2 = 0 AS paid
    FROM generate_series(1, 2000) n WHERE n % 10 > 0;
CREATE TABLE odd AS SELECT '$2' AS price;
CREATE VIEW kinds AS SELECT DISTINCT kind AS name FROM items;
CREATE SCHEMA "Odd";
CREATE TABLE "Odd"."Odd table" AS SELECT 3 AS "Odd column", NULL::int AS nothing;
"""
FILLED = """
SELECT * FROM items WHERE id = $1;
SELECT * FROM items WHERE $1 = id AND kind = $2 -- a note;
SELECT count(*) FROM sales s JOIN items i ON i.id = s.item AND i.kind = $1 WHERE s.price > $2;
SELECT kind, count(*) FROM items WHERE id >= $1 AND id < $2 GROUP BY kind ORDER BY kind;
SELECT id FROM sales WHERE $1 < day AND $2 >= day AND paid = $3;
SELECT id FROM sales WHERE day BETWEEN $1 AND $2 AND price BETWEEN $3 AND $4;
SELECT id FROM sales WHERE day >= date $1 AND day < $2::date;
SELECT id FROM sales WHERE item IN ($1, $2, $3, $4) AND id <> $5;
SELECT id FROM items WHERE kind IN ($1 /*, ... */) AND id NOT IN ($2, $10);
SELECT id FROM sales WHERE note LIKE $1 AND note NOT LIKE $2 AND day IS DISTINCT FROM $3;
SELECT id FROM sales WHERE note = $1;
SELECT id FROM items WHERE id = ANY ($1) AND kind = ANY (ARRAY[$2, $3]);
SELECT id FROM items WHERE id = ANY ($1::int[]) AND kind = ANY (ARRAY[$2 /*, ... */]::text[]);
SELECT id FROM items WHERE lower(kind) = $1 AND NOT (id = $2) AND kind IS NOT DISTINCT FROM $3;
SELECT count(*) FROM items WHERE id IN (SELECT item FROM sales WHERE paid = $1 AND price < $2)
    AND id > $3;
WITH p AS (SELECT * FROM sales WHERE paid = $1), q AS (TABLE p)
    SELECT count(*) FROM q WHERE id > $2;
SELECT id FROM items WHERE id = $1 UNION ALL SELECT id FROM sales WHERE item = $2 LIMIT $3;
SELECT id FROM items WHERE id >= $1 FETCH FIRST $2 ROWS ONLY;
SELECT id FROM items WHERE id = $1 UNION ALL SELECT id FROM sales WHERE item = $2;
SELECT id FROM items i WHERE EXISTS (SELECT 1 FROM sales s WHERE s.item = i.id
        AND s.paid = $1) AND kind = $2;
WITH p AS (SELECT * FROM sales WHERE paid = $1), q AS (SELECT * FROM p WHERE price > $2)
    SELECT count(*) FROM q WHERE id > $3;
WITH o AS (SELECT * FROM odd WHERE price = $1), i AS (SELECT * FROM items WHERE id = $2)
    SELECT count(*) FROM o, i WHERE kind = $3;
SELECT id FROM sales WHERE paid < $1 AND id = $2;
SELECT id FROM sales WHERE id = $2 AND paid <> $1;
SELECT id FROM items WHERE id = $1 OR $1 IS NULL;
SELECT name FROM kinds WHERE name = $1;
SELECT "Odd column" FROM "Odd"."Odd table" AS "T" WHERE "T"."Odd column" <= $1;
SELECT i.id FROM items i LEFT JOIN sales s ON s.item = i.id AND s.price >= $1 ORDER BY i.id;
""".strip().split(";\n")
NO_COLUMN, NO_ROW, UNKNOWN = (
    "no column for a value",
    "no row for values",
    "not understood for values",
)
LEFT_OUT = {
    "SELECT id FROM items WHERE id IN (SELECT item FROM sales LIMIT $1)": NO_COLUMN,
    "SELECT id FROM items LIMIT $1 + 1": NO_COLUMN,
    "SELECT id FROM items LIMIT $1 OFFSET $2 + 1": NO_COLUMN,
    "SELECT id + $1 FROM items": NO_COLUMN,
    "SELECT id FROM items WHERE id + $1 = 4": NO_COLUMN,
    "SELECT id FROM items WHERE kind ~ $1": NO_COLUMN,
    "SELECT id FROM items WHERE kind = lower($1)": NO_COLUMN,
    "SELECT id FROM items WHERE id <> ALL ($1)": NO_COLUMN,
    "SELECT id FROM items WHERE NOT id < $1": NO_COLUMN,
    "SELECT id FROM items WHERE ARRAY[id] = ARRAY[$1]": NO_COLUMN,
    "SELECT id FROM items WHERE $1 LIKE kind": NO_COLUMN,
    "SELECT id FROM items WHERE $1 IN (id, 3)": NO_COLUMN,
    "SELECT id FROM items WHERE id > (SELECT max(id) FROM sales) * $1": NO_COLUMN,
    "SELECT id FROM items WHERE (SELECT max(id) FROM sales) > $1": NO_COLUMN,
    "SELECT id FROM sales WHERE day > now() - interval $1": NO_COLUMN,
    "SELECT kind FROM items GROUP BY kind HAVING count(*) > $1": NO_COLUMN,
    "SELECT id FROM items WHERE $1 = $2": NO_COLUMN,
    "UPDATE items SET kind = $1 WHERE id = $2": "no values for writing",
    "WITH d AS (DELETE FROM items WHERE id = $1 RETURNING *) TABLE d": "no values for writing",
    "SELECT id FROM items WHERE id = $1 FOR UPDATE": "no values for writing",
    "SELECT id FROM missing WHERE id = $1": UNKNOWN,
    "SELECT id FROM items WHERE id = $1 AND": UNKNOWN,
    'SELECT 1 FROM "Odd"."Odd table" WHERE nothing = $1': NO_ROW,
    'SELECT 1 FROM "Odd"."Odd table" WHERE "Odd column" < $1': NO_ROW,
    "SELECT 1 FROM items WHERE id < 0 AND kind = $1": NO_ROW,
}


@pytest.fixture(scope="module")
def database(server_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    script = tmp_path_factory.mktemp("filling") / "setup.sql"
    script.write_text(TABLES)
    config = PostgreSQLConfig(home=server_home, db=f"filling_{next(_numbers)}")
    config.setup = (script,)
    target = open_target(config)
    yield target
    target.close()


@pytest.fixture
def session(database: Target) -> Iterator[Session]:
    session = database.session(timeout_s=5.0)
    yield session
    session.close()


def statement(session: Session, sql: str) -> LoggedStatement:
    """A statement as a server counts it, in the session's database."""
    name = session.execute("SELECT current_database()").rows[0][0]
    row = StatementRow(sql, 2, 1.0, "ann", name, "1", 7)
    (made,) = statements_of([row], "", Counter())
    assert made.values == "removed"
    return made


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("sql", FILLED)
def test_the_query_returns_rows(session: Session, sql: str, seed: int) -> None:
    made = statement(session, sql)
    assert Filler(session, seed).fill(made) == ""
    assert made.values == "sampled"
    assert normal_form(made.sql) == normal_form(sql)
    assert not has_parameters(made.sql)
    rows = session.execute(made.sql).rows
    assert rows, made.sql
    assert rows[0][0] != 0, made.sql  # the count of rows


def test_the_limit_is_the_rows_that_it_returned_on_the_mean(session: Session) -> None:
    made = statement(session, "SELECT id FROM items WHERE kind = $1 ORDER BY id LIMIT $2 OFFSET $3")
    assert Filler(session, 1).fill(made) == ""
    assert made.sql.endswith("LIMIT '4' OFFSET '0'")
    assert len(session.execute(made.sql).rows) == 4
    made = statement(session, "SELECT id FROM items FETCH FIRST $1 ROWS ONLY")
    made.mean_rows = 0.0
    assert Filler(session, 1).fill(made) == NO_COLUMN


def test_values_belong_to_one_row(session: Session) -> None:
    """By chance, the kind of one row and the number of another fit in one of seven cases."""
    sql = (
        "SELECT count(*) FROM items JOIN sales ON item = items.id WHERE kind = $1 AND sales.id = $2"
    )
    for seed in range(10):
        made = statement(session, sql)
        assert Filler(session, seed).fill(made) == ""
        assert session.execute(made.sql).rows == [(1,)]


def test_the_seed_decides_the_values(session: Session) -> None:
    texts = []
    for seed in (1, 1, 2):
        made = [statement(session, sql) for sql in FILLED]
        filler = Filler(session, seed)
        assert not any(map(filler.fill, made))
        texts.append([one.sql for one in made])
    assert texts[0] == texts[1]
    differing = sum(a != b for a, b in zip(texts[0], texts[2], strict=True))
    assert differing > len(FILLED) / 2


@pytest.mark.parametrize("sql", LEFT_OUT)
def test_what_no_row_has_values_for_is_left_alone(session: Session, sql: str) -> None:
    made = statement(session, sql)
    assert Filler(session, 1).fill(made) == LEFT_OUT[sql]
    assert (made.sql, made.values) == (sql, "removed")


def test_what_takes_too_long_or_is_elsewhere(database: Target) -> None:
    with contextlib.closing(database.session(timeout_s=0.05)) as session:
        filler = Filler(session, 1)
        slow = "SELECT 1 FROM items, generate_series(1, 100000000) WHERE id = $1"
        assert filler.fill(statement(session, slow)) == "too slow for values"
        other = statement(session, FILLED[0])
        other.database = "another"
        assert filler.fill(other) == "in another database"


def test_nothing_is_written(session: Session) -> None:
    session.execute("CREATE TABLE tracks (n int)")
    session.execute(
        "CREATE FUNCTION track(int) RETURNS int LANGUAGE sql AS"
        " 'INSERT INTO public.tracks VALUES ($1) RETURNING n'"
    )
    made = statement(session, "SELECT * FROM items WHERE track(id) = $1")
    assert Filler(session, 1).fill(made) == UNKNOWN
    assert session.execute("SELECT count(*) FROM tracks").rows == [(0,)]
