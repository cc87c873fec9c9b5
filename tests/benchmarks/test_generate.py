"""Generated queries: over keys, declared and detected joins, with rows, the same per seed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from project_folder import Project

from pilotcli.benchmarks.generated import Choice, Made, generate_queries, write_file, write_folder
from pilotcli.common.errors import UsageError
from pilotcli.config import PostgreSQLConfig
from pilotcli.databases.opening import open_target
from pilotcli.databases.protocols import Target
from pilotcli.workload import open_workload

_numbers = count()
CHOICE = Choice((1, 3), 25, 1, (), True, 10.0)

KEYED = """
CREATE TABLE customers (
    id integer PRIMARY KEY, country text, joined date, "odd ""Name" boolean, place point);
CREATE TABLE orders (
    customer_id integer REFERENCES customers, number integer, total numeric, kind text,
    PRIMARY KEY (customer_id, number));
CREATE TABLE lines (
    customer_id integer, number integer, article text, amount integer,
    FOREIGN KEY (customer_id, number) REFERENCES orders);
INSERT INTO customers
    SELECT n, 'country''s ' || n % 7, DATE '2020-01-01' + n, n % 2 = 0, '(1,2)'
    FROM generate_series(1, 150) n;
INSERT INTO orders
    SELECT c, n, c * 1.5 + n, (ARRAY['web', 'shop', NULL])[1 + (c + n) % 3]
    FROM generate_series(1, 140) c, generate_series(1, 3) n;
INSERT INTO lines
    SELECT c, n, 'article ' || (c * n) % 11, (c + n) % 17
    FROM generate_series(1, 140) c, generate_series(1, 3) n WHERE c % 3 > 0;
"""

UNKEYED = """
CREATE TABLE people (id integer, person text, born integer);
CREATE TABLE games (id integer, person text, runs integer, team text);
CREATE TABLE teams (id integer, code text, born integer);
INSERT INTO people SELECT n, 'p' || n, 1900 + n % 50 FROM generate_series(1, 120) n;
INSERT INTO games
    SELECT n, 'p' || n % 100 + 1, n % 9, 't' || n % 10 FROM generate_series(1, 400) n;
