"""Benchmarks that others publish: small folders in their forms become folders that run."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import pickle
import re
import shutil
import subprocess
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from pilot_starter import run_pilot
from project_folder import PILOT
from server_folder import server_folder

from pilotcli.benchmarks.catalog import write_benchmark
from pilotcli.benchmarks.published.archives import tree_checksum
from pilotcli.benchmarks.published.names import PUBLISHED, Origin
from pilotcli.benchmarks.published.origins import Opener
from pilotcli.benchmarks.request import Request
from pilotcli.common.errors import UsageError
from pilotcli.databases.embedded.binaries import find_binaries

NAMES = [benchmark.name for benchmark in PUBLISHED]


def get(name: str, place: Path, *sources: Path | str, **changes: Any) -> list[str]:
    """Writes the benchmark to `place`; returns the lines that the user sees meanwhile."""
    lines: list[str] = []
    values = {"scale": None, "seed": 1, "variants": 1, "report": lines.append} | changes
    write_benchmark(place, Request(name, sources=tuple(map(str, sources)), **values))
    return lines


def files(folder: Path, texts: dict[str, str | bytes]) -> Path:
    for name, text in texts.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
    return folder


def run(folder: Path) -> str:
    """What `pilot run` says in the folder, which must fill a server and get the right answers."""
    done = run_pilot("run", "--set", "run.timeout=1min", cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def space() -> Iterator[Path]:
    """A folder in which an embedded server can be filled."""
    with server_folder() as folder:
        yield folder


STATS = {
    "datasets/stats/stats.sql": "-- Users\nCREATE TABLE users (\nId SERIAL PRIMARY KEY,\n"
    "Reputation INTEGER ,\nCreationDate TIMESTAMP);\n"
    "CREATE TABLE postLinks (\n\tId SERIAL PRIMARY KEY, -- a, comment\n\tPostId NUMERIC(9, 2));\n",
    "datasets/stats/users.csv": "Id,Reputation,CreationDate\n1,5,2010-07-19 06:55:26\n-1,,\n",
    "datasets/stats/postLinks.csv": "PostId,Id\r\n7,1\r\n8,2\r\n8,3",
    "scripts/stats_load.sql": "\\copy users from 'users.csv' with CSV header;\n",
    "scripts/stats_index.sql": "create index idx_u on users using btree(reputation);\n"
    "create index idx_other on comments(userid);\nanalyze users;\n",
    "scripts/again.sql": "CREATE INDEX idx_u ON users (reputation);\n",
    "workloads/stats_CEB.sql": "2||SELECT COUNT(*) FROM users as u;\n"
    "2||SELECT COUNT(*) FROM postLinks pl WHERE pl.PostId = 8;\n"
    "1||SELECT COUNT(*) FROM users u WHERE u.Reputation IS NULL;\n",
    "workloads/sub_plan_queries/stats_CEB_sub_queries.sql": "SELECT COUNT(*) FROM users;||0||2\n",
}


def test_stats_ceb_runs_and_its_counts_are_expected(space: Path) -> None:
    get("stats-ceb", space / "stats", files(space / "from", STATS))
    assert "3 ok" in run(space / "stats")
    schema = (space / "stats" / "schema.sql").read_text()
    assert schema.count("idx_u") == 1
    assert "idx_other" not in schema
    (query,) = (space / "stats" / "queries" / "test").iterdir()
    query.write_text(query.read_text().replace("-- expect: ", "-- expect: 9"))
    assert run_pilot("run", cwd=space / "stats").returncode == 1


IMDB = {
    "schema.sql": "CREATE TABLE title (id integer NOT NULL PRIMARY KEY, title text NOT NULL,"
    " note varchar(20));\nCREATE TABLE movie_link (id integer, movie_id integer);",
    "fkindexes.sql": "create index movie_id_movie_link on movie_link(movie_id);",
    "1a.sql": "-- expect: 1\nSELECT count(*) FROM title WHERE title = 'The \"A, B\"|C';",
    "1b.sql": "-- expect: 1\nSELECT count(*) FROM title WHERE title = E'two\\nlines';",
    "10c.sql": "-- expect: 1\nSELECT count(*) FROM title t, movie_link m WHERE t.id = m.movie_id"
    " AND note IS NULL;",
}
ROWS = '1,"The \\"A, B\\"|C",\n2,"two\nlines","x"\n'


def test_job_from_a_repository_and_an_archive_of_rows(space: Path) -> None:
    queries = files(space / "queries", IMDB)
    rows = {"title.csv.gz": gzip.compress(ROWS.encode()), "movie_link.csv": "1,1\n2,7\n"}
    shutil.make_archive(str(space / "imdb"), "gztar", files(space / "imdb", dict(rows)))
    lines = get("job", space / "job", queries, space / "imdb.tar.gz")
    assert lines == [
        "unpacking imdb.tar.gz",
        "writing the rows of 2 tables",
        "job has 113 queries, and 3 were found",
    ]
    assert "3 ok" in run(space / "job")
    names = ["imdb", "imdb.tar.gz", "job", "queries"]
    assert sorted(path.name for path in space.iterdir()) == names
    assert "movie_id_movie_link" in (space / "job" / "schema.sql").read_text()


@pytest.mark.parametrize(
    ("rows", "options"),
    [
        (ROWS, "(FORMAT csv, ESCAPE '\\', FREEZE)"),
        (ROWS.replace("\\", '"'), "(FORMAT csv, FREEZE)"),
        ('1,"a","b"\n', "(FORMAT csv, ESCAPE '\\', FREEZE)"),
        ("id,note,TITLE\n1,,a\n", "(FORMAT csv, ESCAPE '\\', FREEZE)"),
        ('"id"|"note"|"TITLE"\n1||a, b\n', "(FORMAT csv, DELIMITER '|', ESCAPE '\\', FREEZE)"),
        ("1;a;b\n", "(FORMAT csv, DELIMITER ';', ESCAPE '\\', FREEZE)"),
        ('"","",""\n', "(FORMAT csv, ESCAPE '\\', FORCE_NULL (id), FREEZE)"),
        ("1,a,b\r\n2,c,\r\n", "(FORMAT csv, ESCAPE '\\', FREEZE)"),
        ("\ufeff1,a,b\n", "(FORMAT csv, ESCAPE '\\', FREEZE)"),
    ],
)
def test_the_form_of_rows_is_told_by_the_rows(tmp_path: Path, rows: str, options: str) -> None:
    texts = IMDB | {"title.csv": rows, "movie_link.csv": "1,1\n"}
    get("job", tmp_path / "job", files(tmp_path / "from", dict(texts)))
    script = (tmp_path / "job" / "data" / "title.sql").read_bytes().decode()
    copy, _, data = script.partition("\n")
    names = " (id, note, title)" if rows.lower().strip('"').startswith("id") else ""
    assert copy == f"COPY title{names} FROM STDIN {options};"
    rows = rows.removeprefix("\ufeff")
    end = "\\.\r\n" if "\r" in rows else "\\.\n"
    assert data == (rows.partition("\n")[2] if names else rows) + end


def test_ssb_has_a_schema_of_pilots_own_and_tables_in_parts(space: Path) -> None:
    date = "19920101|January 1, 1992|Thursday|January|1992|199201|Jan1992|5|1|1|1|1|Winter|0|0|1|1|"
    order = "1|{}|7|8|9|19920101|5-LOW|0|17|21168|173665|4|20321|7471|2|19920212|TRUCK|"
    person = '|a "name|j5JsirB\\|CÔTE  9|COTE|AFRICA|25-989-741-2988|'
    texts: dict[str, str | bytes] = {
        "customer.tbl": f"7{person}BUILDING|\n".encode("latin-1"),
        "supplier.tbl": f"9{person}\n",
        "part.tbl": "8|lace|MFGR#1|MFGR#11|MFGR#1121|gold|PROMO|7|JUMBO|\n",
        "date.tbl": f"{date}\n",
        "lineorder.tbl.1": order.format(1) + "\n",
        "lineorder.tbl.2": order.format(2),
        "q1.1.sql": "-- expect: 2\nselect count(*) from lineorder, date where lo_orderdate ="
        " d_datekey;",
        "q4.3.sql": "-- expect: 1\nselect count(*) from customer, supplier where c_city = s_city"
        " and c_address = 'j5JsirB\\';",
    }
    get("ssb", space / "ssb", files(space / "from", texts))
    assert "2 ok" in run(space / "ssb")


def test_a_dump_is_restored(space: Path) -> None:
    program = find_binaries().folder / "pg_dump"
    if not program.exists():
        pytest.skip(f"there is no {program}")
    texts = {
        "schema.sql": "CREATE TABLE site (id int PRIMARY KEY, name text);\nCREATE ROLE somebody;\n"
        "ALTER TABLE site OWNER TO somebody; GRANT SELECT ON site TO PUBLIC;\n"
        "INSERT INTO site VALUES (1, 'GRANT x;'), (2, 'b');",
        "pilot.yaml": "database: {name: stack, setup: schema.sql}",
        "so_queries/q1/q1-001.sql": "-- expect: 2\nSELECT count(*) FROM site;",
        "so_queries/q1/q1-002.sql": "-- expect: 1\nSELECT count(*) FROM site WHERE name ~ 'GRANT';",
    }
    files(space, dict(texts))
    formats = ("plain", "custom", "directory", "tar")
    run_here = partial(subprocess.run, cwd=space, check=True, capture_output=True, text=True)
    url = run_here([PILOT, "db", "start"]).stdout.strip().splitlines()[-1]
    try:
        for format in formats:
            run_here([str(program), "-C", "-f", f"so_{format}", "-F", format, "-d", url])
        run_here([str(program), "-a", "-f", "so_rows", "-t", "site", "-d", url])
    finally:
        run_here([PILOT, "db", "stop"])
    for format in formats:
        get("stack", space / format, space / f"so_{format}", space / "so_queries")
        script = (space / format / "data" / "dump.sql").read_text()
        assert " TO somebody" not in script
        assert not re.search(
            r"^(?:CREATE DATABASE|\\connect|SET transaction_timeout)", script, re.M
        )
        assert "COPY public.site (id, name) FROM stdin;\n1\tGRANT x;\n2\tb\n\\.\n" in script
    assert "2 ok" in run(space / "plain")
    tables = "CREATE TABLE site (id int PRIMARY KEY, name text);\nCREATE TABLE question (id int);"
    files(space / "tables", {"schema.sql": tables, "keys.sql": "CREATE INDEX ON site (name);"})
    get("stack", space / "parts", space / "tables", space / "so_rows", space / "so_queries")
    assert "2 ok" in run(space / "parts")
    assert "CREATE INDEX ON site" in (space / "parts" / "schema.sql").read_text()


def test_without_rows_the_queries_are_for_a_server_that_has_them(tmp_path: Path) -> None:
    lines = get("job", tmp_path / "job", files(tmp_path / "from", IMDB))
    assert lines[-1] == "no rows were found: pilot.yaml needs a server that has them, in DSN"
    assert "dsn: ${DSN}" in (tmp_path / "job" / "pilot.yaml").read_text()
    assert not (tmp_path / "job" / "schema.sql").exists()
    readme = (tmp_path / "job" / "README.md").read_text()
    assert "schema.sql" not in readme
    assert "export DSN=" in readme


@pytest.mark.parametrize("name", NAMES)
def test_each_is_listed_with_where_it_is_published(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"{name} is made from files that others") as caught:
        get(name, tmp_path / name)
    published = next(benchmark for benchmark in PUBLISHED if benchmark.name == name)
    assert published.queries.search(f"some/folder/{published.example}")
    for origin in published.origins:
        assert origin.address in (caught.value.hint or "")
    assert list(tmp_path.iterdir()) == []


REFUSED = {
    "pickles": ("ceb", {"1a/1.pkl": pickle.dumps({"sql": "SELECT 1"})}, "no queries of ceb",
                "There is 1 pickle|There are 1 pickle"),
    "templates": ("dsb", {"agg/query013.tpl": "define YEAR;", "tests/x.sql": "SELECT 1;"},
                  "no queries of dsb", "generator"),
    "nothing": ("ssb", {"README.md": "empty"}, "no queries of ssb", r"q1\.1\.sql"),
    "some rows": ("job", IMDB | {"title.csv": "1,a,\n"}, "no rows for 1 table: movie_link",
                  "another --from"),
    "no rows in a file": ("job", IMDB | {"title.csv": "1,a,\n", "movie_link.csv": ""},
                          "movie_link.csv has no rows", "again"),
    "a broken query": ("job", {"1a.sql": "SELECT 'a"}, "quote", ""),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_missing_is_said_and_nothing_is_written(case: str, tmp_path: Path) -> None:
    name, texts, message, hint = REFUSED[case]
    (tmp_path / "here").mkdir()
    with pytest.raises(UsageError, match=message) as caught:
        get(name, tmp_path / "here" / "x", files(tmp_path / "from", dict(texts)))
    assert caught.match(message)
    if hint:
        assert any(part in (caught.value.hint or "").replace("\\", "") for part in
                   [part.replace("\\", "") for part in hint.split("|")])  # fmt: skip
    assert list((tmp_path / "here").iterdir()) == []


def test_options_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="tpch is not made from files"):
        get("tpch", tmp_path / "x", tmp_path, scale=0.1)
    (tmp_path / "imdb.tgz").write_bytes(b"\x1f\x8b\x08")
    with pytest.raises(UsageError, match=r"no such folder or file") as caught:
        get("job", tmp_path / "x", tmp_path / "imbd.tgz")
    assert "imdb.tgz" in (caught.value.hint or "")


def test_rows_are_those_of_the_folder_with_most_tables(tmp_path: Path) -> None:
    stray = {"code/title.csv": "9,stray,\n", "title.csv.bak": "8,old,\n"}
    queries = files(tmp_path / "from", IMDB | stray)
    rows = files(tmp_path / "rows", {"title.csv": "1,a,\n", "movie_link.csv": "1,1\n"})
    get("job", tmp_path / "job", queries, rows)
    assert "1,a,\n" in (tmp_path / "job" / "data" / "title.sql").read_text()


def test_what_is_named_must_have_something_of_it(tmp_path: Path) -> None:
    queries = files(tmp_path / "from", IMDB)
    (queries / "paper.docx").write_bytes(b"PK\x03\x04" + bytes(100))
    (queries / "logo.odg").write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")
    page = tmp_path / "imdb.tgz"
    page.write_text("<html>404</html>")
    with pytest.raises(UsageError, match=rf"there is nothing of job in {page}"):
        get("job", tmp_path / "job", queries, page)
    with zipfile.ZipFile(tmp_path / "outer.zip", "w") as packed:
        packed.writestr("data/inner.tgz", gzip.compress(b"x"))
    with pytest.raises(UsageError, match="nothing of job") as caught:
        get("job", tmp_path / "job", queries, tmp_path / "outer.zip")
    assert "name what is in it: data/inner.tgz" in (caught.value.hint or "")
    shutil.make_archive(str(tmp_path / "some"), "zip", files(tmp_path / "bad", {"1a.sql": "'"}))
    with pytest.raises(UsageError, match=rf"^{tmp_path}/some.zip/1a.sql:1: "):
        get("job", tmp_path / "job", tmp_path / "some.zip")
    for size in (2, 10, 18):
        page.write_bytes(gzip.compress(b"x" * 10_000)[:size])
        with pytest.raises(UsageError, match=r"cannot be unpacked|nothing of job"):
            get("job", tmp_path / "job", queries, page)
    assert not (tmp_path / "job").exists()


def test_an_archive_writes_nowhere_else(tmp_path: Path) -> None:
    names = ["../../evil.sql", "/evil.sql", "a/../../../evil.sql", "..\\evil.sql", "good/1a.sql"]
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as packed:
        for name in names:
            packed.writestr(name, "SELECT 1;")
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = 9
            tar.addfile(member, io.BytesIO(b"SELECT 1;"))
        link = tarfile.TarInfo("good/2a.sql")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    into = tmp_path / "all" / "the" / "way" / "down"  # so that "../.." stays in the test's folder
    for suffix in ("zip", "tar"):
        get("job", into / suffix, tmp_path / f"x.{suffix}")
        queries = [path.name for path in (into / suffix).rglob("*.sql")]
        assert queries == ["q1.sql"]
    assert not list(tmp_path.rglob("evil*"))
    assert not Path("/evil.sql").exists()
    packed = gzip.compress((tmp_path / "x.tar").read_bytes())
    for place in range(12, len(packed), 11):  # cut off, or with a changed byte
        changed = bytearray(packed)
        changed[place] ^= 255
        for data in (packed[:place], changed):
            (tmp_path / "cut.tar.gz").write_bytes(data)
            with pytest.raises(UsageError, match=r"cut\.tar\.gz"):
                get("job", tmp_path / "cut", tmp_path / "cut.tar.gz")


class Served(SimpleHTTPRequestHandler):
    """Serves a folder, and keeps what was asked for."""

    asked: list[str]

    def parse_request(self) -> bool:
        found = super().parse_request()
        self.asked.append(f"{self.command} {self.path}")
        return found

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str, list[str]]]:
    """A folder, the address under which it is served, and the requests that came."""
    (tmp_path / "served").mkdir()
    asked: list[str] = []
    handler = type("Handler", (Served,), {"asked": asked})
    server = ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(handler, directory=str(tmp_path / "served"))
    )
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield tmp_path / "served", f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    thread.join()
    server.server_close()


def test_nothing_is_downloaded_before_the_user_agrees(
    served: tuple[Path, str, list[str]], tmp_path: Path
) -> None:
    folder, address, asked = served
    with zipfile.ZipFile(folder / "job.zip", "w") as packed:
        packed.writestr("x/1a.sql", "SELECT 1;")
    digest = hashlib.sha256((folder / "job.zip").read_bytes()).hexdigest()
    source = f"{address}/job.zip?token=secret"
    lines: list[str] = []
    with pytest.raises(UsageError, match="nothing was downloaded"):
        get("job", tmp_path / "job", source, report=lines.append)
    size = (folder / "job.zip").stat().st_size
    assert lines == [
        f"address:  {address}/job.zip?...",
        f"size:     {size} B",
        "checksum: unknown",
    ]
    assert asked == ["HEAD /job.zip?token=secret"]
    lines = get("job", tmp_path / "job", source, agreed=lambda question: True)
    assert f"sha256:   {digest}" in lines
    assert "secret" not in (tmp_path / "job" / "README.md").read_text()
    get("job", tmp_path / "b", f"{source}#sha256={digest}", agreed=lambda question: True)
    with pytest.raises(UsageError, match=f"its sha256 is {digest}"):
        get("job", tmp_path / "c", f"{source}#sha256={'0' * 64}", agreed=lambda question: True)
    with pytest.raises(UsageError, match="cannot be downloaded: File not found"):
        get("job", tmp_path / "c", f"{address}/none", agreed=lambda question: True)
    for wrong in ("md5=abc", "sha256=abc"):
        with pytest.raises(UsageError, match=f"#{wrong} is no checksum"):
            get("job", tmp_path / "c", f"{source}#{wrong}", agreed=lambda question: True)
    with pytest.raises(UsageError, match="with a user or a password"):
        get("job", tmp_path / "c", "http://ann:secret@127.0.0.1/job.zip")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b", "job", "served"]


def test_what_git_knows_is_compared(served: tuple[Path, str, list[str]], tmp_path: Path) -> None:
    if shutil.which("git") is None:
        pytest.skip("there is no git")
    folder, address, _ = served
    texts = {"1a.sql": "SELECT 1;", "a/x.sql": "SELECT 2;", "a-b": "", "a.b/c/d": "e"}
    repository = files(tmp_path / "repository", dict(texts))
    (repository / "link").symlink_to("a/x.sql")
    (repository / "1a.sql").chmod(0o755)
    settings = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}

    def git(*words: str) -> bytes:
        command = ["git", "-c", "user.name=a", "-c", "user.email=a@b", *words]
        return subprocess.run(
            command, cwd=repository, capture_output=True, check=True, env=os.environ | settings
        ).stdout

    git("init", "-q")
    git("add", ".")
    git("commit", "-q", "-m", "x")
    tree = git("rev-parse", "HEAD^{tree}").decode().strip()
    (folder / "x.tar.gz").write_bytes(git("archive", "--format=tar.gz", "--prefix=x-1/", "HEAD"))
    name = f"{address}/x.tar.gz"
    for expected, fits in ((tree, True), (tree[::-1], False)):
        lines: list[str] = []
        opener = Opener([Origin("", name, expected)], lambda question: True, lines.append)
        if fits:
            with opener.open([name], tmp_path) as (opened,):
                assert [inside for _, inside in opened.files] == [
                    f"x-1/{path}" for path in ("1a.sql", "a-b", "a.b/c/d", "a/x.sql")
                ]
        else:
            with (
                pytest.raises(UsageError, match="git's checksum is not"),
                opener.open([name], tmp_path),
            ):
                raise AssertionError
        assert f"checksum: git tree {expected}" in lines
    assert tree_checksum({}) == "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
