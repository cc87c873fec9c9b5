"""Size, height and plans of generated what-if indexes against those of the same indexes built."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from steered import KINDS, Steered, nodes, shape

from pilotcli.common.errors import QueryError
from pilotcli.databases.session.session import PostgresSession

pytestmark = pytest.mark.slow

TIMES = max(1, int(os.environ.get("FUZZ_TIMES", "0")))
TABLES = {
    "big": """AS SELECT g AS id, (random() * 500)::int AS rnd, (random() ^ 4 * 1000)::int AS skew,
        (random() * 1e6)::bigint AS wide, CASE WHEN random() < 0.7 THEN (random() * 100)::int END
        AS nul, 'user_' || (random() * 3000)::int AS name, md5(g::text) AS hash,
        repeat('x', (random() * 40)::int) || (random() * 1e5)::int AS text, random() AS f,
        (random() * 100)::numeric(6, 2) AS num, g % 3 = 0 AS flag,
        timestamp '2020-01-01' + (random() * 1000)::int * interval '1 hour' AS at,
        date '2020-01-01' + (random() * 400)::int AS day, (random() * 7)::smallint AS small,
        chr(65 + (random() * 25)::int)::char(3) AS code, md5(random()::text)::uuid AS uid,
        (ARRAY['new', 'paid', 'sent', 'done'])[1 + (random() ^ 2 * 3.99)::int] AS status,
        g / 2 AS pair, chr(97 + (random() * 20)::int)::name AS tag
        FROM generate_series(1, 40000) AS g""",
    "few": """AS SELECT g AS id, g % 10 AS ten, 'n' || g AS name,
        CASE WHEN g % 2 = 0 THEN g END AS half FROM generate_series(1, 900) AS g""",
    "none": "(id int, name text)",
}
# Of expressions that have fewer values than their columns only statistics would tell the number.
EXPRESSIONS = {
    "big": ["lower(name)", "upper(status)", "(flag IS TRUE)", "(id + 1)", "(name || 'x')"],
    "few": ["lower(name)"],
    "none": ["lower(name)"],
}
CONDITIONS = {
    "big": [
        *("flag", "rnd < 50", "status = 'paid'", "nul IS NOT NULL", "f > 0.9"),
        *("nul IS NULL", "skew = 0", "rnd < 100 AND status <> 'new'"),
    ],
    "few": ["ten < 3", "half IS NOT NULL"],
    "none": ["id > 3"],
}


@dataclass(frozen=True)
class Case:
    """An index, the columns in it, and queries for which it may be of use."""

    table: str
    statement: str
    queries: tuple[str, ...]


class Maker:
    """Makes cases, the same ones for a seed."""

    def __init__(self, seed: int, columns: dict[str, list[str]], session: PostgresSession) -> None:
        self.source = random.Random(seed)
        self.columns = columns
        self.session = session

    def case(self, name: str) -> Case:
        source = self.source
        (table,) = source.choices(["big", "few", "none"], [8, 2, 1])
        columns = self.columns[table]
        chosen = source.sample(columns, min(len(columns), source.choice([1, 1, 1, 2, 2, 3])))
        keys = [self.key(table, column) for column in chosen]
        if source.random() < 0.05:
            keys.append(source.choice(chosen))  # a column twice
        rest = [column for column in columns if column not in chosen]
        include = ""
        if rest and source.random() < 0.2:
            include = f" INCLUDE ({', '.join(source.sample(rest, min(2, len(rest))))})"
        unique = "UNIQUE " if {"id", "uid"} & set(keys) and source.random() < 0.5 else ""
        options = source.choice([""] * 6 + [" WITH (fillfactor = 70)"])
        condition = source.choice(CONDITIONS[table]) if source.random() < 0.25 else ""
        where = f" WHERE {condition}" if condition else ""
        statement = (
            f"CREATE {unique}INDEX {name} ON {table} ({', '.join(keys)}){include}{options}{where}"
        )
        queries = (self.query(table, chosen, keys, condition) for _ in range(4))
        return Case(table, statement, tuple(queries))

    def key(self, table: str, column: str) -> str:
        source = self.source
        key = column
        if source.random() < 0.12:
            key = source.choice(EXPRESSIONS[table])
        elif column in ("text", "name") and source.random() < 0.4:
            key += source.choice([' COLLATE "C"', " text_pattern_ops"])
        return key + source.choice(["", "", "", " DESC", " DESC NULLS LAST", " NULLS FIRST"])

    def query(self, table: str, columns: Sequence[str], keys: Sequence[str], condition: str) -> str:
        source = self.source
        asked = source.sample(columns, source.randint(1, len(columns)))
        texts = ", ".join(f"quote_nullable({column}::text)" for column in asked)
        found = self.session.execute(
            f"SELECT {texts} FROM {table} OFFSET {source.randrange(800)} LIMIT 1"
        ).rows
        values = found[0] if found else ["NULL"] * len(asked)
        tests = [
            f"{column} IS NULL" if value == "NULL" else f"{column} {source.choice('==<>')} {value}"
            for column, value in zip(asked, values, strict=True)
        ]
        if condition and source.random() < 0.8:
            tests.append(condition)
        shown = source.choice(["*", ", ".join(asked), "count(*)", "count(*)"])
        order = ""
        if shown != "count(*)" and source.random() < 0.4 and "_ops" not in "".join(keys):
            order = f" ORDER BY {', '.join(keys)} LIMIT 10"
        return f"SELECT {shown} FROM {table} WHERE {' AND '.join(tests)}{order}"


def plan(session: PostgresSession, sql: str) -> dict[str, Any]:
    ((value,),) = session.execute(f"EXPLAIN (FORMAT JSON) {sql}").rows
    return dict((json.loads(value) if isinstance(value, str) else value)[0]["Plan"])


def scanned_rows(plan: dict[str, Any]) -> list[float]:
    return [node["Plan Rows"] for node in nodes(plan) if "Relation Name" in node]


def height(session: PostgresSession, index: str) -> int | None:
    """The height of a real index; None where the server has no pageinspect."""
    try:
        session.execute("CREATE EXTENSION IF NOT EXISTS pageinspect SCHEMA public")
        ((level,),) = session.execute(f"SELECT level FROM public.bt_metap('sizes.{index}')").rows
    except QueryError:
        return None
    return int(level)


def test_generated_indexes(steered: Steered, kind: str) -> None:
    """The size is right to a tenth, or to two pages; the plan is that with the index built, or one
    that costs the same."""
    session = steered.session
    session.execute("DROP SCHEMA IF EXISTS sizes CASCADE; CREATE SCHEMA sizes")
    session.execute("SET search_path = sizes; SET max_parallel_workers_per_gather = 0")
    session.execute("SELECT setseed(0.3)")
    columns = {}
    for table, text in TABLES.items():
        session.execute(f"CREATE TABLE {table} {text}")
        session.execute(f"VACUUM ANALYZE {table}")
        names = "SELECT array_agg(attname::text) FROM pg_attribute WHERE attnum > 0 AND attrelid = "
        ((columns[table],),) = session.execute(f"{names} '{table}'::regclass").rows
    maker = Maker(KINDS.index(kind), columns, session)
    wrong_sizes, wrong_heights, wrong_plans, n_plans = [], [], [], 0
    for number in range(60 * TIMES):
        case = maker.case(f"i{number}")
        session.execute(case.statement)
        ((size,),) = session.execute(f"SELECT pg_relation_size('i{number}')").rows
        level = height(session, f"i{number}")
        built = [plan(session, query) for query in case.queries]
        session.execute(f"DROP INDEX i{number}")

        text = case.statement.replace("'", "''")
        session.execute(f"SET pilot_planner.indexes = '{text}'")
        heard: list[str] = []
        session.connection.notices = heard
        session.execute(
            f"SET LOCAL pilot_planner.report = 'indexes'; EXPLAIN SELECT FROM {case.table}"
        )
        ((_, guessed, guessed_level, *_),) = json.loads("{" + heard[-1].partition("{")[2])[
            "indexes"
        ]
        if not 0.9 * size <= guessed <= 1.1 * size and abs(guessed - size) > 2 * 8192:
            wrong_sizes.append((case.statement, guessed, size))
        # Between two heights lies one page more or less.
        edge = 0.97 * size < guessed < 1.03 * size or size < 5 * 8192
        if level is not None and guessed_level != level and not edge:
            wrong_heights.append((case.statement, guessed_level, level))
        for query, real in zip(case.queries, built, strict=True):
            n_plans += 1
            found = plan(session, query)
            tie = abs(found["Total Cost"] - real["Total Cost"]) < 0.02 * real["Total Cost"]
            # For a value beyond the histogram the planner looks up the end of a real index.
            rows = scanned_rows(real)
            none = max(rows, default=0) <= 1 and (" < '" in query or " > '" in query)
            beyond = none or scanned_rows(found) != rows
            if shape(found) != shape(real) and not tie and not beyond:
                costs = (found["Total Cost"], real["Total Cost"])
                wrong_plans.append((case.statement, query, costs, shape(found), shape(real)))
        session.execute("RESET pilot_planner.indexes")
    session.execute("DROP SCHEMA sizes CASCADE")
    assert (wrong_sizes, wrong_heights, wrong_plans) == ([], [], [])
    assert n_plans == 240 * TIMES
