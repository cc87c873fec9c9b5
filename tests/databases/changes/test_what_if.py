"""What-if indexes, by HypoPG and by rolled-back transactions; extensions come and go."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from changes_support import Bench, Pilot

from pilotcli.common.errors import QueryError, SteeringError
from pilotcli.common.records import Index
from pilotcli.databases.changes.log import ChangeLog
from pilotcli.databases.controller import (
    DBControllerFactory,
    PostgreSQLController,
)

SCHEMA = """
CREATE TABLE posts (id int PRIMARY KEY, owner int, score int);
INSERT INTO posts SELECT g, g % 997, g % 10 FROM generate_series(1, 20000) AS g;
CREATE TABLE users (id int, name text);
INSERT INTO users SELECT g, 'u' || g FROM generate_series(1, 3000) AS g;
VACUUM ANALYZE posts;
VACUUM ANALYZE users;
"""
QUERY = "SELECT count(*) FROM posts AS p JOIN users AS u ON p.owner = u.id WHERE u.id = 7"


def has_hypopg(bench: Bench) -> bool:
    found = bench.sql("SELECT count(*) FROM pg_available_extensions WHERE name = 'hypopg'")
    return found == [(1,)]


@pytest.fixture(params=["hypopg", "rollback"])
def simulated(bench: Bench, request: pytest.FixtureRequest) -> Iterator[Pilot]:
    """A controller of what-if indexes; without HypoPG for a role that may not create it."""
    for statement in SCHEMA.strip().split(";\n"):
        bench.sql(statement)
    user = "postgres"
    if request.param == "hypopg":
        if not has_hypopg(bench):
            pytest.skip("this server has no HypoPG (Debian's package postgresql-15-hypopg)")
    else:
        user = f"plain_{bench.database}"
        bench.sql(f"CREATE ROLE {user} LOGIN; ALTER TABLE posts OWNER TO {user}")
        bench.sql(f"ALTER TABLE users OWNER TO {user}; GRANT CREATE ON SCHEMA public TO {user}")
    pilot = bench.open(bench.dsn_config(user=user))
    pilot.controller = PostgreSQLController(
        pilot.target.config, target=pilot.target, enable_simulate_index=True
    )
    yield pilot
    pilot.close()
    assert ChangeLog(bench.home).pending() == []
    assert bench.sql("SELECT count(*) FROM pg_extension WHERE extname = 'hypopg'") == [(0,)]
    assert bench.names() == ["posts_pkey"]
    if user != "postgres":
        bench.sql(f"DROP OWNED BY {user}; DROP ROLE {user}")


def shape(node: dict[str, object]) -> list[object]:
    """The kinds of the plan's nodes, and what they read, without the names of indexes."""
    below = node.get("Plans", [])
    assert isinstance(below, list)
    kind = str(node["Node Type"]).replace("Bitmap Index", "Index")
    return [kind, node.get("Relation Name"), *map(shape, below)]


def test_the_plan_is_that_of_real_indexes(bench: Bench, simulated: Pilot) -> None:
    controller = simulated.controller
    plain = controller.get_estimated_cost(QUERY)
    controller.create_index(Index(["owner"], "posts"))
    controller.create_index(Index(["id"], "users", "by_id"))
    promised = controller.explain_physical_plan(QUERY)["Plan"]
    cost = controller.get_estimated_cost(QUERY)
    assert cost < plain / 4
    bench.sql("CREATE INDEX ON posts (owner)")
    bench.sql("CREATE INDEX by_id ON users (id)")
    real = simulated.target.session()
    found = real.explain(QUERY)["Plan"]
    real.close()
    assert shape(promised) == shape(found)
    assert cost == pytest.approx(found["Total Cost"], rel=0.1)
    bench.sql("DROP INDEX posts_owner_idx, by_id")
    controller.drop_index(Index(["owner"], "posts"))
    assert controller.get_all_indexes() == [Index(["id"], "users", "by_id")]
    controller.drop_all_indexes()
    assert controller.get_estimated_cost(QUERY) == plain


def test_sizes_and_lists(bench: Bench, simulated: Pilot) -> None:
    controller = simulated.controller
    wanted = Index(["owner", "score"], "posts")
    controller.create_index(wanted)
    controller.create_index(Index(["id"], "users"))
    assert controller.get_existed_indexes("posts") == [wanted]
    assert controller.get_index_number("posts") == 1
    size = controller.get_index_byte(wanted)
    bench.sql("CREATE INDEX measured ON posts (owner, score)")
    ((real,),) = bench.sql("SELECT pg_table_size('measured')")
    bench.sql("DROP INDEX measured")
    assert isinstance(real, int)
    # HypoPG does not count equal entries as one (deduplication), the server does.
    assert real * 0.9 < size < real * 4
    assert controller.get_table_indexes_byte("posts") == size
    assert controller.get_all_indexes_byte() > size


