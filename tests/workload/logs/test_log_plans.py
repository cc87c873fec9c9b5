"""Statements in the entries of auto_explain."""

from __future__ import annotations

from pathlib import Path

import pytest
from logged import entry, sql

QUERY = 'SELECT *\nFROM t -- it\'s "x" <a> & \\\nWHERE i = $1'
VALUES = "$1 = 'it''s'"
FILLED = QUERY.replace("$1", "'it''s'")

PLANS = {
    "text": f"Query Text: {QUERY}\nQuery Parameters: {VALUES}\n"
    "Seq Scan on t  (cost=0.00..8.17 rows=1 width=76) (actual time=0.003..0.004 rows=1 loops=1)",
    "json": '{\n  "Query Text": "SELECT *\\nFROM t -- it\'s \\"x\\" <a> & \\\\\\nWHERE i = $1",\n'
    '  "Query Parameters": "$1 = \'it\'\'s\'",\n  "Plan": {"Node Type": "Seq Scan"}\n}',
    "yaml": 'Query Text: "SELECT *\\nFROM t -- it\'s \\"x\\" <a> & \\\\\\nWHERE i = $1"\n'
    "Query Parameters: \"$1 = 'it''s'\"\nPlan: \n  Node Type: \"Seq Scan\"",
    "xml": '<explain xmlns="http://www.postgresql.org/2009/explain">\n  <Query-Text>SELECT *\n'
    "FROM t -- it&apos;s &quot;x&quot; &lt;a&gt; &amp; \\\nWHERE i = $1</Query-Text>\n"
    "  <Query-Parameters>$1 = &apos;it&apos;&apos;s&apos;</Query-Parameters>\n  <Plan>",
}


def plan(second: float, text: str, session: str = "65a1f.1") -> list[object]:
    return entry(second, f"duration: 1.000 ms  plan:\n{text}", session=session)


def simple(text: str) -> str:
    return f"Query Text: {text}\nResult  (cost=0.00..0.01 rows=1 width=4)"


@pytest.mark.parametrize("format", PLANS)
def test_the_statement_of_a_plan(tmp_path: Path, format: str) -> None:
    assert sql(tmp_path, plan(1, PLANS[format])) == [FILLED]


def test_auto_explain_may_log_at_another_level(tmp_path: Path) -> None:
    row = plan(1, simple("SELECT 1"))
    row[11] = "NOTICE"
    assert sql(tmp_path, row) == ["SELECT 1"]


def test_a_prepared_statement_is_its_query(tmp_path: Path) -> None:
    text = "Query Text: prepare p(int) as\nselect $1 + 1\nQuery Parameters: $1 = '2'\n"
    assert sql(tmp_path, plan(1, f"{text}Result  (cost=0.00..0.01)")) == ["select '2' + 1"]


def test_what_a_function_runs_is_not_sent_again(tmp_path: Path) -> None:
    inner = plan(1, simple("SELECT 1"))
    inner[18] = "PL/pgSQL function f() line 1 at PERFORM"
    assert sql(tmp_path, inner, plan(2, simple("SELECT f()"))) == ["SELECT f()"]


@pytest.mark.parametrize("text", ["SELECT 1", "SELECT 1; SELECT 2"])
def test_a_statement_that_is_logged_twice_counts_once(tmp_path: Path, text: str) -> None:
    once = text.split("; ")
    plans = [plan(1, simple(text)) for _ in once]
    statement = entry(1.001, f"duration: 2.000 ms  statement: {text}")
    begun = entry(0.999, f"statement: {text}")
    execute = entry(1, f"duration: 2.000 ms  execute <unnamed>: {text}")
    assert sql(tmp_path, *plans) == once
    assert sql(tmp_path, *plans, statement) == once
    assert sql(tmp_path, begun, *plans) == once
    assert sql(tmp_path, execute, plan(1, simple(text))) == once


def test_the_same_statement_sent_twice_counts_twice(tmp_path: Path) -> None:
    again = [plan(second, simple("SELECT 1")) for second in (1, 2)]
    assert sql(tmp_path, *again) == ["SELECT 1"] * 2
    execute = entry(1, "duration: 2.000 ms  execute <unnamed>: SELECT 1")
    assert sql(tmp_path, execute, *again) == ["SELECT 1"] * 2


def test_execute_is_logged_with_the_plan_of_its_query(tmp_path: Path) -> None:
    query = plan(1, simple("PREPARE p AS SELECT 1"))
    statement = entry(1.001, "duration: 2.000 ms  statement: EXECUTE p")
    assert sql(tmp_path, query, statement) == ["EXECUTE p"]
    assert sql(tmp_path, entry(1, "statement: EXECUTE p"), query) == ["EXECUTE p"]


def test_a_plan_that_cannot_be_read_is_counted(tmp_path: Path) -> None:
    assert sql(tmp_path, plan(1, "Plan: x"), plan(2, "{"), plan(3, simple("SELECT 2"))) == [
        "SELECT 2"
    ]
