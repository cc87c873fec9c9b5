"""Whole runs against the embedded server: config in, signals and journal out."""

from __future__ import annotations

from typing import Any

import pytest
from project_folder import Project

from pilotcli import DataManager, PostgreSQLConfig
from pilotcli.common.errors import (
    CapabilityError,
    ConfigError,
    DatabaseError,
    UsageError,
    WorkloadError,
)
from pilotcli.common.signals import (
    DriverOutput,
    EventTriggered,
    ModelLoaded,
    ModelSaved,
    Notice,
    QueryFinished,
    QueryStarted,
    RowsCollected,
    RunFinished,
    RunStarted,
)

COUNTING = """
    from pilotcli import QueryFinishEvent

    class Count(QueryFinishEvent):
        def process(self, db_controller, data_manager):
            print("counted")
"""

LEARNING = """
    import json
    from pilotcli import CheckpointedModel, PeriodicModelUpdateEvent, PretrainingModelEvent

    class Memory(CheckpointedModel):
        def dump(self, folder):
            (folder / "memory.json").write_text(json.dumps(self.model))

        def restore(self, folder):
            self.model = json.loads((folder / "memory.json").read_text())

    class Learn(PeriodicModelUpdateEvent):
        def custom_model_update(self, pilot_model, db_controller, data_manager):
            pilot_model.metrics = {"seen": len(data_manager.read_all("seen"))}
            return (pilot_model.model or 0) + 1

    class Prepare(PretrainingModelEvent):
        def iterative_data_collection(self, db_controller, train_data_manager):
            ((value,),) = db_controller.execute("SELECT 40 + 2", fetch=True)
            return [{"value": value}], self.collection_iteration == 2

        def custom_model_training(self, bind_pilot_model, db_controller, data_manager):
            return int(data_manager.read_all(self.data_saving_table)["value"].sum())
"""


def test_a_run_is_told_and_journalled(project: Project) -> None:
    project.write("ev.py", COUNTING)
    project.config("events: [{class: 'ev.py:Count', args: {interval_count: 2}}]")
    project.write("w.sql", "-- name: one\nSELECT 1;\nSELECT 1/0;\nSELECT generate_series(1, 3);\n")
    finished = project.run("w.sql", sets=("run.max_failures=1",))
    assert (finished.exit_code, finished.status, finished.reasons) == (0, "finished", ())
    assert (finished.queries, finished.ok, finished.errors) == (3, 2, 1)
    assert (finished.event_firings, finished.event_failures) == (1, 0)
    (started,) = project.heard(RunStarted)
    assert isinstance(started, RunStarted)
    assert started.total == 3
    assert [event.fires for event in started.events] == ["after every 2 queries"]
    names = [type(s).__name__ for s in project.signals if not isinstance(s, DriverOutput)]
    assert names[names.index("RunStarted") :] == [
        "RunStarted",
        "PhaseStarted",
        "QueryStarted",
        "QueryFinished",
        "QueryStarted",
        "QueryFinished",
        "EventStarted",
        "EventTriggered",
        "QueryStarted",
        "QueryFinished",
        "RunFinished",
    ]
    assert project.heard(DriverOutput) == [DriverOutput("counted", "stdout")]
    with project.journal() as journal:
        record = journal.run(finished.run_id)
        assert (record.status, record.exit_code) == ("finished", 0)
        results = list(journal.results(finished.run_id))
        assert [(one.label, one.status, one.row_count) for one in results] == [
            ("one", "ok", 1),
            ("q2", "error", None),
            ("q3", "ok", 3),
        ]
        assert results[1].sqlstate == "22012"
        assert [(one.event, one.after_query) for one in journal.firings(finished.run_id)] == [
            ("Count", 2)
        ]


@pytest.mark.parametrize(
    ("sql", "sets", "exit_code", "status"),
    [
        ("SELECT 1", (), 0, "finished"),
        ("SELECT 1/0; SELECT 1", (), 1, "failed"),
        ("SELECT 1/0; SELECT 1", ("run.max_failures=1",), 0, "finished"),
        ("SELECT 1/0; SELECT 1/0; SELECT 1", ("run.fail_fast=true",), 1, "failed"),
        ("SELECT pg_sleep(30); SELECT 1", ("run.timeout=300ms",), 1, "failed"),
        ("SET statement_timeout = '300ms'; SELECT pg_sleep(30); SELECT 1", (), 1, "failed"),
    ],
)
def test_exit_codes_of_queries(
    project: Project, sql: str, sets: tuple[str, ...], exit_code: int, status: str
) -> None:
    project.write("w.sql", sql)
    finished = project.run("w.sql", sets=sets)
    assert (finished.exit_code, finished.status) == (exit_code, status)
    if "run.fail_fast=true" in sets:
        assert finished.queries == 1


