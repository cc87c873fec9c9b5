"""`pilot run` with handlers: what they say reaches the server, and what became of it is kept."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from project_folder import Project

from pilotcli.common.signals import Notice, QueryFinished

HANDLERS = """
import asyncio

from pilotcli import HintPushHandler


class Memory(HintPushHandler):
    def __init__(self, config, value="7MB"):
        super().__init__(config)
        self.value = value
        self.asked = []

    def acquire_injected_data(self, sql):
        if "unsteered" in sql:
            return None
        return {"work_mem": self.value}


class Fails(HintPushHandler):
    def acquire_injected_data(self, sql):
        if "two" in sql:
            raise KeyError("no such arm")
        return {}


class Exits(HintPushHandler):
    def acquire_injected_data(self, sql):
        raise SystemExit(3)


class Cancelled(HintPushHandler):
    def acquire_injected_data(self, sql):
        raise asyncio.CancelledError


class Misspelt(HintPushHandler):
    def acquire_injected_data(self, sql):
        return {"enable_nestlop": "off"}


class Unreadable:
    ndim = 0

    def item(self):
        raise ValueError("no text")


class NoText(HintPushHandler):
    def acquire_injected_data(self, sql):
        return {"work_mem": Unreadable()}


class Wrong(HintPushHandler):
    def acquire_injected_data(self, sql):
        return ["work_mem"]


class Nothing:
    def acquire_injected_data(self, sql):
        return {}
