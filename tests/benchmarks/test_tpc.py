"""TPC-H and TPC-DS: a folder that runs as it is, and gives the rows that DuckDB gives."""

from __future__ import annotations

import random
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pilot_starter import run_pilot
from server_folder import server_folder

from pilotcli.benchmarks import duck, tpch
from pilotcli.config import PostgreSQLConfig, load_config
from pilotcli.databases.opening import open_target
from pilotcli.databases.protocols import Target
from pilotcli.workload import open_workload

pytest.importorskip("duckdb", reason="needs duckdb and its extensions")
pytestmark = pytest.mark.slow

SCALE = 0.01
QUERIES = {"tpch": 66, "tpcds": 99}
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
        variants = ("--variants", "3") if name == "tpch" else ()
        pilot(folder, "workloads", "get", name, "--scale", str(SCALE), "--seed", "5", *variants)
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
        domains = tpch.read_domains(connection, SCALE)
        texts = list(enumerate(duck.queries(connection, "tpch"), 1))
    counts = (len(domains.nations), len(domains.colors), len(domains.types), len(domains.modes))
    assert counts == (25, 92, 150, 7)
    assert (len(domains.containers), len(domains.brands), len(domains.segments)) == (40, 25, 5)
    for number, sql in texts:
        drawn = {
            tpch.with_parameters(number, sql, domains, random.Random(seed)) for seed in range(60)
        }
        assert len(drawn) >= (4 if number == 18 else 5 if number == 3 else 10), number
        assert sql not in drawn or number not in (11, 18)
    assert "0.0100000000" in tpch.validation(11, texts[10][1], SCALE)


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
