"""Scripts in PilotScope's style, run unchanged on embedded servers of their own, of the PostgreSQL
that comes with pilot and of the one that is installed."""

from __future__ import annotations

import json

import pytest
from compat_script import Run
from project_folder import Project

pytestmark = pytest.mark.slow


def test_an_interactor_pulls_and_pushes(run: Run) -> None:
    found = run(
        """
        from pilotscope.DBInteractor.PilotDataInteractor import PilotDataInteractor
        from pilotscope.PilotEnum import ScanJoinMethodEnum

        interactor = PilotDataInteractor(config)
        interactor.pull_subquery_card()
        cards = interactor.execute(JOIN).subquery_2_card
        interactor.push_card({key: 777.0 for key in cards})
        interactor.pull_physical_plan()
        interactor.pull_execution_time()
        interactor.pull_estimated_cost()
        interactor.pull_record()
        data = interactor.execute(JOIN)
        found["rows"] = data.records["n"].tolist()
        found["pushed"] = data.physical_plan["Plan"]["Plans"][0]["Plan Rows"]
        found["time"] = 0 < data.execution_time < 10
        found["cost"] = data.estimated_cost > 0
        interactor.pull_record()
        found["batch"] = [int(one.records.iat[0, 0]) for one in interactor.execute_batch(
            ["SELECT 1", "SELECT 2"])]
        interactor.pull_record()
        found["parallel"] = [int(one.records.iat[0, 0]) for one in interactor.execute_parallel(
            [f"SELECT {n}" for n in range(20)], parallel_num=4)]
        interactor.push_hint({"enable_hashjoin": "off", "enable_mergejoin": "off"})
        interactor.pull_physical_plan()
        found["hinted"] = interactor.execute(JOIN).physical_plan["Plan"]["Plans"][0]["Node Type"]
        """
    )
    assert found["rows"] == [200]
    assert found["pushed"] == 777
    assert found["time"] is True and found["cost"] is True
    assert found["batch"] == [1, 2]
    assert found["parallel"] == list(range(20))
    assert found["hinted"] == "Nested Loop"


def test_what_if_and_real_indexes(run: Run) -> None:
    found = run(
        """
        from pilotscope.Common.Index import Index
        from pilotscope.DBInteractor.PilotDataInteractor import PilotDataInteractor

        one = "SELECT * FROM sale WHERE item_id = 7"
        what_if = PilotDataInteractor(config, enable_simulate_index=True)
        what_if.pull_estimated_cost()
        found["before"] = what_if.execute(one).estimated_cost
        what_if.push_index([Index(columns=["item_id"], table="sale", index_name="by_item")],
                           drop_other=False)
        what_if.pull_estimated_cost()
        found["with"] = what_if.execute(one).estimated_cost
        found["real"] = controller.get_index_number("sale")
        controller.create_index(Index(["item_id"], "sale", "by_item"))
        found["made"] = [index.index_name for index in controller.get_all_indexes()]
        found["byte"] = controller.get_index_byte(Index(["item_id"], "sale", "by_item")) > 0
        controller.drop_index(Index(["item_id"], "sale", "by_item"))
        """
    )
    assert float(str(found["with"])) < float(str(found["before"]))
    assert "by_item" in str(found["made"]) and found["byte"] is True


