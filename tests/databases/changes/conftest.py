"""Servers for the tests of changes: the wheel's PostgreSQL and, where installed, another."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from changes_support import Bench
from server_crashes import crashes_in
from steered import KINDS
from steered import postgres_bin as programs_of

from pilotcli.databases.embedded.server import EmbeddedServer

_numbers = itertools.count(1)


@pytest.fixture(scope="session", params=KINDS)
def postgres_bin(request: pytest.FixtureRequest) -> Path | None:
    """The programs of an installed PostgreSQL, or None for those that come with pilot."""
    return programs_of(request.param)


@pytest.fixture(scope="session")
def bench_of_all(postgres_bin: Path | None, make_home: Callable[[], Path]) -> Iterator[Bench]:
    home = make_home()
    with EmbeddedServer.acquire(home, postgres_bin=postgres_bin) as server:
        # Roles without rights may connect too.
        with (server.data_dir / "pg_hba.conf").open("a") as file:
            file.write("local all all trust\n")
        bench = Bench(server, home, postgres_bin, "postgres")
        bench.sql("SELECT pg_reload_conf()")
        yield bench
    assert crashes_in(home) == []


@pytest.fixture
def bench(bench_of_all: Bench) -> Iterator[Bench]:
    """A running server, with a new database."""
    name = f"forum_{next(_numbers)}"
    bench_of_all.sql(f"CREATE DATABASE {name}")
    bench = Bench(bench_of_all.server, bench_of_all.home, bench_of_all.postgres_bin, name)
    yield bench
    bench_of_all.sql(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
    assert bench_of_all.auto_conf() == {}
