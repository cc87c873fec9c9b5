"""Only the packages that know PostgreSQL name its classes; all others work with protocols."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "pilotcli"
KNOW_POSTGRESQL = ("databases", "steering", "compat")
NEUTRAL = {
    "pilotcli.databases.commands.dumps",
    "pilotcli.databases.commands.server",
    "pilotcli.databases.commands.undo",
    "pilotcli.databases.controller",
    "pilotcli.databases.embedded.admin",
    "pilotcli.databases.opening",
    "pilotcli.databases.protocols",
    "pilotcli.databases.session.watchdog",
    "pilotcli.databases.stat_statements",
    "pilotcli.databases.unused_settings",
}
"""What everybody may import from. `embedded.admin` shows and stops the servers of `pilot db`,
`watchdog` cancels whatever sessions run, `stat_statements` reads a view of a session's server."""
TYPES_ONLY = {"pilotcli.databases.changes.log"}
"""What `views` may know to show it."""
STORE = PACKAGE / "storage" / "store"
"""The store is a PostgreSQL, whichever database is under test."""


def imports(source: str) -> Iterator[tuple[str, str]]:
    """Module and name of every import, wherever it stands."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from ((node.module, alias.name) for alias in node.names)


def offences(path: Path, source: str) -> list[str]:
    found = []
    for module, name in imports(source):
        driver = module.partition(".")[0] == "psycopg2" and STORE not in path.parents
        own = module.startswith("pilotcli.databases") and (
            module not in NEUTRAL | (TYPES_ONLY if path.parent.name == "views" else set())
            or "postgre" in name.lower()
        )
        if driver or own:
            found.append(f"{path}: {module} {name}".rstrip())
    return found


def test_nothing_else_names_a_postgresql_class() -> None:
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        if path == PACKAGE / "__init__.py":  # which only says where the public names are
            continue
        if path.relative_to(PACKAGE).parts[0] not in KNOW_POSTGRESQL:
            found += offences(path, path.read_text())
    assert found == []


@pytest.mark.parametrize(
    "line",
    [
        "import psycopg2.extensions",
        "from psycopg2 import sql",
        "from pilotcli.databases.target import PostgresTarget",
        "from pilotcli.databases.controller import PostgreSQLController",
        "from pilotcli.databases.opening import open_postgres",
        "from pilotcli.databases.changes.log import Change",
    ],
)
def test_an_offence_is_seen(line: str) -> None:
    inside = f"def late():\n    if True:\n        {line}\n"
    assert len(offences(PACKAGE / "run" / "some.py", inside)) == 1


def test_what_everybody_may_import_is_not_an_offence() -> None:
    lines = "from pilotcli.databases.protocols import Target\nfrom pilotcli.config import x\n"
    assert offences(PACKAGE / "run" / "some.py", lines) == []