def test_a_scheduler_with_a_card_handler_and_every_kind_of_event(run: Run) -> None:
    found = run(
        """
        from pilotscope.Anchor.BaseAnchor.BasePushHandler import CardPushHandler
        from pilotscope.DBInteractor.PilotDataInteractor import PilotDataInteractor
        from pilotscope.Factory.SchedulerFactory import SchedulerFactory
        from pilotscope.PilotEvent import (PeriodicModelUpdateEvent, PretrainingModelEvent,
                                           QueryFinishEvent, WorkloadBeforeEvent)
        from pilotscope.PilotModel import PilotModel

        calls = []


        class Factor(PilotModel):
            def save_model(self):
                calls.append("save")

            def load_model(self):
                self.model = 1.0


        class Cards(CardPushHandler):
            def __init__(self, config, model):
                super().__init__(config)
                self.model = model
                self.interactor = PilotDataInteractor(config)

            def acquire_injected_data(self, sql):
                self.interactor.pull_subquery_card()
                cards = self.interactor.execute(sql).subquery_2_card
                return {key: rows * self.model.model for key, rows in cards.items()}


        class Pretrain(PretrainingModelEvent):
            def iterative_data_collection(self, db_controller, train_data_manager):
                calls.append("collect")
                rows = db_controller.execute("SELECT id, kind FROM item LIMIT 5", fetch=True)
                return [{"id": a, "kind": b, "both": {"a": a}} for a, b in rows], True

            def custom_model_training(self, bind_pilot_model, db_controller, data_manager):
                frame = data_manager.read_all(self.data_saving_table)
                calls.append(f"train {len(frame)} {type(bind_pilot_model).__name__}")
                found["json"] = json.loads(frame["both"][0])
                return float(len(frame))


        class Update(PeriodicModelUpdateEvent):
            def custom_model_update(self, pilot_model, db_controller, data_manager):
                new = data_manager.read_update("plans")
                calls.append(f"update {len(new)}")
                return pilot_model.model


        class Finish(QueryFinishEvent):
            def process(self, db_controller, data_manager):
                calls.append("finish")


        class Before(WorkloadBeforeEvent):
            def process(self, db_controller, data_manager):
                calls.append("before")


        model = Factor("factor")
        model.load_model()
        scheduler = SchedulerFactory.create_scheduler(config)
        scheduler.register_custom_handlers([Cards(config, model)])
        scheduler.register_required_data("plans", pull_execution_time=True,
                                         pull_physical_plan=True, pull_subquery_2_cards=True)
        scheduler.register_events([
            Pretrain(config, model, "examples"),
            Update(config, 2, model, execute_on_init=False),
            Finish(config, 3),
            Before(config),
        ])
        scheduler.init()
        frames = [scheduler.execute(JOIN) for _ in range(6)]
        found["rows"] = [int(frame["n"][0]) for frame in frames]
        found["calls"] = calls
        plans = scheduler.data_manager.read_all("plans")
        found["plans"] = len(plans)
        plan = json.loads(plans["physical_plan"].iloc[-1])["Plan"]
        found["pushed"] = plan["Plans"][0]["Plan Rows"]
        found["cards"] = len(json.loads(plans["subquery_to_card"].iloc[-1]))
        """
    )
    assert found["rows"] == [200] * 6
    assert found["json"] == {"a": 1}
    assert found["calls"] == [
        *("collect", "train 5 float", "save", "before"),
        *("update 2", "save", "finish", "update 2", "save", "update 2", "save", "finish"),
    ]
    assert found["plans"] == 6
    assert found["pushed"] == 1000  # five times the 200 that the planner expects
    assert found["cards"] == 3


def test_a_config_without_a_host_follows_libpqs_environment(run: Run) -> None:
    found = run(
        """
        import os
        from pathlib import Path

        def ask(controller, sql):
            return controller.execute(sql, fetch=True)[0][0]

        def make():
            config = PostgreSQLConfig(home="of_nobody")
            config.db = "from_the_environment"
            return DBControllerFactory.get_db_controller(config)

        started = "SELECT pg_postmaster_start_time()"
        os.environ["PGHOST"] = ask(controller, "SHOW unix_socket_directories")
        os.environ["PGPORT"] = ask(controller, "SHOW port")
        os.environ["PGUSER"] = ask(controller, "SELECT current_user::text")
        other = make()
        found["same"] = ask(other, started) == ask(controller, started)
        found["database"] = ask(other, "SELECT current_database()")
        found["home"] = Path("of_nobody").exists()
        """
    )
    assert found["same"] is True and found["home"] is False
    assert found["database"] == "from_the_environment"


