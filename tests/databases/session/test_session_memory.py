"""What a session remembers from one statement to the next, and what it forgets."""

from __future__ import annotations

import pytest

from pilotcli.common.errors import QueryTimeout
from pilotcli.databases.session.session import PostgresSession
from pilotcli.databases.target import PostgresTarget


def test_a_cancel_while_nothing_ran_is_forgotten(shared_target: PostgresTarget) -> None:
    session = shared_target.session(timeout_s=0.05)
    session.cancel()
    with pytest.raises(QueryTimeout):
        session.execute("SELECT pg_sleep(10)")
    session.close()


@pytest.mark.parametrize(
    ("sql", "changes"),
    [
        ("CREATE TABLE seen (a int)", True),
        ("CREATE TABLE made AS SELECT 1 AS a", True),
        ("SELECT 1 AS a INTO TABLE into_it", True),
        ("DROP VIEW IF EXISTS nothing_here", True),
        ("DO $$ BEGIN NULL; END $$", True),
        ("SELECT 1", False),
        ("SET work_mem = '1MB'", False),
        ("BEGIN; COMMIT", False),
        ("BEGIN; ROLLBACK", True),
    ],
)
def test_what_may_change_the_schema_is_counted(
    session: PostgresSession, sql: str, changes: bool
) -> None:
    before = session.schema_changes.count
    session.execute(sql)
    assert (session.schema_changes.count > before) == changes
