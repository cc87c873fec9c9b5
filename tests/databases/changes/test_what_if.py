"""What-if indexes, by the planner module, by HypoPG and by rolled-back transactions; extensions
come and go."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from changes_support import Bench, Pilot

from pilotcli.common.errors import CapabilityError, QueryError, SteeringError
from pilotcli.common.records import Index
from pilotcli.databases.changes.log import ChangeLog
from pilotcli.databases.controller import (
    DBControllerFactory,
    PostgreSQLController,
)
from pilotcli.databases.embedded.binaries import find_binaries
from pilotcli.steering.controller import PostgreSQLController as SteeredController
from pilotcli.steering.planner import build

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


def build_planner(bench: Bench) -> None:
    folder = bench.postgres_bin or find_binaries().folder
    try:
        build(folder / "pg_config", bench.home / "planner")
    except CapabilityError as error:
        if "does not compile" in error.message:
            raise
        pytest.skip(f"the planner module cannot be built here: {error.message}")


@pytest.fixture(params=["module", "hypopg", "rollback"])
def way(request: pytest.FixtureRequest) -> str:
    """What shows the indexes."""
    return str(request.param)


@pytest.fixture
def simulated(bench: Bench, way: str) -> Iterator[Pilot]:
    """A controller of what-if indexes; the last way is that of a role that may do neither other."""
    for statement in SCHEMA.strip().split(";\n"):
        bench.sql(statement)
    user = "postgres"
    controller: type[PostgreSQLController] = PostgreSQLController
    if way == "module":
        build_planner(bench)
        controller = SteeredController
    elif way == "hypopg":
        if not has_hypopg(bench):
            pytest.skip("this server has no HypoPG (Debian's package postgresql-NN-hypopg)")
    else:
        user = f"plain_{bench.database}"
        bench.sql(f"CREATE ROLE {user} LOGIN; ALTER TABLE posts OWNER TO {user}")
        bench.sql(f"ALTER TABLE users OWNER TO {user}; GRANT CREATE ON SCHEMA public TO {user}")
    pilot = bench.open(bench.dsn_config(user=user))
    pilot.controller = controller(
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


def test_sizes_and_lists(bench: Bench, simulated: Pilot, way: str) -> None:
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
    assert real * 0.9 < size < real * (4 if way == "hypopg" else 1.1)
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
    for wrong in (
        Index(["owner"], "posts", where="nope > 1"),
        Index(["owner"], "posts", options="nope = 1"),
        Index(["owner"], "posts", keys=["owner text_pattern_ops"]),
        Index(["owner"], "posts", where="random() < 0.5"),
    ):
        with pytest.raises(SteeringError, match="takes no"):
            controller.create_index(wrong)
    assert controller.get_all_indexes() == []
    assert controller.get_estimated_cost(QUERY) > 0


def test_an_index_whose_column_is_gone_is_named(bench: Bench, simulated: Pilot, way: str) -> None:
    if way != "module":
        pytest.skip("HypoPG keeps the number of the column; a real index is refused")
    controller = simulated.controller
    controller.create_index(Index(["owner"], "posts", "by_owner"))
    bench.sql("ALTER TABLE posts RENAME owner TO writer")
    try:
        with pytest.raises(SteeringError, match="by_owner does not fit the table 'posts'"):
            controller.get_estimated_cost("SELECT * FROM posts")
        controller.drop_index(Index(["owner"], "posts", "by_owner"))
        with pytest.raises(QueryError, match="nowhere"):
            controller.get_estimated_cost("SELECT * FROM nowhere")
        assert controller.get_estimated_cost("SELECT * FROM posts") > 0
    finally:
        bench.sql("ALTER TABLE posts RENAME writer TO owner")


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


KINDS = [
    Index(["owner"], "posts", keys=["owner DESC NULLS LAST"]),
    Index(["owner", "id"], "posts", "both", unique=True),
    Index(["owner"], "posts", include=["score", "id"]),
    Index(["owner"], "posts", where="score > 3 AND score < 9"),
    Index(["owner"], "posts", options="fillfactor=70"),
    Index(["lower(name)"], "users", keys=["lower(name)"]),
    Index(["(id % 10)", "name"], "users", keys=["((id % 10))", 'name COLLATE "C" DESC']),
    Index(["name"], "users", keys=["name text_pattern_ops"], where="name ~~ 'u1%'::text"),
]


@pytest.mark.parametrize("index", KINDS, ids=str)
def test_kinds_of_what_if_indexes(simulated: Pilot, index: Index) -> None:
    controller = simulated.controller
    controller.create_index(index)
    assert controller.get_all_indexes() == [index]
    assert controller.get_index_byte(index) >= 8192
    query = f"SELECT count(*) FROM {index.table} WHERE {index.where or 'true'}"
    assert controller.get_estimated_cost(query) > 0
    controller.drop_index(index)
    assert controller.get_all_indexes() == []


def test_the_kind_decides_the_plan(simulated: Pilot) -> None:
    controller = simulated.controller
    controller.create_index(Index(["owner"], "posts", where="score = 3", include=["id"]))
    partial = "SELECT id FROM posts WHERE owner = 7 AND score = 3"
    other = "SELECT id FROM posts WHERE owner = 7 AND score = 4"
    assert "Index" in str(controller.explain_physical_plan(partial))
    assert "Index" not in str(controller.explain_physical_plan(other))


def test_an_existing_index_is_hidden_or_refused(bench: Bench, simulated: Pilot, way: str) -> None:
    controller = simulated.controller
    bench.sql("CREATE INDEX by_owner ON posts (owner)")
    query = "SELECT * FROM posts WHERE owner = 7"
    quick = controller.get_estimated_cost(query)
    try:
        if way == "rollback":
            with pytest.raises(CapabilityError, match="planner module or HypoPG"):
                controller.drop_index(Index(["owner"], "posts"))
            return
        hides = bench.sql(
            "SELECT count(*) FROM pg_available_extension_versions WHERE name = 'hypopg'"
            " AND version >= '1.4'"
        ) != [(0,)]
        if way == "hypopg" and not hides:
            with pytest.raises(CapabilityError, match="too old"):
                controller.drop_index(Index(["owner"], "posts"))
            return
        controller.drop_index(Index(["owner"], "posts"))
        assert controller.get_estimated_cost(query) > 2 * quick
        assert bench.names() == ["by_owner", "posts_pkey"]
        controller.create_index(Index(["owner"], "posts"))
        assert controller.get_all_indexes() == []  # it is the existing one again
        assert controller.get_estimated_cost(query) == quick
        controller.drop_index(Index(["x"], "posts", "by_owner"))
        assert controller.get_estimated_cost(query) > 2 * quick
        controller.drop_all_indexes()
        assert controller.get_estimated_cost(query) == quick
    finally:
        bench.sql("DROP INDEX by_owner")


def test_a_kind_that_cannot_be_shown(simulated: Pilot, way: str) -> None:
    if way == "rollback":
        pytest.skip("real indexes are of all kinds")
    name = "the planner module" if way == "module" else "HypoPG"
    with pytest.raises(SteeringError, match=name):
        simulated.controller.create_index(Index(["owner"], "posts", method="gist"))
    assert simulated.controller.get_all_indexes() == []


def test_what_a_driver_resets_is_shown_again(simulated: Pilot) -> None:
    controller = simulated.controller
    plain = controller.get_estimated_cost(QUERY)
    controller.create_index(Index(["owner"], "posts"))
    quick = controller.get_estimated_cost(QUERY)
    assert quick < plain
    controller.reset()
    assert controller.get_estimated_cost(QUERY) == quick
    controller.execute("RESET ALL")
    assert controller.get_estimated_cost(QUERY) == quick
    controller.execute("BEGIN")
    controller.create_index(Index(["id"], "users"))
    controller.get_estimated_cost(QUERY)
    controller.execute("ROLLBACK")
    assert controller.get_estimated_cost(QUERY) < quick


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
