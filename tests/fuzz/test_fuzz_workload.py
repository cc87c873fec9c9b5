"""Whatever the files of a workload hold: queries, or a `WorkloadError` with the file and line."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import itertools
import lzma
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fuzzing import cases, damaged, odd_texts
from hypothesis import assume, given
from hypothesis import strategies as st

from pilotcli.common.errors import WorkloadError
from pilotcli.common.records import Query
from pilotcli.workload import is_one_statement, iter_statements, leading_keyword, open_workload

_CORPUS = [
    path.read_bytes()
    for path in sorted((Path(__file__).parents[1] / "workload" / "psql" / "corpus").glob("*.sql"))
]
_TOKENS = [
    *(b"'", b'"', b"$$", b"$a$", b"/*", b"*/", b"--", b"\n", b"\r\n", b"\r", b";", b"\\;", b"E'"),
    *(b"U&'", b"b'", b"\\", b"\\g\n", b"\\gx ", b"\\if ", b"\\elif 1\n", b"\\else\n", b"\\endif\n"),
    *(b"\\set v '", b"\\unset v\n", b":v", b":'v'", b':"v"', b":{?v}", b"\\i missing.sql\n"),
    *(b"\\i .\n", b"\\ir w.sql\n", b"\\i /dev/null\n", b"\\getenv v HOME\n", b"\\encoding x\n"),
    *(b"-- expect: 1\n", b"\\dt\n", b"\\copy t from stdin\n", b"\\set v random(1, 2)\n", b"\x1a"),
    *(b"copy t from stdin;\n", b"\\.\n", b"\\q\n", b"\\r\n", b"\\restrict x\n", b"\0", b"\xff"),
    *(b"create function f() ", b"begin ", b" end", b"begin atomic ", b"(", b")", b"-- name: x\n"),
    *(
        b"q1#####",
        b"set standard_conforming_strings = off;",
        b"PGDMP",
        b"\xef\xbb\xbf",
        b"\xff\xfe",
    ),
]
_TABLES = [
    b'sql,label\nSELECT 1,a\n"SELECT 1, 2",b\n',
    b'label;sql\n"a""b","SELECT \'x\nb\'"\n\n,\n',
    b'{"sql": "SELECT 1", "label": "q1"}\n{"sql": "SELECT \\u0031", "name": 3}\n\n',
    b"q1#####SELECT 1\nq2#####SELECT 2;\n",
    b"7||SELECT 1;\n0||SELECT 2;\n",
    b"SELECT 1;||0\nSELECT 2;||0||7\n",
    b'[{"sql": "SELECT 1"},\n "SELECT 2", {"query": "SELECT 3", "expect": 1}]\n',
    b'{\n"sql": "SELECT 1"\n}\n{"query": "SELECT 2"}\n',
    b"expect;query\n1;SELECT 1\n;SELECT 2\n",
]
_TABLE_TOKENS = [
    *(b",", b'"', b'""', b"\n", b"\r", b"\r\n", b"sql", b"\xff", b"\0", b"\xef\xbb\xbf", b";"),
    *(b"{", b"}", b"[", b"null", b"\\ud800", b"\\u0000", b"1e999", b"NaN", b'{"sql":', b"#####"),
    *(b"||", b"]", b"\x1a", b"\t", b"|", b"`a`", b"= ?", b"{{", b":x"),
    *(b"[" * 3000, b"9" * 5000, b'{"a":' * 3000, b"SELECT 1; SELECT 2"),
]
_NAMES = [
    "w.sql",
    "w.csv",
    "w.jsonl",
    "w.txt",
    "w",
    "w.sql.gz",
    "w.csv.gz",
    "w.jsonl.gz",
    "w.json",
    "w.tsv",
]


def _reads_or_is_refused(path: Path | list[Path], **options: object) -> list[Query] | None:
    paths = [path] if isinstance(path, Path) else path
    try:
        with open_workload(paths, **options) as workload:  # type: ignore[arg-type]
            queries = list(workload)
            assert workload.count() == len(queries)
    except WorkloadError as error:
        assert error.message
        assert error.line is None or error.line >= 1
        if error.line is not None:
            assert error.message.startswith(f"{error.file}:{error.line}: ")
        return None
    assert [query.seq for query in queries] == list(range(1, len(queries) + 1))
    for query in queries:
        assert query.sql.strip(" \t\n\r\f\v")  # what is space to the server
        assert query.label
        assert query.line is not None and query.line >= 1
        query.sql.encode()
    return queries


@cases(600)
@given(damaged(_CORPUS, _TOKENS), st.sampled_from([1, 2, 5, 64, 1 << 18]))
def test_a_damaged_script_reads_the_same_in_pieces_of_any_size(data: bytes, size: int) -> None:
    assume(b"\0" not in data)  # refused as soon as it is met: by whom, depends on the pieces

    def read(chunk_bytes: int) -> object:
        stream = io.BytesIO(data)
        try:
            return list(iter_statements(stream, variables={"v": "1"}, chunk_bytes=chunk_bytes))
        except WorkloadError as error:
            return error.message

    assert read(size) == read(1 << 18)


@cases(400)
@given(damaged(_CORPUS, _TOKENS), st.sampled_from(_NAMES))
def test_a_damaged_script_reads_or_is_refused(tmp_path: Path, data: bytes, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(gzip.compress(data, 1) if name.endswith(".gz") else data)
    _reads_or_is_refused(path)
    path.unlink()


@cases(500)
@given(damaged(_TABLES, _TABLE_TOKENS), st.sampled_from(_NAMES))
def test_a_damaged_table_reads_or_is_refused(tmp_path: Path, data: bytes, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(gzip.compress(data, 1) if name.endswith(".gz") else data)
    _reads_or_is_refused(path)
    path.unlink()


def _zipped(data: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("w.csv", data)
    return made.getvalue()


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress, bz2.compress, _zipped])
@cases(150)
@given(data=st.data())
def test_a_damaged_archive_reads_or_is_refused(
    tmp_path: Path, pack: Callable[[bytes], bytes], data: st.DataObject
) -> None:
    packed = [pack(one) for one in (*_CORPUS[:3], *_TABLES, b"")]
    numbers = [b"\0", b"\xff\xff\xff\xff", b"\1", *(one[:4] for one in packed[:1])]
    made = data.draw(damaged(packed, numbers) | st.binary(max_size=80))
    if data.draw(st.booleans()):
        made = packed[0][:4] + made[4:]
    path = tmp_path / data.draw(st.sampled_from(["w.sql", "w.csv", "w.jsonl", "w"]))
    path.write_bytes(made)
    _reads_or_is_refused(path)
    with contextlib.suppress(WorkloadError), open_workload(["-"], stdin=io.BytesIO(made)) as piped:
        list(piped)
    path.unlink()


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress, bz2.compress, _zipped])
def test_an_archive_that_is_cut_anywhere_is_refused(
    tmp_path: Path, pack: Callable[[bytes], bytes]
) -> None:
    packed = pack(b"sql\n" + b"".join(b"SELECT %d\n" % n for n in range(300)))
    path = tmp_path / "w.csv"
    for end in range(1, len(packed), 1 if len(packed) < 700 else 3):
        path.write_bytes(packed[:end])
        assert _reads_or_is_refused(path) is None


@cases(300)
@given(damaged(_CORPUS, _TOKENS))
def test_standard_input_reads_as_a_file_does(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "w.sql"
    path.write_bytes(data)
    try:
        with open_workload(["-"], stdin=io.BytesIO(data)) as workload:
            piped = [one.sql for one in workload]
    except WorkloadError as error:
        piped = [error.message.replace("<stdin>", str(path))]
    assume(b"\\i" not in data)
    try:
        with open_workload([path]) as workload:
            read = [one.sql for one in workload]
    except WorkloadError as error:
        read = [error.message]
    if read != ["the file is empty"] and not (read and "file is empty" in read[0]):
        assert read == piped


@cases(300)
@given(odd_texts | st.text(alphabet="*?[]{}!/~.-#\\ ab\0\n", max_size=12))
def test_any_path_is_found_or_refused(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    assume(not name.startswith("/") and ".." not in name and "~" not in name)
    folder = tmp_path_factory.getbasetemp()
    _reads_or_is_refused([folder / "nothing" / name] if "\0" not in name else [Path(name)])


@cases(200)
@given(
    st.lists(
        st.tuples(
            st.text(alphabet="ab019é-. ", min_size=1, max_size=6).filter(
                lambda one: one.strip(".")
            ),
            st.sampled_from([".sql", ".csv", ".txt", ".jsonl", ".sql.gz", ""]),
            st.sampled_from([b"", b"SELECT 1", b"sql\nSELECT 1\n", b"\xff", b"SELECT '"]),
        ),
        max_size=5,
    )
)
def test_any_folder_reads_or_is_refused(
    tmp_path_factory: pytest.TempPathFactory, files: list[tuple[str, str, bytes]]
) -> None:
    folder = tmp_path_factory.mktemp("folder")
    for name, suffix, data in files:
        (folder / (name + suffix)).write_bytes(data)
    queries = _reads_or_is_refused(folder)
    _reads_or_is_refused([folder / "*"])
    if queries is not None:
        assert len({query.label for query in queries}) == len(queries)


def _tokens() -> st.SearchStrategy[str]:
    shown = [one.decode("utf-8", "replace") for one in _TOKENS]
    return st.lists(st.sampled_from(shown) | st.text(max_size=4), max_size=20).map("".join)


@cases(500)
@given(_tokens())
def test_what_is_asked_of_a_single_text_is_answered(sql: str) -> None:
    word = leading_keyword(sql)
    assert word == word.upper()
    is_one_statement(sql)


def _loops(folder: Path) -> Iterator[Path]:
    (folder / "a.sql").write_text("\\i b.sql\nSELECT 1;\n")
    (folder / "b.sql").write_text("\\i a.sql\n")
    yield folder / "a.sql"
    (folder / "twice.sql").write_text("\\ir twice.sql\n\\ir twice.sql\n")
    yield folder / "twice.sql"
    (folder / "grow.sql").write_text("\\set v :v:v\n" * 60 + "SELECT :'v';\n")
    yield folder / "grow.sql"
    (folder / "self.sql").write_text("\\set v ':v'\nSELECT :v;\n")
    yield folder / "self.sql"
    (folder / "expand.sql").write_text(
        "\\set a0 'x'\n"
        + "".join(f"\\set a{n + 1} ':a{n} :a{n}'\n" for n in range(60))
        + "SELECT :a60;\n"
    )
    yield folder / "expand.sql"


def test_scripts_that_grow_without_end_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    from pilotcli.workload.psql.window import Window

    monkeypatch.setattr(Window, "MAX_BYTES", 100_000)
    for path in _loops(tmp_path):
        try:
            list(itertools.islice(open_workload([path]), 100))
        except WorkloadError as error:
            assert error.line is not None
        else:
            assert path.name == "self.sql"
