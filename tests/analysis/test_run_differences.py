"""A comparison says what two runs did not have in common besides their drivers."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from project_folder import Project
from written_run import query, result

from pilotcli.analysis.compare import compare
from pilotcli.analysis.run_differences import run_differences
from pilotcli.common.labels import NO_LABELS
from pilotcli.config.model import RunSection
from pilotcli.storage.journal import Journal, RunRecord

PROVENANCE = {
    "versions": {"pilot": "1", "python": "3.12.1", "numpy": "2"},
    "machine": {"cpu": "Fast", "cpus": 2, "memory_bytes": 8_000_000_000, "kernel": "Linux 6"},
    "server": {
        "settings": {"work_mem": "4MB", "log_timezone": "UTC"},
        "extensions": {"plpgsql": "1.0"},
    },
}
DATABASE = "PostgreSQL 18.6 at host:5432, database shop"


@pytest.fixture
def record(tmp_path: Path) -> RunRecord:
    with Journal.open(tmp_path) as journal:
        with journal.start_run(
            kind="run",
            workload="w",
            config_path=None,
            config_text="{}",
            database=DATABASE,
            options=asdict(RunSection()),
        ) as run:
            run.describe(NO_LABELS, PROVENANCE)
            run.add_result(query(1), result(1))
            run.finish("finished", 0, {})
        return journal.run()


def changed(record: RunRecord, part: str, value: Any) -> RunRecord:
    return replace(record, run_id=2, provenance={**PROVENANCE, part: value})


def test_runs_that_are_alike_have_no_differences(record: RunRecord) -> None:
    assert run_differences(record, replace(record, run_id=2)) == ()


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"workers": 4}, "workers: 4, in the baseline 1"),
        ({"timeout": 30.0}, "time-out: 30.0 s, in the baseline none"),
        ({"rate": 200.0}, "queries per second: 200, in the baseline none"),
        ({"cold": True}, "restart before each query: yes, in the baseline no"),
        ({"prepare": ["SELECT 1"]}, "prepare: SELECT 1, in the baseline none"),
        ({"warmup": 2}, "warm-up rounds: 2, in the baseline 0"),
    ],
)
def test_options_differ(record: RunRecord, options: dict[str, Any], text: str) -> None:
    other = replace(record, run_id=2, options={**record.options, **options})
    assert run_differences(other, record) == (text,)


def test_rounds_and_limits_of_failures_are_no_difference(record: RunRecord) -> None:
    options = {**record.options, "repeat": 5, "max_failures": 3, "limit": 7}
    assert run_differences(record, replace(record, options=options)) == ()


def test_databases_and_server_versions_differ(record: RunRecord) -> None:
    newer = replace(record, database=DATABASE.replace("18.6", "19.1"))
    assert run_differences(newer, record) == ("server version: 19.1, in the baseline 18.6",)
    other = replace(record, database=DATABASE.replace("shop", "test"))
    (text,) = run_differences(other, record)
    place = "at host:5432, database"
    assert text == f"database: {place} test, in the baseline {place} shop"


def test_settings_differ_but_not_those_that_say_where_the_server_is(record: RunRecord) -> None:
    settings = {"work_mem": "64MB", "jit": "off", "log_timezone": "CET", "port": "1"}
    other = changed(record, "server", {"settings": settings, "extensions": {"plpgsql": "1.0"}})
    (text,) = run_differences(other, record)
    assert text.endswith("baseline: jit off (the default), work_mem 64MB (4MB)")
    session = json.dumps({"database": {"session": {"work_mem": "64MB"}}})
    (text,) = run_differences(replace(record, config_text=session), record)
    assert text.endswith("work_mem 64MB (4MB)")


def test_extensions_machines_and_versions_differ(record: RunRecord) -> None:
    server = {**PROVENANCE["server"], "extensions": {"plpgsql": "1.0", "hypopg": "1.4"}}
    (text,) = run_differences(changed(record, "server", server), record)
    assert text.endswith("baseline: hypopg 1.4 (none)")
    machine = {**PROVENANCE["machine"], "cpus": 8, "cpu": "Faster"}
    (text,) = run_differences(changed(record, "machine", machine), record)
    assert text == "machine: Faster, 8 CPUs, in the baseline Fast, 2 CPUs"
    versions = {"pilot": "2", "python": "3.12.1", "torch": "2"}
    (text,) = run_differences(changed(record, "versions", versions), record)
    assert text.endswith("baseline: pilot 2 (1)")


def test_what_costs_one_arm_time_is_a_difference(record: RunRecord) -> None:
    collects = replace(record, config_text='{"collect": {"actual_rows": true}}')
    (text,) = run_differences(collects, record)
    assert text.startswith("only run 1 counts the rows of each step of a plan")
    (text,) = run_differences(record, replace(collects, run_id=2))
    assert text.startswith("only the baseline, run 2, counts the rows")
    assert run_differences(collects, collects) == ()


def test_a_run_that_was_continued_elsewhere_says_so(record: RunRecord) -> None:
    parts = [{"command": ["pilot"], "server": {}}, {"machine": {}}]
    (text,) = run_differences(changed(record, "continued", parts), record)
    assert text == "run 2 was continued with other machine and server"


def test_what_an_older_pilot_did_not_keep_is_not_compared(record: RunRecord) -> None:
    older = replace(record, provenance={}, config_text="", options={"repeat": 1})
    assert run_differences(older, record) == run_differences(record, older) == ()


@pytest.mark.slow
def test_a_comparison_says_so_at_its_top(project: Project) -> None:
    project.write("w.sql", "SELECT 1;\nSELECT 2;\n")
    project.config("collect: {table: t, actual_rows: true}\n")
    assert project.run("w.sql", sets=("run.workers=2",)).exit_code == 0
    assert project.run("w.sql").exit_code == 0
    assert project.run("w.sql").exit_code == 0
    wanted = "workers: 1, in the baseline 2"
    shown = project.command("runs", "compare", "2", "1").stdout
    assert re.match(rf"differs +{wanted}\n\n", shown), shown
    found = json.loads(project.command("runs", "compare", "2", "1", "--format", "json").stdout)
    assert found["differences"] == [wanted]
    markdown = project.command("runs", "compare", "2", "1", "--format", "markdown").stdout
    assert f"\n> Not the same in both: {wanted}\n" in markdown
    report = ("runs", "report", "2", "--against", "1", "-o", "page.html")
    assert project.command(*report).returncode == 0
    assert f"{wanted}." in (project.folder / "page.html").read_text()
    with project.journal() as journal:
        assert compare(journal, 3, journal, 2).differences == ()


@pytest.mark.slow
def test_the_arms_of_a_pair_are_alike_but_for_what_the_driver_collects(project: Project) -> None:
    project.write("w.sql", "SELECT 1;\n")
    project.config("collect: {table: t}\n")
    against = ("run", "w.sql", "--against", "native", "--rounds", "1")
    assert project.command(*against).returncode == 0
    with project.journal() as journal:
        assert compare(journal, 1, journal, 2).differences == ()
