"""The row that a run stores about a query."""

from __future__ import annotations

import datetime
import re
from dataclasses import fields, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from doc_blocks import blocks
from project_folder import Project

from pilotcli import PostgreSQLConfig
from pilotcli.common.records import Query, QueryResult
from pilotcli.config.model import CollectSection
from pilotcli.databases.protocols import Rows
from pilotcli.replay.collected_row import collected_row, example_row
from pilotcli.storage.store.copy_batch import KEY, Batch
from pilotcli.storage.store.data_manager import DataManager

ROOT = Path(__file__).parents[2]
HANDLER = """
from pilotcli import HintPushHandler


class Arms(HintPushHandler):
    def acquire_injected_data(self, sql):
        if "plain" in sql:
            return None
        self.log(choice="memory")
        return {"work_mem": "7MB"}
"""


def test_records_are_the_texts_that_the_server_sends() -> None:
    noon = datetime.datetime(2024, 2, 29, 12, tzinfo=datetime.timezone.utc)
    values = (
        memoryview(b"\0\xff"),
        datetime.timedelta(1, 90),
        noon,
        Decimal("1.10"),
        [noon.date()],
    )
    result = QueryResult(1, "q1", "ok", 0.0, 0.1)
    found = collected_row(
        CollectSection(records=True), Query(1, "q1", "SELECT 1"), result, Rows([values], 1), None
    )
    assert found["records"] == [
        ["\\x00ff", "1 day 00:01:30", "2024-02-29 12:00:00+00", "1.10", ["2024-02-29"]]
    ]


def collected(project: Project) -> list[dict[Any, Any]]:
    """The rows of the table `seen`."""
    config = PostgreSQLConfig.from_run_config(project.request().config, embedded=False)
    with DataManager(config) as manager:
        return manager.read_all("seen").to_dict("records")


def test_a_row_says_which_execution_it_is_of_and_how_that_was_steered(project: Project) -> None:
    project.write("drivers.py", HANDLER)
    project.write("w.sql", "SELECT 1;\nSELECT 'plain';\n")
    project.config("collect: seen\nhandlers: ['drivers.py:Arms']\nrun: {repeat: 2, warmup: 1}")
    finished = project.run("w.sql")
    rows = collected(project)
    with project.journal() as journal:
        results = list(journal.results(finished.run_id))
    assert [(row["run_id"], row["arm"], row["worker"]) for row in rows] == [
        (finished.run_id, None, 0)
    ] * 4
    assert [(row["round"], row["seq"]) for row in rows] == [(1, 1), (1, 2), (2, 1), (2, 2)]
    assert [row["started_at"] for row in rows] == [result.started_at for result in results]
    assert rows[0]["applied"] == {
        "applied": ["work_mem = 7MB"], "ignored": [], "native": None, "cards": []
    }  # fmt: skip
    assert rows[0]["logged"] == {"choice": "memory"}
    assert (rows[1]["applied"], rows[1]["logged"]) == (None, None)


def test_the_unsteered_rows_of_this_run_are_found_as_the_docs_say(project: Project) -> None:
    project.write("drivers.py", HANDLER)
    project.write("w.sql", "SELECT 1;\nSELECT 'plain';\n")
    project.config("collect: observed\nhandlers: ['drivers.py:Arms']")
    project.run("w.sql")
    finished = project.run("w.sql")
    config = PostgreSQLConfig.from_run_config(project.request().config, embedded=False)
    (block,) = (
        block.text
        for block in blocks("python")
        if (block.page, block.heading) == ("events.md", "The columns of a collected table")
    )
    with DataManager(config) as manager:
        names: dict[str, Any] = {"data_manager": manager}
        exec(block, names)
    (row,) = names["rows"].to_dict("records")
    assert (row["run_id"], row["sql"]) == (finished.run_id, "SELECT 'plain'")


def test_rows_of_workers_have_their_numbers(project: Project) -> None:
    project.write("w.sql", "SELECT pg_sleep(0.01);\n" * 20)
    project.config("collect: seen\nrun: {workers: 3}")
    project.run("w.sql")
    assert {row["worker"] for row in collected(project)} == {0, 1, 2}


def test_rows_of_a_paired_run_have_its_arm(project: Project) -> None:
    project.write("w.sql", "SELECT 1;")
    project.config("collect: seen")
    (project.folder / "other.yaml").write_text(
        (project.folder / "pilot.yaml").read_text().replace("seen", "other")
    )
    done = project.command("run", "w.sql", "--against", "other.yaml", "--rounds", "2")
    assert done.returncode == 0, done.stderr
    assert [row["arm"] for row in collected(project)] == ["driver"] * 2
    config = PostgreSQLConfig.from_run_config(project.request().config, embedded=False)
    with DataManager(config) as manager:
        assert list(manager.read_all("other")["arm"]) == ["baseline"] * 2


def test_a_table_of_an_older_pilot_gets_the_columns(project: Project) -> None:
    project.write("w.sql", "SELECT 1;")
    project.config("collect: seen")
    config = PostgreSQLConfig.from_run_config(project.request().config, embedded=False)
    with DataManager(config) as manager:
        manager.save_data("seen", {"label": "old", "sql": "SELECT 0", "status": "ok"})
    finished = project.run("w.sql")
    old, new = collected(project)
    assert (old["label"], new["label"]) == ("old", "q1")
    assert old["run_id"] != old["run_id"], "NaN"
    assert (new["run_id"], new["seq"]) == (finished.run_id, 1)


def test_rows_of_a_script_and_of_a_run_share_a_table(project: Project) -> None:
    from pilotcli import SchedulerFactory

    project.write("w.sql", "SELECT 1;")
    project.write("drivers.py", HANDLER)
    project.config("collect: seen\nhandlers: ['drivers.py:Arms']")
    config = PostgreSQLConfig.from_run_config(project.request().config, embedded=False)
    with SchedulerFactory.create_scheduler(config) as scheduler:
        scheduler.register_required_data("seen", pull_execution_time=True)
        scheduler.execute("SELECT 2")
    finished = project.run("w.sql")
    script, run = collected(project)
    assert (script["seq"], script["round"], script["applied"]) == (1, 1, None)
    assert script["run_id"] != script["run_id"], "NaN"
    assert (run["run_id"], run["applied"]["applied"]) == (finished.run_id, ["work_mem = 7MB"])


def test_the_time_of_a_query_has_no_wait() -> None:
    result = QueryResult(1, "q1", "ok", 0.0, 0.5, wait_s=0.25)
    query = Query(1, "q1", "SELECT 1")
    found = collected_row(CollectSection(), query, result, Rows(), None)
    assert found["execution_time"] == 0.25


def test_docs_events_has_every_column_with_its_type() -> None:
    everything = replace(
        CollectSection(),
        max_rows=1,
        **{field.name: True for field in fields(CollectSection) if field.type == "bool"},
    )
    with Batch("t", [example_row(everything)]) as batch:
        columns = {name: kind.sql for name, kind in batch.columns.items()}
    text = (ROOT / "docs" / "events.md").read_text("utf-8")
    section = text.partition("\n## The columns of a collected table\n")[2].partition("\n## ")[0]
    told = dict(re.findall(r"^\| `(\w+)` \| ([a-z ]+) \|", section, flags=re.M))
    assert told == {**columns, KEY: "bigint"}