def test_a_time_out_is_a_row(project: Project) -> None:
    project.write("w.sql", "SELECT pg_sleep(30);\nSELECT 1;")
    finished = project.run("w.sql", sets=("run.timeout=300ms",))
    assert (finished.timeouts, finished.ok) == (1, 1)
    with project.journal() as journal:
        first, second = journal.results(finished.run_id)
    assert (first.status, first.sqlstate, second.status) == ("timeout", "57014", "ok")
    assert first.elapsed_s >= 0.3


def test_a_failed_event_decides_the_exit_code(project: Project) -> None:
    project.write(
        "ev.py",
        """
        from pilotcli import QueryFinishEvent

        class Broken(QueryFinishEvent):
            def process(self, db_controller, data_manager):
                raise KeyError("nowhere")
        """,
    )
    project.config("events: ['ev.py:Broken']")
    project.write("w.sql", "SELECT 1; SELECT 2; SELECT 3")
    finished = project.run("w.sql")
    assert (finished.exit_code, finished.ok, finished.event_failures) == (3, 3, 3)
    assert finished.reasons == ("events failed: Broken (ev.py:6: KeyError: 'nowhere')",)
    assert project.run("w.sql", sets=("run.fail_fast=true",)).queries == 1
    with project.journal() as journal:
        firings = journal.firings(finished.run_id)
    assert all("KeyError" in (one.traceback or "") for one in firings)


def test_models_are_trained_saved_and_found_again(project: Project) -> None:
    project.write("ev.py", LEARNING)
    project.config(
        """
        collect: seen
        models: {memory: "ev.py:Memory"}
        events:
          - {class: "ev.py:Prepare", model: memory, args: {data_saving_table: prepared}}
          - {class: "ev.py:Learn", model: memory, args: {interval_count: 2}}
        """
    )
    project.write("w.sql", "SELECT 1; SELECT 2; SELECT 3; SELECT 4")
    finished = project.run("w.sql")
    assert finished.exit_code == 0, finished.reasons
    saved = project.heard(ModelSaved)
    # 3 * 42 pretrained, then one more at init, after 2 and after 4 queries.
    assert [s.version.version for s in saved if isinstance(s, ModelSaved) and s.version] == [
        1,
        2,
        3,
        4,
    ]
    assert [dict(s.metrics) for s in saved if isinstance(s, ModelSaved)][-2:] == [
        {"seen": 2},
        {"seen": 4},
    ]
    assert len(project.heard(RowsCollected)) == 3
    with project.journal() as journal:
        assert [one.event for one in journal.models(finished.run_id)] == [
            "Prepare",
            "Learn",
            "Learn",
            "Learn",
        ]
    again = project.run("w.sql")
    assert again.exit_code == 0, again.reasons
    (loaded,) = project.heard(ModelLoaded)
    assert isinstance(loaded, ModelLoaded)
    assert loaded.version is not None
    assert loaded.version.version == 4
    assert not project.heard(RowsCollected), "a completed pretraining is not repeated"
    assert [s.version.version for s in project.heard(ModelSaved)] == [5, 6, 7]  # type: ignore[attr-defined]
    project.run("w.sql", sets=("run.pretraining=always",))
    assert len(project.heard(RowsCollected)) == 3
    project.run("w.sql", sets=("run.pretraining=never", "models.memory.load=2"))
    (loaded,) = project.heard(ModelLoaded)
    assert loaded.version.version == 2  # type: ignore[attr-defined]


def test_pretrain_continues_where_it_was_left(project: Project) -> None:
    project.write("ev.py", LEARNING)
    stopping = LEARNING.replace(
        "return [{", 'assert self.collection_iteration < 2, "stopped"\n            return [{'
    )
    project.config(
        """
        models: {memory: "ev.py:Memory"}
        events:
          - {class: "ev.py:Prepare", model: memory, args: {data_saving_table: prepared}}
        """
    )
    project.write("ev.py", stopping)
    assert project.pretrain().exit_code == 3
    assert [s.total_rows for s in project.heard(RowsCollected)] == [1, 2]  # type: ignore[attr-defined]
    project.write("ev.py", LEARNING)
    assert project.pretrain().exit_code == 0
    assert [s.total_rows for s in project.heard(RowsCollected)] == [3]  # type: ignore[attr-defined]
    assert project.pretrain().exit_code == 0
    assert not project.heard(RowsCollected)
    assert len(project.heard(ModelSaved)) == 1
    assert project.pretrain(fresh=True).exit_code == 0
    assert [s.total_rows for s in project.heard(RowsCollected)] == [1, 2, 3]  # type: ignore[attr-defined]


