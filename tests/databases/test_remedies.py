"""The statements of remedies keep what is there, and are those of the session's own role."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pilotcli.databases.protocols import Target
from pilotcli.databases.remedies import how_to_create, how_to_load, how_to_set
from pilotcli.databases.session.session import PostgresSession
from pilotcli.databases.target import PostgresTarget

pytestmark = pytest.mark.slow

ROLE = '"Odd role"'
PRELOADED = ["$libdir/plugins/one", "two, too"]


@pytest.fixture
def admin(target: Target) -> Iterator[PostgresSession]:
    assert isinstance(target, PostgresTarget)
    session = target.session()
    session.execute(f"CREATE ROLE {ROLE}")
    yield session
    session.execute(f"DROP OWNED BY {ROLE}; DROP ROLE {ROLE}")
    session.close()


@pytest.fixture
def ordinary(admin: PostgresSession, target: Target) -> Iterator[PostgresSession]:
    assert isinstance(target, PostgresTarget)
    session = target.session()
    session.execute(f"SET SESSION AUTHORIZATION {ROLE}")
    yield session
    session.close()


@pytest.mark.parametrize("where", ["", " IN DATABASE pilot"])
def test_libraries_that_a_role_preloads_stay(
    admin: PostgresSession, ordinary: PostgresSession, where: str
) -> None:
    there = ", ".join(f"'{name}'" for name in PRELOADED)
    admin.execute(f"ALTER ROLE {ROLE}{where} SET session_preload_libraries = {there}")
    remedy = how_to_load(ordinary, "pg_hint_plan", "pg_hint_plan")
    statement = remedy.split("`")[1]
    assert statement.startswith(f"ALTER ROLE {ROLE}{where} SET session_preload_libraries = {there}")
    assert "'pg_hint_plan'" in statement
    admin.execute(statement)
    assert how_to_load(ordinary, "pg_hint_plan", "pg_hint_plan").split("`")[1] == statement


def test_what_a_role_cannot_see_is_named(ordinary: PostgresSession) -> None:
    """What the server itself preloads is hidden from other roles."""
    remedy = how_to_load(ordinary, "pg_hint_plan", "pg_hint_plan")
    assert remedy.endswith("names, if it names something.")


def test_a_superuser_needs_no_statement(admin: PostgresSession) -> None:
    known = "SELECT count(*) FROM pg_available_extensions WHERE name = 'pg_hint_plan'"
    if admin.execute(known).rows == [(0,)]:
        remedy = how_to_load(admin, "pg_hint_plan", "the package")
        assert remedy == "Install the package on the server."
    assert how_to_create(admin, "no_such", "the package") == "Install the package on the server."
    assert how_to_set(admin, "auto_explain", ["auto_explain.log_level"]) == ""


def test_an_extension_that_nobody_has_created(ordinary: PostgresSession) -> None:
    remedy = how_to_create(ordinary, "pg_buffercache", "contrib", grant="pg_monitor")
    statement = f"CREATE EXTENSION pg_buffercache; GRANT pg_monitor TO {ROLE}"
    assert remedy.lower().endswith(
        f"have a superuser run `{statement.lower()}` in the database pilot."
    )