INSERT INTO teams SELECT n, 't' || n, n FROM generate_series(0, 9) n;
"""


@pytest.fixture
def database(server_home: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Target]:
    """A database of its own, filled by the SQL that the test names."""
    script = tmp_path / "setup.sql"
    script.write_text(request.param)
    config = PostgreSQLConfig(home=server_home, db=f"generated_{next(_numbers)}")
    config.setup = (script,)
    target = open_target(config)
    yield target
    target.close()


def made(target: Target, choice: Choice = CHOICE) -> tuple[Made, list[str]]:
    lines: list[str] = []
    return generate_queries(target, choice, lines.append), lines


def conditions(sql: str) -> set[str]:
    """The join conditions of a query, with tables instead of aliases."""
    tables = dict(re.findall(r"public\.(\w+) AS (t\d+)", sql))
    tables = {alias: table for table, alias in re.findall(r"public\.(\w+) AS (t\d+)", sql)}
    found = re.findall(r"(t\d+)\.(\w+) = (t\d+)\.(\w+)", sql)
    return {" = ".join(sorted((f"{tables[a]}.{x}", f"{tables[b]}.{y}"))) for a, x, b, y in found}


@pytest.mark.parametrize("database", [KEYED], indirect=True)
def test_each_query_joins_along_keys_and_returns_rows(database: Target) -> None:
    queries = made(database)[0].queries
    assert len({query.sql for query in queries}) == 25
    joins = set()
    session = database.session()
    for query in queries:
        assert 1 <= query.sql.count(" AS t") - 1 <= 3
        joins |= conditions(query.sql)
        source = query.sql.partition("FROM ")[2].partition("\nGROUP")[0].partition("\nORDER")[0]
        assert session.execute(f"SELECT count(*) FROM {source}").rows[0][0] > 0, query.sql
        assert session.execute(query.sql).rows
    session.close()
    assert joins == {
        "customers.id = orders.customer_id",
        "lines.customer_id = orders.customer_id",
        "lines.number = orders.number",
    }
    text = "\n".join(query.sql for query in queries)
    for part in ("SELECT count(*)\n", "min(", "GROUP BY", "ORDER BY", "LIMIT", "'country''s "):
        assert part in text
    for column in re.findall(r"\.(\w+) (?:[<>]=|=) '", text):
        assert column not in ("id", "customer_id", "number"), "a predicate on a key"


@pytest.mark.parametrize("database", [KEYED], indirect=True)
def test_the_seed_decides_the_queries(database: Target) -> None:
    first, again = made(database)[0], made(database)[0]
    other = made(database, Choice((1, 3), 25, 2, (), True, 10.0))[0]
    assert first == again
    assert first.queries != other.queries


@pytest.mark.parametrize("database", [UNKEYED], indirect=True)
def test_joins_are_detected_by_name_type_and_values(database: Target) -> None:
    result, lines = made(database)
    (line,) = [line for line in lines if line.startswith("detected")]
    assert "public.games.person = public.people.person" in line
    assert {one for query in result.queries for one in conditions(query.sql)} == {
        "games.person = people.person"
    }
    with pytest.raises(UsageError, match="no query with rows was found"):
        made(database, Choice((1, 3), 25, 1, (), False, 10.0))


@pytest.mark.parametrize("database", [UNKEYED], indirect=True)
def test_declared_joins_are_taken(database: Target) -> None:
    declared = ("games.TEAM = teams.code",)
    result, lines = made(database, Choice((1, 2), 10, 1, declared, False, 10.0))
    assert not [line for line in lines if line.startswith("detected")]
    assert {one for query in result.queries for one in conditions(query.sql)} == {
        "games.team = teams.code"
    }
    assert result.joins == ("public.games.team = public.teams.code (--join)",)
    for wrong, message in (
        ("games.team", "is no join"),
        ("games.teem = teams.code", "games.teem, which is no column"),
    ):
        with pytest.raises(UsageError, match=message):
            made(database, Choice((1, 2), 10, 1, (wrong,), False, 10.0))


@pytest.mark.parametrize("database", [UNKEYED], indirect=True)
def test_slow_queries_are_left_out_and_said_to_be(database: Target) -> None:
    crossing = ("games.runs = games.runs", "games.team = games.team")
    lines: list[str] = []
    choice = Choice((4, 4), 3, 1, crossing, False, 0.05)
    try:
        generate_queries(database, choice, lines.append)
    except UsageError as error:
        lines.append(error.message)
    assert any("too slow" in line for line in lines)


@pytest.mark.parametrize("database", [KEYED], indirect=True)
def test_the_files_have_both_parts(database: Target, tmp_path: Path) -> None:
    result = made(database)[0]
    assert write_folder(tmp_path / "out", result, CHOICE) == (20, 5)
    assert len(list((tmp_path / "out" / "train").iterdir())) == 20
    readme = (tmp_path / "out" / "README.md").read_text()
    assert CHOICE.command in readme
    assert "`public.orders.customer_id = public.customers.id (foreign keys)`" in readme
    assert write_file(tmp_path / "all.sql", result, CHOICE) == (20, 5)
    labels = [query.label for query in open_workload([tmp_path / "all.sql"])]
    assert [label.partition("-")[0] for label in labels] == ["train"] * 20 + ["test"] * 5
    from_folder = {path.stem for path in (tmp_path / "out" / "test").iterdir()}
    assert {label.removeprefix("test-") for label in labels[20:]} == from_folder


def test_the_command_reads_the_config_and_its_queries_run(project: Project) -> None:
    project.write("schema.sql", KEYED)
    home = project.folder / "home"
    (project.folder / "pilot.yaml").write_text("database: {name: shop, setup: schema.sql}\n")
    done = project.command("workloads", "generate", "--queries", "10", "--joins", "1..2")
    assert done.returncode == 0, done.stderr
    assert "wrote generated: 8 queries for training, 2 for test (seed 1)" in done.stdout
    assert not home.exists()
    again = project.command("workloads", "generate")
    assert again.returncode == 2
    assert "generated exists already" in again.stderr
    ran = project.command("run", "generated/test")
    assert "2 ok" in ran.stdout + ran.stderr


@pytest.mark.parametrize("text", ["6..2", "two", "-1", "1.."])
def test_a_wrong_range_is_refused(text: str, project: Project) -> None:
    done = project.command("workloads", "generate", f"--joins={text}")
    assert done.returncode == 2
    assert "is no range" in done.stderr