def test_knobs_from_an_event_and_a_time_out(run: Run) -> None:
    found = run(
        """
        from pilotscope.DBInteractor.PilotDataInteractor import PilotDataInteractor
        from pilotscope.Factory.SchedulerFactory import SchedulerFactory
        from pilotscope.PilotEvent import QueryFinishEvent


        class Knobs(QueryFinishEvent):
            def process(self, db_controller, data_manager):
                interactor = PilotDataInteractor(self.config)
                interactor.push_knob({"work_mem": "12MB"})
                interactor.pull_execution_time()
                interactor.execute("SELECT 1")
                found["within"] = interactor.db_controller.execute("SHOW work_mem", True)[0][0]


        scheduler = SchedulerFactory.create_scheduler(config)
        scheduler.register_events(Knobs(config, 1))
        scheduler.init()
        scheduler.execute("SELECT 1")
        short = PostgreSQLConfig()
        short.postgres_bin = POSTGRES_BIN
        short.db = "shop"
        short.sql_execution_timeout = 1
        found["late"] = SchedulerFactory.create_scheduler(short).execute("SELECT pg_sleep(50)")
        header = controller.execute("SELECT 1 AS a, 2 AS b", fetch=True, fetch_column_name=True)
        found["header"] = header
        """
    )
    assert found["within"] == "12MB"
    assert found["late"] is None
    assert found["header"] == [["a", "b"], [1, 2]]


def test_a_script_hears_once_of_pushes_that_are_ignored(run: Run) -> None:
    found = run(
        """
        import logging
        from pilotscope.Anchor.BaseAnchor.BasePushHandler import (
            ScanJoinMethodPushHandler,
        )
        from pilotscope.DBInteractor.PilotDataInteractor import PilotDataInteractor
        from pilotscope.Factory.SchedulerFactory import SchedulerFactory
        from pilotscope.PilotEnum import ScanJoinMethodEnum

        class Heard(logging.Handler):
            def emit(self, record):
                found.setdefault(current, []).append(record.getMessage())

        class Other(ScanJoinMethodPushHandler):
            def acquire_injected_data(self, sql):
                return [(ScanJoinMethodEnum.SEQ, ["zz"])]

        from pilotcli.compat import ignored
        logging.getLogger("pilotcli.compat.ignored").addHandler(Heard())
        interactor = PilotDataInteractor(config)
        scheduler = SchedulerFactory.create_scheduler(config)
        scheduler.register_custom_handlers([Other(config)])
        for current in ("interactor", "scheduler"):
            ignored._reported.clear()
            for _ in range(2):
                if current == "scheduler":
                    scheduler.execute(JOIN)
                    continue
                interactor.push_scan_method(ScanJoinMethodEnum.SEQ, "zz")
                interactor.pull_physical_plan()
                interactor.execute(JOIN)
        """
    )
    for heard in (found["interactor"], found["scheduler"]):
        assert isinstance(heard, list) and len(heard) == 1
        assert heard[0].startswith("a push is ignored, since ") and "zz" in heard[0]


def test_what_a_script_leaves_behind(run: Run) -> None:
    there = """
        found["indexes"] = sorted(index.index_name for index in controller.get_all_indexes())
        found["knob"] = controller.execute("SHOW max_connections", fetch=True)[0][0]
        """
    during = run(
        """
        from pilotscope.Common.Index import Index

        controller.execute("CREATE TABLE kept (a int, b int, c int)")
        controller.execute("CREATE INDEX there_before ON kept (c)")
        controller.execute("CREATE INDEX by_sql ON kept (b)")
        controller.create_index(Index(["a"], "kept", "by_method"))
        controller.drop_index(Index(["c"], "kept", "there_before"))
        controller.write_knob_to_file({"max_connections": 77})
        controller.restart()
        """
        + there
    )
    after = run(there)
    run("controller.execute('DROP TABLE kept')")
    assert during == {"indexes": ["by_method", "by_sql"], "knob": "77"}
    assert after["indexes"] == ["by_sql", "there_before"]
    assert after["knob"] != "77"