"""

WORKLOAD = """
-- name: one
SELECT current_setting('work_mem') AS one;
-- name: two
SELECT current_setting('work_mem') AS two;
-- name: unsteered
SELECT current_setting('work_mem') AS unsteered;
"""


@pytest.fixture
def steered(project: Project) -> Project:
    project.write("drivers.py", HANDLERS)
    project.write("w.sql", WORKLOAD)
    return project


def test_a_handler_steers_each_query(steered: Project) -> None:
    steered.config(
        """
        collect: {table: seen, records: true}
        handlers: ['drivers.py:Memory']
        """
    )
    finished = steered.run("w.sql")
    assert (finished.exit_code, finished.ok, finished.steered, finished.ignored) == (0, 3, 2, 0)
    reports = [signal.result.steering for signal in steered.heard(QueryFinished)]  # type: ignore[attr-defined]
    assert reports[0] is not None
    assert reports[0].applied == ("work_mem = 7MB",)
    assert reports[2] is None
    with steered.journal() as journal:
        kept = list(journal.results(finished.run_id))
    assert [one.steering for one in kept] == reports
    assert all(one.inference_s > 0 for one in kept)


def test_without_handlers_on_request(steered: Project) -> None:
    steered.config("handlers: ['drivers.py:Memory']")
    done = steered.command("run", "w.sql", "--no-handlers", "--output", "out.jsonl")
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in (steered.folder / "out.jsonl").read_text().splitlines()]
    assert [row["steering"] for row in rows] == [None] * 3


@pytest.mark.slow
def test_results_files_have_the_steering(steered: Project) -> None:
    steered.config("handlers: ['drivers.py:Memory']")
    for name in ("out.jsonl", "out.csv", "out.parquet"):
        done = steered.command("run", "w.sql", "--output", name)
        assert done.returncode == 0, done.stderr
    first = json.loads((steered.folder / "out.jsonl").read_text().splitlines()[0])
    assert first["steering"]["applied"] == ["work_mem = 7MB"]
    assert "work_mem = 7MB" in (steered.folder / "out.csv").read_text()


def test_numbers_of_numpy_and_decimals_are_hints(steered: Project) -> None:
    steered.write(
        "numbers.py",
        "import decimal, numpy\nfrom pilotcli import HintPushHandler\n"
        "class Numbers(HintPushHandler):\n"
        "    def acquire_injected_data(self, sql):\n"
        "        return {'work_mem': numpy.int64(7168), 'enable_sort': numpy.bool_(False),\n"
        "                'random_page_cost': decimal.Decimal('1.5')}\n",
    )
    steered.config("handlers: ['numbers.py:Numbers']")
    assert steered.run("w.sql").steered == 3
    results = [signal.result for signal in steered.heard(QueryFinished)]  # type: ignore[attr-defined]
    applied = ["work_mem = 7168", "enable_sort = off", "random_page_cost = 1.5"]
    assert list(results[0].steering.applied) == applied


def test_a_handler_that_raises_costs_its_query_alone(steered: Project) -> None:
    steered.config("handlers: ['drivers.py:Fails']")
    finished = steered.run("w.sql")
    assert (finished.exit_code, finished.ok, finished.errors) == (3, 2, 1)
    results = [signal.result for signal in steered.heard(QueryFinished)]  # type: ignore[attr-defined]
    assert [one.status for one in results] == ["ok", "steering_error", "ok"]
    assert results[1].error == "Fails: drivers.py:22: KeyError: 'no such arm'"
    why = "steering failed for 1 query (Fails: drivers.py:22: KeyError: 'no such arm')"
    assert why in finished.reasons


def test_it_runs_unsteered_instead_where_the_config_says_so(steered: Project) -> None:
    steered.config("handlers: ['drivers.py:Fails']\nsteering: {on_error: native}")
    finished = steered.run("w.sql")
    assert (finished.exit_code, finished.ok, finished.native) == (0, 3, 1)
    results = [signal.result for signal in steered.heard(QueryFinished)]  # type: ignore[attr-defined]
    assert results[1].steering is not None
    assert results[1].steering.native == "Fails: drivers.py:22: KeyError: 'no such arm'"
    assert any("ran unsteered" in one.text for one in steered.heard(Notice))  # type: ignore[attr-defined]


def test_a_handler_that_is_passed_over_leaves_nothing_of_what_it_did(steered: Project) -> None:
    steered.write("shop.sql", "CREATE TABLE shop (id int, day int); CREATE INDEX own ON shop (id);")
    steered.config("")
    assert steered.run("shop.sql").exit_code == 0
    steered.write(
        "indexes.py",
        "from pilotcli import Index, IndexPushHandler\n"
        "class Half(IndexPushHandler):\n"
        "    drop_other = True\n"
        "    def acquire_injected_data(self, sql):\n"
        "        return [Index(['day'], 'shop', 'made'), Index(['none'], 'shop')]\n",
    )
    # Divides by zero unless the indexes are those that were there before.
    steered.write(
        "now.sql",
        "SELECT 1 / CAST(array_agg(indexname::text) = ARRAY['own'] AS int) FROM pg_indexes "
        "WHERE tablename = 'shop';",
    )
    steered.config("handlers: ['indexes.py:Half']\nsteering: {on_error: native}")
    finished = steered.run("now.sql")
    assert (finished.exit_code, finished.ok) == (0, 1)
    notices = [one.text for one in steered.heard(Notice)]  # type: ignore[attr-defined]
    assert any("nothing by Half: the table 'shop' has no column 'none'" in one for one in notices)


@pytest.mark.parametrize(
    ("handler", "said"),
    [
        ("'drivers.py:Exits'", "Exits: drivers.py:28: it called sys.exit(3)"),
        ("'drivers.py:Cancelled'", "Cancelled: drivers.py:33: CancelledError"),
        ("'drivers.py:NoText'", "NoText: the hint work_mem must be one value, not <"),
        ("'drivers.py:Wrong'", "Wrong: hints are a mapping {setting: value}, not list"),
        (
            "{class: 'drivers.py:Memory', args: {value: many}}",
            'the server refuses a pushed setting: invalid value for parameter "work_mem": "many"',
        ),
        (
            "'drivers.py:Misspelt'",
            "the server refuses a pushed setting: unrecognized configuration parameter "
            "\"enable_nestlop\". Did you mean 'enable_nestloop'?",
        ),
    ],
)
def test_what_cannot_be_pushed_is_a_steering_error(
    steered: Project, handler: str, said: str
) -> None:
    steered.config(f"handlers: [{handler}]")
    finished = steered.run("w.sql")
    assert finished.exit_code == 3
    results = [signal.result for signal in steered.heard(QueryFinished)]  # type: ignore[attr-defined]
    assert results[0].status == "steering_error"
    assert str(results[0].error).startswith(said)


def test_a_misspelt_setting_in_a_transaction_is_refused_with_the_right_name(
    steered: Project,
) -> None:
    steered.write("t.sql", "BEGIN; SELECT 1; COMMIT;")
    steered.config("handlers: ['drivers.py:Misspelt']")
    finished = steered.run("t.sql")
    assert (finished.ok, finished.errors) == (2, 1)
    results = [signal.result for signal in steered.heard(QueryFinished)]  # type: ignore[attr-defined]
    assert str(results[1].error).endswith("Did you mean 'enable_nestloop'?")


def test_a_class_that_is_no_handler_is_refused_before_the_run(steered: Project) -> None:
    steered.config("handlers: ['drivers.py:Nothing']")
    done = steered.command("run", "w.sql")
    assert done.returncode == 2
    assert "Nothing is not a handler" in done.stderr


def test_several_workers_are_steered_alike(steered: Project) -> None:
    steered.config("handlers: ['drivers.py:Memory']\nrun: {workers: 3, repeat: 20}")
    finished = steered.run("w.sql")
    assert (finished.ok, finished.steered) == (60, 40)


@pytest.mark.slow
def test_the_summary_tells_of_steering(steered: Project) -> None:
    steered.config("handlers: ['drivers.py:Memory']")
    done = steered.command("run", "w.sql")
    assert "steering  2 queries" in done.stdout


OUTLASTING = """
    from pilotcli import Index, IndexPushHandler, KnobPushHandler, QueryFinishEvent


    class Cost(KnobPushHandler):
        asked = []

        def acquire_injected_data(self, sql):
            Cost.asked.append(sql)
            return {"random_page_cost": 1.25}


    class Days(IndexPushHandler):
        def acquire_injected_data(self, sql):
            return [Index(["day"], "visits", "by_day")]


    class Fails(QueryFinishEvent):
        def process(self, db_controller, data_manager):
            raise RuntimeError("no")
