"""`pilot runs advice`: the plans that a driver brought about, for servers where pilot is not."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pilot_starter import run_pilot

from pilotcli.common.records import SteeringReport
from pilotcli.config import PostgreSQLConfig
from pilotcli.databases.session.session import PostgresSession
from pilotcli.reports.advice import pushes_of
from pilotcli.steering.capabilities import Abilities

DOCUMENT = Path(__file__).parents[2] / "docs" / "json.md"
DRIVER = """
from pilotcli import CardPushHandler, JoinOrderPushHandler, ScanJoinMethodEnum
from pilotcli import ScanJoinMethodPushHandler


class Methods(ScanJoinMethodPushHandler):
    def acquire_injected_data(self, sql):
        return [(ScanJoinMethodEnum.MERGEJOIN, "s o")] if "shops s" in sql else None


class Order(JoinOrderPushHandler):
    def acquire_injected_data(self, sql):
        return ["l", "o", "s"] if "lines l" in sql and "shops s" in sql else None


class Cards(CardPushHandler):
    def acquire_injected_data(self, sql):
        if "day" not in sql:
            return None
        return {
            "SELECT COUNT(*) FROM orders o WHERE o.day = 3": 5000,
            "SELECT COUNT(*) FROM lines l": 3,
        }
"""
THREE = (
    "SELECT count(*) FROM shops s, orders o, lines l"
    " WHERE s.id = o.shop AND o.id = l.order_id AND s.city = 'city {}'"
)
WORKLOAD = [
    THREE.format(3),
    "SELECT count(*) FROM shops s JOIN orders o ON s.id = o.shop",
    "SELECT count(*) FROM orders o JOIN lines l ON o.id = l.order_id WHERE o.day = 3",
    "SELECT 1",
    THREE.format(4),
]


@pytest.fixture
def folder(shop_config: PostgreSQLConfig, tmp_path: Path) -> Iterator[Path]:
    tmp_path.chmod(0o711)
    (tmp_path / "driver.py").write_text(DRIVER)
    (tmp_path / "w.sql").write_text(";\n".join(WORKLOAD) + ";\n")
    programs = shop_config.postgres_bin
    place = "" if programs is None else f", postgres_bin: {programs}"
    (tmp_path / "pilot.yaml").write_text(
        f"home: {shop_config.home}\nworkload: w.sql\ndatabase: {{embedded: true{place}}}\n"
        "steering: {on_missing: skip}\n"
        "handlers: [driver.py:Methods, driver.py:Order, driver.py:Cards]\n"
    )
    yield tmp_path


def pilot(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return run_pilot(*words, cwd=folder)


def joins(session: PostgresSession, sql: str) -> list[str]:
    """The joins of a plan, and what they read."""
    lines = [row[0] for row in session.execute(f"EXPLAIN (COSTS off) {sql}").rows]
    return [line.strip() for line in lines if "Join" in line or "Scan" in line or "Loop" in line]


@pytest.mark.slow
def test_a_driver_is_followed_where_pilot_is_not(
    shop: PostgresSession, shop_config: PostgreSQLConfig, folder: Path
) -> None:
    able = Abilities(shop, shop_config)
    ran = pilot(folder, "run")
    assert ran.returncode == 0, ran.stderr
    run_id = str(json.loads(pilot(folder, "runs", "list", "--format", "json").stdout)[0]["run_id"])
    done = pilot(folder, "runs", "advice", run_id, "-o", "advice.sql")
    if not able.plan_advice:
        assert done.returncode == 2
        assert "has no pg_plan_advice" in done.stderr
        assert "Use PostgreSQL 19 or newer" in done.stderr
        other = pilot(folder, "runs", "advice", run_id, "--set", "database.name=postgres")
        assert f"Run {run_id} was on another database" in other.stderr
        pytest.skip("pg_plan_advice is not on this server")
    assert done.returncode == 0, done.stderr
    assert "belongs to this version" in done.stderr

    shown = pilot(folder, "runs", "advice", run_id, "--format", "json")
    found: Any = json.loads(shown.stdout)
    assert (str(found["run_id"]), found["warning"]) == (run_id, found["warning"])
    first, second, third, fourth, fifth = found["queries"]
    section = DOCUMENT.read_text().partition("## `pilot runs advice`")[2].partition("\n## ")[0]
    documented = set(re.findall(r"`([a-z_.]+)`(?=[^|\n]*\|.*\|\n)", section)) - {"null"}
    assert documented == {*found, *(f"queries.{key}" for key in first)}
    # These two share an identifier: the slower one has the advice.
    slower, faster = (first, fifth) if first["advice"] else (fifth, first)
    assert slower["advice"].startswith("JOIN_ORDER(l o s) MERGE_JOIN_PLAIN(s)")
    assert (slower["reason"], slower["differs"]) == (None, None)
    assert "MERGE_JOIN_PLAIN" in second["advice"]
    assert fourth["reason"] == "nothing was pushed for it"
    assert faster["reason"] == f"the same as for {slower['label']}"
    table = pilot(folder, "runs", "advice", run_id).stdout
    assert slower["advice"] in table
    assert "q4: nothing was pushed for it" in table

    wanted = [one["sql"] for one in (slower, second, third) if one["advice"]]
    assert len(wanted) == (3 if able.planner is not None else 2)
    usual = [joins(shop, sql) for sql in wanted]
    shop.execute((folder / "advice.sql").read_text())
    try:
        stash = f"'pilot_run_{run_id}'"
        shop.execute(f"SELECT pg_set_stashed_advice({stash}, 42, 'SEQ_SCAN(old)')")
        shop.execute((folder / "advice.sql").read_text())
        kept = shop.execute(f"SELECT query_id FROM pg_get_advice_stash_contents({stash})").rows
        assert len(kept) == len(
            {one["query_id"] for one in (slower, second, third) if one["advice"]}
        )
        assert (42,) not in kept
        shop.execute(
            f"LOAD 'pg_stash_advice'; SET pg_stash_advice.stash_name = 'pilot_run_{run_id}'"
        )
        followed = [joins(shop, sql) for sql in wanted]
        assert all(one != other for one, other in zip(usual, followed, strict=True))
        assert all("Merge Join" in str(plan) for plan in followed[:2])
        assert joins(shop, faster["sql"]) == followed[0]
    finally:
        shop.execute(f"SELECT pg_drop_advice_stash('pilot_run_{run_id}')")
        shop.execute("DROP EXTENSION pg_stash_advice")


def test_pushes_are_read_from_the_journal() -> None:
    key = "SELECT COUNT(*) FROM orders o WHERE o.day = 3"
    report = SteeringReport(
        (
            "work_mem = 8MB",
            "enable_hashjoin = off (for the whole query)",
            "HashJoin(s o) as HASH_JOIN(s)",
            'SeqScan("a b")',
            "SEQ_SCAN(l)",
            "Leading(((l o) s))",
            "Rows(o l #4)",
            key,
            "something else",
        ),
        cards=((key, 7.0),),
    )
    pushes, unread = pushes_of(report)
    assert pushes.hints == {
        "work_mem": "8MB",
        "enable_hashjoin": "off",
        "pg_plan_advice.advice": "HASH_JOIN(s) SEQ_SCAN(l)",
    }
    assert [(method.value, names) for method, names in pushes.methods] == [("SeqScan", '"a b"')]
    assert pushes.order == [["l", "o"], "s"]
    assert pushes.comment == "/*+ Rows(o l #4) */"
    assert pushes.cards == {key: 7.0}
    assert unread == ["something else"]
