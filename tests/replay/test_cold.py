"""Runs whose server is restarted before each query."""

from __future__ import annotations

import json

import pytest
from project_folder import Project
from server_folder import server_folder

from pilotcli.common.errors import UsageError
from pilotcli.common.signals import Bus, Notice
from pilotcli.run.paired import Baseline, native, run_paired

SCAN = "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) SELECT * FROM cold_t"
SQL = f"""
SET pilot.own = 'x';
{SCAN};
BEGIN;
{SCAN};
{SCAN};
COMMIT;
SELECT 1 / (current_setting('pilot.own') = 'x')::int;
"""
MADE = "CREATE TABLE IF NOT EXISTS cold_t AS SELECT generate_series(1, 5000) AS n"


@pytest.mark.slow
def test_each_query_finds_empty_buffers(project: Project) -> None:
    project.write("w.sql", SQL)
    with server_folder() as folder:
        project.write(
            "pilot.yaml",
            f"""
            home: {folder / "home"}
            database: {{embedded: true}}
            run: {{cold: true, prepare: ['{MADE}', VACUUM ANALYZE cold_t, SELECT * FROM cold_t]}}
            collect: {{table: cold_seen, records: true}}
            """,
        )
        finished = project.run("w.sql")
        assert (finished.exit_code, finished.ok) == (0, 7), finished.reasons
        notices = [one for one in project.heard(Notice) if isinstance(one, Notice)]
        assert any("what the operating system has cached" in one.text for one in notices)
        assert [one.text for one in notices if one.level != "info"] == []
        rows = project.command(
            "db",
            "psql",
            "--",
            "-d",
            "pilot_data",
            "-Atc",
            "SELECT records FROM cold_seen WHERE sql LIKE 'EXPLAIN%' ORDER BY ctid",
        )
        plans = [json.loads(line)[0][0][0]["Plan"] for line in rows.stdout.splitlines()]
        read = [(plan["Shared Hit Blocks"], plan["Shared Read Blocks"]) for plan in plans]
        # The second scan of a block runs in the same session, after the first.
        assert read[0] == read[1]
        assert read[0][0] == 0 < read[0][1]
        assert read[2] == (read[0][1], 0)

        request = project.request("w.sql", sets=("run.repeat=2", "collect={max_rows: 5}"))
        finished, _ = run_paired(request, [Baseline(native(request.config))], Bus())
        assert finished.exit_code == 0, finished.reasons


def test_a_server_is_not_restarted_under_other_workers(project: Project) -> None:
    project.write("w.sql", "SELECT 1;")
    with pytest.raises(UsageError, match="one worker only"):
        project.run("w.sql", sets=("run.cold=true", "run.workers=2"))
