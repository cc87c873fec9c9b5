"""The oracle finds nothing over the corpus: every sub-plan given out is right, on every server.

Each server runs half of the queries in parallel too, and among the servers of .ci/matrix all do;
`python -m tests.steering.subplans.oracle` runs all of them on one.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from oracle import SCHEMA, Oracle, cases_of, corpus_files
from server_folder import server_folder
from steered import KINDS, postgres_bin

from pilotcli.config import PostgreSQLConfig
from pilotcli.databases.opening import open_target
from pilotcli.databases.target import PostgresTarget

pytestmark = pytest.mark.slow


@pytest.fixture(scope="session", params=KINDS)
def oracle(
    request: pytest.FixtureRequest,
) -> Iterator[Oracle]:
    """An oracle for the corpus' tables on each PostgreSQL that the machine has."""
    with server_folder() as folder:
        config = PostgreSQLConfig(home=folder / ".pilot", db="corpus", embedded=True)
        config.postgres_bin = postgres_bin(request.param)
        config.setup = (SCHEMA,)
        # Views read tables of the catalog. Compiled queries take long, and have the same plans.
        config.server_settings = {"autovacuum": "off", "jit": "off"}
        target = open_target(config)
        assert isinstance(target, PostgresTarget)
        oracle = Oracle(target, config, most_keys=4, parallel=2)
        yield oracle
        oracle.close()
        target.close()


def test_the_corpus_has_many_shapes() -> None:
    shapes = {case.sql for path in corpus_files() for case in cases_of(path)}
    assert len(shapes) >= 500


@pytest.mark.parametrize("path", corpus_files(), ids=lambda path: path.stem)
def test_nothing_is_found(path: Path, oracle: Oracle) -> None:
    verdicts = [oracle.judge(case) for case in cases_of(path) if case.since <= oracle.version]
    findings = [str(finding) for verdict in verdicts for finding in verdict.findings]
    assert sum(verdict.keys for verdict in verdicts) > len(verdicts) / 2
    assert findings == []
