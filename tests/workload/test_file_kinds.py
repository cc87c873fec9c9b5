"""Kinds of files are told by their first bytes, whatever their names are."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import pickle
import sqlite3
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from pilotcli.common.errors import WorkloadError
from pilotcli.workload import open_workload

SQL = b"SELECT 1;\nCOPY t FROM STDIN;\n1\t2\n\\.\nSELECT 2;\n"


def zipped(data: bytes, *names: str) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names or ("w.sql",):
            archive.writestr(name, data)
    return made.getvalue()


def tarred(data: bytes, name: str) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        member = tarfile.TarInfo(name)
        member.size = len(data)
        archive.addfile(member, io.BytesIO(data))
    return made.getvalue()


def failure(path: Path | str, **options: object) -> WorkloadError:
    with pytest.raises(WorkloadError) as caught, open_workload([path], **options) as workload:
        list(workload)
    assert caught.value.hint
    return caught.value


@pytest.mark.parametrize("pack", [bytes, gzip.compress, lzma.compress, bz2.compress, zipped])
@pytest.mark.parametrize("name", ["w.sql", "W.SQL", "w.sql.gz", "w", "w.SQL.ZIP"])
def test_compressed_files_are_read_whatever_their_name_is(
    tmp_path: Path, pack: Callable[[bytes], bytes], name: str
) -> None:
    (tmp_path / name).write_bytes(pack(SQL))
    with open_workload([tmp_path / name]) as workload:
        for _ in range(2):
            queries = list(workload)
            assert [query.sql for query in queries] == ["SELECT 1", "COPY t FROM STDIN", "SELECT 2"]
        copy = queries[1].copy
        assert copy is not None
        assert copy.path.read_bytes()[copy.offset : copy.offset + copy.size_bytes] == b"1\t2\n"


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress, bz2.compress])
def test_standard_input_may_be_compressed(pack: Callable[[bytes], bytes]) -> None:
    with open_workload(["-"], stdin=io.BytesIO(pack(SQL))) as workload:
        assert len(list(workload)) == len(list(workload)) == 3
    assert "damaged" in failure("-", stdin=io.BytesIO(pack(SQL)[:-5])).message


def test_what_is_in_a_zip_tells_the_format(tmp_path: Path) -> None:
    (tmp_path / "w.zip").write_bytes(zipped(b"label,sql\na,SELECT 1\n", "w.CSV"))
    (query,) = open_workload([tmp_path / "w.zip"])
    assert (query.label, query.sql) == ("a", "SELECT 1")
    (tmp_path / "w.zip").write_bytes(zipped(SQL, "a.sql", "b.sql"))
    problem = failure(tmp_path / "w.zip")
    assert "holds 2 files" in problem.message
    assert "unzip" in str(problem.hint)
    assert "funzip" in str(failure("-", stdin=io.BytesIO(zipped(SQL))).hint)


def test_a_folder_has_files_of_any_case(tmp_path: Path) -> None:
    (tmp_path / "2A.SQL").write_bytes(b"SELECT 2;")
    (tmp_path / "1a.sql.XZ").write_bytes(lzma.compress(b"SELECT 1;"))
    (tmp_path / "10a.Sql.bz2").write_bytes(bz2.compress(b"SELECT 3;"))
    assert [query.label for query in open_workload([tmp_path])] == ["1a", "2A", "10a"]


def test_zstd_is_read_or_refused_with_the_command(tmp_path: Path) -> None:
    packed = b"\x28\xb5\x2f\xfd\x20\x09\x49\0\0SELECT 1;"
    (tmp_path / "w.sql.zst").write_bytes(packed)
    if sys.version_info >= (3, 14):
        assert [query.sql for query in open_workload([tmp_path / "w.sql.zst"])] == ["SELECT 1"]
    else:
        assert "zstd -d" in str(failure(tmp_path / "w.sql.zst").hint)


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress, bz2.compress, zipped])
def test_a_damaged_file_is_named(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    packed = pack(SQL * 100)
    for data in (packed[:-12], packed[:40] + b"\0" * 8 + packed[48:]):
        (tmp_path / "w.sql").write_bytes(data)
        problem = failure(tmp_path / "w.sql")
        assert "damaged" in problem.message
        assert " -t" in str(problem.hint)


@pytest.mark.parametrize("name", [b"\0", b"\xff"])
def test_a_zip_with_a_name_that_is_none(tmp_path: Path, name: bytes) -> None:
    packed = zipped(SQL, "w")
    at = packed.rindex(b"w")
    packed = packed[:at] + name + packed[at + 1 :]
    if name == b"\xff":
        flags = packed.rindex(b"PK\1\2") + 9
        packed = packed[:flags] + b"\x08" + packed[flags + 1 :]  # the name is in UTF-8
    (tmp_path / "w.zip").write_bytes(packed)
    assert "damaged" in failure(tmp_path / "w.zip").message


@pytest.mark.parametrize(
    ("data", "said", "advice"),
    [
        (b"PGDMP\x01\x0e", "an archive of pg_dump", "pg_restore -f"),
        (tarred(b"x", "toc.dat"), "an archive of pg_dump (tar)", "pg_restore -f"),
        (tarred(SQL, "w.sql"), "a tar archive", "tar -xf"),
        ("SELECT 1;".encode("utf-16"), "UTF-16LE", "iconv -f UTF-16LE"),
        ("SELECT 1;".encode("utf-16-le"), "UTF-16LE", "iconv"),
        ("SELECT 1;".encode("utf-16-be"), "UTF-16BE", "iconv"),
        ("SELECT 1;".encode("utf-32"), "UTF-32LE", "iconv"),
        ("SELECT 1;".encode("utf-32-be"), "UTF-32BE", "iconv"),
        *((pickle.dumps({"sql": "SELECT 1"}, n), "a pickle", "pickle.load") for n in (0, 2, 3, 4)),
        (pickle.dumps([1], 5), "a pickle", "you trust"),
        (b"PAR1\x15\x04", "Parquet", "a column or key sql"),
        (b"ARROW1\0\0", "Arrow", "sql"),
        (b"PGCOPY\n\xff\r\n\0", "binary COPY", "COPY"),
        (b"7z\xbc\xaf\x27\x1c", "7z", "7z x"),
        (b"\x04\x22\x4d\x18", "lz4", "lz4 -d"),
        (zipped(b"<x/>", "[Content_Types].xml", "xl/a.xml"), "Office", "CSV"),
        (b"%PDF-1.4", "PDF", "queries"),
        (b"{{ config(a=1) }}\nSELECT 1", "template", "Render"),
        (b"<!DOCTYPE html><html>", "HTML", "fetch"),
    ],
)
@pytest.mark.parametrize("name", ["w.sql", "w.csv", "w.jsonl", "w.unknown"])
def test_other_kinds_are_refused_by_their_name(
    tmp_path: Path, name: str, data: bytes, said: str, advice: str
) -> None:
    file = tmp_path / name
    file.write_bytes(data)
    problem = failure(file)
    assert problem.message.startswith(f"{file}: this is ")
    assert said in problem.message
    assert advice in str(problem.hint)


def test_what_is_inside_of_a_compressed_file_is_refused_too(tmp_path: Path) -> None:
    file = tmp_path / "w.sql.gz"
    file.write_bytes(gzip.compress(b"PGDMP\x01\x0e"))
    assert "an archive of pg_dump" in failure(file).message
    file.write_bytes(gzip.compress(gzip.compress(SQL)))
    assert "a gzip file inside a compressed file" in failure(file).message
    packed = io.BytesIO(gzip.compress(tarred(SQL, "w.sql")))
    assert "a tar archive" in failure("-", stdin=packed).message


def test_a_database_of_sqlite_is_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "w.db") as database:
        database.execute("CREATE TABLE t (a)")
    database.close()
    assert "SQLite" in failure(tmp_path / "w.db").message


def test_folders_that_are_no_sql(tmp_path: Path) -> None:
    (tmp_path / "1a.pkl").write_bytes(pickle.dumps({"sql": "SELECT 1"}))
    assert "1a.pkl: this is a pickle" in failure(tmp_path).message
    (tmp_path / "toc.dat").write_bytes(b"PGDMP")
    problem = failure(tmp_path)
    assert "an archive of pg_dump" in problem.message
    assert f"pg_restore -f workload.sql {tmp_path}" in str(problem.hint)


def test_what_zstd_writes(tmp_path: Path) -> None:
    try:
        packed = subprocess.run(["zstd", "-c"], input=SQL, capture_output=True, check=True).stdout
    except FileNotFoundError:
        pytest.skip("there is no program zstd")
    (tmp_path / "w.sql").write_bytes(packed)
    if sys.version_info >= (3, 14):
        assert len(list(open_workload([tmp_path / "w.sql"]))) == 3
    else:
        assert "compressed by zstd" in failure(tmp_path / "w.sql").message
