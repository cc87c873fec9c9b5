"""What a user may name as a workload, and what comes of it."""

from __future__ import annotations

import gzip
import io
import json
import os
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilotcli.common.errors import WorkloadError
from pilotcli.common.records import QueryFacts
from pilotcli.workload import leading_keyword, open_workload
from pilotcli.workload.paths import natural_key

NEW_CSV = sys.version_info >= (3, 11)
SHARED = Path(__file__).parents[2].parent / "shared" / "pilotscope"


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text, encoding="utf-8")
    return folder


def labels(*paths: Path | str, **options: object) -> list[str]:
    with open_workload(paths, **options) as workload:
        return [query.label for query in workload]


def failure(*paths: Path | str, **options: object) -> WorkloadError:
    with pytest.raises(WorkloadError) as caught, open_workload(paths, **options) as workload:
        list(workload)
    assert caught.value.hint
    return caught.value


def test_queries_carry_number_place_command_and_label(tmp_path: Path) -> None:
    file = tmp_path / "w.sql"
    file.write_text("-- c\n/* x */\n  select 1;\n\n-- name: q17\n(WITH a AS (SELECT 1) TABLE a);\n")
    first, second = open_workload([file])
    assert (first.seq, first.label, first.line, first.command) == (1, "q1", 3, "SELECT")
    assert (second.seq, second.label, second.line, second.command) == (2, "q17", 6, "WITH")
    assert first.file == str(file)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("-- name: a\n-- name: b\nSELECT 1;", "b"),
        ("-- name: a\n/* c */\nSELECT 1;", "a"),
        ("/* c */\n  --name:  two words \r\nSELECT 1;", "two words"),
        ("SELECT 0; -- name: behind\nSELECT 1;", "q2"),
        ("-- Name: t; Type: TABLE\nSELECT 1;", "q1"),
        ("SELECT\n-- name: inside\n1;", "q1"),
        ("\\if off\n-- name: skipped\n\\endif\nSELECT 1;", "q1"),
    ],
)
@pytest.mark.parametrize("chunk_bytes", [1, 1 << 18])
def test_a_comment_line_names_the_statement_below(
    tmp_path: Path, text: str, expected: str, chunk_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "pilotcli.workload.reader.ScriptReader.__init__.__defaults__", (chunk_bytes,)
    )
    file = tmp_path / "w.sql"
    file.write_bytes(text.encode())
    assert labels(file)[-1] == expected


def test_a_folder_is_read_in_natural_order_and_single_queries_take_the_files_name(
    tmp_path: Path,
) -> None:
    write(tmp_path, **{f"{name}__sql": "SELECT 1;" for name in ("10a", "2a", "1b", "1a")})
    write(tmp_path, **{"3__sql": "SELECT 1; SELECT 2;", "notes__txt": "no query", ".h__sql": "x"})
    assert labels(tmp_path) == ["1a", "1b", "2a", "3/1", "3/2", "10a"]
    assert labels(str(tmp_path / "1?.sql")) == ["1a", "1b"]
    assert labels(str(tmp_path / "**" / "10*.sql")) == ["10a"]
    assert labels(tmp_path / "10a.sql", tmp_path / "2a.sql") == ["10a", "2a"]
    assert open_workload([tmp_path]).description == f"5 files in {tmp_path}/"


