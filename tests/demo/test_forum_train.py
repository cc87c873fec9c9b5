"""The demo's queries to learn from are other queries than those that judge, and return rows."""

from __future__ import annotations

from pathlib import Path

import pytest
from forum_demo import ROOT

from pilotcli.config import load_config
from pilotcli.databases.controller import PostgreSQLController
from pilotcli.workload import open_workload
from pilotcli.workload.parts import in_both

TRAIN = ROOT / "workloads" / "forum_train.sql"
JUDGED = ROOT / "workloads" / "forum.sql"


def test_no_judged_query_is_among_those_to_learn_from() -> None:
    train, judged = open_workload([TRAIN]), open_workload([JUDGED])
    assert in_both(judged, train) == []
    labels = [query.label for query in (*train, *judged)]
    assert len(labels) == len(set(labels))


def test_the_demo_learns_on_them() -> None:
    config = load_config(ROOT / "configs" / "forum-cards.yaml")
    assert [path.resolve() for path in config.run.learn_on] == [TRAIN]
    assert [Path(path).resolve() for path in config.workload] == [JUDGED.resolve()]


@pytest.mark.slow
def test_each_returns_the_same_rows_whatever_its_plan(controller: PostgreSQLController) -> None:
    for query in open_workload([TRAIN]):
        found = []
        for method in ("enable_nestloop", "enable_hashagg"):
            controller.set_hint(method, False)
            found.append(controller.execute(query.sql, fetch=True))
            controller.set_hint(method, True)
        assert found[0], query.label
        assert found[0] == found[1], query.label
