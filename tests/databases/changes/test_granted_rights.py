"""The rights that docs/steering.md lists are needed, and are enough, for an ordinary role."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

import pytest
from changes_support import Bench
from doc_blocks import blocks

from pilotcli import Index
from pilotcli.common.errors import PilotError
from pilotcli.config import PostgreSQLConfig
from pilotcli.databases.opening import connect_store, open_target
from pilotcli.steering.capabilities import abilities_of
from pilotcli.steering.probing import probe

PARTS = {
    comment.split(":")[0].split(",")[0].split(".")[0]: sql
    for block in blocks("sql")
    if block.heading == "Rights on a server of your own"
    for comment, sql in re.findall(r"-- (.*)\n((?:[^-\n].*\n)+)", block.text)
}

PRELOADED, GRANTED = (
    block.text for block in blocks("text") if block.heading == "Libraries for other roles"
)


@pytest.fixture
def app(bench: Bench) -> Iterator[PostgreSQLConfig]:
    """The server for the role `app`, which may do nothing yet."""
    bench.sql("CREATE ROLE app LOGIN")
    bench.sql("CREATE ROLE shop_owner")
    bench.sql("CREATE TABLE orders (id int, customer int); ALTER TABLE orders OWNER TO shop_owner")
    config = bench.dsn_config(user="app")
    config.user_data_db_name = "pilot_data"
    yield config
    bench.sql("DROP DATABASE IF EXISTS pilot_data WITH (FORCE)")
    bench.sql("DROP EXTENSION IF EXISTS pg_buffercache; DROP EXTENSION IF EXISTS hypopg")
    bench.sql("DROP OWNED BY app, shop_owner; DROP ROLE app, shop_owner")


def grant(bench: Bench, part: str) -> None:
    for statement in PARTS[part].split(";\n"):
        if statement.strip():
            bench.sql(statement)


def state(config: PostgreSQLConfig, what: str) -> str:
    target = open_target(config)
    with contextlib.closing(target), abilities_of(target, may_build=False) as able:
        return next(
            one.how if one.state == "full" else one.state
            for one in probe(able, target)
            if one.what == what
        )


def test_the_page_has_these_parts() -> None:
    assert list(PARTS) == [
        *("The store", "The workload", "Knobs", "Indexes", "What-if indexes", "The buffer cache"),
    ]


def test_the_store(bench: Bench, app: PostgreSQLConfig) -> None:
    with pytest.raises(PilotError, match="permission denied to create database"):
        connect_store(app)
    grant(bench, "The store")
    connect_store(app).close()


def test_the_workload(bench: Bench, app: PostgreSQLConfig) -> None:
    with contextlib.closing(bench.open(app)) as pilot:
        with pytest.raises(PilotError, match="permission denied"):
            pilot.controller.execute("SELECT * FROM orders")
        grant(bench, "The workload")
        assert pilot.controller.execute("SELECT * FROM orders", fetch=True) == []


def test_knobs(bench: Bench, app: PostgreSQLConfig) -> None:
    if bench.version < 15:
        pytest.skip("GRANT ... ON PARAMETER came with PostgreSQL 15")
    assert state(app, "knobs") == "missing"
    grant(bench, "Knobs")
    assert state(app, "knobs") == "ALTER SYSTEM, undone at the end"
    with contextlib.closing(bench.open(app)) as pilot:
        pilot.controller.set_knobs({"work_mem": "9MB"})
        assert bench.sql("SHOW work_mem") == [("9MB",)]


def test_indexes(bench: Bench, app: PostgreSQLConfig) -> None:
    first, second = PARTS["Indexes"].splitlines()
    assert state(app, "indexes") == "coarse"
    bench.sql(first)
    with contextlib.closing(bench.open(app)) as pilot:
        if bench.version >= 15:  # where not everybody may create in the schema public
            assert state(app, "indexes") == "coarse"
            with pytest.raises(PilotError, match="permission denied for schema public"):
                pilot.controller.create_index(Index(["customer"], "orders"))
        bench.sql(second)
        assert state(app, "indexes") == "CREATE INDEX, undone at the end"
        pilot.controller.create_index(Index(["customer"], "orders"))
        assert len(bench.names()) == 1


def test_what_if_indexes(bench: Bench, app: PostgreSQLConfig) -> None:
    if not bench.sql("SELECT 1 FROM pg_available_extensions WHERE name = 'hypopg'"):
        pytest.skip("this server has no HypoPG (Debian's package postgresql-NN-hypopg)")
    assert state(app, "what-if indexes") == "coarse"
    grant(bench, "What-if indexes")
    assert state(app, "what-if indexes").startswith("HypoPG ")


def test_the_buffer_cache(bench: Bench, app: PostgreSQLConfig) -> None:
    assert state(app, "buffer cache") == "missing"
    grant(bench, "The buffer cache")
    assert state(app, "buffer cache").startswith("pg_buffercache ")


def test_libraries_for_other_roles(bench: Bench, app: PostgreSQLConfig) -> None:
    if bench.version < 15:
        pytest.skip("GRANT ... ON PARAMETER came with PostgreSQL 15")
    app.planner = "never"
    assert state(app, "plan and time") == "coarse"
    has_hints = bench.sql("SELECT 1 FROM pg_available_extensions WHERE name = 'pg_hint_plan'")
    bench.sql(PRELOADED if has_hints else PRELOADED.replace("'pg_hint_plan', ", ""))
    assert state(app, "plan and time") == "coarse"
    bench.sql(GRANTED)
    assert state(app, "plan and time").endswith("auto_explain")
    if has_hints:
        assert state(app, "hint comments").startswith("pg_hint_plan")