def test_files_of_the_same_name_carry_their_folders(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        write(tmp_path / folder, **{"1__sql": "SELECT 1;"})
    assert labels(str(tmp_path / "*" / "*.sql")) == ["a/1", "b/1"]


def test_natural_order_is_total() -> None:
    names = ["a10", "a2", "A2", "a02", "", "1", "10", "9", "a"]
    assert len({natural_key(name) for name in names}) == len(names)
    assert sorted(names, key=natural_key)[:4] == ["", "1", "9", "10"]


def test_an_iteration_begins_anew(tmp_path: Path) -> None:
    file = tmp_path / "w.sql"
    file.write_text("\\if :{?seen}\nSELECT 'again';\n\\endif\n\\set seen 1\nSELECT 1;\n")
    workload = open_workload([file])
    assert list(workload) == list(workload)
    assert workload.count() == 1


def test_variables_hold_from_file_to_file(tmp_path: Path) -> None:
    write(tmp_path, **{"1__sql": "\\set n 5\nSELECT :given;", "2__sql": "SELECT :n;"})
    workload = open_workload([tmp_path], variables={"given": "7"})
    assert [query.sql for query in workload] == ["SELECT 7", "SELECT 5"]


def test_included_files_keep_their_own_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    write(tmp_path, main__sql="SELECT 1;\n\\i sub/in.sql\nSELECT 4;", x__sql="SELECT 'x';")
    write(
        tmp_path / "sub",
        in__sql="\n\\ir deep.sql\n\\i x.sql\nSELECT 3",
        deep__sql="SELECT 2",
    )
    found = [
        (query.label, query.sql, query.file, query.line) for query in open_workload(["main.sql"])
    ]
    assert found == [
        ("q1", "SELECT 1", "main.sql", 1),
        ("q2", "SELECT 2", "sub/deep.sql", 1),
        ("q3", "SELECT 'x'", "x.sql", 1),
        ("q4", "SELECT 3", "sub/in.sql", 4),
        ("q5", "SELECT 4", "main.sql", 3),
    ]


def test_a_file_that_includes_itself_is_stopped(tmp_path: Path) -> None:
    write(tmp_path, w__sql="SELECT 1;\n\\ir w.sql\n")
    problem = failure(tmp_path / "w.sql")
    assert problem.line == 2
    assert "include each other" in problem.message


COPY = "SELECT 0;\nCOPY t FROM STDIN;\n1\tü\n2\t;\n\\.\nCOPY t FROM STDIN;\n\\.\nSELECT 1;\n"


@pytest.mark.parametrize("kind", ["plain", "gzip", "stdin"])
def test_copy_data_stays_in_a_file(tmp_path: Path, kind: str) -> None:
    file = tmp_path / ("w.sql.gz" if kind == "gzip" else "w.sql")
    file.write_bytes(gzip.compress(COPY.encode()) if kind == "gzip" else COPY.encode())
    with open_workload(
        ["-" if kind == "stdin" else file], stdin=io.BytesIO(COPY.encode())
    ) as workload:
        for _ in range(2):
            queries = list(workload)
            assert [query.command for query in queries] == ["SELECT", "COPY", "COPY", "SELECT"]
            data = [query.copy for query in queries if query.copy]
            assert [
                copy.path.read_bytes()[copy.offset : copy.offset + copy.size_bytes] for copy in data
            ] == ["1\tü\n2\t;\n".encode(), b""]
            assert all(copy.temporary == (kind != "plain") for copy in data)
    assert data[0].path.exists() == (kind == "plain")


def test_a_file_name_that_is_no_utf8_is_a_label_that_is(tmp_path: Path) -> None:
    for name in (b"a.sql", b"caf\xe9.sql", b"\xe8/a.sql"):
        path = tmp_path / os.fsdecode(name)
        path.parent.mkdir(exist_ok=True)
        path.write_text("SELECT 1")
    labels = {query.label for query in open_workload([tmp_path / "**/*.sql"])}
    assert labels == {"a", "caf\\udce9", "\\udce8/a"}


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_csv_and_jsonl(tmp_path: Path, ending: str) -> None:
    rows = 'id,Label,SQL\n1,first,"SELECT 1,\n2;"\n\n2,,SELECT E\'\\\\\' AS ":x"\n3,empty,\n'
    lines = '\ufeff{"sql": "SELECT 1;", "name": "one"}\n\n{"sql": "SELECT 2", "extra": 1}\n'
    for name, text in (("w.csv", rows), ("w.jsonl", lines)):
        data = text.encode()
        (tmp_path / (name + ending)).write_bytes(gzip.compress(data) if ending else data)
    first, second = open_workload([tmp_path / f"w.csv{ending}"])
    assert (first.label, first.sql, first.line) == ("first", "SELECT 1,\n2", 2)
    assert (second.label, second.sql, second.line) == ("q2", "SELECT E'\\\\' AS \":x\"", 5)
    first, second = open_workload([tmp_path / f"w.jsonl{ending}"])
    assert (first.label, first.sql, first.line) == ("one", "SELECT 1", 1)
    assert (second.label, second.sql, second.line) == ("q2", "SELECT 2", 3)


@pytest.mark.parametrize("name", ["w.sql", "w.txt", "w", "-"])
@pytest.mark.parametrize(
    ("suffix", "text"),
    [
        ("csv", "label,sql\na,SELECT 1\n,SELECT 2\n"),
        ("csv", "label;query\na;SELECT 1\n;SELECT 2\n"),
        ("tsv", "Name\tQuery\na\tSELECT 1\n\tSELECT 2\n"),
        ("csv", '\ufeff"id"|"sql"|"label"\r\n1|SELECT 1|a\r\n2|"SELECT 2"|\r\n'),
        ("ndjson", '{"query": "SELECT 1", "label": "a"}\n{"query": "SELECT 2"}\n'),
        ("json", '[{"sql": "SELECT 1", "label": "a"}, "SELECT 2"]'),
        ("json", '\n[\n  {"sql": "SELECT 1",\n "name": "a"},\n {"query": "SELECT 2"}\n]\n'),
        ("json", '{\n "sql": "SELECT 1",\n "name": "a"\n}\n{\n "sql": "SELECT 2"\n}\n'),
    ],
)
def test_tables_are_told_by_their_suffix_or_their_beginning(
    tmp_path: Path, name: str, suffix: str, text: str
) -> None:
    if name != "-":
        name = str(tmp_path / name)
        Path(name).write_bytes(text.encode())
    with_suffix = tmp_path / f"W.{suffix.upper()}"
    with_suffix.write_bytes(text.encode())
    for path in (name, with_suffix):
        with open_workload([path], stdin=io.BytesIO(text.encode())) as workload:
            found = [(query.label, query.sql) for query in workload]
            assert found == [("a", "SELECT 1"), ("q2", "SELECT 2")]


def test_a_comment_or_a_single_word_is_no_table(tmp_path: Path) -> None:
    for text in ("SELECT sql, label\nFROM t", "-- sql\nSELECT 1", "TABLE query", "SELECT sql\n;"):
        (tmp_path / "w.sql").write_text(text)
        assert [query.command for query in open_workload([tmp_path / "w.sql"])] in (
            ["SELECT"],
            ["TABLE"],
        )


def test_lines_of_an_array_of_json(tmp_path: Path) -> None:
    rows = [{"sql": f"SELECT {n}, '{'x' * 100}'"} for n in range(3000)]
    (tmp_path / "w.json").write_text(json.dumps(rows, indent=1))
    queries = list(open_workload([tmp_path / "w.json"]))
    assert [query.sql for query in queries] == [row["sql"] for row in rows]
    assert [query.line for query in queries] == [2 + 3 * n for n in range(3000)]


def test_json_that_holds_the_queries_deeper_is_refused_with_a_command(tmp_path: Path) -> None:
    write(tmp_path, a__json='{"queries": ["SELECT 1"]}', b__json='{\n"q1": "SELECT 1"\n}')
    assert """jq -c '.["queries"][]'""" in str(failure(tmp_path / "a.json").hint)
    assert "to_entries" in str(failure(tmp_path / "b.json").hint)


@pytest.mark.parametrize(
    ("name", "text", "lines"),
    [
        ("w.csv", "id,sql\n1\n2,SELECT 1\n3,SELECT 2; SELECT 3\n4\n", (2, 4, 5)),
        ("w.jsonl", '{"sql": "SELECT 1"}\n{"a": 1}\nx\n{"sql": "SELECT 1"}\n[1]\n', (2, 3, 5)),
        ("w.json", '[\n{"a": 1},\n{"sql": "SELECT 1"},\n{"b": 1},\n[]\n]\n', (2, 4, 5)),
    ],
)
def test_all_refused_rows_of_a_table_are_reported_at_once(
    tmp_path: Path, name: str, text: str, lines: tuple[int, ...]
) -> None:
    file = tmp_path / name
    file.write_text(text)
    problem = failure(file)
    places = [line for line in problem.message.split("\n") if line.startswith(f"{file}:")]
    assert [int(place.split(":")[1]) for place in places] == list(lines)
    assert problem.line == lines[0]
    assert "3 places" in str(problem.hint)
    file.write_text(text.split("\n")[0] + "\nx" * 1000)
    message = failure(file).message
    if name != "w.json":
        assert message.count("stopped reading") == 1
        assert len([line for line in message.split("\n") if line.startswith(f"{file}:")]) == 20


def test_facts_beside_a_query(tmp_path: Path) -> None:
    rows = "expect,sql,at_s,session\n7,SELECT 1,0.5,a\n,SELECT 2,,\n"
    lines = '{"sql": "SELECT 1", "expect": 7, "at_s": 0.5, "session": "a"}\n{"sql": "SELECT 2"}\n'
    for name, text in (("w.csv", rows), ("w.jsonl", lines)):
        (tmp_path / name).write_text(text)
        first, second = open_workload([tmp_path / name])
        assert first.facts == QueryFacts(expect="7", session="a", at_s=0.5)
        assert second.facts == QueryFacts()


def test_a_csv_field_may_be_long(tmp_path: Path) -> None:
    long = "SELECT '" + "x" * 1_000_000 + "'"
    (tmp_path / "w.csv").write_text(f'sql\n"{long}"\n')
    assert next(iter(open_workload([tmp_path / "w.csv"]))).sql == long


def test_pilotscopes_format(tmp_path: Path) -> None:
    (tmp_path / "w.txt").write_text("\n1a#####SELECT '#####';\n\n2b#####SELECT ':x' , :y\n")
    first, second = open_workload([tmp_path / "w.txt"])
    assert (first.label, first.sql, first.line) == ("1a", "SELECT '#####'", 2)
    assert (second.label, second.sql, second.line) == ("2b", "SELECT ':x' , :y", 4)
    (tmp_path / "w.txt").write_text("1a#####SELECT 1\nSELECT 2;\n")
    assert failure(tmp_path / "w.txt").line == 2


def test_the_lines_of_stats_ceb(tmp_path: Path) -> None:
    (tmp_path / "w.sql").write_text("79851||SELECT COUNT(*) FROM a;\r\n\n0||SELECT 'x||1';\r\n")
    first, second = open_workload([tmp_path / "w.sql"])
    assert (first.label, first.sql, first.facts.expect) == ("q1", "SELECT COUNT(*) FROM a", "79851")
    assert (second.sql, second.facts.expect, second.line) == ("SELECT 'x||1'", "0", 3)
    (tmp_path / "w.sql").write_text("1||SELECT 1;\nSELECT 2;\n2||SELECT 2; SELECT 3;\n")
    problem = failure(tmp_path / "w.sql")
    assert problem.line == 2
    assert "`count||query`" in problem.message
    assert ":3: the query is 2 statements" in problem.message


def test_sub_plan_queries_are_named_after_their_query(tmp_path: Path) -> None:
    (tmp_path / "w.sql").write_text(
        "SELECT COUNT(*) FROM a;||0\nSELECT 'b||c';||0||40325\nSELECT 1;||1||7\n"
    )
    found = [(query.label, query.sql, query.facts.expect) for query in open_workload([tmp_path])]
    assert found == [
        ("0/1", "SELECT COUNT(*) FROM a", None),
        ("0/2", "SELECT 'b||c'", "40325"),
        ("1/1", "SELECT 1", "7"),
    ]


def test_sql_with_bars_is_no_format_of_lines(tmp_path: Path) -> None:
    for text in ("SELECT a ||0\nFROM t", "SELECT 'x'||1", "SELECT 1; -- ||0", "(SELECT 1)||0"):
        (tmp_path / "w.sql").write_text(text)
        assert len(list(open_workload([tmp_path / "w.sql"]))) == 1


@pytest.mark.parametrize("chunk_bytes", [1, 1 << 18])
def test_a_comment_line_says_what_to_expect(
    tmp_path: Path, chunk_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "pilotcli.workload.reader.ScriptReader.__init__.__defaults__", (chunk_bytes,)
    )
    (tmp_path / "w.sql").write_text(
        "-- expect: 1\n-- name: a\nSELECT 1;\nSELECT 2;\n--expect : 3 \n(SELECT $a$\n3$a$);\n"
        "SELECT 4; -- expect: 9\nSELECT 5;\n-- expect: 6\nSELECT :{?x}\\g\nSELECT 7;\n"
    )
    found = [(query.label, query.facts.expect) for query in open_workload([tmp_path / "w.sql"])]
    expected: list[str | None] = ["1", None, "3", None, None, "6", None]
    assert found == [("a" if n == 1 else f"q{n}", fact) for n, fact in enumerate(expected, 1)]


def test_commands_that_only_show_something_are_skipped_with_one_notice(tmp_path: Path) -> None:
    (tmp_path / "w.sql").write_text(
        "\\d\n\\dt+ public.*\nSELECT 1 \\z\n;\n\\l\n\\sv \"it's\n\\df+ 'a\n\\dPt\nSELECT 2;\n"
    )
    notices: list[str] = []
    with open_workload([tmp_path / "w.sql"], notify=notices.append) as workload:
        for _ in range(2):
            assert [query.sql.split() for query in workload] == [["SELECT", "1"], ["SELECT", "2"]]
    (notice,) = notices
    assert notice.startswith(f"{tmp_path}/w.sql:1: \\d only shows")


@pytest.mark.parametrize("name", ["dz", "dq+", "zz", "ls", "ef", "ev", "lo_import", "sfv"])
def test_other_commands_are_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "w.sql").write_text(f"\\{name} x\n")
    assert f"\\{name} cannot be replayed" in failure(tmp_path / "w.sql").message