def test_an_event_chooses_an_index_among_simulated_ones(run: Run) -> None:
    found = run(
        """
        from pilotscope.Common.Index import Index
        from pilotscope.DBInteractor.PilotDataInteractor import PilotDataInteractor
        from pilotscope.Factory.SchedulerFactory import SchedulerFactory
        from pilotscope.PilotEvent import PeriodicModelUpdateEvent

        workload = ["SELECT * FROM sale WHERE item_id = 7", "SELECT * FROM sale WHERE item_id = 9"]
        candidates = [Index(["amount"], "sale", "by_amount"), Index(["item_id"], "sale", "by_item")]


        class Choose(PeriodicModelUpdateEvent):
            def custom_model_update(self, pilot_model, db_controller, data_manager):
                if "chosen" in found:
                    return
                seen = data_manager.read_all("seen")["sql"].tolist()
                costs = {}
                for index in candidates:
                    what_if = PilotDataInteractor(self.config, enable_simulate_index=True)
                    what_if.push_index([index], drop_other=False)
                    what_if.pull_estimated_cost()
                    costs[index.index_name] = sum(
                        one.estimated_cost for one in what_if.execute_batch(seen))
                    what_if.db_controller.drop_all_indexes()
                found["costs"] = costs
                best = min(candidates, key=lambda one: costs[one.index_name])
                db_controller.create_index(best)
                found["chosen"] = best.index_name


        scheduler = SchedulerFactory.create_scheduler(config)
        scheduler.register_required_data("seen", pull_estimated_cost=True)
        scheduler.register_events(Choose(config, 2, execute_on_init=False))
        scheduler.init()
        rows = [len(scheduler.execute(sql)) for sql in workload * 2]
        frame = scheduler.data_manager.read_all("seen")
        found["rows"], found["stored"] = rows, frame["estimated_cost"].tolist()
        found["there"] = [one.index_name for one in controller.get_all_indexes()]
        """
    )
    assert found["rows"] == [10, 10, 10, 10]
    assert found["chosen"] == "by_item"
    costs = found["costs"]
    assert isinstance(costs, dict)
    assert costs["by_item"] < costs["by_amount"]
    stored = found["stored"]
    assert isinstance(stored, list)
    assert stored[2] < stored[0], "the index that the event made is used by the queries behind it"
    assert "by_item" in str(found["there"]) and "by_amount" not in str(found["there"])


def test_controllers_and_interactors_in_threads(run: Run) -> None:
    found = run(
        """
        from concurrent.futures import ThreadPoolExecutor
        from pilotscope.Common.Thread import ValueThread
        from pilotscope.DBInteractor.PilotDataInteractor import PilotDataInteractor

        def ask(number):
            own = DBControllerFactory.get_db_controller(config)
            interactor = PilotDataInteractor(config)
            interactor.push_hint({"work_mem": f"{number + 1}MB"})
            interactor.pull_record()
            shown = interactor.execute("SHOW work_mem").records.iat[0, 0]
            total = own.execute(f"SELECT {number} + count(*) FROM item", fetch=True)[0][0]
            shared = controller.execute(f"SELECT {number}", fetch=True)[0][0]
            return [int(total), shown, int(shared)]

        with ThreadPoolExecutor(8) as pool:
            found["all"] = list(pool.map(ask, range(24)))
        thread = ValueThread(target=ask, args=(3,), name="one")
        thread.start()
        found["one"] = thread.join()
        """
    )
    assert found["all"] == [[200 + n, f"{n + 1}MB", n] for n in range(24)]
    assert found["one"] == [203, "4MB", 3]


