"""TPC-H and TPC-DS: a folder that runs as it is, and gives the rows that DuckDB gives."""

from __future__ import annotations

import math
import os
import random
import re
import signal
import subprocess
import threading
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pilot_starter import PILOT, run_pilot
from server_folder import server_folder

from pilotcli.benchmarks import duck, tpcds_draws, tpch, tpch_draws
from pilotcli.benchmarks.catalog import write_benchmark
from pilotcli.benchmarks.request import Request
from pilotcli.benchmarks.tpcds_parameters import parameters
from pilotcli.common.errors import UsageError
from pilotcli.config import PostgreSQLConfig, load_config
from pilotcli.databases.opening import open_target
from pilotcli.databases.protocols import Target
from pilotcli.workload import open_workload

pytest.importorskip("duckdb", reason="needs duckdb and its extensions")
pytestmark = pytest.mark.slow

SCALE = 0.01
VARIANTS = {"tpch": 3, "tpcds": 2}
QUERIES = {"tpch": 66, "tpcds": 198}
KEYS = {"tpch": (8, 8), "tpcds": (24, 107)}
"""How many primary and foreign keys."""


def pilot(folder: Path, *arguments: str) -> str:
    done = run_pilot(*arguments, cwd=folder, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module", params=["tpch", "tpcds"])
def benchmark(request: pytest.FixtureRequest) -> Iterator[Path]:
    """The benchmark's folder, after a run."""
    name = request.param
    with server_folder() as folder:
        options = ("--scale", str(SCALE), "--seed", "5", "--variants", str(VARIANTS[name]))
        pilot(folder, "workloads", "get", name, *options)
        assert f"queries   {QUERIES[name]} ok" in pilot(folder / name, "run")
        yield folder / name


def comparable(rows: list[Any]) -> list[tuple[Any, ...]]:
    """Numbers as DuckDB and PostgreSQL both have them: ten digits."""
    return [
        tuple(
            f"{float(value):.9e}" if isinstance(value, (int, float, Decimal)) else value
            for value in row
        )
        for row in rows
    ]


def test_each_query_gives_the_rows_of_duckdb(benchmark: Path, tmp_path: Path) -> None:
    config = PostgreSQLConfig.from_run_config(load_config(benchmark / "pilot.yaml"), embedded=True)
    target = open_target(config)
    session = target.session()
    different, empty = [], 0
    with duck.generator(benchmark.name, SCALE, tmp_path) as connection:
        for path in sorted(benchmark.glob("queries/*/*.sql")):
            expected = comparable(connection.execute(path.read_text()).fetchall())
            found = comparable(session.execute(path.read_text()).rows)
            if found != expected:
                different.append(path.stem)
            empty += not expected
    primary, foreign = session.execute(
        "SELECT count(*) FILTER (WHERE contype = 'p'), count(*) FILTER (WHERE contype = 'f')"
        " FROM pg_constraint WHERE connamespace = 'public'::regnamespace"
    ).rows[0]
    session.close()
    target.close()
    assert different == []
    assert empty < QUERIES[benchmark.name] / 2
    assert (primary, foreign) == KEYS[benchmark.name]


def test_the_sets_of_a_query_differ(benchmark: Path) -> None:
    texts = {path.stem: path.read_text() for path in benchmark.glob("queries/*/*.sql")}
    assert len(texts) == len(set(texts.values())) == QUERIES[benchmark.name]


def test_the_same_command_makes_the_same_folder(benchmark: Path, tmp_path: Path) -> None:
    readme = (benchmark / "README.md").read_text()
    command = readme.partition("Made by: `pilot ")[2].partition("`")[0]
    pilot(tmp_path, *command.split(), "--into", "again")
    paths = {
        path.relative_to(benchmark)
        for path in benchmark.rglob("*")
        if path.is_file() and ".pilot" not in path.parts
    }
    assert len(paths) > QUERIES[benchmark.name]
    for path in paths:
        assert (benchmark / path).read_bytes() == (tmp_path / "again" / path).read_bytes(), path


def test_parameters_are_within_the_domains_of_the_standard(tmp_path: Path) -> None:
    with duck.generator("tpch", SCALE, tmp_path) as connection:
        domains = tpch_draws.read_domains(connection, SCALE)
        texts = list(enumerate(duck.queries(connection, "tpch"), 1))
    counts = (len(domains.nations), len(domains.colors), len(domains.types), len(domains.modes))
    assert counts == (25, 92, 150, 7)
    assert (len(domains.containers), len(domains.brands), len(domains.segments)) == (40, 25, 5)
    for number, sql in texts:
        drawn = {
            tpch_draws.with_parameters(number, sql, domains, random.Random(seed))
            for seed in range(60)
        }
        assert len(drawn) >= (4 if number == 18 else 5 if number == 3 else 10), number
        assert sql not in drawn or number not in (11, 18)
    assert "0.0100000000" in tpch_draws.validation(11, texts[10][1], SCALE)


@pytest.fixture(scope="module")
def tpcds_texts(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], dict[str, Any]]:
    """The texts of TPC-DS, and the domains of its parameters."""
    with duck.generator("tpcds", SCALE, tmp_path_factory.mktemp("tpcds")) as connection:
        return duck.queries(connection, "tpcds"), tpcds_draws.read_domains(connection)