def test_all_refused_lines_of_a_script_are_reported_at_once(tmp_path: Path) -> None:
    file = tmp_path / "w.sql"
    file.write_text(
        "SELECT 1;\n\\connect db\n\\copy t FROM stdin\n1\t\\N\n\\x\n\\.\nSELECT 'a;\nb' \\gexec\n"
        "\\dt\n\\set a 'x\nSELECT (1 \\g out.txt\nSELECT 2;\n\\sleep 10 ms\n"
    )
    with open_workload([file]) as workload:
        read = iter(workload)
        assert next(read).sql == "SELECT 1"
        with pytest.raises(WorkloadError) as caught:
            next(read)
    problem = caught.value
    places = [line for line in problem.message.split("\n") if line.startswith(f"{file}:")]
    assert [int(place.split(":")[1]) for place in places] == [2, 3, 8, 10, 11, 13]
    assert (problem.line, problem.hint) == (
        2, "6 places are refused: correct each, or remove it."
    )  # fmt: skip
    assert "as soon as the one before it has ended" in problem.message
    file.write_text("\\connect db\nSELECT 'x;\n")
    assert "never closed" in failure(file).message
    assert failure(file).line == 1


def test_pilotscopes_own_files() -> None:
    if not SHARED.is_dir():
        pytest.skip("PilotScope's data sets are not beside the project")
    assert open_workload([SHARED / "stats_train_time2int.txt"]).count() == 1000
    jobs = list(open_workload([SHARED / "job_train_ascii.txt"]))
    assert len(jobs) > 980
    assert {query.command for query in jobs} == {"SELECT"}
    dump = list(open_workload([SHARED / "stats_tiny.sql"]))
    copies = [query.copy for query in dump if query.copy]
    assert len(copies) == 8
    text = (SHARED / "stats_tiny.sql").read_bytes()
    for copy in copies:
        assert text[copy.offset + copy.size_bytes :].startswith(b"\\.\n")


