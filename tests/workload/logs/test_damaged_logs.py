"""Logs that are cut or damaged, and entries that only look like statements."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from logged import converted, entry, failure, jsonlog, sql

from pilotcli.common.errors import WorkloadError
from pilotcli.workload import open_workload
from pilotcli.workload.logs.convert import LogConverter, write_jsonl
from pilotcli.workload.logs.files import find_logs

ROWS = [
    entry(1, "statement: SELECT 1", number=1),
    entry(2, 'duration: 1.000 ms  statement: SELECT "b"\n, 2', number=2),
    entry(3, "statement: SELECT 3", number=3),
]


def read(path: Path, data: bytes | str, prefix: str | None = None) -> list[str]:
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return [one.sql for one in LogConverter().read(find_logs([path], prefix))]


def refused(path: Path, data: bytes | str, prefix: str | None = None) -> WorkloadError:
    with pytest.raises(WorkloadError) as caught:
        read(path, data, prefix)
    assert caught.value.hint
    return caught.value


def test_a_prepared_statement_may_have_any_name(tmp_path: Path) -> None:
    names = ["a:b", "user:42/C_1", "<unnamed>", "S 1"]
    rows = [entry(n, f"execute {name}: SELECT ': '") for n, name in enumerate(names)]
    assert sql(tmp_path, *rows) == ["SELECT ': '"] * 4


def test_what_a_function_raises_is_no_statement(tmp_path: Path) -> None:
    rows = [
        entry(1, "statement: DROP TABLE t", query="SELECT f()"),
        entry(2, "duration: 5.000 ms  statement: DROP TABLE t", query="SELECT f()"),
        entry(3, "statement: DROP TABLE t", severity="WARNING"),
        entry(4, "duration: 5.000 ms  statement: SELECT f()"),
    ]
    assert sql(tmp_path, *rows) == ["SELECT f()"]
    (tmp_path / "log0.csv").unlink()
    assert [row["sql"] for row in converted(tmp_path, jsonlog(*rows))] == ["SELECT f()"]


def test_a_session_that_ends_while_it_waits_has_not_failed(tmp_path: Path) -> None:
    end = entry(3, "terminating connection due to administrator command", severity="FATAL")
    assert sql(tmp_path, entry(1, "statement: SELECT 1"), end) == ["SELECT 1"]
    end[19] = "SELECT 1"
    assert sql(tmp_path, entry(1, "statement: SELECT 1"), end, ROWS[2]) == ["SELECT 3"]


def test_a_new_block_has_not_failed_yet(tmp_path: Path) -> None:
    first = [entry(1, "statement: BEGIN"), failure(2, "SELECT 1/0")]
    second = [entry(3, "statement: BEGIN"), entry(4, "statement: COMMIT")]
    assert sql(tmp_path, *first, *second) == ["BEGIN", "BEGIN", "COMMIT"]


PREFIX = "%m [%p] "
TEXT = """\
2026-03-04 05:05:01.000 UTC [7] LOG:  execute a: SELECT $1
2026-03-04 05:05:01.000 UTC [7] DETAIL:  Parameters: $1 = 'a
\tb'
2026-03-04 05:05:02.000 UTC [7] ERROR:  division by zero
2026-03-04 05:05:02.000 UTC [7] STATEMENT:  SELECT
\t1/0
2026-03-04 05:05:03.000 UTC [7] LOG:  statement: DELETE FROM t WHERE id = 3
"""


@pytest.mark.parametrize("begin", ["DETAIL", "\tb'", "STATEMENT", "\t1/0"])
def test_a_text_log_may_begin_anywhere(tmp_path: Path, begin: str) -> None:
    at = TEXT.index(begin)
    for start in (at, TEXT.rindex("\n", 0, at + 1) + 1):
        assert read(tmp_path / "a.log", TEXT[start:]) == ["DELETE FROM t WHERE id = 3"]


@pytest.mark.parametrize("size", [1, 12, 20])
def test_the_statement_at_the_cut_end_of_a_text_log_is_lost(tmp_path: Path, size: int) -> None:
    assert read(tmp_path / "a.log", TEXT[:-size]) == ["SELECT 'a\nb'"]
    lost = TEXT[: TEXT.index("\n\tb'")]
    assert read(tmp_path / "a.log", lost) == []


def test_a_cut_time_is_none(tmp_path: Path) -> None:
    text = "".join(f"177260070{n}.250 7 LOG:  statement: SELECT {n}\n" for n in range(3))
    for cut in (1, 5):
        assert read(tmp_path / "a.log", text[cut:], "%n %p ") == ["SELECT 1", "SELECT 2"]


CSV = [
    f'2026-03-04 05:06:0{n}.000 UTC,"ann","shop",42,"[local]",65a1f.1,{n},"SELECT",'
    f'2026-03-04 05:06:00 UTC,3/2,0,LOG,00000,"statement: SELECT {n}",,,,,,,,,"web",'
    '"client backend",,0\n'
    for n in range(3)
]


def test_a_csvlog_may_be_cut_at_its_end(tmp_path: Path) -> None:
    """A statement is there with all its columns, or it is not there."""
    text, every = "".join(CSV), [f"SELECT {n}" for n in range(3)]
    for end in range(len(CSV[0]), len(text) + 1):
        whole = text.count("\n", 0, end)
        known = text.count('backend",,', 0, end)
        assert read(tmp_path / "a.csv", text[:end]) in (every[:whole], every[:known])


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('1",,', "1,,", "CSV"),
        ('"shop",', '"shop"', "CSV"),
        (",42,", ",42", "25 columns"),
        (",42,", ",4,2,", "27 columns"),
        ("2026-03-04 05:06:01", "2026-13-04 05:06:01", "no time"),
        (',1,"SELECT"', ',l,"SELECT"', "no number"),
        ("65a1f.1", "65a1f!1", "no session"),
        ("statement:", "duration: 9999999999999999.000 ms  statement:", "longer than"),
    ],
)
def test_a_damaged_csvlog_is_refused_by_its_line(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    assert old in CSV[1]
    problem = refused(tmp_path / "a.csv", CSV[0] + CSV[1].replace(old, new, 1) + CSV[2])
    assert said in problem.message
    assert problem.message.startswith(f"{tmp_path / 'a.csv'}:2: ")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('[{"message":"statement: SELECT 1"}]', "no entry"),
        ('{"timestamp":5,"message":"statement: SELECT 1","line_num":1}', "no entry"),
        ('{"line_num":"1","message":"statement: SELECT 1"}', "no entry"),
        ('{"line_num":1,"error_severity":"ERROR","message":null}', "no entry"),
        ('{"line_num":1,"message":"statement: SELECT 1"}', "no time"),
        ('"message":"statement: SELECT 1"', "no JSON"),
        ('{"message":"statement: SELECT 1",' + '"a":[' * 100_000, "no JSON"),
    ],
)
def test_a_damaged_jsonlog_is_refused_by_its_line(tmp_path: Path, line: str, said: str) -> None:
    before = jsonlog(ROWS[0])
    after = jsonlog(entry(4, "checkpoint starting"))
    problem = refused(tmp_path / "a.json", f"{before}{line}\n{after}")
    assert said in problem.message
    assert problem.line == 2


def test_a_text_log_with_a_time_that_is_none_is_refused(tmp_path: Path) -> None:
    problem = refused(tmp_path / "a.log", TEXT.replace("03-04 05:05:02", "03-44 05:05:02"))
    assert "2026-03-44" in problem.message
    assert problem.line == 4


@pytest.mark.parametrize("log", ["".join(CSV), jsonlog(*ROWS), TEXT])
def test_a_query_may_hold_the_lines_of_a_log(tmp_path: Path, log: str) -> None:
    query = "SELECT '\n" + log.replace("'", "") + "'"
    texts = {
        "w.sql": f"-- a log as text\n{query}",
        "first.sql": query.replace("\n", ""),
        "comment.sql": f"-- {log.splitlines()[0]}\n{query}",
        "w.csv": 'label,sql\na,"{}"\n'.format(query.replace('"', '""')),
        "w.json": json.dumps([{"sql": query}]).replace("\\n", "\\n\\n"),
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
        with open_workload([tmp_path / name]) as workload:
            (found,) = workload
        assert found.command == "SELECT"
        assert "SELECT 1" in found.sql or "DELETE" in found.sql
    (tmp_path / "cut.log").write_text(log[30:])
    with open_workload([tmp_path / "cut.log"]) as workload:
        assert len(list(workload)) >= 1


def test_a_zero_byte_is_refused(tmp_path: Path) -> None:
    for text in ("".join(CSV), jsonlog(*ROWS), TEXT):
        problem = refused(tmp_path / "a.log", text.replace("SELECT", "SELECT\0", 1))
        assert problem.line == 1
        assert "tr -d" in str(problem.hint)


def test_names_that_are_not_in_utf8(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes("".join(CSV).encode().replace(b"ann", b"J\xfcrgen"))
    made = io.BytesIO()
    write_jsonl(LogConverter().read(find_logs([tmp_path])), made)
    assert {json.loads(line)["user"] for line in made.getvalue().splitlines()} == {"J?rgen"}


def test_a_parameter_with_too_many_digits_has_no_value(tmp_path: Path) -> None:
    row = entry(1, f"execute a: SELECT ${'9' * 5000}", f"Parameters: ${'9' * 5000} = '1'")
    assert sql(tmp_path, row) == []


def test_a_quote_that_stays_open_is_left_out(tmp_path: Path) -> None:
    """`pilot run` would refuse the whole workload for it."""
    texts = ["SELECT 'it\\'s'", 'SELECT "a', "SELECT $$a", "SELECT 1 /* a", "SET a = 'x"]
    rows = [entry(n, f"statement: {text}") for n, text in enumerate(texts)]
    assert sql(tmp_path, *rows) == []


@pytest.mark.parametrize(
    "text",
    [
        "SELECT ';'  ,\n\n $$;$$ /* ; */ -- ;\n, E'\\';', \"a;\"",
        "/* app:web,path='/x' */ SELECT date'2026-01-01', $a$ it's; $a$",
        "SET a = 'x;y'",
        "SELECT 'é;'",
    ],
)
def test_a_semicolon_inside_of_quotes_separates_nothing(tmp_path: Path, text: str) -> None:
    assert sql(tmp_path, entry(1, f"statement: {text}")) == [text]
