"""Which statements of a log are taken, normal forms, and anonymous values."""

from __future__ import annotations

import gzip
import json
import re
import subprocess
from datetime import date
from pathlib import Path

import pytest
from logged import converted, csvlog, entry, sql
from project_folder import PILOT

from pilotcli.common.errors import UsageError
from pilotcli.workload.logs.anonymous import Anonymiser
from pilotcli.workload.logs.choice import parse_condition
from pilotcli.workload.logs.normal_form import normal_form

ROWS = [
    entry(1, "duration: 5.000 ms  statement: SELECT 1"),
    entry(2, "duration: 50.000 ms  statement: SELECT 2", database="other"),
    entry(3, "duration: 20.000 ms  statement: DELETE FROM t", database="it's"),
    entry(4, "statement: WITH a AS (DELETE FROM t RETURNING *) SELECT 4"),
    entry(5, "statement: BEGIN"),
]
FIRSTS = ["SELECT 1", "SELECT 2", "DELETE FROM t", "WITH a AS (DELETE FROM t RETURNING *) SELECT 4"]


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        (["database = shop"], [FIRSTS[0], FIRSTS[3], "BEGIN"]),
        (["database!=shop", "Database <> 'it''s'"], [FIRSTS[1]]),
        (["user = ann", "session = 65a1f.1", 'application = "web"'], [*FIRSTS, "BEGIN"]),
        (["user = eve"], []),
    ],
)
def test_where(tmp_path: Path, conditions: list[str], expected: list[str]) -> None:
    assert sql(tmp_path, *ROWS, where=tuple(map(parse_condition, conditions))) == expected


@pytest.mark.parametrize(
    ("text", "message"), [("shop", "no condition"), ("datbase = shop", "no column datbase")]
)
def test_a_condition_that_is_none(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_condition(text)


def test_only_what_ran_long_or_reads(tmp_path: Path) -> None:
    assert sql(tmp_path, *ROWS, min_duration_s=0.02) == FIRSTS[1:3]
    assert sql(tmp_path, *ROWS, select_only=True) == FIRSTS[:2]


def test_distinct_statements_have_their_number(tmp_path: Path) -> None:
    rows = [
        entry(1, "statement: BEGIN"),
        entry(2, "duration: 10.000 ms  statement: SELECT a FROM t WHERE b = 1 AND c IN (1, 2)"),
        entry(3, "duration: 1.000 ms  statement: SELECT b FROM t"),
        entry(
            4, "duration: 30.000 ms  statement: select a\n from T where b=20 and c in ('x') -- k"
        ),
    ]
    first, second = converted(tmp_path, csvlog(*rows), distinct=True)
    assert first["sql"] == "SELECT a FROM t WHERE b = 1 AND c IN (1, 2)"
    assert (first["weight"], first["duration_s"]) == (2, 0.02)
    assert second["weight"] == 1
    assert not {"session", "at_s"} & set(first)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("SELECT 1", "select  -- c\n 2.5e3;", True),
        ("SELECT 'a'", "SELECT E'it\\'s' /* x */", True),
        ("SELECT f(a, 1)", "SELECT f( a,$$x$$ )", True),
        ("SELECT x IN (1,2,3)", "SELECT x IN (4)", True),
        ("SELECT x1", "SELECT x2", False),
        ('SELECT "A"', 'SELECT "a"', False),
        ("SELECT a b", "SELECT ab", False),
    ],
)
def test_normal_forms(one: str, other: str, same: bool) -> None:
    assert (normal_form(one) == normal_form(other)) == same


def test_other_values_have_the_same_kind_and_length() -> None:
    text = (
        "SELECT *, date_trunc('month', d) FROM t /* of Ann */ WHERE mail = 'Ann.Lee@example.org' "
        "AND n = 2147483647 AND m = -12.50 AND d > '2024-02-29' AND b = '\\x00ff' "
        "AND u = 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11' AND ip = '192.168.1.20' AND k = 7 "
        "AND j @> '{\"a\": [10, true]}' AND i < interval '3 days' AND x = E'a\\nb' AND ok = 'true' "
        "AND ts = '2024-02-29 13:45:00' AND name LIKE 'Ann%' AND z = numeric(10, 2) '12.34' "
        "ORDER BY 1 LIMIT 20"
    )
    other = Anonymiser(7).replace(text)
    assert len(other) == len(text.replace("/* of Ann */", " "))
    for kept in (
        "date_trunc('month', d)", "k = 7", "interval '3 days'", "ok = 'true'", "LIMIT 20",
        "ORDER BY 1", "13:45:00", "numeric(10, 2)", "\\n",
    ):  # fmt: skip
        assert kept in other
    for lost in ("Ann", "Lee", "example", "2147483647", "12.50", "2024", "00ff", "a0ee", "192.168"):
        assert lost not in other
    mail = re.search(r"mail = '([^']*)'", other)
    assert mail is not None
    assert re.fullmatch(r"[A-Z][a-z]{2}\.[A-Z][a-z]{2}@[a-z]{7}\.[a-z]{3}", mail[1])
    assert int(re.findall(r"n = (\d+)", other)[0]) < 1 << 31
    dates = re.findall(r"\d{4}-\d\d-\d\d(?=[' ])", other)
    assert len({date.fromisoformat(found) for found in dates}) == 1
    assert json.loads(re.findall(r"@> '([^']*)'", other)[0])
    assert all(int(part) < 256 for part in re.findall(r"ip = '([^']*)'", other)[0].split("."))
    assert re.search(rf"name LIKE '{mail[1][:3]}%'", other)  # the same value, the same other one


