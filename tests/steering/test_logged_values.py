"""Handlers log values for a query, which are in its result wherever the result goes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from project_folder import Project

from pilotcli import (
    CardPushHandler,
    DriverError,
    HintPushHandler,
    PilotScheduler,
    PostgreSQLConfig,
    SchedulerFactory,
)
from pilotcli.common.redaction import forget_secrets, keep_secret
from pilotcli.common.signals import QueryFinished

DRIVERS = """
from pilotcli import HintPushHandler


class Arms(HintPushHandler):
    def acquire_injected_data(self, sql):
        if "plain" in sql:
            return None
        self.log(arm="hash", predicted_s=0.25, sql=sql)
        if "fails" in sql:
            raise KeyError("no such arm")
        return None


class Confidence(HintPushHandler):
    def acquire_injected_data(self, sql):
        if "plain" not in sql:
            self.log(confidence=0.9, arm="merge")
        return None
"""


class Logs(HintPushHandler):
    """Logs what it was made with."""

    def __init__(self, config: PostgreSQLConfig, values: Mapping[str, object]) -> None:
        super().__init__(config)
        self.values = values

    def acquire_injected_data(self, sql: str) -> None:
        self.log(**self.values)


@pytest.fixture
def scheduler(pilot_config: PostgreSQLConfig) -> Iterator[PilotScheduler]:
    with SchedulerFactory.create_scheduler(pilot_config) as made:
        yield made


def logged(scheduler: PilotScheduler, **values: object) -> Mapping[str, object] | None:
    """What the result of a query has, for which a handler logs `values`."""
    scheduler.register_custom_handlers(Logs(scheduler.config, values))  # type: ignore[arg-type]
    scheduler.execute("SELECT 1")
    assert scheduler.last_result is not None
    return scheduler.last_result.logged


def test_values_of_all_kinds_are_in_the_result(scheduler: PilotScheduler) -> None:
    values = {"arm": "hash", "predicted_s": 0.25, "tries": 3, "new": True, "parent": None}
    assert logged(scheduler, **values) == values


def test_numbers_of_other_libraries_become_plain_ones(scheduler: PilotScheduler) -> None:
    import decimal

    import numpy as np

    found = logged(
        scheduler,
        single=np.float32(0.5),
        count=np.int64(7),
        flag=np.bool_(True),
        array=np.array(1.5),
        text=np.str_("hash"),
        exact=decimal.Decimal("0.25"),
    )
    assert found == {
        "single": 0.5, "count": 7, "flag": True, "array": 1.5, "text": "hash", "exact": 0.25
    }  # fmt: skip
    assert [type(value) for value in found.values()] == [float, int, bool, float, str, float]


def test_numbers_that_json_does_not_have_become_none(scheduler: PilotScheduler) -> None:
    assert logged(scheduler, a=float("nan"), b=float("-inf")) == {"a": None, "b": None}


def test_secrets_in_texts_are_masked(scheduler: PilotScheduler) -> None:
    keep_secret({"hunter2hunter2"})
    try:
        assert logged(scheduler, note="by hunter2hunter2") == {"note": "by ***"}
    finally:
        forget_secrets()


def test_a_later_handler_replaces_the_value_of_an_earlier_one(scheduler: PilotScheduler) -> None:
    scheduler.register_custom_handlers(Logs(scheduler.config, {"a": 1, "b": 1}))  # type: ignore[arg-type]
    assert logged(scheduler, b=2, c=2) == {"a": 1, "b": 2, "c": 2}


def test_without_a_log_there_is_none(scheduler: PilotScheduler) -> None:
    assert logged(scheduler) is None


@pytest.mark.parametrize("value", [[1.0], {"a": 1}, object(), b"x", 1j])
def test_another_value_fails_the_query(scheduler: PilotScheduler, value: object) -> None:
    with pytest.raises(DriverError) as error:
        logged(scheduler, first=1, vector=value)
    kind = type(value).__name__
    assert error.value.message.startswith("Logs: ")
    assert error.value.message.endswith(
        f"'vector' cannot be logged: its value is a {kind}, not a number, a text, a bool or None"
    )
    assert scheduler.last_result is not None
    assert (scheduler.last_result.status, scheduler.last_result.logged) == ("steering_error", None)


def test_outside_of_a_query_nothing_is_logged(scheduler: PilotScheduler) -> None:
    handler = Logs(scheduler.config, {"a": 1})  # type: ignore[arg-type]
    scheduler.register_custom_handlers(handler)
    scheduler.execute("SELECT 1")
    with pytest.raises(DriverError, match="outside of a query") as error:
        handler.log(b=2)
    assert error.value.hint == "Call self.log(...) in acquire_injected_data."


def test_a_driver_may_have_an_attribute_of_the_name(scheduler: PilotScheduler) -> None:
    class OwnLog(CardPushHandler):
        def __init__(self, config: Any) -> None:
            super().__init__(config)
            self.log: list[str] = []  # type: ignore[assignment]

        def acquire_injected_data(self, sql: str) -> None:
            self.log.append(sql)  # type: ignore[attr-defined]

    handler = OwnLog(scheduler.config)
    scheduler.register_custom_handlers(handler)
    scheduler.execute("SELECT 1")
    assert handler.log == ["SELECT 1"]


def test_logged_values_are_in_journal_signals_and_exports(project: Project) -> None:
    project.write("drivers.py", DRIVERS)
    project.write("w.sql", "SELECT 'one';\nSELECT 'plain';\nSELECT 'fails';\n")
    project.config("handlers: [{class: 'drivers.py:Arms'}, {class: 'drivers.py:Confidence'}]")
    finished = project.run("w.sql", sets=("run.warmup=1",))
    first = {"arm": "merge", "predicted_s": 0.25, "sql": "SELECT 'one'", "confidence": 0.9}
    expected = [first, None, {"arm": "hash", "predicted_s": 0.25, "sql": "SELECT 'fails'"}]
    heard = [signal.result.logged for signal in project.heard(QueryFinished)]  # type: ignore[attr-defined]
    assert heard == expected
    with project.journal() as journal:
        assert [one.logged for one in journal.results(finished.run_id)] == expected
    shown = project.command("runs", "show", "--select", "q1").stdout
    assert "LOGGED\n" in shown
    assert "arm: merge" in shown
    whole = json.loads(project.command("runs", "show", "--format", "json").stdout)
    assert first in [one["logged"] for one in whole["slowest"]]
    for name in ("r.jsonl", "r.csv", "r.parquet"):
        done = project.command("runs", "export", "-o", name)
        assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in (project.folder / "r.jsonl").read_text().splitlines()]
    assert [row["logged"] for row in rows] == expected
    import pandas as pd

    for frame in (
        pd.read_csv(project.folder / "r.csv"),
        pd.read_parquet(project.folder / "r.parquet"),
    ):
        texts = frame["logged"].tolist()
        assert (json.loads(texts[0]), json.loads(texts[2])) == (expected[0], expected[2])
        assert pd.isna(texts[1])


def test_workers_keep_the_values_of_queries_apart(project: Project) -> None:
    project.write(
        "drivers.py",
        """
        from pilotcli import HintPushHandler

        class Echo(HintPushHandler):
            def acquire_injected_data(self, sql):
                self.log(number=int(sql.split()[-1]))
        """,
    )
    project.write("w.sql", "".join(f"SELECT {number};\n" for number in range(1, 201)))
    project.config("handlers: ['drivers.py:Echo']\nrun: {workers: 4}")
    finished = project.run("w.sql")
    with project.journal() as journal:
        numbers = {one.seq: one.logged for one in journal.results(finished.run_id)}
    assert numbers == {seq: {"number": seq} for seq in range(1, 201)}