DRIVER = """
import json
from pilotscope.PilotEnum import DatabaseEnum
from pilotscope.PilotEvent import PeriodicModelUpdateEvent, PretrainingModelEvent
from pilotscope.PilotModel import PilotModel


class Numbers(PilotModel):
    def save_model(self):
        with open("numbers.json", "w") as file:
            json.dump(self.model, file)

    def load_model(self):
        self.model = None


class Pretrain(PretrainingModelEvent):
    def iterative_data_collection(self, db_controller, train_data_manager):
        assert self.config.db_type == DatabaseEnum.POSTGRESQL
        return [{"value": {"n": 3}}], True

    def custom_model_training(self, bind_pilot_model, db_controller, data_manager):
        assert bind_pilot_model is None  # the user's own model, and none is there yet
        return json.loads(data_manager.read_all("examples")["value"][0])


class Update(PeriodicModelUpdateEvent):
    def custom_model_update(self, pilot_model, db_controller, data_manager):
        db_controller._connect_if_loss()
        return {"n": pilot_model.model["n"] + 1}
"""


def test_a_config_names_a_driver_that_was_written_for_pilotscope(project: Project) -> None:
    project.write("driver.py", DRIVER)
    project.write("w.sql", "SELECT 1; SELECT 2; SELECT 3;")
    project.config(
        """
        models: {numbers: driver.py:Numbers}
        events:
          - {class: 'driver.py:Pretrain', model: numbers, args: {data_saving_table: examples}}
          - {class: 'driver.py:Update', model: numbers,
             args: {interval_count: 1, execute_on_init: false}}
        """
    )
    done = project.command("run", "w.sql")
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads((project.folder / "numbers.json").read_text()) == {"n": 6}


CONFIGURED = """
from pathlib import Path
from pilotscope.Anchor.BaseAnchor.BasePushHandler import HintPushHandler
from pilotscope.DBInteractor.PilotDataInteractor import PilotDataInteractor
from pilotscope.PilotConfig import PilotConfig, PostgreSQLConfig
from pilotscope.PilotEnum import DatabaseEnum, DataFetchMethodEnum, TrainSwitchMode
from pilotscope.PilotEvent import WorkloadBeforeEvent


def note(config, who):
    assert isinstance(config, PostgreSQLConfig) and isinstance(config, PilotConfig)
    assert config.db_type == DatabaseEnum.POSTGRESQL and config.is_local
    assert config.pretraining_model == TrainSwitchMode.WAIT
    assert config.data_fetch_method == DataFetchMethodEnum.HTTP
    config.enable_deep_control_local(".", ".")
    assert config.pg_ctl.endswith("pg_ctl")
    config.print()
    with open("noted", "a") as file:
        file.write(f"{who} {config.db} {config.once_request_timeout}\\n")


class Look(WorkloadBeforeEvent):
    def __init__(self, config):
        super().__init__(config)
        note(config, "made")

    def process(self, db_controller, data_manager):
        note(self.config, "event")
        interactor = PilotDataInteractor(self.config)
        interactor.pull_record()
        found = interactor.execute("SELECT current_database() AS d").records
        assert found["d"].tolist() == [self.config.db]


class Hints(HintPushHandler):
    def acquire_injected_data(self, sql):
        note(self.config, "handler")
        return {"work_mem": "5MB"}
"""


@pytest.mark.parametrize("drivers", ["events", "handlers"])
def test_in_a_run_a_drivers_config_is_of_pilotscopes_class(project: Project, drivers: str) -> None:
    project.write("driver.py", CONFIGURED)
    project.write("w.sql", "SELECT 1;")
    project.config(
        "run: {timeout: 7}\n"
        + ("events: ['driver.py:Look']" if drivers == "events" else "handlers: ['driver.py:Hints']")
    )
    done = project.command("run", "w.sql")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "pg_ctl = " in done.stdout + done.stderr
    noted = (project.folder / "noted").read_text().splitlines()
    who = ["made", "event"] if drivers == "events" else ["handler"]
    assert noted == [f"{one} pilot 7.0" for one in who]
    listed = project.command("events", "list")
    assert listed.returncode == 0, listed.stderr
