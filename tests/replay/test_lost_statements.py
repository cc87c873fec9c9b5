"""What is sent once only, although its connection was lost while it ran.

Each statement ends its own connection, so one that is sent again ends another one.
"""

from __future__ import annotations

import pytest
from project_folder import Project

ENDS = "pg_terminate_backend(pg_backend_pid())"
TABLE = """
CREATE TABLE lost_rows (n serial);
CREATE FUNCTION ends_it() RETURNS trigger LANGUAGE plpgsql AS
  'BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END';
CREATE CONSTRAINT TRIGGER at_commit AFTER INSERT ON lost_rows DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW EXECUTE FUNCTION ends_it();
"""
CLEAR = "DROP TABLE lost_rows; DROP FUNCTION ends_it();"


@pytest.mark.parametrize(
    ("sql", "attempts"),
    [
        (f"SELECT {ENDS};", 3),
        (f"SELECT nextval('lost_rows_n_seq'), {ENDS};", 1),
        (f"WITH w AS (INSERT INTO lost_rows DEFAULT VALUES RETURNING n) SELECT {ENDS} FROM w;", 1),
        ("INSERT INTO lost_rows DEFAULT VALUES;", 1),
        ("BEGIN; INSERT INTO lost_rows DEFAULT VALUES; COMMIT;", 1),
        (f"BEGIN; SELECT {ENDS}; COMMIT;", 3),
    ],
)
def test_a_lost_statement(project: Project, sql: str, attempts: int) -> None:
    project.write("w.sql", TABLE + sql + CLEAR)
    project.run("w.sql", sets=("run.max_failures=9",))
    with project.journal() as journal:
        found = {one.status: one.attempts for one in journal.results(1) if one.attempts > 1}
        lost = [
            one.attempts for one in journal.results(1) if not one.ok and "lost" in str(one.error)
        ]
    assert lost[0] == attempts
    assert found in ({}, {"error": attempts})