def test_pretrain_needs_a_pretraining_event(project: Project) -> None:
    project.write("ev.py", COUNTING)
    project.config("events: ['ev.py:Count']")
    with pytest.raises(UsageError, match="no pretraining event"):
        project.pretrain()
    assert not (project.folder / ".pilot" / "journal.db").exists()


def test_rounds_warm_up_and_limit(project: Project) -> None:
    project.write("ev.py", COUNTING)
    project.config("events: ['ev.py:Count']")
    project.write("w.sql", "SELECT 1; SELECT 2; SELECT 3")
    finished = project.run("w.sql", sets=("run.repeat=2", "run.warmup=1", "run.limit=2"))
    assert finished.queries == 4
    assert finished.event_firings == 4
    rounds = [(s.round, s.query.seq) for s in project.heard(QueryStarted)]  # type: ignore[attr-defined]
    assert rounds == [(0, 1), (0, 2), (1, 1), (1, 2), (2, 1), (2, 2)]
    with project.journal() as journal:
        assert [(one.round, one.seq) for one in journal.results(finished.run_id)] == rounds[2:]


def test_a_random_order_is_the_seed_s(project: Project) -> None:
    project.write("w.sql", "; ".join(f"SELECT {n}" for n in range(30)) + "; BEGIN; SELECT 1; END")

    def order(seed: int) -> list[int]:
        project.run("w.sql", sets=("run.shuffle=true", f"run.seed={seed}", "run.repeat=2"))
        return [s.query.seq for s in project.heard(QueryFinished)]  # type: ignore[attr-defined]

    first = order(1)
    assert first == order(1)
    assert first != order(2)
    assert sorted(first[:33]) == list(range(1, 34))
    assert first[:33] != first[33:], "each round has an order of its own"
    block = first.index(31)
    assert first[block : block + 3] == [31, 32, 33]


def test_workers_share_the_work_and_events_stay_exact(project: Project) -> None:
    project.write("ev.py", COUNTING)
    project.config("events: [{class: 'ev.py:Count', args: {interval_count: 7}}]")
    block = "BEGIN; INSERT INTO pids SELECT 'b', pg_backend_pid(); SELECT pg_sleep(0.01); "
    block += "INSERT INTO pids SELECT 'b', pg_backend_pid(); COMMIT; "
    statements = "INSERT INTO pids SELECT 's', pg_backend_pid(); SELECT pg_sleep(0.005); " * 20
    project.write("s.sql", "DROP TABLE IF EXISTS pids; CREATE TABLE pids (kind text, pid int);")
    project.write("w.sql", statements + block + statements)
    project.run("s.sql")
    finished = project.run("w.sql", sets=("run.workers=3",))
    assert (finished.exit_code, finished.queries) == (0, 85)
    assert finished.event_firings == 85 // 7
    fired = [s.after_query for s in project.heard(EventTriggered)]  # type: ignore[attr-defined]
    assert fired == [7 * n for n in range(1, 13)]
    project.write("q.sql", "SELECT kind, count(DISTINCT pid) FROM pids GROUP BY kind ORDER BY 1")
    config = project.request("q.sql").config
    from pilotcli import DBControllerFactory

    controller = DBControllerFactory.get_db_controller(
        PostgreSQLConfig.from_run_config(config, embedded=False)
    )
    pids = controller.execute("SELECT kind, count(DISTINCT pid) FROM pids GROUP BY 1", fetch=True)
    controller.close()
    assert dict(pids) == {"b": 1, "s": 3}
    with project.journal() as journal:
        assert {one.worker for one in journal.results(finished.run_id)} == {0, 1, 2}


