"""The demo's data and queries: the same everywhere, consistent, and hard on the planner."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from forum_demo import ROOT, forum_config

from pilotcli.common.records import Query
from pilotcli.config import PostgreSQLConfig
from pilotcli.databases.controller import PostgreSQLController, get_db_controller
from pilotcli.databases.opening import open_target
from pilotcli.databases.protocols import BaseDBController
from pilotcli.drivers.plans import PlanNode, plan_nodes
from pilotcli.workload import open_workload

pytestmark = pytest.mark.slow

WORKLOAD = list(open_workload([ROOT / "workloads" / "forum.sql"]))
VALIDATION = list(open_workload([ROOT / "workloads" / "forum_validation.sql"]))
TABLES = ("users", "posts", "comments", "votes", "badges", "tags", "post_tags", "links")
JOINS = {"Nested Loop", "Hash Join", "Merge Join"}

Plans = dict[str, Mapping[str, Any]]


@pytest.fixture(scope="module")
def executed(forum: PostgreSQLConfig) -> Iterator[Plans]:
    """Label to executed plan, of all queries.

    Without nested loops they need two seconds and not fifteen; estimates do not depend on it.
    """
    controller = PostgreSQLController(forum)
    controller.set_hint("enable_nestloop", False)
    analyze = "EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) "
    yield {
        query.label: controller.execute(analyze + query.sql, fetch=True)[0][0][0]
        for query in (*WORKLOAD, *VALIDATION)
    }
    controller.close()


def checksums(controller: BaseDBController) -> dict[str, tuple[int, int]]:
    """Rows and checksum of each table; the order of rows does not matter."""
    return {
        table: controller.execute(
            f"SELECT count(*), sum(hashtextextended(t::text, 0))::text FROM {table} AS t",
            fetch=True,
        )[0]
        for table in TABLES
    }


def joins(plan: object) -> list[PlanNode]:
    """The joins of a plan, the topmost first."""
    return [found for found in plan_nodes(plan) if found.node["Node Type"] in JOINS]


def top_join_error(plan: object) -> float:
    """The factor by which the topmost join's estimate is off."""
    node = joins(plan)[0].node
    expected = max(1.0, node["Plan Rows"])
    came = max(1.0, node["Actual Rows"] * node["Actual Loops"])
    return max(expected / came, came / expected)


@pytest.mark.parametrize("server", ["the same", "installed"])
def test_every_server_gets_the_same_rows(
    server: str, server_home: Path, tmp_path: Path, controller: PostgreSQLController
) -> None:
    if server == "installed":
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
        if not found:
            pytest.skip("no PostgreSQL is installed besides the one that comes with pilot")
        config = forum_config(tmp_path / ".pilot", "forum", found[-1])
    else:
        config = forum_config(server_home, "forum_again")
    target = open_target(config)
    other = get_db_controller(target.config, target=target)
    try:
        assert checksums(other) == checksums(controller)
    finally:
        other.close()
        target.close()


def test_setup_leaves_nothing_but_the_forum(controller: PostgreSQLController) -> None:
    assert sorted(controller.get_all_table_names()) == sorted(TABLES)
    left = "SELECT count(*) FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
    assert controller.execute(left, fetch=True) == [(0,)]


@pytest.mark.parametrize(
    "wrong",
    [
        "posts p WHERE comment_count <> (SELECT count(*) FROM comments WHERE post_id = p.id)",
        "posts p WHERE answer_count <> (SELECT count(*) FROM posts WHERE parent_id = p.id)",
        "posts p WHERE score <> (SELECT count(*) FILTER (WHERE kind = 'up')"
        " - count(*) FILTER (WHERE kind = 'down') FROM votes WHERE post_id = p.id)",
        "users u WHERE post_count <> (SELECT count(*) FROM posts WHERE owner_id = u.id)",
        "tags t WHERE post_count <> (SELECT count(*) FROM post_tags WHERE tag_id = t.id)",
        "posts a JOIN posts q ON q.id = a.parent_id WHERE q.kind <> 'question'",
        "post_tags JOIN posts ON posts.id = post_id WHERE kind <> 'question'",
    ],
)
def test_counters_and_kinds_are_true(wrong: str, controller: PostgreSQLController) -> None:
    assert controller.execute(f"SELECT count(*) FROM {wrong}", fetch=True) == [(0,)]


def test_a_few_write_most(controller: PostgreSQLController) -> None:
    share = (
        "SELECT sum(post_count) FILTER (WHERE place <= 200) * 1.0 / sum(post_count) FROM"
        " (SELECT post_count, row_number() OVER (ORDER BY post_count DESC) AS place FROM users) u"
    )
    assert controller.execute(share, fetch=True)[0][0] > 0.25  # one user in a hundred


def test_there_are_enough_queries_and_each_has_its_label() -> None:
    assert len(WORKLOAD) >= 60
    labels = [query.label for query in (*WORKLOAD, *VALIDATION)]
    assert len(set(labels)) == len(labels)
    assert all(query.command == "SELECT" and len(query.label) <= 28 for query in WORKLOAD)


def test_validation_queries_are_not_in_the_workload() -> None:
    def words(query: Query) -> str:
        return " ".join(query.sql.split())

    assert len(VALIDATION) >= 20
    assert not {words(query) for query in VALIDATION} & {words(query) for query in WORKLOAD}


def test_every_query_runs_and_joins_two_to_six_times(executed: Plans) -> None:
    counts = {label: len(joins(plan)) for label, plan in executed.items()}
    assert {label: count for label, count in counts.items() if not 2 <= count <= 6} == {}


def test_the_planner_is_wrong_by_orders_of_magnitude(executed: Plans) -> None:
    errors = sorted((top_join_error(executed[query.label]) for query in WORKLOAD), reverse=True)
    assert sum(error > 100 for error in errors) >= 30
    assert sum(error > 10_000 for error in errors) >= 5
    assert sum(error < 3 for error in errors) >= 10  # and right where nothing is correlated
