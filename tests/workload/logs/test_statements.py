"""What a csvlog says of statements: texts, parameters, sessions, times, failures."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from logged import converted, csvlog, entry, failure, jsonlog, sql

from pilotcli.common.errors import WorkloadError
from pilotcli.workload import open_workload
from pilotcli.workload.logs import statements
from pilotcli.workload.logs.choice import Choice, parse_condition
from pilotcli.workload.logs.convert import LogConverter, write_jsonl
from pilotcli.workload.logs.files import find_logs


def test_a_statement_has_all_that_the_log_says(tmp_path: Path) -> None:
    rows = converted(
        tmp_path,
        csvlog(
            entry(7.5, "connection received: host=[local]"),
            entry(8.0, "duration: 250.500 ms  statement: SELECT 1;"),
            entry(9.0, "duration: 1000.000 ms  execute P_1: SELECT 2", session="65a1f.2"),
        ),
    )
    assert rows[1] == {
        "sql": "SELECT 2",
        "label": "65a1f.2/1",
        "session": "65a1f.2",
        "at_s": pytest.approx(0.2505),
        "database": "shop",
        "user": "ann",
        "application": "web",
        "started_at": "2026-03-04T05:06:08.000000Z",
        "duration_s": 1.0,
    }
    assert rows[0]["at_s"] == 0
    assert rows[0]["started_at"] == "2026-03-04T05:06:07.749500Z"


def test_a_statement_that_was_logged_later_but_began_earlier_comes_first(tmp_path: Path) -> None:
    assert sql(
        tmp_path,
        entry(1, "duration: 1.000 ms  statement: SELECT 'short'", session="a.1"),
        entry(3, "duration: 2500.000 ms  statement: SELECT 'long'", session="a.2"),
    ) == ["SELECT 'long'", "SELECT 'short'"]


def test_a_session_keeps_its_order_although_times_are_rounded(tmp_path: Path) -> None:
    assert sql(
        tmp_path,
        entry(1.000, "duration: 0.001 ms  statement: SELECT 'first'"),
        entry(1.000, "duration: 0.900 ms  statement: SELECT 'second'"),
    ) == ["SELECT 'first'", "SELECT 'second'"]


@pytest.mark.parametrize("most", [0, 3, 20_000])
def test_statements_are_put_in_order_as_far_as_they_wait(
    tmp_path: Path, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statements, "MOST_HELD", most)
    rows = [
        entry(
            n, f"duration: {1500 if n % 2 else 1}.000 ms  statement: SELECT {n}", session=f"a.{n}"
        )
        for n in range(2, 12)
    ]
    found = sql(tmp_path, *rows)
    assert len(found) == 10
    assert (found == [f"SELECT {n}" for n in (3, 2, 5, 4, 7, 6, 9, 8, 11, 10)]) == (most > 0)


def test_the_duration_of_a_statement_that_was_logged_at_its_begin(tmp_path: Path) -> None:
    rows = converted(
        tmp_path,
        csvlog(
            entry(1, "statement: SELECT 1", session="a.1"),
            entry(2, "statement: SELECT 2", session="a.2"),
            entry(3, "duration: 1000.000 ms", session="a.2"),
            entry(4, "duration: 3000.000 ms", session="a.1"),
            entry(5, "duration: 7.000 ms", session="a.1"),  # of a parse that was not logged
            entry(6, "statement: SELECT 3", session="a.1"),
        ),
    )
    assert [row.get("duration_s") for row in rows] == [3.0, 1.0, None]
    assert [row["at_s"] for row in rows] == [0, 1, 5]


def test_parse_and_bind_are_no_statements(tmp_path: Path) -> None:
    assert sql(
        tmp_path,
        entry(1, "duration: 0.1 ms  parse <unnamed>: SELECT $1"),
        entry(2, "duration: 0.1 ms  bind <unnamed>: SELECT $1", "Parameters: $1 = 'a'"),
        entry(3, "duration: 0.1 ms  execute <unnamed>: SELECT $1", "Parameters: $1 = 'a'"),
        entry(
            4, "duration: 0.1 ms  execute fetch from <unnamed>/c: SELECT $1", "Parameters: $1 = 'a'"
        ),
        entry(5, "execute S_1/C_2: SELECT $1", "parameters: $1 = 'b'"),  # before PostgreSQL 16
    ) == ["SELECT 'a'", "SELECT 'b'"]


@pytest.mark.parametrize(
    ("text", "detail", "expected"),
    [
        ("i = $1", "$1 = '1'", "i = '1'"),
        ("$2, $1, $2", "$1 = 'it''s, $2 = ''x''', $2 = NULL", "NULL, 'it''s, $2 = ''x''', NULL"),
        ("$1", "$1 = 'a\\b\nc'", " E'a\\\\b\nc'"),
        ("'$1', \"$1\", $$ $1 $$, $a$ $1 $a$ -- $1\n, $1", "$1 = 'v'",
         "'$1', \"$1\", $$ $1 $$, $a$ $1 $a$ -- $1\n, 'v'"),
        ("E'\\'$1', $1 /* $1 */", "$1 = 'v'", "E'\\'$1', 'v' /* $1 */"),
        ("a$1, $1", "$1 = 'v'", "a$1, 'v'"),
        ("$1 = ANY($10)", "$1 = 'x', $2 = 'y', $10 = '{1,2}'", "'x' = ANY('{1,2}')"),
    ],
)  # fmt: skip
def test_parameters_are_filled_in(tmp_path: Path, text: str, detail: str, expected: str) -> None:
    row = entry(1, f"execute <unnamed>: SELECT {text}", f"Parameters: {detail}")
    assert sql(tmp_path, row) == [f"SELECT {expected}"]


def test_a_statement_whose_values_were_not_logged_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(
        csvlog(
            entry(1, "execute <unnamed>: SELECT $1"),
            entry(2, "statement: PREPARE p AS SELECT $1"),
        )
    )
    converter = LogConverter()
    assert [one.sql for one in converter.read(find_logs([tmp_path]))] == ["PREPARE p AS SELECT $1"]
    assert converter.left_out == {"without values": 1}


def test_entries_of_several_lines_and_cut_files(tmp_path: Path) -> None:
    text = csvlog(
        entry(1, "statement: SELECT 'lost'"),
        entry(2, "statement: SELECT 1,\n\n  '\"a\"'\n-- x"),
        entry(3, "statement: SELECT 'lost'"),
    )
    begin, end = text.index("lost"), text.rindex("lost")
    (row,) = converted(tmp_path, text[begin:end])
    assert row["sql"] == "SELECT 1,\n\n  '\"a\"'\n-- x"


def test_several_statements_in_one_message_are_sent_one_by_one(tmp_path: Path) -> None:
    row = entry(1, "duration: 5.000 ms  statement: SELECT ';'; SELECT ':x' ; ;")
    rows = converted(tmp_path, csvlog(row))
    assert [(row["sql"], row["label"]) for row in rows] == [
        ("SELECT ';'", "65a1f.1/1.1"),
        ("SELECT ':x'", "65a1f.1/1.2"),
    ]
    assert "duration_s" not in rows[0]


@pytest.mark.parametrize("logged", ["at its begin", "only as an error"])
def test_a_block_with_a_failed_statement_is_rolled_back(tmp_path: Path, logged: str) -> None:
    rows = [
        entry(1, "statement: BEGIN"),
        entry(2, "statement: INSERT INTO t VALUES (1)"),
        entry(2, "duration: 1.000 ms"),
        *([entry(3, "statement: SELECT 1/0")] if logged == "at its begin" else []),
        failure(3, "SELECT 1/0"),
        entry(4, "statement: COMMIT"),
        entry(5, "statement: BEGIN"),
        entry(5, "duration: 1.000 ms"),
        failure(6, "SELECT nope"),
        entry(7, "statement: ROLLBACK TO SAVEPOINT a"),
        entry(8, "statement: COMMIT"),
        entry(8, "duration: 1.000 ms"),
        failure(9, "SELECT outside"),
        entry(9, "statement: COMMIT"),
    ]
    kept = ["BEGIN", "INSERT INTO t VALUES (1)", "ROLLBACK", "BEGIN"]
    kept += ["ROLLBACK TO SAVEPOINT a", "COMMIT", "COMMIT"]
    assert sql(tmp_path, *rows) == kept
    failed = ["SELECT 1/0", "SELECT nope", "SELECT outside"]
    every = converted(tmp_path, csvlog(*rows), with_failed=True)
    assert [row["sql"] for row in every if row.get("failed")] == failed


def test_the_failure_of_another_statement_is_not_that_of_the_last_one(tmp_path: Path) -> None:
    rows = [
        entry(1, "execute <unnamed>: SELECT $1", "Parameters: $1 = '1'"),
        failure(2, "SELECT 2"),
    ]
    assert sql(tmp_path, *rows) == ["SELECT '1'"]
    assert sql(tmp_path, rows[0], failure(2, "SELECT $1")) == []


def test_a_commit_that_failed_is_a_rollback(tmp_path: Path) -> None:
    rows = [entry(1, "statement: BEGIN"), entry(2, "statement: COMMIT"), failure(2, "COMMIT")]
    assert sql(tmp_path, *rows) == ["BEGIN", "ROLLBACK"]


def test_what_cannot_be_sent_is_left_out_and_counted(tmp_path: Path) -> None:
    text = csvlog(
        entry(1, "statement: COPY t FROM STDIN"),
        entry(2, "statement: ;"),
        entry(3, "statement: SELECT 'open"),
        failure(3, "SELECT 'open"),
        entry(4, "statement: SELECT 'ünicode'"),
        entry(5, "statement: SELECT 'X'"),
    )
    (tmp_path / "a.csv").write_bytes(text.encode().replace(b"X", b"\xe4"))
    converter = LogConverter(Choice(with_failed=True))
    assert [one.sql for one in converter.read(find_logs([tmp_path]))] == ["SELECT 'ünicode'"]
    assert converter.left_out == {
        "COPY FROM STDIN": 1, "empty": 1, "no whole statement": 1, "not in UTF-8": 1,
    }  # fmt: skip


def test_the_workload_is_read_with_its_sessions_and_times(tmp_path: Path) -> None:
    path = tmp_path / "w.jsonl"
    (tmp_path / "a.csv").write_text(
        csvlog(
            entry(1, "statement: SELECT 1"),
            entry(3, "execute a: SELECT $1", "Parameters: $1 = '\\'", session="b.2", number=7),
        )
    )
    with path.open("wb") as file:
        write_jsonl(LogConverter().read(find_logs([tmp_path / "a.csv"])), file)
    with open_workload([path]) as workload:
        first, second = workload
    assert (first.facts.session, first.facts.at_s) == ("65a1f.1", 0)
    assert second.label == "b.2/7"
    assert second.sql == "SELECT  E'\\\\'"
    assert (second.facts.session, second.facts.at_s) == ("b.2", 2)


@pytest.mark.parametrize("text", ["sql\nSELECT 1\n", "SELECT 1;\n", "2026-03-04,x\n"])
def test_a_file_that_is_no_log_is_refused_by_name(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(text)
    with pytest.raises(WorkloadError, match=r"a\.csv: this is no log of PostgreSQL"):
        find_logs([path])
    with pytest.raises(WorkloadError, match="there is no log in"):
        find_logs([tmp_path])


@pytest.mark.parametrize(
    ("zone", "seconds"), [("UTC", 3600), ("CET", 0), ("-01", 7200), ("+05:30", -16200)]
)
def test_times_in_zones_are_comparable(tmp_path: Path, zone: str, seconds: float) -> None:
    first = csvlog(entry(0, "statement: SELECT 1")).replace("UTC", "CET")
    second = csvlog(entry(0, "statement: SELECT 2")).replace("UTC", zone)
    rows = converted(tmp_path, first, second)
    assert rows[-1]["at_s"] == abs(seconds)


def test_the_hour_that_summer_time_repeats_counts_twice(tmp_path: Path) -> None:
    text = csvlog(entry(1, "statement: SELECT 1"), entry(1, "statement: SELECT 2"))
    summer, _, winter = text.partition("\n")
    first, second = converted(
        tmp_path, f"{summer}\n".replace("UTC", "CEST") + winter.replace("UTC", "CET")
    )
    assert second["at_s"] - first["at_s"] == 3600


def test_logs_are_read_in_the_order_of_their_times(tmp_path: Path) -> None:
    texts = [csvlog(entry(second, f"statement: SELECT {second}")) for second in (2, 1, 3)]
    assert [row["sql"] for row in converted(tmp_path, *texts)] == [
        "SELECT 1", "SELECT 2", "SELECT 3",
    ]  # fmt: skip


@pytest.mark.parametrize("write", [csvlog, jsonlog])
def test_a_statement_may_be_longer_than_what_is_read_at_once(
    tmp_path: Path, write: Callable[..., str]
) -> None:
    long = "SELECT '" + 'a"b' * 400_000 + "' || '" + "x\n\n" * 100_000 + "'"
    rows = [entry(n, f"statement: {text}") for n, text in enumerate(["BEGIN", long, "COMMIT"])]
    assert [row["sql"] for row in converted(tmp_path, write(*rows))] == ["BEGIN", long, "COMMIT"]


ROWS = [
    entry(1, "statement: BEGIN"),
    entry(2, "connection authorized"),
    entry(3, "duration: 1.500 ms  statement: SELECT 'a\n\"ü\\' ; SELECT 2"),
    entry(4, "execute <unnamed>: SELECT $1", "Parameters: $1 = 'x\ty'", session="b.1"),
    failure(5, "SELECT 1/0"),
    entry(6, "statement: COMMIT"),
]


def test_a_jsonlog_says_what_a_csvlog_says(tmp_path: Path) -> None:
    rows = converted(tmp_path, csvlog(*ROWS))
    (tmp_path / "log0.csv").unlink()
    assert rows[-1]["sql"] == "ROLLBACK"
    assert converted(tmp_path, jsonlog(*ROWS)) == rows


def test_a_jsonlog_may_be_cut_at_its_ends_but_not_inside(tmp_path: Path) -> None:
    text = jsonlog(*ROWS)
    assert len(converted(tmp_path, text[10:-10])) == 3
    inside = text.replace('"message":"statement: BEGIN"', '"message":"statement: BEGIN')
    with pytest.raises(WorkloadError, match=r"log0\.csv:2: the entry is no JSON"):
        converted(tmp_path, "{}\n" + inside)


def test_of_logs_that_a_server_wrote_side_by_side_one_is_read(tmp_path: Path) -> None:
    (tmp_path / "monday.csv").write_text(csvlog(*ROWS))
    (tmp_path / "monday.json").write_text(jsonlog(*ROWS))
    (tmp_path / "tuesday.json").write_text(jsonlog(*ROWS))
    (tmp_path / "notes.txt").write_text("2026")
    found = [Path(log.source.name).name for log in find_logs([tmp_path])]
    assert sorted(found) == ["monday.csv", "tuesday.json"]


@pytest.mark.parametrize("write", [csvlog, jsonlog])
@pytest.mark.parametrize("stdin", [False, True])
def test_a_run_reads_logs_as_they_are(
    tmp_path: Path, write: Callable[..., str], stdin: bool
) -> None:
    notices: list[str] = []
    second = write(entry(90, "statement: SELECT 3", session="b.1"))
    path = tmp_path / "monday.sql"
    path.write_text(write(*ROWS), encoding="utf-8")
    given = io.BytesIO(second.replace("05:06:90", "05:07:30").encode())
    (tmp_path / "tuesday.csv").write_bytes(given.getvalue())
    other = "-" if stdin else tmp_path / "tuesday.csv"
    with open_workload([path, other], stdin=given, notify=notices.append) as workload:
        for _ in range(2):  # a workload is read several times
            queries = list(workload)
    assert [query.sql.rstrip() for query in queries] == [
        "BEGIN", "SELECT 'a\n\"ü\\'", "SELECT 2", "SELECT 'x\ty'", "ROLLBACK", "SELECT 3",
    ]  # fmt: skip
    assert queries[-1].facts.session == "b.1"
    assert queries[-1].facts.at_s == 89
    assert queries[0].label == "65a1f.1/1"
    assert notices.count("left out: 1 statement " + LEFT_OUT) == 1


LEFT_OUT = "that failed (pilot workloads from-log --with-failed keeps them)"


def test_a_log_without_a_statement_says_what_the_server_needs(tmp_path: Path) -> None:
    path = tmp_path / "monday.csv"
    path.write_text(csvlog(entry(1, "checkpoint starting")))
    with (
        open_workload([path]) as workload,
        pytest.raises(WorkloadError, match="the log holds no statement") as caught,
    ):
        list(workload)
    assert "log_min_duration_statement" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("statements", "told"),
    [
        (["INSERT INTO t VALUES (1)", "SELECT 1"], True),
        (["INSERT INTO t VALUES (1)", "COMMIT"], False),
        (["START TRANSACTION", "DELETE FROM t", "ABORT"], False),
        (["SELECT 1", "VACUUM t", "SET work_mem = 64"], False),
    ],
)
def test_a_log_without_transactions_is_told(
    tmp_path: Path, statements: list[str], *, told: bool
) -> None:
    rows = [entry(at, f"statement: {text}") for at, text in enumerate(statements)]
    (tmp_path / "a.csv").write_text(csvlog(*rows))
    converter = LogConverter()
    assert len(list(converter.read(find_logs([tmp_path])))) == len(statements)
    assert [note.partition(":")[0] for note in converter.notes()] == [
        "no BEGIN or COMMIT is among the statements"
    ] * told
    distinct = LogConverter(Choice(distinct=True))
    list(distinct.read(find_logs([tmp_path])))
    assert distinct.notes() == []


def test_only_what_comes_from_where_it_is_wanted_is_counted_as_failed(tmp_path: Path) -> None:
    rows = [
        entry(1, "statement: SELECT 1"),
        failure(2, "SELECT 1/0", database="other"),
        failure(3, "SELECT $1", database="other"),
        entry(4, "execute <unnamed>: SELECT $1", database="other"),
        entry(5, "execute <unnamed>: SELECT $1"),
        failure(6, "SELECT 2/0"),
    ]
    (tmp_path / "a.csv").write_text(csvlog(*rows))
    converter = LogConverter(Choice(where=(parse_condition("database = shop"),)))
    assert [one.sql for one in converter.read(find_logs([tmp_path]))] == ["SELECT 1"]
    assert converter.left_out == {"not wanted": 3, "without values": 1, "failed": 1}


def test_plans_without_values_are_counted_by_themselves(tmp_path: Path) -> None:
    plan = "duration: 1.000 ms  plan:\nQuery Text: SELECT $1\nResult  (cost=0.00..0.01 rows=1)"
    (tmp_path / "a.csv").write_text(csvlog(entry(1, "statement: SELECT 1"), entry(2, plan)))
    converter = LogConverter()
    assert len(list(converter.read(find_logs([tmp_path])))) == 1
    (note,) = converter.notes()
    assert note.startswith("left out: 1 statement with $1 in plans of auto_explain, which")