def test_collected_rows_have_what_was_asked_for(project: Project) -> None:
    project.config(
        "collect: {table: seen, physical_plan: true, estimated_cost: true, records: true}"
    )
    project.write("w.sql", "-- name: a\nSELECT 1 AS x, 'y' AS z;\nSELECT 1/0;\nSET work_mem='1MB'")
    finished = project.run("w.sql", sets=("run.max_failures=1",))
    assert finished.exit_code == 0
    config = PostgreSQLConfig.from_run_config(project.request("w.sql").config, embedded=False)
    manager = DataManager(config)
    rows = manager.read_all("seen").to_dict("records")
    manager.close()
    assert [(row["label"], row["status"], row["sql"]) for row in rows] == [
        ("a", "ok", "SELECT 1 AS x, 'y' AS z"),
        ("q2", "error", "SELECT 1/0"),
        ("q3", "ok", "SET work_mem='1MB'"),
    ]
    assert rows[0]["physical_plan"]["Plan"]["Node Type"] == "Result"
    assert rows[0]["estimated_cost"] == rows[0]["physical_plan"]["Plan"]["Total Cost"]
    assert rows[0]["records"] == [[1, "y"]]
    with project.journal() as journal:
        elapsed_s = journal.run(finished.run_id).elapsed_s
    assert elapsed_s is not None
    assert 0 < rows[0]["execution_time"] < elapsed_s


def test_an_event_sees_the_query_that_just_finished(project: Project) -> None:
    project.write(
        "ev.py",
        """
        from pilotcli import QueryFinishEvent

        class See(QueryFinishEvent):
            def process(self, db_controller, data_manager):
                print(list(data_manager.read_update("seen")["label"]))
        """,
    )
    project.config("collect: seen\nevents: [{class: 'ev.py:See', args: {interval_count: 2}}]")
    project.write("w.sql", "SELECT 1; SELECT 2; SELECT 3; SELECT 4; SELECT 5")
    project.run("w.sql")
    assert [s.text for s in project.heard(DriverOutput)] == ["['q1', 'q2']", "['q3', 'q4']"]  # type: ignore[attr-defined]


def test_a_lost_connection_is_an_error_and_the_run_goes_on(project: Project) -> None:
    project.write("w.sql", "SELECT 1; SELECT pg_terminate_backend(pg_backend_pid()); SELECT 2")
    finished = project.run("w.sql", sets=("run.max_failures=1",))
    assert (finished.exit_code, finished.ok, finished.errors) == (0, 2, 1)
    assert any("connected again" in s.text for s in project.heard(Notice))  # type: ignore[attr-defined]


def test_inline_data_is_copied(project: Project) -> None:
    project.write(
        "w.sql",
        "CREATE TEMP TABLE c (a int, b text);\nCOPY c FROM STDIN;\n1\tone\n2\ttwo\n\\.\n"
        "SELECT count(*) FROM c;\n",
    )
    finished = project.run("w.sql")
    assert finished.exit_code == 0, finished
    with project.journal() as journal:
        assert [one.row_count for one in journal.results(finished.run_id)][1:] == [2, 1]


def test_only_the_named_events(project: Project) -> None:
    project.write("ev.py", COUNTING)
    project.config(
        """
        events:
          - "ev.py:Count"
          - {class: "ev.py:Count", name: other, enabled: false}
        """
    )
    project.write("w.sql", "SELECT 1")
    assert [s.event for s in _fired(project)] == ["Count"]
    assert [s.event for s in _fired(project, events=("other",))] == ["other"]
    assert _fired(project, events=()) == []
    with pytest.raises(UsageError, match="no event named 'othr'") as raised:
        project.run("w.sql", events=("othr",))
    assert raised.value.hint == "Did you mean 'other'?"


def _fired(project: Project, **options: Any) -> list[Any]:
    project.run("w.sql", **options)
    return project.heard(EventTriggered)


def test_bad_input_ends_before_the_first_query(project: Project) -> None:
    project.write("empty.sql", "-- nothing\n")
    project.write("w.sql", "SELECT 1")
    with pytest.raises(WorkloadError):
        project.run("missing.sql")
    with pytest.raises(WorkloadError):
        project.run("empty.sql")
    with pytest.raises(UsageError, match="no workload"):
        project.run()
    project.config("events: ['nowhere.py:Nothing', 'os.path:join']")
    with pytest.raises(ConfigError) as raised:
        project.run("w.sql")
    assert len(raised.value.problems) == 2
    project.config()
    with pytest.raises(DatabaseError):
        project.run("w.sql", sets=("database.dsn=host=/nowhere dbname=x user=y",))
    assert not project.heard(RunFinished)