def test_a_name_that_is_taken_is_no_matter(bench: Bench, simulated: Pilot) -> None:
    controller = simulated.controller
    plain = controller.get_estimated_cost(QUERY)
    long = "a_name_longer_than_the_63_bytes_that_the_server_keeps_of_any_name_at_all"
    bench.sql(f"CREATE INDEX by_score ON posts (score); CREATE INDEX {long} ON posts (id, score)")
    controller.create_index(Index(["owner"], "posts", "by_score"))
    controller.create_index(Index(["id"], "users", long))
    controller.create_index(Index(["name"], "users", long))
    assert controller.get_estimated_cost(QUERY) < plain / 4
    assert controller.get_index_byte(Index(["owner"], "posts", "by_score")) > 0
    assert bench.names() == [long[:63], "by_score", "posts_pkey"]
    bench.sql(f"DROP INDEX by_score, {long}")


def test_every_thread_sees_the_same(simulated: Pilot) -> None:
    controller = simulated.controller
    plain = controller.get_estimated_cost(QUERY)
    controller.create_index(Index(["owner"], "posts"))
    costs: list[float] = []

    def ask() -> None:
        costs.append(controller.get_estimated_cost(QUERY))

    for step in (ask, controller.drop_all_indexes, ask):
        thread = threading.Thread(target=step)
        thread.start()
        thread.join()
    assert costs[0] < plain
    assert costs[1] == plain == controller.get_estimated_cost(QUERY)


def test_inside_the_drivers_transaction(simulated: Pilot) -> None:
    controller = simulated.controller
    controller.create_index(Index(["owner"], "posts"))
    controller.execute("BEGIN; CREATE TEMP TABLE kept (a int)")
    assert controller.get_estimated_cost(QUERY) > 0
    with pytest.raises(QueryError):
        controller.explain_physical_plan("SELECT * FROM nowhere")
    controller.execute("ROLLBACK; BEGIN; CREATE TEMP TABLE kept (a int)")
    assert controller.get_estimated_cost(QUERY) > 0
    assert controller.execute("SELECT count(*) FROM kept", True) == [(0,)]
    controller.execute("ROLLBACK")


def test_bad_what_if_indexes(simulated: Pilot) -> None:
    controller = simulated.controller
    with pytest.raises(SteeringError, match="no column 'ownr'"):
        controller.create_index(Index(["ownr"], "posts"))
    with pytest.raises(SteeringError, match="no what-if index"):
        controller.drop_index(Index(["id"], "posts"))
    with pytest.raises(SteeringError, match="there is no index"):
        controller.get_index_byte(Index(["id"], "posts"))
    assert controller.get_estimated_cost(QUERY) > 0


@pytest.mark.parametrize("loaded", ["later", "by the server"])
def test_plans_that_auto_explain_reports(bench: Bench, loaded: str) -> None:
    if not has_hypopg(bench):
        pytest.skip("this server has no HypoPG (Debian's package postgresql-15-hypopg)")
    for statement in SCHEMA.strip().split(";\n"):
        bench.sql(statement)
    if loaded == "by the server":
        bench.sql("ALTER ROLE postgres SET session_preload_libraries = 'auto_explain'")
    controller = PostgreSQLController(bench.dsn_config(), enable_simulate_index=True)
    session = controller.session()
    if loaded == "later":
        session.execute("LOAD 'auto_explain'")
    plain = controller.get_estimated_cost(QUERY)
    controller.create_index(Index(["owner"], "posts"))
    assert controller.get_estimated_cost(QUERY) < plain
    session.execute("SET auto_explain.log_min_duration = 0")
    assert controller.get_estimated_cost(QUERY) < plain
    assert controller._what_if is not None
    way = controller._what_if._find_way(session)
    assert (way is not None) is (loaded == "later")
    controller.close()
    bench.sql("ALTER ROLE postgres RESET session_preload_libraries")


def test_the_cache(bench: Bench) -> None:
    bench.sql("CREATE TABLE cached AS SELECT generate_series(1, 5000) AS a")
    bench.sql("CREATE TABLE never_read (a int)")
    one, other = bench.open(), bench.open()
    one.controller.execute("SELECT count(*) FROM cached")
    blocks = one.controller.get_buffercache()
    ((size,),) = one.controller.execute("SELECT pg_relation_size('cached') / 8192", True)
    assert size <= blocks["cached"] <= size + 4
    assert "never_read" not in blocks
    other.controller.get_buffercache()
    one.close()
    assert other.controller.get_buffercache()["cached"] == blocks["cached"]
    other.close()
    assert bench.sql("SELECT count(*) FROM pg_extension WHERE extname = 'pg_buffercache'") == [(0,)]
    assert ChangeLog(bench.home).pending() == []


def test_an_extension_that_was_there_stays(bench: Bench) -> None:
    bench.sql("CREATE EXTENSION pg_buffercache")
    pilot = bench.open()
    assert pilot.controller.get_buffercache()
    assert pilot.target.changes.own() == []
    pilot.close()
    assert bench.sql("SELECT count(*) FROM pg_extension WHERE extname = 'pg_buffercache'") == [(1,)]


def test_from_the_factory(bench: Bench) -> None:
    bench.sql("CREATE TABLE t (a int)")
    controller = DBControllerFactory.get_db_controller(bench.dsn_config(), True)
    assert isinstance(controller, PostgreSQLController)
    controller.create_index(Index(["a"], "t"))
    assert bench.names() == []
    controller.set_hint("work_mem", "9MB")
    assert controller.execute("SHOW work_mem", fetch=True, is_reset=True) == [("4MB",)]
    controller.close()