def test_limit_and_count(tmp_path: Path) -> None:
    write(tmp_path, w__sql="SELECT 1; SELECT 2; SELECT 3;")
    file = tmp_path / "w.sql"
    assert open_workload([file], limit=2).count() == 2
    assert len(list(open_workload([file], limit=2))) == 2
    assert open_workload([file]).count(max_bytes=5) is None
    assert open_workload([file]).size_bytes == 29
    known = open_workload(["-"], stdin=io.BytesIO(b"SELECT 1;"))
    assert (known.count(), known.size_bytes) == (None, None)
    assert len(list(known)) == 1
    assert known.count() == 1
    known.close()
    failure(file, limit=0)


@pytest.mark.parametrize(
    ("name", "data", "line", "said"),
    [
        ("w.sql", b"", None, "empty"),
        ("w.sql", b"-- only\n/* comments */;\n", None, "no statement"),
        ("w.sql", b"SELECT 1;\nSELECT 'a\nb;", 2, "quoted string"),
        ("w.sql", b"SELECT 1;\n\n/* /* */", 3, "comment"),
        ("w.sql", b"\nSELECT $a$ $b$;", 2, "dollar quote"),
        ("w.sql", b'SELECT "a', 1, "quoted identifier"),
        ("w.sql", b"SELECT 1;\nSELECT '\xe9';", 2, "not UTF-8"),
        ("w.sql", b"SELECT 1;\nSELECT\n '\xe9', x\\;;", 3, "not UTF-8"),
        ("w.sql", b"SELECT 1;\n\x7fELF\0\0", 2, "zero byte"),
        ("w.sql", b"SELECT 1;\n\\copy t from x\n", 2, "\\copy"),
        ("w.sql", b"SELECT 1 \\gexec\n", 1, "\\gexec"),
        ("w.sql", b"SELECT 1 \\g out.txt\n", 1, "\\g"),
        ("w.sql", b"\n\\connect db\n", 2, "\\connect"),
        ("w.sql", b"\\! ls\n", 1, "\\!"),
        ("w.sql", b"\\nonsense\n", 1, "\\nonsense"),
        ("w.sql", b"\\set a 'x\n", 1, "never closed"),
        ("w.sql", b"\\set a `date`\n", 1, "shell"),
        ("w.sql", b"\\set a-b x\n", 1, "no name"),
        ("w.sql", b"\\set AUTOCOMMIT off\n", 1, "AUTOCOMMIT"),
        ("w.sql", b"SELECT 1;\nSELECT :'DBNAME';\n", 2, "DBNAME"),
        ("w.sql", b"\\if maybe\n\\endif\n", 1, "maybe"),
        ("w.sql", b"\\if 1\nSELECT 1;\n", 1, "\\endif"),
        ("w.sql", b"\\endif\n", 1, "\\if"),
        ("w.sql", b"\\i nowhere.sql\n", 1, "nowhere.sql"),
        ("w.sql", b"\\encoding LATIN1\n", 1, "LATIN1"),
        ("w.sql", b"\\restrict k\nSELECT 1;\n\\set a 1\n", 3, "\\restrict"),
        ("w.sql", b"SELECT 1\\; COPY t FROM STDIN;\n", 1, "joined"),
        ("w.csv", b"id,text\n1,SELECT 1\n", 1, "id, text"),
        ("w.csv", b"id,sql\n1\n", 2, "has 1 field, and the header has 2"),
        ("w.csv", b"sql,label\nSELECT 1\n", 2, "has 1 field, and the header has 2"),
        ("w.csv", b"sql\nSELECT a, b FROM t\n", 2, "has 2 fields, and the header has 1"),
        ("w.tsv", b"id\tsql\n1\tSELECT 1\t\n", 2, "has 3 fields, and the header has 2"),
        ("w.csv", b'id,sql\n1,"SELECT 1\n', 2, "CSV"),
        ("w.csv", b"id,sql\n1,\xff\n", 1, "UTF-8"),
        ("w.csv", b"sql\nSELECT 1; SELECT 2\n", 2, "2 statements"),
        ("w.csv", b"sql\nCOPY t FROM STDIN\n", 2, "no data"),
        ("w.jsonl", b'{"sql": "SELECT 1"}\n{"sql": \n', 2, "JSON"),
        ("w.jsonl", b'{"text": "SELECT 1"}\n', 1, "found: text"),
        ("w.jsonl", b"[1]\n", 1, "found: int"),
        ("w.jsonl", b'["SELECT 1", "SELECT 2"\n', 2, "never closed"),
        ("w.jsonl", b'["SELECT 1" "SELECT 2"]\n', 1, "comma"),
        ("w.jsonl", b'[\n"SELECT 1",\n]\n', 3, "no JSON"),
        ("w.jsonl", b'["SELECT 1"]\n["SELECT 1"]\n', 2, "more text"),
        ("w.jsonl", b"[" * 100_000, 1, "JSON"),
        ("w.jsonl", b'{"sql": "SELECT \'\\ud800\'"}\n', 1, "character"),
        ("w.jsonl", b'{"sql": "SELECT \'\\u0000\'"}\n', 1, "character"),
        ("w.jsonl", b'{"sql": "SELECT 1", "label": "\\ud800"}\n', 1, "label"),
        ("w.jsonl", b'{"sql": "SELECT 1", "at_s": -1}\n', 1, "at_s is a number of seconds"),
        ("w.csv", b"sql,at_s\nSELECT 1,\nSELECT 2,noon\n", 3, "not 'noon'"),
        ("w.jsonl", b'{"sql": "SELECT 1", "name": "a\\u0000"}\n', 1, "label"),
        # Before Python 3.11, the reader of CSV itself refuses it.
        ("w.csv", b"sql,label\nSELECT 1,a\0b\n", 2, "label" if NEW_CSV else "NUL"),
        ("w.jsonl", b"\xff\n", 1, "JSON"),
        ("w.sql.gz", gzip.compress(b"SELECT 1;" * 100, mtime=0)[:-12], None, "cut off"),
    ],
)
def test_bad_input_is_one_clear_message(
    tmp_path: Path, name: str, data: bytes, line: int | None, said: str
) -> None:
    file = tmp_path / name
    file.write_bytes(data)
    problem = failure(file)
    assert said in problem.message
    assert problem.line == line
    assert problem.message.startswith(f"{file}:{line}:" if line else f"{file}:")