def test_all_constants_of_tpcds_are_in_the_texts(
    tpcds_texts: tuple[list[str], dict[str, Any]],
) -> None:
    texts, domains = tpcds_texts
    assert sorted(parameters()) == list(range(1, len(texts) + 1))
    assert [name for name, values in domains.items() if not len(values)] == []
    few = {}
    for number, sql in enumerate(texts, 1):
        drawn = {
            tpcds_draws.with_parameters(number, sql, domains, random.Random(seed))
            for seed in range(60)
        }
        if len(drawn) < 10:
            few[number] = len(drawn)
    assert few == {2: 4, 14: 3, 17: 5, 31: 5, 36: 5, 43: 5, 44: 5, 47: 3, 57: 3, 78: 5, 93: 1}


def test_a_text_that_pilot_does_not_know_is_an_error(
    tpcds_texts: tuple[list[str], dict[str, Any]],
) -> None:
    texts, domains = tpcds_texts
    text = texts[0].replace("d_year = 2000", "d_year = 1999")
    with pytest.raises(UsageError, match=r"query 1 of .*: '2000' is missing"):
        tpcds_draws.with_parameters(1, text, domains, random.Random(1))


def test_parameters_of_tpcds_are_within_the_domains_of_the_standard(
    tpcds_texts: tuple[list[str], dict[str, Any]],
) -> None:
    texts, domains = tpcds_texts
    for seed in range(60):
        chance = random.Random(seed)
        draw = [
            tpcds_draws.with_parameters(number, sql, domains, chance)
            for number, sql in enumerate(texts, 1)
        ]
        first, last = map(date.fromisoformat, re.findall(r"cast\('(.{10})' AS date", draw[11]))
        assert date(1998, 1, 1) <= first <= date(2002, 7, 1)
        assert last - first == timedelta(30)
        categories = re.findall(r"'(\w+)'", draw[11])[:3]
        assert len(set(categories)) == 3
        states = re.findall(r"'([A-Z]{2})'", draw[47])
        assert len(set(states)) == 9
        years = {int(year) for year in re.findall(r"dyear = (\d+)", draw[3])}
        assert len(years) == 1
        assert years <= {1998, 1999, 2000, 2001}
        assert 1176 <= int(re.findall(r"BETWEEN (\d+) AND \1 \+ 11", draw[21])[0]) <= 1224


@pytest.mark.parametrize(
    ("scale", "why"),
    [
        (0.005, r"as small as --scale 0\.005"),
        (-1.0, "as small as --scale -1"),
        (1e9, r"is about 1e\+09 GB of data, and the disk"),
        (1e300, "and the disk"),
        (math.inf, "--scale inf is no number"),
        (math.nan, "--scale nan is no number"),
    ],
)
def test_a_scale_that_cannot_be_made_is_refused(scale: float, why: str, tmp_path: Path) -> None:
    for name in ("tpch", "tpcds"):
        with pytest.raises(UsageError, match=why):
            write_benchmark(tmp_path / "new", Request(name, scale, 1, 1, print))
    assert list(tmp_path.iterdir()) == []


def test_scales_of_tpch_that_have_no_keys_are_refused(tmp_path: Path) -> None:
    twice = "SELECT 1 FROM partsupp GROUP BY ps_partkey, ps_suppkey HAVING count(*) > 1 LIMIT 1"
    for thousandths in range(10, 25):
        scale = thousandths / 1000
        with duck.generator("tpch", scale, tmp_path) as connection:
            has_keys = not connection.execute(twice).fetchall()
        assert (tpch.scale_with_keys(scale) == scale) == has_keys, scale
    assert tpch.scale_with_keys(0.0125) == 0.013
    with pytest.raises(UsageError, match=r"no keys at --scale 0\.0125"):
        write_benchmark(tmp_path / "new", Request("tpch", 0.0125, 1, 1, print))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_nothing_of_a_folder(number: signal.Signals, tmp_path: Path) -> None:
    with subprocess.Popen(
        [PILOT, "workloads", "get", "tpch", "--scale", "1"], cwd=tmp_path, stderr=subprocess.PIPE
    ) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == b"making about 1.00 GB of data\n"
        process.send_signal(number)
        rest = process.stderr.read()
    assert (process.returncode, rest) == (130, b"")
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_does_not_wait_for_all_rows(tmp_path: Path) -> None:
    with duck.generator("tpch", 0.01, tmp_path) as connection:
        timer = threading.Timer(0.5, lambda: os.kill(os.getpid(), signal.SIGINT))
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            duck._run(connection, "CALL dbgen(sf = 2, suffix = '_more')")
        timer.join()
        made = connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()
    assert ("lineitem",) in made
    assert ("lineitem_more",) not in made


def test_rows_with_special_characters_are_read_as_they_are(target: Target, tmp_path: Path) -> None:
    texts = ["a\\b", "\\N", "tab\there", "two\nlines", "c\rr", "", "q\"uo'te", "\\.", None]
    table = duck.Table("odd_texts", (("n", "integer"), ("t", "text")), "n")
    with duck.connection() as connection:
        connection.execute("CREATE TABLE odd_texts (n INTEGER, t VARCHAR)")
        connection.executemany("INSERT INTO odd_texts VALUES (?, ?)", list(enumerate(texts)))
        duck.write_schema(connection, [table], tmp_path, "Odd texts")
    session = target.session()
    session.execute("BEGIN")
    for query in open_workload([tmp_path / "schema.sql"]):
        session.execute(query.sql, query.copy)
    found = session.execute("SELECT t FROM odd_texts ORDER BY n").rows
    session.rollback()
    session.close()
    assert [text for (text,) in found] == texts
