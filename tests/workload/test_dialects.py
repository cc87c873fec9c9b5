"""Hints for SQL of other databases and programs, and what pgbench's scripts hold."""

from __future__ import annotations

from pathlib import Path

import pytest

from pilotcli.common.errors import WorkloadError
from pilotcli.workload import open_workload
from pilotcli.workload.dialects import foreign_sign


def notices(path: Path, text: str) -> list[str]:
    path.write_text(text)
    found: list[str] = []
    with open_workload([path], notify=found.append) as workload:
        assert list(workload) == list(workload)
    return found


@pytest.mark.parametrize(
    ("sql", "said", "advice"),
    [
        ("SELECT `id` FROM `users`", "backquotes, as in MySQL", "double quotes"),
        ("SELECT a FROM t WHERE id = ? AND b > 1", "placeholder ?", "Write the values"),
        ("INSERT INTO t VALUES (?, ?)", "placeholder ?", "Write the values"),
        ("SELECT a FROM t LIMIT ?", "placeholder ?", "Write the values"),
        ("SELECT a FROM t WHERE id = %s", "placeholder of Python", "Write the values"),
        ("SELECT a FROM t WHERE b IN (%s,%s)", "placeholder of Python", "Write the values"),
        ("SELECT a FROM t WHERE id=%(id)s", "placeholder of Python", "Write the values"),
        ("SELECT a FROM t WHERE id = :id", "variable :id, which", "\\set id value"),
        ("SELECT a FROM t WHERE b BETWEEN :low AND :high", ":low", "\\set low value"),
        ("SELECT a FROM t WHERE id = {{ id }}", "template", "Render"),
        ("SELECT a FROM t WHERE {% if a %} b {% endif %}", "template", "Render"),
        ("SELECT a FROM t WHERE id = $1", "parameter $1", "PREPARE"),
        ("SELECT [id] FROM [users]", "brackets, as in SQL Server", "double quotes"),
    ],
)
def test_a_sign_of_another_dialect_is_noticed_once(
    tmp_path: Path, sql: str, said: str, advice: str
) -> None:
    file = tmp_path / "w.sql"
    (notice,) = notices(file, f"SELECT 1;\n{sql};\n{sql};\n")
    assert notice.startswith(f"{file}:2: the query ")
    assert said in notice
    assert advice in notice


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT a ? 'b', a ?| array['b'], a ?& b FROM t WHERE a ? 'c' AND (b) ? 'd'",
        "SELECT 5 % s, a %s FROM t",
        "SELECT a[1:2], a[:n], a[lo:hi], b::int, '1'::text FROM t",
        "SELECT '`a`', '= ?', '%s', '{{1}}', ':a', '$1', \"= ?\" -- = ? {{ `a`",
        "SELECT $$ = ? `b` $1 $$, $x$ {{ }} $x$ /* = :id */",
        "PREPARE p AS SELECT $1",
        "CREATE FUNCTION f(int) RETURNS int RETURN $1",
        "SELECT a$1 FROM t",
        "SELECT ARRAY[a, b], x[i] FROM t",
    ],
)
def test_what_postgresql_takes_is_not_noticed(sql: str) -> None:
    assert foreign_sign(sql, sql.split()[0]) is None


def test_a_variable_that_is_set_is_not_noticed(tmp_path: Path) -> None:
    assert notices(tmp_path / "w.sql", "\\set id 3\nSELECT a FROM t WHERE id = :id;") == []


def test_a_label_that_is_there_twice_is_noticed_once(tmp_path: Path) -> None:
    text = (
        "-- name: a\nSELECT 1;\n-- name: b\nSELECT 2;\n-- name: a\nSELECT 3;\n-- name: b\nTABLE t;"
    )
    file = tmp_path / "w.sql"
    (notice,) = notices(file, text)
    assert notice.startswith(f"{file}:6: the label a is already that of {file}:2")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("w.sql", "SELECT 1;\r\n\x1a"),
        ("w.sql", "SELECT 1\x1a"),
        ("w.sql", "SELECT 1;\x1a\r\n"),
        ("w.csv", "sql\r\nSELECT 1\r\n\x1a"),
        ("w.jsonl", '{"sql": "SELECT 1"}\r\n\x1a'),
        ("w.json", '[{"sql": "SELECT 1"}]\r\n\x1a'),
        ("w.txt", "1#####SELECT 1\r\n\x1a"),
    ],
)
def test_ctrl_z_at_the_end_is_no_part_of_the_text(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    assert [query.sql for query in open_workload([tmp_path / name])] == ["SELECT 1"]


def test_numbers_of_pgbench_are_drawn_the_same_each_time(tmp_path: Path) -> None:
    file = tmp_path / "w.sql"
    lines = "\\set n random(1, 10 * :scale)\n\\set m random(-5, -(2 + 1))\nSELECT :n, :m;\n"
    file.write_text("\\set scale 100\n" + lines * 200)
    queries = [query.sql for query in open_workload([file])]
    assert [query.sql for query in open_workload([file])] == queries
    drawn = [tuple(map(int, sql.removeprefix("SELECT ").split(", "))) for sql in queries]
    assert len({n for n, _ in drawn}) > 150
    assert all(1 <= n <= 1000 for n, _ in drawn)
    assert {m for _, m in drawn} == {-5, -4, -3}


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("random(1, :scale)", "no two whole numbers"),
        ("random(3, 2)", "3 is more than 2"),
        ("random(1, 2/0)", "no whole number"),
        ("random(1, 2 +)", "no whole number"),
        ("random(1, 9*9*9*9*9*9*9*9*9*9*9*9*9*9*9*9*9*9*9*9*9*9*9*9)", "out of range"),
        ("random(1, 9**9)", "no two whole numbers"),
        ("random_gaussian(1, 10, 2.5)", "no two whole numbers"),
    ],
)
def test_what_cannot_be_drawn_is_refused(tmp_path: Path, value: str, said: str) -> None:
    (tmp_path / "w.sql").write_text(f"\\set n {value}\nSELECT :n;\n")
    with pytest.raises(WorkloadError, match=said) as caught:
        list(open_workload([tmp_path / "w.sql"]))
    assert caught.value.line == 1
    assert "scale" in str(caught.value.hint)


def test_commands_of_pgbench_have_hints(tmp_path: Path) -> None:
    (tmp_path / "w.sql").write_text("SELECT 1;\n\\sleep 10 ms\n")
    with pytest.raises(WorkloadError, match="sleep cannot be replayed") as caught:
        list(open_workload([tmp_path / "w.sql"]))
    assert "Remove the line" in str(caught.value.hint)