def test_a_block_whose_connection_is_lost_is_not_run_on(project: Project) -> None:
    project.write(
        "w.sql",
        """
        BEGIN;
        INSERT INTO half VALUES (1);
        SELECT pg_terminate_backend(pg_backend_pid());
        INSERT INTO half VALUES (2);
        COMMIT;
        SELECT 1
        """,
    )
    project.write("first.sql", "CREATE TABLE half (n int)")
    project.write("last.sql", "SELECT 1 / (1 - sign(count(*))) FROM half; DROP TABLE half")
    assert project.run("first.sql").exit_code == 0
    for workers in (1, 2):
        finished = project.run("w.sql", sets=(f"run.workers={workers}", "run.max_failures=3"))
        results = [signal.result for signal in project.heard(QueryFinished)]  # type: ignore[attr-defined]
        failed = {one.seq: one.error for one in results if one.status == "error"}
        assert sorted(failed) == [3, 4, 5]
        assert failed[4] == failed[5]
        assert "inside its transaction block" in str(failed[4])
        assert finished.exit_code == 0
    assert project.run("last.sql").exit_code == 0


def test_statements_that_are_joined_are_run_once_and_not_explained(project: Project) -> None:
    project.config("collect: {table: seen, physical_plan: true, estimated_cost: true}")
    project.write(
        "w.sql",
        """
        CREATE TABLE once (n int);
        SELECT 1 \\; INSERT INTO once VALUES (1);
        SELECT count(*) = 1 FROM once WHERE ';' = ';';
        DROP TABLE once
        """,
    )
    for planner in ("auto", "never"):
        finished = project.run("w.sql", sets=(f"steering.planner={planner}",))
        assert (finished.exit_code, finished.ok) == (0, 4)
    config = PostgreSQLConfig(dsn=project.dsn)
    config.user_data_db_name = project.store
    with DataManager(config) as manager:
        seen = manager.read_all("seen")
    plans = seen["physical_plan"]
    assert plans[2]["Plan"]["Node Type"] == "Aggregate"
    assert plans[6]["Plan"]["Node Type"] == "Aggregate"
    assert plans[5] is None


def test_a_store_that_cannot_be_reached_is_told_before_the_first_query(project: Project) -> None:
    project.config("collect: seen")
    project.write("w.sql", "SELECT 1")
    with pytest.raises(DatabaseError, match="store"):
        project.run("w.sql", sets=("store.dsn=host=/nowhere user=y",))
    assert not project.heard(QueryFinished)


def test_a_run_that_cannot_begin_is_no_killed_run(project: Project) -> None:
    project.write(
        "cards.py",
        """
        from pilotcli import CardPushHandler

        class Cards(CardPushHandler):
            def acquire_injected_data(self, sql):
                return {}
        """,
    )
    project.config("handlers: [cards.py:Cards]")
    project.write("w.sql", "SELECT 1")
    with pytest.raises(CapabilityError, match="cardinalities"):
        project.run("w.sql", sets=("steering.planner=never",))
    with project.journal() as journal:
        (record,) = journal.runs()
    assert (record.outcome, record.exit_code) == ("failed", CapabilityError.exit_code)
    assert "cardinalities" in record.summary["reasons"][0]


def test_an_event_that_forgets_its_base_is_told_so(project: Project) -> None:
    project.write(
        "ev.py",
        """
        from pilotcli import QueryFinishEvent

        class Forgets(QueryFinishEvent):
            def __init__(self, config):
                self.config = config

            def process(self, db_controller, data_manager):
                pass
        """,
    )
    project.write("w.sql", "SELECT 1")
    project.config("events: ['ev.py:Forgets']")
    with pytest.raises(UsageError, match="'Forgets' is not complete") as raised:
        project.run("w.sql")
    assert "super().__init__" in str(raised.value.hint)
    assert not project.heard(RunStarted)


@pytest.mark.slow
def test_a_server_that_an_event_restarts_costs_no_query(project: Project) -> None:
    project.write(
        "ev.py",
        """
        from pilotcli import QueryFinishEvent

        class Restarts(QueryFinishEvent):
            def process(self, db_controller, data_manager):
                if db_controller.execute("SHOW max_connections", fetch=True) == [("100",)]:
                    db_controller.set_knobs({"max_connections": 50})
        """,
    )
    project.write("pilot.yaml", "events: ['ev.py:Restarts']\ncollect: seen\n")
    project.write("w.sql", "SELECT 1; SELECT 2; SHOW max_connections; SELECT 4")
    project.write("after.sql", "SELECT 1 / (current_setting('max_connections') = '100')::int")
    home = (f"home={project.folder}/.pilot",)
    finished = project.run("w.sql", sets=home)
    assert (finished.exit_code, finished.ok, finished.event_failures) == (0, 4, 0)
    assert project.heard(Notice)[-1].text.startswith("undone")  # type: ignore[attr-defined]
    assert project.run("after.sql", sets=(*home, "events=[]")).ok == 1