"""


@pytest.mark.parametrize("events", ["[]", "['drivers.py:Fails']"])
def test_knobs_and_indexes_hold_for_the_run_and_no_longer(project: Project, events: str) -> None:
    project.write("drivers.py", OUTLASTING)
    project.write("first.sql", "CREATE TABLE visits (day int); INSERT INTO visits VALUES (1)")
    project.write(
        "w.sql",
        """
        SELECT 1 / (current_setting('random_page_cost') = '1.25')::int;
        SELECT 1 / count(*) FROM pg_indexes WHERE indexname = 'by_day'
        """,
    )
    project.write(
        "after.sql",
        """
        SELECT 1 / (current_setting('random_page_cost') <> '1.25')::int;
        SELECT 1 / (1 - count(*)) FROM pg_indexes WHERE indexname = 'by_day';
        DROP TABLE visits
        """,
    )
    assert project.run("first.sql").exit_code == 0
    project.config(f"handlers: ['drivers.py:Cost', 'drivers.py:Days']\nevents: {events}")
    finished = project.run("w.sql", sets=("run.repeat=2",))
    assert (finished.ok, finished.errors) == (4, 0)
    told = [one.text for one in project.heard(Notice)]  # type: ignore[attr-defined]
    assert "for this workload: random_page_cost = 1.25" in told
    assert "for this workload: index on visits (day)" in told
    project.config()
    assert project.run("after.sql").ok == 3


def test_a_knob_that_the_server_refuses_ends_the_run_before_its_first_query(
    project: Project,
) -> None:
    project.write("drivers.py", OUTLASTING.replace("1.25", "'much'"))
    project.write("w.sql", "SELECT 1")
    project.config("handlers: ['drivers.py:Cost']")
    finished = project.run("w.sql")
    assert (finished.exit_code, finished.queries) == (3, 0)
    assert "random_page_cost" in finished.reasons[0]


CARDS = """
from pilotcli import CardPushHandler


class Doubled(CardPushHandler):
    def acquire_injected_data(self, sql):
        try:
            plans = self.interactor.subplans(sql)
        except Exception as error:
            if "CREATE TABLE a" in sql:  # without a query
                return None
            raise
        return {key: rows * 2 for key, rows in plans.cards.items()}
"""

STATEMENTS = """
CREATE TABLE a (i int);
INSERT INTO a SELECT generate_series(1, 50);
CREATE TABLE b AS SELECT x.i FROM a x JOIN a y USING (i);
CREATE MATERIALIZED VIEW v AS SELECT x.i FROM a x JOIN a y USING (i);
REFRESH MATERIALIZED VIEW v;
COPY (SELECT x.i FROM a x JOIN a y USING (i)) TO STDOUT;
EXPLAIN SELECT x.i FROM a x JOIN a y USING (i);
BEGIN;
DECLARE c CURSOR FOR SELECT x.i FROM a x JOIN a y USING (i);
COMMIT;
"""


def test_cardinalities_are_pushed_into_statements_around_a_query(
    project: Project, server_home: Path
) -> None:
    project.write("drivers.py", CARDS)
    project.write("w.sql", STATEMENTS)
    project.write("setup.sql", "SELECT 1")
    project.write(
        "pilot.yaml",
        f"""
        home: {server_home}
        database: {{name: statements, setup: setup.sql}}
        store: {{database: store_of_statements}}
        handlers: ['drivers.py:Doubled']
        collect: {{table: t, subquery_cards: true}}
        """,
    )
    finished = project.run("w.sql")
    assert (finished.exit_code, finished.ok) == (0, 10)
    applied = {
        signal.query.command: signal.result.steering.applied  # type: ignore[attr-defined]
        for signal in project.heard(QueryFinished)
        if "JOIN" in signal.query.sql or "REFRESH" in signal.query.sql  # type: ignore[attr-defined]
    }
    assert set(applied) == {"CREATE", "REFRESH", "COPY", "EXPLAIN", "DECLARE"}
    assert all(len(keys) == 3 for keys in applied.values()), applied