def test_a_seed_chooses_the_other_values() -> None:
    text = "SELECT 'Anna', 12345"
    assert Anonymiser(1).replace(text) == Anonymiser(1).replace(text)
    assert Anonymiser(1).replace(text) != Anonymiser(2).replace(text)


def test_a_word_is_the_same_other_one_wherever_it_stands() -> None:
    other = Anonymiser(3).replace("SELECT 'Anna anna ANNA', $$anna$$, E'x\\nanna', 4711, '4711'")
    first, *more = re.findall(r"(?i)\b[a-z]{4}\b", other.replace("SELECT", "").replace("\\n", " "))
    assert {word.lower() for word in more} == {first.lower()}
    assert [word[:2].isupper() for word in more] == [False, True, False, False]
    one, two = re.findall(r"\d{4}", other)
    assert one == two


def test_code_stays_code() -> None:
    other = Anonymiser(1).replace("DO $$ BEGIN PERFORM f('Anna'); END $$")
    assert other.startswith("DO $$ BEGIN PERFORM f('")
    assert "Anna" not in other
    assert "secret" not in Anonymiser(1).replace("SELECT $$a secret$$")


@pytest.mark.parametrize(
    "text",
    [
        "SET work_mem='64MB'",
        "SET DateStyle='ISO, DMY'; RESET ALL; ALTER SYSTEM SET work_mem = '128MB'",
        "ALTER ROLE x SET search_path = 'shop'; SET LOCAL statement_timeout = 12345",
        "SELECT set_config('work_mem', '64MB', false), current_setting('work_mem')",
        "SELECT nextval('myseq'), 'public.t'::regclass, CAST('t' AS regclass), regclass 't'",
        "SELECT a FROM t GROUP BY 12, a ORDER BY a, 12 DESC LIMIT 20",
        "SELECT 'NaN', '{NULL,t}', '[true,null]', to_char(x, '999,990.00'), a LIKE '%' ESCAPE '!'",
        "SELECT to_tsvector('english', a), d AT TIME ZONE 'Europe/Berlin', interval '1-2'",
    ],
)
def test_what_says_how_stays(text: str) -> None:
    assert Anonymiser(1).replace(text) == text


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("1.5e10", r"[1-9]\.[1-9]e10"),
        ("-1e-05", r"-[2-9]e-05"),
        ("0x1F", r"0x1[0-9A-F]"),
        ("1_000", r"1_[01]{3}"),
        ("B'101'", r"B'[01]{3}'"),
        ("'0001-01-01'", r"'000\d-\d\d-\d\d'"),
        ("'31.12.2024'", r"'[0-3]\d\.[01]\d\.20\d\d'"),
        ("'20241231'", r"'20\d\d[01]\d[0-3]\d'"),
        ("'2024-12-31T10:15:00Z'", r"'20\d\d-[01]\d-[0-3]\dT10:15:00Z'"),
        ("'[10,20)'", r"'\[\d\d,\d\d\)'"),
        ("x + 12 ORDER BY x + 12", r"x \+ (\d\d) ORDER BY x \+ \1"),
        ("timestamp with time zone '2024-12-31'", r"timestamp with time zone '20\d\d-.*'"),
        ("pg_notify('chan', 'Anna')", r"pg_notify\('[a-z]{4}', '[A-Z][a-z]{3}'\)"),
    ],
)
def test_data_of_each_form_is_replaced(text: str, form: str) -> None:
    other = Anonymiser(1).replace(f"SELECT {text}").removeprefix("SELECT ")
    assert re.fullmatch(form, other)
    assert other != text


def test_different_values_stay_different() -> None:
    values = [str(number) for number in range(10, 5_000)]
    others = Anonymiser(1).replace("SELECT " + ", ".join(values)).split(", ")
    assert len(set(others)) == len(values)


def test_what_follows_a_setting_is_replaced() -> None:
    other = Anonymiser(1).replace(
        "SET work_mem = '64MB'; SELECT 'Anna'; SET app.user_id = '4711'; SELECT $$Anna$$"
    )
    assert "'64MB'" in other
    assert not re.search("Anna|4711", other)


def test_a_long_text_takes_time_in_proportion() -> None:
    for text in (" " * 50_000 + "x", "y" * 90 + "x", "1 d " + "1" * 90 + "x", "<?" * 20_000):
        assert len(Anonymiser(1).replace(f"SELECT '{text}'")) == len(text) + 9


def test_the_command(tmp_path: Path) -> None:
    (tmp_path / "b.csv.gz").write_bytes(gzip.compress(csvlog(*ROWS[2:]).encode()))
    (tmp_path / "a.csv.bak").write_text(csvlog(*ROWS[:2]))
    words = ["workloads", "from-log", str(tmp_path), "--where", "database != other"]
    done = subprocess.run(
        [PILOT, *words, "--min-duration", "1ms", "--distinct", "--anonymize", "-o", "-"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert [json.loads(line)["sql"] for line in done.stdout.splitlines()] == [
        "SELECT 1", "DELETE FROM t",
    ]  # fmt: skip
    assert "left out: 3 statements by --where" in done.stderr
    assert "the statements are from several databases: " in done.stderr
    assert done.returncode == 0


def test_the_command_refuses_what_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(csvlog(entry(1, "connection received", severity="ERROR")))
    words = [
        PILOT,
        "workloads",
        "from-log",
        str(tmp_path / "a.csv"),
        "-o",
        str(tmp_path / "w.jsonl"),
    ]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "error: the log holds no statement" in done.stderr
    assert "log_min_duration_statement" in done.stderr
    assert not (tmp_path / "w.jsonl").exists()
