"""Events and handlers see the queries of the run: lazily, again and again, in any thread."""

from __future__ import annotations

import gzip
import io
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from doc_blocks import blocks
from project_folder import Project

from pilotcli import (
    HintPushHandler,
    PilotScheduler,
    PostgreSQLConfig,
    Query,
    QueryFinishEvent,
    SchedulerFactory,
    WorkloadQueries,
)
from pilotcli.common.errors import WorkloadError
from pilotcli.common.signals import DriverOutput
from pilotcli.workload import open_workload

DRIVERS = """
from pilotcli import HintPushHandler, IndexPushHandler, PretrainingModelEvent, WorkloadBeforeEvent


class First(WorkloadBeforeEvent):
    def process(self, db_controller, data_manager):
        print([(query.label, query.sql, query.facts.weight) for query in self.workload])
        print(len(self.workload), len(list(self.workload)))


class Knows(HintPushHandler):
    def __init__(self, config):
        super().__init__(config)
        assert self.workload is None

    def acquire_injected_data(self, sql):
        self.log(place=[query.sql for query in self.workload].index(sql))


class Advises(IndexPushHandler):
    def acquire_injected_data(self, sql):
        print("advises for", len(self.workload))


class Trains(PretrainingModelEvent):
    def __init__(self, config):
        super().__init__(config, None, "t", enable_training=False)

    def iterative_data_collection(self, db_controller, data_manager):
        print("trains on", len(self.workload))
        return [], True

    def custom_model_training(self, pilot_model, db_controller, data_manager):
        return None
"""
CONFIG = """
events: ['drivers.py:First', 'drivers.py:Trains']
handlers: ['drivers.py:Knows', 'drivers.py:Advises']
"""


@pytest.fixture
def drivers(project: Project) -> Project:
    project.write("drivers.py", DRIVERS)
    project.config(CONFIG)
    return project


def printed(project: Project) -> list[str]:
    return [signal.text for signal in project.heard(DriverOutput)]  # type: ignore[attr-defined]


def test_events_and_handlers_see_the_queries_to_come(drivers: Project) -> None:
    drivers.write(
        "w.jsonl",
        '{"sql": "SELECT 1", "label": "one", "weight": 700}\n{"sql": "SELECT 2", "weight": "0.5"}\n'
        '{"sql": "SELECT 3"}\n',
    )
    finished = drivers.run("w.jsonl", sets=("run.workers=2", "run.repeat=2"))
    assert (finished.exit_code, finished.ok) == (0, 6)
    expected = [("one", "SELECT 1", 700.0), ("q2", "SELECT 2", 0.5), ("q3", "SELECT 3", None)]
    assert printed(drivers) == ["trains on 3", str(expected), "3 3", "advises for 3"]
    with drivers.journal() as journal:
        for result in journal.results(finished.run_id):
            assert result.logged == {"place": result.seq - 1}


def test_the_example_of_the_docs_runs(scheduler: PilotScheduler, tmp_path: Path) -> None:
    (tmp_path / "w.jsonl").write_text('{"sql": "SELECT 1", "weight": 3}\n{"sql": "SELECT 2"}\n')
    event = Counts(scheduler.config)  # type: ignore[arg-type]
    scheduler.register_events(event)
    scheduler.set_workload(open_workload([tmp_path / "w.jsonl"]))
    (block,) = (
        block.text
        for block in blocks("python")
        if (block.page, block.heading) == ("events.md", "The queries to come")
    )
    names = {"self": event, "db_controller": scheduler.db_controller, "total": 0.0}
    exec(block, names)
    cost = scheduler.db_controller.get_estimated_cost("SELECT 1")
    assert names["total"] == pytest.approx(4 * cost)


def test_both_arms_of_a_paired_run_see_them(drivers: Project) -> None:
    drivers.write("w.sql", "SELECT 1;\nSELECT 2;\n")
    drivers.config("events: ['drivers.py:First']")
    (drivers.folder / "other.yaml").write_text((drivers.folder / "pilot.yaml").read_text())
    done = drivers.command("run", "w.sql", "--against", "other.yaml", "--format", "plain")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("driver: 2 2\n") == 2


def test_standard_input_is_read_to_its_end(drivers: Project) -> None:
    drivers.config("events: ['drivers.py:First']")
    done = drivers.command("run", "-", input="SELECT 1;\nSELECT 2;\n")
    assert done.returncode == 0, done.stdout + done.stderr
    shown = done.stdout + done.stderr
    assert "[('q1', 'SELECT 1', None), ('q2', 'SELECT 2', None)]" in shown


