"""Indexes as the index advisors that were written for PilotScope use them."""

from __future__ import annotations

import pytest
from server_folder import server_folder

from pilotcli.compat.pilotscope.Common.Index import Index
from pilotcli.compat.pilotscope.DBInteractor.PilotDataInteractor import PilotDataInteractor
from pilotcli.compat.pilotscope.PilotConfig import PostgreSQLConfig

pytestmark = pytest.mark.slow


def test_indexes_are_compared_sorted_and_named() -> None:
    one, same = Index(["a", "b"], "t", "x"), Index(("a", "b"), "t", "x")
    assert one == same and len({one, same, Index(["a"], "t")}) == 2
    assert one.columns == ("a", "b")
    wide = Index(["a", "b"], "t")
    assert sorted([wide, Index(["c"], "t"), Index(["b"], "t")])[0].columns == ("b",)
    assert max([Index(["z"], "t"), wide]) is wide
    assert one.get_index_name() == "x" and wide.get_index_name() == "t_a_b_idx"


def test_a_what_if_loop_reads_what_pilotscope_hangs_on_an_index() -> None:
    with server_folder() as folder:
        config = PostgreSQLConfig(home=folder / ".pilot")
        config.db = "advised"
        interactor = PilotDataInteractor(config, enable_simulate_index=True)
        controller = interactor.db_controller
        controller.execute(
            "CREATE TABLE t AS SELECT g AS a, g AS b FROM generate_series(1, 9999) g"
        )
        costs = {}
        for column in ("b", "a"):
            index = Index([column], "t", f"by_{column}")
            interactor.push_index([index])
            interactor.pull_estimated_cost()
            told = interactor.execute("SELECT * FROM t WHERE a = 7", is_reset=False)
            assert told is not None
            costs[column] = told.estimated_cost or 0.0
            assert controller.get_index_byte(index) > 0
            assert index.hypopg_oid is None and index.hypopg_name is None
            assert controller.get_index_number("t") == 1
        assert costs["a"] < costs["b"]
        interactor.close()
