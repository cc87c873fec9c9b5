"""What was stored comes back in the form that drivers written for PilotScope work on."""

from __future__ import annotations

import json

import pytest
from server_folder import server_folder

from pilotcli.compat.pilotscope.DataManager.DataManager import DataManager
from pilotcli.compat.pilotscope.Factory.DBControllerFectory import DBControllerFactory
from pilotcli.compat.pilotscope.PilotConfig import PostgreSQLConfig

pytestmark = pytest.mark.slow


def test_json_columns_take_what_a_driver_has_parsed() -> None:
    with server_folder() as folder:
        config = PostgreSQLConfig(home=folder / ".pilot")
        config.db = "stored"
        manager = DataManager(config)
        manager.save_data_batch("plans", [{"plan": {"n": 1}}, {"plan": {"n": 2}}])
        for frame in (manager.read_update("plans"), manager.read_all("plans")):
            assert frame["plan"].dtype == object
            plans = frame["plan"].values.copy()
            plans[0] = {**json.loads(plans[0]), "Buffers": {}}
            assert list(plans) == [{"n": 1, "Buffers": {}}, '{"n": 2}']
        manager.close()
        controller = DBControllerFactory.get_db_controller(config)
        controller.execute("CREATE TABLE t (a int, b text)")
        assert controller.get_table_column_name_all_schema("t") == ["a", "b"]
        controller.close()
