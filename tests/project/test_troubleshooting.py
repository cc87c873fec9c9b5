"""Each message of docs/troubleshooting.md is one that pilot prints for the cause that it has."""

from __future__ import annotations

import shutil
from collections.abc import Callable

import psycopg2
import pytest
from doc_blocks import blocks
from project_folder import Project, started

pytestmark = pytest.mark.slow

MESSAGES = [block.text.strip() for block in blocks("text") if block.page == "troubleshooting.md"]
DRIVER = """
import json

from pilotcli import (
    CardPushHandler, CheckpointedModel, CommentPushHandler, HintPushHandler,
    PeriodicModelUpdateEvent, QueryFinishEvent,
)


class SlowestQuery(QueryFinishEvent):
    def process(self, db_controller, data_manager):
        print(data_manager.read_update("observed")["execution_time"])


class Hint(HintPushHandler):
    def acquire_injected_data(self, sql):
        return {"work_mem": "lots"}


class Comment(CommentPushHandler):
    def acquire_injected_data(self, sql):
        return "/*+ HashJoin(a b) */"


class Cards(CardPushHandler):
    def acquire_injected_data(self, sql):
        return {}


class Speed(CheckpointedModel):
    def dump(self, folder):
        (folder / "speed.json").write_text("1")

    def restore(self, folder):
        self.model = 1


class Learn(PeriodicModelUpdateEvent):
    def custom_model_update(self, pilot_model, db_controller, data_manager):
        return 1
"""
LEARN = """
models: {speed: events.py:Speed}
events: [{class: events.py:Learn, model: speed, args: {interval_count: 1}}]
"""
SLOWEST = "events: [{class: events.py:SlowestQuery, args: {interval_count: 5}}]\n"


def printed(project: Project, *words: str) -> str:
    done = project.command(*words)
    return done.stdout + done.stderr


def run(config: str = "", workload: str = "SELECT 1;\n", *words: str) -> Callable[[Project], str]:
    """Prints what `pilot run` prints with this config and this workload."""

    def cause(project: Project) -> str:
        project.config(config)
        project.write("w.sql", workload)
        return printed(project, "run", "w.sql", *words)

    return cause


def without_workload(project: Project) -> str:
    return printed(project, "run")


def without_server(project: Project) -> str:
    project.write("w.sql", "SELECT 1;\n")
    return printed(project, "run", "w.sql", "--set", "database.dsn=host=localhost port=1")


def without_rights(project: Project, config: str) -> str:
    """Runs as a role that may do nothing."""
    session = psycopg2.connect(project.dsn)
    session.autocommit = True
    with session.cursor() as cursor:
        cursor.execute("CREATE ROLE newcomer; CREATE TABLE secret (id int)")
        try:
            project.write("w.sql", "SELECT * FROM secret;\n")
            project.write(
                "pilot.yaml",
                f"database: {{dsn: \"{project.dsn} options='-c role=newcomer'\"}}\n{config}",
            )
            return printed(project, "run", "w.sql")
        finally:
            cursor.execute("DROP TABLE secret; DROP ROLE newcomer")
            session.close()


def without_store(project: Project) -> str:
    return without_rights(project, "collect: observed\nstore: {database: pilot_data}\n")


def without_table(project: Project) -> str:
    return without_rights(project, f"store: {{dsn: '{project.dsn}'}}\n")


def copied_checkpoint(project: Project) -> str:
    run(LEARN)(project)
    home = project.folder / ".pilot"
    home.rename(project.folder / "other")
    home.mkdir(mode=0o700)
    shutil.copytree(project.folder / "other" / "models", home / "models")
    return run(LEARN)(project)


def nothing_to_resume(project: Project) -> str:
    run()(project)
    return printed(project, "run", "--resume")


def changed_workload(project: Project) -> str:
    project.config()
    project.write("w.sql", "SELECT pg_sleep(60);\n")
    with started(project) as process:
        assert process.stdout
        while "run 1: " not in process.stdout.readline():
            pass
        process.kill()
        process.communicate()
    project.write("w.sql", "SELECT 1;\nSELECT 2;\n")
    return printed(project, "run", "--resume")


def no_pair(project: Project) -> str:
    run()(project)
    return printed(project, "runs", "compare", "1")


CAUSES: list[Callable[[Project], str]] = [
    without_workload,
    run("evnts: []\n"),
    run("run: {timeout: '${SHOP_TIMEOUT}'}\n"),
    run("events: [events.py:Slowest]\n"),
    run("events: [needs.py:Slowest]\n"),
    run("events: [{class: events.py:SlowestQuery, args: {interval: 5}}]\n"),
    run("", "SELECT 1\n\\gexec\n"),
    run("", "SELECT 'abc;\n"),
    without_server,
    run("", "SELECT * FROM orders;\n"),
    without_store,
    without_table,
    run("", "SELECT pg_sleep(60);\n", "--timeout", "10ms"),
    run(SLOWEST, "SELECT 1;\n" * 5),
    run("handlers: [events.py:Comment]\n"),
    run("handlers: [events.py:Cards]\nsteering: {planner: never}\n"),
    run("handlers: [events.py:Hint]\n"),
    copied_checkpoint,
    nothing_to_resume,
    changed_workload,
    no_pair,
]
"""In the order of the messages."""


@pytest.mark.parametrize(("message", "cause"), [*zip(MESSAGES, CAUSES, strict=True)], ids=MESSAGES)
def test_the_message_comes(message: str, cause: Callable[[Project], str], project: Project) -> None:
    project.write("events.py", DRIVER)
    project.write("needs.py", "import nonsuch\n")
    text = cause(project)
    assert message in text
