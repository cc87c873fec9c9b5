"""Only a session that is steered calls the module: without settings, it has no hooks."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from steered import Steered, pg_config_of

from pilotcli.databases.target import PostgresTarget
from pilotcli.steering.planner import Planner, load, parse_report

pytestmark = pytest.mark.slow

PROBE = """
#include "postgres.h"
#include "fmgr.h"
#include "executor/executor.h"
#include "optimizer/paths.h"
#include "optimizer/planner.h"
#include "tcop/utility.h"

PG_MODULE_MAGIC;
PG_FUNCTION_INFO_V1(hooks);
PG_FUNCTION_INFO_V1(lie_over);
static ExecutorEnd_hook_type below = NULL;

static void
end(QueryDesc *query)
{
	if (below != NULL)
		below(query);
	else
		standard_ExecutorEnd(query);
}

Datum
hooks(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32((planner_hook != NULL) + (set_rel_pathlist_hook != NULL) +
					(set_join_pathlist_hook != NULL) + (ExecutorStart_hook != NULL) +
					(ExecutorRun_hook != NULL) + (ExecutorFinish_hook != NULL) +
					(ExecutorEnd_hook != NULL) + (ProcessUtility_hook != NULL));
}

Datum
lie_over(PG_FUNCTION_ARGS)
{
	below = ExecutorEnd_hook;
	ExecutorEnd_hook = end;
	PG_RETURN_VOID();
}
"""
ALL = 8


@pytest.fixture
def probe(steered: Steered, kind: str, homes: Path) -> Iterator[Steered]:
    """The session with functions that look at the hooks."""
    if shutil.which("cc") is None:
        pytest.skip("there is no C compiler")
    headers = subprocess.run(
        [pg_config_of(kind), "--includedir-server"], capture_output=True, text=True, check=True
    ).stdout.strip()
    source = homes / f"probe-{kind.replace('/', '_')}.c"
    library = source.with_suffix(".so")
    source.write_text(PROBE)
    command = ["cc", "-O1", "-shared", "-fPIC", f"-I{headers}", source, "-o", library]
    subprocess.run(command, check=True)
    library.chmod(0o755)
    for name, returned in (("hooks", "int"), ("lie_over", "void")):
        steered.session.execute(
            f"CREATE OR REPLACE FUNCTION {name}() RETURNS {returned}"
            f" AS '{library}', '{name}' LANGUAGE C"
        )
    yield steered
    steered.session.execute("DROP FUNCTION hooks(); DROP FUNCTION lie_over()")


def count(steered: Steered, settings: str = "") -> int:
    ((found,),) = steered.session.execute(f"{settings}SELECT hooks()").rows
    return int(found)


@pytest.mark.parametrize(
    "setting",
    [
        "report = 'time'",
        "report = 'blocks,plan'",
        """rows = '"p"=7'""",
        "indexes = 'CREATE INDEX ON posts (score)'",
    ],
)
def test_there_are_hooks_while_a_setting_is_set(probe: Steered, setting: str) -> None:
    assert count(probe) == 0
    assert count(probe, f"SET LOCAL pilot_planner.{setting}; ") == ALL
    assert count(probe) == 0
    probe.session.execute(f"SET pilot_planner.{setting}")
    assert count(probe) == ALL
    probe.session.execute("RESET ALL")
    assert count(probe) == 0


def test_hooks_below_those_of_another_library_stay(probe: Steered) -> None:
    probe.session.execute("SET pilot_planner.report = 'time'")
    probe.session.execute("SELECT lie_over()")
    probe.session.execute("RESET pilot_planner.report")
    assert count(probe) == ALL
    assert probe.run("SELECT 1 FROM posts p LIMIT 1", report="time")[1].execution_ms is not None
    assert probe.run("SELECT 1 FROM posts p LIMIT 1")[1].execution_ms is None


def test_an_open_cursor_is_reported_after_its_settings_have_ended(probe: Steered) -> None:
    heard: list[str] = []
    probe.session.connection.notices = heard
    probe.session.execute("SET pilot_planner.report = 'plan'; BEGIN")
    probe.session.execute("DECLARE c CURSOR FOR SELECT p.id FROM posts p")
    probe.session.execute("RESET pilot_planner.report")
    probe.session.execute("FETCH 3 FROM c; CLOSE c")
    assert parse_report(heard).plan_text is not None
    probe.session.execute("COMMIT; SET pilot_planner.report = ''")
    assert count(probe) == 0


def test_a_setting_inside_of_a_function_is_not_for_the_statements_in_it(probe: Steered) -> None:
    inside = (
        "DO $$ BEGIN PERFORM set_config('pilot_planner.report', 'blocks,plan', {}); "
        "PERFORM count(*) FROM posts p JOIN users u ON u.id = p.owner_id; END $$"
    )
    heard: list[str] = []
    probe.session.connection.notices = heard
    probe.session.execute(inside.format("true"))
    assert heard == []
    assert count(probe) == 0
    probe.session.execute(inside.format("false"))
    assert heard == []
    probe.session.execute("SELECT p.id FROM posts p WHERE p.id = 3")
    report = parse_report(heard)
    assert report.plan_text is not None and report.blocks_text is not None


def test_settings_of_the_role_are_for_its_first_statement(
    probe: Steered, planner_target: PostgresTarget, cache: Path
) -> None:
    name = probe.session.execute("SELECT quote_ident(current_database())").rows[0][0]
    probe.session.execute(f"ALTER DATABASE {name} SET pilot_planner.report = 'time'")
    session = planner_target.session()
    try:
        heard: list[str] = []
        assert isinstance(load(session, cache=cache, pg_config=None, may_build=False), Planner)
        session.connection.notices = heard
        session.execute("SELECT p.id FROM posts p WHERE p.id = 3")
        assert parse_report(heard).execution_ms is not None
    finally:
        session.close()
        probe.session.execute(f"ALTER DATABASE {name} RESET pilot_planner.report")