def test_a_weight_is_a_number(tmp_path: Path) -> None:
    (tmp_path / "w.csv").write_text("sql,weight\nSELECT 1,often\n")
    with pytest.raises(WorkloadError) as error:
        list(open_workload([tmp_path / "w.csv"]))
    assert error.value.message.endswith(":2: weight is a number from 0 on, not 'often'")


class Counts(QueryFinishEvent):
    """Knows how many queries it saw at each firing."""

    def __init__(self, config: PostgreSQLConfig) -> None:
        super().__init__(config, 1)
        self.seen: list[int | None] = []

    def process(self, db_controller: Any, data_manager: Any) -> None:
        self.seen.append(None if self.workload is None else len(self.workload))


class Own(HintPushHandler):
    """Has an attribute of its own."""

    def __init__(self, config: PostgreSQLConfig) -> None:
        super().__init__(config)
        self.workload = ["mine"]  # type: ignore[assignment]

    def acquire_injected_data(self, sql: str) -> None:
        return None


class OwnProperty(HintPushHandler):
    """Has a property of the name, which cannot be set."""

    @property
    def workload(self) -> str:  # type: ignore[override]
        return "mine"

    def acquire_injected_data(self, sql: str) -> None:
        return None


class Three:
    """A workload of three queries that is not counted beforehand."""

    def __iter__(self) -> Iterator[Query]:
        return (Query(seq, f"q{seq}", f"SELECT {seq}") for seq in range(1, 4))

    def count(self) -> int | None:
        return None


@pytest.fixture
def scheduler(pilot_config: PostgreSQLConfig) -> Iterator[PilotScheduler]:
    with SchedulerFactory.create_scheduler(pilot_config) as made:
        yield made


def test_each_phase_shows_its_own_queries(scheduler: PilotScheduler, tmp_path: Path) -> None:
    event = Counts(scheduler.config)  # type: ignore[arg-type]
    scheduler.register_events(event)
    scheduler.execute("SELECT 1")
    (tmp_path / "train.sql").write_text("SELECT 1;\nSELECT 2;\n")
    scheduler.set_workload(open_workload([tmp_path / "train.sql"]))
    scheduler.execute("SELECT 1")
    late = Counts(scheduler.config)  # type: ignore[arg-type]
    scheduler.register_events(late)
    scheduler.execute("SELECT 1")
    scheduler.set_workload(None)
    scheduler.execute("SELECT 1")
    assert (event.seen, late.seen) == ([None, 2, 2, None], [2, None])


def test_a_driver_s_own_attribute_stays(scheduler: PilotScheduler) -> None:
    own, of_class = Own(scheduler.config), OwnProperty(scheduler.config)  # type: ignore[arg-type]
    scheduler.register_custom_handlers([own, of_class])
    scheduler.set_workload(Three())
    assert (own.workload, of_class.workload) == (["mine"], "mine")


def test_the_number_of_queries_may_be_unknown() -> None:
    queries = WorkloadQueries(Three())
    assert [query.seq for query in queries] == [1, 2, 3]
    assert list(queries) == list(queries)
    assert queries
    with pytest.raises(TypeError, match="not known"):
        len(queries)


class Pipe(io.BytesIO):
    """Gives little at a time."""

    def read1(self, size: int | None = -1) -> bytes:
        return super().read1(500)


@pytest.mark.parametrize("kind", ["plain", "compressed", "standard input"])
def test_several_threads_each_read_all_queries(tmp_path: Path, kind: str) -> None:
    rows = {number: f"{number}\trow {number}\n" * (number % 50 + 1) for number in range(300)}
    text = "".join(
        f"SELECT {number};\nCOPY t FROM STDIN;\n{data}\\.\n" for number, data in rows.items()
    ).encode()
    path = tmp_path / ("w.sql.gz" if kind == "compressed" else "w.sql")
    path.write_bytes(gzip.compress(text) if kind == "compressed" else text)
    stdin = Pipe(text) if kind == "standard input" else None
    found: list[list[tuple[str, bytes]]] = []

    def read(workload: Any) -> None:
        queries = []
        for query in workload:
            data = b""
            if query.copy is not None:
                with query.copy.path.open("rb") as file:
                    file.seek(query.copy.offset)
                    data = file.read(query.copy.size_bytes)
            queries.append((query.sql, data))
        found.append(queries)

    with open_workload(["-" if stdin else str(path)], stdin=stdin) as workload:
        threads = [threading.Thread(target=read, args=(workload,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    expected = [
        query
        for number, data in rows.items()
        for query in ((f"SELECT {number}", b""), ("COPY t FROM STDIN", data.encode()))
    ]
    assert [len(queries) for queries in found] == [600] * 4
    assert all(queries == expected for queries in found)