def test_paths_that_lead_nowhere(tmp_path: Path) -> None:
    write(tmp_path, forum__sql="SELECT 1;")
    assert f"Did you mean {tmp_path}/forum.sql?" == failure(tmp_path / "forun.sql").hint
    assert "does not exist" in failure(tmp_path / "no" / "file.sql").message
    assert "no file matches" in failure(str(tmp_path / "*.csv")).message
    (tmp_path / "empty").mkdir()
    assert "holds no .sql" in failure(tmp_path / "empty").message
    assert "no workload" in failure().message
    assert "twice" in failure("-", "-").message


def test_a_folder_with_nothing_but_comments(tmp_path: Path) -> None:
    write(tmp_path, a__sql="-- nothing", b__sql="")
    assert "no statement" in failure(tmp_path).message


def test_leading_keyword() -> None:
    assert leading_keyword(" -- c\n/* /* */ */ ((select 1))") == "SELECT"
    assert leading_keyword("/* open") == ""
    assert leading_keyword("") == ""


def test_the_public_names() -> None:
    import pilotcli.workload as package

    assert package.__all__ == sorted(package.__all__)
    assert json.dumps(package.__all__) == json.dumps(
        [
            "Statement",
            "Workload",
            "is_one_statement",
            "iter_statements",
            "leading_keyword",
            "open_workload",
        ]
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "suffix", ["sql", "txt", "csv", "tsv", "jsonl", "json", "sql.gz", "csv.gz"]
)
@settings(max_examples=60)
@given(data=st.data())
def test_no_file_raises_anything_but_a_workload_error(
    tmp_path: Path, suffix: str, data: st.DataObject
) -> None:
    begin = data.draw(
        st.sampled_from(
            [b"", b"sql,label\n", b"1#####", b'{"sql": "', b'[{"sql":\n', b"\xef\xbb\xbf"]
        )
    )
    rest = data.draw(st.one_of(st.binary(max_size=60), st.text(max_size=40).map(_encoded)))
    whole = begin + rest
    file = tmp_path / f"w.{suffix}"
    file.write_bytes(gzip.compress(whole) if data.draw(st.booleans()) else whole)
    try:
        with open_workload([file]) as workload:
            assert len(list(workload)) == workload.count()
    except WorkloadError as problem:
        assert problem.hint


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
